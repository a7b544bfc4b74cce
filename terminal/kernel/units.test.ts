/**
 * Shows that no wrong number becomes money, points or a quantity, whichever way it is written, and that every amount
 * of every currency survives being written and read. Examples of the usual attacks first, then random values.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  amountMinor,
  amountMinorMax,
  type Currency,
  currencies,
  formatAmount,
  isCurrency,
  multiplyDivideCeil,
  multiplyDivideFloor,
  parseAmount,
  parsePoints,
  points,
  pointsMax,
  quantity,
  quantityMax,
} from './units.js';

const everyCurrency = Object.keys(currencies) as Currency[];
const codeOf = (result: { ok: boolean; error?: { code: string } }): string => result.error?.code ?? 'ok';

t.test('what is no whole number in range is refused with its code', (t) => {
  const notIntegers = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1.5,
    1e-7,
    -0,
    '5',
    '',
    null,
    undefined,
    true,
    [5],
    {},
    5n,
  ];
  for (const make of [amountMinor, points, quantity])
    for (const value of notIntegers)
      t.equal(codeOf(make(value)), 'value.notAnInteger', `${make.name} ${typeof value} ${String(value)}`);
  for (const value of [-1, 2 ** 53, 2 ** 53 + 2, 1e308, -1e308, amountMinorMax + 1, Number.MAX_SAFE_INTEGER]) {
    t.equal(codeOf(amountMinor(value)), 'value.outOfRange', `amount ${value}`);
    t.equal(codeOf(points(value)), 'value.outOfRange', `points ${value}`);
  }
  t.equal(codeOf(quantity(0)), 'value.outOfRange');
  t.equal(codeOf(quantity(quantityMax + 1)), 'value.outOfRange');
  t.equal(codeOf(amountMinor(0)), 'ok');
  t.equal(codeOf(amountMinor(amountMinorMax)), 'ok');
  t.equal(codeOf(points(pointsMax)), 'ok');
  t.equal(codeOf(quantity(quantityMax)), 'ok');
  t.end();
});

t.test('amounts as people should not type them', (t) => {
  const refused = [
    '',
    ' ',
    ' 1',
    '1 ',
    '1\n',
    '1.005',
    '1.',
    '.5',
    '１２',
    '１２.００',
    '٣',
    '1,000',
    '1_000',
    '1e3',
    '1E308',
    '0x10',
    '-5',
    '+5',
    '-0',
    '−5',
    '1.2.3',
    '1..2',
    'NaN',
    'Infinity',
    '¥5',
    '5元',
    '1\u00002',
    '5\u200b',
    '9'.repeat(14),
    '9'.repeat(100_000),
  ];
  for (const text of refused)
    t.equal(codeOf(parseAmount(text, 'CNY')), 'value.malformed', JSON.stringify(text.slice(0, 20)));
  t.equal(codeOf(parseAmount('1.5', 'JPY')), 'value.malformed', 'a yen has no decimals');
  t.equal(codeOf(parseAmount('1.0005', 'KWD')), 'value.malformed', 'a dinar has three');
  for (const currency of everyCurrency)
    t.equal(codeOf(parseAmount('9999999999999', currency)), 'value.outOfRange', `13 digits of ${currency}`);
  t.equal(codeOf(parseAmount('9999999999999.999', 'KWD')), 'value.outOfRange', 'past 2^53 on the way');
  t.equal(codeOf(parseAmount('9007199254740.993', 'KWD')), 'value.outOfRange', '2^53 + 1');
  t.end();
});

t.test('amounts as documented', (t) => {
  const read = (text: string, currency: Currency) => {
    const amount = parseAmount(text, currency);
    return amount.ok ? amount.value : amount.error.code;
  };
  t.equal(read('300.00', 'CNY'), 30_000);
  t.equal(read('300', 'CNY'), 30_000);
  t.equal(read('300.5', 'CNY'), 30_050);
  t.equal(read('0.29', 'CNY'), 29, 'a float would make 28 of 0.29 × 100');
  t.equal(read('1.15', 'CNY'), 115);
  t.equal(read('007', 'CNY'), 700, 'leading zeros change nothing');
  t.equal(read('0', 'CNY'), 0);
  t.equal(read('1250', 'JPY'), 1_250);
  t.equal(read('1.005', 'KWD'), 1_005);
  t.equal(read('9999999999.99', 'CNY'), amountMinorMax);
  t.equal(read('10000000000.00', 'CNY'), 'value.outOfRange');
  t.equal(formatAmount(30_000, 'CNY'), '300.00');
  t.equal(formatAmount(5, 'KWD'), '0.005');
  t.equal(formatAmount(0, 'JPY'), '0');
  t.equal(formatAmount(-5, 'CNY'), '-0.05');
  for (const value of [Number.NaN, 0.5, 2 ** 53]) t.throws(() => formatAmount(value, 'CNY'), /invariant/);
  t.end();
});

t.test('every amount of every currency is read as it is written', (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...everyCurrency), fc.integer({ min: 0, max: amountMinorMax }), (currency, value) => {
      const back = parseAmount(formatAmount(value, currency), currency);
      return back.ok && back.value === value;
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...everyCurrency), fc.string({ unit: 'binary' }), (currency, text) => {
      const read = parseAmount(text, currency);
      return !read.ok || /^[0-9]+(\.[0-9]+)?$/.test(text);
    }),
  );
  t.pass('both ways');
  t.end();
});

t.test('points are 1 to 12 ASCII digits', (t) => {
  for (const text of ['', '-1', '1.0', '1e3', '１', ' 1', '1 ', '1,000', '9'.repeat(13)])
    t.equal(codeOf(parsePoints(text)), 'value.malformed', text);
  t.match(parsePoints('999999999999'), { ok: true, value: pointsMax });
  t.match(parsePoints('0'), { ok: true, value: 0 });
  t.end();
});

t.test('currencies are own names only', (t) => {
  for (const name of ['__proto__', 'constructor', 'toString', 'cny', '', null, 5])
    t.notOk(isCurrency(name), String(name));
  t.ok(isCurrency('CNY'));
  t.end();
});

t.test('multiply and divide are exact and never on the wrong side', (t) => {
  const term = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const divisor = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(term, term, divisor, (a, b, c) => {
      const exact = BigInt(a) * BigInt(b);
      const [floor, ceil] = [multiplyDivideFloor(a, b, c), multiplyDivideCeil(a, b, c)];
      if (!Number.isSafeInteger(ceil)) return;
      const isFloor = BigInt(floor) * BigInt(c) <= exact && (BigInt(floor) + 1n) * BigInt(c) > exact;
      const isCeil = BigInt(ceil) * BigInt(c) >= exact && (BigInt(ceil) - 1n) * BigInt(c) < exact;
      if (!isFloor || !isCeil) throw new Error(`${a} × ${b} ÷ ${c}: ${floor}, ${ceil}`);
    }),
  );
  t.equal(multiplyDivideFloor(999_999_999_999, 1_000_000, 1_000_000_000), 999_999_999);
  t.end();
});
