/**
 * Shows the rounding of points, by random rules and amounts, against the rule in plain bigint arithmetic: an earn never
 * gives more than the rule, a spend never covers more than the bill nor than the points are worth, takes never more
 * points than were asked, and never one that pays nothing.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Rules } from '../../../host-sync/protocol/sync.js';
import { amountMinorMax, type Points, pointsMax } from '../../kernel/units.js';
import { acceptedAnswer, at, requestFor, rules } from '../core-fixtures.js';
import { pointsEarn, pointsFor, pointsSpend, spendFor } from './points.js';

const anyRules: fc.Arbitrary<Rules> = fc.record({
  version: fc.constant(1),
  currency: fc.constant('CNY' as const),
  earnPoints: fc.integer({ min: 0, max: 1_000_000 }),
  earnPerMinor: fc.integer({ min: 1, max: 1_000_000_000 }),
  spendMinor: fc.integer({ min: 0, max: 1_000_000_000 }),
  spendPerPoints: fc.integer({ min: 1, max: 1_000_000 }),
  couponPartial: fc.boolean(),
});
const total = fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: amountMinorMax }));
const somePoints = fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.integer({ min: 0, max: pointsMax }));

t.test('earning', (t) => {
  t.equal(pointsFor(rules, 30_000), 300, 'P7: 300.00 at a point a yuan');
  t.equal(pointsFor(rules, 99), 0);
  t.equal(pointsFor(rules, 199), 1, 'rounded down');
  fc.assert(
    fc.property(anyRules, total, (rule, amount) => {
      const points = BigInt(pointsFor(rule, amount));
      const exact = BigInt(amount) * BigInt(rule.earnPoints);
      if (points * BigInt(rule.earnPerMinor) > exact) throw new Error('more than the rule');
      const isCapped = points === BigInt(pointsMax);
      if (!isCapped && (points + 1n) * BigInt(rule.earnPerMinor) <= exact) throw new Error('less than the rule');
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(anyRules, total, total, (rule, a, b) => {
      if (a + b > amountMinorMax) return;
      const whole = pointsFor(rule, a + b);
      if (whole < pointsMax && pointsFor(rule, a) + pointsFor(rule, b) > whole)
        throw new Error('splitting a bill pays');
    }),
  );
  t.end();
});

t.test('spending', (t) => {
  t.same(spendFor(rules, 5_000 as Points, 30_000), { points: 5_000, coveredMinor: 5_000 });
  t.same(spendFor(rules, 50_000 as Points, 30_000), { points: 30_000, coveredMinor: 30_000 }, 'at most the bill');
  t.same(spendFor({ ...rules, spendMinor: 0 }, 5_000 as Points, 30_000), { points: 0, coveredMinor: 0 });
  const coarse = { ...rules, spendMinor: 1, spendPerPoints: 100 };
  t.same(spendFor(coarse, 150 as Points, 30_000), { points: 100, coveredMinor: 1 }, '50 points that pay nothing stay');
  t.same(spendFor(coarse, 99 as Points, 30_000), { points: 0, coveredMinor: 0 });
  fc.assert(
    fc.property(anyRules, somePoints, total, (rule, asked, amount) => {
      const spend = spendFor(rule, asked as Points, amount);
      if (spend.points > asked) throw new Error('more points than asked');
      if (spend.coveredMinor > amount) throw new Error('more than the bill');
      const [points, covered] = [BigInt(spend.points), BigInt(spend.coveredMinor)];
      const [minor, per] = [BigInt(rule.spendMinor), BigInt(rule.spendPerPoints)];
      if (covered * per > points * minor) throw new Error('more than the points are worth');
      if (points > 0n && (points - 1n) * minor >= covered * per) throw new Error('a point that pays nothing');
      const worth = (BigInt(asked) * minor) / per;
      if (covered !== (worth < BigInt(amount) ? worth : BigInt(amount)))
        throw new Error('less than asked and possible');
    }),
    { numRuns: 2_000 },
  );
  t.end();
});

t.test('the record says what the sale shows', (t) => {
  const tap = {
    method: 'tap',
    key: 'member',
    keyId: 'aa',
    terminalNonce: '',
    phoneNonce: '',
    counter: 1,
    proof: '',
  } as const;
  const spend = requestFor({ name: 'pointsSpend', points: 50_000 as Points }) as Parameters<
    typeof pointsSpend.record
  >[0];
  t.match(pointsSpend.record(spend, tap, null, at), {
    kind: 'pointsSpend',
    points: 30_000,
    coveredMinor: 30_000,
    rulesVersion: 3,
  });
  t.match(pointsSpend.context(spend), { points: 30_000, amountMinor: 30_000 }, 'the phone proves for the same');
  t.match(pointsSpend.accepted(spend, null, null), { points: 30_000, coveredMinor: 30_000, restMinor: 0 });
  t.equal(pointsSpend.refusal(spend, { method: 'memberCode', code: 'SLM' }), 'credential.tooWeak');
  t.equal(pointsSpend.refusal(spend, tap), null);
  const earn = requestFor({ name: 'pointsEarn', typedPoints: 7 as Points }) as Parameters<typeof pointsEarn.record>[0];
  t.match(pointsEarn.record(earn, tap, null, at), { points: 7, typed: true });
  t.match(pointsEarn.accepted(earn, null, null), { authority: 'box', points: 7, balances: null });
  const answer = acceptedAnswer({ pointsPosted: 330 });
  if (answer.outcome !== 'accepted') throw new Error('the fixture is an acceptance');
  t.match(pointsEarn.accepted(earn, answer, null), { authority: 'host', points: 330, balances: { points: 700 } });
  t.equal(pointsEarn.refusal(earn, { method: 'couponCode', code: 'SLC' }), 'credential.tooWeak');
  t.throws(() => pointsEarn.record(earn, null, null, at), /invariant/);
  t.end();
});
