/**
 * The kernel's ports on the real machine: Node's clock and crypto, @noble's CMAC, UUID version 7.
 * The one kernel file that imports anything; pure folders must not import it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createECDH,
  createHmac,
  createPrivateKey,
  createPublicKey,
  ECDH,
  hash,
  hkdfSync,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { cmac } from '@noble/ciphers/aes.js';
import { v7 } from 'uuid';
import type { Clock, Crypto, Ids, KeyAgreement, Random, TransactionId, WalletCrypto } from './ports.js';
import { monotonicMs, wallMs } from './units.js';

export const nativeClock: Clock = {
  monotonicMs: () => monotonicMs(Number(process.hrtime.bigint() / 1_000_000n)),
  wallMs: () => wallMs(Date.now()),
};

export const nativeRandom: Random = { bytes: (length) => new Uint8Array(randomBytes(length)) };

export const nativeIds: Ids = { transactionId: () => v7() as TransactionId };

/** One call and a string of 32 characters cost half of a hash object and a buffer: a record is hashed several times. */
function sha256(data: Uint8Array): Uint8Array {
  const characters = hash('sha256', data, 'binary');
  const digest = new Uint8Array(characters.length);
  for (let at = 0; at < digest.length; at++) digest[at] = characters.charCodeAt(at);
  return digest;
}

const aesName = (key: Uint8Array, mode: 'cbc' | 'ctr'): string => `aes-${key.length * 8}-${mode}`;
const gcmName = (key: Uint8Array) => (key.length === 32 ? 'aes-256-gcm' : 'aes-128-gcm');

/** What stands before a compressed point of P-256 in SubjectPublicKeyInfo (RFC 5480 §2). */
const p256Info = Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex');

export const nativeCrypto: Crypto = {
  sha256,
  hmacSha256: (key, data) => new Uint8Array(createHmac('sha256', key).update(data).digest()),
  aesCmac: (key, data) => cmac(data, key),
  aesCbcEncrypt: (key, iv, data) => {
    const cipher = createCipheriv(aesName(key, 'cbc'), key, iv).setAutoPadding(false);
    return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
  },
  aesCbcDecrypt: (key, iv, data) => {
    const decipher = createDecipheriv(aesName(key, 'cbc'), key, iv).setAutoPadding(false);
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
  verifyP256: (publicKey, data, signature) => {
    if (publicKey.length !== 33 || (publicKey[0] !== 2 && publicKey[0] !== 3) || signature.length !== 64) return false;
    try {
      const key = createPublicKey({ key: Buffer.concat([p256Info, publicKey]), format: 'der', type: 'spki' });
      return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
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
    const cipher = createCipheriv(gcmName(key), key, iv, { authTagLength: gcmTagBytes }).setAAD(associated);
    return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]));
  },
  aesGcmDecrypt: (key, iv, associated, data) => {
    if (data.length < gcmTagBytes) return null;
    const end = data.length - gcmTagBytes;
    const decipher = createDecipheriv(gcmName(key), key, iv, { authTagLength: gcmTagBytes }).setAAD(associated);
    decipher.setAuthTag(data.subarray(end));
    try {
      return new Uint8Array(Buffer.concat([decipher.update(data.subarray(0, end)), decipher.final()]));
    } catch {
      return null;
    }
  },
};

/** The uncompressed point of a private key; throws where it is none of the curve. */
function pointOf(privateKey: Uint8Array): Buffer {
  const own = createECDH(curve);
  own.setPrivateKey(privateKey);
  return own.getPublicKey();
}

/** The 32 bytes of a P-256 private key in PEM (PKCS #8 or SEC 1); null where the text is none. */
export function privateKeyOfPem(pem: string): Uint8Array | null {
  try {
    const { crv, d } = createPrivateKey(pem).export({ format: 'jwk' });
    return crv === 'P-256' && d ? new Uint8Array(Buffer.from(d, 'base64url')) : null;
  } catch {
    return null;
  }
}

export const nativeWalletCrypto: WalletCrypto = {
  publicKeyOf: (privateKey) => {
    if (privateKey.length !== 32) return null;
    try {
      return new Uint8Array(ECDH.convertKey(pointOf(privateKey), curve, undefined, undefined, 'compressed') as Buffer);
    } catch {
      return null;
    }
  },
  signP256: (privateKey, data) => {
    const point = pointOf(privateKey);
    const [d, x, y] = [Buffer.from(privateKey), point.subarray(1, 33), point.subarray(33)].map((part) =>
      part.toString('base64url'),
    ) as [string, string, string];
    const key = createPrivateKey({ key: { kty: 'EC', crv: 'P-256', d, x, y }, format: 'jwk' });
    return new Uint8Array(sign('sha256', data, key));
  },
  aesCtr: (key, counter, data) => {
    const cipher = createCipheriv(aesName(key, 'ctr'), key, counter);
    return new Uint8Array(Buffer.concat([cipher.update(data), cipher.final()]));
  },
  inflate: (data, bytesMax) => {
    try {
      // zlib stops behind its checksum without a word about what follows: the engine tells how much it took.
      const inflated = inflateSync(data, { maxOutputLength: Math.max(1, bytesMax), info: true }) as unknown as {
        readonly buffer: Buffer;
        readonly engine: { readonly bytesWritten: number };
      };
      const isWhole = inflated.engine.bytesWritten === data.length && inflated.buffer.length <= bytesMax;
      return isWhole ? new Uint8Array(inflated.buffer) : null;
    } catch {
      return null;
    }
  },
};
