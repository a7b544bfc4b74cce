/**
 * Catalogue at the host: whether a bill adds up, what its lines cost by the host's prices, and what a coupon may pay for.
 * Pure. Must not change prices.
 */
import type { Bill } from '../../protocol/record.js';
import type { RefusalCode } from '../../protocol/sync.js';
import type { ApplyContext } from './context.js';
import type { Collector, Facts } from './facts.js';
import type { Row } from './tables.js';

/** Do the lines add up, each and all? An empty list is a keyed total. */
export function billAddsUp(bill: Bill): boolean {
  if (bill.lines.length === 0) return true;
  let sum = 0;
  for (const line of bill.lines) {
    if (line.quantity * line.unitPriceMinor !== line.amountMinor) return false;
    sum += line.amountMinor;
  }
  return sum === bill.totalMinor;
}

/** States what `priceBill` reads. */
export function planBill(need: Collector, bill: Bill): void {
  if (bill.catalogueVersion !== null) need.get('catalogueVersion', String(bill.catalogueVersion));
  for (const line of bill.lines) {
    if (line.code === null) continue;
    need.get('product', line.code);
    need.find('productHistory', 'code', line.code);
  }
}

export interface PricedLine {
  readonly code: string | null;
  readonly category: string | null;
  readonly amountMinor: number;
}
export type Priced =
  | {
      readonly ok: true;
      readonly totalMinor: number;
      readonly lines: readonly PricedLine[];
      readonly recomputed: boolean;
    }
  | { readonly ok: false; readonly code: RefusalCode; readonly detail: string };

/** The product as it was in a version: its latest change up to it. */
function productAt(facts: Facts, code: string, version: number): Row<'productHistory'> | null {
  return facts.find('productHistory', 'code', code).findLast((change) => change.version <= version) ?? null;
}

/**
 * The bill by the host's prices: a catalogue line costs what the version it names says, where that version was in force
 * (or its grace has not run out), else what the catalogue says now. A till's own price stands as it is.
 */
export function priceBill(
  facts: Facts,
  bill: Bill,
  atWallMs: number,
  clockDoubtful: boolean,
  context: ApplyContext,
): Priced {
  if (!billAddsUp(bill)) return { ok: false, code: 'bill.wrongTotal', detail: 'the lines do not add up' };
  if (bill.lines.length === 0) return { ok: true, totalMinor: bill.totalMinor, lines: [], recomputed: false };
  const named =
    bill.catalogueVersion === null ? undefined : facts.get('catalogueVersion', String(bill.catalogueVersion));
  const valid =
    named &&
    (named.replacedAtMs === null || clockDoubtful || atWallMs <= named.replacedAtMs + context.policy.versionGraceMs);
  const version = valid ? named.version : context.catalogueVersion;
  const lines: PricedLine[] = [];
  let totalMinor = 0;
  let recomputed = false;
  for (const line of bill.lines) {
    const product = line.code === null ? null : productAt(facts, line.code, version);
    let amountMinor: number = line.amountMinor;
    if (line.priceSource === 'catalogue') {
      if (!product || product.priceMinor === null)
        return { ok: false, code: 'product.unknown', detail: line.code ?? 'a catalogue line without a code' };
      amountMinor = product.priceMinor * line.quantity;
      if (amountMinor !== line.amountMinor) recomputed = true;
    }
    totalMinor += amountMinor;
    lines.push({
      code: line.code,
      category: product?.priceMinor === null ? null : (product?.category ?? null),
      amountMinor,
    });
  }
  return { ok: true, totalMinor, lines, recomputed };
}

/** What a coupon may pay for of a priced bill, in minor units; 0 where nothing on it is covered. */
export function eligibleMinor(
  coupon: Pick<Row<'coupon'>, 'limitCategory' | 'limitProducts'>,
  bill: { readonly totalMinor: number; readonly lines: readonly PricedLine[] },
): number {
  if (coupon.limitCategory === null && coupon.limitProducts === null) return bill.totalMinor;
  const products: readonly string[] =
    coupon.limitProducts === null ? [] : (JSON.parse(coupon.limitProducts) as string[]);
  return bill.lines
    .filter((line) =>
      coupon.limitProducts === null
        ? line.category === coupon.limitCategory
        : line.code !== null && products.includes(line.code),
    )
    .reduce((sum, line) => sum + line.amountMinor, 0);
}

/** The id of a product's change in a version: 10 digits, so that a product's changes sort by version. */
export const versionId = (code: string, version: number): string => `${code}@${String(version).padStart(10, '0')}`;
