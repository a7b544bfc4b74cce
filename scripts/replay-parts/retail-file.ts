/**
 * The retail file: one day of it as receipt lines with whole pieces and prices in pence. Refuses a row it cannot read.
 * Must not decide what becomes of a line.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { parseAmount } from '../../terminal/kernel/units.js';
import { parseCsv } from '../host/csv.js';

export interface RetailLine {
  /** Line of the file, the header being 1. */
  readonly row: number;
  readonly invoice: string;
  readonly code: string;
  /** Pieces; negative: they came back. */
  readonly quantity: number;
  /** Price of one piece in pence; an adjustment may be 0 or negative. */
  readonly unitPriceMinor: number;
  /** Null: a shopper without membership. */
  readonly customer: string | null;
}

const columns = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country';
const fileBytesMax = 256 * 1024 * 1024;

/** The file's text; a gzipped one is inflated, to at most 256 MB. */
export const readRetailText = (file: string): string => {
  const bytes = readFileSync(file);
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  return (isGzip ? gunzipSync(bytes, { maxOutputLength: fileBytesMax }) : bytes).toString('utf8');
};

/** A price as the file writes it, in pence; null: none, or a fraction of a penny. */
function penceOf(text: string): number | null {
  const amount = parseAmount(text.replace(/^-/, ''), 'GBP');
  if (!amount.ok) return null;
  return text.startsWith('-') && amount.value !== 0 ? -amount.value : amount.value;
}

function lineOf(row: number, cells: readonly string[]): RetailLine | null {
  const [invoice = '', code = '', , pieces = '', , price = '', customer = ''] = cells;
  const unitPriceMinor = penceOf(price);
  if (!/^[A-Z]?[0-9]{1,12}$/.test(invoice) || !/^-?[0-9]{1,7}$/.test(pieces) || unitPriceMinor === null) return null;
  const member = /^([0-9]{5,12})(?:\.0)?$/.exec(customer)?.[1] ?? null;
  if (customer !== '' && member === null) return null;
  return { row, invoice, code, quantity: Number.parseInt(pieces, 10), unitPriceMinor, customer: member };
}

/**
 * The lines of one day in the file's order, which is that of time.
 * @param day `YYYY-MM-DD`; null: the first day of the file
 * @throws Error naming the first row that is no receipt line, or a file without that day
 */
export function linesOfDay(text: string, day: string | null): { readonly day: string; readonly lines: RetailLine[] } {
  const { rows, problems } = parseCsv(text);
  const [broken] = problems;
  if (broken) throw new Error(`line ${broken.line} of the file: ${broken.reason}`);
  const [header, ...body] = rows;
  if (header?.cells.join(',') !== columns) throw new Error(`the file's columns are not ${columns}`);
  const wanted = day ?? body[0]?.cells[4]?.slice(0, 10) ?? '';
  const lines: RetailLine[] = [];
  for (const { line, cells } of body) {
    if (!cells[4]?.startsWith(`${wanted} `)) continue;
    const read = lineOf(line, cells);
    if (!read) throw new Error(`line ${line} of the file is no receipt line`);
    lines.push(read);
  }
  if (lines.length === 0) throw new Error(`the file has no receipts of ${wanted}`);
  return { day: wanted, lines };
}

/** The receipts of a day in the order in which they begin. */
export function invoicesOf(lines: readonly RetailLine[]): ReadonlyMap<string, readonly RetailLine[]> {
  const invoices = new Map<string, RetailLine[]>();
  for (const line of lines) {
    const known = invoices.get(line.invoice);
    if (known) known.push(line);
    else invoices.set(line.invoice, [line]);
  }
  return invoices;
}
