/**
 * Putting a restored data folder in place: checked first, swapped by renames, what was there kept beside it.
 * Must not read archives.
 */
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { isSocketAnswering } from '../../host-sync/server/admin/server.js';
import { flushFolder } from '../../host-sync/server/pki/key-files.js';
import { TerminalError } from '../../terminal/kernel/errors.js';

/** Throws `config.invalid`, with what to do, when a process answers at the socket. */
export async function refuseWhileRunning(socket: string, what: string): Promise<void> {
  if (await isSocketAnswering(socket))
    throw new TerminalError('config.invalid', `the ${what} is running: stop it first (Ctrl-C in scripts/start)`);
}

/** The engine's own check of a file that nobody writes. Throws `store.corrupt`. */
export function checkDatabase(file: string): void {
  // Not read-only: a reader of a WAL database would leave its side files behind.
  const database = new Database(file, { fileMustExist: true });
  try {
    const result = database.pragma('integrity_check(10)', { simple: true });
    if (result !== 'ok')
      throw new TerminalError('store.corrupt', `backup: ${path.basename(file)} does not pass its check`);
  } finally {
    database.close();
  }
}

/** A name beside `folder` that is free, by time. */
function keptName(folder: string, nowMs: number): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  for (let attempt = 0; ; attempt++) {
    const name = `${folder}.before-${stamp}${attempt === 0 ? '' : `-${attempt}`}`;
    if (!existsSync(name)) return name;
  }
}

/** Throws `config.invalid` where a folder holds something and that was not meant. @returns whether it holds something */
export function refuseOccupied(folder: string, replace: boolean): boolean {
  const isOccupied = existsSync(folder) && readdirSync(folder).length > 0;
  if (isOccupied && !replace)
    throw new TerminalError('config.invalid', `${folder} is not empty: add --replace to keep it aside and restore`);
  return isOccupied;
}

/**
 * Replaces a whole folder by a checked one beside it: two renames. When the power fails between them the old folder
 * stands under its kept name, and the restore is run again. @returns where the old one is kept; null where there was none
 */
export function replaceFolder(fresh: string, folder: string, replace: boolean, nowMs: number): string | null {
  const isOccupied = refuseOccupied(folder, replace);
  const kept = existsSync(folder) ? keptName(folder, nowMs) : null;
  if (kept) renameSync(folder, kept);
  renameSync(fresh, folder);
  flushFolder(path.dirname(folder));
  return isOccupied ? kept : null;
}

/**
 * Replaces entries of a folder that others share: each old entry goes to a kept folder, then each new one comes in, the
 * database last, so that a box never starts on half of a restore. @returns where the old entries are kept; null: none
 */
export function replaceEntries(
  fresh: string,
  folder: string,
  isOurs: (name: string) => boolean,
  options: { replace: boolean; nowMs: number },
): string | null {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const old = readdirSync(folder).filter(isOurs);
  if (old.length > 0 && !options.replace)
    throw new TerminalError('config.invalid', `${folder} is not empty: add --replace to keep it aside and restore`);
  const kept = old.length > 0 ? keptName(path.join(folder, 'box'), options.nowMs) : null;
  if (kept) {
    mkdirSync(kept, { mode: 0o700 });
    for (const name of [...old].sort(databaseFirst)) renameSync(path.join(folder, name), path.join(kept, name));
  }
  for (const name of readdirSync(fresh).sort(databaseFirst).reverse())
    renameSync(path.join(fresh, name), path.join(folder, name));
  flushFolder(folder);
  return kept;
}

const databaseFirst = (a: string, b: string): number =>
  Number(b.endsWith('.db')) - Number(a.endsWith('.db')) || a.localeCompare(b);
