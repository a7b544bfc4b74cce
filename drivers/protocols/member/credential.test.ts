/**
 * Shows the phone's credential and its signature over a tap: the independent implementation's values, every truncation and every
 * flipped bit refused, ECDSA by the example of RFC 6979 and by what must not verify, and each reason why a good one does not count.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import { signP256 } from '../../sim/phone/phone-crypto.js';
import {
  type CredentialQuestion,
  credentialBytes,
  credentialSignedBytes,
  credentialUse,
  dayMax,
  dayOf,
  decodeCredential,
  encodeUnsigned,
  judgeSignedTap,
  type PhoneCredential,
  tapSignedBytes,
} from './credential.js';
import { merchantTag } from './layout.js';

const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, string>
> & { readonly spend: Readonly<Record<string, string>> };
const vector = (name: string): Bytes => hex(vectors[name] ?? '?');
const spend = (name: string): Bytes => hex(vectors.spend[name] ?? '?');

const example: PhoneCredential = {
  merchantTag: merchantTag(nativeCrypto, 'M1001'),
  memberKeyId: vector('memberKeyId'),
  publicKey: vector('phonePublic'),
  ...{ firstDay: 20_784, lastDay: 20_815, uses: 3, cardKeyId: vector('cardKeyId') },
};
const signerPrivate = vector('credentialSignerPrivate');
const phonePrivate = vector('phonePrivate');
const question: CredentialQuestion = {
  signer: vector('credentialSignerPublic'),
  merchantId: 'M1001',
  memberKeyId: vector('memberKeyId'),
  transcript: {
    key: 'member',
    keyId: vector('memberKeyId'),
    terminalNonce: vector('terminalNonce'),
    phoneNonce: vector('phoneNonce'),
    counter: 3,
    context: spend('context'),
  },
  proof: spend('proof'),
  use: 'hostHeld',
  nowMs: 20_800 * 86_400_000,
};
const good = { credential: vector('credential'), signature: spend('signature') };
const flip = (bytes: Bytes, bit: number): Bytes => {
  const flipped = bytes.slice();
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
};
const signed = (change: Partial<PhoneCredential>, by = signerPrivate): Bytes => {
  const unsigned = encodeUnsigned({ ...example, ...change });
  return concat(unsigned, signP256(by, credentialSignedBytes(unsigned)));
};
const judge = (credential: Bytes, change: Partial<CredentialQuestion> = {}, signature = good.signature) =>
  judgeSignedTap(nativeCrypto, { credential, signature }, { ...question, ...change });
const refused = (error: string) => ({ ok: false, error });

t.test('the values of the independent implementation', async (t) => {
  t.equal(toHex(signed({})), vectors['credential']);
  t.same(decodeCredential(good.credential), {
    ok: true,
    value: { credential: example, signature: good.credential.slice(63) },
  });
  t.equal(
    toHex(tapSignedBytes(question.transcript, question.proof)),
    toHex(concat(utf8('shouli tap 1 '), spend('transcript'), spend('proof'))),
  );
  t.equal(
    toHex(signP256(phonePrivate, tapSignedBytes(question.transcript, question.proof))),
    vectors.spend['signature'],
  );
  t.same(judge(good.credential), { ok: true, value: example });
});

t.test('every truncation, every byte too many and every flipped bit is refused', async (t) => {
  for (let length = 0; length < credentialBytes; length++) {
    t.match(decodeCredential(good.credential.subarray(0, length)), {
      error: { code: 'input.truncated', offset: length },
    });
    t.same(judge(good.credential.subarray(0, length)), refused('credential.forged'));
  }
  t.match(decodeCredential(concat(good.credential, hex('00'))), { error: { code: 'input.tooLong' } });
  for (let bit = 0; bit < credentialBytes * 8; bit++)
    t.same(judge(flip(good.credential, bit)), refused('credential.forged'), `bit ${bit}`);
  for (let length = 0; length < 64; length++)
    t.same(judge(good.credential, {}, good.signature.subarray(0, length)), refused('credential.wrongProof'));
  t.same(judge(good.credential, {}, concat(good.signature, hex('00'))), refused('credential.wrongProof'));
  for (let bit = 0; bit < 64 * 8; bit++)
    t.same(judge(good.credential, {}, flip(good.signature, bit)), refused('credential.wrongProof'), `bit ${bit}`);
});

t.test('a form that no merchant makes is refused before its signature', async (t) => {
  const unsigned = encodeUnsigned(example);
  const forms: readonly (readonly [string, number, string])[] = [
    ['another version', 0, '02'],
    ['it ends before it begins', 50, 'ffff0000'],
    ['uses that nobody knows', 54, '07'],
    ['a card without its use', 54, '01'],
    ['the use without a card', 55, '0000000000000000'],
  ];
  for (const [what, at, bytes] of forms) {
    const wrong = unsigned.slice();
    wrong.set(hex(bytes), at);
    const whole = concat(wrong, signP256(signerPrivate, credentialSignedBytes(wrong)));
    t.match(
      decodeCredential(whole),
      { ok: false, error: { code: at === 0 ? 'input.unsupported' : 'input.malformed' } },
      what,
    );
    t.same(judge(whole), refused('credential.forged'), what);
  }
  t.throws(() => encodeUnsigned({ ...example, lastDay: dayMax + 1 }));
  t.throws(() => encodeUnsigned({ ...example, firstDay: 5, lastDay: 4 }));
  t.throws(() => encodeUnsigned({ ...example, cardKeyId: null }));
  t.throws(() => encodeUnsigned({ ...example, uses: 1 }));
});

t.test('a credential of somebody else, of another time, or for something else', async (t) => {
  t.same(judge(signed({}, phonePrivate)), refused('credential.forged'), 'signed by another key');
  t.same(judge(good.credential, { merchantId: 'M1002' }), refused('credential.forged'), 'of another merchant');
  t.same(
    judge(good.credential, { memberKeyId: vector('cardKeyId') }),
    refused('credential.forged'),
    'of another membership',
  );
  const day = (which: number, more = 0): Partial<CredentialQuestion> => ({ nowMs: which * 86_400_000 + more });
  t.same(judge(good.credential, day(20_784, -1)), refused('credential.outOfTime'), 'the moment before');
  t.ok(judge(good.credential, day(20_784)).ok, 'its first moment');
  t.ok(judge(good.credential, day(20_816, -1)).ok, 'its last moment');
  t.same(judge(good.credential, day(20_816)), refused('credential.outOfTime'), 'the moment behind it');
  const cardOnly = signed({ uses: credentialUse.card });
  t.same(judge(cardOnly), refused('credential.tooWeak'), 'for a card alone');
  t.same(
    judge(good.credential, { use: 'card' }),
    refused('credential.tooWeak'),
    'the tap is not of the card that it names',
  );
  const ofCard = { ...question.transcript, key: 'card', keyId: vector('cardKeyId') } as const;
  const byPhone = signP256(phonePrivate, tapSignedBytes(ofCard, question.proof));
  t.ok(judge(good.credential, { use: 'card', transcript: ofCard }, byPhone).ok);
  const hostOnly = signed({ uses: credentialUse.hostHeld, cardKeyId: null });
  t.same(judge(hostOnly, { use: 'card', transcript: ofCard }, byPhone), refused('credential.tooWeak'));
});

t.test('a signature is of one tap alone: it replays at no other', async (t) => {
  const { transcript } = question;
  for (const [what, change] of Object.entries({
    'another nonce of the terminal': { terminalNonce: vector('phoneNonce') },
    'another nonce of the phone': { phoneNonce: vector('terminalNonce') },
    'another use counter': { counter: 4 },
    'another terminal, amount or sale': { context: flip(transcript.context, 130) },
    'the card’s key': { key: 'card' as const },
  }))
    t.same(
      judge(good.credential, { transcript: { ...transcript, ...change } }),
      refused('credential.wrongProof'),
      what,
    );
  t.same(
    judge(good.credential, { proof: flip(question.proof, 0) }),
    refused('credential.wrongProof'),
    'a proof put in its place',
  );
  for (let bit = 0; bit < transcript.context.length * 8; bit++)
    t.notOk(judge(good.credential, { transcript: { ...transcript, context: flip(transcript.context, bit) } }).ok);
});

t.test('ECDSA P-256: the example of RFC 6979 A.2.5, both values of s, and what must not verify', async (t) => {
  const key = hex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
  const point = nativeWalletCrypto.publicKeyOf(key) ?? hex('');
  const [sample, test] = [utf8('sample'), utf8('test')];
  const signature = hex(
    'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
  );
  t.equal(toHex(signP256(key, sample)), toHex(signature));
  const verify = nativeCrypto.verifyP256;
  t.ok(verify(point, sample, signature));
  t.notOk(verify(point, test, signature));
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const number = (bytes: Bytes): bigint => BigInt(`0x${toHex(bytes)}`);
  const bytes = (value: bigint): Bytes => hex(value.toString(16).padStart(64, '0'));
  const [r, s] = [signature.slice(0, 32), signature.slice(32)];
  t.ok(verify(point, sample, concat(r, bytes(order - number(s)))), 'the other s of the same signature');
  const zero = new Uint8Array(32);
  for (const wrong of [
    concat(zero, s),
    concat(r, zero),
    concat(bytes(order), s),
    concat(r, bytes(order)),
    concat(hex('ff'.repeat(32)), s),
    concat(zero, zero),
    hex(''),
    // DER is another encoding of the same: one only is taken.
    nativeWalletCrypto.signP256(key, sample),
  ])
    t.notOk(verify(point, sample, wrong));
  const prime = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
  for (const [what, wrong] of Object.entries({
    'off the curve': concat(hex('02'), bytes(1n)),
    'an x that is not below the prime': concat(hex('02'), bytes(prime + 5n)),
    'the prime itself': concat(hex('03'), bytes(prime)),
    'the other of the two points': concat(hex(point[0] === 2 ? '03' : '02'), point.slice(1)),
    'uncompressed by its first byte': concat(hex('04'), point.slice(1)),
    'too short': point.slice(0, 32),
    'too long': concat(point, hex('00')),
    nothing: hex(''),
  }))
    t.notOk(verify(wrong, sample, signature), what);
});

t.test('what is encoded decodes to the same, and no noise passes', async () => {
  const eight = fc.uint8Array({ minLength: 8, maxLength: 8 });
  const arbitrary = fc.record({
    ...{ merchantTag: eight, memberKeyId: eight, publicKey: fc.uint8Array({ minLength: 33, maxLength: 33 }) },
    days: fc.tuple(fc.nat(dayMax), fc.nat(dayMax)),
    card: fc.option(eight.filter((bytes) => bytes.some((byte) => byte !== 0))),
  });
  fc.assert(
    fc.property(arbitrary, ({ days, card, ...rest }) => {
      const [firstDay, lastDay] = [Math.min(...days), Math.max(...days)];
      const credential = { ...rest, firstDay, lastDay, uses: card ? 3 : 1, cardKeyId: card };
      const decoded = decodeCredential(concat(encodeUnsigned(credential), new Uint8Array(64)));
      return decoded.ok && JSON.stringify(decoded.value.credential) === JSON.stringify(credential);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => !judge(noise).ok && dayOf(0) === 0),
    { numRuns: 500 },
  );
});
