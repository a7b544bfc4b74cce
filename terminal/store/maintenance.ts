/**
 * Maintenance: takes old settled history out in bounded slices and checkpoints the WAL in quiet moments.
 * Must not touch a record that the host has not answered or that a person has to settle.
 */
import type { Bytes } from '../kernel/bytes.js';
import { type Connection, type Gate, integer, type Statement } from './connection.js';
import { utcDay } from './consequences.js';
import { type Counters, type CountersKeeper, trust } from './counters.js';
import type { SaleLookup } from './sale-lookup.js';

/** Most rows of each table that one call removes: a few milliseconds, between two taps. */
export const purgeRowsMax = 200;
/** Commits after which a quiet moment is used to checkpoint; about half of what SQLite would wait for. */
const commitsBeforeCheckpoint = 64;
/** Days of counters kept behind today's: they count as one under a clock in doubt. */
const daysKept = 7;

export interface Retention {
  /** How long settled records and ended sales are kept, milliseconds. */
  readonly retainMs: number;
  /** Newest records that are kept whatever their age: a clock that runs ahead purges nothing of them. */
  readonly retainRecords: number;
}
export const retentionDefault: Retention = { retainMs: 400 * 86_400_000, retainRecords: 20_000 };

export interface MaintenanceDone {
  readonly purgedRecords: number;
  readonly purgedSales: number;
  readonly checkpointed: boolean;
}

interface OldRecord {
  readonly number: number;
  readonly hash: Bytes;
}

interface OldSale {
  readonly number: number;
  readonly id: Bytes;
  readonly reference: string | null;
}

export class Maintenance {
  #commits = 0;
  readonly #oldestRecords: Statement;
  readonly #oldestSales: Statement;
  readonly #removeRecord: Statement;
  readonly #removeAnswer: Statement;
  readonly #removeSale: Statement;
  readonly #oldDay: Statement;
  readonly #removeSpent: Statement;
  readonly #removeUses: Statement;

  constructor(
    private readonly db: Connection,
    private readonly gate: Gate,
    private readonly parts: { readonly counters: CountersKeeper; readonly lookup: SaleLookup },
    private readonly retention: Retention,
  ) {
    this.#oldestRecords = db.prepare(
      `SELECT j.number, j.stored_ms, j.hash, a.dead FROM journal j LEFT JOIN answer a ON a.number = j.number
       WHERE j.number > ? AND j.number < ? ORDER BY j.number LIMIT ?`,
    );
    this.#oldestSales = db.prepare(
      `SELECT number, id, reference, commit_point, updated_ms, own_number FROM sale
       WHERE number > ? AND number <= ? ORDER BY number LIMIT ?`,
    );
    this.#removeRecord = db.prepare('DELETE FROM journal WHERE number = ?');
    this.#removeAnswer = db.prepare('DELETE FROM answer WHERE number = ?');
    this.#removeSale = db.prepare('DELETE FROM sale WHERE number = ?');
    this.#oldDay = db
      .prepare(
        'SELECT min(day) FROM (SELECT min(day) AS day FROM site_spent UNION ALL SELECT min(day) FROM offline_use)',
      )
      .pluck();
    this.#removeSpent = db.prepare('DELETE FROM site_spent WHERE day < ? ORDER BY day LIMIT ?');
    this.#removeUses = db.prepare('DELETE FROM offline_use WHERE day < ? ORDER BY day LIMIT ?');
  }

  /** Told of each commit. */
  committed(): void {
    this.#commits += 1;
  }

  /**
   * One bounded slice; to be called when no sale is open, and again while it purged anything. `clockDoubtful`: then
   * nothing is purged, since age is not known.
   * @throws TerminalError store.full, store.failed, store.corrupt
   */
  run(atWallMs: number, clockDoubtful: boolean): MaintenanceDone {
    const purged = clockDoubtful ? { purgedRecords: 0, purgedSales: 0 } : this.#purge(atWallMs);
    const checkpointed = this.#commits >= commitsBeforeCheckpoint;
    if (checkpointed) {
      this.gate.read(() => this.db.pragma('wal_checkpoint(PASSIVE)'));
      this.#commits = 0;
    }
    return { ...purged, checkpointed };
  }

  #purge(atWallMs: number): { readonly purgedRecords: number; readonly purgedSales: number } {
    const { current } = this.parts.counters;
    const beforeMs = atWallMs - this.retention.retainMs;
    const records = this.gate.read(() => this.#oldRecords(current, beforeMs));
    const last = records.at(-1);
    const sales = this.gate.read(() => this.#oldSales(current, last?.number ?? current.purgedNumber, beforeMs));
    const firstDay = utcDay(atWallMs) - daysKept;
    // Quiet calls cost no flush.
    if (records.length === 0 && sales.length === 0 && !this.#isOlderThan(firstDay))
      return { purgedRecords: 0, purgedSales: 0 };
    this.parts.counters.commit((counters) => {
      for (const { number } of records) {
        this.#removeAnswer.run(number);
        this.#removeRecord.run(number);
      }
      for (const { number, id, reference } of sales) {
        this.#removeSale.run(number);
        this.parts.lookup.remove(id, reference, number);
      }
      this.#removeSpent.run(firstDay, purgeRowsMax);
      this.#removeUses.run(firstDay, purgeRowsMax);
      // What goes by this clock must not be missed by an earlier one.
      trust(counters, atWallMs);
      if (last) Object.assign(counters, { purgedNumber: last.number, purgedHash: last.hash });
      counters.purgedSale = sales.at(-1)?.number ?? counters.purgedSale;
    });
    this.committed();
    return { purgedRecords: records.length, purgedSales: sales.length };
  }

  /** Are there counters of a day before this one? */
  #isOlderThan(firstDay: number): boolean {
    const oldest = this.gate.read(() => this.#oldDay.get());
    return typeof oldest === 'bigint' && Number(oldest) < firstDay;
  }

  /** From the oldest on, up to the first that is young, unanswered or dead: what is kept stays one unbroken chain. */
  #oldRecords(counters: Readonly<Counters>, beforeMs: number): readonly OldRecord[] {
    const below = Math.min(counters.nextNumber - this.retention.retainRecords, counters.filedNumber + 1);
    const old: OldRecord[] = [];
    for (const row of this.#oldestRecords.all(counters.purgedNumber, below, purgeRowsMax)) {
      const { number, stored_ms, hash, dead } = row as Readonly<Record<string, unknown>>;
      if (dead !== 0n || integer(stored_ms) >= beforeMs) break;
      old.push({ number: integer(number, 1), hash: hash as Bytes });
    }
    return old;
  }

  /** Ended sales, from the oldest on, whose own record is gone or never was. */
  #oldSales(counters: Readonly<Counters>, purgedNumber: number, beforeMs: number): readonly OldSale[] {
    const old: OldSale[] = [];
    for (const row of this.#oldestSales.all(counters.purgedSale, counters.filedSale, purgeRowsMax)) {
      const { number, id, reference, commit_point, updated_ms, own_number } = row as Readonly<Record<string, unknown>>;
      const recordGone = own_number === null || integer(own_number, 1) <= purgedNumber;
      if (commit_point !== 'ended' || integer(updated_ms) >= beforeMs || !recordGone) break;
      old.push({ number: integer(number, 1), id: id as Bytes, reference: reference as string | null });
    }
    return old;
  }
}
