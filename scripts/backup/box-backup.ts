/**
 * Backup and restore of the box: its database as the running box copies it (or the file itself while it is stopped), and
 * the other files of its data folder. Must not touch the embedded host's folder inside.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import Database from 'better-sqlite3';
import { z } from 'zod';
import { isErrorCode, TerminalError } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { snapshotSocketName } from '../../terminal/runtime/snapshot-socket.js';
import { markRestored } from '../../terminal/store/backup.js';
import { type ArchiveSource, isEntryName, readArchive, writeArchive } from '../archive.js';
import { checkDatabase, refuseWhileRunning, replaceEntries } from './data-folder.js';
import { readManifest, writeManifest } from './manifest.js';

const consoleSocket = 'console.sock';
const boxDatabase = 'terminal.db';
const answerBytesMax = 4_096;
const depthMax = 3;
const sqliteMagic = Buffer.from('SQLite format 3\0', 'latin1');
/** Not the box's: the host beside it, the simulated set, one-time codes, keys that open backups, and what belongs to a running process or an old restore. */
const excluded =
  /^(?:host|set|simulated|real|current|snapshots|bootstrap\.json|recovery\.key|.*\.(?:sock|tmp|partial|lock|pid|log)|.*-(?:wal|shm|journal|reserve)|.*\.before-.*|.*\.restoring-.*|.*\.snapshot-.*)$/;

/** What travels in a backup, by its name at the top of the data folder. */
const isArchived = (name: string): boolean => !name.startsWith('.') && !excluded.test(name);
/** What a restore sets aside: the same, and the side files of a database, which belong to it. */
const isReplaced = (name: string): boolean => isArchived(name) || /-(?:wal|shm|journal|reserve)$/.test(name);

function isDatabase(file: string): boolean {
  const handle = openSync(file, 'r');
  try {
    const head = Buffer.alloc(sqliteMagic.length);
    return readSync(handle, head, 0, head.length, 0) === head.length && head.equals(sqliteMagic);
  } finally {
    closeSync(handle);
  }
}

function filesOf(folder: string, prefix = '', depth = 1): readonly ArchiveSource[] {
  return readdirSync(path.join(folder, prefix), { withFileTypes: true })
    .filter(({ name }) => isArchived(name))
    .flatMap((entry): readonly ArchiveSource[] => {
      const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) return depth < depthMax ? filesOf(folder, name, depth + 1) : [];
      if (!entry.isFile()) return [];
      if (!isEntryName(name))
        throw new TerminalError('input.outOfRange', `the file name ${name} cannot go into a backup`);
      return [{ name, file: path.join(folder, name) }];
    });
}

/** Asks the running box for a copy. @returns its file, to be removed by us; null where no box runs */
async function askForSnapshot(folder: string): Promise<string | null> {
  const socket = connect(path.join(folder, snapshotSocketName));
  let text = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) {
      text += String(chunk);
      if (text.length > answerBytesMax) throw new TerminalError('input.tooLong', 'answer of the box');
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return null;
    throw error;
  }
  const json = parseJson(text.trim());
  const answer = z
    .union([z.object({ file: z.string() }), z.object({ code: z.string() })])
    .safeParse(json.ok ? json.value : null);
  if (answer.success && 'file' in answer.data) return answer.data.file;
  const code =
    answer.success && 'code' in answer.data && isErrorCode(answer.data.code) ? answer.data.code : 'store.failed';
  throw new TerminalError(code, 'the box could not copy its database');
}

/** A copy of a database that no process holds. Read-write, so that what a crash left in its log is in the copy. */
async function copyDatabase(file: string, target: string): Promise<void> {
  const database = new Database(file, { fileMustExist: true, timeout: 1_000 });
  try {
    await database.backup(target);
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      throw new TerminalError(
        'store.failed',
        `${path.basename(file)} is locked by a box that does not answer: stop it, or start it anew`,
      );
    throw error;
  } finally {
    database.close();
  }
}

/** Throws `config.invalid` while a box holds the database, also one whose sockets are off. */
export function refuseLocked(file: string): void {
  if (!existsSync(file)) return;
  const database = new Database(file, { fileMustExist: true, timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE; ROLLBACK');
  } catch (error) {
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      throw new TerminalError('config.invalid', 'the box is running: stop it first (Ctrl-C in scripts/start)');
    // A damaged file is what a restore is for.
    if (!(error instanceof Database.SqliteError)) throw error;
  } finally {
    database.close();
  }
}

/** Archives a box, running or not. @returns how many files */
export async function backupBox(
  folder: string,
  target: string,
  recoveryKey: Buffer,
  onBytes: (count: number) => void,
): Promise<{ readonly files: number }> {
  if (!existsSync(folder)) throw new TerminalError('config.invalid', `there is no data folder ${folder}`);
  const found = filesOf(folder);
  if (!found.some(({ file }) => isDatabase(file)))
    throw new TerminalError('config.invalid', `${folder} holds no box (no database): name it with --data`);
  const snapshot = await askForSnapshot(folder);
  const temporary = path.join(folder, `box.snapshot-${randomBytes(6).toString('hex')}`);
  mkdirSync(temporary, { mode: 0o700 });
  try {
    const manifest = path.join(temporary, 'manifest.json');
    writeManifest(manifest, { kind: 'box', realm: null, madeAtMs: nativeClock.wallMs() });
    const sources: ArchiveSource[] = [{ name: 'manifest.json', file: manifest }];
    for (const [index, source] of found.entries()) {
      const copy = path.join(temporary, `${index}.db`);
      const isSnapshot = snapshot !== null && source.name === boxDatabase;
      const isSqlite = !isSnapshot && isDatabase(source.file);
      if (isSqlite) await copyDatabase(source.file, copy);
      sources.push({ name: source.name, file: isSnapshot ? snapshot : isSqlite ? copy : source.file });
    }
    writeArchive(target, recoveryKey, sources, onBytes);
    return { files: sources.length };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
    if (snapshot) rmSync(snapshot, { force: true });
  }
}

/** Restores a box that is not running. @returns where what was there is kept, and when the backup was made */
export async function restoreBox(
  source: string,
  folder: string,
  recoveryKey: Buffer,
  options: { readonly replace: boolean; readonly onBytes: (count: number) => void },
): Promise<{ readonly kept: string | null; readonly madeAtMs: number }> {
  await refuseWhileRunning(path.join(folder, consoleSocket), 'box');
  refuseLocked(path.join(folder, boxDatabase));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const fresh = path.join(folder, `box.restoring-${randomBytes(6).toString('hex')}`);
  try {
    const names = readArchive(source, recoveryKey, fresh, options.onBytes);
    const { madeAtMs } = readManifest(path.join(fresh, 'manifest.json'), 'box');
    for (const name of names) if (isDatabase(path.join(fresh, name))) checkDatabase(path.join(fresh, name));
    rmSync(path.join(fresh, 'manifest.json'));
    // Its sequence may lie behind what the host has: marked, the box asks for a new epoch before it sells.
    if (!names.includes(boxDatabase)) throw new TerminalError('store.corrupt', `backup: ${boxDatabase} is not in it`);
    markRestored(path.join(fresh, boxDatabase), nativeClock.wallMs());
    const kept = replaceEntries(fresh, folder, isReplaced, { replace: options.replace, nowMs: nativeClock.wallMs() });
    return { kept, madeAtMs };
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
