/**
 * Outbox: the unsent records in sending order, and the host's answers that take them out of it.
 * A record just stored is held in memory and filed in the table later, with many others: most are answered before, and
 * the journal alone says at a start which are left. Must not build or change a record.
 */
import type { OutboxRecord, SettledAnswer } from '../../host-sync/client/outbox-port.js';
import { type RecordKind, sendClass, transactionIdFromBytes } from '../../host-sync/protocol/record.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import { assert } from '../kernel/result.js';
import { type Connection, integer, type Statement } from './connection.js';
import { type After, amountOf, type Counters, pointsOf } from './counters.js';
import { idBytes } from './journal.js';
import type { Worth } from './worth.js';

/** Journal numbers stay below it, so that class and number share one integer that JavaScript holds exactly. */
const classStep = 2 ** 50;
const classes = [0, 1, 2] as const;
/** Most records that nextUnsent gives at once. */
const nextUnsentMax = 10_000;
/** Answers that requeue reads at once: a box may have a year of them. */
const requeuePage = 1_000;
/** How many records' attempts are remembered; beyond it the oldest are forgotten: they only inform. */
const attemptsKept = 4_096;

/** The outbox key of a record: sorts by sending class, then by journal number. */
export const placeOf = (kind: RecordKind, number: number): number => sendClass[kind] * classStep + number;
const numberOf = (place: number): number => place % classStep;

interface LineRow {
  readonly place: bigint;
  readonly id: Bytes;
}

interface SendRow {
  readonly id: Bytes;
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly kind: string;
  readonly body: string;
  readonly previous_hash: Bytes;
}

interface AnsweredRow {
  readonly number: bigint;
  readonly id: Bytes;
  readonly kind: RecordKind;
  readonly worth_minor: bigint;
  readonly points: bigint;
  readonly dead: bigint;
}

/** An unsent record that is not in the table yet. */
interface Recent {
  readonly number: number;
  readonly kind: RecordKind;
}

const columns = 'j.id, c.epoch, j.sequence, j.kind, j.body, j.previous_hash';
const fromOutbox = `outbox o CROSS JOIN journal j ON j.number = (o.place & ${classStep - 1})
  CROSS JOIN chain c ON c.number = j.chain`;

export class Outbox {
  readonly #attempts = new Map<TransactionId, number>();
  /** By journal number, since that is the order of insertion. At most what one filing takes, and one commit more. */
  readonly #recent = new Map<TransactionId, Recent>();
  /** False only once the table was seen empty: every insertion sets it before, so a rolled back one leaves it true. */
  #mayHoldFiled = true;
  readonly #insert: Statement;
  readonly #any: Statement;
  readonly #inLine: Statement;
  readonly #next: Statement;
  readonly #row: Statement;
  readonly #placeById: Statement;
  readonly #worth: Statement;
  readonly #remove: Statement;
  readonly #answer: Statement;
  readonly #places: Statement;
  readonly #answered: Statement;
  readonly #withdraw: Statement;

  constructor(db: Connection, counters: Readonly<Counters>) {
    this.#insert = db.prepare('INSERT INTO outbox VALUES (?, ?)');
    this.#any = db.prepare('SELECT 1 FROM outbox WHERE place >= 0 LIMIT 1').pluck();
    this.#inLine = db.prepare('SELECT place, id FROM outbox WHERE place >= ? AND place < ? ORDER BY place');
    this.#next = db.prepare(
      `SELECT ${columns} FROM ${fromOutbox} WHERE o.place >= ? AND o.place < ? ORDER BY o.place LIMIT ?`,
    );
    this.#row = db.prepare(
      `SELECT ${columns} FROM journal j CROSS JOIN chain c ON c.number = j.chain WHERE j.number = ?`,
    );
    this.#placeById = db.prepare('SELECT place FROM outbox WHERE id = ?').pluck();
    this.#worth = db.prepare('SELECT worth_minor, points FROM journal WHERE number = ?');
    this.#remove = db.prepare('DELETE FROM outbox WHERE id = ? RETURNING place').pluck();
    this.#answer = db.prepare('INSERT INTO answer VALUES (?, ?, ?)');
    this.#places = db.prepare('SELECT place FROM outbox WHERE place >= ? AND place < ? ORDER BY place LIMIT ?').pluck();
    this.#answered = db.prepare(
      `SELECT j.number, j.id, j.kind, j.worth_minor, j.points, a.dead FROM answer a JOIN journal j ON j.number = a.number
       WHERE a.number >= ? ORDER BY a.number LIMIT ${requeuePage}`,
    );
    this.#withdraw = db.prepare('DELETE FROM answer WHERE number >= ?');
    const unfiled = db.prepare(
      `SELECT j.number, j.id, j.kind FROM journal j LEFT JOIN answer a ON a.number = j.number
       WHERE j.number > ? AND a.number IS NULL ORDER BY j.number`,
    );
    for (const row of unfiled.all(counters.filedNumber) as { number: bigint; id: Bytes; kind: RecordKind }[]) {
      this.#recent.set(transactionIdFromBytes(row.id), { number: integer(row.number, 1), kind: row.kind });
    }
  }

  /** Queues a record that the journal just took; inside the caller's transaction. */
  add(counters: Counters, after: After, recent: Recent & { readonly id: TransactionId }, worth: Worth): void {
    assert(recent.number < classStep, 'journal numbers stay below 2^50');
    counters.unsent += 1;
    counters.unsentWorthMinor += BigInt(worth.worthMinor);
    counters.unsentPoints += BigInt(worth.points);
    after(() => this.#recent.set(recent.id, { number: recent.number, kind: recent.kind }));
  }

  /** Writes the recent records that are still unsent into the table; inside the caller's transaction. */
  file(after: After): void {
    for (const [id, { number, kind }] of this.#recent) this.#enter(placeOf(kind, number), idBytes(id));
    after(() => this.#recent.clear());
  }

  next(limit: number, held: ReadonlySet<TransactionId>): readonly OutboxRecord[] {
    assert(Number.isInteger(limit) && limit >= 1 && limit <= nextUnsentMax, `limit is 1 to ${nextUnsentMax}`);
    const records: OutboxRecord[] = [];
    const holdsFiled = this.#holdsFiled();
    for (const sending of classes) {
      if (records.length === limit) break;
      const filed = holdsFiled ? this.#filedRows(sending, limit - records.length, held) : [];
      for (const row of filed) {
        if (records.length === limit) break;
        const id = transactionIdFromBytes(row.id);
        if (!held.has(id)) records.push(this.#handOut(id, row));
      }
      // Filed rows fill the page wherever there are more of them than were read: the recent ones come after the last.
      for (const [id, { number, kind }] of this.#recent) {
        if (records.length === limit) break;
        if (sendClass[kind] === sending && !held.has(id)) records.push(this.#handOut(id, this.#rowAt(number)));
      }
    }
    return records;
  }

  byTransaction(id: TransactionId): OutboxRecord | null {
    const number = this.#numberOf(id);
    return number === null ? null : this.#handOut(id, this.#rowAt(number));
  }

  /** Inside the caller's transaction. An answer to a record that is not queued (answered before) changes nothing. */
  settle(counters: Counters, after: After, settled: SettledAnswer): void {
    const id = settled.transactionId;
    const number = this.#recent.get(id)?.number ?? this.#unfile(id);
    if (number === null) return;
    const dead = settled.answer.outcome === 'refused' && !settled.knownToSale;
    this.#answer.run(number, dead ? 1 : 0, JSON.stringify(settled.answer));
    const worth = this.#worth.get(number) as { readonly worth_minor: bigint; readonly points: bigint };
    counters.unsent -= 1;
    counters.unsentWorthMinor -= BigInt(amountOf(worth.worth_minor));
    counters.unsentPoints -= BigInt(pointsOf(worth.points));
    if (dead) counters.dead += 1;
    after(() => {
      this.#recent.delete(id);
      this.#attempts.delete(id);
    });
  }

  /** Journal numbers of unsent records, oldest first, at most `limit`: each class's oldest, merged. */
  oldest(limit: number): readonly number[] {
    const filed = classes.flatMap((sending) =>
      this.#places
        .all(sending * classStep, (sending + 1) * classStep, limit)
        .map((place) => numberOf(integer(place, 1))),
    );
    filed.sort((a, b) => a - b);
    const recent = filed.length < limit ? [...this.#recent.values()].map(({ number }) => number) : [];
    return [...filed, ...recent].slice(0, limit);
  }

  /** Takes back the answers from this journal number on and queues their records again; inside the caller's transaction. */
  requeue(counters: Counters, after: After, fromNumber: number): void {
    const recent = new Map(this.#recent);
    for (let from = fromNumber, isMore = true; isMore; ) {
      const rows = this.#answered.all(from) as AnsweredRow[];
      isMore = rows.length === requeuePage;
      for (const row of rows) {
        const number = integer(row.number, 1);
        from = number + 1;
        counters.unsent += 1;
        counters.unsentWorthMinor += BigInt(amountOf(row.worth_minor));
        counters.unsentPoints += BigInt(pointsOf(row.points));
        if (row.dead === 1n) counters.dead -= 1;
        if (number <= counters.filedNumber) this.#enter(placeOf(row.kind, number), row.id);
        else recent.set(transactionIdFromBytes(row.id), { number, kind: row.kind });
      }
    }
    this.#withdraw.run(fromNumber);
    const inOrder = [...recent].sort(([, a], [, b]) => a.number - b.number);
    after(() => {
      this.#recent.clear();
      for (const [id, one] of inOrder) this.#recent.set(id, one);
    });
  }

  #enter(place: number, id: Bytes): void {
    this.#mayHoldFiled = true;
    this.#insert.run(place, id);
  }

  /** One row of the table is looked for, and none while it is known to be empty: on a box that keeps up it nearly always is. */
  #holdsFiled(): boolean {
    this.#mayHoldFiled &&= this.#any.get() !== undefined;
    return this.#mayHoldFiled;
  }

  #numberOf(id: TransactionId): number | null {
    const recent = this.#recent.get(id);
    if (recent) return recent.number;
    const place = this.#placeById.get(idBytes(id));
    return place === undefined ? null : numberOf(integer(place, 1));
  }

  /** Takes a record out of the table. @returns its journal number, or null where it was not there */
  #unfile(id: TransactionId): number | null {
    const place = this.#remove.get(idBytes(id));
    return place === undefined ? null : numberOf(integer(place, 1));
  }

  /** Of a class: the first `wanted` records that are not held, or as many as there are, and what is held between them. */
  #filedRows(sending: number, wanted: number, held: ReadonlySet<TransactionId>): readonly SendRow[] {
    const [start, end] = [sending * classStep, (sending + 1) * classStep];
    if (held.size === 0) return this.#next.all(start, end, wanted) as SendRow[];
    // What is held comes first nearly always, and may be thousands: of that the ids alone are read.
    const places: number[] = [];
    for (const { id, place } of this.#inLine.iterate(start, end) as IterableIterator<LineRow>) {
      if (held.has(transactionIdFromBytes(id))) continue;
      places.push(integer(place, 1));
      if (places.length === wanted) break;
    }
    const [first = end, last = start] = [places[0], places.at(-1)];
    return this.#next.all(first, last + 1, wanted + held.size) as SendRow[];
  }

  #rowAt(number: number): SendRow {
    const row = this.#row.get(number) as SendRow | undefined;
    if (!row) throw new TerminalError('store.corrupt', `journal row ${number} is missing`);
    return row;
  }

  #handOut(id: TransactionId, row: SendRow): OutboxRecord {
    const attempts = this.#attempts.get(id) ?? 0;
    this.#attempts.delete(id);
    this.#attempts.set(id, attempts + 1);
    if (this.#attempts.size > attemptsKept) {
      const [longest] = this.#attempts.keys();
      if (longest !== undefined) this.#attempts.delete(longest);
    }
    return {
      transactionId: id,
      epoch: integer(row.epoch, 1),
      sequence: integer(row.sequence, 1),
      kind: row.kind,
      body: row.body,
      previousHash: toHex(row.previous_hash),
      attempts,
    };
  }
}
