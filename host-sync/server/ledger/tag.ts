/**
 * Tags as credentials: a secure tag's message counts once and its counter must rise; a bare UID names its member.
 * Pure. Must not decide what the member may do with it.
 */
import type { Credential, RecordBody } from '../../protocol/record.js';
import type { ApplyContext, Openers, TagOpening } from './context.js';
import { type Collector, type Facts, put, type Write } from './facts.js';
import { type Identified, type Occasion, refusal, wasBefore } from './identified.js';

type FromTag = Extract<Credential, { method: 'sunTag' | 'tagUid' }>;

/** Most lower counters that are taken of one tag until its counter rises again: what boxes without a network let through. */
export const lateUsesMax = 5;

/** The message as it is used up; null where it proved nothing. */
export const messageKey = (opened: TagOpening): string | null =>
  opened.ok ? `sun:${opened.tagId}:${opened.counter}` : null;

/** States what `identifyTag` and `counterSeen` read. @returns the member as far as the facts tell yet */
export function planTag(need: Collector, credential: FromTag, { openTag }: Pick<Openers, 'openTag'>): string | null {
  const opened: TagOpening =
    credential.method === 'tagUid' ? { ok: true, tagId: credential.tagId, counter: 0 } : openTag(credential.address);
  if (!opened.ok) return null;
  if (credential.method === 'sunTag') {
    need.find('record', 'tap', messageKey(opened) ?? '');
    need.get('tag', opened.tagId);
  }
  const key = need.get('memberKey', opened.tagId);
  return key ? (need.get('member', key.memberId)?.id ?? null) : null;
}

/**
 * Whose tag this is. A message that was used, or whose counter is not above all that were met, is refused; but an earn that
 * was made before the highest was met, and came late, counts: a few of each tag.
 */
export function identifyTag(facts: Facts, record: Occasion, credential: FromTag, context: ApplyContext): Identified {
  const opened: TagOpening =
    credential.method === 'tagUid'
      ? { ok: true, tagId: credential.tagId, counter: 0 }
      : context.openTag(credential.address);
  if (!opened.ok) return refusal(opened.code, opened.code === 'tag.forged');
  const key = facts.get('memberKey', opened.tagId);
  if (key?.kind !== 'tag') return refusal('credential.unknown');
  if (key.state === 'blocked' && !wasBefore(record, key.blockedAtMs)) return refusal('credential.blocked');
  if (credential.method === 'sunTag') {
    if (facts.find('record', 'tap', messageKey(opened) ?? '').length > 0) return refusal('credential.replayed', true);
    const highest = facts.get('tag', opened.tagId);
    const isLate = record.kind === 'pointsEarn' && !context.asked && !record.clockDoubtful;
    if (highest && opened.counter <= highest.counter)
      if (!isLate || record.atWallMs >= highest.atMs || highest.lateUses >= lateUsesMax)
        return refusal('credential.replayed', true);
  }
  return { ok: true, identity: { memberId: key.memberId, coupon: null } };
}

/** Remembers the counter of a message that was used up, by a record or an inquiry. */
export function counterSeen(
  facts: Facts,
  record: Pick<RecordBody, 'atWallMs'> & ({ readonly credential: Credential } | object),
  used: string | null,
  { openTag }: Pick<Openers, 'openTag'>,
): readonly Write[] {
  if (used === null || !('credential' in record) || record.credential.method !== 'sunTag') return [];
  const opened = openTag(record.credential.address);
  if (!opened.ok) return [];
  const { tagId: id, counter } = opened;
  const highest = facts.get('tag', id);
  if (highest && counter <= highest.counter) return [put('tag', { ...highest, lateUses: highest.lateUses + 1 })];
  return [put('tag', { id, counter, atMs: record.atWallMs, lateUses: 0 })];
}
