/**
 * Shows AES DUKPT and PIN blocks against the vectors of ANSI X9.24-3 and node's own AES, and that a block
 * under another number, key or counter gives no PIN.
 */
import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto as crypto } from '../../../terminal/kernel/native.js';
import {
  aesBlock,
  initialKey,
  isUsableCounter,
  keySerialNumber,
  nextCounter,
  transactionKey,
  workingKey,
} from '../dukpt/dukpt.js';
import { decodePinBlock4, decodePinField0, encodePinBlock4, encodePinField0 } from './pinblock.js';

const baseKey = hex('fedcba9876543210f1f1f1f1f1f1f1f1');
const id = hex('1234567890123456');
const initial = initialKey(crypto, baseKey, id);
const pan = '4111111111111111';

t.test('X9.24-3, AES-128: initial key, first transaction and its working keys', async (t) => {
  t.equal(toHex(initial), '1273671ea26ac29afa4d1084127652a1');
  const key = transactionKey(crypto, initial, id, 1);
  t.equal(toHex(key), '4f21b565bad9835e112b6465635eae44');
  t.equal(toHex(workingKey(crypto, key, 'pin', id, 1)), 'af8cb133a78f8dc2d1359f18527593fb');
  t.equal(toHex(workingKey(crypto, key, 'macGeneration', id, 1)), 'a2dc23de6fde0824a2bc321e08e4b8b7');
  t.equal(toHex(workingKey(crypto, key, 'dataEncryption', id, 1)), 'a35c412efd41fdb98b69797c02dcd08f');
  t.equal(toHex(keySerialNumber(id, 1)), '123456789012345600000001');
});

t.test('one block is AES as node has it', async (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (key, block) => {
        const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
        return toHex(concat(cipher.update(block), cipher.final())) === toHex(aesBlock(crypto, key, block));
      },
    ),
  );
  t.pass('100 blocks');
});

t.test('counters: at most 16 bits set, in order, none left out, each with its own key', async (t) => {
  t.same([1, 2, 3, 0xffff, 0xffff_0000].map(isUsableCounter), [true, true, true, true, true]);
  t.same([0, -1, 0.5, 0x1_ffff, 2 ** 32].map(isUsableCounter), [false, false, false, false, false]);
  t.equal(nextCounter(0xffff), 0x1_0000);
  t.equal(nextCounter(0xffff_0000), null, 'the key is spent');
  fc.assert(
    fc.property(fc.oneof(fc.nat(0x3_ffff), fc.integer({ min: 0, max: 0xffff_0000 })), (from) => {
      const next = nextCounter(from);
      if (next === null) return from >= 0xffff_0000;
      if (!isUsableCounter(next)) return false;
      for (let between = Math.max(from + 1, next - 3_000); between < next; between++)
        if (isUsableCounter(between)) return false;
      return true;
    }),
  );
  const keys = Array.from({ length: 200 }, (_, index) => toHex(transactionKey(crypto, initial, id, index + 1)));
  t.equal(new Set(keys).size, keys.length);
});

t.test('format 4: as ISO 9564-1 writes it, step by step under node’s own AES, and back', async (t) => {
  const key = workingKey(crypto, transactionKey(crypto, initial, id, 1), 'pin', id, 1);
  const aes = (block: Uint8Array): Uint8Array => {
    const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
    return concat(cipher.update(block), cipher.final());
  };
  const pinField = hex('441234aaaaaaaaaa2f69adde2e9e7ace');
  const panField = hex('44111111111111111000000000000000');
  const byHand = aes(aes(pinField).map((byte, at) => byte ^ (panField[at] ?? 0)));
  const block = encodePinBlock4(crypto, key, '1234', pan, hex('2f69adde2e9e7ace'));
  t.equal(toHex(block), toHex(byHand));
  t.match(decodePinBlock4(crypto, key, block, pan), { ok: true, value: '1234' });
});

t.test('any PIN comes back, and not under another number, key, or after a flipped bit', async (t) => {
  const digits = (min: number, max: number) =>
    fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: min, maxLength: max });
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(digits(4, 12), digits(13, 19), bytes(8), fc.nat(127), (pin, number, random, bit) => {
      const block = encodePinBlock4(crypto, baseKey, pin, number, random);
      const read = (under: Uint8Array, what: Uint8Array, card: string) => decodePinBlock4(crypto, under, what, card);
      const other = `${(Number(number[0]) + 1) % 10}${number.slice(1)}`;
      const flipped = concat(block);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const back = read(baseKey, block, number);
      const field = decodePinField0(encodePinField0(pin, number), number);
      return (
        back.ok &&
        back.value === pin &&
        field.ok &&
        field.value === pin &&
        [read(baseKey, block, other), read(initial, block, number), read(baseKey, flipped, number)].every(
          (each) => !each.ok,
        )
      );
    }),
  );
  t.equal(toHex(encodePinField0('1234', '43219876543210987')), '0412ac89abcdef67', 'format 0, a published example');
  t.match(decodePinBlock4(crypto, baseKey, new Uint8Array(15), pan), { error: { code: 'input.malformed' } });
  t.match(decodePinField0(new Uint8Array(7), pan), { error: { code: 'input.malformed' } });
});
