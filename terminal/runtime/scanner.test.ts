/**
 * Shows what a box does with what its scanner reads: products into a basket, command barcodes into sales, and everything
 * that is no code (control characters, SQL, unknown products, too many) into a refusal that the clerk sees.
 */
import t from 'tap';
import { checkDigit } from '../../drivers/protocols/gs1/check-digits.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import { shopDay } from './sale-view.js';

const cake = '6901234567892';
const noodles = '6909876543210';

const scansOf = (box: BoxDouble): string[] =>
  box.events.flatMap(({ event }) => (event.type === 'scan' ? [event.code] : []));

t.test('products with quantities are sold by a command barcode, and the basket is empty after it', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake, 'SL!QTY 3', noodles, cake, 'SL!REMOVE', 'SL!PLAIN');
  const [sale] = box.terminal.sales(1, null);
  t.match(sale, { service: 'plainSale', totalMinor: 17_500, clerk: 'scanner', phase: 'ended', reference: null });
  t.match(box.records[0], {
    kind: 'plainSale',
    bill: {
      lines: [
        { code: cake, quantity: 1, unitPriceMinor: 10_000, priceSource: 'catalogue' },
        { code: noodles, quantity: 3, amountMinor: 7_500 },
      ],
      catalogueVersion: 7,
    },
  });
  t.same(scansOf(box), [cake, noodles, cake], 'a till in series hears of products, not of commands');
  box.reader.scan('SL!PLAIN');
  t.equal(box.terminal.sales(10, null).length, 1, 'nothing is sold twice');
  t.equal(box.reader.signals.at(-1), 'refused');
});

t.test('what follows a command at once belongs to the next basket', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake, 'SL!PLAIN', noodles, 'SL!PLAIN');
  t.same(
    box.terminal.sales(10, null).map(({ totalMinor }) => totalMinor),
    [2_500, 10_000],
  );
});

t.test('earn, spend, coupon and card by command barcodes', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  for (const [command, service] of [
    ['SL!EARN', 'pointsEarn'],
    ['SL!SPEND 500', 'pointsSpend'],
    ['SL!COUPON', 'couponHost'],
    ['SL!CARD', 'couponCard'],
  ] as const) {
    box.reader.scan(cake, command);
    const open = box.terminal.status().sale;
    t.match(open, { service, totalMinor: 10_000, phase: 'waiting', clerk: 'scanner' });
    box.reader.tap(phone);
    t.match((await box.ended(open?.transactionId ?? '')).outcome, { result: 'accepted' }, command);
  }
  box.reader.scan(cake, 'SL!EARN');
  const earn = box.terminal.status().sale?.transactionId ?? '';
  box.reader.scan('SLM1234567890128');
  t.match((await box.ended(earn)).outcome, { result: 'accepted' }, 'the member’s code instead of a tap');
  box.reader.scan(cake, 'SL!COUPON');
  const coupon = box.terminal.status().sale?.transactionId ?? '';
  box.reader.scan('SLC1234567890128');
  t.match((await box.ended(coupon)).outcome, { result: 'accepted', coveredMinor: 10_000 }, 'the coupon’s code');
});

t.test('void and refund by command barcodes leave the basket as it is', async (t) => {
  const box = await openBox(t);
  const sold = await box.start({ service: 'plainSale' }, { reference: 'S-1' });
  const other = await box.start({ service: 'plainSale' });
  box.reader.scan(cake, 'SL!VOID S-1');
  await until('the void', () => box.terminal.sale(sold.transactionId)?.voided && !box.terminal.status().sale);
  box.reader.scan(`SL!REFUND 100 ${other.transactionId}`);
  await until('the refund', () => !box.terminal.status().sale);
  t.equal(box.terminal.sale(other.transactionId)?.refundedMinor, 100);
  box.reader.scan('SL!VOID S-1');
  t.equal(box.reader.signals.at(-1), 'refused', 'twice is refused');
  box.reader.scan('SL!PLAIN');
  t.match(box.terminal.sales(1, null)[0], { service: 'plainSale', totalMinor: 10_000 }, 'the cake is still to be paid');
});

t.test('cancel ends the open sale and empties the basket', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake, 'SL!EARN', noodles, 'SL!CANCEL', 'SL!PLAIN');
  const [sale, ...more] = box.terminal.sales(10, null);
  t.same(more, []);
  t.match(sale, { service: 'pointsEarn', outcome: { result: 'refused', code: 'sale.cancelled' } });
});

t.test('what cannot be sold is refused to the clerk’s eyes, and the basket stays', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake, '0000000000000', 'SL!PLAIN');
  t.equal(box.reader.signals.at(-1), 'refused', 'an unknown product');
  t.equal(box.terminal.sales(10, null).length, 0);
  box.reader.scan('SL!REMOVE', 'SL!PLAIN');
  t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 10_000, 'without it, the rest is sold');

  await box.start({ service: 'pointsEarn' }, { reference: 'T-1' });
  box.reader.scan(noodles, 'SL!PLAIN');
  t.equal(box.reader.signals.at(-1), 'refused', 'a box that is busy');
  t.match(box.terminal.status().sale, { reference: 'T-1', phase: 'waiting' }, 'whose sale is as it was');
  await box.terminal.cancelSale('T-1');
  box.reader.scan('SL!PLAIN');
  t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 2_500);
});

t.test('no text from a scanner does more than be a code or be refused', async (t) => {
  const box = await openBox(t);
  const bad = [
    '690\u0000123',
    '\u001b[2J',
    '690\u001d123',
    'SL!VOID \u0007',
    'SL!NOTHING',
    'SL!SPEND 0',
    'SL!SPEND -5',
    'SL!SPEND 1e3',
    'SL!QTY 100000',
    'SL!REFUND 1.5 S-1',
    'SL!REFUND 99999999999999999999 S-1',
    'SLM1234567890123',
    'SLC0000000000001',
    'x'.repeat(49),
    '１２３',
    'two words',
  ];
  for (const [index, code] of bad.entries()) {
    box.reader.scan(code);
    t.equal(box.reader.signals.length, index + 1, JSON.stringify(code));
  }
  t.same(new Set(box.reader.signals), new Set(['refused']));
  t.same([scansOf(box), box.terminal.sales(10, null), box.crashes], [[], [], []]);

  const sql = "x';DELETE/**/FROM/**/sale;--";
  const sold = await box.start({ service: 'plainSale' }, { reference: 'S-1' });
  box.reader.scan(sql, 'SL!PLAIN', 'SL!REMOVE', "SL!VOID x'OR'1'='1", 'SL!VOID __proto__');
  t.same(scansOf(box), [sql], 'text like any other to the till');
  t.equal(box.terminal.sale('S-1')?.transactionId, sold.transactionId);
  t.equal(box.terminal.sale('S-1')?.voided, false);
  t.equal(box.terminal.sales(10, null).length, 1);
  t.equal(box.store.verifyChains(), null);
});

t.test('a full basket takes no more', async (t) => {
  const box = await openBox(t);
  for (let line = 0; line < 500; line++) box.reader.scan(noodles);
  t.same(box.reader.signals, []);
  box.reader.scan(noodles);
  t.same(box.reader.signals, ['refused']);
  box.reader.scan('SL!PLAIN');
  t.same(box.reader.signals, ['refused', 'refused'], 'so many lines with such names are too long for one record');
  for (let line = 0; line < 200; line++) box.reader.scan('SL!REMOVE');
  box.reader.scan('SL!PLAIN');
  t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 300 * 2_500, 'but nothing is lost, and it can be sold in parts');
});

t.test('a till’s sale takes what was scanned off the box’s own basket', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake);
  t.same(scansOf(box), [cake], 'the till hears the product');
  await box.start({ service: 'plainSale' }, { purchase: { lines: [{ code: cake, quantity: 1 }] } });
  box.reader.scan('SL!PLAIN');
  t.equal(box.terminal.sales(10, null).length, 1);
  t.equal(box.reader.signals.at(-1), 'refused', 'there is nothing left to sell');
});

t.test('a till that the box refuses has sold nothing of the basket', async (t) => {
  const box = await openBox(t);
  box.reader.scan(cake);
  await box.refused({ service: 'plainSale' }, { purchase: { lines: [{ code: '0000', quantity: 1 }] } });
  box.reader.scan('SL!PLAIN');
  t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 10_000);
});

t.test('a box whose scanner sells nothing passes products on and hears member codes', async (t) => {
  const box = await openBox(t, { options: { scannerSells: false } });
  box.reader.scan(cake, 'SL!PLAIN');
  t.same(scansOf(box), [cake]);
  t.same([box.terminal.sales(10, null), box.reader.signals], [[], []]);
  const { transactionId } = await box.start({ service: 'pointsEarn' });
  box.reader.scan('SL!CANCEL', 'SLM1234567890128');
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
});

t.test('a barcode undoes nothing unless the merchant allows it', async (t) => {
  const box = await openBox(t, { options: { scannerUndoes: false } });
  const { transactionId } = await box.start({ service: 'plainSale' }, { reference: 'S-1' });
  box.reader.scan(`SL!VOID ${transactionId}`, 'SL!REFUND 100 S-1');
  t.match(box.terminal.sale('S-1'), { voided: false, refundedMinor: 0 });
  t.same(box.reader.signals.slice(-2), ['refused', 'refused']);
  t.notOk(box.kinds.includes('void') || box.kinds.includes('refund'));
});

t.test(
  'one product in four symbols is one product, and what the symbol says of the item reaches the till',
  async (t) => {
    const box = await openBox(t);
    box.reader.scanSymbol(']E0', cake);
    box.reader.scanSymbol(']C1', `010${cake}10L1\u001d21S1`);
    box.reader.scanSymbol(']d2', `010${cake}`);
    box.reader.scanSymbol(']Q1', `https://example.cn/01/0${cake}`);
    box.reader.scan('SL!PLAIN');
    t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 40_000);
    t.same(scansOf(box), [cake, cake, cake, cake]);
    const [, marked] = box.events.flatMap(({ event }) => (event.type === 'scan' ? [event] : []));
    t.same(marked?.marks, { gtin: `0${cake}`, batch: 'L1', serial: 'S1', expiresOn: null });
    box.reader.scanSymbol(']E0', '6901234567893');
    box.reader.scanSymbol(']C1', `010${cake}1`);
    t.same(box.reader.signals.slice(-2), ['refused', 'refused'], 'a misread digit, a cut string');
  },
);

t.test(
  'an item past its use-by date stays out of the basket, unless the merchant or a doubtful clock says otherwise',
  async (t) => {
    const box = await openBox(t);
    const day = (after: number): string =>
      shopDay(box.clock.wallMs() + after * 86_400_000)
        .replaceAll('-', '')
        .slice(2);
    const symbol = (after: number): string => `010${cake}17${day(after)}`;
    box.reader.scanSymbol(']C1', symbol(-1));
    t.equal(box.reader.signals.at(-1), 'refused');
    t.match(box.events.at(-1)?.event, { type: 'scan', code: cake, problem: 'product.expired' });
    box.reader.scanSymbol(']C1', symbol(0));
    box.reader.scanSymbol(']C1', symbol(1));
    box.reader.scan('SL!PLAIN');
    t.equal(box.terminal.sales(1, null)[0]?.totalMinor, 20_000, 'the last day still counts');

    const open = await openBox(t, { options: { expiredRefused: false } });
    open.reader.scanSymbol(']C1', symbol(-1));
    open.reader.scan('SL!PLAIN');
    t.equal(open.terminal.sales(1, null)[0]?.totalMinor, 10_000);

    const late = await openBox(t);
    late.wallStepMs = 86_400_000;
    late.reader.scanSymbol(']C1', symbol(0));
    late.reader.scan('SL!PLAIN');
    t.equal(late.terminal.sales(1, null)[0]?.totalMinor, 10_000, 'somebody set the clock: it proves nothing');
  },
);

t.test('a scale’s label is its article at the label’s price, where the merchant asked for it', async (t) => {
  const digits = '690123401999';
  const label = digits + String(checkDigit(digits));
  const weighed = `21${'12345'}01999`;
  const scale = weighed + String(checkDigit(weighed));
  const box = await openBox(t, { options: { weighedForms: ['21IIIIIVVVVVC'] } });
  box.reader.scan(scale, 'SL!PLAIN');
  t.match(box.records[0], {
    bill: { totalMinor: 1_999, lines: [{ code: '2112345', unitPriceMinor: 1_999, priceSource: 'override' }] },
  });
  t.same(scansOf(box), [scale], 'the till hears the label');
  box.reader.scan(label, 'SL!PLAIN');
  t.equal(box.reader.signals.at(-1), 'refused', 'another prefix is a product like any other');
});
