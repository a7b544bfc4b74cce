/**
 * A box's history leaves one box and comes to another: export, resume, import. The box must be stopped.
 * Must not talk to the host; who may take whose place, the host has decided when it gave the new box its certificate.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { type Credentials, credentialsFileName, loadCredentials } from '../../host-sync/client/credentials.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { nativeClock, nativeCrypto } from '../../terminal/kernel/native.js';
import { markTakenOver, replacedSetting } from '../../terminal/store/backup.js';
import { openTerminalStore } from '../../terminal/store/open.js';
import type { QueueGauges, TerminalStore } from '../../terminal/store/port.js';
import { refuseLocked } from '../backup/box-backup.js';
import { checkDatabase, refuseWhileRunning, replaceEntries } from '../backup/data-folder.js';
import {
  databaseName,
  fileSha256,
  fingerprintOfKey,
  readTransfer,
  readTransferKey,
  readTransferRequest,
  transferKeyName,
  writeTransfer,
} from './transfer-file.js';

const keysOf = (folder: string): string => path.join(folder, 'keys');

async function refuseUnlessStopped(folder: string): Promise<void> {
  await refuseWhileRunning(path.join(folder, 'console.sock'), 'box');
  refuseLocked(path.join(folder, databaseName));
}

function credentialsOf(folder: string): Credentials {
  const loaded = loadCredentials(keysOf(folder));
  if (!loaded.ok) throw new TerminalError(loaded.error.code, loaded.error.detail);
  if (!loaded.value) throw new TerminalError('terminal.notEnrolled', `${folder} holds no key of a terminal`);
  return loaded.value;
}

async function withStore<T>(folder: string, use: (store: TerminalStore) => T | Promise<T>): Promise<T> {
  const file = path.join(folder, databaseName);
  if (!existsSync(file)) throw new TerminalError('config.invalid', `${folder} holds no box: name it with --data`);
  const store = openTerminalStore({ file, crypto: nativeCrypto });
  try {
    return await use(store);
  } finally {
    store.close();
  }
}

async function inWorkFolder<T>(folder: string, use: (work: string) => Promise<T>): Promise<T> {
  const work = path.join(folder, `transfer.restoring-${randomBytes(6).toString('hex')}`);
  try {
    return await use(work);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

export interface Exported {
  readonly terminalId: string;
  readonly epoch: number;
  readonly gauges: QueueGauges;
}

/**
 * Writes a stopped box's history for the one who asked. From then on this box sells nothing: the mark is stored before the
 * file exists. May be repeated, also for another request.
 * Throws `access.denied` where `confirm` is not the request's fingerprint, `terminal.notEnrolled`, `store.*`.
 */
export async function exportBox(
  folder: string,
  requestFile: string,
  target: string,
  options: { readonly confirm: string | null; readonly onBytes: (count: number) => void },
): Promise<Exported> {
  const recipient = readTransferRequest(requestFile);
  const fingerprint = fingerprintOfKey(recipient);
  if (options.confirm !== fingerprint)
    throw new TerminalError(
      'access.denied',
      `whoever has the request's key can read all that this box knows. The request is of ${fingerprint}: compare it with the screen it was made on, then add --confirm ${fingerprint}`,
    );
  await refuseUnlessStopped(folder);
  const { tls, realm } = credentialsOf(folder);
  return inWorkFolder(folder, async (work) => {
    mkdirSync(work, { mode: 0o700 });
    const database = path.join(work, databaseName);
    const { identity, gauges } = await withStore(folder, async (store) => {
      const identity = store.identity();
      if (!identity) throw new TerminalError('terminal.notEnrolled', 'this box has no history');
      store.setSetting(replacedSetting, String(nativeClock.wallMs()));
      store.appendAudit({
        ...{ atWallMs: nativeClock.wallMs(), actor: 'transfer', action: 'history exported' },
        detail: `for ${fingerprint}; this box sells nothing any more`,
      });
      await store.backup(database);
      return { identity, gauges: store.gauges() };
    });
    const manifest = {
      ...{ terminalId: identity.terminalId, epoch: identity.epoch, realm, madeAtMs: nativeClock.wallMs() },
      ...{ databaseSha256: await fileSha256(database), unsent: gauges.unsent },
    };
    writeTransfer(target, { manifest, database }, { sender: tls, recipient, work }, options.onBytes);
    return { ...identity, gauges };
  });
}

/**
 * Sets a stopped box's key aside: at its next start it enrols anew with a code that replaces it, in its own place and with
 * a new epoch, keeping its history. For a box that was cloned: the copy's key is then refused.
 */
export async function reenrolBox(folder: string): Promise<{ readonly terminalId: string; readonly keptKey: string }> {
  await refuseUnlessStopped(folder);
  const { terminalId } = credentialsOf(folder);
  const keptKey = path.join(keysOf(folder), `${credentialsFileName}.before-${nativeClock.wallMs()}`);
  markTakenOver(path.join(folder, databaseName), nativeClock.wallMs());
  renameSync(path.join(keysOf(folder), credentialsFileName), keptKey);
  return { terminalId, keptKey };
}

/** Takes an export back: this box may sell again, unless the host has given its place away. @returns whether it had been exported */
export async function resumeBox(folder: string): Promise<boolean> {
  await refuseUnlessStopped(folder);
  return withStore(folder, (store) => {
    if (store.setting(replacedSetting) === null) return false;
    store.appendAudit({
      ...{ atWallMs: nativeClock.wallMs(), actor: 'transfer', action: 'export taken back', detail: '' },
    });
    store.setSetting(replacedSetting, null);
    return true;
  });
}

export interface Imported extends Exported {
  /** Where this box's own empty database is kept. */
  readonly kept: string | null;
}

/**
 * Makes the history in the file this box's own. The box must have the certificate of the same terminal (enrolled with a
 * code that replaces it) and have sold nothing. At its next start it begins a new epoch and sends what was unsent.
 * Throws `access.denied` (another terminal's, or not for this box), `config.invalid` (it has sold), `store.corrupt`.
 */
export async function importBox(folder: string, file: string, onBytes: (count: number) => void): Promise<Imported> {
  await refuseUnlessStopped(folder);
  const key = readTransferKey(keysOf(folder));
  if (!key) throw new TerminalError('config.invalid', 'this box has asked for nothing: transfer request comes first');
  const { terminalId, tls, realm } = credentialsOf(folder);
  if (existsSync(path.join(folder, databaseName))) await withStore(folder, refuseIfSold);
  return inWorkFolder(folder, async (work) => {
    const manifest = await readTransfer(file, work, { key, authorityPem: tls.authorityPem }, onBytes);
    if (manifest.terminalId !== terminalId)
      throw new TerminalError(
        'access.denied',
        `it is of ${manifest.terminalId}, and this box is ${terminalId}: enrol it with a code that replaces ${manifest.terminalId}`,
      );
    if (manifest.realm !== realm) throw new TerminalError('record.wrongRealm', `it is of a ${manifest.realm} box`);
    for (const name of ['manifest.json', 'signature.json']) rmSync(path.join(work, name));
    checkDatabase(path.join(work, databaseName));
    markTakenOver(path.join(work, databaseName), nativeClock.wallMs());
    const kept = replaceEntries(work, folder, (name) => name.startsWith(databaseName), {
      replace: true,
      nowMs: nativeClock.wallMs(),
    });
    // Used once: what was encrypted to it cannot be opened any more.
    rmSync(path.join(keysOf(folder), transferKeyName), { force: true });
    return withStore(folder, (store) => ({
      ...{ terminalId, epoch: manifest.epoch, gauges: store.gauges(), kept },
    }));
  });
}

function refuseIfSold(store: TerminalStore): void {
  const isOwnCopy = store.setting(replacedSetting) !== null;
  if (isOwnCopy || store.journal(1, null).length === 0) return;
  throw new TerminalError(
    'config.invalid',
    'this box has records of its own already. Let the host take the file in instead: transfer request --host, transfer take-in',
  );
}
