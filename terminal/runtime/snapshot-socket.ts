/**
 * The snapshot socket: whoever may open it (the box's own user) gets a consistent copy of the running box's database.
 * The database is locked for the box alone, so a backup has to ask. Must do nothing else: no command, no input is read.
 */
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { TerminalError } from '../kernel/errors.js';

/** Names inside the box's data folder; scripts/backup knows them too. */
export const snapshotSocketName = 'snapshot.sock';
export const snapshotFolderName = 'snapshots';
const waitingMax = 4;

export interface SnapshotSocketOptions {
  readonly dataFolder: string;
  /** Writes a consistent copy to a file that is not there yet. */
  readonly backup: (toFile: string) => Promise<void>;
}

/** One line: `{"file":"…"}` when the copy is complete and flushed, else `{"code":"store.full"}`. */
async function answerLine(options: SnapshotSocketOptions, file: string): Promise<string> {
  try {
    await options.backup(file);
    return `${JSON.stringify({ file })}\n`;
  } catch (error) {
    rmSync(file, { force: true });
    return `${JSON.stringify({ code: error instanceof TerminalError ? error.code : 'store.failed' })}\n`;
  }
}

/**
 * Opens `<dataFolder>/snapshot.sock`, 0600. Each connection gets one copy, one after the other; whoever asked removes it.
 * Copies that were left by a crash are removed at the start. @returns how to close; a copy under way is finished
 */
export async function openSnapshotSocket(options: SnapshotSocketOptions): Promise<() => Promise<void>> {
  const folder = path.join(options.dataFolder, snapshotFolderName);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { force: true });
  const socketFile = path.join(options.dataFolder, snapshotSocketName);
  rmSync(socketFile, { force: true });
  let last: Promise<void> = Promise.resolve();
  let count = 0;
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.resume();
    count += 1;
    const file = path.join(folder, `${count}.db`);
    last = last.then(async () => {
      const line = await answerLine(options, file);
      // Nobody is left to take it away.
      if (socket.destroyed) rmSync(file, { force: true });
      else socket.end(line);
    });
  });
  server.maxConnections = waitingMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socketFile, resolve);
  });
  chmodSync(socketFile, 0o600);
  return async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    await last;
    await closed;
  };
}
