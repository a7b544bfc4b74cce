/**
 * Top-ups of card-held coupons: money paid in at a terminal and written to the card, and their void, which takes the whole
 * from the card again. Pure. The money is due to the card from the host's word on, and goes there with the write that is
 * answered, or with a later one; a top-up whose box lost the card therefore stands, and no other write can carry it twice.
 * One that comes only afterwards, told and not asked, is not paid in until its box says how it ended.
 */
import { assert } from '../../../terminal/kernel/result.js';
import { isStrongEnough } from '../../protocol/assurance.js';
import type { RecordOf } from '../../protocol/record.js';
import type { RefusalCode } from '../../protocol/sync.js';
import { cardCorrection, cardMirror, cardReserved } from './accounts.js';
import { accepted, couponBalances, type Outcome, refused } from './answer.js';
import { type Card, follow, nextWrite, present } from './card.js';
import { fundTopUp } from './card-kinds.js';
import {
  acceptCard,
  isPassed,
  isSeenWritten,
  loseCard,
  markWrittenBehind,
  mayBeBehind,
  planCard,
  planCardAccounts,
  type SeenCard,
} from './card-state.js';
import type { ApplyContext, Openers } from './context.js';
import { planCredential } from './credential.js';
import type { Draft } from './draft.js';
import type { Collector } from './facts.js';
import { isSameMerchant } from './membership.js';
import { balanceOf, move } from './posting.js';
import { newSale } from './sale.js';
import type { Row } from './tables.js';
import { balanceProblem, sizeProblem } from './top-up.js';

type Present = Extract<Card, { ok: true }>;

export function planCardTopUp(need: Collector, record: RecordOf<'cardTopUp'>, context: Openers): void {
  planCredential(need, record.credential, context);
  planCard(need, record);
}

export function planCardTopUpVoid(need: Collector, record: RecordOf<'cardTopUpVoid'>, context: Openers): void {
  planCredential(need, record.credential, context);
  planCard(need, record);
  const original = need.get('sale', record.original);
  if (original?.couponId && original.kind === 'cardTopUp')
    planCardAccounts(need, original.couponId, original.currency, original.terminalId);
}

const dueOf = (draft: Draft, { currency, id }: Row<'coupon'>): number => balanceOf(draft, cardCorrection(id, currency));

/** Why no money goes in or out by this card now; null: it may. A card's coupon ends when its record says so. */
function problemOf(
  coupon: Row<'coupon'>,
  { record: { expiresAtSeconds } }: SeenCard,
  nowMs: number,
): RefusalCode | null {
  if (coupon.state === 'blocked') return 'credential.blocked';
  return expiresAtSeconds !== 0 && nowMs > expiresAtSeconds * 1000 ? 'coupon.expired' : null;
}

/** Pays in for the coupon on the card: what is paid in is due to it at once, and its write takes along all that is due. */
export function applyCardTopUp(draft: Draft, record: RecordOf<'cardTopUp'>, context: ApplyContext): Outcome {
  const { amountMinor, currency } = record;
  if (!isStrongEnough('topUpCard', record.credential, 'online'))
    return refused('credential.tooWeak', 'a card is topped up with the card');
  const size = sizeProblem(amountMinor, context.policy);
  if (size && context.asked) return size;
  const card = present(draft, record, currency, context);
  if (!card.ok) return card.outcome;
  if (card.coupon.currency !== currency) return refused('coupon.noTopUp', 'another currency');
  const isUnread = follow(draft, card.coupon, card.seen, { record, context });
  if (isUnread && !isPassedBy(isUnread)) return isUnread;
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const onCardMinor = card.seen.record.balanceMinor;
  const problem = problemOf(coupon, card.seen, context.nowMs);
  const why =
    (problem && refused(problem, '', couponBalances(draft, coupon, onCardMinor))) ??
    isUnread ??
    size ??
    balanceProblem(onCardMinor + dueOf(draft, coupon), amountMinor, context.policy);
  // Its box may have written it by the word of this host before it was restored: only that box knows.
  if (why) return context.asked ? why : payInLater(draft, record, card);
  const sale = fundTopUp(draft, unpaid(draft, record, card));
  const due = dueOf(draft, coupon);
  draft.put('sale', { ...sale, correctionMinor: due, state: 'reserved' });
  draft.put('coupon', { ...coupon, pendingSale: record.transactionId });
  const afterMinor = onCardMinor + due;
  return accepted(couponBalances(draft, coupon, afterMinor), {
    coveredMinor: amountMinor,
    write: nextWrite(card.seen, { balanceMinor: afterMinor, kind: 'credit', amountMinor: due }, record, context),
    notices: due > amountMinor ? ['card.correction'] : [],
  });
}

/** The card has gone on since: its box lost it at this top-up, will reverse it, or wrote it before this host was restored. */
const isPassedBy = (isUnread: Outcome): boolean =>
  isUnread.outcome === 'refused' && isUnread.code === 'card.recordStale';

/** The top-up of which nothing is paid in yet. */
function unpaid(draft: Draft, record: RecordOf<'cardTopUp'>, { coupon, seen }: Present): Row<'sale'> {
  const { amountMinor, currency } = record;
  return {
    ...newSale(record, { currency, totalMinor: amountMinor }, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    topUpOf: coupon.id,
    coveredMinor: amountMinor,
    correctionMinor: amountMinor,
    undone: amountMinor,
    cardCounter: seen.record.counter + 1,
    state: 'timedOut',
  };
}

/** Paid in when its box says that it was, unless a host that went back has seen the write on the card already. */
function payInLater(draft: Draft, record: RecordOf<'cardTopUp'>, card: Present): Outcome {
  const sale = unpaid(draft, record, card);
  const isBehind = isSeenWritten(draft, sale) && isPassed(draft, sale);
  draft.put('sale', isBehind ? markWrittenBehind(draft, sale) : sale);
  return accepted(couponBalances(draft, card.coupon), { coveredMinor: record.amountMinor, notices: ['coupon.late'] });
}

/**
 * May this top-up be voided here, once its card has been followed? Its completion may still be on its way: the box that voids
 * its own has the money, whether its write was seen on the card or seemed not to be made. No other knows that.
 */
function isVoidable({ cardWritten, refundedMinor, state, terminalId }: Row<'sale'>, atTerminal: string): boolean {
  if (refundedMinor > 0) return false;
  const isKnownHere = state === 'timedOut' || (state === 'reserved' && cardWritten === 1);
  return state === 'accepted' || (terminalId === atTerminal && isKnownHere);
}

/** The top-up as its box has it: the money is in the drawer, the amount on the card or due to it. */
function asPaidIn(draft: Draft, topUp: Row<'sale'>): Row<'sale'> {
  if (topUp.state === 'accepted') return topUp;
  const paidIn = topUp.state === 'timedOut' ? loseCard(draft, topUp) : acceptCard(draft, topUp).sale;
  assert(paidIn.undone === 0, 'a top-up that is voided was paid in');
  return paidIn;
}

/** What of this top-up becomes due to the card by its void, minor units: of one that seemed not to reach it, unless it may have. */
const comesDue = (draft: Draft, topUp: Row<'sale'>): number => (mayBeBehind(draft, topUp) ? 0 : topUp.undone);

/** Why this top-up is not voided, in words. */
const whyNotVoidable = ({ refundedMinor, state }: Row<'sale'>): string => {
  if (state === 'voided') return 'it is voided';
  if (state === 'reversed') return 'it was reversed';
  return refundedMinor > 0 ? 'it is being voided' : 'it is not known yet how it ended';
};

/** Takes a whole top-up from the card again, held until the box says that the card took it; refused where it lacks. */
export function applyCardTopUpVoid(draft: Draft, record: RecordOf<'cardTopUpVoid'>, context: ApplyContext): Outcome {
  const { amountMinor, currency, terminalId } = record;
  const original = draft.get('sale', record.original);
  if (!original) return refused(draft.get('record', record.original) ? 'original.notVoidable' : 'original.unknown');
  if (!isSameMerchant(draft, original, terminalId)) return refused('original.unknown');
  if (original.kind !== 'cardTopUp') return refused('original.notVoidable', `a ${original.kind}`);
  const card = present(draft, record, currency, context);
  if (!card.ok) return card.outcome;
  if (original.couponId !== card.coupon.id) return refused('original.unknown', 'not a top-up of this card');
  const isUnread = follow(draft, card.coupon, card.seen, { record, context });
  if (isUnread) return isUnread;
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const onCardMinor = card.seen.record.balanceMinor;
  const balances = couponBalances(draft, coupon, onCardMinor);
  if (coupon.currency !== currency) return refused('coupon.noTopUp', 'another currency', balances);
  const problem = problemOf(coupon, card.seen, context.nowMs);
  if (problem) return refused(problem, '', balances);
  if (amountMinor !== original.coveredMinor)
    return refused('refund.tooLarge', `the top-up was of ${original.coveredMinor} minor units`, balances);
  const known = draft.get('sale', record.original) ?? original;
  if (!isVoidable(known, terminalId)) return refused('original.notVoidable', whyNotVoidable(known), balances);
  const lackingMinor = amountMinor - onCardMinor - dueOf(draft, coupon) - comesDue(draft, known);
  if (lackingMinor > 0) return refused('coupon.topUpSpent', `${lackingMinor} minor units are spent`, balances);
  const topUp = asPaidIn(draft, known);
  draft.put('sale', { ...topUp, state: 'accepted', refundedMinor: topUp.totalMinor });
  const due = dueOf(draft, coupon);
  const takenMinor = Math.min(onCardMinor, amountMinor);
  draft.post('topUpVoid', [move(cardMirror(coupon.id, currency), cardReserved(coupon.id, currency), takenMinor)]);
  draft.put('coupon', { ...coupon, pendingSale: record.transactionId });
  draft.put('sale', {
    ...newSale(record, { currency, totalMinor: amountMinor }, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: takenMinor,
    correctionMinor: due,
    originalId: topUp.id,
    originalRefundMinor: amountMinor,
    cardCounter: card.seen.record.counter + 1,
    state: 'reserved',
  });
  const afterMinor = onCardMinor + due - amountMinor;
  return accepted(couponBalances(draft, coupon, afterMinor), {
    coveredMinor: amountMinor,
    write: nextWrite(card.seen, { balanceMinor: afterMinor, kind: 'debit', amountMinor }, record, context),
    notices: due > 0 ? ['card.correction'] : [],
  });
}
