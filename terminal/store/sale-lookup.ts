/**
 * Sale lookup: where a sale stands by its id and by the till's reference. New sales are held in memory and filed in the
 * tables with many others; at a start they are read from the sales themselves. Must not hold anything else of a sale.
 */
import { transactionIdFromBytes } from '../../host-sync/protocol/record.js';
import type { Bytes } from '../kernel/bytes.js';
import type { TransactionId } from '../kernel/ports.js';
import { type Connection, integer, type Statement } from './connection.js';
import type { After, Counters } from './counters.js';
import { idBytes } from './journal.js';

interface Recent {
  readonly number: number;
  readonly reference: string | null;
}

export class SaleLookup {
  /** In the order of their numbers. At most what one filing takes. */
  readonly #recent = new Map<TransactionId, Recent>();
  readonly #references = new Map<string, number>();
  readonly #addKey: Statement;
  readonly #addReference: Statement;
  readonly #byId: Statement;
  readonly #byReference: Statement;
  readonly #removeKey: Statement;
  readonly #removeReference: Statement;

  constructor(db: Connection, counters: Readonly<Counters>) {
    this.#addKey = db.prepare('INSERT INTO sale_key VALUES (?, ?)');
    this.#addReference = db.prepare('INSERT INTO sale_reference VALUES (?, ?)');
    this.#byId = db.prepare('SELECT number FROM sale_key WHERE id = ?').pluck();
    this.#byReference = db
      .prepare('SELECT number FROM sale_reference WHERE reference = ? ORDER BY number DESC LIMIT 1')
      .pluck();
    this.#removeKey = db.prepare('DELETE FROM sale_key WHERE id = ?');
    this.#removeReference = db.prepare('DELETE FROM sale_reference WHERE reference = ? AND number = ?');
    const unfiled = db.prepare('SELECT number, id, reference FROM sale WHERE number > ? ORDER BY number');
    for (const row of unfiled.all(counters.filedSale) as { number: bigint; id: Bytes; reference: string | null }[]) {
      this.#remember(transactionIdFromBytes(row.id), { number: integer(row.number, 1), reference: row.reference });
    }
  }

  /** A sale that the caller's transaction inserts. */
  add(after: After, id: TransactionId, recent: Recent): void {
    after(() => this.#remember(id, recent));
  }

  #remember(id: TransactionId, recent: Recent): void {
    this.#recent.set(id, recent);
    if (recent.reference !== null) this.#references.set(recent.reference, recent.number);
  }

  /** Writes the recent sales into the tables; inside the caller's transaction. */
  file(after: After): void {
    for (const [id, { number, reference }] of this.#recent) {
      this.#addKey.run(idBytes(id), number);
      if (reference !== null) this.#addReference.run(reference, number);
    }
    after(() => {
      this.#recent.clear();
      this.#references.clear();
    });
  }

  byId(id: TransactionId): number | null {
    const recent = this.#recent.get(id);
    if (recent) return recent.number;
    const number = this.#byId.get(idBytes(id));
    return number === undefined ? null : integer(number, 1);
  }

  /** The newest sale under a reference. */
  byReference(reference: string): number | null {
    const number = this.#references.get(reference) ?? this.#byReference.get(reference);
    return number === undefined ? null : Number(number);
  }

  /** Forgets a filed sale that is purged; inside the caller's transaction. */
  remove(id: Bytes, reference: string | null, number: number): void {
    this.#removeKey.run(id);
    if (reference !== null) this.#removeReference.run(reference, number);
  }
}
