/**
 * Returns: which purchase of the day a returned line belongs to. Pure bookkeeping of pieces; the box decides about money.
 *
 * The rule: the same known customer bought the same stock code earlier that day, on a bill that the box accepted, and at
 * least as many pieces of that line have not come back yet. Of several, one at the returned price is taken, else the
 * newest. A shopper without membership cannot be recognised, so such a return has no purchase.
 */
import type { RetailLine } from './retail-file.js';

interface SoldLine {
  readonly reference: string;
  readonly unitPriceMinor: number;
  left: number;
}

const keyOf = ({ code, customer }: RetailLine): string => `${customer} ${code}`;

export class Returns {
  readonly #sold = new Map<string, SoldLine[]>();

  /** A bill that the box accepted. */
  sold(reference: string, lines: readonly RetailLine[]): void {
    for (const line of lines) {
      if (line.customer === null) continue;
      const known = this.#sold.get(keyOf(line)) ?? [];
      known.push({ reference, unitPriceMinor: line.unitPriceMinor, left: line.quantity });
      this.#sold.set(keyOf(line), known);
    }
  }

  /** The till's reference of the purchase; null: there is none to be found. */
  purchaseOf(line: RetailLine): string | null {
    return this.#find(line)?.reference ?? null;
  }

  /** The box accepted the refund of this line. */
  returned(line: RetailLine): void {
    const purchase = this.#find(line);
    if (purchase) purchase.left += line.quantity;
  }

  #find(line: RetailLine): SoldLine | null {
    if (line.customer === null) return null;
    const enough = (this.#sold.get(keyOf(line)) ?? []).filter(({ left }) => left >= -line.quantity);
    return enough.findLast(({ unitPriceMinor }) => unitPriceMinor === line.unitPriceMinor) ?? enough.at(-1) ?? null;
  }
}
