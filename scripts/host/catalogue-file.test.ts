/**
 * Shows how catalogue files are read: strict CSV, columns by header, exact prices, receipts by their latest row, and that
 * every bad row is reported with its line while the good ones around it stay. Texts are written here; no file is read.
 */
import t from 'tap';
import { readCatalogue } from './catalogue-file.js';
import { parseCsv } from './csv.js';

const options = { currency: 'GBP', category: 'retail' } as const;

t.test('CSV as RFC 4180 has it', (t) => {
  const { rows, problems } = parseCsv('\ufeffa,b\r\n"x, ""y""","two\nlines"\r\n\r\n1,\n,2');
  t.same(problems, []);
  t.same(rows, [
    { line: 1, cells: ['a', 'b'] },
    { line: 2, cells: ['x, "y"', 'two\nlines'] },
    { line: 5, cells: ['1', ''] },
    { line: 6, cells: ['', '2'] },
  ]);
  t.end();
});

t.test('a broken row costs itself alone', (t) => {
  const { rows, problems } = parseCsv(
    `a,b\nx"y,1\n"p"q,2\ngood,3\n${'z'.repeat(5_000)},4\n${'1,'.repeat(70)}\nlast,5\n"open,6`,
  );
  t.same(
    rows.map(({ cells }) => cells[0]),
    ['a', 'good', 'last'],
  );
  t.same(
    problems.map(({ line }) => line),
    [2, 3, 5, 6, 8],
  );
  t.end();
});

t.test('a catalogue: one row a product, in any order of columns', (t) => {
  const read = readCatalogue('Category,Price,Product Code,Name\ncake,100.00,CAKE1,红茶蛋糕\n,2.5,TEA1,Tea\n', options);
  t.same(read.problems, []);
  t.same(read.products, [
    { code: 'CAKE1', name: '红茶蛋糕', priceMinor: 10_000, category: 'cake' },
    { code: 'TEA1', name: 'Tea', priceMinor: 250, category: 'retail' },
  ]);
  t.end();
});

t.test('prices that are not exact are refused with their line', (t) => {
  const wrong = ['1.005', '1e3', '１２', '-1', '1,000', '', 'NaN', '99999999999999', ' 1 2', '0x10', '+3'];
  const text = `code,name,price\nGOOD,Good,0\n${wrong.map((price, i) => `C${i},Name,"${price}"`).join('\n')}\n`;
  const read = readCatalogue(text, options);
  t.same(
    read.products.map(({ code }) => code),
    ['GOOD'],
    'a catalogue may give something away',
  );
  t.same(
    read.problems.map(({ line }) => line),
    wrong.map((_price, i) => i + 3),
  );
  t.end();
});

t.test('codes, names and widths that do not fit are refused', (t) => {
  const read = readCatalogue(
    'code,name,price\nA B,x,1\n,x,1\nA,,1\nA,x\nA,x,1,2\nA,"a\u0007",1\nA,fine,1\nA,again,2\n',
    options,
  );
  t.same(read.products, [{ code: 'A', name: 'fine', priceMinor: 100, category: 'retail' }]);
  t.equal(read.problems.length, 7);
  t.match(read.problems.at(-1)?.reason, /twice/);
  t.end();
});

t.test('receipts: the latest price wins, adjustments are reported', (t) => {
  const head = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n';
  const line = (code: string, name: string, price: string) =>
    `536365,${code},${name},6,2010-12-01 08:26:00,${price},17850.0,United Kingdom\n`;
  const read = readCatalogue(
    head +
      line('85123A', 'HOLDER', '2.55') +
      line('85123A', 'HOLDER', '2.95') +
      line('B', '', '1.0') +
      line('85123A', 'HOLDER', '0.0') +
      line('C', 'C', '-5.0'),
    options,
  );
  t.same(read.products, [{ code: '85123A', name: 'HOLDER', priceMinor: 295, category: 'retail' }]);
  t.equal(read.repriced, 1);
  t.same(
    read.problems.map(({ line: at }) => at),
    [4, 5, 6],
  );
  t.end();
});

t.test('a header without the columns says which are missing', (t) => {
  const read = readCatalogue('code,amount\nA,1\n', options);
  t.same(read.products, []);
  t.match(read.problems[0]?.reason, /name.*price/);
  t.same(readCatalogue('', options).products, []);
  t.end();
});
