// Shows that registration and issue have the values of an independent implementation (vectors/make.py), that a wrapped key with
// any bit flipped, cut, for another token or with a point off the curve is refused, and that a sealed card opens for one
// phone and one message head only (opened by the simulated phone's own code).
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../../../terminal/kernel/native.js';
import { openIssuedCard, wrapKey } from '../../sim/phone/phone-crypto.js';
import { memberKeyId, sealIssuedCard, unwrapMemberKey } from './key-exchange.js';

const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;
const text = (name: string): string => vectors[name] ?? '?';
const vector = (name: string): Bytes => hex(text(name));
const merchant = { privateKey: vector('merchantPrivate'), publicKey: vector('merchantPublic') };
const token = text('token');
const unwrap = (wrapped: Bytes, forToken = token) => unwrapMemberKey(nativeKeyAgreement, merchant, forToken, wrapped);
const flip = (bytes: Bytes, bit: number): Bytes => {
  const flipped = bytes.slice();
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
};

t.test('the key agreement of this machine', async (t) => {
  const shared = nativeKeyAgreement.sharedSecret(merchant.privateKey, vector('ephemeralPublic'));
  t.equal(toHex(shared ?? hex('')), text('sharedSecret'));
  const info = concat(utf8('shouli member key 1'), vector('ephemeralPublic'), merchant.publicKey);
  t.equal(toHex(nativeKeyAgreement.hkdfSha256(vector('sharedSecret'), utf8(token), info, 28)), text('wrapKeyAndIv'));
  for (let round = 0; round < 20; round++) {
    const [a, b] = [nativeKeyAgreement.generateKeyPair(), nativeKeyAgreement.generateKeyPair()];
    t.same([a.privateKey.length, a.publicKey.length], [32, 33]);
    const one = nativeKeyAgreement.sharedSecret(a.privateKey, b.publicKey);
    const other = nativeKeyAgreement.sharedSecret(b.privateKey, a.publicKey);
    t.ok(one !== null && other !== null && toHex(one) === toHex(other));
  }
});

/** Has y² = x³ − 3x + b a solution modulo P-256's prime? Euler's criterion, so that the library does not judge itself. */
function isOnCurve(x: bigint): boolean {
  const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
  let base = (((x ** 3n - 3n * x + b) % p) + p) % p;
  let power = 1n;
  for (let exponent = (p - 1n) / 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) power = (power * base) % p;
    base = (base * base) % p;
  }
  return power === 1n;
}

t.test('points that are not on the curve', async (t) => {
  const offCurve: string[] = [];
  for (let x = 1n; offCurve.length < 4; x++) if (!isOnCurve(x)) offCurve.push(`02${x.toString(16).padStart(64, '0')}`);
  const notPoints = [
    ...offCurve,
    '00'.repeat(33),
    `02${'ff'.repeat(32)}`,
    `04${text('merchantPublic').slice(2)}`,
    `05${text('merchantPublic').slice(2)}`,
    text('merchantPublic').slice(0, 64),
    `${text('merchantPublic')}00`,
  ];
  t.ok(isOnCurve(BigInt(`0x${text('merchantPublic').slice(2)}`)));
  for (const point of notPoints) {
    t.equal(nativeKeyAgreement.sharedSecret(merchant.privateKey, hex(point)), null, point.slice(0, 20));
    const wrapped = concat(hex(point), vector('wrappedKey').subarray(33));
    t.match(unwrap(wrapped), { error: { offset: wrapped.length === 65 ? 0 : wrapped.length } });
  }
});

t.test('a wrapped key', async (t) => {
  t.same(unwrap(vector('wrappedKey')), {
    ok: true,
    value: { memberKey: vector('memberKey'), publicKey: null },
  });
  t.equal(toHex(memberKeyId(nativeCrypto, text('merchantId'), token)), text('memberKeyId'));
  for (let length = 0; length < 65; length++)
    t.notOk(unwrap(vector('wrappedKey').subarray(0, length)).ok, `cut to ${length}`);
  for (let bit = 0; bit < 65 * 8; bit++) t.notOk(unwrap(flip(vector('wrappedKey'), bit)).ok, `bit ${bit}`);
  t.match(unwrap(vector('wrappedKey'), `${token.slice(0, 15)}E`), { error: { code: 'input.malformed', offset: 33 } });
  const long = vector('wrappedKeys');
  t.same(unwrap(long), { ok: true, value: { memberKey: vector('memberKey'), publicKey: vector('phonePublic') } });
  for (let length = 0; length < long.length; length++) t.notOk(unwrap(long.subarray(0, length)).ok, `cut to ${length}`);
  for (let bit = 0; bit < long.length * 8; bit++) t.notOk(unwrap(flip(long, bit)).ok, `bit ${bit}`);
  const offCurve = concat(vector('memberKey'), hex(`02${'ff'.repeat(32)}`));
  const sealed = wrapKey(merchant.publicKey, vector('ephemeralPrivate'), token, offCurve) ?? hex('');
  t.match(unwrap(sealed), { error: { code: 'input.malformed', offset: 49 } }, 'a key of its own that is no point');
  const other = nativeKeyAgreement.generateKeyPair();
  t.notOk(unwrapMemberKey(nativeKeyAgreement, other, token, vector('wrappedKey')).ok, 'for another merchant');
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (memberKey) => {
      const { privateKey } = nativeKeyAgreement.generateKeyPair();
      const opened = unwrap(wrapKey(merchant.publicKey, privateKey, token, memberKey) ?? hex(''));
      return opened.ok && toHex(opened.value.memberKey) === toHex(memberKey);
    }),
    { numRuns: 20 },
  );
});

t.test('a card on its way to the phone', async (t) => {
  const card = { cardKeyId: vector('cardKeyId'), cardKey: vector('cardKey'), record: vector('record1') };
  const head = text('issueHead');
  const sealed = sealIssuedCard(nativeCrypto, vector('memberKey'), head, vector('issueIv'), card);
  t.equal(toHex(sealed), text('issuedCard'));
  const opened = openIssuedCard(vector('memberKey'), head, sealed);
  t.same(
    [opened?.keyId, opened?.key, opened?.record].map((bytes) => toHex(bytes ?? hex(''))),
    [card.cardKeyId, card.cardKey, card.record].map(toHex),
  );
  for (let bit = 0; bit < sealed.length * 8; bit++)
    t.equal(openIssuedCard(vector('memberKey'), head, flip(sealed, bit)), null);
  for (let length = 0; length < sealed.length; length++)
    t.equal(openIssuedCard(vector('memberKey'), head, sealed.subarray(0, length)), null);
  t.equal(openIssuedCard(flip(vector('memberKey'), 0), head, sealed), null, 'another phone');
  t.equal(openIssuedCard(vector('memberKey'), head.replace('30000', '90000'), sealed), null, 'another balance');
  t.throws(() => sealIssuedCard(nativeCrypto, vector('memberKey'), head, hex('00'), card));
});
