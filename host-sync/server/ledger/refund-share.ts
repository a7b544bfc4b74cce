/**
 * Refund share: how much of a sale's points or covered amount is undone once so much of its total has been refunded.
 * Pure arithmetic. Cumulative, so that many small refunds never give more than one large one.
 */
import { multiplyDivideFloor } from '../../../terminal/kernel/units.js';
import type { Facts } from './facts.js';
import { bonusFor, earnedFor, rulesOfVersion } from './rules.js';
import type { Row } from './tables.js';

/**
 * Points (earn, spend) or minor units (coupons) undone in all when `refundedMinor` of the sale's total is refunded.
 * Earned points: what the rule no longer gives for the rest. All else: floor(share × refunded ÷ total).
 */
export function undoneTarget(facts: Facts, sale: Row<'sale'>, refundedMinor: number): number {
  const whole = sale.kind === 'pointsEarn' || sale.kind === 'pointsSpend' ? sale.points : sale.coveredMinor;
  if (refundedMinor >= sale.totalMinor) return whole;
  if (sale.kind !== 'pointsEarn') return multiplyDivideFloor(whole, refundedMinor, sale.totalMinor);
  const rules = sale.rulesVersion === null ? null : rulesOfVersion(facts, sale.rulesVersion);
  const base = rules
    ? earnedFor(rules, sale.totalMinor - refundedMinor)
    : multiplyDivideFloor(sale.points, sale.totalMinor - refundedMinor, sale.totalMinor);
  return whole - Math.min(whole, base + bonusFor(base, sale.tierBasisPoints));
}
