/**
 * Salvage: brings what can still be read of a damaged database's journal into a text file, record by record.
 * Reads a copy: the damaged file stays as it is. Must not judge or repair what it reads.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { bodyBytesMax } from '../../host-sync/protocol/record.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';

export interface Salvaged {
  /** Records read through SQLite, with their hash. */
  readonly rows: number;
  /** Records found only by searching the file's bytes. */
  readonly found: number;
  /** Rows that SQLite could not read. */
  readonly unreadable: number;
}

/** After this many numbers without a readable row the journal is taken to have ended. */
const missesMax = 20_000;
/** Largest file whose bytes are searched, and read into memory for it. */
const searchBytesMax = 1_073_741_824;
const bodyMark = '{"version":1,"terminalId":"t-';

/**
 * Writes one JSON object a line: `{"number","hash","body"}` for each journal row that SQLite can read (`body` is the
 * record's text verbatim), then `{"number":null,"hash":null,"body"}` for records seen only in the bytes of file or WAL.
 * `toFile` must not exist yet. The box must be stopped.
 * @throws TerminalError store.failed when a file cannot be read or written
 */
export function exportSalvage(fromFile: string, toFile: string): Salvaged {
  let folder: string | null = null;
  let out: number | null = null;
  try {
    out = openSync(toFile, 'wx', 0o600);
    folder = mkdtempSync(join(dirname(toFile), 'salvage-'));
    const copy = join(folder, 'copy.db');
    copyFileSync(fromFile, copy, constants.COPYFILE_FICLONE);
    if (existsSync(`${fromFile}-wal`)) copyFileSync(`${fromFile}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
    // The bytes are searched first: opening the copy may fold the WAL into it.
    const bodies = searchBodies([copy, `${copy}-wal`]);
    const { rows, unreadable } = exportRows(copy, out, bodies);
    for (const body of bodies) writeLine(out, null, null, body);
    fsyncSync(out);
    return { rows, unreadable, found: bodies.size };
  } catch (cause) {
    if (cause instanceof TerminalError) throw cause;
    throw new TerminalError('store.failed', cause instanceof Error ? cause.message.slice(0, 200) : '');
  } finally {
    if (out !== null) closeSync(out);
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

function writeLine(out: number, number: number | null, hash: string | null, body: string): void {
  writeSync(out, `${JSON.stringify({ number, hash, body })}\n`);
}

/** Rows by number, each read by itself, so that one damaged page costs only its own rows. Takes what it read out of `bodies`. */
function exportRows(
  file: string,
  out: number,
  bodies: Set<string>,
): { readonly rows: number; readonly unreadable: number } {
  let rows = 0;
  let unreadable = 0;
  let db: Database.Database | null = null;
  try {
    db = new Database(file);
    const read = db.prepare('SELECT hash, body FROM journal WHERE number = ?');
    for (let number = firstNumber(db), misses = 0; misses < missesMax; number++) {
      const row = readRow(read, number);
      misses = row && row !== 'unreadable' ? 0 : misses + 1;
      if (row === 'unreadable') unreadable += 1;
      else if (row) {
        writeLine(out, number, toHex(row.hash), row.body);
        bodies.delete(row.body);
        rows += 1;
      }
    }
  } catch (cause) {
    // Not even the schema can be read: what the search found is all there is.
    if (!(cause instanceof Database.SqliteError)) throw cause;
  } finally {
    db?.close();
  }
  return { rows, unreadable };
}

function readRow(
  read: Database.Statement<unknown[], unknown>,
  number: number,
): { readonly hash: Bytes; readonly body: string } | 'unreadable' | null {
  try {
    return (read.get(number) as { readonly hash: Bytes; readonly body: string } | undefined) ?? null;
  } catch (cause) {
    if (!(cause instanceof Database.SqliteError)) throw cause;
    return 'unreadable';
  }
}

/** Where the kept journal begins: 1, unless a purge says otherwise and can be read. */
function firstNumber(db: Database.Database): number {
  try {
    return Number(db.prepare('SELECT purged_number FROM counters').pluck().get() ?? 0) + 1;
  } catch {
    return 1;
  }
}

/** Record bodies that lie in one piece in the bytes of these files. */
function searchBodies(files: readonly string[]): Set<string> {
  const bodies = new Set<string>();
  for (const file of files) {
    if (!existsSync(file)) continue;
    const bytes = readFileSync(file);
    if (bytes.length > searchBytesMax) continue;
    for (let at = bytes.indexOf(bodyMark); at >= 0; at = bytes.indexOf(bodyMark, at + bodyMark.length)) {
      const body = bodyAt(bytes.subarray(at, at + bodyBytesMax));
      if (body !== null) bodies.add(body);
    }
  }
  return bodies;
}

/** The JSON object at the beginning of these bytes, or null where it does not end or is not JSON. */
function bodyAt(bytes: Buffer): string | null {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (quoted) {
      if (byte === 0x5c) at++;
      else if (byte === 0x22) quoted = false;
    } else if (byte === 0x22) quoted = true;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) return json(bytes.toString('utf8', 0, at + 1));
  }
  return null;
}

function json(text: string): string | null {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return null;
  }
}
