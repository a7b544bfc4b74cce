/**
 * Products out of a CSV file: columns by their header, prices read exactly, every row that does not fit reported.
 * Must not send anything. Understands catalogues of one row a product and lists of receipts, where the latest row wins.
 */
import { type Product, productSchema } from '../../host-sync/protocol/sync.js';
import { type Currency, parseAmount } from '../../terminal/kernel/units.js';
import { type CsvProblem, type CsvRow, parseCsv } from './csv.js';

/** Header names that are understood, in small letters without spaces and underscores. */
const columnNames = {
  code: ['code', 'productcode', 'stockcode', 'sku', 'barcode'],
  name: ['name', 'productname', 'description'],
  price: ['price', 'unitprice'],
  category: ['category'],
} as const;
type ColumnName = keyof typeof columnNames;

export interface CatalogueFile {
  readonly products: readonly Product[];
  readonly problems: readonly CsvProblem[];
  readonly rows: number;
  /** Products whose price differed between rows. */
  readonly repriced: number;
}

export interface CatalogueFileOptions {
  readonly currency: Currency;
  /** For rows without a category of their own. */
  readonly category: string;
}

function columnsOf(header: CsvRow | undefined): Readonly<Record<ColumnName, number>> | string {
  const names = (header?.cells ?? []).map((cell) => cell.toLowerCase().replaceAll(/[\s_-]/g, ''));
  const at = (column: ColumnName): number => {
    const known: readonly string[] = columnNames[column];
    return names.findIndex((name) => known.includes(name));
  };
  const columns = { code: at('code'), name: at('name'), price: at('price'), category: at('category') };
  const missing = (['code', 'name', 'price'] as const).filter((column) => columns[column] < 0);
  if (missing.length === 0) return columns;
  return `the header lacks ${missing.map((column) => columnNames[column].join(' or ')).join('; ')}`;
}

function productOf(
  row: CsvRow,
  columns: Readonly<Record<ColumnName, number>>,
  isReceipts: boolean,
  options: CatalogueFileOptions,
): Product | string {
  const cell = (column: ColumnName): string => (row.cells[columns[column]] ?? '').trim();
  const price = parseAmount(cell('price'), options.currency);
  if (!price.ok) return `price: ${price.error.detail}`;
  // A receipt line at 0 is an adjustment; a catalogue may well give something away.
  if (isReceipts && price.value === 0) return 'price: 0 on a receipt is an adjustment, not a price';
  const category = columns.category < 0 ? '' : cell('category');
  const product = productSchema.safeParse({
    code: cell('code'),
    name: cell('name'),
    priceMinor: price.value,
    category: category || options.category,
  });
  if (product.success) return product.data;
  const issue = product.error.issues[0];
  return `${issue?.path.join('.')}: ${issue?.message}`;
}

/** Reads a file's text. A list of receipts is known by its InvoiceNo column; its rows are in order of time. */
export function readCatalogue(text: string, options: CatalogueFileOptions): CatalogueFile {
  const { rows: all, problems: broken } = parseCsv(text);
  const [header, ...rows] = all;
  const columns = columnsOf(header);
  if (typeof columns === 'string')
    return { products: [], problems: [{ line: 1, reason: columns }], rows: rows.length, repriced: 0 };
  const width = header?.cells.length ?? 0;
  const isReceipts = header?.cells.some((cell) => cell.toLowerCase() === 'invoiceno') ?? false;
  const problems = [...broken];
  const products = new Map<string, Product>();
  const repriced = new Set<string>();
  for (const row of rows) {
    const product =
      row.cells.length === width
        ? productOf(row, columns, isReceipts, options)
        : `${row.cells.length} cells where the header has ${width}`;
    if (typeof product === 'string') {
      problems.push({ line: row.line, reason: product });
      continue;
    }
    const before = products.get(product.code);
    if (before && !isReceipts) {
      problems.push({ line: row.line, reason: `code ${product.code} stands in the file twice` });
      continue;
    }
    if (before && before.priceMinor !== product.priceMinor) repriced.add(product.code);
    products.set(product.code, product);
  }
  problems.sort((a, b) => a.line - b.line);
  return { products: [...products.values()], problems, rows: rows.length + broken.length, repriced: repriced.size };
}
