/**
 * A pass's answer (Apple VAS): the merchant key it is for, and what it says once opened (docs/protocols/vas.md).
 * Pure. Must not judge whether it is fresh: freshness.ts does.
 */
import {
  type Bytes,
  concat,
  decodeUtf8,
  equalBytes,
  readUintBE,
  uintBE,
  utf8,
} from '../../../terminal/kernel/bytes.js';
import type { Crypto, KeyAgreement, WalletCrypto } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { type DialogueError, dialogueFault } from '../card-dialogue.js';

export type PassCrypto = Pick<Crypto, 'sha256'> & Pick<KeyAgreement, 'sharedSecret' | 'aesGcmDecrypt'>;

const keyIdBytes = 4;
const coordinateBytes = 32;
const tagBytes = 16;
const timeBytes = 4;
/** Longest message that a pass carries, in bytes of UTF-8. */
export const messageBytesMax = 64;
const shortest = keyIdBytes + coordinateBytes + timeBytes + tagBytes;
/** Longest answer, 9F27's value. */
export const passAnswerBytesMax = shortest + messageBytesMax;

/** 2001-01-01T00:00:00Z, from which passes count their seconds, as a wall time in ms. */
export const passEpochMs = 978_307_200_000;

/** A merchant's private key with the id that answers name it by. */
export interface PassKey {
  readonly keyId: Bytes;
  readonly privateKey: Bytes;
}

/** @returns the key with its id: SHA-256 of the public key's x-coordinate, first 4 bytes; null when it is none of P-256 */
export function passKey(
  crypto: Pick<Crypto, 'sha256'> & Pick<WalletCrypto, 'publicKeyOf'>,
  privateKey: Bytes,
): PassKey | null {
  const publicKey = crypto.publicKeyOf(privateKey);
  return publicKey && { privateKey, keyId: crypto.sha256(publicKey.subarray(1)).slice(0, keyIdBytes) };
}

/** The 32 bytes that name a pass type on the wire. */
export const passTypeHash = (crypto: Pick<Crypto, 'sha256'>, passTypeId: string): Bytes =>
  crypto.sha256(utf8(passTypeId));

/** What a pass said. */
export interface OpenedPass {
  /** Wall time at which the phone made the answer, by the phone's clock, in whole seconds. */
  readonly atMs: number;
  /** The pass's message: 0…64 bytes of UTF-8. */
  readonly message: string;
}

/** Shared info of the key derivation: 0D "id-aes256-GCM" ‖ "ApplePay encrypted VAS data" ‖ hash of the pass type. */
const sharedInfo = (typeHash: Bytes): Bytes =>
  concat(uintBE(0x0d, 1), utf8('id-aes256-GCM'), utf8('ApplePay encrypted VAS data'), typeHash);

/**
 * Opens 9F27's value: key id(4) ‖ x(32) ‖ ciphertext ‖ tag(16).
 * @returns time and message, or `input.truncated`, `input.tooLong`, `pass.unknownKey` (for none of these keys),
 * `pass.forged` (x is on no point of the curve, or the tag is wrong: changed, or of another pass type)
 */
export function openPassAnswer(
  crypto: PassCrypto,
  keys: readonly PassKey[],
  typeHash: Bytes,
  answer: Bytes,
): Result<OpenedPass, DialogueError> {
  if (answer.length < shortest) return dialogueFault('input.truncated', null, 'pass answer');
  if (answer.length > passAnswerBytesMax) return dialogueFault('input.tooLong', null, 'pass answer');
  const key = keys.find(({ keyId }) => equalBytes(keyId, answer.subarray(0, keyIdBytes)));
  if (!key) return dialogueFault('pass.unknownKey', null, 'key id');
  const sealedAt = keyIdBytes + coordinateBytes;
  // Only x travels. Both points of it give the same x in the end, so either y will do.
  const point = concat(uintBE(2, 1), answer.subarray(keyIdBytes, sealedAt));
  const secret = crypto.sharedSecret(key.privateKey, point);
  if (!secret) return dialogueFault('pass.forged', null, 'point off the curve');
  // ANSI X9.63 key derivation: 32 bytes are one block of SHA-256, so its counter is 1.
  const contentKey = crypto.sha256(concat(secret, uintBE(1, 4), sharedInfo(typeHash)));
  // Sixteen zero bytes, not twelve. The key is used once, so a constant iv meets it once.
  const plain = crypto.aesGcmDecrypt(contentKey, new Uint8Array(16), new Uint8Array(0), answer.subarray(sealedAt));
  if (!plain) return dialogueFault('pass.forged', null, 'authentication tag');
  const message = decodeUtf8(plain.subarray(timeBytes));
  if (!message.ok) return dialogueFault('input.malformed', null, 'message is not UTF-8');
  return ok({ atMs: passEpochMs + readUintBE(plain.subarray(0, timeBytes)) * 1_000, message: message.value });
}
