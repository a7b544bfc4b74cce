/**
 * Settings and audit: small values by name, and the hash-chained list of who did what.
 * Must not be given a secret in clear: what is stored here is hashes, times and counts.
 */
import { type Bytes, utf8 } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import type { Crypto } from '../kernel/ports.js';
import { wallMs } from '../kernel/units.js';
import { type Connection, integer, type Statement } from './connection.js';
import type { Counters } from './counters.js';
import { listLimit } from './journal.js';
import type { AuditEntry } from './port.js';

export const settingBytesMax = 4_096;
const nameLengthMax = 64;
const auditTextMax = 1_000;

export class Settings {
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #remove: Statement;

  constructor(db: Connection) {
    this.#get = db.prepare('SELECT value FROM setting WHERE name = ?').pluck();
    this.#put = db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)');
    this.#remove = db.prepare('DELETE FROM setting WHERE name = ?');
  }

  get(name: string): string | null {
    return (this.#get.get(name) as string | undefined) ?? null;
  }

  /** Null removes it. @throws TerminalError input.tooLong over 64 characters of name or 4,096 bytes of value */
  put(name: string, value: string | null): void {
    if (name.length < 1 || name.length > nameLengthMax) throw new TerminalError('input.tooLong', 'name of a setting');
    if (value !== null && utf8(value).length > settingBytesMax)
      throw new TerminalError('input.tooLong', `setting ${name}`);
    if (value === null) this.#remove.run(name);
    else this.#put.run(name, value);
  }
}

/** hash(n) = SHA-256(hash(n−1) ‖ JSON of [number, time, actor, action, detail]). The first follows 32 zero bytes. */
export function auditHash(crypto: Pick<Crypto, 'sha256'>, previous: Bytes, entry: AuditEntry): Bytes {
  const text = JSON.stringify([entry.number, entry.atWallMs, entry.actor, entry.action, entry.detail]);
  return crypto.sha256(Buffer.concat([previous, utf8(text)]));
}

export interface AuditRow {
  readonly number: bigint;
  readonly at_ms: bigint;
  readonly actor: string;
  readonly action: string;
  readonly detail: string;
  readonly hash: Bytes;
}
export const auditEntryOf = (row: AuditRow): AuditEntry => ({
  number: integer(row.number, 1),
  atWallMs: wallMs(integer(row.at_ms)),
  actor: row.actor,
  action: row.action,
  detail: row.detail,
});

export class Audit {
  readonly #insert: Statement;
  readonly #newest: Statement;

  constructor(
    db: Connection,
    private readonly crypto: Pick<Crypto, 'sha256'>,
  ) {
    this.#insert = db.prepare('INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)');
    this.#newest = db.prepare('SELECT * FROM audit WHERE number > 0 ORDER BY number DESC LIMIT ?');
  }

  /** Inside the caller's transaction. Each text is cut at 1,000 characters: an audit row must never fail to be written. */
  append(counters: Counters, entry: Omit<AuditEntry, 'number'>): void {
    // Through UTF-8 and back: a half of a surrogate pair would be hashed as one thing and stored as another.
    const cut = (text: string) => Buffer.from(text.slice(0, auditTextMax)).toString();
    const number = counters.nextAudit;
    const row = { ...entry, number, actor: cut(entry.actor), action: cut(entry.action), detail: cut(entry.detail) };
    const hash = auditHash(this.crypto, counters.auditHash, row);
    this.#insert.run(number, row.atWallMs, row.actor, row.action, row.detail, hash);
    counters.nextAudit += 1;
    counters.auditHash = hash;
  }

  newest(limit: number): readonly AuditEntry[] {
    return (this.#newest.all(listLimit(limit)) as AuditRow[]).map(auditEntryOf);
  }
}
