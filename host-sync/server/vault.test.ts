/**
 * Shows that the vault wraps keys so that only it opens them, never with a nonce twice, keeps its files private, and
 * refuses to draw new keys over a database that needs the old ones.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { nativeKeyAgreement } from '../../terminal/kernel/native.js';
import { openVault, vaultFileNames } from './vault.js';

const folderOf = (test: { teardown(run: () => void): void }): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-vault-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'keys');
};
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'nothing was thrown';
  } catch (error) {
    return error instanceof TerminalError ? error.code : String(error);
  }
};
const key = Uint8Array.from({ length: 16 }, (_, i) => 0xc0 + i);

t.test('what is sealed for a purpose and an owner opens for these two only, and is not wrapped', (t) => {
  const folder = folderOf(t);
  const vault = openVault(folder, nativeKeyAgreement, true);
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
  const sealed = vault.seal('tokens', one, key);
  t.notOk(Buffer.from(sealed).includes(Buffer.from(key)));
  t.not(Buffer.compare(sealed, vault.seal('tokens', one, key)), 0, 'a nonce for each');
  t.same(openVault(folder, nativeKeyAgreement, false).unseal('tokens', one, sealed), key, 'after a restart');
  const elsewhere = openVault(folderOf(t), nativeKeyAgreement, true);
  for (const [name, open] of Object.entries({
    owner: () => vault.unseal('tokens', two, sealed),
    purpose: () => vault.unseal('token', one, sealed),
    boundary: () => vault.unseal('token', Uint8Array.of(0x73, 1), sealed),
    vault: () => elsewhere.unseal('tokens', one, sealed),
    wrapped: () => vault.unwrap(sealed),
    sealed: () => vault.unseal('tokens', one, vault.wrap(key)),
    cut: () => vault.unseal('tokens', one, sealed.slice(0, 28)),
    long: () => vault.unseal('tokens', one, new Uint8Array(2_000)),
  }))
    t.equal(codeOf(open), 'store.corrupt', name);
  t.equal(
    codeOf(() => vault.seal('tokens', one, new Uint8Array(1_025))),
    'input.tooLong',
  );
  t.end();
});

t.test('what is wrapped opens here, also after a restart, and nowhere else', (t) => {
  const folder = folderOf(t);
  const vault = openVault(folder, nativeKeyAgreement, true);
  const wrapped = vault.wrap(key);
  t.equal(wrapped.length, 1 + 12 + 16 + 16);
  t.notOk(Buffer.from(wrapped).includes(Buffer.from(key)));
  t.same(openVault(folder, nativeKeyAgreement, false).unwrap(wrapped), key);
  t.equal(
    codeOf(() => openVault(folderOf(t), nativeKeyAgreement, true).unwrap(wrapped)),
    'store.corrupt',
  );
  for (let at = 0; at < wrapped.length; at++) {
    const changed = Uint8Array.from(wrapped);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.equal(
      codeOf(() => vault.unwrap(changed)),
      'store.corrupt',
      `byte ${at}`,
    );
    t.equal(
      codeOf(() => vault.unwrap(wrapped.subarray(0, at))),
      'store.corrupt',
      `cut at ${at}`,
    );
  }
  t.end();
});

t.test('a nonce is never used twice', (t) => {
  const vault = openVault(folderOf(t), nativeKeyAgreement, true);
  const nonces = new Set(
    Array.from({ length: 2_000 }, () => Buffer.from(vault.wrap(key).subarray(1, 13)).toString('hex')),
  );
  t.equal(nonces.size, 2_000);
  t.end();
});

t.test('the merchant’s key pair stays the same and agrees with a phone’s', (t) => {
  const folder = folderOf(t);
  const pair = openVault(folder, nativeKeyAgreement, true).merchantKeys();
  t.same(openVault(folder, nativeKeyAgreement, false).merchantKeys(), pair);
  const phone = nativeKeyAgreement.generateKeyPair();
  t.same(
    nativeKeyAgreement.sharedSecret(pair.privateKey, phone.publicKey),
    nativeKeyAgreement.sharedSecret(phone.privateKey, pair.publicKey),
  );
  for (const name of Object.values(vaultFileNames)) t.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600);
  t.end();
});

t.test('missing or damaged keys are an error, and nothing is drawn', (t) => {
  for (const name of Object.values(vaultFileNames)) {
    const folder = folderOf(t);
    openVault(folder, nativeKeyAgreement, true);
    const file = path.join(folder, name);
    const before = readFileSync(file);
    writeFileSync(file, before.subarray(1));
    t.equal(
      codeOf(() => openVault(folder, nativeKeyAgreement, true)),
      'config.invalid',
      `${name} cut`,
    );
    rmSync(file);
    t.equal(
      codeOf(() => openVault(folder, nativeKeyAgreement, false)),
      'config.invalid',
      `${name} gone`,
    );
    t.notOk(existsSync(file));
  }
  t.end();
});
