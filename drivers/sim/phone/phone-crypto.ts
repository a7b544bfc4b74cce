/**
 * The phone's own cryptography, written from docs/protocols/phone.md and not from the terminal's code, so that a mistake
 * in either shows when the two meet. Keys in, bytes out; must not keep anything.
 */
import { createCipheriv, createECDH, createHash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { p256 } from '@noble/curves/nist.js';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';

/** CMAC(key, first byte ‖ parts…). */
export function cmac(key: Bytes, first: number, ...parts: readonly Bytes[]): Bytes {
  return nativeCrypto.aesCmac(key, Buffer.concat([Uint8Array.of(first), ...parts]));
}

export const same = (a: Bytes, b: Bytes): boolean => a.length === b.length && timingSafeEqual(a, b);

const bigEndian4 = (value: number): Bytes => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export interface Exchange {
  readonly selector: number;
  readonly key: Bytes;
  /** selector ‖ keyId ‖ terminalNonce ‖ phoneNonce ‖ counter ‖ context: what proofs and session keys cover. */
  readonly transcript: Bytes;
}

export function exchangeOf(
  selector: number,
  key: Bytes,
  keyId: Bytes,
  nonces: { readonly terminal: Bytes; readonly phone: Bytes },
  counter: number,
  context: Bytes,
): Exchange {
  const parts = [Uint8Array.of(selector), keyId, nonces.terminal, nonces.phone, bigEndian4(counter), context];
  return { selector, key, transcript: Buffer.concat(parts) };
}

export const proofOfPhone = (exchange: Exchange): Bytes => cmac(exchange.key, 0x50, exchange.transcript);
/** For a box that holds CMAC(key, 07 ‖ terminal) and cannot ask its host. `terminal`: 6 bytes of the context. */
export const localProofOfPhone = (exchange: Exchange, terminal: Bytes): Bytes =>
  cmac(cmac(exchange.key, 0x07, terminal), 0x55, exchange.transcript);
export const proofOfTerminal = (exchange: Exchange): Bytes => cmac(exchange.key, 0x54, exchange.transcript);

/** One tap's secure session: its two keys and the number of the next command. */
export interface PhoneSession {
  readonly encryption: Bytes;
  readonly mac: Bytes;
  readonly next: number;
}

export function openPhoneSession(exchange: Exchange): { readonly session: PhoneSession; readonly confirm: Bytes } {
  const encryption = cmac(exchange.key, 0x01, exchange.transcript);
  const mac = cmac(exchange.key, 0x02, exchange.transcript);
  return { session: { encryption, mac, next: 0 }, confirm: cmac(mac, 0x51, exchange.transcript) };
}

const commandMark = 0x43;
const answerMark = 0x52;

function vector(session: PhoneSession, mark: number): Bytes {
  const block = Buffer.alloc(16);
  block[0] = mark;
  block.writeUInt32BE(session.next, 12);
  const cipher = createCipheriv('aes-128-ecb', session.encryption, null).setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** The plaintext of a command's data field, or null when anything about it is wrong. */
export function openCommand(session: PhoneSession, header: Bytes, field: Bytes): Bytes | null {
  if (field.length < 32 || field.length % 16 !== 0) return null;
  const sealed = field.subarray(0, -16);
  const expected = cmac(session.mac, commandMark, bigEndian4(session.next), header, sealed);
  if (!same(expected, field.subarray(-16))) return null;
  const plain = Buffer.from(nativeCrypto.aesCbcDecrypt(session.encryption, vector(session, commandMark), sealed));
  const end = plain.lastIndexOf(0x80);
  return end >= 0 && plain.subarray(end + 1).every((byte) => byte === 0) ? plain.subarray(0, end) : null;
}

/** data(ciphertext ‖ MAC) ‖ status, sealed for the command that was just opened. */
export function sealAnswer(session: PhoneSession, status: number, data: Bytes): Bytes {
  const padded = Buffer.alloc(data.length + 16 - (data.length % 16));
  padded.set(data);
  padded[data.length] = 0x80;
  const sealed = nativeCrypto.aesCbcEncrypt(session.encryption, vector(session, answerMark), padded);
  const word = Uint8Array.of(status >> 8, status & 255);
  const mac = cmac(session.mac, answerMark, bigEndian4(session.next), word, sealed);
  return new Uint8Array(Buffer.concat([sealed, mac, word]));
}

export function keyIdOf(merchantId: string, token: string): Bytes {
  return createHash('sha256').update(`shouli key id 1 ${merchantId} ${token}`).digest().subarray(0, 8);
}

/** The application identifier that a terminal selects for a membership of this merchant. */
export function applicationIdOf(merchantId: string): Bytes {
  const tag = createHash('sha256').update(`shouli merchant 1 ${merchantId}`).digest().subarray(0, 8);
  return Buffer.concat([Buffer.from('f053484f554c4901', 'hex'), tag]);
}

/** Where a phone's fresh secrets come from; fixed in tests and in the document's worked example. */
export interface PhoneChance {
  /** `length` bytes that nobody can foresee. */
  bytes(length: number): Bytes;
}
export const realChance: PhoneChance = { bytes: (length) => new Uint8Array(randomBytes(length)) };

/** A P-256 key pair of the phone's own: its scalar drawn from `chance`, once more where it is none. */
export function drawKeyPair(chance: PhoneChance): { readonly privateKey: Bytes; readonly publicKey: Bytes } {
  const own = createECDH('prime256v1');
  for (let tries = 0; ; tries++) {
    const privateKey = chance.bytes(32);
    try {
      own.setPrivateKey(privateKey);
      return { privateKey, publicKey: own.getPublicKey(null, 'compressed') };
    } catch (error) {
      if (tries === 8) throw error;
    }
  }
}

/** ECDSA P-256 with SHA-256 as r ‖ s, its number k by RFC 6979: a phone whose random source is bad does not give its key away. */
export const signP256 = (privateKey: Bytes, ...parts: readonly Bytes[]): Bytes =>
  p256.sign(Buffer.concat(parts), privateKey, { lowS: false });

/**
 * Seals keys to the merchant: ephemeral public key(33) ‖ ciphertext ‖ tag(16); null when the merchant's key is no point of the
 * curve. `keys`: the member key, and the phone's own public key behind it. `ephemeral` is a private key of 32 bytes, used for this
 * one message.
 */
export function wrapKey(merchantKey: Bytes, ephemeral: Bytes, token: string, keys: Bytes): Bytes | null {
  const own = createECDH('prime256v1');
  own.setPrivateKey(ephemeral);
  const ownPublic = own.getPublicKey(null, 'compressed');
  let secret: Buffer;
  try {
    secret = own.computeSecret(merchantKey);
  } catch {
    return null;
  }
  const info = Buffer.concat([Buffer.from('shouli member key 1'), ownPublic, merchantKey]);
  const derived = Buffer.from(hkdfSync('sha256', secret, Buffer.from(token), info, 28));
  const cipher = createCipheriv('aes-128-gcm', derived.subarray(0, 16), derived.subarray(16));
  cipher.setAAD(Buffer.from(token));
  return Buffer.concat([ownPublic, cipher.update(keys), cipher.final(), cipher.getAuthTag()]);
}

/** What a card-held coupon's message carries, or null when it was not sealed by who holds the member key. */
export function openIssuedCard(
  memberKey: Bytes,
  head: string,
  sealed: Bytes,
): { readonly keyId: Bytes; readonly key: Bytes; readonly record: Bytes } | null {
  if (sealed.length !== 160) return null;
  const headBytes = Buffer.from(head);
  const mac = cmac(cmac(memberKey, 0x06, headBytes), 0x49, headBytes, sealed.subarray(0, 144));
  if (!same(mac, sealed.subarray(144))) return null;
  const encryption = cmac(memberKey, 0x05, headBytes);
  const plain = nativeCrypto.aesCbcDecrypt(encryption, sealed.subarray(0, 16), sealed.subarray(16, 144));
  return { keyId: plain.slice(0, 8), key: plain.slice(8, 24), record: plain.slice(24, 120) };
}
