/**
 * What the host knows of a card-held coupon: its mirror, the one write that is in the air, and what a seen record tells.
 * Pure. The card is the truth about its balance; this file only follows it, and gives back what it took for nothing.
 */

import {
  type CardRecord,
  currentSlot,
  decodeCardRecord,
  verifyCardRecord,
} from '../../../drivers/protocols/member/card-record.js';
import { recordBytes } from '../../../drivers/protocols/member/layout.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { type RecordOf, transactionIdFromBytes } from '../../protocol/record.js';
import {
  cardAhead,
  cardCorrection,
  cardMirror,
  cardReserved,
  couponRedeemed,
  riskBorne,
  topUpPaidBack,
  topUpTaken,
} from './accounts.js';
import { beginDoubt, confirmDoubt, counterKey, isDoubted, isInDoubt, planDoubt, refuteDoubt } from './card-doubt.js';
import {
  fundTopUp,
  holdAgain,
  isCardCredit,
  isCardDebit,
  returnTopUp,
  settleOriginal,
  standAgain,
  takenInto,
  takenOnArrival,
  unfundTopUp,
} from './card-kinds.js';
import type { ApplyContext } from './context.js';
import { giveBack } from './coupon.js';
import type { Draft } from './draft.js';
import type { Collector } from './facts.js';
import { balanceOf, move } from './posting.js';
import { undoneTarget } from './refund-share.js';
import type { Row } from './tables.js';

/** Records that write a card. */
export type CardKind = RecordOf<'cardDebit' | 'cardCredit' | 'cardTopUp' | 'cardTopUpVoid'>;

const slotsOf = (slots: string): readonly [Bytes, Bytes] => {
  const both = hex(slots);
  return [both.subarray(0, recordBytes), both.subarray(recordBytes)];
};

/** The card a record speaks of, in hex: the one that proved, else the one its slots name; null where neither can be read. */
export function cardKeyIdOf(record: CardKind): string | null {
  if (record.credential.method === 'tap' && record.credential.key === 'card') return record.credential.keyId;
  for (const slot of slotsOf(record.slots)) {
    const read = decodeCardRecord(slot);
    if (read.ok) return toHex(read.value.cardKeyId);
  }
  return null;
}

/** States the accounts that a sale on this card moves through. */
export function planCardAccounts(need: Collector, couponId: string, currency: string, terminalId: string): void {
  const accounts = [cardMirror, cardReserved, cardAhead, cardCorrection].map((account) => account(couponId, currency));
  const books = [couponRedeemed, topUpTaken, topUpPaidBack].map((account) => account(terminalId, currency));
  for (const account of [...accounts, ...books, riskBorne(currency)]) need.get('account', account.id);
}

/** States the coupon on this card, the write in the air and what the slots say was written last. */
export function planCard(need: Collector, record: CardKind): void {
  const cardKeyId = cardKeyIdOf(record);
  if (cardKeyId === null) return;
  const coupon = need.find('coupon', 'cardKeyId', cardKeyId)[0];
  if (!coupon) return;
  if (coupon.memberId !== null) need.get('member', coupon.memberId);
  planCardAccounts(need, coupon.id, coupon.currency, record.terminalId);
  const writers = slotsOf(record.slots).flatMap((slot) => {
    const read = decodeCardRecord(slot);
    if (!read.ok) return [];
    const { counter, lastTransactionId } = read.value;
    const around = [counter, counter + 1];
    for (const each of around) need.get('cardWriter', counterKey(coupon.id, each));
    const doubtful = around.flatMap((each) => planDoubt(need, coupon.id, each) ?? []);
    return [transactionIdFromBytes(lastTransactionId) as string, ...doubtful];
  });
  for (const id of writers) planWrite(need, coupon, id);
  planPendingWrite(need, coupon);
}

/** States what settling the write that is in the air reads. */
export function planPendingWrite(need: Collector, coupon: Row<'coupon'>): void {
  if (coupon.pendingSale !== null) planWrite(need, coupon, coupon.pendingSale);
}

/** States who wrote this counter, as far as that is known, and what settling a doubt about it reads. */
export function planWriter(need: Collector, coupon: Row<'coupon'>, counter: number): void {
  need.get('cardWriter', counterKey(coupon.id, counter));
  const doubted = planDoubt(need, coupon.id, counter);
  if (doubted !== undefined) planWrite(need, coupon, doubted);
}

function planWrite(need: Collector, coupon: Row<'coupon'>, saleId: string): void {
  const sale = need.get('sale', saleId);
  if (sale?.couponId === coupon.id) planDoubt(need, coupon.id, sale.cardCounter ?? 0);
  if (sale) planCardAccounts(need, coupon.id, coupon.currency, sale.terminalId);
  const original = sale?.originalId ? need.get('sale', sale.originalId) : undefined;
  if (original) planCardAccounts(need, coupon.id, coupon.currency, original.terminalId);
}

export interface SeenCard {
  readonly slot: 0 | 1;
  readonly record: CardRecord;
  /** What the other slot holds, where it is whole. */
  readonly other: CardRecord | null;
}

/** The card's current record; null where neither slot is whole and genuine. */
export function readCard(slots: string, cardKeyId: string, context: ApplyContext): SeenCard | null {
  const key = recordKey(context.crypto, context.siteKey, hex(cardKeyId));
  const isWhole = (slot: Bytes): boolean => verifyCardRecord(context.crypto, key, hex(cardKeyId), slot);
  const both = slotsOf(slots);
  const current = currentSlot(both, isWhole);
  if (!current) return null;
  const other = decodeCardRecord(both[current.slot === 0 ? 1 : 0]);
  return { ...current, other: other.ok && isWhole(both[current.slot === 0 ? 1 : 0]) ? other.value : null };
}

const update = (draft: Draft, couponId: string, change: Partial<Row<'coupon'>>): void => {
  const coupon = draft.get('coupon', couponId);
  if (coupon) draft.put('coupon', { ...coupon, ...change });
};
const advance = (draft: Draft, sale: Row<'sale'>): void => {
  const coupon = draft.get('coupon', sale.couponId ?? '');
  if (!coupon) return;
  update(draft, coupon.id, {
    cardCounter: Math.max(coupon.cardCounter, sale.cardCounter ?? 0),
    pendingSale: coupon.pendingSale === sale.id ? null : coupon.pendingSale,
  });
};

/** What was due has gone to the card with this sale's write. @returns what was not due any more: borne by the merchant */
function payCorrection(draft: Draft, sale: Row<'sale'>, into = cardMirror): number {
  const couponId = sale.couponId ?? '';
  const to = into(couponId, sale.currency);
  const due = cardCorrection(couponId, sale.currency);
  const unpaid = sale.correctionMinor - confirmDoubt(draft, sale);
  const paid = Math.min(balanceOf(draft, due), unpaid);
  const borneMinor = unpaid - paid;
  draft.post('cardWritten', [move(due, to, paid), move(riskBorne(sale.currency), to, borneMinor)]);
  return borneMinor;
}

/** The write of this sale is on the card. What the box says, or has said, decides what that is worth. */
function markWritten(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const mirror = cardMirror(couponId, sale.currency);
  const reserved = cardReserved(couponId, sale.currency);
  const due = cardCorrection(couponId, sale.currency);
  advance(draft, sale);
  const given = giveAgain(draft, sale);
  const paid: Row<'sale'> = { ...given, cardWritten: 1, riskMinor: given.riskMinor + payCorrection(draft, sale) };
  if (isCardCredit(sale)) return { ...paid, state: sale.state === 'pending' ? 'accepted' : sale.state };
  const arrived = takenOnArrival(sale);
  const written = { ...paid, coveredMinor: sale.coveredMinor + arrived };
  if (isHeld(sale)) draft.post('cardWritten', [move(mirror, reserved, arrived)]);
  switch (sale.state) {
    case 'pending':
      draft.post('cardCorrection', [move(reserved, due, written.coveredMinor)]);
      return { ...written, state: 'reversed' };
    case 'reversed':
      draft.post('cardCorrection', [move(mirror, due, written.coveredMinor)]);
      return written;
    case 'timedOut':
      holdAgain(draft, sale);
      draft.post('cardWritten', [move(mirror, reserved, written.coveredMinor)]);
      return { ...written, state: 'reserved' };
    default:
      return written;
  }
}

/** The write of this sale is not on the card: what was held for it stands on the card still. */
export function markNotWritten(draft: Draft, sale: Row<'sale'>, cause: string): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const coupon = draft.get('coupon', couponId);
  if (coupon?.pendingSale === sale.id) update(draft, couponId, { pendingSale: null });
  if (isCardDebit(sale))
    draft.post(cause, [
      move(cardReserved(couponId, sale.currency), cardMirror(couponId, sale.currency), sale.coveredMinor),
    ]);
  standAgain(draft, sale);
  const isLost = sale.state === 'pending';
  // The box has not said yet that it lost the card: as far as its clerk knows, nothing was refunded or paid in.
  if (sale.kind === 'cardCredit' && !isLost) takeRefundBack(draft, sale);
  if (sale.kind !== 'cardTopUp') return { ...sale, state: isLost ? 'reversed' : 'timedOut' };
  return isLost ? { ...sale, state: 'accepted' } : { ...unfundTopUp(draft, sale, cause), state: 'timedOut' };
}

const isHeld = (sale: Row<'sale'>): boolean => sale.state === 'reserved' || sale.state === 'pending';

/** What the card must show if the write of `sale` is on it, by the books. */
function expectedWritten(mirrorMinor: number, sale: Row<'sale'>): number {
  const debited = isCardDebit(sale) && !isHeld(sale) ? sale.coveredMinor : 0;
  return mirrorMinor - debited - takenOnArrival(sale) + sale.correctionMinor;
}

/**
 * Follows what a genuine record of the card tells: the write in the air was made or not, or boxes with a site key have
 * written meanwhile, whose records will come. @returns stale: older than known; invalid: the balance cannot be explained
 */
export function observe(draft: Draft, coupon: Row<'coupon'>, seen: SeenCard): 'followed' | 'stale' | 'invalid' {
  const { counter, balanceMinor } = seen.record;
  const mirror = cardMirror(coupon.id, coupon.currency);
  const mirrorMinor = balanceOf(draft, mirror);
  if (counter < coupon.cardCounter) return 'stale';
  const ofCard = (record: CardRecord | null): Row<'sale'> | undefined => {
    const sale = record ? draft.get('sale', transactionIdFromBytes(record.lastTransactionId)) : undefined;
    return sale?.couponId === coupon.id && sale.cardWritten === 0 && sale.cardCounter === record?.counter
      ? sale
      : undefined;
  };
  const pending = coupon.pendingSale === null ? undefined : draft.get('sale', coupon.pendingSale);
  const heldMinor = pending && isCardDebit(pending) ? pending.coveredMinor : 0;
  if (counter === coupon.cardCounter) {
    const moreMinor = balanceMinor - mirrorMinor - heldMinor;
    // A host that was restored knows what is due, and not that the write it is told of had taken it along already.
    const due = cardCorrection(coupon.id, coupon.currency);
    const isPaidOut = !pending && moreMinor > 0 && moreMinor <= balanceOf(draft, due);
    if (moreMinor !== 0 && !isPaidOut) return 'invalid';
    draft.post('cardWritten', [move(due, mirror, moreMinor)]);
    if (pending) draft.put('sale', markNotWritten(draft, pending, 'cardNotWritten'));
    return 'followed';
  }
  const isOpen = pending !== undefined && isInDoubt(pending, [seen.record, seen.other]);
  // More than it held before the write: only the correction that the write took along explains it.
  const proven = isOpen && balanceMinor > mirrorMinor + heldMinor ? pending : undefined;
  const writer = ofCard(seen.record) ?? ofCard(seen.other) ?? proven;
  const released = pending && pending.id !== writer?.id ? heldMinor : 0;
  const expectedMinor = (writer ? expectedWritten(mirrorMinor, writer) : mirrorMinor) + released;
  const aheadMinor = expectedMinor - balanceMinor;
  const explained =
    counter === writer?.cardCounter && counter === coupon.cardCounter + 1 ? aheadMinor === 0 : aheadMinor >= 0;
  if (!explained) return 'invalid';
  if (pending && pending.id !== writer?.id) draft.put('sale', leaveBehind(draft, pending, isOpen));
  if (writer) draft.put('sale', markWritten(draft, writer));
  draft.post('cardAhead', [move(mirror, cardAhead(coupon.id, coupon.currency), aheadMinor)]);
  update(draft, coupon.id, { cardCounter: counter });
  return 'followed';
}

/** The card went on past the write in the air: it was not made, or nobody can tell yet (`isOpen`). */
function leaveBehind(draft: Draft, pending: Row<'sale'>, isOpen: boolean): Row<'sale'> {
  if (!isOpen) return markNotWritten(draft, pending, 'cardNotWritten');
  beginDoubt(draft, pending);
  if (isCardDebit(pending)) {
    const left = markNotWritten(draft, pending, 'cardNotWritten');
    // Its box may have paid the money back: no other void may, until this one is known not to be made.
    if (pending.state === 'reserved') holdAgain(draft, pending);
    return left;
  }
  // What is given stands until it is known that its write was not made: else another box could pay it a second time.
  update(draft, pending.couponId ?? '', { pendingSale: null });
  return pending;
}

/** The write was not made; a void that held its top-up for it does so no more. */
function refuteVoid(draft: Draft, sale: Row<'sale'>): void {
  const wasDoubted = refuteDoubt(draft, sale);
  if (wasDoubted && sale.kind === 'cardTopUpVoid' && sale.state === 'timedOut') settleOriginal(draft, sale, false);
}

/** Somebody else wrote the counter of a write in doubt: it was not made. */
function settleDoubt(draft: Draft, couponId: string, counter: number, writer: string): void {
  const doubt = draft.get('cardDoubt', counterKey(couponId, counter));
  const sale = doubt && doubt.saleId !== writer ? draft.get('sale', doubt.saleId) : undefined;
  if (!sale) return;
  refuteVoid(draft, sale);
  if (isCardCredit(sale) && isHeld(sale)) draft.put('sale', markNotWritten(draft, sale, 'cardNotWritten'));
}

/** Keeps who wrote this counter; whose write was in doubt there did not. */
function noteWriter(draft: Draft, couponId: string, counter: number, transactionId: string): void {
  const id = counterKey(couponId, counter);
  if (!draft.get('cardWriter', id)) draft.put('cardWriter', { id, transactionId });
  settleDoubt(draft, couponId, counter, transactionId);
}

/**
 * Keeps who wrote the card's records, and settles sales whose write is seen only now, behind later ones: what they took
 * was counted as ahead. To be called with every genuine reading, old ones too.
 */
export function learn(draft: Draft, coupon: Row<'coupon'>, seen: SeenCard): void {
  for (const record of [seen.record, seen.other]) {
    if (!record || record.lastKind === 'issue') continue;
    const transactionId = transactionIdFromBytes(record.lastTransactionId);
    noteWriter(draft, coupon.id, record.counter, transactionId);
    const sale = draft.get('sale', transactionId);
    const known = draft.get('coupon', coupon.id) ?? coupon;
    if (sale?.couponId === coupon.id && sale.cardCounter === record.counter && record.counter <= known.cardCounter)
      if (sale.cardWritten === 0) draft.put('sale', markWrittenBehind(draft, sale));
  }
}

/** Has this sale's write been seen on the card, before the sale itself came? */
export const isSeenWritten = (draft: Draft, sale: Row<'sale'>): boolean =>
  draft.get('cardWriter', counterKey(sale.couponId ?? '', sale.cardCounter ?? 0))?.transactionId === sale.id;

/** The write of this sale is on the card, behind later ones that have been followed already. */
export function markWrittenBehind(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const ahead = cardAhead(couponId, sale.currency);
  const given = giveAgain(draft, sale);
  const borneMinor = payCorrection(draft, sale, cardAhead);
  const paid: Row<'sale'> = { ...given, cardWritten: 1, riskMinor: given.riskMinor + borneMinor };
  if (isCardCredit(sale)) return { ...paid, state: sale.state === 'pending' ? 'accepted' : sale.state };
  const arrived = takenOnArrival(sale);
  const written = { ...paid, coveredMinor: sale.coveredMinor + arrived };
  const reserved = cardReserved(couponId, sale.currency);
  const home =
    sale.state === 'reversed'
      ? cardCorrection(couponId, sale.currency)
      : sale.state === 'timedOut' || arrived > 0
        ? reserved
        : null;
  if (!home) return written;
  if (sale.state === 'timedOut') holdAgain(draft, sale);
  // What is held has left the mirror already; only what arrives with the write is still to be taken.
  const amountMinor = isHeld(sale) ? arrived : written.coveredMinor;
  const taken = Math.min(balanceOf(draft, ahead), amountMinor);
  draft.post('cardWritten', [move(ahead, home, taken), move(riskBorne(sale.currency), home, amountMinor - taken)]);
  const riskMinor = written.riskMinor + amountMinor - taken;
  return { ...written, riskMinor, state: sale.state === 'timedOut' ? 'reserved' : sale.state };
}

/**
 * Posts a debit that is late: from what was seen to have left the card where it has been followed past this write, else
 * from the mirror; what is not there is the merchant's risk.
 */
function postCardLate(draft: Draft, sale: Row<'sale'>, isBehind: boolean): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const to = takenInto(sale);
  const from = isBehind ? cardAhead(couponId, sale.currency) : cardMirror(couponId, sale.currency);
  const taken = Math.min(balanceOf(draft, from), sale.coveredMinor);
  const riskMinor = sale.coveredMinor - taken;
  draft.post('cardLate', [move(from, to, taken), move(riskBorne(sale.currency), to, riskMinor)]);
  advance(draft, sale);
  return { ...sale, state: 'accepted', cardWritten: 1, riskMinor: sale.riskMinor + riskMinor };
}

/**
 * One counter is written once: where a box confirms its write, another that is in the air at the same counter is not on the
 * card. It comes about where a reading older than this write was told later, and seemed to refute it.
 */
function displace(draft: Draft, sale: Row<'sale'>): void {
  const pendingId = draft.get('coupon', sale.couponId ?? '')?.pendingSale ?? sale.id;
  const pending = pendingId === sale.id ? undefined : draft.get('sale', pendingId);
  if (pending && pending.cardCounter === sale.cardCounter)
    draft.put('sale', markNotWritten(draft, pending, 'cardNotWritten'));
}

/** The box says the card took it. @returns the sale and notices */
export function acceptCard(
  draft: Draft,
  sale: Row<'sale'>,
): { readonly sale: Row<'sale'>; readonly notices: readonly string[] } {
  const couponId = sale.couponId ?? '';
  displace(draft, sale);
  noteWriter(draft, couponId, sale.cardCounter ?? 0, sale.id);
  // Where the card has been followed past this write, what it took was counted as ahead.
  const isBehind = isPassed(draft, sale);
  if (sale.kind === 'cardTopUpVoid') settleOriginal(draft, sale, true);
  if (sale.state === 'timedOut' && isCardDebit(sale)) return acceptLate(draft, sale, isBehind);
  const mark = isBehind ? markWrittenBehind : markWritten;
  const held = isCardCredit(sale) ? sale : { ...sale, state: 'reserved' as const };
  const written = sale.cardWritten ? sale : mark(draft, held);
  if (isCardDebit(sale))
    draft.post('coupon', [move(cardReserved(couponId, sale.currency), takenInto(sale), written.coveredMinor)]);
  return { sale: { ...written, state: 'accepted' }, notices: [] };
}

/** A debit that was thought not to be written, or that came behind later ones: taken from where it can be found. */
function acceptLate(draft: Draft, sale: Row<'sale'>, isBehind: boolean): ReturnType<typeof acceptCard> {
  const borneMinor = payCorrection(draft, sale, isBehind ? cardAhead : cardMirror);
  const coveredMinor = sale.coveredMinor + takenOnArrival(sale);
  const posted = postCardLate(draft, { ...sale, coveredMinor, riskMinor: sale.riskMinor + borneMinor }, isBehind);
  const isRisk = posted.riskMinor > 0;
  if (isRisk || !isBehind)
    draft.alarm(
      isRisk ? 'card.conflict' : 'card.contradiction',
      sale.terminalId,
      sale.id,
      isRisk
        ? `${posted.riskMinor} minor units that the card did not have by the books`
        : 'a debit was confirmed that the card did not show',
    );
  return { sale: posted, notices: isRisk ? ['coupon.late', 'coupon.risk'] : ['coupon.late'] };
}

/** Has the card been followed as far as this write, or past it? */
export const isPassed = (draft: Draft, { cardCounter, couponId }: Row<'sale'>): boolean =>
  (draft.get('coupon', couponId ?? '')?.cardCounter ?? 0) >= (cardCounter ?? 0);

/** Has the card gone on past this write, without anybody knowing who wrote its counter? It may be this one then. */
export function mayBeBehind(draft: Draft, sale: Row<'sale'>): boolean {
  const id = counterKey(sale.couponId ?? '', sale.cardCounter ?? 0);
  const isKnown = sale.cardWritten === 1 || draft.get('cardWriter', id) || draft.get('cardDoubt', id);
  return isPassed(draft, sale) && !isKnown;
}

/** The box lost the card at a write that seemed not to be made. What is given stands: it is due to the card, or on it by now. */
function loseRefuted(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  if (isCardCredit(sale) && sale.cardWritten === 1) return { ...sale, state: 'accepted' };
  if (sale.kind === 'cardTopUp') {
    const funded = fundTopUp(draft, sale);
    if (mayBeBehind(draft, sale)) beginDoubt(draft, sale);
    return { ...funded, state: 'accepted' };
  }
  if (sale.kind === 'cardTopUpVoid' && isDoubted(draft, sale)) settleOriginal(draft, sale, false);
  if (sale.kind === 'cardCredit') refundAgain(draft, sale);
  return { ...sale, state: 'reversed' };
}

/** The box lost the card and gave nothing for it: the card's next record tells; what it lost is due to it. */
export function loseCard(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const due = cardCorrection(couponId, sale.currency);
  if (sale.state === 'timedOut') return loseRefuted(draft, sale);
  if (sale.state === 'reserved') standAgain(draft, sale);
  if (sale.state === 'reserved' && sale.cardWritten === 0) return { ...sale, state: 'pending' };
  if (isCardCredit(sale) && sale.state !== 'voided') return { ...sale, state: 'accepted' };
  if (sale.state === 'reserved') {
    draft.post('cardCorrection', [move(cardReserved(couponId, sale.currency), due, sale.coveredMinor)]);
    return { ...sale, state: 'reversed' };
  }
  return sale;
}

/** Gives a posted debit back: due to the card at its next online write. `amount` minor units. */
export function undoCardDebit(draft: Draft, sale: Row<'sale'>, amount: number, cause: string): Row<'sale'> {
  const back = giveBack(sale, cardCorrection(sale.couponId ?? '', sale.currency), amount, takenInto(sale));
  draft.post(cause, back.movements);
  return { ...sale, riskMinor: back.riskMinor };
}

/** Undoes a debit or credit that got no final word, or whose write failed for certain. */
export function reverseCard(draft: Draft, sale: Row<'sale'>, isNotWritten: boolean): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  // The box reverses only what it has not written.
  refuteVoid(draft, sale);
  if (sale.kind === 'cardTopUp') return reverseTopUp(draft, sale);
  standAgain(draft, sale);
  if (sale.kind === 'cardCredit') {
    if (sale.cardWritten === 1) return { ...sale, state: 'accepted' };
    if (isHeld(sale)) markNotWritten(draft, { ...sale, state: 'reserved' }, 'reversal');
    return { ...sale, state: 'reversed' };
  }
  if (isHeld(sale)) {
    if (sale.cardWritten === 0) return { ...markNotWritten(draft, sale, 'reversal'), state: 'reversed' };
    draft.post('reversal', [
      move(cardReserved(couponId, sale.currency), cardCorrection(couponId, sale.currency), sale.coveredMinor),
    ]);
    return { ...sale, state: 'reversed' };
  }
  if (sale.state !== 'accepted') return { ...sale, state: 'reversed' };
  const coupon = draft.get('coupon', couponId);
  const amount = sale.coveredMinor - sale.undone;
  const undone = { ...sale, state: 'reversed' as const, undone: sale.coveredMinor };
  if (isNotWritten && coupon?.cardCounter === sale.cardCounter && sale.undone === 0) {
    const back = giveBack(sale, cardMirror(couponId, sale.currency), amount, takenInto(sale));
    draft.post('reversal', back.movements);
    update(draft, couponId, { cardCounter: (sale.cardCounter ?? 1) - 1 });
    return { ...undone, riskMinor: back.riskMinor, cardWritten: 0 };
  }
  return { ...undone, riskMinor: undoCardDebit(draft, sale, amount, 'reversal').riskMinor };
}

/** The money of a top-up is given back. What a box that was set back has written the card keeps, and the merchant bears. */
function reverseTopUp(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  const isOpen = isHeld(sale) && sale.cardWritten === 0;
  const now = isOpen ? markNotWritten(draft, { ...sale, state: 'reserved' }, 'reversal') : sale;
  return { ...returnTopUp(draft, now, 'reversal'), state: 'reversed' };
}

/** A credit that reached the card, or is due to it, after all: it gives again what had been taken back. @returns the sale */
function giveAgain(draft: Draft, sale: Row<'sale'>): Row<'sale'> {
  if (sale.state !== 'timedOut') return sale;
  if (sale.kind === 'cardTopUp') return fundTopUp(draft, sale);
  if (sale.kind === 'cardCredit') refundAgain(draft, sale);
  return sale;
}

/** A credit that did not reach the card undoes the refund that it made. */
function takeRefundBack(draft: Draft, credit: Row<'sale'>): void {
  const original = credit.originalId === null ? undefined : draft.get('sale', credit.originalId);
  if (!original || credit.originalRefundMinor === 0) return;
  const refundedMinor = original.refundedMinor - credit.originalRefundMinor;
  const undone = undoneTarget(draft, original, refundedMinor);
  const due = cardCorrection(credit.couponId ?? '', credit.currency);
  const amount = original.undone - undone;
  if (balanceOf(draft, due) < amount) return;
  draft.post('reversal', [move(due, couponRedeemed(original.terminalId, original.currency), amount)]);
  draft.put('sale', { ...original, refundedMinor, undone });
}

/** A credit that reached the card after all makes its refund again, as far as the sale still bears it. */
function refundAgain(draft: Draft, credit: Row<'sale'>): void {
  const original = credit.originalId === null ? undefined : draft.get('sale', credit.originalId);
  if (!original || credit.originalRefundMinor === 0) return;
  const refundedMinor = Math.min(original.refundedMinor + credit.originalRefundMinor, original.totalMinor);
  const undone = undoneTarget(draft, original, refundedMinor);
  const back = undoCardDebit(draft, original, undone - original.undone, 'refund');
  draft.put('sale', { ...back, refundedMinor, undone });
}
