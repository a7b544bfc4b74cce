/**
 * Keys of the simulated world: signatures that are the same in each run of a seed and cost next to nothing. A signature is an
 * HMAC under what stands for the public key; everything else is the shipped cryptography.
 */
import { type Bytes, equalBytes } from '../../kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../../kernel/native.js';
import type { Crypto, Random } from '../../kernel/ports.js';
import { LocalKeys, sealingKeyBytes } from '../../runtime/local-keys.js';

export const simCrypto: Crypto = {
  ...nativeCrypto,
  verifySignature: (publicKey, data, signature) => equalBytes(nativeCrypto.hmacSha256(publicKey, data), signature),
};

export interface Signer {
  readonly publicKey: Bytes;
  sign(data: Bytes): Bytes;
}
export function drawSigner(random: Random): Signer {
  const publicKey = random.bytes(32);
  return { publicKey, sign: (data) => nativeCrypto.hmacSha256(publicKey, data) };
}

export const drawLocalKeys = (random: Random): LocalKeys =>
  new LocalKeys({ ...nativeKeyAgreement, ...simCrypto }, random, random.bytes(sealingKeyBytes));
