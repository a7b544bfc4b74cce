/**
 * Shows what a member reads on the customer's display at each step, in both languages and in English alone: never wider than
 * the display, never a name. How: sales as the terminal announces them.
 */
import fc from 'fast-check';
import t from 'tap';
import type { AmountMinor, Points } from '../kernel/units.js';
import { type DisplayedSale, displayText, inquiryText } from './display-text.js';
import type { AcceptedOutcome, ServiceName } from './sale.js';
import { columnsOf } from './text-width.js';

const minor = (amount: number) => amount as AmountMinor;
const accepted = (coveredMinor: number, restMinor: number, points: number | null): AcceptedOutcome => ({
  result: 'accepted',
  authority: 'host',
  points: points as Points | null,
  coveredMinor: minor(coveredMinor),
  restMinor: minor(restMinor),
  balances: null,
});
const sale = (more: Partial<DisplayedSale> = {}): DisplayedSale => ({
  ...{ service: 'pointsEarn', totalMinor: 30_000, currency: 'CNY', prompt: null, outcome: null },
  ...more,
});

t.test('each step, in both languages', async (t) => {
  t.same(displayText(null, '好味道餐厅', true), ['好味道餐厅', '欢迎光临 WELCOME']);
  t.same(displayText(sale({ prompt: 'present' }), '', true), ['合计 TOTAL    300.00', '请出示手机 TAP PHONE']);
  t.same(displayText(sale({ prompt: 'tapAgain' }), '', true)[1], '请再贴一次 TAP AGAIN');
  t.same(displayText(sale({ outcome: accepted(0, 30_000, 300) }), '', true), [
    '交易成功 ACCEPTED',
    '积分 POINTS     +300',
  ]);
  t.same(displayText(sale({ service: 'couponHost', outcome: accepted(20_000, 10_000, null) }), '', true), [
    '交易成功 ACCEPTED',
    '应付 TO PAY   100.00',
  ]);
  t.same(
    displayText(sale({ service: 'void', outcome: accepted(20_000, 10_000, null) }), '', true)[1],
    '谢谢 THANK YOU',
  );
  t.same(displayText(sale({ outcome: { result: 'refused', code: 'sale.timedOut', balances: null } }), '', true), [
    '合计 TOTAL    300.00',
    '未成功 NOT ACCEPTED',
  ]);
});

t.test('in English alone', async (t) => {
  t.same(displayText(null, '好味道餐厅', false), ['', 'WELCOME']);
  t.same(displayText(null, 'Good Taste', false), ['Good Taste', 'WELCOME']);
  t.same(displayText(sale({ prompt: 'hold' }), '', false), ['TOTAL         300.00', 'HOLD STILL']);
  const lost = { result: 'unknown', code: 'card.unknown' } as const;
  t.same(displayText(sale({ outcome: lost }), '', false)[1], 'NOT CONFIRMED');
  t.same(displayText(sale({ service: 'topUpCard', outcome: lost }), '', false)[1], 'ON NEXT TAP');
  const undecided = sale({ service: 'topUpCard', outcome: { ...lost, isUndecided: true } });
  t.same(displayText(undecided, '', false)[1], 'NOT CONFIRMED', 'the host may still refuse it');
});

t.test('never wider than the display, and no figure is cut', async (t) => {
  const services: readonly ServiceName[] = [
    'pointsEarn',
    'pointsSpend',
    'couponHost',
    'couponCard',
    'topUpCard',
    'plainSale',
    'void',
  ];
  const amount = fc.integer({ min: 0, max: 999_999_999_999 });
  fc.assert(
    fc.property(
      fc.constantFrom(...services),
      ...[amount, amount, fc.integer({ min: 0, max: 2 ** 40 })],
      ...[fc.string({ unit: 'binary' }), fc.boolean()],
      (service, total, covered, points, merchant, chinese) => {
        const open = sale({ service, totalMinor: total, prompt: 'present' });
        const ended = { ...open, outcome: accepted(covered, total, points), prompt: null };
        for (const shown of [open, ended, null])
          for (const line of displayText(shown, merchant, chinese)) {
            t.ok(columnsOf(line) <= 20, line);
            t.ok(chinese || /^[\x20-\x7e]*$/.test(line), line);
          }
        t.match(displayText(open, merchant, chinese)[0], /[0-9]+\.[0-9]{2}$/);
      },
    ),
    { numRuns: 200, seed: 20_261_128 },
  );
});

t.test('balances: points and what the coupons hold; their number where no one sum says it', async (t) => {
  const coupon = (balanceMinor: number, currency: 'CNY' | 'USD' = 'CNY') => ({ balanceMinor, currency });
  const known = (points: number, coupons: readonly ReturnType<typeof coupon>[], couponsMore = 0) =>
    ({ result: 'known', points, coupons, couponsMore }) as const;
  t.same(inquiryText(known(300, []), true), ['积分 POINTS      300', '']);
  t.same(inquiryText(known(300, [coupon(3_000), coupon(50)]), false), ['POINTS           300', 'COUPONS        30.50']);
  t.same(inquiryText(known(0, [coupon(3_000), coupon(50, 'USD')]), true)[1], '卡券 COUPONS       2');
  t.same(inquiryText(known(0, [coupon(3_000)], 7), true)[1], '卡券 COUPONS       8');
  t.same(inquiryText({ result: 'refused' }, false), ['BALANCE', 'NOT NOW']);
  const most = Array.from({ length: 20 }, () => coupon(999_999_999_999));
  for (const chinese of [true, false])
    for (const line of inquiryText(known(999_999_999_999, most), chinese)) t.ok(columnsOf(line) <= 20, line);
  t.equal(
    inquiryText(known(0, most), true)[1]
      .trim()
      .replace(/^[^0-9]*/, ''),
    '199999999999.80',
  );
});
