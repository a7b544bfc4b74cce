/**
 * Shows that receipts go through the shipped box to the host with every line accounted for: a small file with each kind
 * of line, whose answers are known beforehand, and the first 60 invoices of the retail file; host and box are processes.
 * Then that the reconciliation finds a penny, a line or a point that is missing in any book.
 */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { PROJECT_ROOT } from '../lib/source-files.js';
import { independentSum } from './independent-sum.js';
import { billsOf } from './play.js';
import { type Check, type ReconcileFacts, reconcile } from './reconcile.js';
import { linesOfDay, type RetailLine } from './retail-file.js';
import { Returns } from './returns.js';
import { type Replay, replay } from './run.js';

const retailFile = path.resolve(PROJECT_ROOT, '..', 'shared', 'data', 'online-retail-2010-12_2011-02.csv.gz');
const header = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country';
const row = (invoice: string, code: string, quantity: number, price: string, customer: string): string =>
  `${invoice},${code},"A ""fine"" thing, red",${quantity},2010-12-01 08:26:00,${price},${customer},United Kingdom`;
const wrong = (checks: readonly Check[]): readonly string[] =>
  checks.filter(({ found, wanted }) => found !== wanted).map(({ what }) => what);
const answers = ({ day }: Replay): readonly (readonly (string | number)[])[] =>
  day.lines.map(({ line, outcome, code, reference }) => [line.row, reference, code ?? outcome]);
const play = (file: string, invoices: number | null): Promise<Replay> =>
  replay({ file, day: null, invoices, progress: () => {} });

t.test('each kind of line has its answer', async (t) => {
  const file = path.join(t.testdir(), 'small.csv');
  const rows = [
    row('1001', 'AB1', 10, '2.5', '17850.0'),
    row('1001', 'AB2', 1, '0.99', '17850.0'),
    row('1001', 'FREE', 3, '0.0', '17850.0'),
    row('1001', 'TWO WORDS', 1, '4.0', '17850.0'),
    row('1002', 'AB1', 1, '2.5', ''),
    row('C1003', 'AB1', -6, '2.5', '17850.0'),
    row('C1004', 'AB1', -6, '2.5', '17850.0'),
    row('C1005', 'AB1', -1, '2.5', '13047.0'),
    row('C1006', 'AB1', -1, '2.5', ''),
    row('1007', 'DEBT', 1, '-11062.06', ''),
    row('1008', 'LOST', 5, '0.0', ''),
    row('1009', 'LOST', 5, '0.0', '13047.0'),
    row('C1010', 'AB2', -1, '50.0', '17850.0'),
  ];
  writeFileSync(file, `${header}\n${rows.join('\n')}\n1011,AB1,"of another day",1,2010-12-02 08:00:00,1.0,,France\n`);
  const result = await play(file, null);
  t.same(answers(result), [
    [2, '1001', 'sold'],
    [3, '1001', 'sold'],
    [4, '1001', 'sold'],
    [5, '1001.2', 'input.malformed'],
    [6, '1002', 'sold'],
    [7, 'C1003', 'refunded'],
    [8, 'C1004', 'original.unknown'],
    [9, 'C1005', 'original.unknown'],
    [10, 'C1006', 'original.unknown'],
    [11, '1007', 'value.outOfRange'],
    [12, '1008', 'sold'],
    [13, '1009', 'sale.empty'],
    [14, 'C1010', 'refund.tooLarge'],
  ]);
  t.match(result.day.bills, [
    { reference: '1001', totalMinor: 2_599, refundedMinor: 1_500 },
    { reference: '1002', totalMinor: 250, refundedMinor: 0 },
    { reference: '1008', totalMinor: 0 },
  ]);
  t.same(wrong(result.checks), []);
  t.equal(
    result.checks.find(({ what }) => what.startsWith('host, points of all'))?.found,
    10n,
    'of 10.99 that is left',
  );
});

t.test(
  'the first 60 invoices of the retail file',
  existsSync(retailFile) ? {} : { skip: `the retail file is not there (${path.basename(retailFile)})` },
  async (t) => {
    const result = await play(retailFile, 60);
    t.equal(result.invoices, 60);
    t.same(wrong(result.checks), []);
    const refused = result.day.lines.filter(({ outcome }) => outcome === 'refused');
    t.equal(result.day.lines.length, 917);
    t.ok(refused.length > 0, `${refused.length} refused`);
    t.same([...new Set(refused.map(({ code }) => code))], ['original.unknown']);
  },
);

const line = (changes: Partial<RetailLine>): RetailLine => ({
  ...{ row: 2, invoice: '1', code: 'AB1', quantity: 2, unitPriceMinor: 250, customer: '17850' },
  ...changes,
});

t.test('a return finds the purchase it belongs to', async (t) => {
  const returns = new Returns();
  returns.sold('1', [line({}), line({ quantity: 5, unitPriceMinor: 200 })]);
  returns.sold('2', [line({ quantity: 3, unitPriceMinor: 300 })]);
  const back = (changes: Partial<RetailLine>) => returns.purchaseOf(line({ quantity: -1, ...changes }));
  t.equal(back({}), '1', 'at the returned price');
  t.equal(back({ unitPriceMinor: 1 }), '2', 'else the newest');
  t.equal(back({ quantity: -5 }), '1', 'only there were as many');
  t.equal(back({ quantity: -6 }), null);
  t.equal(back({ code: 'AB2' }), null);
  t.equal(back({ customer: '13047' }), null);
  t.equal(back({ customer: null }), null);
  returns.returned(line({ quantity: -2 }));
  t.equal(back({}), '2', 'none is left of the first at this price');
});

t.test('a bill has at most 400 lines, and what no bill holds stands alone', async (t) => {
  const odd = [line({ code: 'A B' }), line({ quantity: -1 }), line({ unitPriceMinor: -1 }), line({ quantity: 0 })];
  const bills = billsOf([...odd, ...Array.from({ length: 801 }, (_, at) => line({ row: at }))]);
  t.same(
    bills.map((bill) => bill.length),
    [400, 400, 1, 1, 1, 1, 1],
  );
});

t.test('a row that is no receipt line is named', async (t) => {
  const text = (bad: string): string => `${header}\n${row('1', 'A', 1, '1.0', '')}\n${bad}\n`;
  const bad = [
    row('1', 'A', 1, '1.001', ''),
    row('1', 'A', 1, '1e3', ''),
    row('1', 'A', 1, '', ''),
    row('1', 'A', 1.5, '1.0', ''),
    row('1', 'A', 1, '1.0', '1785x'),
    row('', 'A', 1, '1.0', ''),
  ];
  for (const one of bad) t.throws(() => linesOfDay(text(one), null), /line 3 of the file/, one);
  t.throws(() => linesOfDay(text(''), '2010-12-02'), /no receipts/);
  t.throws(() => linesOfDay('a,b\n', null), /columns/);
});

/** A day of one member's bill and one other, and books that agree with it. */
function agreeing(): ReconcileFacts {
  const lines = [line({}), line({ row: 3, invoice: '2', customer: null }), line({ row: 4, quantity: -1 })];
  const [first, second, third] = lines as [RetailLine, RetailLine, RetailLine];
  const one = { count: 1, minor: 500 };
  const back = { count: 1, minor: 250 };
  const rules = { version: 1, currency: 'GBP', earnPoints: 1, earnPerMinor: 100 } as const;
  return {
    file: {
      members: { lines: 1n, tenThousandths: 50_000n },
      others: { lines: 1n, tenThousandths: 50_000n },
      returns: { lines: 1n, tenThousandths: -25_000n },
    },
    day: {
      lines: [
        { line: first, outcome: 'sold', code: null, reference: '1' },
        { line: second, outcome: 'sold', code: null, reference: '2' },
        { line: third, outcome: 'refunded', code: null, reference: 'C3' },
      ],
      bills: [
        { reference: '1', customer: '17850', totalMinor: 500, refundedMinor: 250 },
        { reference: '2', customer: null, totalMinor: 500, refundedMinor: 0 },
      ],
    },
    members: new Map([['17850', 'SLM1']]),
    till: { members: one, others: one, refunds: back, refundedMinor: 250 },
    journal: {
      ...{ plainSale: one, pointsEarn: one, refund: back, consumption: { count: 2, minor: 1_000 } },
      ...{ others: 0, settled: 5, fault: null },
    },
    host: {
      ...{ members: one, others: one, points: new Map([['SLM1', 2]]), deadLetters: 0, ledgerProblems: 0 },
      rules: { ...rules, spendMinor: 100, spendPerPoints: 100, couponPartial: true },
    },
  };
}

t.test('whatever is missing in one book is found', async (t) => {
  const good = agreeing();
  t.same(wrong(reconcile(good)), []);
  const { day, file, host, journal, till } = good;
  const penny = { count: 1, minor: 499 };
  const twice = { count: 2, minor: 500 };
  const broken: readonly (readonly [string, ReconcileFacts])[] = [
    ['a line lost', { ...good, day: { ...day, lines: day.lines.slice(1) } }],
    ['a line twice', { ...good, day: { ...day, lines: [...day.lines, ...day.lines.slice(0, 1)] } }],
    ['the file', { ...good, file: { ...file, members: { lines: 1n, tenThousandths: 50_001n } } }],
    ['the till', { ...good, till: { ...till, members: penny } }],
    ['a refund at the till', { ...good, till: { ...till, refundedMinor: 249 } }],
    ['the journal', { ...good, journal: { ...journal, plainSale: penny } }],
    ['a record twice', { ...good, journal: { ...journal, pointsEarn: twice } }],
    ['an unsent record', { ...good, journal: { ...journal, settled: 4 } }],
    ['the chain', { ...good, journal: { ...journal, fault: 'journal row 2' } }],
    ['the host', { ...good, host: { ...host, others: penny } }],
    ['points', { ...good, host: { ...host, points: new Map([['SLM1', 3]]) } }],
    ['a dead letter', { ...good, host: { ...host, deadLetters: 1 } }],
  ];
  for (const [what, facts] of broken) t.ok(wrong(reconcile(facts)).length > 0, what);
});

t.test('the independent sum reads quotes, signs and fractions of a penny', async (t) => {
  const text = [
    header,
    row('1', 'A', 3, '0.001', '17850.0'),
    row('1', 'A', -2, '1.5', '17850.0'),
    row('2', 'A', 1, '-3.25', ''),
    row('3', 'A', 1, '7.0', ''),
  ].join('\r\n');
  t.same(independentSum(new TextEncoder().encode(text), '2010-12-01', 2), {
    members: { lines: 1n, tenThousandths: 30n },
    others: { lines: 1n, tenThousandths: -32_500n },
    returns: { lines: 1n, tenThousandths: -30_000n },
  });
});
