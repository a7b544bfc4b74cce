/**
 * The recovery key: 32 random bytes in a file of their own, drawn at the first backup; without it no backup opens.
 * Must never print the key.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writePrivateFile } from '../host-sync/server/pki/key-files.js';
import { TerminalError } from '../terminal/kernel/errors.js';
import { recoveryKeyBytes } from './archive.js';

const form = /^shouli-recovery-key-1 ([0-9a-f]{64})\n?$/;

/** Reads the key file. Throws `config.invalid`: absent, readable by others, or not a recovery key. */
export function readRecoveryKey(file: string): Buffer {
  if (!existsSync(file))
    throw new TerminalError('config.invalid', `no recovery key at ${file}: name its place with --recovery-key`);
  if ((statSync(file).mode & 0o077) !== 0)
    throw new TerminalError('config.invalid', `${file} may be read by others: chmod 600 it`);
  const match = form.exec(readFileSync(file, 'utf8'));
  const key = Buffer.from(match?.[1] ?? '', 'hex');
  if (key.length !== recoveryKeyBytes) throw new TerminalError('config.invalid', `${file} is not a recovery key`);
  return key;
}

/** Reads the key, or draws it at the first backup. `drawn` tells the caller to advise keeping it elsewhere. */
export function openRecoveryKey(file: string): { readonly key: Buffer; readonly drawn: boolean } {
  if (existsSync(file)) return { key: readRecoveryKey(file), drawn: false };
  const key = randomBytes(recoveryKeyBytes);
  writePrivateFile(file, `shouli-recovery-key-1 ${key.toString('hex')}\n`);
  return { key, drawn: true };
}
