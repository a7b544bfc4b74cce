/**
 * Answers: what a handler says about a record, and the balances that go with it.
 * Pure. Must not decide.
 */
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { type Currency, isCurrency } from '../../../terminal/kernel/units.js';
import type { CardWrite } from '../../protocol/record.js';
import type { Balances, FinalAnswer, RecordAnswer, RefusalCode } from '../../protocol/sync.js';
import { couponBalance, memberOwed, memberPoints } from './accounts.js';
import type { Facts } from './facts.js';
import { balanceOf } from './posting.js';
import type { Row } from './tables.js';

export type Outcome =
  | {
      readonly outcome: 'accepted';
      readonly pointsPosted: number | null;
      readonly coveredMinor: number | null;
      readonly balances: Balances;
      readonly write: CardWrite | null;
      readonly notices: readonly string[];
    }
  | { readonly outcome: 'refused'; readonly code: RefusalCode; readonly detail: string; readonly balances: Balances }
  /** Not an answer yet: nothing is stored, not even the record's place. */
  | { readonly outcome: 'later'; readonly code: 'host.busy' | 'host.quarantined' | 'host.storeFailed' };

/** How soon a record is worth sending again. */
export const retryAfterMs = { 'host.busy': 5_000, 'host.quarantined': 600_000, 'host.storeFailed': 30_000 } as const;

export const noBalances: Balances = {
  points: null,
  pointsOwed: null,
  couponMinor: null,
  couponCode: null,
  currency: null,
};

const currencyOf = (text: string): Currency | null => (isCurrency(text) ? text : null);

/** Balances of a member's points. */
export const memberBalances = (facts: Facts, memberId: string): Balances => ({
  ...noBalances,
  points: balanceOf(facts, memberPoints(memberId)),
  pointsOwed: balanceOf(facts, memberOwed(memberId)),
});

/** A coupon's balance: host-held from its account; card-held as the caller knows it to stand on the card. */
export const couponBalances = (facts: Facts, coupon: Row<'coupon'>, onCardMinor: number | null = null): Balances => ({
  ...noBalances,
  couponMinor: coupon.holder === 'host' ? balanceOf(facts, couponBalance(coupon.id, coupon.currency)) : onCardMinor,
  couponCode: coupon.id,
  currency: currencyOf(coupon.currency),
});

export const accepted = (
  balances: Balances,
  more: { pointsPosted?: number; coveredMinor?: number; write?: CardWrite; notices?: readonly string[] } = {},
): Outcome => ({
  outcome: 'accepted',
  pointsPosted: more.pointsPosted ?? null,
  coveredMinor: more.coveredMinor ?? null,
  balances,
  write: more.write ?? null,
  notices: more.notices ?? [],
});
export const refused = (code: RefusalCode, detail = '', balances: Balances = noBalances): Outcome => ({
  outcome: 'refused',
  code,
  detail: detail.slice(0, 200),
  balances,
});
export const later = (code: 'host.busy' | 'host.quarantined' | 'host.storeFailed'): Outcome => ({
  outcome: 'later',
  code,
});

/** The wire's form of an outcome. */
export function toAnswer(transactionId: TransactionId, outcome: Outcome): RecordAnswer {
  if (outcome.outcome === 'later')
    return { outcome: 'later', transactionId, code: outcome.code, retryAfterMs: retryAfterMs[outcome.code] };
  const answer: FinalAnswer =
    outcome.outcome === 'accepted'
      ? { ...outcome, transactionId, notices: [...new Set(outcome.notices)].slice(0, 8) }
      : { ...outcome, transactionId };
  return answer;
}
