/**
 * Shows that descriptors are read as HID 1.11 says, and that no bytes make the reader throw or keep much: every
 * truncation, every flipped bit, items that grow without bound.
 */
import fc from 'fast-check';
import t from 'tap';
import { concat, hex } from '../../../terminal/kernel/bytes.js';
import { keyboardDescriptor, otherLayoutDescriptor, scannerDescriptor } from './hid-pos-fixtures.js';
import { decodeReportDescriptor, descriptorBytesMax } from './report-descriptor.js';

const read = (text: string) => decodeReportDescriptor(hex(text.replaceAll(/\s/g, '')));
function problem(text: string): string {
  const found = read(text);
  return found.ok ? 'ok' : `${found.error.code} at ${found.error.offset}: ${found.error.detail}`;
}

t.test('fields, their usages and the lengths of reports', (t) => {
  const found = decodeReportDescriptor(scannerDescriptor);
  if (!found.ok) throw new Error(found.error.detail);
  t.same(found.value.applications, [{ page: 0x8c, usage: 0x02 }]);
  t.same(
    [...found.value.inputBits],
    [
      [2, 8 * 63],
      [0xf0, 8 * 63],
    ],
  );
  const places = found.value.inputs.map((span) => [span.page, span.usage, span.bitOffset / 8, span.count]);
  t.same(places, [
    [0x01, 0x3b, 0, 1],
    [0x8c, 0xfb, 1, 1],
    [0x8c, 0xfc, 2, 1],
    [0x8c, 0xfd, 3, 1],
    [0x8c, 0xfe, 4, 56],
    [0xff66, 0x09, 60, 1],
    [0xff66, 0x00, 61, 1],
    [0x8c, 0xff, 62, 8],
    [0xffff, 0x02, 0, 63],
  ]);
  t.end();
});

t.test('a keyboard: a range gives each modifier its bit, an array names no field', (t) => {
  const found = decodeReportDescriptor(keyboardDescriptor);
  if (!found.ok) throw new Error(found.error.detail);
  t.same(found.value.applications, [{ page: 0x01, usage: 0x06 }]);
  t.same(
    found.value.inputs.map((span) => [span.usage, span.bitOffset, span.count]),
    [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => [0xe0 + bit, bit, 1]),
  );
  t.same([...found.value.inputBits], [[0, 64]]);
  t.end();
});

t.test('usages of four bytes carry their page, long items are passed over, push and pop restore', (t) => {
  const found = read('0b02008c00 a101 fe0310aabbcc 7508 9501 a4 9505 b4 0bfe008c00 8102 c0');
  if (!found.ok) throw new Error(found.error.detail);
  t.same(found.value.applications, [{ page: 0x8c, usage: 0x02 }]);
  t.same(
    found.value.inputs.map((span) => [span.page, span.usage, span.count]),
    [[0x8c, 0xfe, 1]],
  );
  t.end();
});

t.test('what is wrong is said with its place', (t) => {
  t.equal(problem('a101'), 'input.malformed at 2: collection without an end');
  t.equal(problem('c0'), 'input.malformed at 0: end without a collection');
  t.equal(problem('8500'), 'input.malformed at 0: report id outside 1…255');
  t.equal(problem('860001'), 'input.malformed at 0: report id outside 1…255');
  t.equal(problem('b4'), 'input.malformed at 0: pop without push');
  t.equal(problem('a4a4a4a4a4'), 'input.malformed at 4: pushed too deep');
  t.equal(problem('a100'.repeat(17)), 'input.malformed at 32: collections too deep');
  t.equal(problem('0901'.repeat(257)), 'input.malformed at 512: too many usages');
  t.equal(problem('1905 2904'), 'input.malformed at 2: usage range runs backwards');
  t.equal(problem('77ffffffff 97ffffffff 8102'), 'input.malformed at 10: report too long');
  t.equal(problem('7501 96ff00 190029ff 8102'.repeat(5)), 'input.malformed at 53: too many fields');
  t.equal(problem('9501 77ff'), 'input.truncated at 2: item past the end');
  t.equal(problem('fe05'), 'input.truncated at 0: item past the end');
  t.equal(problem('00'.repeat(descriptorBytesMax + 1)), 'input.tooLong at 4096: descriptor longer than HID allows');
  t.equal(problem(''), 'ok');
  t.end();
});

t.test('no truncation and no flipped bit throws', (t) => {
  let refused = 0;
  for (const descriptor of [scannerDescriptor, otherLayoutDescriptor, keyboardDescriptor]) {
    for (let length = 0; length < descriptor.length; length++)
      if (!decodeReportDescriptor(descriptor.subarray(0, length)).ok) refused += 1;
    for (let bit = 0; bit < 8 * descriptor.length; bit++) {
      const flipped = concat(descriptor);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      if (!decodeReportDescriptor(flipped).ok) refused += 1;
    }
  }
  t.ok(refused > 100, 'and many are refused');
  t.end();
});

t.test('any bytes: bounded, and never a throw', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const found = decodeReportDescriptor(bytes);
      return !found.ok || (found.value.inputs.length <= 1_024 && found.value.inputBits.size <= 256);
    }),
    { numRuns: 2_000 },
  );
  t.pass();
  t.end();
});
