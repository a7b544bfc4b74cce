/**
 * Kinds of sale that write a card: what takes from it and what gives to it, where their value comes from and goes to, and
 * the top-up that a void holds while it is open. Pure. Whether a write was made is card-state.ts's to find out.
 */
import { type Account, cardCorrection, couponRedeemed, riskBorne, topUpPaidBack, topUpTaken } from './accounts.js';
import type { Draft } from './draft.js';
import { balanceOf, move } from './posting.js';
import type { Row } from './tables.js';

type Sale = Row<'sale'>;

/** Gives to the card: a refund, or money that was paid in. */
export const isCardCredit = ({ kind }: Pick<Sale, 'kind'>): boolean => kind === 'cardCredit' || kind === 'cardTopUp';
/** Takes from the card: a purchase, or a top-up that is paid back. */
export const isCardDebit = ({ kind }: Pick<Sale, 'kind'>): boolean => kind === 'cardDebit' || kind === 'cardTopUpVoid';
export const isCardSale = (sale: Pick<Sale, 'kind'>): boolean => isCardCredit(sale) || isCardDebit(sale);

/** Where what a debit takes ends up, and is given back from. */
export const takenInto = ({ currency, kind, terminalId }: Sale): Account =>
  kind === 'cardTopUpVoid' ? topUpPaidBack(terminalId, currency) : couponRedeemed(terminalId, currency);

/**
 * What a void takes out of the correction that its own write brings to the card, minor units: of a top-up that has not
 * reached the card. Until the write is known to stand it stays due; then `coveredMinor` is the whole.
 */
export const takenOnArrival = ({ coveredMinor, kind, totalMinor }: Sale): number =>
  kind === 'cardTopUpVoid' ? totalMinor - coveredMinor : 0;

/** The top-up's money is due to the card once more. @returns the sale */
export function fundTopUp(draft: Draft, sale: Sale): Sale {
  const { couponId, currency, terminalId, undone } = sale;
  draft.post('topUp', [move(topUpTaken(terminalId, currency), cardCorrection(couponId ?? '', currency), undone)]);
  return { ...sale, undone: 0 };
}

/**
 * The top-up did not reach the card, and its box has not said that the money is in the drawer: it was not paid in. Where the
 * amount counts as gone to the card it stays so until that is known. @returns the sale
 */
export function unfundTopUp(draft: Draft, sale: Sale, cause: string): Sale {
  const { couponId, coveredMinor, currency, terminalId, undone } = sale;
  const due = cardCorrection(couponId ?? '', currency);
  if (balanceOf(draft, due) < coveredMinor - undone) return sale;
  draft.post(cause, [move(due, topUpTaken(terminalId, currency), coveredMinor - undone)]);
  return { ...sale, undone: coveredMinor };
}

/** Its box gives the money back, for good: what the card has by now, the merchant bears. @returns the sale */
export function returnTopUp(draft: Draft, sale: Sale, cause: string): Sale {
  const { couponId, coveredMinor, currency, terminalId, undone } = sale;
  const amount = coveredMinor - undone;
  const due = cardCorrection(couponId ?? '', currency);
  const left = sale.cardWritten === 1 ? 0 : Math.min(balanceOf(draft, due), amount);
  const taken = topUpTaken(terminalId, currency);
  draft.post(cause, [move(due, taken, left), move(riskBorne(currency), taken, amount - left)]);
  return { ...sale, undone: coveredMinor, riskMinor: sale.riskMinor + amount - left };
}

/** The top-up that a void is of stands again, or is voided for good. */
export function settleOriginal(draft: Draft, { originalId }: Pick<Sale, 'originalId'>, isVoided: boolean): void {
  const original = originalId === null ? undefined : draft.get('sale', originalId);
  if (!original || original.state === 'reversed') return;
  const undone = original.kind === 'topUp' ? original.coveredMinor : 0;
  draft.put(
    'sale',
    isVoided
      ? { ...original, state: 'voided', refundedMinor: original.totalMinor, undone }
      : { ...original, state: 'accepted', refundedMinor: 0, undone: 0 },
  );
}
/** The box lost the card at a void that held its top-up, or did not write it, or takes its word back: the top-up stands. */
export function standAgain(draft: Draft, sale: Sale): void {
  const isHolding = sale.state === 'reserved' || sale.state === 'accepted';
  if (sale.kind === 'cardTopUpVoid' && isHolding) settleOriginal(draft, sale, false);
}
/** A void that seemed not to be written holds its top-up after all, unless another has voided it. */
export function holdAgain(draft: Draft, { kind, originalId }: Sale): void {
  const original = kind === 'cardTopUpVoid' && originalId !== null ? draft.get('sale', originalId) : undefined;
  if (original?.state === 'accepted') draft.put('sale', { ...original, refundedMinor: original.totalMinor });
}
