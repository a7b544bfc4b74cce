/**
 * Pricing: from what was bought to a bill whose lines add up. Products are found through a look-up the shell gives.
 */
import { catalogueCodes } from '../../drivers/protocols/gs1/product-code.js';
import { type Bill, billLinesMax, bodyBytesMax } from '../../host-sync/protocol/record.js';
import type { Product } from '../../host-sync/protocol/sync.js';
import { utf8 } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AmountMinor, amountMinorMax, type Currency, quantity } from '../kernel/units.js';

/** Bytes that a bill's lines may take in a record; the rest of the body needs less than what is left. */
export const billBytesMax = bodyBytesMax - 8_192;

export interface WantedLine {
  readonly code?: string;
  readonly name?: string;
  readonly quantity: number;
  /** The till's own price for one piece. */
  readonly unitPriceMinor?: AmountMinor;
}

export interface ProductLookup {
  byCode(code: string): Product | null;
  /** Exact matches first, at most `limit`. */
  byName(name: string, limit: number): readonly Product[];
}

export interface PricingProblem {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** A bill of one keyed amount. */
export const keyedBill = (amountMinor: AmountMinor, currency: Currency): Bill => ({
  currency,
  totalMinor: amountMinor,
  lines: [],
  catalogueVersion: null,
});

/**
 * A bill of 1…500 lines that fit one record. A line wants a code or a name; a price given by the till is an override and
 * needs no catalogue.
 * @returns the bill, or product.unknown, product.ambiguous, bill.tooLong, value.outOfRange, sale.empty
 */
export function priceBill(
  wanted: readonly WantedLine[],
  currency: Currency,
  catalogueVersion: number | null,
  products: ProductLookup,
): Result<Bill, PricingProblem> {
  if (wanted.length === 0) return err({ code: 'sale.empty', detail: 'no lines' });
  if (wanted.length > billLinesMax) return err({ code: 'bill.tooLong', detail: `at most ${billLinesMax} lines` });
  const lines: Bill['lines'] = [];
  let totalMinor = 0;
  for (const [index, line] of wanted.entries()) {
    const pieces = quantity(line.quantity);
    if (!pieces.ok) return err({ code: 'value.outOfRange', detail: `line ${index + 1}: ${pieces.error.detail}` });
    const found = findProduct(line, products);
    if (!found.ok && line.unitPriceMinor === undefined) return found;
    const product = found.ok ? found.value : null;
    const unitPriceMinor = line.unitPriceMinor ?? product?.priceMinor ?? 0;
    const amountMinor = unitPriceMinor * pieces.value;
    totalMinor += amountMinor;
    if (totalMinor > amountMinorMax)
      return err({ code: 'value.outOfRange', detail: `line ${index + 1}: the total is too large` });
    lines.push({
      code: product?.code ?? line.code ?? null,
      name: product?.name ?? line.name ?? line.code ?? '?',
      quantity: pieces.value,
      unitPriceMinor,
      priceSource: line.unitPriceMinor === undefined ? 'catalogue' : 'override',
      amountMinor,
    });
  }
  const bytes = utf8(JSON.stringify(lines)).length;
  if (bytes > billBytesMax) return err({ code: 'bill.tooLong', detail: `${bytes} bytes, at most ${billBytesMax}` });
  return ok({ currency, totalMinor, lines, catalogueVersion });
}

function findProduct(line: WantedLine, products: ProductLookup): Result<Product, PricingProblem> {
  if (line.code !== undefined) {
    for (const code of catalogueCodes(line.code)) {
      const product = products.byCode(code);
      if (product) return ok(product);
    }
    return err({ code: 'product.unknown', detail: line.code });
  }
  const name = line.name ?? '';
  const found = name === '' ? [] : products.byName(name, 2);
  const [first, second] = found;
  if (!first) return err({ code: 'product.unknown', detail: name });
  if (second && first.name !== name)
    return err({ code: 'product.ambiguous', detail: `${first.name} · ${second.name}` });
  return ok(first);
}
