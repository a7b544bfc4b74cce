/**
 * Shows that a receipt says what a person needs, never more than its width in either language, whatever names and texts
 * come from outside, and that a figure is never cut. Widths are those of the display (string-width), not of the string.
 */
import fc from 'fast-check';
import stringWidth from 'string-width';
import t from 'tap';
import { jobLinesMax } from '../../drivers/protocols/escpos/print-job.js';
import { type Bill, billLinesMax } from '../../host-sync/protocol/record.js';
import { type ErrorCode, errorTable } from '../kernel/errors.js';
import {
  type AmountMinor,
  amountMinorMax,
  type Currency,
  currencies,
  formatAmount,
  type Points,
  quantityMax,
} from '../kernel/units.js';
import { acceptedAnswer, nothingKnown, original, requestFor, serviceExamples } from './core-fixtures.js';
import { type ReceiptContext, receiptColumns, receiptLines } from './receipt.js';
import type { SaleOutcome, SaleRequest, Service } from './sale.js';
import { serviceOf } from './services/services.js';

const context: ReceiptContext = {
  ...{ terminalId: 't-0123456789ab', time: '2026-11-20 21:30', copy: false, head: [], foot: [] },
};
const minor = (value: number): AmountMinor => value as AmountMinor;
const accepted = (request: SaleRequest, changes: Parameters<typeof acceptedAnswer>[0] = {}): SaleOutcome => {
  const answer = acceptedAnswer(changes);
  if (answer.outcome !== 'accepted') throw new Error('the fixture is an acceptance');
  return serviceOf(request).accepted(answer, null);
};
const printed = (request: SaleRequest, outcome: SaleOutcome, changes: Partial<ReceiptContext> = {}): string => {
  const lines = receiptLines(request, outcome, { ...context, ...changes });
  for (const line of lines) if (stringWidth(line) > receiptColumns) throw new Error(`${stringWidth(line)}: ${line}`);
  return lines.join('\n');
};
/** Does one line carry both the label and, at its end, the figure? */
const says = (text: string, label: string, figure: string): boolean =>
  text.split('\n').some((line) => line.includes(label) && line.endsWith(` ${figure}`));

t.test('the merchant’s own lines, under the name and at the end, within the width', (t) => {
  const request = requestFor({ name: 'plainSale' });
  const lines = printed(request, accepted(request), {
    head: ['电话 010-12345678'],
    foot: ['谢谢惠顾 Thank you', '长'.repeat(40)],
  });
  const rows = lines.split('\n');
  t.equal(rows[2]?.trim(), '电话 010-12345678');
  t.equal(rows.at(-3)?.trim(), '谢谢惠顾 Thank you');
  t.equal(rows.at(-2), '长'.repeat(16));
  t.match(rows.at(-1), /SIMULATED/, 'what must be seen stays last');
  t.end();
});

t.test('the longest receipt fits into one job of the printer', async (t) => {
  const line = {
    ...{ code: null, name: '长'.repeat(100), quantity: quantityMax },
    priceSource: 'override' as const,
    ...{ unitPriceMinor: amountMinorMax, amountMinor: amountMinorMax },
  };
  const request = requestFor({ name: 'pointsSpend', points: 1 as Points });
  const long = {
    ...{ ...request, reference: 'r'.repeat(64), clerk: '张'.repeat(64) },
    bill: { ...request.bill, totalMinor: amountMinorMax, lines: Array.from({ length: billLinesMax }, () => line) },
  };
  const texts = ['长'.repeat(64), '长'.repeat(64), '长'.repeat(64), '长'.repeat(64)];
  const lines = printed(long, accepted(long), { head: texts, foot: texts, copy: true }).split('\n');
  t.ok(lines.length > billLinesMax && lines.length <= jobLinesMax, `${lines.length} lines`);
});

t.test('points earned, with and without the host', (t) => {
  const request = requestFor({ name: 'pointsEarn', typedPoints: null });
  const text = printed(
    request,
    accepted(request, { pointsPosted: 300, balances: { ...nothingKnown, points: 1_300, pointsOwed: 0 } }),
  );
  t.ok(says(text, '合计 TOTAL', 'CNY 300.00'));
  t.ok(says(text, 'EARNED', '300'));
  t.ok(says(text, '积分余额 POINTS', '1300'));
  t.notMatch(text, 'OWED', 'nothing owed: not mentioned');
  const offline = printed(request, serviceOf(request).accepted(null, null));
  t.ok(says(offline, '积分余额 POINTS', '稍后 follows'), 'an unknown balance is not zero');
  t.match(offline, 'SIMULATED');
  t.end();
});

t.test('points spent, a coupon, a refusal, a copy', (t) => {
  const spend = requestFor({ name: 'pointsSpend', points: 5_000 as Points });
  const spent = printed(spend, accepted(spend, { pointsPosted: 5_000, coveredMinor: 5_000 }), { copy: true });
  t.ok(says(spent, 'SPENT', '5000') && says(spent, '抵扣 COVERED', '50.00') && says(spent, '应付 TO PAY', '250.00'));
  t.equal(spent.split('COPY').length, 3, 'marked at head and foot');
  const coupon = requestFor({ name: 'couponHost', couponCode: null });
  const balances = { ...nothingKnown, couponMinor: 20_000, couponCode: 'SLC0000000000017', currency: 'CNY' as const };
  const paid = printed(coupon, accepted(coupon, { pointsPosted: null, coveredMinor: 10_000, balances }));
  t.ok(says(paid, '券余额 BALANCE', 'CNY 200.00') && says(paid, '应付 TO PAY', '200.00'));
  t.notMatch(paid, '0000000000017', 'whoever finds the receipt does not hold the coupon');
  const refused = printed(coupon, { result: 'refused', code: 'coupon.balanceTooLow', balances });
  t.ok(refused.includes('NOT ACCEPTED') && !refused.includes('ACCEPTED 交') && says(refused, '券余额', 'CNY 200.00'));
  const unsure = printed(requestFor({ name: 'couponCard' }), { result: 'unknown', code: 'card.unknown' });
  t.match(unsure, 'NOT CONFIRMED');
  const lost = { result: 'unknown', code: 'card.unknown' } as const;
  const due = printed(requestFor({ name: 'topUpCard' }), lost);
  t.ok(due.includes('KEEP THE MONEY') && !due.includes('NOT DECIDED'));
  const undecided = printed(requestFor({ name: 'topUpCard' }), { ...lost, isUndecided: true });
  t.ok(
    undecided.includes('NOT DECIDED YET') &&
      undecided.includes('请保留此小票') &&
      !undecided.includes('KEEP THE MONEY'),
  );
  t.end();
});

t.test('what is undone, and what of it was money', (t) => {
  const spent = original('pointsSpend', {
    outcome: { ...original('pointsSpend').outcome, coveredMinor: minor(5_000), restMinor: minor(25_000) },
  });
  const request = requestFor({ name: 'void', original: spent });
  const text = printed(request, accepted(request, { pointsPosted: 5_000 }));
  t.ok(says(text, '原实付 WAS PAID', '250.00') && says(text, '退回积分 RETURNED', '5000'));
  t.match(text, /原交易/);
  const earned = requestFor({ name: 'refund', original: original('pointsEarn'), amountMinor: minor(400) });
  t.ok(says(printed(earned, accepted(earned, { pointsPosted: 4 })), '扣回积分 TAKEN BACK', '4'));
  t.end();
});

t.test('the till’s own price is marked', (t) => {
  const line = { code: 'C1', name: 'Cake', quantity: 2, unitPriceMinor: 5_000, amountMinor: 10_000 };
  const bill = (priceSource: 'override' | 'catalogue'): Bill => ({
    currency: 'CNY',
    totalMinor: 10_000,
    lines: [{ ...line, priceSource }],
    catalogueVersion: 1,
  });
  const text = (priceSource: 'override' | 'catalogue'): string => {
    const request = requestFor({ name: 'plainSale' }, { bill: bill(priceSource) });
    return printed(request, serviceOf(request).accepted(null, null));
  };
  t.ok(says(text('override'), '2 x 50.00 *', '100.00'));
  t.match(text('override'), 'price set by the till');
  t.notMatch(text('catalogue'), '*  ', 'no mark');
  t.ok(says(text('catalogue'), '2 x 50.00', '100.00'));
  t.end();
});

t.test('the largest figures are whole', (t) => {
  for (const currency of Object.keys(currencies) as Currency[]) {
    const max = formatAmount(amountMinorMax, currency);
    const lines = [
      {
        code: null,
        name: '大',
        quantity: 99_999,
        unitPriceMinor: amountMinorMax,
        priceSource: 'override',
        amountMinor: amountMinorMax,
      },
    ] as const;
    const request = requestFor(
      { name: 'couponHost', couponCode: null },
      { bill: { currency, totalMinor: amountMinorMax, lines: [...lines], catalogueVersion: null } },
    );
    const balances = { ...nothingKnown, couponMinor: amountMinorMax, couponCode: 'SLC9999999999999', currency };
    const text = printed(request, accepted(request, { coveredMinor: amountMinorMax, balances }));
    t.match(text, `99999 x ${max}`);
    t.equal(text.split(max).length, 6, `${currency}: price, amount, total, covered and balance`);
  }
  t.end();
});

const hostile = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 120 }),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
  fc
    .array(
      fc.constantFrom(
        ...['\u001b[2J', '\u0000', '\r\n', '\u202e', '\u2066', '\u200b', '👨‍👩‍👧‍👦', '🇨🇳', '❤️', '1️⃣', '👍🏽', '\ud83d'],
        ...[
          'e\u0301\u0301\u0301',
          'ﾞ',
          'ｶﾞ',
          '한',
          'ᄒ',
          'ᅡ',
          'ᆫ',
          '汉',
          '，',
          '。',
          ' ',
          'a',
          'ﷺ',
          '\u0e33',
          '\u0903',
          '𒐫',
        ],
      ),
      { minLength: 1, maxLength: 100 },
    )
    .map((parts) => parts.join('')),
);

t.test('whatever the names are, no line is wider than the paper and nothing on it steers a printer', (t) => {
  const outcome = (request: SaleRequest): fc.Arbitrary<SaleOutcome> =>
    fc.oneof(
      fc.constant(accepted(request)),
      fc.constant(serviceOf(request).accepted(null, null)),
      fc
        .constantFrom(...(Object.keys(errorTable) as ErrorCode[]))
        .map((code) => ({ result: 'refused', code, balances: nothingKnown }) as const),
      fc.constant({ result: 'unknown', code: 'card.unknown' } as const),
    );
  const sale = fc
    .record({
      service: fc.constantFrom<Service>(...serviceExamples),
      names: fc.array(hostile, { maxLength: 3 }),
      merchant: hostile,
      location: hostile,
      clerk: hostile,
      reference: fc.option(hostile),
    })
    .chain(({ service, names, merchant, location, clerk, reference }) => {
      const base = requestFor(service);
      const line = {
        code: null,
        quantity: 3,
        unitPriceMinor: 1_000,
        priceSource: 'override',
        amountMinor: 3_000,
      } as const;
      const request: SaleRequest = {
        ...base,
        clerk,
        reference,
        terms: { ...base.terms, merchant, location },
        bill: { ...base.bill, lines: names.map((name) => ({ ...line, name })) },
      };
      return outcome(request).map((made) => ({ request, made }));
    });
  fc.assert(
    fc.property(sale, fc.boolean(), ({ request, made }, copy) => {
      const text = printed(request, made, { copy });
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text.replaceAll('\n', '')))
        throw new Error('left something that steers');
      if (text.length > 60 * 128) throw new Error('a line without end');
    }),
    { numRuns: 1_000 },
  );
  t.pass('1,000 receipts');
  t.end();
});
