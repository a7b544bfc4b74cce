/**
 * Credentials: who a record's credential names, and whether its proof holds and was never used before.
 * Pure. Must not decide what the member may do with it beyond how strong it is.
 */

import { tapSignedBytes } from '../../../drivers/protocols/member/credential.js';
import { encodeContext, type Operation, type PresentationContext } from '../../../drivers/protocols/member/layout.js';
import { cardKey, type Transcript, verifyPhoneProof } from '../../../drivers/protocols/member/proof.js';
import { handleOf, screenCodeHolds } from '../../../drivers/protocols/screen-code/screen-code.js';
import { freshnessDefault, isInTime } from '../../../drivers/protocols/vas/freshness.js';
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import type { Situation } from '../../protocol/assurance.js';
import {
  type Credential,
  type PassCredential,
  type RecordBody,
  type RecordOf,
  type TapCredential,
  transactionIdBytes,
} from '../../protocol/record.js';
import { blockRow } from './block.js';
import type { ApplyContext, Openers, OpenPass, PassOpening } from './context.js';
import { type Draft, nextVersion } from './draft.js';
import type { Collector, Facts } from './facts.js';
import { type Identified, type Misuse, type Occasion, refusal, wasBefore } from './identified.js';
import { identifyTag, messageKey, planTag } from './tag.js';

/** A tap as it is used up: exact for all time, so that a late batch is never taken for a replay. */
export const tapKey = (tap: Pick<TapCredential, 'key' | 'keyId' | 'counter'>): string =>
  `${tap.key}:${tap.keyId}:${tap.counter}`;

/** What is used up when this credential is used; null for static codes, which may be shown again. */
export function usedKey(credential: Credential, { openTag }: Pick<Openers, 'openTag'>): string | null {
  switch (credential.method) {
    case 'tap':
      return tapKey(credential);
    case 'screenCode':
      return `screen:${credential.code}`;
    case 'walletPass':
    case 'sealedPass':
    case 'sealedSmartTap':
      return `pass:${credential.answer}`;
    case 'sunTag':
      return messageKey(openTag(credential.address));
    default:
      return null;
  }
}

/** The pass's id, as the box or the host itself read it; null where it does not open. */
function passIdOf(credential: PassCredential, openPass: OpenPass): string | null {
  if (credential.method === 'walletPass') return credential.passId;
  const opened = openPass(credential);
  return opened.ok ? opened.passId : null;
}

/** States what `identify` reads. @returns the member as far as the facts tell yet */
export function planCredential(need: Collector, credential: Credential, openers: Openers): string | null {
  switch (credential.method) {
    case 'walletPass':
    case 'sealedPass':
    case 'sealedSmartTap': {
      const used = usedKey(credential, openers) ?? '';
      need.find('record', 'tap', used);
      need.get('inquiryUse', used);
      const passId = passIdOf(credential, openers.openPass);
      const key = passId === null ? undefined : need.get('memberKey', passId);
      return key ? (need.get('member', key.memberId)?.id ?? null) : null;
    }
    case 'sunTag':
    case 'tagUid':
      return planTag(need, credential, openers);
    case 'memberCode':
      return need.get('member', credential.code)?.id ?? null;
    case 'phoneNumber':
      return need.find('member', 'phone', credential.number)[0]?.id ?? null;
    case 'couponCode':
      return need.get('coupon', credential.code)?.memberId ?? null;
    case 'screenCode': {
      need.find('record', 'tap', `screen:${credential.code}`);
      need.get('inquiryUse', `screen:${credential.code}`);
      const key = need.get('screenKey', handleOf(credential.code) ?? '');
      return key ? (need.get('member', key.memberId)?.id ?? null) : null;
    }
    case 'tap': {
      need.find('record', 'tap', tapKey(credential));
      if (credential.key === 'card') return need.find('coupon', 'cardKeyId', credential.keyId)[0]?.memberId ?? null;
      const key = need.get('memberKey', credential.keyId);
      return key ? (need.get('member', key.memberId)?.id ?? null) : null;
    }
  }
}

/** The key behind a tap, opened; null where it is unknown here. */
export function keyOfTap(facts: Facts, tap: Pick<TapCredential, 'key' | 'keyId'>, context: ApplyContext): Bytes | null {
  if (tap.key === 'card') {
    const coupon = facts.find('coupon', 'cardKeyId', tap.keyId)[0];
    return coupon ? cardKey(context.crypto, context.siteKey, hex(tap.keyId)) : null;
  }
  const key = facts.get('memberKey', tap.keyId);
  return key?.kind === 'phone' ? context.unwrap(key.wrapped) : null;
}

/** What phone and terminal said, as the record tells it. */
export const transcriptOf = (tap: TapCredential, context: Bytes): Transcript => ({
  key: tap.key,
  keyId: hex(tap.keyId),
  terminalNonce: hex(tap.terminalNonce),
  phoneNonce: hex(tap.phoneNonce),
  counter: tap.counter,
  context,
});

/** What the phone was shown for a record of this kind; null where the kind has no tap. */
export function operationOf(
  record: RecordBody,
): Pick<PresentationContext, 'operation' | 'amountMinor' | 'currency' | 'points'> | null {
  const on = (operation: Operation, amountMinor: number, currency: string, points: number) => ({
    operation,
    amountMinor,
    currency,
    points,
  });
  switch (record.kind) {
    case 'pointsEarn':
      return on('earn', record.bill.totalMinor, record.bill.currency, record.points);
    case 'pointsSpend':
      return on('spend', record.bill.totalMinor, record.bill.currency, record.points);
    case 'couponDeduct':
      return on('coupon', record.bill.totalMinor, record.bill.currency, 0);
    case 'topUp':
      return on('topUp', record.amountMinor, record.currency, 0);
    case 'cardDebit':
      return on('cardDebit', record.bill.totalMinor, record.bill.currency, 0);
    case 'cardTopUp':
      return on('cardCredit', record.amountMinor, record.currency, 0);
    case 'cardTopUpVoid':
      return on('cardDebit', record.amountMinor, record.currency, 0);
    default:
      return null;
  }
}

/** The 40 bytes the phone's proof covers, built anew from the record. `currency` of a card credit is its original's. */
export function contextOf(record: RecordBody, originalCurrency: string | null): Bytes | null {
  const shown =
    record.kind === 'cardCredit' && originalCurrency !== null
      ? ({ operation: 'cardCredit', amountMinor: record.amountMinor, currency: originalCurrency, points: 0 } as const)
      : operationOf(record);
  return (
    shown &&
    encodeContext({
      transactionId: transactionIdBytes(record.transactionId),
      terminal: hex(record.terminalId.slice(2)),
      ...shown,
    })
  );
}

/** The phone's signature over a spend that a box decided by its credential, 64 bytes in hex; null: it has none. */
const signatureOf = (record: RecordBody): string | null =>
  record.kind === 'pointsSpend' || record.kind === 'couponDeduct' ? (record.offline?.signature ?? null) : null;

/**
 * Who presented this credential. A tap must prove its key over the record's own context and its counter must be unused; one that
 * does neither counts all the same where the phone signed it, see `identifyTap`. A key that was blocked after the sale still earns
 * what was earned before.
 */
export function identify(
  facts: Facts,
  record: RecordBody,
  credential: Credential,
  context: ApplyContext,
  originalCurrency: string | null = null,
): Identified {
  const shown = credential.method === 'tap' ? contextOf(record, originalCurrency) : null;
  return credential.method === 'tap'
    ? identifyTap(facts, record, credential, context, shown, signatureOf(record))
    : identifyFor(facts, record, credential, context, shown);
}

/** The same for any occasion. `shown`: the 40 bytes that a tap must have proved for; null without a tap. */
export function identifyFor(
  facts: Facts,
  record: Occasion,
  credential: Credential,
  context: ApplyContext,
  shown: Bytes | null,
): Identified {
  if (credential.method === 'memberCode') {
    const member = facts.get('member', credential.code);
    return member ? { ok: true, identity: { memberId: member.id, coupon: null } } : refusal('credential.unknown');
  }
  if (credential.method === 'couponCode') {
    const coupon = facts.get('coupon', credential.code);
    return coupon ? { ok: true, identity: { memberId: coupon.memberId, coupon } } : refusal('coupon.unknown');
  }
  if (credential.method === 'phoneNumber') {
    // The merchant's rule first: where phone numbers count for nothing, the answer tells nobody who is a member.
    if (!context.policy.phoneEarns) return refusal('credential.tooWeak');
    const [member] = facts.find('member', 'phone', credential.number);
    return member ? { ok: true, identity: { memberId: member.id, coupon: null } } : refusal('credential.unknown');
  }
  if (credential.method === 'screenCode') return identifyScreen(facts, record, credential.code, context);
  if (credential.method === 'sunTag' || credential.method === 'tagUid')
    return identifyTag(facts, record, credential, context);
  if (credential.method !== 'tap') return identifyPass(facts, record, credential, context);
  return identifyTap(facts, record, credential, context, shown, null);
}

/**
 * Whose tap this is. `signature`: the phone's own, in hex, over a tap that a box without its host took by the credential; null:
 * none. Where it holds, the member has agreed to this very spend and got what it pays for. A proof that is none, a counter that
 * was used before, or the block that such a tap led to then help nobody: it counts, and `misuse` says what was wrong with it.
 */
function identifyTap(
  facts: Facts,
  record: Occasion,
  tap: TapCredential,
  context: ApplyContext,
  shown: Bytes | null,
  signature: string | null,
): Identified {
  const key = keyOfTap(facts, tap, context);
  if (!key || !shown) return refusal('credential.unknown');
  const memberKey = tap.key === 'member' ? facts.get('memberKey', tap.keyId) : undefined;
  const transcript = transcriptOf(tap, shown);
  const isSigned = (): boolean =>
    memberKey !== undefined &&
    signature !== null &&
    context.crypto.verifyP256(memberKey.publicKey, tapSignedBytes(transcript, hex(tap.proof)), hex(signature));
  const isBlocked = memberKey?.state === 'blocked' && !wasBefore(record, memberKey.blockedAtMs);
  if (isBlocked && (memberKey.misusedAtMs === null || !isSigned())) return refusal('credential.blocked');
  const misuse = misuseOf(facts, tap, verifyPhoneProof(context.crypto, key, transcript, hex(tap.proof)));
  if (misuse && !isSigned()) return refusal(misuse, true);
  if (memberKey)
    return { ok: true, identity: { memberId: memberKey.memberId, coupon: null }, ...(misuse && { misuse }) };
  const coupon = facts.find('coupon', 'cardKeyId', tap.keyId)[0] ?? null;
  return { ok: true, identity: { memberId: coupon?.memberId ?? null, coupon } };
}

const misuseOf = (facts: Facts, tap: TapCredential, isProven: boolean): Misuse | null => {
  if (!isProven) return 'credential.wrongProof';
  return facts.find('record', 'tap', tapKey(tap)).length > 0 ? 'credential.replayed' : null;
};

/**
 * A phone that signed for a tap that is none: a person hears of it, its key pays nothing any more, and boxes are told. What it
 * signed elsewhere meanwhile is settled as well.
 */
export function holdAgainst(
  draft: Draft,
  record: RecordOf<'pointsSpend' | 'couponDeduct'>,
  keyId: string,
  misuse: Misuse,
): void {
  draft.alarm(
    misuse,
    record.terminalId,
    record.transactionId,
    `a ${record.kind}, settled since the phone signed it; its key is blocked`,
  );
  const key = draft.get('memberKey', keyId);
  if (!key || (key.state === 'blocked' && key.misusedAtMs !== null)) return;
  if (key.state === 'active') draft.put('block', blockRow(keyId, draft.atMs));
  draft.put('memberKey', {
    ...{ ...key, state: 'blocked', misusedAtMs: draft.atMs },
    blockedAtMs: key.blockedAtMs ?? draft.atMs,
  });
  const version = draft.get('setting', 'directivesVersion');
  draft.put('setting', {
    id: 'directivesVersion',
    value: String(nextVersion(Number(version?.value ?? 0), draft.atMs)),
  });
}

/** Was it used up before? An inquiry uses up what it was asked with, but leaves one sale at the same terminal. */
function wasUsed(facts: Facts, occasion: Occasion, used: string): boolean {
  if (facts.find('record', 'tap', used).length > 0) return true;
  const inquired = facts.get('inquiryUse', used);
  return inquired !== undefined && (occasion.kind === 'inquiry' || inquired.terminalId !== occasion.terminalId);
}

/**
 * Whose pass this is. Nothing binds its answer to this sale: it counts once, and near its time by the clock of whoever met it:
 * the host's own while the box waits, else the box's as it noted it, unless that was doubtful. A session that the host signed
 * has the host's time and is judged by no other clock.
 */
function identifyPass(facts: Facts, record: Occasion, pass: PassCredential, context: ApplyContext): Identified {
  const opened: PassOpening =
    pass.method === 'walletPass'
      ? {
          ...{ ok: true, passId: pass.passId, answer: pass.answer, terminalId: null },
          answeredAtMs: pass.answeredAtMs ?? record.atWallMs,
        }
      : context.openPass(pass);
  if (!opened.ok) return refusal(opened.code, opened.code === 'pass.forged' || opened.code === 'pass.unknownKey');
  const isElsewhere = opened.terminalId !== null && opened.terminalId !== record.terminalId;
  if (opened.answer !== pass.answer || isElsewhere) return refusal('pass.forged', true);
  const key = facts.get('memberKey', opened.passId);
  if (key?.kind !== 'pass') return refusal('credential.unknown');
  if (key.state === 'blocked' && !wasBefore(record, key.blockedAtMs)) return refusal('credential.blocked');
  // Made for one session and no other. Of one that is told later the host's time is all there is: the box's says nothing of it.
  const isBound =
    pass.method === 'walletPass' ? pass.answeredAtMs === null : pass.method === 'sealedSmartTap' && !context.asked;
  const metAtMs = context.asked ? context.nowMs : record.clockDoubtful ? null : record.atWallMs;
  if (!isBound && metAtMs !== null && !isInTime(opened.answeredAtMs, metAtMs, freshnessDefault.windowMs))
    return refusal('pass.outOfTime');
  if (wasUsed(facts, record, usedKey(pass, context) ?? '')) return refusal('credential.replayed', true);
  return { ok: true, identity: { memberId: key.memberId, coupon: null } };
}

/** In which situation a spend is judged: without the host's word, or with it and what the merchant opted into. */
export function situationOf(
  record: RecordOf<'pointsSpend' | 'couponDeduct'>,
  { policy }: Pick<ApplyContext, 'policy'>,
): Situation {
  if (record.offline) return 'offline';
  const { method } = record.credential;
  const mayFresh =
    method === 'screenCode' ? policy.screenCodeSpends : method === 'sunTag' ? policy.tagsSpend : policy.passesSpend;
  return mayFresh ? 'optedIn' : 'online';
}

/**
 * A rotating code: of the seed behind its handle, at the host's time, and not used before. Only an earn may have waited for
 * the network: it counts by the sale's time as well, where the box's clock was not in doubt.
 */
function identifyScreen(facts: Facts, record: Occasion, code: string, context: ApplyContext): Identified {
  const key = facts.get('screenKey', handleOf(code) ?? '');
  if (!key) return refusal('credential.unknown');
  const mayHaveWaited = record.kind === 'pointsEarn' && !record.clockDoubtful;
  const times = mayHaveWaited ? [context.nowMs, record.atWallMs] : [context.nowMs];
  if (context.nowMs >= key.endsAtMs && !wasBefore(record, key.endsAtMs)) return refusal('credential.blocked');
  if (!screenCodeHolds(context.crypto, context.unwrap(key.wrapped), code, times))
    return refusal('credential.wrongProof');
  if (wasUsed(facts, record, `screen:${code}`)) return refusal('credential.replayed', true);
  return { ok: true, identity: { memberId: key.memberId, coupon: null } };
}
