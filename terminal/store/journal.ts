/**
 * Journal: appends records to the hash chain and lists them. Rows are written once and never changed.
 * Must not decide what is sent or what a sale means.
 */
import {
  bodyBytesMax,
  bodyDigest,
  chainHash,
  encodeRecord,
  type Position,
  type RecordDraft,
  transactionIdFromBytes,
} from '../../host-sync/protocol/record.js';
import type { FinalAnswer } from '../../host-sync/protocol/sync.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import type { Crypto, TransactionId } from '../kernel/ports.js';
import { assert } from '../kernel/result.js';
import { wallMs } from '../kernel/units.js';
import { type Connection, integer, type Statement, storedJson } from './connection.js';
import { type Counters, trust } from './counters.js';
import type { Identity, JournalEntry } from './port.js';
import type { Worth } from './worth.js';

/** A UUID's 16 bytes as the tables hold them. */
export function idBytes(id: TransactionId): Buffer {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  assert(bytes.length === 16, 'a transaction id is a UUID');
  return bytes;
}

export const listLimitMax = 200;
export const listLimit = (limit: number): number => {
  assert(Number.isInteger(limit) && limit >= 1 && limit <= listLimitMax, `limit is 1 to ${listLimitMax}`);
  return limit;
};

interface JournalRow {
  readonly number: bigint;
  readonly terminal_id: string;
  readonly epoch: bigint;
  readonly sequence: bigint;
  readonly id: Bytes;
  readonly kind: string;
  readonly stored_ms: bigint;
  readonly previous_hash: Bytes;
  readonly hash: Bytes;
  readonly body: string;
  readonly dead: bigint | null;
  readonly answer: string | null;
}

const entryColumns = `j.number, c.terminal_id, c.epoch, j.sequence, j.id, j.kind, j.stored_ms, j.previous_hash, j.hash, j.body,
  a.dead, a.answer`;
const entryJoins = 'CROSS JOIN chain c ON c.number = j.chain LEFT JOIN answer a ON a.number = j.number';

function entryOf(row: JournalRow): JournalEntry {
  return {
    terminalId: row.terminal_id,
    epoch: integer(row.epoch, 1),
    sequence: integer(row.sequence, 1),
    transactionId: transactionIdFromBytes(row.id),
    kind: row.kind,
    body: row.body,
    previousHash: toHex(row.previous_hash),
    hash: toHex(row.hash),
    storedWallMs: wallMs(integer(row.stored_ms)),
    state: row.answer === null ? 'unsent' : row.dead === 1n ? 'dead' : 'settled',
    answer: row.answer === null ? null : storedJson<FinalAnswer>(row.answer),
  };
}

export class Journal {
  readonly #insert: Statement;
  readonly #newest: Statement;
  readonly #dead: Statement;
  readonly #one: Statement;
  readonly #firstNumber: Statement;

  constructor(
    db: Connection,
    private readonly crypto: Pick<Crypto, 'sha256'>,
  ) {
    this.#insert = db.prepare('INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
    this.#newest = db.prepare(
      `SELECT ${entryColumns} FROM journal j ${entryJoins} WHERE j.number < ? ORDER BY j.number DESC LIMIT ?`,
    );
    this.#dead = db.prepare(
      `SELECT ${entryColumns} FROM answer d INDEXED BY answer_dead CROSS JOIN journal j ON j.number = d.number ${entryJoins}
       WHERE d.dead = 1 AND d.number > 0 ORDER BY d.number LIMIT ?`,
    );
    this.#one = db.prepare(`SELECT ${entryColumns} FROM journal j ${entryJoins} WHERE j.number = ?`);
    this.#firstNumber = db
      .prepare('SELECT first_number FROM chain WHERE epoch = ? ORDER BY number DESC LIMIT 1')
      .pluck();
  }

  /**
   * Gives a record its place, its bytes and its hash; inside the caller's transaction.
   * @returns its journal number. @throws TerminalError input.tooLong when the body is over 65,536 bytes
   */
  append(counters: Counters, identity: Identity, draft: RecordDraft, worth: Worth, atWallMs: number): number {
    const position: Position = { ...identity, sequence: counters.nextSequence };
    const body = encodeRecord(draft, position);
    if (body.length > bodyBytesMax)
      throw new TerminalError('input.tooLong', `${draft.kind} record of ${body.length} bytes`);
    const number = counters.nextNumber;
    const previous = counters.lastHash;
    const hash = chainHash(this.crypto, previous, bodyDigest(this.crypto, body));
    const text = Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8');
    const id = idBytes(draft.transactionId);
    const { worthMinor, points } = worth;
    const place = [number, counters.chain, position.sequence, id, draft.kind, atWallMs];
    this.#insert.run(...place, worthMinor, points, previous, hash, text);
    counters.nextNumber += 1;
    counters.nextSequence += 1;
    counters.lastHash = hash;
    if (!draft.clockDoubtful) trust(counters, draft.atWallMs);
    return number;
  }

  newest(limit: number, before: { readonly epoch: number; readonly sequence: number } | null): readonly JournalEntry[] {
    let below = Number.MAX_SAFE_INTEGER;
    if (before) {
      const first = this.#firstNumber.get(before.epoch);
      if (first === undefined) return [];
      below = integer(first, 1) + before.sequence - 1;
    }
    return (this.#newest.all(below, listLimit(limit)) as JournalRow[]).map(entryOf);
  }

  dead(limit: number): readonly JournalEntry[] {
    return (this.#dead.all(listLimit(limit)) as JournalRow[]).map(entryOf);
  }

  /** @throws TerminalError store.corrupt when there is no such row */
  entry(number: number): JournalEntry {
    const row = this.#one.get(number) as JournalRow | undefined;
    if (!row) throw new TerminalError('store.corrupt', `journal row ${number} is missing`);
    return entryOf(row);
  }
}
