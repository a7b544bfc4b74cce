/**
 * Expiry: reservations that nobody completed fall back, and what expired coupons left is written off.
 * Pure. A reservation keeps a coupon's money past the coupon's end; only what falls back is written off.
 */
import { couponBalance, couponExpired, couponReserved } from './accounts.js';
import { planCouponAccounts } from './coupon-accounts.js';
import { Draft } from './draft.js';
import type { Collector, WorkingSet } from './facts.js';
import { balanceOf, move } from './posting.js';
import { planSale, releaseReserved } from './settle.js';

/** Most reservations and most coupons in one transaction. */
export const expiryBatchMax = 200;

/** States what `expireDue` reads: what is due at `nowMs`, a batch of each at most. A coupon still pays in its last millisecond. */
export function planExpiry(need: Collector, nowMs: number): void {
  for (const sale of need.due('sale', 'expiresAtMs', nowMs, expiryBatchMax)) planSale(need, sale.id);
  for (const coupon of need.due('coupon', 'sweepAtMs', nowMs - 1, expiryBatchMax)) {
    need.get('coupon', coupon.id);
    planCouponAccounts(need, coupon, '-');
    need.get('account', couponExpired(coupon.currency).id);
  }
}

/** Releases and writes off what is due. @returns how many of each */
export function expireDue(
  facts: WorkingSet,
  nowMs: number,
): { readonly reservations: number; readonly coupons: number } {
  const sales = facts.dueRows('sale', 'expiresAtMs');
  for (const sale of sales) {
    const draft = new Draft(facts, `expiry/${sale.id}`, nowMs, null);
    releaseReserved(draft, sale, 'timedOut', 'timeOut');
    facts.write(draft.writes);
  }
  const coupons = facts.dueRows('coupon', 'sweepAtMs');
  for (const due of coupons) {
    const coupon = facts.get('coupon', due.id) ?? due;
    const draft = new Draft(facts, `expiry/${coupon.id}/${nowMs}`, nowMs, null);
    const balance = couponBalance(coupon.id, coupon.currency);
    draft.post('expiry', [move(balance, couponExpired(coupon.currency), balanceOf(facts, balance))]);
    // What a reservation still holds comes back here when that ends; until then there is nothing to look for.
    const isHeld = balanceOf(facts, couponReserved(coupon.id, coupon.currency)) > 0;
    draft.put('coupon', { ...coupon, sweepAtMs: null, openMember: isHeld ? coupon.openMember : null });
    facts.write(draft.writes);
  }
  return { reservations: sales.length, coupons: coupons.length };
}
