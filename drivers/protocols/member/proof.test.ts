// Shows that proofs, session keys and diversified keys have the values of an independent implementation (vectors/make.py), and
// that every part of the transcript changes every one of them.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { encodeContext } from './layout.js';
import {
  cardKey,
  grantSession,
  phoneConfirm,
  phoneProof,
  recordKey,
  type Transcript,
  verifyPhoneProof,
} from './proof.js';

type Tap = Readonly<Record<'context' | 'proof' | 'terminalProof' | 'encryptionKey' | 'macKey' | 'confirm', string>> & {
  readonly counter: number;
};
const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Record<
  string,
  string
> & {
  readonly earn: Tap;
  readonly debit: Tap;
};
const vector = (name: string): Bytes => hex(vectors[name] ?? '?');
const nonces = { terminalNonce: vector('terminalNonce'), phoneNonce: vector('phoneNonce') };
const about = { transactionId: vector('transactionId'), terminal: vector('terminal'), currency: 'CNY' };

const taps = [
  {
    name: 'earn' as const,
    key: vector('memberKey'),
    transcript: { key: 'member' as const, keyId: vector('memberKeyId'), ...nonces, counter: 1 },
    context: encodeContext({ ...about, operation: 'earn', amountMinor: 30_000, points: 300 }),
  },
  {
    name: 'debit' as const,
    key: vector('cardKey'),
    transcript: { key: 'card' as const, keyId: vector('cardKeyId'), ...nonces, counter: 2 },
    context: encodeContext({ ...about, operation: 'cardDebit', amountMinor: 10_000, points: 0 }),
  },
];

const allOf = (key: Bytes, transcript: Transcript): readonly string[] => {
  const grant = grantSession(nativeCrypto, key, transcript);
  const confirm = phoneConfirm(nativeCrypto, grant.keys.macKey, transcript);
  const proof = phoneProof(nativeCrypto, key, transcript);
  return [proof, grant.terminalProof, grant.keys.encryptionKey, grant.keys.macKey, confirm].map(toHex);
};

t.test('the values of an independent implementation', async (t) => {
  for (const { name, key, transcript, context } of taps) {
    const expected = vectors[name];
    t.equal(toHex(context), expected.context);
    const { proof, terminalProof, encryptionKey, macKey, confirm } = expected;
    t.same(allOf(key, { ...transcript, context }), [proof, terminalProof, encryptionKey, macKey, confirm], name);
    t.ok(verifyPhoneProof(nativeCrypto, key, { ...transcript, context }, hex(proof)));
  }
  t.equal(toHex(cardKey(nativeCrypto, vector('siteKey'), vector('cardKeyId'))), vectors['cardKey']);
  t.equal(toHex(recordKey(nativeCrypto, vector('siteKey'), vector('cardKeyId'))), vectors['recordKey']);
});

t.test('every part of the transcript is covered', async (t) => {
  const [tap] = taps;
  if (!tap) throw new Error('a tap');
  const base: Transcript = { ...tap.transcript, context: tap.context };
  const changed = (bytes: Bytes): Bytes =>
    Uint8Array.from(bytes, (byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));
  const variants: readonly Transcript[] = [
    { ...base, key: 'card' },
    { ...base, keyId: changed(base.keyId) },
    { ...base, terminalNonce: changed(base.terminalNonce) },
    { ...base, phoneNonce: changed(base.phoneNonce) },
    { ...base, counter: 2 },
    { ...base, context: changed(base.context) },
  ];
  const seen = new Set(allOf(tap.key, base));
  for (const variant of variants) for (const value of allOf(tap.key, variant)) seen.add(value);
  t.equal(seen.size, 5 * (variants.length + 1), 'no two values are alike');
  const proof = phoneProof(nativeCrypto, tap.key, base);
  for (const variant of variants) t.notOk(verifyPhoneProof(nativeCrypto, tap.key, variant, proof));
  for (let bit = 0; bit < 128; bit++) {
    const flipped = proof.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.notOk(verifyPhoneProof(nativeCrypto, tap.key, base, flipped), `bit ${bit}`);
  }
});
