/**
 * Shows that a backup archive gives back exactly what went in, hides names and contents, and that every cut, every changed
 * byte, another key and hostile names are refused without leaving a file. Archives are real files; hostile ones are made
 * with the same cipher by hand.
 */
import { createCipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { TerminalError } from '../terminal/kernel/errors.js';
import { isEntryName, readArchive, recoveryKeyBytes, writeArchive } from './archive.js';
import { openRecoveryKey, readRecoveryKey } from './recovery-key.js';

const key = Buffer.alloc(recoveryKeyBytes, 7);
const canary = 'CANARY-4f1d';

const folderOf = (test: { teardown(run: () => void): void }): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-archive-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'nothing was thrown';
  } catch (error) {
    return error instanceof TerminalError ? error.code : String(error);
  }
};

function makeArchive(folder: string): { readonly file: string; readonly contents: Readonly<Record<string, Buffer>> } {
  const contents = {
    'host.db': randomBytes(3_000_000),
    'keys/vault.key': Buffer.from(canary),
    'keys/empty': Buffer.alloc(0),
  };
  mkdirSync(path.join(folder, 'in', 'keys'), { recursive: true });
  const sources = Object.entries(contents).map(([name, bytes]) => {
    const file = path.join(folder, 'in', name);
    writeFileSync(file, bytes);
    return { name, file };
  });
  const file = path.join(folder, 'backup');
  writeArchive(file, key, sources);
  return { file, contents };
}

t.test('what went in comes out, private, and nothing of it can be read in the archive', (t) => {
  const folder = folderOf(t);
  const { file, contents } = makeArchive(folder);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const out = path.join(folder, 'out');
  t.same(readArchive(file, key, out), Object.keys(contents));
  for (const [name, bytes] of Object.entries(contents)) {
    t.ok(readFileSync(path.join(out, name)).equals(bytes), name);
    t.equal(statSync(path.join(out, name)).mode & 0o777, 0o600);
  }
  const raw = readFileSync(file).toString('latin1');
  for (const secret of [canary, 'vault.key', key.toString('latin1')]) t.notOk(raw.includes(secret));
  const again = path.join(folder, 'again');
  writeArchive(again, key, [{ name: 'host.db', file: path.join(folder, 'in', 'host.db') }]);
  t.notOk(readFileSync(again).subarray(16, 32).equals(readFileSync(file).subarray(16, 32)), 'a fresh salt each time');
  t.end();
});

t.test('another key, another file, cuts and changes are refused and leave nothing', (t) => {
  const folder = folderOf(t);
  const { file } = makeArchive(folder);
  const bytes = readFileSync(file);
  const out = path.join(folder, 'out');
  t.equal(
    codeOf(() => readArchive(file, Buffer.alloc(32, 8), out)),
    'access.denied',
  );
  const changed = path.join(folder, 'changed');
  const places = [8, 16, 31, 32, 33, 40, 1_000_000, bytes.length - 17, bytes.length - 1];
  for (const at of places) {
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ 1;
    writeFileSync(changed, copy);
    t.match(
      codeOf(() => readArchive(changed, key, out)),
      /^(store\.corrupt|access\.denied)$/,
      `byte ${at}`,
    );
    t.notOk(existsSync(out));
  }
  for (const length of [0, 7, 33, 50, 1_000_000, bytes.length - 1]) {
    writeFileSync(changed, bytes.subarray(0, length));
    t.equal(
      codeOf(() => readArchive(changed, key, out)),
      'store.corrupt',
      `cut at ${length}`,
    );
    t.notOk(existsSync(out));
  }
  writeFileSync(changed, Buffer.concat([bytes, Buffer.alloc(1)]));
  t.equal(
    codeOf(() => readArchive(changed, key, out)),
    'store.corrupt',
    'longer',
  );
  writeFileSync(changed, randomBytes(100));
  t.equal(
    codeOf(() => readArchive(changed, key, out)),
    'input.unsupported',
  );
  t.end();
});

/** An archive that is authentic but hostile: made by whoever holds the key. */
function hostile(entries: readonly (readonly [string, Buffer])[], end = Buffer.alloc(2)): Buffer {
  const salt = randomBytes(16);
  const keyId = createHash('sha256').update('shouli recovery key 1').update(key).digest().subarray(0, 8);
  const head = Buffer.concat([Buffer.from('SHOULIB1'), keyId, salt]);
  const derived = Buffer.from(hkdfSync('sha256', key, salt, 'shouli backup 1', 44));
  const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32)).setAAD(head);
  const parts = entries.map(([name, content]) => {
    const prefix = Buffer.alloc(2);
    prefix.writeUInt16BE(Buffer.byteLength(name));
    const size = Buffer.alloc(6);
    size.writeUIntBE(content.length, 0, 6);
    return Buffer.concat([prefix, Buffer.from(name), size, content]);
  });
  return Buffer.concat([head, cipher.update(Buffer.concat([...parts, end])), cipher.final(), cipher.getAuthTag()]);
}

t.test('hostile entries of an authentic archive stay inside', (t) => {
  const folder = folderOf(t);
  const file = path.join(folder, 'hostile');
  const out = path.join(folder, 'deep', 'out');
  mkdirSync(path.join(folder, 'deep'));
  const content = Buffer.from('x');
  const names = [
    '../escaped',
    '/etc/escaped',
    'a/../../escaped',
    '.hidden',
    'a//b',
    'a\\b',
    'a/b/c/d/e',
    'nul\0',
    '名',
    'x'.repeat(201),
  ];
  for (const name of names) {
    t.notOk(isEntryName(name), JSON.stringify(name).slice(0, 30));
    writeFileSync(
      file,
      hostile([
        ['fine', content],
        [name, content],
      ]),
    );
    t.equal(
      codeOf(() => readArchive(file, key, out)),
      'store.corrupt',
    );
    t.same(readdirSync(folder).sort(), ['deep', 'hostile']);
    t.same(readdirSync(path.join(folder, 'deep')), []);
  }
  writeFileSync(
    file,
    hostile([
      ['twice', content],
      ['twice', content],
    ]),
  );
  t.equal(
    codeOf(() => readArchive(file, key, out)),
    'store.corrupt',
  );
  writeFileSync(file, hostile([['fine', content]], Buffer.from([0, 0, 9])));
  t.equal(
    codeOf(() => readArchive(file, key, out)),
    'store.corrupt',
    'bytes behind the end',
  );
  writeFileSync(file, hostile([['fine', content]]));
  t.same(readArchive(file, key, out), ['fine'], 'the maker above makes good ones too');
  t.end();
});

t.test('the recovery key is drawn once and kept private', (t) => {
  const file = path.join(folderOf(t), 'recovery.key');
  t.equal(
    codeOf(() => readRecoveryKey(file)),
    'config.invalid',
  );
  const drawn = openRecoveryKey(file);
  t.equal(drawn.drawn, true);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const known = openRecoveryKey(file);
  t.equal(known.drawn, false);
  t.ok(known.key.equals(drawn.key));
  writeFileSync(file, 'shouli-recovery-key-1 1234\n');
  t.equal(
    codeOf(() => readRecoveryKey(file)),
    'config.invalid',
  );
  t.end();
});
