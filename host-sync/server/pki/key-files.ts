/**
 * Secret files: keys and certificates on disk, 0600 in folders of 0700, written whole or not at all.
 * Must not know what a file holds, and must not put content or key material into an error.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { TerminalError } from '../../../terminal/kernel/errors.js';

export const secretFileMode = 0o600;
export const secretFolderMode = 0o700;
/** No key or certificate file of ours is longer. */
export const secretFileBytesMax = 65_536;

/** Makes the folder and its parents for its owner alone; an existing one is narrowed to that. */
export function ensurePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: secretFolderMode });
  chmodSync(folder, secretFolderMode);
}

/** Flushes a folder's entries, so that a rename in it survives a power cut. */
export function flushFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Writes the file 0600: temporary neighbour, flush, rename, flush of the folder. A reader sees the old or the new content. */
export function writePrivateFile(file: string, content: Uint8Array | string): void {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = openSync(temporary, 'wx', secretFileMode);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
    fsyncSync(handle);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
  flushFolder(path.dirname(file));
}

/**
 * Reads a secret file; null where there is none. Throws `config.invalid` when others may read it or it is too long:
 * a key that was readable by others is no longer a secret, and only a person can judge that.
 */
export function readPrivateFile(file: string): Buffer | null {
  if (!existsSync(file)) return null;
  const status = statSync(file);
  if ((status.mode & 0o077) !== 0)
    throw new TerminalError(
      'config.invalid',
      `${path.basename(file)} may be read by others: chmod 600 it, or replace the key`,
    );
  if (status.size > secretFileBytesMax)
    throw new TerminalError('config.invalid', `${path.basename(file)} is too long for a key`);
  return readFileSync(file);
}
