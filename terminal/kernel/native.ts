/**
 * The kernel's ports on the real machine: Node's clock and crypto, @noble's CMAC, UUID version 7.
 * The one kernel file that imports anything; pure folders must not import it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHash,
  createHmac,
  createPublicKey,
  ECDH,
  hkdfSync,
  randomBytes,
  verify,
} from 'node:crypto';
import { cmac } from '@noble/ciphers/aes.js';
import { v7 } from 'uuid';
import type { Clock, Crypto, Ids, KeyAgreement, Random, TransactionId } from './ports.js';
import { monotonicMs, wallMs } from './units.js';

export const nativeClock: Clock = {
  monotonicMs: () => monotonicMs(Number(process.hrtime.bigint() / 1_000_000n)),
  wallMs: () => wallMs(Date.now()),
};

export const nativeRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) };

export const nativeIds: Ids = { transactionId: () => v7() as TransactionId };

const aesName = (key: Uint8Array): string => `aes-${key.length * 8}-cbc`;

export const nativeCrypto: Crypto = {
  sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
  hmacSha256: (key, data) => new Uint8Array(createHmac('sha256', key).update(data).digest()),
  aesCmac: (key, data) => cmac(data, key),
  aesCbcEncrypt: (key, iv, data) => {
    const cipher = createCipheriv(aesName(key), key, iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
  },
  aesCbcDecrypt: (key, iv, data) => {
    const decipher = createDecipheriv(aesName(key), key, iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([decipher.update(data), decipher.final()]));
  },
  verifySignature: (publicKey, data, signature) => {
    try {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
      const isKnownKind = key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec';
      return isKnownKind && verify('sha256', data, key, signature);
    } catch {
      return false;
    }
  },
};

const curve = 'prime256v1';
const gcmTagBytes = 16;

export const nativeKeyAgreement: KeyAgreement = {
  generateKeyPair: () => {
    const pair = createECDH(curve);
    pair.generateKeys();
    const publicKey = new Uint8Array(pair.getPublicKey(null, 'compressed'));
    // Node drops a private key's leading zero bytes; everybody else counts on 32.
    const scalar = pair.getPrivateKey();
    const privateKey = new Uint8Array(32);
    privateKey.set(scalar, 32 - scalar.length);
    return { privateKey, publicKey };
  },
  sharedSecret: (privateKey, publicKey) => {
    if (publicKey.length !== 33 || (publicKey[0] !== 2 && publicKey[0] !== 3)) return null;
    try {
      // convertKey solves the curve's equation: an x without a point on the curve ends here.
      const point = ECDH.convertKey(publicKey, curve) as Buffer;
      const own = createECDH(curve);
      own.setPrivateKey(privateKey);
      return new Uint8Array(own.computeSecret(point));
    } catch {
      return null;
    }
  },
  hkdfSha256: (secret, salt, info, length) => new Uint8Array(hkdfSync('sha256', secret, salt, info, length)),
  aesGcmEncrypt: (key, iv, associated, data) => {
    const cipher = createCipheriv('aes-128-gcm', key, iv, { authTagLength: gcmTagBytes }).setAAD(associated);
    return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]));
  },
  aesGcmDecrypt: (key, iv, associated, data) => {
    if (data.length < gcmTagBytes) return null;
    const end = data.length - gcmTagBytes;
    const decipher = createDecipheriv('aes-128-gcm', key, iv, { authTagLength: gcmTagBytes }).setAAD(associated);
    decipher.setAuthTag(data.subarray(end));
    try {
      return new Uint8Array(Buffer.concat([decipher.update(data.subarray(0, end)), decipher.final()]));
    } catch {
      return null;
    }
  },
};
