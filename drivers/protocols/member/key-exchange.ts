/**
 * The host's cryptography of registration and issue: unwraps the key a phone made, seals a card for the phone that gets it.
 * Pure; cryptography comes through ports. Must not keep a key, and must not read message texts (messages.ts does).
 */
import { type Bytes, concat, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto, KeyAgreement, KeyPair } from '../../../terminal/kernel/ports.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { keyIdBytes, merchantIdPattern, recordBytes } from './layout.js';
import {
  issuedCardBytes,
  publicKeyBytes,
  registrationTokenPattern,
  wrappedKeyBytes,
  wrappedKeysBytes,
} from './messages.js';
import { labelled } from './proof.js';

const memberKeyBytes = 16;
const registrationInfo = utf8('shouli member key 1');

/**
 * A member key's id, 8 bytes: the start of SHA-256("shouli key id 1 " ‖ merchantId ‖ " " ‖ token). Made of what both
 * sides know before the key exists, so it says nothing of the key.
 */
export function memberKeyId(crypto: Pick<Crypto, 'sha256'>, merchantId: string, token: string): Bytes {
  assert(
    merchantIdPattern.test(merchantId) && registrationTokenPattern.test(token),
    'merchant id and token have their form',
  );
  return crypto.sha256(utf8(`shouli key id 1 ${merchantId} ${token}`)).slice(0, keyIdBytes);
}

/** What a phone's answer brings. */
export interface WrappedKeys {
  /** 16 bytes. */
  readonly memberKey: Bytes;
  /** Compressed P-256 key that a credential may name; null: this phone cannot sign. */
  readonly publicKey: Bytes | null;
}

/**
 * Opens a phone's answer to a registration: ECDH P-256 with the phone's ephemeral key, HKDF-SHA256 (salt: the token's
 * characters; info: "shouli member key 1" ‖ both public keys) to an AES-128 key and a 12-byte IV, AES-GCM with the token
 * as associated data. The ephemeral key is fresh for each answer, so no key and IV ever meet twice.
 * @returns the member key, 16 bytes, and the phone's own public key where it sent one; or `input.malformed`: at offset 0 no point
 * of the curve, at 33 not sealed for this token, at 49 the phone's own key is no point of the curve
 */
export function unwrapMemberKey(
  agreement: KeyAgreement,
  merchant: KeyPair,
  token: string,
  wrapped: Bytes,
): Result<WrappedKeys, DecodeError> {
  if (wrapped.length !== wrappedKeyBytes && wrapped.length !== wrappedKeysBytes)
    return decodeError('input.truncated', wrapped.length, 'wrapped key');
  const ephemeral = wrapped.subarray(0, publicKeyBytes);
  const secret = agreement.sharedSecret(merchant.privateKey, ephemeral);
  if (secret === null) return decodeError('input.malformed', 0, 'not a point of the curve');
  const info = concat(registrationInfo, ephemeral, merchant.publicKey);
  const derived = agreement.hkdfSha256(secret, utf8(token), info, 28);
  const sealed = wrapped.subarray(publicKeyBytes);
  const keys = agreement.aesGcmDecrypt(derived.subarray(0, 16), derived.subarray(16), utf8(token), sealed);
  if (!keys) return decodeError('input.malformed', publicKeyBytes, 'not sealed for this token');
  const publicKey = keys.slice(memberKeyBytes);
  // Agreement refuses what is no point of the curve.
  if (publicKey.length > 0 && agreement.sharedSecret(merchant.privateKey, publicKey) === null)
    return decodeError('input.malformed', publicKeyBytes + memberKeyBytes, 'not a point of the curve');
  return ok({ memberKey: keys.slice(0, memberKeyBytes), publicKey: publicKey.length > 0 ? publicKey : null });
}

/** What a card-held coupon brings to the phone. */
export interface IssuedCard {
  readonly cardKeyId: Bytes;
  /** cardKey of proof.ts: diversified from the site key. */
  readonly cardKey: Bytes;
  /** The first record, encodeCardRecord of card-record.ts, counter 1. */
  readonly record: Bytes;
}

/**
 * Seals a card for the phone that holds `memberKey`: iv(16) ‖ AES-128-CBC(K5, iv, cardKeyId ‖ cardKey ‖ record ‖ padding)
 * ‖ CMAC(K6, 49 ‖ head ‖ iv ‖ ciphertext), K5 and K6 being CMAC(memberKey, 05 or 06 ‖ head). `head` is couponMessageHead's
 * text, so neither merchant, code nor balance can be changed around it. `iv` is 16 random bytes, fresh for each call.
 */
export function sealIssuedCard(
  crypto: Pick<Crypto, 'aesCmac' | 'aesCbcEncrypt'>,
  memberKey: Bytes,
  head: string,
  iv: Bytes,
  card: IssuedCard,
): Bytes {
  assert(
    card.cardKeyId.length === keyIdBytes && card.cardKey.length === 16,
    'a card key and its id have their lengths',
  );
  assert(card.record.length === recordBytes && iv.length === 16, 'record and iv have their lengths');
  const headBytes = utf8(head);
  const encryptionKey = labelled(crypto, memberKey, 'issueEncryptionKey', headBytes);
  const macKey = labelled(crypto, memberKey, 'issueMacKey', headBytes);
  const padding = concat(Uint8Array.of(0x80), new Uint8Array(7));
  const plain = concat(card.cardKeyId, card.cardKey, card.record, padding);
  const ciphertext = crypto.aesCbcEncrypt(encryptionKey, iv, plain);
  const sealed = concat(iv, ciphertext, labelled(crypto, macKey, 'issueMac', concat(headBytes, iv, ciphertext)));
  assert(sealed.length === issuedCardBytes, 'a sealed card has 160 bytes');
  return sealed;
}
