/**
 * Sales: the last persisted state of each sale, what later sales took from it, and what cards paid offline per day.
 * Must not append records; persist.ts does both in one commit.
 */
import type { FinalAnswer } from '../../host-sync/protocol/sync.js';
import type { PersistedSale } from '../core/sale.js';
import { TerminalError } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import { type AmountMinor, type WallMs, wallMs } from '../kernel/units.js';
import { type Connection, integer, type Statement, storedJson } from './connection.js';
import { type SiteUse, siteUseOf, type Undone, undoneBy, utcDay } from './consequences.js';
import { type After, amountOf, type Counters, countingMs, pointsOf, sumOf } from './counters.js';
import { idBytes, listLimit } from './journal.js';
import type { SaleRow } from './port.js';
import type { SaleLookup } from './sale-lookup.js';
import type { Worth } from './worth.js';

/** What persist needs of a sale's earlier commits. */
export interface Earlier {
  readonly number: number;
  readonly commit: PersistedSale['commit'];
  readonly ownNumber: number | null;
  readonly site: SiteCount;
}

/** What a sale counts on a card's offline limit; `card` null: it never counted. */
interface SiteCount {
  readonly card: string | null;
  readonly minor: number;
  readonly day: number;
}

/** One commit point of a sale as the table takes it. */
export interface PutSale {
  readonly sale: PersistedSale;
  readonly earlier: Earlier | null;
  /** Journal number of the sale's own record; null while it has none. */
  readonly ownNumber: number | null;
  readonly atWallMs: number;
}

interface StoredSale {
  readonly updated_ms: bigint;
  readonly refunded_minor: bigint;
  readonly voided: bigint;
  readonly state: string;
  readonly answer: string | null;
}

const columns = 's.updated_ms, s.refunded_minor, s.voided, s.state, a.answer';
const from = 'sale s LEFT JOIN answer a ON a.number = s.own_number';

function rowOf(row: StoredSale): SaleRow {
  return {
    sale: storedJson<PersistedSale>(row.state),
    updatedWallMs: wallMs(integer(row.updated_ms)),
    refundedMinor: amountOf(row.refunded_minor) as AmountMinor,
    voided: row.voided === 1n,
    answer: row.answer === null ? null : storedJson<FinalAnswer>(row.answer),
  };
}

export class Sales {
  readonly #earlier: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #redo: Statement;
  readonly #undo: Statement;
  readonly #count: Statement;
  readonly #giveBack: Statement;
  readonly #spent: Statement;
  readonly #nextDay: Statement;
  readonly #byNumber: Statement;
  readonly #recordWorth: Statement;
  readonly #newest: Statement;

  constructor(
    db: Connection,
    private readonly lookup: SaleLookup,
  ) {
    this.#earlier = db.prepare(
      'SELECT commit_point, own_number, site_card, site_minor, site_day FROM sale WHERE number = ?',
    );
    this.#insert = db.prepare('INSERT INTO sale VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?)');
    this.#update = db.prepare(
      `UPDATE sale SET commit_point = ?, updated_ms = ?, own_number = ?, site_card = ?, site_minor = ?, site_day = ?,
       state = ? WHERE number = ?`,
    );
    this.#undo = db.prepare(
      'UPDATE sale SET refunded_minor = refunded_minor + ?, voided = max(voided, ?) WHERE number = ?',
    );
    this.#redo = db.prepare(
      'UPDATE sale SET refunded_minor = max(0, refunded_minor - ?), voided = min(voided, 1 - ?) WHERE number = ?',
    );
    this.#count = db.prepare(
      `INSERT INTO site_spent VALUES (?, ?, ?)
       ON CONFLICT (day, card_key_id) DO UPDATE SET spent_minor = spent_minor + excluded.spent_minor`,
    );
    this.#giveBack = db.prepare(
      'UPDATE site_spent SET spent_minor = spent_minor - ? WHERE day = ? AND card_key_id = ?',
    );
    this.#spent = db.prepare('SELECT spent_minor FROM site_spent WHERE day = ? AND card_key_id = ?').pluck();
    this.#nextDay = db.prepare('SELECT min(day) FROM site_spent WHERE day >= ?').pluck();
    this.#byNumber = db.prepare(`SELECT ${columns} FROM ${from} WHERE s.number = ?`);
    this.#recordWorth = db.prepare('SELECT worth_minor, points FROM journal WHERE number = ?');
    this.#newest = db.prepare(`SELECT ${columns} FROM ${from} WHERE s.number < ? ORDER BY s.number DESC LIMIT ?`);
  }

  earlier(id: TransactionId): Earlier | null {
    const number = this.lookup.byId(id);
    if (number === null) return null;
    const row = this.#earlier.get(number) as Readonly<Record<string, unknown>> | undefined;
    if (!row) throw new TerminalError('store.corrupt', `sale ${number} is missing`);
    return {
      number,
      commit: row['commit_point'] as PersistedSale['commit'],
      ownNumber: row['own_number'] === null ? null : integer(row['own_number'], 1),
      site: {
        card: row['site_card'] as string | null,
        minor: amountOf(row['site_minor']),
        day: integer(row['site_day']),
      },
    };
  }

  /** What a sale's own record is worth; null when this box knows no such record (any more). */
  worthOf(id: TransactionId): Worth | null {
    const number = this.earlier(id)?.ownNumber ?? null;
    const row = number === null ? undefined : this.#recordWorth.get(number);
    if (!row) return null;
    const { worth_minor, points } = row as Readonly<Record<string, unknown>>;
    return { worthMinor: amountOf(worth_minor), points: pointsOf(points) };
  }

  /** Writes the sale's row and what it counts elsewhere; inside the caller's transaction. */
  put(counters: Counters, after: After, put: PutSale): void {
    const { sale, earlier, ownNumber, atWallMs } = put;
    const site = this.#countSite(sale, earlier, countingMs(counters, atWallMs));
    const counted = [site.card, site.minor, site.day, JSON.stringify(sale)];
    const number = earlier?.number ?? counters.nextSale;
    if (earlier) {
      this.#update.run(sale.commit, atWallMs, ownNumber, ...counted, number);
    } else {
      const { ids, reference } = sale.request;
      this.#insert.run(number, idBytes(ids.transaction), reference, sale.commit, atWallMs, ownNumber, ...counted);
      this.lookup.add(after, ids.transaction, { number, reference });
      counters.nextSale += 1;
    }
    if (sale.commit !== 'ended') counters.openSale = number;
    else if (counters.openSale === number) counters.openSale = 0;
    const undone = undoneBy(sale);
    if (undone) this.#takeFrom(undone);
  }

  /** The host refused this undo while the clerk still waited: nothing was given, so the original can be undone again. */
  takeBackUndo(sale: PersistedSale): void {
    const undone = undoneBy(sale);
    const number = undone ? this.lookup.byId(undone.original) : null;
    if (undone && number !== null) this.#redo.run(undone.refundedMinor, undone.voided ? 1 : 0, number);
  }

  /** An original that was purged is not there to be undone again. */
  #takeFrom({ original, refundedMinor, voided }: Undone): void {
    const number = this.lookup.byId(original);
    if (number !== null) this.#undo.run(refundedMinor, voided ? 1 : 0, number);
  }

  /** Moves the day's counter by the difference to what this sale counted before, on the card and day of its first count. */
  #countSite(sale: PersistedSale, earlier: Earlier | null, atWallMs: number): SiteCount {
    const before = earlier?.site ?? { card: null, minor: 0, day: utcDay(atWallMs) };
    const use: SiteUse = siteUseOf(sale);
    if (use === 'keep') return before;
    const card = before.card ?? (use === 'release' ? null : use.cardKeyId);
    const minor = use === 'release' ? 0 : use.spentMinor;
    // The column's CHECK refuses a negative insert before the conflict is seen: giving back is a statement of its own.
    if (minor > before.minor) this.#count.run(before.day, card, minor - before.minor);
    else if (minor < before.minor) this.#giveBack.run(before.minor - minor, before.day, card);
    return { card, minor, day: before.day };
  }

  /** On the day of `atWallMs`; null: on all days that are kept, a few hundred at most. */
  spentMinor(cardKeyId: string, atWallMs: WallMs | null): AmountMinor {
    if (atWallMs !== null) return this.#spentOn(utcDay(atWallMs), cardKeyId);
    let sum = 0n;
    for (let next = this.#nextDay.get(0); typeof next === 'bigint'; next = this.#nextDay.get(Number(next) + 1))
      sum += BigInt(this.#spentOn(Number(next), cardKeyId));
    return sumOf(sum) as AmountMinor;
  }

  #spentOn(day: number, cardKeyId: string): AmountMinor {
    const spent = this.#spent.get(day, cardKeyId);
    return (spent === undefined ? 0 : sumOf(spent as bigint)) as AmountMinor;
  }

  open(counters: Readonly<Counters>): PersistedSale | null {
    return counters.openSale === 0 ? null : this.#rowAt(counters.openSale).sale;
  }

  byTransaction(id: TransactionId): SaleRow | null {
    const number = this.lookup.byId(id);
    return number === null ? null : this.#rowAt(number);
  }

  byReference(reference: string): SaleRow | null {
    const number = this.lookup.byReference(reference);
    return number === null ? null : this.#rowAt(number);
  }

  #rowAt(number: number): SaleRow {
    const row = this.#byNumber.get(number) as StoredSale | undefined;
    if (!row) throw new TerminalError('store.corrupt', `sale ${number} is missing`);
    return rowOf(row);
  }

  newest(limit: number, before: TransactionId | null): readonly SaleRow[] {
    let below = Number.MAX_SAFE_INTEGER;
    if (before !== null) {
      const number = this.lookup.byId(before);
      if (number === null) return [];
      below = number;
    }
    return (this.#newest.all(below, listLimit(limit)) as StoredSale[]).map(rowOf);
  }
}
