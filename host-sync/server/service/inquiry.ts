/**
 * Inquiry: what the member behind a tap or code may spend, told to the box that asked. Moves nothing and makes no record; what
 * it writes is what was used up in asking, so that none of it is good a second time.
 */
import { encodeContext, inquiryShown } from '../../../drivers/protocols/member/layout.js';
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { isCurrency } from '../../../terminal/kernel/units.js';
import { isStrongEnough } from '../../protocol/assurance.js';
import {
  type InquiryCoupon,
  type InquiryRequest,
  type InquiryResponse,
  inquiryCouponsMax,
} from '../../protocol/inquiry.js';
import { type Credential, type TapCredential, transactionIdBytes } from '../../protocol/record.js';
import { cardMirror, couponBalance, memberOwed, memberPoints } from '../ledger/accounts.js';
import type { ApplyContext, Openers } from '../ledger/context.js';
import { identifyFor, keyOfTap, planCredential, transcriptOf, usedKey } from '../ledger/credential.js';
import { type Collector, type Facts, put, remove, type Write } from '../ledger/facts.js';
import { paysAt, planPaysAt } from '../ledger/federation.js';
import { membershipAt } from '../ledger/membership.js';
import { balanceOf } from '../ledger/posting.js';
import { tierOf } from '../ledger/rules.js';
import type { Row } from '../ledger/tables.js';
import { counterSeen } from '../ledger/tag.js';
import type { HostStore } from '../storage/port.js';
import { InquiryRate } from './inquiry-rate.js';
import { refusal } from './paging.js';
import { sessionGrant } from './session-grant.js';
import { contextOf, planContext, type Standing, setting } from './settings.js';
import type { Refusal, TerminalFacing } from './types.js';

/** So long a used code is remembered: no earn with it can still be under way. */
const usesKeptMs = 90 * 86_400_000;
/** Used codes remembered of one member; of more the oldest are forgotten. */
export const usesPerMemberMax = 128;

export interface InquiryParts {
  readonly store: HostStore;
  readonly standing: Standing;
  readonly clock: Clock;
  readonly alarm: (code: string, terminalId: string | null, subject: string, detail: string) => Promise<void>;
}

type Answer = Result<InquiryResponse, Refusal>;
type Refused = Extract<InquiryResponse, { outcome: 'refused' }>['code'];
const refused = (code: Refused): Answer => ok({ outcome: 'refused', code });

/** Under which an inquiry's credential is used up. A tap's counter need only rise, so that one row per key is enough. */
function useKey(credential: Credential, openers: Pick<Openers, 'openTag'>): string | null {
  if (credential.method === 'tap') return `${credential.key}:${credential.keyId}`;
  // A tag's counter has its own row.
  return credential.method === 'sunTag' ? null : usedKey(credential, openers);
}
const isTapUse = (use: Row<'inquiryUse'>): boolean => use.counter > 0;

const contextBytes = ({ transactionId }: InquiryRequest, terminalId: string): Bytes =>
  encodeContext({
    transactionId: transactionIdBytes(transactionId),
    terminal: hex(terminalId.slice(2)),
    ...inquiryShown,
  });

/** Coupons of a member that may still pay, as far as the facts have them. */
const couponsOf = (facts: Pick<Facts, 'find'>, memberId: string): readonly Row<'coupon'>[] => [
  ...facts.find('coupon', 'openMember', memberId),
  ...facts.find('coupon', 'memberId', memberId).filter(({ holder }) => holder === 'card'),
];
const accountOf = ({ id, holder, currency }: Row<'coupon'>) =>
  (holder === 'card' ? cardMirror : couponBalance)(id, currency);

function planMember(need: Collector, memberId: string): void {
  need.get('member', memberId);
  need.get('setting', 'tiers');
  for (const account of [memberPoints, memberOwed]) need.get('account', account(memberId).id);
  for (const coupon of couponsOf(need, memberId)) need.get('account', accountOf(coupon).id);
}

function couponViews(facts: Facts, memberId: string, nowMs: number): readonly InquiryCoupon[] {
  const soonest = (coupon: InquiryCoupon): number => coupon.expiresAtMs ?? Number.MAX_SAFE_INTEGER;
  return couponsOf(facts, memberId)
    .flatMap((coupon): readonly InquiryCoupon[] => {
      const { id, holder, currency, expiresAtMs, limitCategory, limitProducts } = coupon;
      const balanceMinor = balanceOf(facts, accountOf(coupon));
      const isOver = expiresAtMs !== null && nowMs >= expiresAtMs;
      if (coupon.state !== 'active' || isOver || balanceMinor === 0 || !isCurrency(currency)) return [];
      const products = limitProducts === null ? null : (JSON.parse(limitProducts) as readonly string[]).length;
      return [
        { codeEnd: id.slice(-4), holder, balanceMinor, currency, expiresAtMs, limitCategory, limitProducts: products },
      ];
    })
    .sort((a, b) => soonest(a) - soonest(b));
}

/** What is used up by this inquiry, and what of the member's earlier ones is forgotten for it. */
function usesOf(facts: Facts, use: Row<'inquiryUse'> | null, memberId: string, nowMs: number): readonly Write[] {
  const kept = facts
    .find('inquiryUse', 'memberId', memberId)
    .filter((each) => !isTapUse(each) && each.id !== use?.id)
    .sort((a, b) => b.atMs - a.atMs);
  const forgotten = kept.filter(({ atMs }, i) => nowMs - atMs >= usesKeptMs || i >= usesPerMemberMax - 1);
  return [...forgotten.map(({ id }) => remove('inquiryUse', id)), ...(use ? [put('inquiryUse', use)] : [])];
}

/** The session that lets the box tell the phone; null where no phone proved. */
function sessionOf(facts: Facts, tap: TapCredential, shown: Bytes, context: ApplyContext) {
  const key = keyOfTap(facts, tap, context);
  return key && sessionGrant(context, key, transcriptOf(tap, shown));
}

export function createInquiry(parts: InquiryParts): Pick<TerminalFacing, 'inquire'> {
  const { store, standing, clock } = parts;
  const rate = new InquiryRate();

  /** `alarmed`: told where what was shown was forged or used before. */
  const ask = (terminalId: string, request: InquiryRequest, alarmed: () => void): Promise<Answer> => {
    const { credential } = request;
    const id = useKey(credential, standing);
    const plan = (need: Collector): void => {
      planContext(need);
      need.get('terminal', terminalId);
      if (id !== null) need.get('inquiryUse', id);
      const memberId = planCredential(need, credential, standing);
      if (memberId !== null) need.find('inquiryUse', 'memberId', memberId);
      const home = membershipAt(need, terminalId, memberId);
      planPaysAt(need, terminalId, { ownMerchant: setting(need, 'ownMerchant') });
      for (const each of new Set([memberId, home])) if (each !== null) planMember(need, each);
    };
    return store.transact(plan, (facts): Answer => {
      const terminal = facts.get('terminal', terminalId);
      if (!terminal) return refusal('access.denied', 'unknown terminal');
      if (terminal.state !== 'active') return refusal('host.quarantined', terminal.state);
      if (!isStrongEnough('inquire', credential, 'online')) return refused('credential.tooWeak');
      const nowMs = clock.wallMs();
      const context = contextOf(facts, standing, { nowMs, asked: true, isAlone: true });
      const occasion = { kind: 'inquiry', terminalId, atWallMs: nowMs, clockDoubtful: false } as const;
      const shown = contextBytes(request, terminalId);
      const identified = identifyFor(facts, occasion, credential, context, shown);
      if (!identified.ok) {
        if (identified.alarm) alarmed();
        return refused(identified.code);
      }
      const { memberId } = identified.identity;
      const tapped = memberId === null ? undefined : facts.get('member', memberId);
      const home = membershipAt(facts, terminalId, memberId);
      // The counter's merchant counts; of a partner's member only the points may pay here, and of anybody else nothing.
      const member = home === null ? tapped : facts.get('member', home);
      if (!tapped || !member || (home === null && !paysAt(facts, terminalId, tapped, context)))
        return refused('credential.unknown');
      const counter = credential.method === 'tap' ? credential.counter : 0;
      const before = id === null ? undefined : facts.get('inquiryUse', id);
      if (before && isTapUse(before) && counter <= before.counter) {
        alarmed();
        return refused('credential.replayed');
      }
      const use = id === null ? null : { id, memberId: tapped.id, terminalId, counter, atMs: nowMs };
      facts.write([
        ...usesOf(facts, use, tapped.id, nowMs),
        ...counterSeen(facts, { atWallMs: nowMs, credential }, usedKey(credential, context), context),
      ]);
      const coupons = home === null ? [] : couponViews(facts, home, nowMs);
      return ok({
        outcome: 'known',
        points: balanceOf(facts, memberPoints(member.id)),
        pointsOwed: balanceOf(facts, memberOwed(member.id)),
        tier: tierOf(setting(facts, 'tiers'), member.earnedPoints).name,
        coupons: coupons.slice(0, inquiryCouponsMax),
        couponsMore: Math.max(0, coupons.length - inquiryCouponsMax),
        session: credential.method === 'tap' ? sessionOf(facts, credential, shown, context) : null,
      });
    });
  };

  return {
    inquire: async (terminalId, request) => {
      const askedAt = clock.monotonicMs();
      const may = rate.ask(terminalId, askedAt);
      if (may === 'first') await parts.alarm('access.rateLimited', terminalId, 'inquiry', 'too many inquiries');
      if (may !== 'may') return refused('access.rateLimited');
      let isAlarm = false;
      let isRefused = false;
      const answer = await ask(terminalId, request, () => {
        isAlarm = true;
      })
        .then((said) => {
          isRefused = said.ok && said.value.outcome === 'refused';
          return said;
        })
        .finally(() => {
          if (!isRefused) rate.notRefused(terminalId, askedAt);
        });
      if (!answer.ok || answer.value.outcome !== 'refused') return answer;
      if (isAlarm) await parts.alarm(answer.value.code, terminalId, 'inquiry', request.credential.method);
      return answer;
    },
  };
}
