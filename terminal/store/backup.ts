/**
 * Backup: a consistent copy of the running database in a file of its own, and the mark that a restored copy carries.
 * Must not leave a half copy under the name that was asked for.
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { TerminalError } from '../kernel/errors.js';
import type { WallMs } from '../kernel/units.js';
import { type Connection, storeFailure } from './connection.js';
import { applicationId } from './migrations.js';

/**
 * Setting of a database that was restored from a backup. Its sequence may lie behind what the host has: the box asks for
 * a new epoch before it sells again, and setIdentity with that epoch removes the mark.
 */
export const restoredSetting = 'restored';
/** Values of restoredSetting where the host's word showed it: this box's history is old; so soon again, a copy of it lives. */
export const regressedMark = 'regressed';
export const clonedMark = 'cloned';
/** Setting: when this box last asked for a new epoch because its history was old. */
export const regressedAtSetting = 'regressed-at';
/** Setting of a box whose place another has taken, or was handed its history: it sells nothing any more. */
export const replacedSetting = 'replaced';

/** Pages that are copied between two turns of the event loop: under a millisecond, so that a tap does not wait. */
const pagesPerTurn = 64;

/**
 * Copies the database while it is in use; commits made meanwhile are in the copy. Resolves when it is complete, flushed
 * and under its name.
 * @throws TerminalError store.full, store.failed, store.corrupt
 */
export async function backupTo(db: Connection, toFile: string): Promise<void> {
  const partial = `${toFile}.partial`;
  try {
    await rm(partial, { force: true });
    await db.backup(partial, { progress: () => pagesPerTurn });
    await flush(partial, 'r+');
    await rename(partial, toFile);
    await flush(dirname(toFile), 'r');
  } catch (cause) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw fileFailure(cause);
  }
}

async function flush(path: string, flags: string): Promise<void> {
  const handle = await open(path, flags);
  try {
    if (flags !== 'r') await handle.chmod(0o600);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function fileFailure(cause: unknown): unknown {
  const known = storeFailure(cause);
  if (known) return known;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : null;
  if (code === null) return cause;
  return new TerminalError(code === 'ENOSPC' || code === 'EDQUOT' ? 'store.full' : 'store.failed', code);
}

/**
 * Marks a database file, which no process may have open, as restored at `atWallMs`.
 * @throws TerminalError store.failed, store.full, store.corrupt (damaged, or not this product's)
 */
export function markRestored(file: string, atWallMs: WallMs): void {
  changeSettings(file, (db) => {
    db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)').run(restoredSetting, String(atWallMs));
  });
}

/**
 * Makes a replaced box's database that of the box which takes its place: restored, and no longer replaced.
 * @throws TerminalError store.failed, store.full, store.corrupt
 */
export function markTakenOver(file: string, atWallMs: WallMs): void {
  changeSettings(file, (db) => {
    db.prepare('DELETE FROM setting WHERE name = ?').run(replacedSetting);
    db.prepare('INSERT OR REPLACE INTO setting VALUES (?, ?)').run(restoredSetting, String(atWallMs));
  });
}

function changeSettings(file: string, change: (db: Connection) => void): void {
  let db: Connection | null = null;
  try {
    db = new Database(file, { fileMustExist: true });
    const owner = Number(db.pragma('application_id', { simple: true }));
    if (owner !== applicationId) throw new TerminalError('store.corrupt', 'not a database of this product');
    db.pragma('synchronous = FULL');
    const open = db;
    open.transaction(() => change(open)).immediate();
  } catch (cause) {
    throw fileFailure(cause);
  } finally {
    db?.close();
  }
}
