/**
 * Backup and restore of the host: its database as the running host snapshots it, and its keys, in one archive.
 * Must not write into a data folder that a host is using.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { hostBackupFiles, hostLayout } from '../../host-sync/server/backup.js';
import { createHost } from '../../host-sync/server/host.js';
import { openSqliteStore } from '../../host-sync/server/storage/sqlite.js';
import { openVault } from '../../host-sync/server/vault.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { nativeClock, nativeCrypto, nativeKeyAgreement, nativeRandom } from '../../terminal/kernel/native.js';
import { readArchive, writeArchive } from '../archive.js';
import type { AdminClient } from '../host/admin-client.js';
import { checkDatabase, refuseOccupied, refuseWhileRunning, replaceFolder } from './data-folder.js';
import { readManifest, writeManifest } from './manifest.js';

const statusSchema = z.object({ realm: z.enum(['real', 'simulated']) });

/** Archives the running host. @returns how many files and the realm. Throws CommandFailure, TerminalError. */
export async function backupHost(
  call: AdminClient['call'],
  folder: string,
  target: string,
  recoveryKey: Buffer,
  onBytes: (count: number) => void,
): Promise<{ readonly files: number; readonly realm: string }> {
  const { realm } = statusSchema.parse(await call('status'));
  const { file: snapshot } = await call<{ file: string }>('backup.snapshot');
  const manifest = path.join(folder, hostLayout.snapshots, `${randomBytes(6).toString('hex')}.json`);
  try {
    writeManifest(manifest, { kind: 'host', realm, madeAtMs: nativeClock.wallMs() });
    const keys = hostBackupFiles.map((name) => ({ name, file: path.join(folder, name) }));
    const missing = keys.find(({ file }) => !existsSync(file));
    if (missing) throw new TerminalError('config.invalid', `${missing.name} is missing from the data folder`);
    const sources = [{ name: 'manifest.json', file: manifest }, { name: hostLayout.database, file: snapshot }, ...keys];
    writeArchive(target, recoveryKey, sources, onBytes);
    return { files: sources.length, realm };
  } finally {
    rmSync(snapshot, { force: true });
    rmSync(manifest, { force: true });
  }
}

/** Opens the restored database with its own keys and recomputes the ledger. Throws `store.corrupt`. */
async function verifyRestored(folder: string, realm: 'real' | 'simulated'): Promise<void> {
  checkDatabase(path.join(folder, hostLayout.database));
  const vault = openVault(path.join(folder, hostLayout.keys), nativeKeyAgreement, false);
  const store = openSqliteStore(path.join(folder, hostLayout.database));
  try {
    const host = await createHost({
      store,
      crypto: nativeCrypto,
      random: nativeRandom,
      clock: nativeClock,
      vault,
      realm,
      merchantId: 'SHOULI',
      soon: (task) => void setImmediate(task),
      // Reads only: no directive leaves a host that is being checked.
      sign: () => new Uint8Array(),
    });
    const { problems } = await host.verifyLedger();
    if (problems.length > 0)
      throw new TerminalError('store.corrupt', `backup: the ledger does not add up (${problems[0]})`);
  } finally {
    await store.close();
  }
}

/**
 * Restores into `folder`. The archive is unpacked beside it, checked to the last byte and to the ledger, then renamed.
 * @returns where the folder that was there is kept, and when the backup was made
 */
export async function restoreHost(
  source: string,
  folder: string,
  recoveryKey: Buffer,
  options: { readonly replace: boolean; readonly onBytes: (count: number) => void },
): Promise<{ readonly kept: string | null; readonly madeAtMs: number }> {
  await refuseWhileRunning(path.join(folder, hostLayout.adminSocket), 'host');
  refuseOccupied(folder, options.replace);
  mkdirSync(path.dirname(folder), { recursive: true, mode: 0o700 });
  const fresh = `${folder}.restoring-${randomBytes(6).toString('hex')}`;
  try {
    const names = readArchive(source, recoveryKey, fresh, options.onBytes);
    const manifest = readManifest(path.join(fresh, 'manifest.json'), 'host');
    const missing = [hostLayout.database, ...hostBackupFiles].find((name) => !names.includes(name));
    if (missing || !manifest.realm)
      throw new TerminalError('store.corrupt', `backup: ${missing ?? 'realm'} is not in it`);
    await verifyRestored(fresh, manifest.realm);
    rmSync(path.join(fresh, 'manifest.json'));
    return { kept: replaceFolder(fresh, folder, options.replace, nativeClock.wallMs()), madeAtMs: manifest.madeAtMs };
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}
