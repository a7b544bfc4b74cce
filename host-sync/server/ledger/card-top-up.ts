/**
 * Top-ups of card-held coupons: money paid in at a terminal and written to the card, and their void, which takes the whole
 * from the card again. Pure. The money is due to the card from the host's word on, and goes there with the write that is
 * answered, or with a later one; a top-up whose box lost the card therefore stands, and no other write can carry it twice.
 */
import { isStrongEnough } from '../../protocol/assurance.js';
import type { RecordOf } from '../../protocol/record.js';
import type { RefusalCode } from '../../protocol/sync.js';
import { cardCorrection, cardMirror, cardReserved } from './accounts.js';
import { accepted, couponBalances, type Outcome, refused } from './answer.js';
import { type Card, follow, nextWrite, present } from './card.js';
import { fundTopUp } from './card-kinds.js';
import {
  acceptCard,
  isSeenWritten,
  markWrittenBehind,
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
  currency: string,
  nowMs: number,
): RefusalCode | null {
  if (coupon.state === 'blocked') return 'credential.blocked';
  if (coupon.currency !== currency) return 'coupon.noTopUp';
  return expiresAtSeconds !== 0 && nowMs > expiresAtSeconds * 1000 ? 'coupon.expired' : null;
}

/** Pays in for the coupon on the card: what is paid in is due to it at once, and its write takes along all that is due. */
export function applyCardTopUp(draft: Draft, record: RecordOf<'cardTopUp'>, context: ApplyContext): Outcome {
  const { amountMinor, currency, terminalId } = record;
  if (!isStrongEnough('topUpCard', record.credential, 'online'))
    return refused('credential.tooWeak', 'a card is topped up with the card');
  const size = sizeProblem(amountMinor, context.policy);
  if (size) return size;
  const card = present(draft, record, currency, context);
  if (!card.ok) return card.outcome;
  const isUnread = follow(draft, card.coupon, card.seen, terminalId);
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const onCardMinor = card.seen.record.balanceMinor;
  const balances = couponBalances(draft, coupon, onCardMinor);
  const problem = problemOf(coupon, card.seen, currency, context.nowMs);
  if (problem) return refused(problem, '', balances);
  if (isUnread) return isPassedBy(isUnread, context) ? payInLater(draft, record, card) : isUnread;
  const held = balanceProblem(onCardMinor + dueOf(draft, coupon), amountMinor, context.policy);
  if (held) return held;
  const sale = payIn(draft, record, card);
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

/** The card has gone on since, and nobody waits for a write: the box lost it at this top-up, or will reverse it. */
const isPassedBy = (isUnread: Outcome, { asked }: ApplyContext): boolean =>
  !asked && isUnread.outcome === 'refused' && isUnread.code === 'card.recordStale';

function payIn(draft: Draft, record: RecordOf<'cardTopUp'>, { coupon, seen }: Present): Row<'sale'> {
  const { amountMinor, currency } = record;
  const unpaid: Row<'sale'> = {
    ...newSale(record, { currency, totalMinor: amountMinor }, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: amountMinor,
    correctionMinor: amountMinor,
    undone: amountMinor,
    cardCounter: seen.record.counter + 1,
  };
  return fundTopUp(draft, unpaid);
}

/** Due at the card's next visit, unless a host that went back is told of a write that it had authorised. */
function payInLater(draft: Draft, record: RecordOf<'cardTopUp'>, card: Present): Outcome {
  const sale = payIn(draft, record, card);
  draft.put('sale', isSeenWritten(draft, sale) ? markWrittenBehind(draft, sale) : sale);
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
  return topUp.state === 'timedOut' ? fundTopUp(draft, topUp) : acceptCard(draft, topUp).sale;
}

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
  const isUnread = follow(draft, card.coupon, card.seen, terminalId);
  if (isUnread) return isUnread;
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const onCardMinor = card.seen.record.balanceMinor;
  const balances = couponBalances(draft, coupon, onCardMinor);
  const problem = problemOf(coupon, card.seen, currency, context.nowMs);
  if (problem) return refused(problem, '', balances);
  if (amountMinor !== original.coveredMinor)
    return refused('refund.tooLarge', `the top-up was of ${original.coveredMinor} minor units`, balances);
  const known = draft.get('sale', record.original) ?? original;
  if (!isVoidable(known, terminalId))
    return refused('original.notVoidable', known.refundedMinor > 0 ? 'it is being voided' : known.state, balances);
  // Of one that seemed not to reach the card the amount is due again with its void.
  const lackingMinor = amountMinor - onCardMinor - dueOf(draft, coupon) - known.undone;
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
