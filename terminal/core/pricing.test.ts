/**
 * Shows that every bill adds up to the minor unit whatever is bought, that a till's own price is marked, and that what
 * cannot be priced is refused with its code. A small catalogue in memory stands for the look-up.
 */
import fc from 'fast-check';
import t from 'tap';
import { billLinesMax, billSchema, bodyBytesMax, decodeRecord, encodeRecord } from '../../host-sync/protocol/record.js';
import type { Product } from '../../host-sync/protocol/sync.js';
import { type AmountMinor, amountMinorMax } from '../kernel/units.js';
import { at, cardKeyId, nonce, requestFor, slotsBefore, write } from './core-fixtures.js';
import { keyedBill, type ProductLookup, priceBill, type WantedLine } from './pricing.js';
import { serviceOf } from './services/services.js';

const catalogue: readonly Product[] = [
  { code: 'C1', name: 'Cake', priceMinor: 10_000, category: 'cake' },
  { code: 'C2', name: 'Cake with cream', priceMinor: 12_000, category: 'cake' },
  { code: 'T1', name: '红茶', priceMinor: 1_050, category: 'tea' },
  { code: 'F1', name: 'Gift', priceMinor: 0, category: 'gift' },
];
const products: ProductLookup = {
  byCode: (code) => catalogue.find((product) => product.code === code) ?? null,
  byName: (name, limit) => {
    const exact = catalogue.filter((product) => product.name === name);
    const like = catalogue.filter((product) => product.name.toLowerCase().includes(name.toLowerCase()));
    return (exact.length > 0 ? exact : like).slice(0, limit);
  },
};
const price = (lines: readonly WantedLine[]) => priceBill(lines, 'CNY', 7, products);
const codeOf = (lines: readonly WantedLine[]): string => {
  const bill = price(lines);
  return bill.ok ? 'ok' : bill.error.code;
};
const minor = (value: number): AmountMinor => value as AmountMinor;

t.test('catalogue prices, quantities and the version that they are of', (t) => {
  const bill = price([
    { code: 'C1', quantity: 2 },
    { name: '红茶', quantity: 3 },
  ]);
  t.match(bill, {
    ok: true,
    value: {
      totalMinor: 23_150,
      catalogueVersion: 7,
      lines: [
        {
          code: 'C1',
          name: 'Cake',
          quantity: 2,
          unitPriceMinor: 10_000,
          priceSource: 'catalogue',
          amountMinor: 20_000,
        },
        { code: 'T1', name: '红茶', quantity: 3, unitPriceMinor: 1_050, priceSource: 'catalogue', amountMinor: 3_150 },
      ],
    },
  });
  t.end();
});

t.test('names: the exact one wins, a part of one must be unique', (t) => {
  t.match(price([{ name: 'Cake', quantity: 1 }]), { ok: true, value: { lines: [{ code: 'C1' }] } });
  t.match(price([{ name: 'cream', quantity: 1 }]), { ok: true, value: { lines: [{ code: 'C2' }] } });
  t.equal(codeOf([{ name: 'cak', quantity: 1 }]), 'product.ambiguous');
  t.equal(codeOf([{ name: 'wine', quantity: 1 }]), 'product.unknown');
  t.equal(codeOf([{ name: '', quantity: 1 }]), 'product.unknown', 'no name is not every name');
  t.equal(codeOf([{ quantity: 1 }]), 'product.unknown');
  t.equal(codeOf([{ code: '__proto__', quantity: 1 }]), 'product.unknown');
  t.end();
});

t.test('the till’s own price is an override, with or without the catalogue', (t) => {
  t.match(price([{ code: 'C1', quantity: 1, unitPriceMinor: minor(9_000) }]), {
    ok: true,
    value: { totalMinor: 9_000, lines: [{ code: 'C1', name: 'Cake', priceSource: 'override' }] },
  });
  t.match(price([{ code: 'X9', quantity: 1, unitPriceMinor: minor(5) }]), {
    ok: true,
    value: { lines: [{ code: 'X9', name: 'X9', priceSource: 'override' }] },
  });
  t.match(price([{ name: 'cak', quantity: 1, unitPriceMinor: minor(5) }]), {
    ok: true,
    value: { lines: [{ code: null, name: 'cak' }] },
  });
  t.match(price([{ code: 'C1', quantity: 1, unitPriceMinor: minor(0) }]), { ok: true, value: { totalMinor: 0 } });
  t.end();
});

t.test('refused', (t) => {
  t.equal(codeOf([]), 'sale.empty');
  t.equal(codeOf(Array.from({ length: billLinesMax + 1 }, () => ({ code: 'C1', quantity: 1 }))), 'bill.tooLong');
  t.equal(codeOf(Array.from({ length: billLinesMax }, () => ({ code: 'C1', quantity: 1 }))), 'ok');
  for (const quantity of [0, -1, 1.5, Number.NaN, 100_000, 2 ** 53, 1e308])
    t.equal(codeOf([{ code: 'C1', quantity }]), 'value.outOfRange', `${quantity} pieces`);
  t.equal(codeOf([{ code: 'C1', quantity: 2, unitPriceMinor: minor(amountMinorMax) }]), 'value.outOfRange');
  t.equal(
    codeOf([
      { code: 'C1', quantity: 1, unitPriceMinor: minor(amountMinorMax) },
      { code: 'T1', quantity: 1 },
    ]),
    'value.outOfRange',
    'the sum is too large, not a line',
  );
  t.end();
});

t.test('a bill that no record could carry is refused before anything is stored', (t) => {
  const long = Array.from({ length: billLinesMax }, (_, at) => ({
    name: `${'长'.repeat(100)}${at}`,
    quantity: 1,
    unitPriceMinor: minor(1),
  }));
  t.equal(codeOf(long), 'bill.tooLong');
  let lines: readonly WantedLine[] = [];
  for (const line of long) {
    if (codeOf([...lines, line]) !== 'ok') break;
    lines = [...lines, line];
  }
  t.ok(lines.length > 50, `${lines.length} lines of the longest names fit`);
  const bill = price(lines);
  if (!bill.ok) throw new Error(bill.error.detail);
  const request = requestFor(
    { name: 'couponCard' },
    { bill: bill.value, clerk: '员'.repeat(32), reference: 'r'.repeat(64) },
  );
  const tap = {
    method: 'tap',
    key: 'card',
    keyId: cardKeyId,
    terminalNonce: nonce,
    phoneNonce: nonce,
    counter: 1,
    proof: nonce,
  } as const;
  const card = {
    cardKeyId,
    slots: slotsBefore,
    authority: 'site',
    write,
    coveredMinor: minor(1),
    balances: null,
  } as const;
  const body = encodeRecord(serviceOf(request).record(tap, card, at), {
    terminalId: 't-0123456789ab',
    epoch: 0x7fffffff,
    sequence: Number.MAX_SAFE_INTEGER,
  });
  t.ok(body.length <= bodyBytesMax, `${body.length} bytes with the longest of everything else`);
  t.match(decodeRecord(body), { ok: true });
  t.end();
});

t.test('any bill that is made adds up and fits the wire', (t) => {
  const line = fc.record(
    {
      code: fc.constantFrom('C1', 'C2', 'T1', 'F1', 'X9'),
      quantity: fc.integer({ min: -1, max: 100_001 }),
      unitPriceMinor: fc.integer({ min: 0, max: amountMinorMax }).map(minor),
    },
    { requiredKeys: ['code', 'quantity'] },
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const bill = price(lines);
      if (!bill.ok) return;
      const sum = bill.value.lines.reduce((all, one) => all + BigInt(one.unitPriceMinor) * BigInt(one.quantity), 0n);
      if (BigInt(bill.value.totalMinor) !== sum) throw new Error('does not add up');
      if (!billSchema.safeParse(bill.value).success) throw new Error('does not fit the wire');
      if (bill.value.lines.length !== lines.length) throw new Error('a line is lost');
    }),
    { numRuns: 1_000 },
  );
  t.match(keyedBill(minor(5), 'JPY'), { currency: 'JPY', totalMinor: 5, lines: [], catalogueVersion: null });
  t.end();
});

t.test(
  'a product is found under its trade item number, whatever form catalogue and scan have; as written goes first',
  async (t) => {
    const rows = ['6901234567892', '00012345000065', '73513537', '4006381333931', '04006381333931', 'C1'];
    const listed: ProductLookup = {
      byCode: (code) => (rows.includes(code) ? { code, name: code, priceMinor: 100, category: '' } : null),
      byName: () => [],
    };
    const found = (code: string): string | null => {
      const bill = priceBill([{ code, quantity: 1 }], 'CNY', 1, listed);
      return bill.ok ? (bill.value.lines[0]?.code ?? null) : bill.error.code;
    };
    t.equal(found('06901234567892'), '6901234567892');
    t.equal(found('010690123456789217261231'), '6901234567892', 'an element string without a word about it');
    t.equal(found('https://id.gs1.org/01/06901234567892'), '6901234567892', 'from a till that passes on what it read');
    t.equal(found('01234565'), '00012345000065', 'UPC-E');
    t.equal(found('012345000065'), '00012345000065', 'UPC-A');
    t.equal(found('0000073513537'), '73513537', 'EAN-8');
    t.equal(found('4006381333931'), '4006381333931');
    t.equal(found('04006381333931'), '04006381333931');
    t.equal(found('16901234567899'), 'product.unknown', 'a case');
    t.equal(found('6901234567893'), 'product.unknown', 'a wrong digit');
  },
);
