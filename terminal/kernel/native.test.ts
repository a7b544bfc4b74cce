/**
 * Shows that the native ports compute what their standards say, by the standards' own examples, and refuse what is not
 * on the curve or was changed on the way.
 */
import { createECDH, createPublicKey, ECDH, verify } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import t from 'tap';
import { equalBytes, hex, toHex } from './bytes.js';
import { nativeCrypto, nativeIds, nativeKeyAgreement, nativeRandom, nativeWalletCrypto } from './native.js';

t.test('AES-CMAC, RFC 4493 §4', (t) => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const message = hex(
    '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  );
  const examples: readonly (readonly [number, string])[] = [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ];
  for (const [length, mac] of examples) t.equal(toHex(nativeCrypto.aesCmac(key, message.subarray(0, length))), mac);
  t.end();
});

t.test('AES-CBC, SP 800-38A F.2.1, and back', (t) => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const iv = hex('000102030405060708090a0b0c0d0e0f');
  const plain = hex('6bc1bee22e409f96e93d7e117393172a');
  const cipher = nativeCrypto.aesCbcEncrypt(key, iv, plain);
  t.equal(toHex(cipher), '7649abac8119b246cee98e9b12e9197d');
  t.ok(equalBytes(nativeCrypto.aesCbcDecrypt(key, iv, cipher), plain));
  t.throws(() => nativeCrypto.aesCbcEncrypt(key, iv, plain.subarray(1)), 'no padding is made up');
  t.end();
});

t.test('HMAC-SHA-256, RFC 4231 §4.3; HKDF, RFC 5869 A.1', (t) => {
  t.equal(
    toHex(nativeCrypto.hmacSha256(hex('4a656665'), hex('7768617420646f2079612077616e7420666f72206e6f7468696e673f'))),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  );
  t.equal(
    toHex(
      nativeKeyAgreement.hkdfSha256(
        hex('0b'.repeat(22)),
        hex('000102030405060708090a0b0c'),
        hex('f0f1f2f3f4f5f6f7f8f9'),
        42,
      ),
    ),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  );
  t.end();
});

t.test('key agreement: both sides alike, points off the curve refused', (t) => {
  const [ours, theirs] = [nativeKeyAgreement.generateKeyPair(), nativeKeyAgreement.generateKeyPair()];
  t.equal(ours.privateKey.length, 32);
  t.equal(ours.publicKey.length, 33);
  const secret = nativeKeyAgreement.sharedSecret(ours.privateKey, theirs.publicKey);
  t.ok(secret && equalBytes(secret, nativeKeyAgreement.sharedSecret(theirs.privateKey, ours.publicKey) ?? hex('')));
  // x = 5 has a point on P-256 and x = 2 has none: 8 − 6 + b is not a square.
  t.not(nativeKeyAgreement.sharedSecret(ours.privateKey, hex(`02${'00'.repeat(31)}05`)), null);
  for (const bad of [
    `02${'00'.repeat(31)}02`,
    `03${'00'.repeat(31)}02`,
    `02${'ff'.repeat(32)}`,
    `04${'00'.repeat(32)}`,
    '00',
    '',
  ])
    t.equal(nativeKeyAgreement.sharedSecret(ours.privateKey, hex(bad)), null, bad);
  t.end();
});

t.test('AES-GCM: a flipped bit, a cut tag or other associated data give nothing', (t) => {
  const [key, iv, about] = [hex('00'.repeat(16)), hex('00'.repeat(12)), hex('aa')];
  const sealed = nativeKeyAgreement.aesGcmEncrypt(key, iv, about, hex('00'.repeat(16)));
  const bare = nativeKeyAgreement.aesGcmEncrypt(key, iv, hex(''), hex('00'.repeat(16)));
  t.equal(toHex(bare), '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf', 'GCM test case 2');
  t.ok(nativeKeyAgreement.aesGcmDecrypt(key, iv, about, sealed));
  t.equal(nativeKeyAgreement.aesGcmDecrypt(key, iv, hex('ab'), sealed), null);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Uint8Array.from(sealed);
    changed[at] = (changed[at] ?? 0) ^ 1;
    t.equal(nativeKeyAgreement.aesGcmDecrypt(key, iv, about, changed), null, `byte ${at}`);
  }
  t.equal(nativeKeyAgreement.aesGcmDecrypt(key, iv, about, sealed.subarray(0, 15)), null);
  t.end();
});

t.test('AES-256-GCM with an iv of 16 bytes, and back', (t) => {
  const [key, iv, none] = [hex('00'.repeat(32)), hex('00'.repeat(16)), hex('')];
  const sealed = nativeKeyAgreement.aesGcmEncrypt(key, iv, none, hex('00'.repeat(16)));
  t.same(nativeKeyAgreement.aesGcmDecrypt(key, iv, none, sealed), hex('00'.repeat(16)));
  t.equal(nativeKeyAgreement.aesGcmDecrypt(key, hex('00'.repeat(12)), none, sealed), null, 'not the same as 12 zeros');
  t.end();
});

t.test('a public key of a private one; ECDSA that others verify', (t) => {
  const { privateKey, publicKey } = nativeKeyAgreement.generateKeyPair();
  t.same(nativeWalletCrypto.publicKeyOf(privateKey), publicKey);
  for (const bad of ['00'.repeat(32), 'ff'.repeat(32), '01'.repeat(31), '01'.repeat(33), ''])
    t.equal(nativeWalletCrypto.publicKeyOf(hex(bad)), null, bad);
  const other = createECDH('prime256v1');
  other.setPrivateKey(privateKey);
  const point = ECDH.convertKey(publicKey, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer;
  t.same(point, other.getPublicKey());
  const spki = Buffer.concat([Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'), point]);
  const message = hex('abcd');
  const signature = nativeWalletCrypto.signP256(privateKey, message);
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  t.ok(verify('sha256', message, key, signature));
  t.notOk(verify('sha256', hex('abce'), key, signature));
  t.end();
});

t.test('AES-CTR, SP 800-38A F.5.1', (t) => {
  const key = hex('2b7e151628aed2a6abf7158809cf4f3c');
  const counter = hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
  const plain = hex('6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51');
  const cipher = nativeWalletCrypto.aesCtr(key, counter, plain);
  t.equal(toHex(cipher), '874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff');
  t.same(nativeWalletCrypto.aesCtr(key, counter, cipher), plain);
  t.end();
});

t.test('inflating: never more than asked for, nothing cut, nothing behind', (t) => {
  const plain = new Uint8Array(1_000).fill(7);
  const packed = new Uint8Array(deflateSync(plain));
  t.same(nativeWalletCrypto.inflate(packed, 1_000), plain);
  t.equal(nativeWalletCrypto.inflate(packed, 999), null, 'one byte too many');
  t.equal(nativeWalletCrypto.inflate(Buffer.concat([packed, hex('00')]), 1_000), null, 'something behind');
  for (let length = 0; length < packed.length; length++)
    t.equal(nativeWalletCrypto.inflate(packed.subarray(0, length), 1_000), null, `cut to ${length}`);
  const bomb = new Uint8Array(deflateSync(new Uint8Array(64 * 1_024 * 1_024)));
  const before = process.memoryUsage().arrayBuffers;
  t.equal(nativeWalletCrypto.inflate(bomb, 4_096), null, 'a bomb of 64 MB');
  t.ok(process.memoryUsage().arrayBuffers - before < 4 * 1_024 * 1_024, 'and it was not unpacked to find out');
  t.end();
});

t.test('ids are UUID version 7 and rise; random bytes have their length', (t) => {
  const drawn = Array.from({ length: 200 }, () => nativeIds.transactionId());
  for (const id of drawn) t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.same([...drawn].sort(), drawn);
  t.equal(new Set(drawn).size, drawn.length);
  t.equal(nativeRandom.bytes(16).length, 16);
  t.end();
});
