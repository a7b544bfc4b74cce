// Shows that a card record has the bytes of an independent implementation (vectors/make.py), that a slot torn at any byte is
// found out and the other one holds, that no flipped bit passes the MAC, and that reading never throws.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import { type CardRecord, currentSlot, decodeCardRecord, encodeCardRecord, verifyCardRecord } from './card-record.js';
import { recordKey as recordKeyOf } from './proof.js';

const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;
const vector = (name: string): Bytes => hex(vectors[name] ?? '?');
const cardKeyId = vector('cardKeyId');
const recordKey = recordKeyOf(nativeCrypto, vector('siteKey'), cardKeyId);
const isWhole = (slot: Bytes) => verifyCardRecord(nativeCrypto, recordKey, cardKeyId, slot);

const first: CardRecord = {
  cardKeyId,
  couponNumber: 42,
  counter: 1,
  balanceMinor: 30_000,
  currency: 'CNY',
  expiresAtSeconds: 1_893_456_000,
  lastTransactionId: new Uint8Array(16),
  lastTerminal: vector('terminal'),
  lastKind: 'issue',
  lastAmountMinor: 30_000,
  limitCategory: 'cake',
};
const second: CardRecord = {
  ...first,
  counter: 2,
  balanceMinor: 20_000,
  lastTransactionId: vector('transactionId'),
  lastKind: 'debit',
  lastAmountMinor: 10_000,
};
const oldSlot = encodeCardRecord(nativeCrypto, recordKey, first);
const newSlot = encodeCardRecord(nativeCrypto, recordKey, second);

const anyRecord: fc.Arbitrary<CardRecord> = fc.record({
  cardKeyId: fc.constant(cardKeyId),
  couponNumber: fc.integer({ min: 0, max: 9_999_999_999_999 }),
  counter: fc.integer({ min: 1, max: 0xffffffff }),
  balanceMinor: fc.integer({ min: 0, max: amountMinorMax }),
  currency: fc.stringMatching(/^[A-Z]{3}$/),
  expiresAtSeconds: fc.integer({ min: 0, max: 2 ** 40 - 1 }),
  lastTransactionId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  lastTerminal: fc.uint8Array({ minLength: 6, maxLength: 6 }),
  lastKind: fc.constantFrom('issue', 'debit', 'credit'),
  lastAmountMinor: fc.integer({ min: 0, max: amountMinorMax }),
  limitCategory: fc.stringMatching(/^[\x20-\x7e]{0,16}$/),
});

t.test('the bytes of an independent implementation', async (t) => {
  t.equal(toHex(recordKey), vectors['recordKey']);
  t.equal(toHex(oldSlot), vectors['record1']);
  t.equal(toHex(newSlot), vectors['record2']);
});

t.test('what is encoded is read again', async (t) => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const slot = encodeCardRecord(nativeCrypto, recordKey, record);
      t.match(decodeCardRecord(slot), { ok: true, value: record });
      return slot.length === 96 && isWhole(slot);
    }),
    { numRuns: 50 },
  );
});

t.test('a write torn at any byte leaves the old record or the new one, whole', async (t) => {
  // The second record goes where nothing or an older record was; the first stays as it is.
  for (const before of [
    new Uint8Array(96),
    encodeCardRecord(nativeCrypto, recordKey, { ...second, counter: 3, balanceMinor: 1 }),
  ]) {
    const third = encodeCardRecord(nativeCrypto, recordKey, { ...second, counter: 5, balanceMinor: 7 });
    const kept = encodeCardRecord(nativeCrypto, recordKey, { ...second, counter: 4 });
    for (let stored = 0; stored <= 96; stored++) {
      const torn = concat(third.subarray(0, stored), before.subarray(stored));
      const current = currentSlot([kept, torn], isWhole);
      const isNew = toHex(torn) === toHex(third);
      t.equal(current?.record.counter, isNew ? 5 : 4, `${stored} bytes`);
      t.equal(current?.slot, isNew ? 1 : 0);
    }
  }
});

t.test('which slot is current', async (t) => {
  const nothing = new Uint8Array(96);
  t.equal(currentSlot([nothing, nothing], isWhole), null);
  t.equal(currentSlot([oldSlot, nothing], isWhole)?.slot, 0);
  t.equal(currentSlot([nothing, oldSlot], isWhole)?.slot, 1);
  t.equal(currentSlot([oldSlot, newSlot], isWhole)?.record.balanceMinor, 20_000);
  t.equal(currentSlot([newSlot, oldSlot], isWhole)?.slot, 0);
  const foreign = encodeCardRecord(nativeCrypto, recordKey, { ...second, cardKeyId: hex('0000000000000001') });
  t.equal(currentSlot([oldSlot, foreign], isWhole)?.slot, 0, "another card's record is not this card's");
});

t.test('damage', async (t) => {
  for (let length = 0; length < 96; length++) {
    t.equal(decodeCardRecord(newSlot.subarray(0, length)).ok, false, `cut to ${length}`);
    t.notOk(isWhole(newSlot.subarray(0, length)));
  }
  for (let bit = 0; bit < 96 * 8; bit++) {
    const flipped = newSlot.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    decodeCardRecord(flipped);
    t.notOk(isWhole(flipped), `bit ${bit}`);
  }
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      (noise) => typeof decodeCardRecord(noise).ok === 'boolean' && !isWhole(noise),
    ),
  );
});

t.test('values out of range are refused with their offset', async (t) => {
  const patched = (at: number, bytes: string) => {
    const slot = newSlot.slice();
    slot.set(hex(bytes), at);
    return decodeCardRecord(slot);
  };
  t.match(patched(0, '02'), { error: { code: 'input.unsupported', offset: 0 } });
  t.match(patched(9, 'ffffffffffff'), { error: { code: 'input.outOfRange', offset: 9 } });
  t.match(patched(15, '00000000'), { error: { code: 'input.outOfRange', offset: 15 } });
  t.match(patched(19, 'ffffffffffff'), { error: { code: 'input.outOfRange', offset: 19 } });
  t.match(patched(25, '434e59').ok, true);
  t.match(patched(25, '636e79'), { error: { code: 'input.malformed', offset: 25 } });
  t.match(patched(55, '03'), { error: { code: 'input.outOfRange', offset: 55 } });
  t.match(patched(56, 'ffffffffffff'), { error: { code: 'input.outOfRange', offset: 56 } });
  t.match(patched(62, '1b'), { error: { code: 'input.malformed', offset: 62 } });
  t.match(patched(78, '01'), { error: { code: 'input.malformed', offset: 78 } });
  t.throws(
    () => encodeCardRecord(nativeCrypto, recordKey, { ...first, limitCategory: '蛋糕' }),
    'a category not in ASCII is a bug',
  );
});
