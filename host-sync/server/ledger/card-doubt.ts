/**
 * A correction in doubt: a write that takes it along was authorised, and the card was then seen so far ahead that neither
 * slot tells whether that write was made. Until it is known the amount counts as gone to the card, so that it is paid once.
 * Pure. Who wrote which counter is card-state.ts's to find out; this file only moves the amount.
 */
import type { CardRecord } from '../../../drivers/protocols/member/card-record.js';
import { cardAhead, cardCorrection } from './accounts.js';
import type { Draft } from './draft.js';
import type { Collector } from './facts.js';
import { balanceOf, move } from './posting.js';
import type { Row } from './tables.js';

/** Id of what is kept of one counter of a coupon's card: who wrote it, and whose write is in doubt. */
export const counterKey = (couponId: string, counter: number): string => `${couponId}/${counter}`;
const keyOf = (sale: Row<'sale'>): string => counterKey(sale.couponId ?? '', sale.cardCounter ?? 0);

/** States the doubt about this counter. @returns the sale that is in doubt there; undefined: none */
export function planDoubt(need: Collector, couponId: string, counter: number): string | undefined {
  return need.get('cardDoubt', counterKey(couponId, counter))?.saleId;
}

/** Do these records leave open whether `sale`, not among their writers, was written? Only where its counter is not theirs. */
export const isInDoubt = (sale: Row<'sale'>, records: readonly (CardRecord | null)[]): boolean =>
  !records.some((record) => record?.counter === sale.cardCounter);

/** Is it open whether this sale's write was made? */
export const isDoubted = (draft: Draft, sale: Row<'sale'>): boolean =>
  draft.get('cardDoubt', keyOf(sale))?.saleId === sale.id;

/**
 * Counts the correction as gone to the card: the debits behind it may have used it up already. The void of a top-up is kept
 * as doubtful also where it takes no correction along, since it holds its top-up until the doubt ends.
 */
export function beginDoubt(draft: Draft, sale: Row<'sale'>): void {
  const couponId = sale.couponId ?? '';
  const due = cardCorrection(couponId, sale.currency);
  const amountMinor = Math.min(balanceOf(draft, due), sale.correctionMinor);
  if (amountMinor === 0 && !(sale.kind === 'cardTopUpVoid' && sale.state === 'reserved')) return;
  draft.post('cardDoubt', [move(due, cardAhead(couponId, sale.currency), amountMinor)]);
  draft.put('cardDoubt', { id: keyOf(sale), saleId: sale.id, amountMinor });
}

/** The write was made: what was counted as gone is gone. @returns how much of the sale's correction that was */
export function confirmDoubt(draft: Draft, sale: Row<'sale'>): number {
  const doubt = draft.get('cardDoubt', keyOf(sale));
  if (doubt?.saleId !== sale.id) return 0;
  draft.remove('cardDoubt', doubt.id);
  return doubt.amountMinor;
}

/** The write was not made: the correction is due again. @returns whether it was in doubt */
export function refuteDoubt(draft: Draft, sale: Row<'sale'>): boolean {
  const couponId = sale.couponId ?? '';
  const wasDoubted = isDoubted(draft, sale);
  const amountMinor = confirmDoubt(draft, sale);
  const ahead = cardAhead(couponId, sale.currency);
  draft.post('cardNotWritten', [
    move(ahead, cardCorrection(couponId, sale.currency), Math.min(balanceOf(draft, ahead), amountMinor)),
  ]);
  return wasDoubted;
}
