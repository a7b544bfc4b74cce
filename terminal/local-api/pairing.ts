/**
 * Pairing: the one token that a till needs. Drawn once into a file for the till's installer; the box keeps its SHA-256 only,
 * since 256 random bits need no slow hash.
 * Must not show or log a token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import type { Random } from '../kernel/ports.js';
import type { TerminalPort } from '../runtime/port.js';

export const tokenSetting = 'localApi.tokenHash';
const tokenBytes = 32;

type Settings = Pick<TerminalPort, 'setting' | 'setSetting' | 'recordAudit'>;
const digest = (token: string): Buffer => createHash('sha256').update(token).digest();

/** What the token file says: nothing there, an empty file (someone asks for a new token), or something. */
function tokenFileState(file: string): 'absent' | 'empty' | 'written' {
  try {
    return statSync(file).size === 0 ? 'empty' : 'written';
  } catch {
    return 'absent';
  }
}

/** The whole file with mode 0600 or no file: never a half one, never one that others may read. */
function writeTokenFile(file: string, token: string): void {
  const half = `${file}.new`;
  rmSync(half, { force: true });
  const handle = openSync(half, 'wx', 0o600);
  try {
    writeSync(handle, `${token}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(half, file);
}

/**
 * Draws the pairing token where there is none, or a new one where the token file was emptied (the old one ends at once),
 * and writes it (43 characters base64url and a line end) to the token file, the only place where it can be read.
 * The file comes first: a power cut in between leaves a token that is simply drawn again. @returns whether one was drawn
 */
export function pairTill(port: Settings, random: Random, tokenFile: string): boolean {
  if (port.setting(tokenSetting) !== null && tokenFileState(tokenFile) !== 'empty') return false;
  const token = Buffer.from(random.bytes(tokenBytes)).toString('base64url');
  writeTokenFile(tokenFile, token);
  port.setSetting(tokenSetting, digest(token).toString('hex'));
  port.recordAudit('box', 'localApi.tokenDrawn', '');
  return true;
}

/** True when an Authorization header bears the pairing token. Takes the same time for every wrong one. */
export function bearsToken(port: Pick<TerminalPort, 'setting'>, header: string | undefined): boolean {
  const token = /^Bearer ([A-Za-z0-9_-]{1,128})$/i.exec(header ?? '')?.[1] ?? '';
  const stored = Buffer.from(port.setting(tokenSetting) ?? '', 'hex');
  const given = digest(token);
  return timingSafeEqual(given, stored.length === given.length ? stored : Buffer.alloc(given.length)) && token !== '';
}
