/**
 * Catalogue: the host's directives and the products they price, replaced as a whole; lookup by code and by name.
 * Must not price anything.
 */
import type { Directives, Product } from '../../host-sync/protocol/sync.js';
import { type Connection, type Statement, storedJson } from './connection.js';
import { amountOf } from './counters.js';
import { listLimit } from './journal.js';
import type { StoredDirectives } from './port.js';

/** One form for names that look alike: compatibility forms (full-width) and case made equal. */
export const foldName = (name: string): string => name.normalize('NFKC').toLowerCase();

interface ProductRow {
  readonly code: string;
  readonly name: string;
  readonly price_minor: bigint;
  readonly category: string;
}
const productOf = (row: ProductRow): Product => ({
  code: row.code,
  name: row.name,
  priceMinor: amountOf(row.price_minor),
  category: row.category,
});
const columns = 'code, name, price_minor, category';

/** As boxes stored them before they were told whose memberships they accept. */
type Later = 'merchants' | 'credentialKey';
type FormerDirectives = Omit<StoredDirectives, Later> & Partial<Pick<StoredDirectives, Later>>;

export class Catalogue {
  /** What was parsed last and from which text: it is asked for several times a sale and changes a few times a day. */
  #parsed: { readonly text: string; readonly directives: StoredDirectives } | null = null;
  readonly #directives: Statement;
  readonly #putDirectives: Statement;
  readonly #clear: Statement;
  readonly #remove: Statement;
  readonly #insert: Statement;
  readonly #byCode: Statement;
  readonly #exact: Statement;
  readonly #containing: Statement;

  constructor(db: Connection) {
    this.#directives = db.prepare('SELECT directives FROM directives WHERE only = 1').pluck();
    this.#putDirectives = db.prepare('INSERT OR REPLACE INTO directives VALUES (1, ?)');
    this.#clear = db.prepare('DELETE FROM product');
    this.#remove = db.prepare('DELETE FROM product WHERE code = ?');
    this.#insert = db.prepare('INSERT INTO product VALUES (?, ?, ?, ?, ?)');
    this.#byCode = db.prepare(`SELECT ${columns} FROM product WHERE code = ?`);
    this.#exact = db.prepare(`SELECT ${columns} FROM product WHERE folded_name = ? AND name = ? ORDER BY code LIMIT ?`);
    // Reads the index of names alone and stops at the limit; the rows themselves are fetched for the hits.
    this.#containing = db.prepare(
      `SELECT ${columns} FROM product INDEXED BY product_name WHERE instr(folded_name, ?) > 0
       ORDER BY folded_name LIMIT ?`,
    );
  }

  directives(): StoredDirectives | null {
    const text = this.#directives.get() as string | undefined;
    if (text === undefined) return null;
    if (this.#parsed?.text !== text) {
      const directives = { merchants: [], credentialKey: null, ...storedJson<FormerDirectives>(text) };
      this.#parsed = { text, directives };
    }
    return this.#parsed.directives;
  }

  /**
   * Inside the caller's transaction. What changed since a version is applied to that version only: to any other nothing is
   * written. A catalogue that names one code twice breaks a constraint: the host checks that.
   * @returns false where the changes are for another version than the one held
   */
  replace(stored: StoredDirectives, catalogue: Directives['catalogue']): boolean {
    const held = this.directives()?.catalogueVersion ?? 0;
    if (catalogue && catalogue.since !== 0 && catalogue.since !== held) return false;
    this.#putDirectives.run(JSON.stringify(stored));
    if (!catalogue) return true;
    if (catalogue.since === 0) this.#clear.run();
    for (const code of catalogue.gone) this.#remove.run(code);
    for (const { code, name, priceMinor, category } of catalogue.products) {
      if (catalogue.since !== 0) this.#remove.run(code);
      this.#insert.run(code, name, foldName(name), priceMinor, category);
    }
    return true;
  }

  byCode(code: string): Product | null {
    const row = this.#byCode.get(code) as ProductRow | undefined;
    return row ? productOf(row) : null;
  }

  byName(name: string, limit: number): readonly Product[] {
    const folded = foldName(name);
    const most = listLimit(limit);
    const exact = this.#exact.all(folded, name, most) as ProductRow[];
    if (exact.length > 0) return exact.map(productOf);
    return (this.#containing.all(folded, most) as ProductRow[]).map(productOf);
  }
}
