/**
 * Connection: opens the database file with its durability set, and maps SQLite's failures to error codes.
 * The only file that sets pragmas. Must not know what the tables mean.
 */
import { closeSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import { migrate } from './migrations.js';

export type Connection = Database.Database;
export type Statement = Database.Statement<unknown[], unknown>;

/** Small pages: each that a commit touches is written whole (docs/decisions/journal-schema.md has the figures). */
const pageBytes = 1024;
/** How long an open waits for a box that is just ending to let go of the file. */
const busyTimeoutMs = 2_000;
/** A commit that leaves this many frames in the WAL checkpoints by itself; maintain() does it earlier, in quiet moments. */
const checkpointFrames = 1_000;
const cacheKibibytes = 4_096;

/** The failure as this product's code, or null where it can only be a bug (a broken constraint, wrong SQL). */
export function storeFailure(cause: unknown): TerminalError | null {
  if (cause instanceof TerminalError) return cause;
  if (!(cause instanceof Database.SqliteError)) return null;
  const code = failureCode(cause.code);
  return code === null ? null : new TerminalError(code, `${cause.code} ${cause.message}`.slice(0, 200));
}

function failureCode(code: string): ErrorCode | null {
  if (code === 'SQLITE_FULL') return 'store.full';
  if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) return 'store.corrupt';
  const bugs = [
    'SQLITE_CONSTRAINT',
    'SQLITE_ERROR',
    'SQLITE_MISUSE',
    'SQLITE_RANGE',
    'SQLITE_MISMATCH',
    'SQLITE_TOOBIG',
  ];
  return bugs.some((bug) => code.startsWith(bug)) ? null : 'store.failed';
}

function setPragmas(db: Connection): void {
  db.defaultSafeIntegers(true);
  // One box, one process: counters may be kept in memory, and a second box on the same file is refused at once.
  db.pragma('locking_mode = EXCLUSIVE');
  db.pragma(`page_size = ${pageBytes}`);
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  if (mode !== 'wal' && mode !== 'memory') throw new TerminalError('store.failed', `journal mode is ${String(mode)}`);
  // better-sqlite3 is built so that a WAL database falls to NORMAL unless this is said, after the mode, on each open.
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma('cell_size_check = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma(`cache_size = -${cacheKibibytes}`);
  db.pragma(`wal_autocheckpoint = ${checkpointFrames}`);
}

/**
 * Opens or creates the box's database, brings it to this version's shape and takes it for this process alone.
 * `file`: a path, or `:memory:`.
 * @throws TerminalError store.newer, store.corrupt, store.full, store.failed (read-only, or another process has it)
 */
export function openConnection(file: string): Connection {
  let db: Connection | null = null;
  try {
    // SQLite would create it readable by all; WAL and backup files take the mode from it.
    if (file !== ':memory:') closeSync(openSync(file, 'a', 0o600));
    db = new Database(file, { timeout: busyTimeoutMs });
    setPragmas(db);
    migrate(db);
    // Meets a read-only file now rather than at the first sale. Writes nothing: a full disk must not keep a box from starting.
    db.exec('BEGIN IMMEDIATE; COMMIT');
    return db;
  } catch (cause) {
    db?.close();
    throw openFailure(cause);
  }
}

function openFailure(cause: unknown): unknown {
  const known = storeFailure(cause);
  if (known) return known;
  if (cause instanceof Database.SqliteError) return new TerminalError('store.corrupt', cause.message.slice(0, 200));
  const system = cause instanceof Error && 'code' in cause ? String(cause.code) : null;
  if (system === null) return cause;
  return new TerminalError(system === 'ENOSPC' || system === 'EDQUOT' ? 'store.full' : 'store.failed', system);
}

/**
 * Gate: every read and write goes through it. After a failure other than a full disk the connection is not trusted
 * again: what SQLite holds in memory may differ from what reached the disk.
 */
export class Gate {
  #failure: TerminalError | null = null;
  readonly #transaction;

  constructor(db: Connection) {
    this.#transaction = db.transaction((work: () => unknown) => work());
  }

  /** One transaction, one flush. @throws TerminalError store.full, store.failed, store.corrupt; nothing was written then. */
  write<T>(work: () => T): T {
    if (this.#failure) throw this.#failure;
    try {
      return this.#transaction.immediate(work) as T;
    } catch (cause) {
      throw this.#judge(cause);
    }
  }

  read<T>(work: () => T): T {
    try {
      return work();
    } catch (cause) {
      throw this.#judge(cause);
    }
  }

  #judge(cause: unknown): unknown {
    const failure = storeFailure(cause);
    if (!failure) return cause;
    if (failure.code === 'store.corrupt' || failure.code === 'store.failed') this.#failure ??= failure;
    return failure;
  }
}

/** An integer as SQLite gave it, checked. @throws TerminalError store.corrupt when it is none or out of min…max. */
export function integer(value: unknown, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'bigint' && value >= BigInt(min) && value <= BigInt(max)) return Number(value);
  throw new TerminalError('store.corrupt', 'an integer is out of its range');
}

/** JSON that this box wrote. @throws TerminalError store.corrupt when it does not parse. */
export function storedJson<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new TerminalError('store.corrupt', 'a stored value is not JSON');
  }
}
