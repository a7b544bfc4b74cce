/**
 * Rules: which version of the points rules counts, what it gives and costs, and the tier's bonus.
 * Pure. Must not post.
 */
import { multiplyDivideFloor, pointsMax } from '../../../terminal/kernel/units.js';
import { type Rules, rulesSchema } from '../../protocol/sync.js';
import { type ApplyContext, type Tier, tierDefault } from './context.js';
import type { Collector, Facts } from './facts.js';

const versionKey = (version: number): string => String(version);

/** States what `rulesFor` and `rulesOfVersion` read. */
export const planRules = (need: Collector, version: number): void => {
  need.get('rules', versionKey(version));
};

/** A published version; null where there is none. */
export function rulesOfVersion(facts: Facts, version: number): Rules | null {
  const row = facts.get('rules', versionKey(version));
  return row ? rulesSchema.parse(JSON.parse(row.value)) : null;
}

/**
 * The rules that count for a record: the version it names where that was in force at the record's time or replaced at most
 * the policy's grace before; else those in force now. A doubtful clock counts as in time: the version was published once.
 */
export function rulesFor(
  facts: Facts,
  version: number,
  atWallMs: number,
  clockDoubtful: boolean,
  context: ApplyContext,
): { readonly rules: Rules; readonly replaced: boolean } | null {
  const row = facts.get('rules', versionKey(version));
  const inTime =
    row && (row.validToMs === null || clockDoubtful || atWallMs <= row.validToMs + context.policy.versionGraceMs);
  // A published version never changes: where it is the one in force, that was read for the whole batch.
  const inForce = context.rules?.version === version ? context.rules : null;
  const named = inTime ? (inForce ?? rulesOfVersion(facts, version)) : null;
  if (named) return { rules: named, replaced: false };
  return context.rules && { rules: context.rules, replaced: true };
}

/** points = floor(amountMinor × earnPoints ÷ earnPerMinor), at most pointsMax. */
export const earnedFor = (rules: Rules, amountMinor: number): number =>
  Math.min(multiplyDivideFloor(amountMinor, rules.earnPoints, rules.earnPerMinor), pointsMax);

/** Minor units that points pay: floor(points × spendMinor ÷ spendPerPoints). */
export const worthOf = (rules: Rules, points: number): number =>
  multiplyDivideFloor(points, rules.spendMinor, rules.spendPerPoints);

/** floor(points × (basisPoints − 10,000) ÷ 10,000), so that points and bonus stay within pointsMax. */
export const bonusFor = (points: number, basisPoints: number): number =>
  Math.min(multiplyDivideFloor(points, Math.max(0, basisPoints - 10_000), 10_000), pointsMax - points);

/** The member's tier by lifetime points: the last whose threshold is reached. */
export function tierOf(tiers: readonly Tier[], earnedPoints: number): Tier {
  return tiers.findLast((tier) => earnedPoints >= tier.earnedPointsMin) ?? tiers[0] ?? tierDefault;
}
