/**
 * Catalogue staging: collects the rows of one import until it is committed whole. One import at a time, bounded.
 * Must not publish by itself, and must not read files.
 */
import { randomBytes } from 'node:crypto';
import { err, ok, type Result } from '../../../terminal/kernel/result.js';
import type { Product } from '../../protocol/sync.js';
import type { Refusal } from '../service/types.js';

/** As many as the directives may carry. */
export const productsMax = 200_000;
export const rowsPerCallMax = 2_000;

export class CatalogueStaging {
  #open: { readonly id: string; readonly products: Map<string, Product> } | null = null;

  /** Begins an import; an unfinished one before it is forgotten. @returns its id */
  begin(): string {
    const id = randomBytes(8).toString('hex');
    this.#open = { id, products: new Map() };
    return id;
  }

  /** Adds rows; the same code twice: the later row wins. @returns how many products are staged */
  add(id: string, rows: readonly Product[]): Result<number, Refusal> {
    if (this.#open?.id !== id) return err({ code: 'input.outOfRange', detail: 'this import is not open: begin again' });
    const { products } = this.#open;
    for (const row of rows) {
      if (products.size >= productsMax && !products.has(row.code))
        return err({ code: 'input.tooLong', detail: `more than ${productsMax} products` });
      products.set(row.code, row);
    }
    return ok(products.size);
  }

  /** Ends the import and hands its products over. */
  take(id: string): Result<readonly Product[], Refusal> {
    if (this.#open?.id !== id) return err({ code: 'input.outOfRange', detail: 'this import is not open: begin again' });
    const products = [...this.#open.products.values()];
    this.#open = null;
    return ok(products);
  }
}
