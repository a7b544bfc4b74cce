/**
 * Ports to what is not pure: time, randomness, ids and cryptography, as the core and the codecs see them.
 * Must hold no implementation; native.ts has the real one, a simulator brings its own.
 */
import type { Bytes } from './bytes.js';
import type { MonotonicMs, WallMs } from './units.js';

export interface Clock {
  monotonicMs(): MonotonicMs;
  wallMs(): WallMs;
}

export interface Random {
  /** `length` bytes that nobody can foresee. */
  bytes(length: number): Bytes;
}

/** A transaction's identity: UUID version 7 (RFC 9562), lower-case with hyphens. */
export type TransactionId = string & { readonly __transactionId: true };

export interface Ids {
  transactionId(): TransactionId;
}

/** The synchronous cryptography that pure code may call. Keys are 16 or 32 bytes, blocks 16. */
export interface Crypto {
  sha256(data: Bytes): Bytes;
  hmacSha256(key: Bytes, data: Bytes): Bytes;
  /** AES-CMAC, NIST SP 800-38B, 16 bytes. */
  aesCmac(key: Bytes, data: Bytes): Bytes;
  /** AES-CBC without padding; data a multiple of 16. */
  aesCbcEncrypt(key: Bytes, iv: Bytes, data: Bytes): Bytes;
  aesCbcDecrypt(key: Bytes, iv: Bytes, data: Bytes): Bytes;
  /**
   * A signature with SHA-256 by the key's kind: RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) or ECDSA P-256 in DER (FIPS 186-5).
   * `publicKey`: SubjectPublicKeyInfo in DER. False also for a key or signature that cannot be read.
   */
  verifySignature(publicKey: Bytes, data: Bytes, signature: Bytes): boolean;
  /**
   * ECDSA P-256 with SHA-256 (FIPS 186-5). `publicKey`: compressed point, 33 bytes; `signature`: r ‖ s, 64 bytes. False also for a
   * point off the curve, a number out of its range or a wrong length.
   */
  verifyP256(publicKey: Bytes, data: Bytes, signature: Bytes): boolean;
}

/** A P-256 key pair (NIST SP 800-186 §3.2.1.3): private key 32 bytes, public key compressed to 33 (SEC 1 §2.3.3). */
export interface KeyPair {
  readonly privateKey: Bytes;
  readonly publicKey: Bytes;
}

/** Key agreement and authenticated encryption for messages that cross a network nobody trusts. */
export interface KeyAgreement {
  generateKeyPair(): KeyPair;
  /** The x-coordinate both sides come to, 32 bytes; null when `publicKey` is not a compressed point of the curve. */
  sharedSecret(privateKey: Bytes, publicKey: Bytes): Bytes | null;
  /** HKDF with SHA-256, RFC 5869. `length` is 1…8,160 bytes. */
  hkdfSha256(secret: Bytes, salt: Bytes, info: Bytes, length: number): Bytes;
  /** AES-GCM, NIST SP 800-38D; iv of 1 byte or more, 12 by rule. Gives ciphertext ‖ tag(16). A key and iv must never meet twice. */
  aesGcmEncrypt(key: Bytes, iv: Bytes, associated: Bytes, data: Bytes): Bytes;
  /** The plaintext of ciphertext ‖ tag(16), or null when the tag is wrong. */
  aesGcmDecrypt(key: Bytes, iv: Bytes, associated: Bytes, data: Bytes): Bytes | null;
}

/** What reading a phone's wallet needs beside hashes and key agreement. */
export interface WalletCrypto {
  /** The compressed public key of a private key of 32 bytes; null when it is none of P-256. */
  publicKeyOf(privateKey: Bytes): Bytes | null;
  /** ECDSA P-256 with SHA-256 (FIPS 186-5) in DER. `privateKey` is one that publicKeyOf accepts. */
  signP256(privateKey: Bytes, data: Bytes): Bytes;
  /** AES-CTR, NIST SP 800-38A §6.5, both ways; `counter` is the first block, 16 bytes. */
  aesCtr(key: Bytes, counter: Bytes, data: Bytes): Bytes;
  /** Inflates zlib data (RFC 1950); null when it is damaged, cut, followed by more, or would give more than `bytesMax`. */
  inflate(data: Bytes, bytesMax: number): Bytes | null;
}

/** The curves that chip makers sign with: secp128r1 (SEC 2 version 1.0 §2.3.1), secp224r1 (NIST P-224). */
export type ChipCurve = 'secp128r1' | 'secp224r1';

export interface ChipCrypto {
  /**
   * ECDSA over the message itself, not its hash. `publicKey`: uncompressed point (SEC 1 §2.3.3); `signature`: r ‖ s.
   * False also for a point off the curve, a number out of its range or a wrong length.
   */
  verifyUnhashed(curve: ChipCurve, publicKey: Bytes, message: Bytes, signature: Bytes): boolean;
}
