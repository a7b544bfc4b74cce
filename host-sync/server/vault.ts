/**
 * The vault: wraps keys for the database and holds the merchant's key pair, both in one folder of private files.
 * Must not log or return a key to anything but the computation that needs it.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import path from 'node:path';
import { type Bytes, concat, uintBE, utf8 } from '../../terminal/kernel/bytes.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import type { KeyAgreement, KeyPair } from '../../terminal/kernel/ports.js';
import type { KeyVault } from './ledger/context.js';
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from './pki/key-files.js';

export const vaultFileNames = { wrappingKey: 'vault.key', merchantKey: 'merchant.key' } as const;
/** A wrapped key: version(1) nonce(12) ciphertext tag(16), AES-256-GCM with the version as associated data. */
const wrapVersion = 1;
const nonceBytes = 12;
const tagBytes = 16;
/** Longest thing wrapped: keys, not documents. */
export const plainBytesMax = 1_024;

const wrappingKeyBytes = 32;
/** merchant.key: the P-256 scalar(32) ‖ its compressed point(33). */
const scalarBytes = 32;
const pointBytes = 33;

export interface HostVault extends KeyVault {
  /** The merchant's P-256 key pair; phones seal their keys to its public half in the registration message. */
  merchantKeys(): KeyPair;
  /**
   * Seals what leaves the host and comes back, under a key of this purpose (`label`, printable) and this owner alone. That key
   * is derived, so that however much is sealed, the key that wraps members' keys is not worn. Opens under the same two only.
   * `plain` at most plainBytesMax. @throws TerminalError as wrap
   */
  seal(label: string, owner: Bytes, plain: Bytes): Bytes;
  /** @throws TerminalError store.corrupt: not sealed by this vault for this purpose and owner */
  unseal(label: string, owner: Bytes, sealed: Bytes): Bytes;
}

function readExactly(file: string, length: number): Buffer | null {
  const known = readPrivateFile(file);
  if (known && known.length !== length)
    throw new TerminalError('config.invalid', `${path.basename(file)} is damaged: restore it from a backup`);
  return known;
}

function draw(file: string, bytes: Uint8Array): Buffer {
  writePrivateFile(file, bytes);
  return Buffer.from(bytes);
}

/** HKDF-SHA256 (RFC 5869) of the wrapping key: salt the owner, info the purpose. */
const sealingKey = (wrappingKey: Buffer, label: string, owner: Bytes): Buffer =>
  Buffer.from(hkdfSync('sha256', wrappingKey, owner, utf8(label), wrappingKeyBytes));
/** Purpose and owner as associated data; the length keeps them apart. */
const boundTo = (label: string, owner: Bytes): Bytes => concat(uintBE(label.length, 2), utf8(label), owner);
const nothing = new Uint8Array(0);

function wrapWith(key: Buffer, plain: Bytes, bound: Bytes = nothing): Bytes {
  if (plain.length > plainBytesMax) throw new TerminalError('input.tooLong', 'not a key');
  // 96 random bits: below 2^32 wraps of one key a repeat stays under 2^-32 (NIST SP 800-38D §8.3), also after a power cut.
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(concat(uintBE(wrapVersion, 1), bound));
  const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
  return new Uint8Array(Buffer.concat([Buffer.of(wrapVersion), nonce, sealed, cipher.getAuthTag()]));
}

function unwrapWith(key: Buffer, wrapped: Bytes, bound: Bytes = nothing): Bytes {
  const wrong = (): TerminalError =>
    new TerminalError('store.corrupt', 'a wrapped key does not open with this vault key');
  if (wrapped.length < 1 + nonceBytes + tagBytes || wrapped.length > 1 + nonceBytes + plainBytesMax + tagBytes)
    throw wrong();
  if (wrapped[0] !== wrapVersion) throw wrong();
  const decipher = createDecipheriv('aes-256-gcm', key, wrapped.subarray(1, 1 + nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(concat(uintBE(wrapVersion, 1), bound)).setAuthTag(wrapped.subarray(wrapped.length - tagBytes));
  try {
    const plain = Buffer.concat([
      decipher.update(wrapped.subarray(1 + nonceBytes, wrapped.length - tagBytes)),
      decipher.final(),
    ]);
    return new Uint8Array(plain);
  } catch {
    throw wrong();
  }
}

/**
 * Opens the vault of a key folder, or draws its keys at the first start. `isFirstStart` false makes a missing key an error:
 * members' keys in the database would be lost in silence behind a new one.
 * Throws `config.invalid` (missing, damaged, open to others).
 */
export function openVault(
  folder: string,
  agreement: Pick<KeyAgreement, 'generateKeyPair'>,
  isFirstStart: boolean,
): HostVault {
  ensurePrivateFolder(folder);
  const wrappingFile = path.join(folder, vaultFileNames.wrappingKey);
  const merchantFile = path.join(folder, vaultFileNames.merchantKey);
  const knownWrapping = readExactly(wrappingFile, wrappingKeyBytes);
  const knownMerchant = readExactly(merchantFile, scalarBytes + pointBytes);
  if (!isFirstStart && !(knownWrapping && knownMerchant))
    throw new TerminalError(
      'config.invalid',
      `${path.basename(knownWrapping ? merchantFile : wrappingFile)} is missing: restore it from a backup`,
    );
  const wrappingKey = knownWrapping ?? draw(wrappingFile, randomBytes(wrappingKeyBytes));
  const drawPair = (): Buffer => {
    const pair = agreement.generateKeyPair();
    return draw(merchantFile, Buffer.concat([pair.privateKey, pair.publicKey]));
  };
  const merchant = knownMerchant ?? drawPair();
  return {
    wrap: (plain) => wrapWith(wrappingKey, plain),
    unwrap: (wrapped) => unwrapWith(wrappingKey, wrapped),
    seal: (label, owner, plain) => wrapWith(sealingKey(wrappingKey, label, owner), plain, boundTo(label, owner)),
    unseal: (label, owner, sealed) => unwrapWith(sealingKey(wrappingKey, label, owner), sealed, boundTo(label, owner)),
    merchantKeys: () => ({
      privateKey: new Uint8Array(merchant.subarray(0, scalarBytes)),
      publicKey: new Uint8Array(merchant.subarray(scalarBytes)),
    }),
  };
}
