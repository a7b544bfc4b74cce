/**
 * Shows that a message comes back from its fragments at every ATT_MTU, and that lost, repeated, swapped, mixed and
 * mutilated fragments never make a message that was not sent. How: vectors, and properties over messages and mutations.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, equalBytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { encodeFragments, joinFragment, messageBytesMax, nothingJoined, valueBytesMin } from './fragments.js';

/** All messages that these values complete; after an error the joining begins anew, as both ends do. */
function joinAll(values: readonly Bytes[]): readonly { readonly exchange: number; readonly bytes: Bytes }[] {
  let state = nothingJoined;
  const messages: { readonly exchange: number; readonly bytes: Bytes }[] = [];
  for (const value of values) {
    const step = joinFragment(state, value);
    state = step.ok ? step.value.state : nothingJoined;
    if (step.ok && step.value.message) messages.push(step.value.message);
  }
  return messages;
}
const message = fc.uint8Array({ minLength: 1, maxLength: 600 });
const values = fc.integer({ min: valueBytesMin, max: 253 });
const exchange = fc.integer({ min: 0, max: 255 });

t.test('vectors: one value, and a SELECT cut for the smallest ATT_MTU', async (t) => {
  const select = hex('00A4040010F053484F554C49016ADA5AABF979B83A00');
  t.strictSame(encodeFragments(7, select, 253).map(toHex), ['078000a4040010f053484f554c49016ada5aabf979b83a00']);
  t.strictSame(encodeFragments(7, select, 20).map(toHex), ['070000a4040010f053484f554c49016ada5aabf9', '078179b83a00']);
  t.strictSame(encodeFragments(255, hex('000102030405060708090a0b0c0d0e0f1011121314'), 20).map(toHex), [
    'ff00000102030405060708090a0b0c0d0e0f1011',
    'ff81121314',
  ]);
});

t.test('a message comes back whole, also behind the ruins of another', async (t) => {
  fc.assert(
    fc.property(message, values, exchange, fc.nat(), (sent, bytesMax, number, cut) => {
      const fragments = encodeFragments(number, sent, bytesMax);
      const ruins = fragments.slice(0, cut % fragments.length);
      const found = joinAll([...ruins, ...fragments]);
      return found.length === 1 && found[0]?.exchange === number && equalBytes(found[0].bytes, sent);
    }),
  );
  t.pass('for every length and ATT_MTU tried');
});

t.test('lost, repeated or swapped fragments make no message', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 60, maxLength: 600 }), exchange, fc.nat(), (sent, number, pick) => {
      const fragments = encodeFragments(number, sent, valueBytesMin);
      const at = pick % fragments.length;
      const one = fragments[at] ?? new Uint8Array(0);
      const lost = fragments.filter((_, index) => index !== at);
      const twice = fragments.flatMap((value, index) => (index === at && at > 0 ? [value, value] : [value]));
      const swapped =
        at === 0
          ? [...fragments.slice(1), one]
          : [...fragments.slice(0, at - 1), one, ...fragments.slice(at - 1, at), ...fragments.slice(at + 1)];
      const harmless = (found: ReturnType<typeof joinAll>): boolean =>
        found.every(({ bytes }) => equalBytes(bytes, sent));
      return joinAll(lost).length === 0 && joinAll(swapped).length === 0 && harmless(joinAll(twice));
    }),
  );
  t.pass('whatever was lost');
});

t.test('two exchanges mixed, an empty value and an endless message are refused', async (t) => {
  const [first = hex('00')] = encodeFragments(1, new Uint8Array(40), valueBytesMin);
  const [, second = hex('00')] = encodeFragments(2, new Uint8Array(40), valueBytesMin);
  t.strictSame(joinAll([first, second]), []);
  for (const short of ['', '01', '0180'])
    t.match(joinFragment(nothingJoined, hex(short)), { error: { code: 'input.truncated' } });
  const endless = Array.from({ length: 127 }, (_, index) => Uint8Array.from([1, index, ...new Uint8Array(251)]));
  let state = nothingJoined;
  const codes = new Set<string>();
  for (const value of endless) {
    const step = joinFragment(state, value);
    if (!step.ok) codes.add(step.error.code);
    state = step.ok ? step.value.state : nothingJoined;
    t.ok(state.parts.reduce((sum, part) => sum + part.length, 0) <= messageBytesMax);
  }
  t.ok(codes.has('input.tooLong'));
});
