/**
 * What belongs to a host's backup and where it lives in the data folder. Names only; scripts/backup.ts makes the archive.
 * Must not read a key or open the database.
 */
import { keyFileNames } from './pki/authority.js';
import { vaultFileNames } from './vault.js';

/** Names inside a host's data folder. */
export const hostLayout = {
  database: 'host.db',
  keys: 'keys',
  messages: 'messages',
  snapshots: 'snapshots',
  adminSocket: 'admin.sock',
} as const;

/** Files besides the database, relative to the data folder, that a host cannot go on without. */
export const hostBackupFiles: readonly string[] = [
  ...Object.values(keyFileNames),
  ...Object.values(vaultFileNames),
].map((name) => `${hostLayout.keys}/${name}`);
