/**
 * Card-held coupons: debits and credits that the host authenticates, and debits that a site key wrote offline.
 * Pure. What the card's record tells is followed first (card-state.ts), also where the request is then refused.
 */

import {
  type CardRecord,
  decodeCardRecord,
  encodeCardRecord,
  type LastKind,
  verifyCardRecord,
} from '../../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import { equalBytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { type CardWrite, type RecordOf, transactionIdBytes } from '../../protocol/record.js';
import { cardCorrection, cardMirror, cardReserved } from './accounts.js';
import { accepted, couponBalances, later, type Outcome, refused } from './answer.js';
import {
  acceptCard,
  type CardKind,
  cardKeyIdOf,
  isSeenWritten,
  learn,
  markWrittenBehind,
  observe,
  planCard,
  planCardAccounts,
  readCard,
  type SeenCard,
  undoCardDebit,
} from './card-state.js';
import { eligibleMinor, planBill, priceBill } from './catalogue.js';
import { couponNumber } from './codes.js';
import type { ApplyContext, Openers } from './context.js';
import { identify, planCredential } from './credential.js';
import type { Draft } from './draft.js';
import type { Collector } from './facts.js';
import { couponIsHere } from './membership.js';
import { balanceOf, move } from './posting.js';
import { undoneTarget } from './refund-share.js';
import { newSale } from './sale.js';
import type { Row } from './tables.js';
import { untoldWaitMs } from './waiting.js';

export type Card =
  | { readonly ok: true; readonly coupon: Row<'coupon'>; readonly seen: SeenCard }
  | { readonly ok: false; readonly outcome: Outcome };
const no = (outcome: Outcome): Card => ({ ok: false, outcome });

export const planDebit = (need: Collector, record: RecordOf<'cardDebit'>, context: Openers): void => {
  planBill(need, record.bill);
  planCredential(need, record.credential, context);
  planCard(need, record);
};

export function planCredit(need: Collector, record: RecordOf<'cardCredit'>, context: Openers): void {
  planCredential(need, record.credential, context);
  planCard(need, record);
  const original = need.get('sale', record.original);
  if (original?.couponId && original.kind === 'cardDebit')
    planCardAccounts(need, original.couponId, original.currency, original.terminalId);
}

/** The coupon on the card that proved, and its current record, genuine and of this coupon. */
export function present(draft: Draft, record: CardKind, currency: string, context: ApplyContext): Card {
  if (record.credential.method !== 'tap') return no(refused('credential.tooWeak', 'a card-held coupon needs its card'));
  const who = identify(draft, record, record.credential, context, currency);
  if (!who.ok) return no(refused(who.code));
  const cardKeyId = cardKeyIdOf(record);
  const coupon = cardKeyId === null ? undefined : draft.find('coupon', 'cardKeyId', cardKeyId)[0];
  if (!coupon || cardKeyId === null || !couponIsHere(draft, record.terminalId, coupon))
    return no(refused('coupon.unknown'));
  if (record.credential.key === 'member' && coupon.memberId !== who.identity.memberId)
    return no(refused('coupon.unknown'));
  if (coupon.holder !== 'card') return no(refused('coupon.wrongHolder'));
  const seen = readCard(record.slots, cardKeyId, context);
  if (!seen || seen.record.couponNumber !== couponNumber(coupon.id) || seen.record.currency !== coupon.currency)
    return no(refused('card.recordInvalid', 'neither slot holds a genuine record of this coupon'));
  return { ok: true, coupon, seen };
}

/**
 * More on the card than the books know: a host that was restored lacks a credit which another box is still to send. The
 * record waits for that, unless its box waits for an answer, or it has been too long.
 */
function awaitsCredit(draft: Draft, { currency, id }: Row<'coupon'>, seen: SeenCard, by: Following): boolean {
  const isRecent = !by.record.clockDoubtful && Math.abs(by.context.nowMs - by.record.atWallMs) < untoldWaitMs;
  return !by.context.asked && isRecent && seen.record.balanceMinor > balanceOf(draft, cardMirror(id, currency));
}

interface Following {
  readonly record: CardKind;
  readonly context: ApplyContext;
}

/** Follows the card's record; a record that cannot be explained is refused and alarmed, or waits. null: followed. */
export function follow(draft: Draft, coupon: Row<'coupon'>, seen: SeenCard, by: Following): Outcome | null {
  const { terminalId } = by.record;
  const followed = observe(draft, coupon, seen);
  learn(draft, coupon, seen);
  if (followed === 'followed') return null;
  if (followed === 'invalid' && awaitsCredit(draft, coupon, seen, by)) return later('host.busy');
  const code = followed === 'stale' ? 'card.recordStale' : 'card.recordInvalid';
  const detail = `counter ${seen.record.counter}, known ${coupon.cardCounter}`;
  draft.alarm(code, terminalId, `${coupon.id}/${seen.record.counter}`, detail);
  return refused(code, detail);
}

/** The next record of this card, for the slot that is not current. */
export function nextWrite(
  seen: SeenCard,
  change: { readonly balanceMinor: number; readonly kind: LastKind; readonly amountMinor: number },
  record: CardKind,
  context: ApplyContext,
): CardWrite {
  const next: CardRecord = {
    ...seen.record,
    counter: seen.record.counter + 1,
    balanceMinor: change.balanceMinor,
    lastTransactionId: transactionIdBytes(record.transactionId),
    lastTerminal: hex(record.terminalId.slice(2)),
    lastKind: change.kind,
    lastAmountMinor: change.amountMinor,
  };
  const key = recordKey(context.crypto, context.siteKey, seen.record.cardKeyId);
  return { slot: seen.slot === 0 ? 1 : 0, record: toHex(encodeCardRecord(context.crypto, key, next)) };
}

/** Debits a card: online by a write that is answered, offline by the write that a site key has made. */
export function applyDebit(draft: Draft, record: RecordOf<'cardDebit'>, context: ApplyContext): Outcome {
  const card = present(draft, record, record.bill.currency, context);
  if (!card.ok) return card.outcome;
  return record.write === null
    ? debitOnline(draft, record, card, context)
    : debitBySiteKey(draft, record, card, record.write, context);
}

function debitOnline(
  draft: Draft,
  record: RecordOf<'cardDebit'>,
  card: Extract<Card, { ok: true }>,
  context: ApplyContext,
): Outcome {
  const { seen } = card;
  const problem = follow(draft, card.coupon, seen, { record, context });
  if (problem) return problem;
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const balances = couponBalances(draft, coupon, seen.record.balanceMinor);
  if (coupon.state === 'blocked') return refused('credential.blocked', '', balances);
  if (coupon.currency !== record.bill.currency) return refused('coupon.notForProduct', '', balances);
  const expiresAtMs = seen.record.expiresAtSeconds * 1000;
  if (expiresAtMs !== 0 && context.nowMs > expiresAtMs) return refused('coupon.expired', '', balances);
  const bill = priceBill(draft, record.bill, record.atWallMs, record.clockDoubtful, context);
  if (!bill.ok) return refused(bill.code, bill.detail, balances);
  const priceMinor = Math.min(eligibleMinor(coupon, bill), record.amountMinor, record.bill.totalMinor);
  if (priceMinor === 0) return refused('coupon.notForProduct', '', balances);
  const onCardMinor = seen.record.balanceMinor;
  const mayPart = record.partial && context.rules?.couponPartial === true && onCardMinor > 0;
  if (onCardMinor < priceMinor && !mayPart) return refused('coupon.balanceTooLow', '', balances);
  const amountMinor = Math.min(onCardMinor, priceMinor);
  const correctionMinor = balanceOf(draft, cardCorrection(coupon.id, coupon.currency));
  const afterMinor = onCardMinor - amountMinor + correctionMinor;
  draft.post('coupon', [
    move(cardMirror(coupon.id, coupon.currency), cardReserved(coupon.id, coupon.currency), amountMinor),
  ]);
  draft.put('coupon', { ...coupon, pendingSale: record.transactionId });
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: amountMinor,
    correctionMinor,
    cardCounter: seen.record.counter + 1,
    state: 'reserved',
  });
  return accepted(couponBalances(draft, coupon, afterMinor), {
    coveredMinor: amountMinor,
    write: nextWrite(seen, { balanceMinor: afterMinor, kind: 'debit', amountMinor }, record, context),
    notices: [...(bill.recomputed ? ['price.recomputed'] : []), ...(correctionMinor > 0 ? ['card.correction'] : [])],
  });
}

/** The debit a site key wrote, in minor units; null where the write does not follow from the slots and this record. */
function siteDebit(
  record: RecordOf<'cardDebit'>,
  seen: SeenCard,
  write: CardWrite,
  context: ApplyContext,
): number | null {
  const slot = hex(write.record);
  const { cardKeyId } = seen.record;
  const key = recordKey(context.crypto, context.siteKey, cardKeyId);
  const next = decodeCardRecord(slot);
  if (!next.ok || !verifyCardRecord(context.crypto, key, cardKeyId, slot) || write.slot === seen.slot) return null;
  const debit = seen.record.balanceMinor - next.value.balanceMinor;
  const follows =
    next.value.counter === seen.record.counter + 1 &&
    next.value.couponNumber === seen.record.couponNumber &&
    next.value.currency === seen.record.currency &&
    next.value.lastKind === 'debit' &&
    next.value.lastAmountMinor === debit &&
    equalBytes(next.value.lastTransactionId, transactionIdBytes(record.transactionId)) &&
    equalBytes(next.value.lastTerminal, hex(record.terminalId.slice(2)));
  return follows && debit >= 1 && debit <= record.amountMinor && debit <= record.bill.totalMinor ? debit : null;
}

/**
 * The box has decided: the debit is held like one that the host authenticated, until the box says how it ended. Where the
 * card is known to have gone on since, nothing is held: what was seen to have left it, or the merchant, pays on completion.
 */
function debitBySiteKey(
  draft: Draft,
  record: RecordOf<'cardDebit'>,
  card: Extract<Card, { ok: true }>,
  write: CardWrite,
  context: ApplyContext,
): Outcome {
  const { coupon, seen } = card;
  const amountMinor = siteDebit(record, seen, write, context);
  if (amountMinor === null || coupon.currency !== record.bill.currency) {
    draft.alarm(
      'card.recordInvalid',
      record.terminalId,
      record.transactionId,
      'a write by a site key does not follow from its slots',
    );
    return refused('card.recordInvalid', 'the write does not follow from the slots');
  }
  const followed = observe(draft, coupon, seen);
  learn(draft, coupon, seen);
  const sale: Row<'sale'> = {
    ...newSale(record, record.bill, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: amountMinor,
    cardCounter: seen.record.counter + 1,
    state: 'timedOut',
  };
  const now = draft.get('coupon', coupon.id) ?? coupon;
  if (followed === 'followed') {
    draft.post('coupon', [
      move(cardMirror(coupon.id, coupon.currency), cardReserved(coupon.id, coupon.currency), amountMinor),
    ]);
    draft.put('coupon', { ...now, pendingSale: record.transactionId });
    draft.put('sale', { ...sale, state: 'reserved' });
  } else {
    draft.put('sale', isSeenWritten(draft, sale) ? markWrittenBehind(draft, sale) : sale);
  }
  const onCardMinor = followed === 'followed' ? seen.record.balanceMinor - amountMinor : null;
  return accepted(couponBalances(draft, coupon, onCardMinor), {
    coveredMinor: amountMinor,
    notices: followed === 'followed' ? [] : ['coupon.late'],
  });
}

/** The credit in the air that this one repeats: the box lost the card at it, and its clerk tries once more. */
function repeatedCredit(draft: Draft, coupon: Row<'coupon'>, record: RecordOf<'cardCredit'>): Row<'sale'> | undefined {
  const pending = coupon.pendingSale === null ? undefined : draft.get('sale', coupon.pendingSale);
  return pending?.originalId === record.original && pending.originalRefundMinor === record.amountMinor
    ? pending
    : undefined;
}

/**
 * Gives back to the card: refunds `amountMinor` of the original's total (its covered share), or, where that was voided or
 * refunded before, pays out what is due. The write takes along all that is due to this card.
 */
export function applyCredit(draft: Draft, record: RecordOf<'cardCredit'>, context: ApplyContext): Outcome {
  const original = draft.get('sale', record.original);
  if (!original) return refused('original.unknown');
  const card = present(draft, record, original.currency, context);
  if (!card.ok) return card.outcome;
  if (original.kind !== 'cardDebit' || original.couponId !== card.coupon.id)
    return refused('original.unknown', 'not a sale on this card');
  const earlier = repeatedCredit(draft, card.coupon, record);
  const problem = follow(draft, card.coupon, card.seen, { record, context });
  if (problem) return problem;
  if (earlier && draft.get('sale', earlier.id)?.cardWritten === 1)
    return refused(
      'refund.tooLarge',
      'the card holds this refund already',
      couponBalances(draft, card.coupon, card.seen.record.balanceMinor),
    );
  // Following the card may have told the original's own end; a box that gives back has accepted it before.
  const known = draft.get('sale', record.original) ?? original;
  const sale = known.state === 'reserved' && known.cardWritten === 1 ? acceptCard(draft, known).sale : known;
  const coupon = draft.get('coupon', card.coupon.id) ?? card.coupon;
  const onCardMinor = card.seen.record.balanceMinor;
  const refundedMinor = sale.refundedMinor + record.amountMinor;
  const isPayout = earlier?.state === 'pending';
  const isRefund = !isPayout && sale.state === 'accepted' && refundedMinor <= sale.totalMinor;
  const undone = isRefund ? undoneTarget(draft, sale, refundedMinor) : sale.undone;
  const due = balanceOf(draft, cardCorrection(coupon.id, coupon.currency)) + undone - sale.undone;
  if (due === 0)
    return refused(
      sale.state === 'accepted' ? 'refund.tooLarge' : 'original.notVoidable',
      '',
      couponBalances(draft, coupon, onCardMinor),
    );
  const back = undoCardDebit(draft, sale, undone - sale.undone, 'refund');
  draft.put('sale', isRefund ? { ...back, refundedMinor, undone } : sale);
  const afterMinor = onCardMinor + due;
  draft.put('coupon', { ...coupon, pendingSale: record.transactionId });
  draft.put('sale', {
    ...newSale(record, { currency: coupon.currency, totalMinor: record.amountMinor }, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    correctionMinor: due,
    originalId: sale.id,
    originalRefundMinor: isRefund ? record.amountMinor : 0,
    cardCounter: card.seen.record.counter + 1,
    state: 'reserved',
  });
  return accepted(couponBalances(draft, coupon, afterMinor), {
    coveredMinor: due,
    write: nextWrite(card.seen, { balanceMinor: afterMinor, kind: 'credit', amountMinor: due }, record, context),
  });
}
