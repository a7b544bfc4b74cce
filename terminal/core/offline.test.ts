// The offline policy as a pure function: what it pays, out of what, and each limit that stops it. Faults 1, 11, 12: nothing is
// given beyond slices and limits, whatever the clock says. Properties by random readings: never more than is held or allowed.
import fc from 'fast-check';
import t from 'tap';
import type { OfflineProof } from '../../host-sync/protocol/assurance.js';
import type { Credential } from '../../host-sync/protocol/record.js';
import { offlineLimitsDefault } from '../../host-sync/protocol/sync.js';
import type { TransactionId } from '../kernel/ports.js';
import type { Points } from '../kernel/units.js';
import { requestFor } from './core-fixtures.js';
import { type OfflineReading, offerOffline } from './offline.js';
import type { HeldAllowance } from './offline-offer.js';

const id = (last: number) => `01890000-0000-7000-8000-${String(last).padStart(12, '0')}` as TransactionId;
const points = (remaining: number, expiresAtMs = 1_000): HeldAllowance => ({
  ...{ id: id(remaining), remaining, expiresAtMs, holds: { unit: 'points', points: 1_000_000 } },
});
const coupon = (remaining: number, limitCategory: string | null = null): HeldAllowance => ({
  id: id(remaining),
  remaining,
  expiresAtMs: 1_000,
  holds: {
    ...{ unit: 'money', currency: 'CNY', amountMinor: 1_000_000, couponCode: 'SLC0000000000000' },
    ...{ limitCategory, limitProducts: null },
  },
});
const proved: OfflineReading['tap'] = { proofs: ['localKey'], missing: 'credential.wrongProof', signature: null };
const signed = '5a'.repeat(64);
const signatureOf = (proofs: readonly OfflineProof[]) => (proofs.includes('credential') ? signed : null);
const unproved: OfflineReading['tap'] = { proofs: [], missing: 'credential.wrongProof', signature: null };
const quiet: OfflineReading = {
  ...{ limits: offlineLimitsDefault, allowances: [], isBlocked: false, floorTodayMinor: 0, tap: proved },
  usage: { earns: 0, earnPoints: 0, allowanceUses: 0, floorUses: 0, floorMinor: 0 },
  ...{ nowMs: 500, lastContactMs: 400, categories: [] },
};
const tap: Credential = {
  method: 'tap',
  key: 'member',
  ...{ keyId: '00'.repeat(8), terminalNonce: '', phoneNonce: '', counter: 1, proof: '' },
};
const code = { method: 'couponCode', code: 'SLC0000000000000' } as const;
const spend = requestFor({ name: 'pointsSpend', points: 500 as Points });
const pay = requestFor({ name: 'couponHost', couponCode: null });
const earn = requestFor({ name: 'pointsEarn', typedPoints: null });
const refused = (wanted: string) => ({ offer: 'refuses', code: wanted });
const floor = {
  ...offlineLimitsDefault,
  ...{ floorPerSaleMinor: 40_000, floorPerMemberDayMinor: 60_000, floorPerMemberDayCount: 2, floorPerDayMinor: 90_000 },
};

t.test('earning: within count and points of a day', async (t) => {
  t.match(offerOffline(earn, tap, quiet), { offer: 'pays', decision: null, use: { kind: 'earn', points: 300 } });
  const many = { ...quiet, usage: { ...quiet.usage, earns: 50 } };
  t.match(offerOffline(earn, tap, many), refused('offline.limit'));
  const rich = { ...quiet, usage: { ...quiet.usage, earnPoints: 999_701 } };
  t.match(offerOffline(earn, tap, rich), refused('offline.limit'));
  t.match(offerOffline(earn, tap, { ...quiet, isBlocked: true }), refused('credential.blocked'));
  const late = { ...quiet, nowMs: 31 * 86_400_000, lastContactMs: 0 };
  t.match(offerOffline(earn, tap, late), refused('offline.tooLong'), 'fault 12: too long without the host');
  t.equal(offerOffline(requestFor({ name: 'plainSale' }), tap, quiet), null, 'a sale without a member is not limited');
});

t.test('spending: out of a slice, or not at all', async (t) => {
  t.equal(offerOffline(spend, tap, quiet), null, 'nothing held, no floor limit: only the host can say');
  const reading = { ...quiet, allowances: [points(600)] };
  t.match(offerOffline(spend, tap, reading), {
    offer: 'pays',
    decision: { by: 'allowance', allowanceId: id(600), coveredMinor: 500 },
    use: { kind: 'allowance', amount: 500, allowanceId: id(600) },
  });
  t.match(offerOffline(spend, tap, { ...reading, allowances: [points(499)] }), refused('allowance.tooLow'));
  t.match(offerOffline(spend, tap, { ...reading, nowMs: 1_000 }), refused('allowance.tooLow'), 'at its end it stops');
  t.match(offerOffline(spend, tap, { ...reading, tap: unproved }), refused('credential.wrongProof'));
  const used = { ...reading, usage: { ...quiet.usage, allowanceUses: 50 } };
  t.match(offerOffline(spend, tap, used), refused('offline.limit'));
  const two = { ...reading, allowances: [points(600, 900), points(700, 800)] };
  t.match(offerOffline(spend, tap, two), { decision: { allowanceId: id(700) } }, 'the one that ends first');
});

t.test(
  'a tap spends only as far as it is verified: by the slice’s key or a credential, by the credential alone',
  async (t) => {
    const reading = { ...quiet, allowances: [points(600)] };
    const by = (proofs: readonly OfflineProof[], credentialOnly: boolean, more: Partial<OfflineReading> = {}) =>
      offerOffline(spend, tap, {
        ...{ ...reading, tap: { proofs, missing: 'credential.missing', signature: signatureOf(proofs) } },
        limits: { ...floor, credentialOnly },
        ...more,
      });
    const no = refused('credential.missing');
    t.match(
      by(['credential'], false),
      { decision: { by: 'allowance', signature: signed } },
      'with what the phone signed',
    );
    t.match(by(['localKey'], false), { decision: { by: 'allowance', signature: undefined } });
    t.match(by([], false), no);
    t.match(by(['siteKey'], false), no, 'the site’s key is for cards');
    t.match(by(['localKey'], true), no);
    t.match(by(['credential'], true), { decision: { by: 'allowance' } });
    const bare = { allowances: [] };
    t.match(
      by([], false, bare),
      { decision: { by: 'floor', signature: undefined } },
      'the merchant has chosen its risk',
    );
    t.match(by(['credential'], false, bare), { decision: { by: 'floor', signature: signed } });
    t.match(by(['credential'], true, bare), { decision: { by: 'floor', signature: signed } });
    t.match(by([], true, bare), no, 'no floor limit for an unverified phone');
    t.match(offerOffline(earn, tap, { ...reading, tap: unproved }), { offer: 'pays' }, 'an earn waits for the host');
    const coded = { ...reading, tap: null, limits: { ...floor, credentialOnly: true } };
    t.match(
      offerOffline(pay, code, { ...coded, allowances: [coupon(30_000)] }),
      { decision: { by: 'allowance' } },
      'the slice of a coupon is its bearer’s',
    );
    t.match(
      offerOffline(pay, { method: 'couponCode', code: 'SLC9999999999999' }, { ...coded, allowances: [] }),
      refused('credential.tooWeak'),
      'an invented code has no limit of its own',
    );
  },
);

t.test('coupons: the whole price or the part the rules allow, for what they are limited to', async (t) => {
  const reading = { ...quiet, tap: null, allowances: [coupon(30_000)] };
  t.match(offerOffline(pay, code, reading), { decision: { by: 'allowance', coveredMinor: 30_000 } });
  t.match(offerOffline(pay, code, { ...reading, allowances: [coupon(29_999)] }), refused('allowance.tooLow'));
  const partial = { ...pay, terms: { ...pay.terms, rules: { ...pay.terms.rules, couponPartial: true } } };
  t.match(offerOffline(partial, code, { ...reading, allowances: [coupon(29_999)] }), {
    decision: { coveredMinor: 29_999 },
  });
  t.match(offerOffline(pay, code, { ...reading, allowances: [coupon(30_000, 'cake')] }), refused('allowance.tooLow'));
  const lines = [
    { code: 'A', name: 'cake', quantity: 1, unitPriceMinor: 10_000, priceSource: 'catalogue', amountMinor: 10_000 },
    { code: 'B', name: 'tea', quantity: 1, unitPriceMinor: 20_000, priceSource: 'catalogue', amountMinor: 20_000 },
  ] as const;
  const bill = { ...pay.bill, lines: [...lines] };
  const cake = { ...reading, allowances: [coupon(30_000, 'cake')], categories: ['cake', 'tea'] };
  t.match(offerOffline({ ...pay, bill }, code, cake), { decision: { coveredMinor: 10_000 } });
});

t.test('floor limits: 0 by default; each of them binds', async (t) => {
  const reading = { ...quiet, tap: null, limits: floor };
  t.match(offerOffline(pay, code, reading), {
    decision: { by: 'floor', coveredMinor: 30_000 },
    use: { kind: 'floor' },
  });
  t.match(offerOffline(spend, tap, { ...reading, tap: unproved }), {
    decision: { by: 'floor', coveredMinor: 500 },
  });
  for (const change of [
    { limits: { ...floor, floorPerSaleMinor: 29_999 } },
    { usage: { ...quiet.usage, floorUses: 2 } },
    { usage: { ...quiet.usage, floorMinor: 30_001 } },
    { floorTodayMinor: 60_001 },
  ])
    t.match(offerOffline(pay, code, { ...reading, ...change }), refused('offline.limit'));
});

t.test('never more than a slice holds, nor than the limits allow', async () => {
  const amount = fc.integer({ min: 0, max: 100_000 });
  const slice = fc.oneof(
    amount.map((each) => points(each)),
    amount.map((each) => coupon(each)),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(spend, pay),
      fc.array(slice, { maxLength: 4 }),
      fc.record({ floorPerSaleMinor: amount, floorPerMemberDayMinor: amount, floorPerDayMinor: amount }),
      fc.record({ floorMinor: amount, floorTodayMinor: amount }),
      (request, allowances, limits, { floorMinor, floorTodayMinor }) => {
        const reading = {
          ...{ ...quiet, allowances, floorTodayMinor, limits: { ...floor, ...limits } },
          usage: { ...quiet.usage, floorMinor },
        };
        const offer = offerOffline(request, tap, reading);
        if (offer?.offer !== 'pays' || !offer.decision) return true;
        const { decision, use } = offer;
        if (decision.coveredMinor > request.bill.totalMinor || decision.coveredMinor < 1) return false;
        if (decision.by === 'allowance')
          return allowances.some((each) => each.id === decision.allowanceId && each.remaining >= use.amount);
        const day = floorMinor + decision.coveredMinor;
        return (
          decision.coveredMinor <= limits.floorPerSaleMinor &&
          day <= limits.floorPerMemberDayMinor &&
          floorTodayMinor + decision.coveredMinor <= limits.floorPerDayMinor
        );
      },
    ),
    { numRuns: 2_000 },
  );
});
