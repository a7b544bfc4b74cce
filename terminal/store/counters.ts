/**
 * Counters: the one row that holds next numbers, chain heads and gauges, kept in memory and written with each commit.
 * Must not count anything itself: whoever changes a table says by how much.
 */

import type { Bytes } from '../kernel/bytes.js';
import { amountMinorMax, pointsMax } from '../kernel/units.js';
import { type Connection, type Gate, integer, type Statement } from './connection.js';

export interface Counters {
  /** Row of the chain that grows; 0: not enrolled yet. */
  chain: number;
  nextNumber: number;
  nextSequence: number;
  lastHash: Bytes;
  unsent: number;
  /** Sums over the unsent records; wider than one amount can be. */
  unsentWorthMinor: bigint;
  unsentPoints: bigint;
  dead: number;
  nextSale: number;
  /** Number of the sale that has not ended; 0: none. */
  openSale: number;
  nextAudit: number;
  auditHash: Bytes;
  purgedNumber: number;
  purgedHash: Bytes;
  purgedSale: number;
  /** Journal rows and sales up to these are in the lookup tables. */
  filedNumber: number;
  filedSale: number;
  /** Ids of records that the host was seen to hold, 16 bytes each: what the next request names (OutboxPort.newestSeen). */
  newestSeen: Bytes;
  /** The latest time that was stored while the clock was trusted; 0: none was. A new epoch alone takes it back. */
  trustedMs: number;
}

/** Notes a time of a clock that is trusted. */
export function trust(counters: Counters, atWallMs: number): void {
  counters.trustedMs = Math.max(counters.trustedMs, atWallMs);
}

/** By which time's UTC day something counts: no day comes again, whatever the clock is set to. */
export const countingMs = ({ trustedMs }: Readonly<Counters>, atWallMs: number): number =>
  Math.max(trustedMs, atWallMs);

/** Takes what is to be done in memory once the commit has returned; it is not done when the commit fails. */
export type After = (act: () => void) => void;

type CountersRow = { readonly [column: string]: unknown };

/** Single writer (the file is locked for this process), so the copy in memory is what the file holds. */
export class CountersKeeper {
  #current: Counters;
  readonly #update: Statement;

  constructor(
    db: Connection,
    private readonly gate: Gate,
  ) {
    this.#current = fromRow(db.prepare('SELECT * FROM counters WHERE only = 1').get() as CountersRow);
    this.#update = db.prepare(
      `UPDATE counters SET chain = ?, next_number = ?, next_sequence = ?, last_hash = ?, unsent = ?, unsent_worth = ?,
       unsent_points = ?, dead = ?, next_sale = ?, open_sale = ?, next_audit = ?, audit_hash = ?, purged_number = ?,
       purged_hash = ?, purged_sale = ?, filed_number = ?, filed_sale = ?, newest_seen = ?, trusted_ms = ?
       WHERE only = 1`,
    );
  }

  get current(): Readonly<Counters> {
    return this.#current;
  }

  /** One commit of `work` and the counters as it left them. When it throws, database and memory are as before. */
  commit(work: (counters: Counters, after: After) => void): void {
    const next = { ...this.#current };
    const acts: (() => void)[] = [];
    this.gate.write(() => {
      work(next, (act) => acts.push(act));
      this.#write(next);
    });
    this.#current = next;
    for (const act of acts) act();
  }

  #write(c: Counters): void {
    this.#update.run(
      c.chain,
      c.nextNumber,
      c.nextSequence,
      c.lastHash,
      c.unsent,
      c.unsentWorthMinor,
      c.unsentPoints,
      c.dead,
      c.nextSale,
      c.openSale,
      c.nextAudit,
      c.auditHash,
      c.purgedNumber,
      c.purgedHash,
      c.purgedSale,
      c.filedNumber,
      c.filedSale,
      c.newestSeen,
      c.trustedMs,
    );
  }
}

function fromRow(row: CountersRow): Counters {
  return {
    chain: integer(row['chain']),
    nextNumber: integer(row['next_number'], 1),
    nextSequence: integer(row['next_sequence'], 1),
    lastHash: row['last_hash'] as Bytes,
    unsent: integer(row['unsent']),
    unsentWorthMinor: row['unsent_worth'] as bigint,
    unsentPoints: row['unsent_points'] as bigint,
    dead: integer(row['dead']),
    nextSale: integer(row['next_sale'], 1),
    openSale: integer(row['open_sale']),
    nextAudit: integer(row['next_audit'], 1),
    auditHash: row['audit_hash'] as Bytes,
    purgedNumber: integer(row['purged_number']),
    purgedHash: row['purged_hash'] as Bytes,
    purgedSale: integer(row['purged_sale']),
    filedNumber: integer(row['filed_number']),
    filedSale: integer(row['filed_sale']),
    newestSeen: row['newest_seen'] as Bytes,
    trustedMs: integer(row['trusted_ms']),
  };
}

export const amountOf = (value: unknown): number => integer(value, 0, amountMinorMax);
export const pointsOf = (value: unknown): number => integer(value, 0, pointsMax);
/** A sum for people to read: held at the largest exact number rather than rounded. */
export const sumOf = (value: bigint): number =>
  Number(value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : value);
