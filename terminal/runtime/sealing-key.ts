/**
 * Sealing key: one key beside the device key under which members' local keys stand in the database. Drawn once.
 * Must not be backed up with the database, nor logged: who has both has the local keys of the allowances held.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import type { Random } from '../kernel/ports.js';
import { sealingKeyBytes } from './local-keys.js';

const fileName = 'local-keys.seal';

/** The key of this folder, drawn where there is none. @throws TerminalError store.failed where it cannot be kept or is damaged */
export function sealingKeyIn(folder: string, random: Random): Bytes {
  const file = path.join(folder, fileName);
  try {
    const kept = new Uint8Array(readFileSync(file));
    if (kept.length === sealingKeyBytes) return kept;
    throw new TerminalError('store.failed', `${fileName} is damaged: remove it, the host sends the keys again`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const key = random.bytes(sealingKeyBytes);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const handle = openSync(`${file}.new`, 'w', 0o600);
    writeSync(handle, key);
    fsyncSync(handle);
    closeSync(handle);
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new TerminalError('store.failed', `${fileName}: ${(error as Error).message}`);
  }
  return key;
}
