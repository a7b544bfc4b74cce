/**
 * Shows backup and restore of a box, with the box's own store: a running one is asked for a copy, a stopped one is read,
 * other files come along, the embedded host and running things do not, and a restore keeps what was there and marks the
 * database so that the box begins a new epoch.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { openSnapshotSocket } from '../../terminal/runtime/snapshot-socket.js';
import { restoredSetting } from '../../terminal/store/backup.js';
import { openTerminalStore, type SqliteStore } from '../../terminal/store/open.js';
import { backupBox, restoreBox } from './box-backup.js';

const key = Buffer.alloc(32, 3);
const options = { replace: false, onBytes: () => {} };
interface Teardown {
  teardown(run: () => unknown): void;
}
const folderOf = (test: Teardown): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-box-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};

interface Box {
  readonly store: SqliteStore;
  stop(): Promise<void>;
}
const openStore = (folder: string): SqliteStore =>
  openTerminalStore({ file: path.join(folder, 'terminal.db'), crypto: nativeCrypto });
const stateOf = (folder: string): { readonly canary: string | null; readonly isRestored: boolean } => {
  const store = openStore(folder);
  const state = { canary: store.setting('canary'), isRestored: store.setting(restoredSetting) !== null };
  store.close();
  return state;
};

/** A running box with the files that stand around its database. */
async function startBox(test: Teardown, folder: string): Promise<Box> {
  const store = openStore(folder);
  const closeSocket = await openSnapshotSocket({ dataFolder: folder, backup: (file) => store.backup(file) });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await closeSocket();
    store.close();
  };
  test.teardown(stop);
  mkdirSync(path.join(folder, 'keys'), { recursive: true });
  mkdirSync(path.join(folder, 'host', 'keys'), { recursive: true });
  for (const [name, text] of [
    ['keys/credentials.json', 'private'],
    ['till-token', 'token'],
    ['host/keys/vault.key', 'of the host'],
    ['recovery.key', 'not in a backup'],
    ['bootstrap.json', 'a one-time code'],
    ['terminal.log', 'log'],
  ] as const)
    writeFileSync(path.join(folder, name), text);
  return { store, stop };
}

t.test('a running box into an empty folder', async (t) => {
  const [folder, target] = [folderOf(t), folderOf(t)];
  const box = await startBox(t, folder);
  box.store.setSetting('canary', 'before');
  const archive = path.join(target, 'box.backup');
  t.same(await backupBox(folder, archive, key, () => {}), { files: 4 });
  t.same(readdirSync(path.join(folder, 'snapshots')), [], 'the copy was taken away');
  box.store.setSetting('canary', 'after');
  const fresh = path.join(target, 'data');
  t.match(await restoreBox(archive, fresh, key, options), { kept: null });
  t.same(readdirSync(fresh).sort(), ['keys', 'terminal.db', 'till-token']);
  t.same(stateOf(fresh), { canary: 'before', isRestored: true });
  t.equal(readFileSync(path.join(fresh, 'keys', 'credentials.json'), 'utf8'), 'private');
});

t.test('a stopped box, over the one that is there: asked for, kept aside, the host beside it untouched', async (t) => {
  const folder = folderOf(t);
  const box = await startBox(t, folder);
  box.store.setSetting('canary', 'before');
  await box.stop();
  const archive = path.join(folder, 'box.tmp');
  await backupBox(folder, archive, key, () => {});
  const later = openStore(folder);
  later.setSetting('canary', 'after');
  later.close();
  await t.rejects(restoreBox(archive, folder, key, options), { code: 'config.invalid' }, '--replace is needed');
  // As after a crash: side files of the old database must not be taken for the restored one's.
  writeFileSync(path.join(folder, 'terminal.db-wal'), 'of the old database');
  const { kept } = await restoreBox(archive, folder, key, { ...options, replace: true });
  t.same(stateOf(folder), { canary: 'before', isRestored: true });
  t.same(stateOf(kept ?? ''), { canary: 'after', isRestored: false }, 'nothing is lost');
  t.equal(readFileSync(path.join(folder, 'host', 'keys', 'vault.key'), 'utf8'), 'of the host');
  t.equal(readFileSync(path.join(folder, 'recovery.key'), 'utf8'), 'not in a backup');
  t.notOk(readdirSync(folder).some((name) => /restoring|snapshot-/.test(name)));
});

t.test('a running box, another key and a wrong folder are refused', async (t) => {
  const folder = folderOf(t);
  const box = await startBox(t, folder);
  box.store.setSetting('canary', 'before');
  const archive = path.join(folder, 'box.tmp');
  await backupBox(folder, archive, key, () => {});
  const forced = { ...options, replace: true };
  await t.rejects(
    restoreBox(archive, folder, key, forced),
    { code: 'config.invalid' },
    'running, with no console open',
  );
  await box.stop();
  await t.rejects(restoreBox(archive, folder, Buffer.alloc(32, 4), forced), { code: 'access.denied' });
  await t.rejects(
    backupBox(path.join(folder, 'keys'), archive, key, () => {}),
    { code: 'config.invalid' },
    'no box there',
  );
  t.same(stateOf(folder), { canary: 'before', isRestored: false });
});

t.test('the socket says why there is no copy, serves one after the other, and is private', async (t) => {
  const folder = folderOf(t);
  let running = 0;
  let most = 0;
  const close = await openSnapshotSocket({
    dataFolder: folder,
    backup: async (file) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      if (file.endsWith('2.db')) throw new Error('disk');
      writeFileSync(file, 'copy');
    },
  });
  const socketFile = path.join(folder, 'snapshot.sock');
  t.equal(statSync(socketFile).mode & 0o777, 0o600);
  const ask = async (): Promise<unknown> => {
    let text = '';
    for await (const chunk of connect(socketFile).setEncoding('utf8')) text += String(chunk);
    return JSON.parse(text);
  };
  const answers = await Promise.all([ask(), ask(), ask()]);
  t.equal(most, 1);
  t.same(
    answers.filter((answer) => typeof answer === 'object' && answer !== null && 'code' in answer),
    [{ code: 'store.failed' }],
  );
  t.same(readdirSync(path.join(folder, 'snapshots')).length, 2);
  await close();
});
