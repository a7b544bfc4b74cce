/**
 * Accounts of one host-held coupon: what reads them, and how the coupon's row follows them.
 * Pure. Must not move value.
 */
import { couponBalance, couponRedeemed, couponReserved, riskBorne, topUpPaidBack, topUpTaken } from './accounts.js';
import type { Draft } from './draft.js';
import type { Collector } from './facts.js';
import { balanceOf } from './posting.js';
import type { Row } from './tables.js';

/** States a coupon's accounts, and the books of the terminal where it pays. */
export function planCouponAccounts(need: Collector, coupon: Row<'coupon'>, terminalId: string): void {
  const { id, currency } = coupon;
  for (const account of [
    couponBalance(id, currency),
    couponReserved(id, currency),
    couponRedeemed(terminalId, currency),
    topUpTaken(terminalId, currency),
    topUpPaidBack(terminalId, currency),
    riskBorne(currency),
  ])
    need.get('account', account.id);
}

/** A coupon that may pay again is found by its member, and written off when it has expired; an empty one costs nothing. */
export function refreshCoupon(draft: Draft, couponId: string): void {
  const coupon = draft.get('coupon', couponId);
  if (!coupon) return;
  const left =
    balanceOf(draft, couponBalance(coupon.id, coupon.currency)) +
    balanceOf(draft, couponReserved(coupon.id, coupon.currency));
  const openMember = left > 0 ? coupon.memberId : null;
  const sweepAtMs = left > 0 ? coupon.expiresAtMs : null;
  if (openMember !== coupon.openMember || sweepAtMs !== coupon.sweepAtMs)
    draft.put('coupon', { ...coupon, openMember, sweepAtMs });
}
