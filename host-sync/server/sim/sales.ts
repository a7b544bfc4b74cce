/**
 * Sales as boxes of the tests make them: drafts with the right taps. For tests only.
 */
import type { Bill } from '../../protocol/record.js';
import { type Box, keyed, type LooseDraft, newId, type Phone } from './world.js';

export function earn(
  box: Box,
  phone: Phone,
  totalMinor: number,
  more: Partial<{ points: number; typed: boolean; rulesVersion: number; bill: Bill }> = {},
): LooseDraft {
  const transactionId = newId();
  const points = more.points ?? Math.floor(totalMinor / 100);
  return {
    kind: 'pointsEarn',
    transactionId,
    reference: null,
    bill: more.bill ?? keyed(totalMinor),
    credential: phone.tap(box, transactionId, 'earn', totalMinor, points),
    rulesVersion: more.rulesVersion ?? 1,
    points,
    typed: more.typed ?? false,
  };
}

export function spend(box: Box, phone: Phone, totalMinor: number, points: number): LooseDraft {
  const transactionId = newId();
  return {
    kind: 'pointsSpend',
    transactionId,
    reference: null,
    bill: keyed(totalMinor),
    credential: phone.tap(box, transactionId, 'spend', totalMinor, points),
    rulesVersion: 1,
    points,
    coveredMinor: points,
  };
}

export function deduct(
  box: Box,
  by: Phone | { readonly code: string },
  bill: Bill,
  more: Partial<{ couponCode: string; partial: boolean }> = {},
): LooseDraft {
  const transactionId = newId();
  return {
    kind: 'couponDeduct',
    transactionId,
    reference: null,
    bill,
    credential:
      'code' in by ? { method: 'couponCode', code: by.code } : by.tap(box, transactionId, 'coupon', bill.totalMinor),
    couponCode: more.couponCode ?? null,
    partial: more.partial ?? false,
  };
}

const idOf = (draft: LooseDraft) => {
  if (draft.transactionId === undefined) throw new Error('the draft has no id yet');
  return draft.transactionId;
};
export const complete = (of: LooseDraft, outcome: 'accepted' | 'cardUnknown' = 'accepted'): LooseDraft => ({
  kind: 'completion',
  original: idOf(of),
  outcome,
});
export const reverse = (
  of: LooseDraft,
  reason: 'noAnswer' | 'cancelled' | 'cardNotWritten' = 'noAnswer',
): LooseDraft => ({
  kind: 'reversal',
  original: idOf(of),
  reason,
});
export const undo = (of: LooseDraft): LooseDraft => ({ kind: 'void', reference: null, original: idOf(of) });
export const refund = (of: LooseDraft, amountMinor: number): LooseDraft => ({
  kind: 'refund',
  reference: null,
  original: idOf(of),
  amountMinor,
});
