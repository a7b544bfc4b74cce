/**
 * The independent sum: what the lines of the file are worth, by a path of its own from bytes to totals.
 * Must share nothing with the replay: no CSV reader, no parser of amounts, no numbers but bigint.
 */

/** Who bought and which way: the three groups that the books keep apart. */
export const groups = ['members', 'others', 'returns'] as const;
export type Group = (typeof groups)[number];
export interface GroupSum {
  readonly lines: bigint;
  /** Ten-thousandths of a pound, so that a price of a fraction of a penny would not vanish. */
  readonly tenThousandths: bigint;
}

const comma = 0x2c;
const quote = 0x22;
const newline = 0x0a;
const carriageReturn = 0x0d;

/** The cells of each row, byte by byte. */
function* cellsOf(bytes: Uint8Array): Generator<string[]> {
  let row: string[] = [];
  let cell: number[] = [];
  let isQuoted = false;
  const endCell = (): void => {
    row.push(Buffer.from(cell).toString('utf8'));
    cell = [];
  };
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (isQuoted && byte === quote && bytes[at + 1] === quote) {
      cell.push(quote);
      at += 1;
    } else if (byte === quote) isQuoted = !isQuoted;
    else if (isQuoted) cell.push(byte);
    else if (byte === comma) endCell();
    else if (byte === newline) {
      endCell();
      yield row;
      row = [];
    } else if (byte !== carriageReturn) cell.push(byte);
  }
  if (cell.length > 0 || row.length > 0) {
    endCell();
    yield row;
  }
}

/** `2.5` → 25000n. */
function tenThousandthsOf(text: string): bigint {
  const [whole = '', fraction = ''] = text.replace('-', '').split('.');
  if (fraction.length > 4) throw new Error(`the independent sum cannot hold the price ${text}`);
  const value = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, '0'));
  return text.startsWith('-') ? -value : value;
}

/**
 * Sums one day of the file.
 * @param day `YYYY-MM-DD` @param invoices the first so many receipts; null: all
 */
export function independentSum(
  bytes: Uint8Array,
  day: string,
  invoices: number | null,
): { readonly [Name in Group]: GroupSum } {
  const sums = {
    members: { lines: 0n, tenThousandths: 0n },
    others: { lines: 0n, tenThousandths: 0n },
    returns: { lines: 0n, tenThousandths: 0n },
  };
  const seen = new Set<string>();
  for (const [invoice = '', , , pieces = '', at = '', price = '', customer = ''] of cellsOf(bytes)) {
    if (at.slice(0, 10) !== day) continue;
    if (!seen.has(invoice) && invoices !== null && seen.size >= invoices) continue;
    seen.add(invoice);
    const count = BigInt(pieces);
    const group = count < 0n ? 'returns' : customer === '' ? 'others' : 'members';
    sums[group] = {
      lines: sums[group].lines + 1n,
      tenThousandths: sums[group].tenThousandths + count * tenThousandthsOf(price),
    };
  }
  return sums;
}
