/**
 * Shows the alphabets, packing and parts of short messages: known vectors of 3GPP TS 23.038, every character there and back,
 * no character torn, and headers at every truncation.
 */
import fc from 'fast-check';
import t from 'tap';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { decodeSeptets, decodeUcs2, encodeUcs2, packSeptets, septetsOf, unpackSeptets } from './alphabet.js';
import { partsMax, readHeader, splitText } from './parts.js';

const septets = (text: string): Uint8Array => Uint8Array.from([...text].flatMap((each) => septetsOf(each) ?? [0xff]));
const value = <T>(result: { ok: true; value: T } | { ok: false }): T => {
  if (!result.ok) throw new Error('not ok');
  return result.value;
};

t.test('septets of the tables, and packing', (t) => {
  t.equal(toHex(packSeptets(septets('hellohello'), 0)), 'e8329bfd4697d9ec37');
  t.equal(toHex(septets('@£$¥èéΔ_{€}')), '00010203040510111b281b651b29');
  for (let code = 0; code < 128; code++) {
    if (code === 0x1b) continue;
    const text = value(decodeSeptets(Uint8Array.of(code)));
    t.same(septetsOf(text), [code], `${code}`);
  }
  t.equal(septetsOf('\x1b'), null);
  t.equal(septetsOf('您'), null);
  t.equal(value(decodeSeptets(hex('1b65411b1b1b'))), '€A  ', 'lead-ins without a code are blanks');
  t.equal(value(decodeSeptets(hex('1b41'))), 'A', 'a code that the extension lacks');
  t.match(decodeSeptets(hex('4180')), { error: { code: 'input.outOfRange', offset: 1 } });
  for (let fill = 0; fill <= 6; fill++)
    for (let length = 0; length <= 20; length++) {
      const raw = Uint8Array.from({ length }, (_, i) => (i * 37 + fill) & 0x7f);
      const packed = packSeptets(raw, fill);
      t.same(value(unpackSeptets(packed, length, fill)), raw);
      if (length > 0)
        t.match(unpackSeptets(packed.subarray(0, -1), length, fill), { error: { code: 'input.truncated' } });
    }
  t.equal(toHex(encodeUcs2('您😀')), '60a8d83dde00');
  t.equal(value(decodeUcs2(hex('60a8d83dde00'))), '您😀');
  t.match(decodeUcs2(hex('60a8d8')), { error: { code: 'input.malformed' } });
  t.end();
});

t.test('parts: lengths at their edges, and joined they are the text', (t) => {
  const counts = (text: string): number => value(splitText(text, 1)).length;
  t.same(
    [1, 160, 161, 306, 307].map((length) => counts('a'.repeat(length))),
    [1, 1, 2, 2, 3],
  );
  t.same(
    [1, 70, 71, 134, 135].map((length) => counts('您'.repeat(length))),
    [1, 1, 2, 2, 3],
  );
  t.same(
    [80, 81].map((length) => counts('€'.repeat(length))),
    [1, 2],
  );
  t.match(splitText('a'.repeat(153 * partsMax + 1), 1), { error: { code: 'input.tooLong' } });
  t.match(splitText('', 1), { error: { code: 'input.truncated' } });
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('a', '€', '^', '您', '😀', '\n'), { minLength: 1, maxLength: 400 }),
      fc.integer({ min: 0, max: 255 }),
      (characters, reference) => {
        const text = characters.join('');
        const parts = value(splitText(text, reference));
        const decoded = parts.map(({ coding, body }) =>
          value(coding === 'gsm7' ? decodeSeptets(body) : decodeUcs2(body)),
        );
        for (const [i, part] of parts.entries()) {
          const size = part.coding === 'gsm7' ? part.body.length * 7 : part.body.length * 8;
          if (8 * part.header.length + size > 1_120) throw new Error('more than 140 octets');
          if (/^[\udc00-\udfff]|[\ud800-\udbff]$/.test(decoded[i] ?? '')) throw new Error('a torn character');
          if (parts.length === 1) continue;
          const header = value(readHeader(concat(part.header, part.body)));
          t.same(header, { length: 6, place: { reference, total: parts.length, sequence: i + 1 } });
        }
        return decoded.join('') === text;
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});

t.test('headers of others', (t) => {
  t.same(value(readHeader(hex('0608041234020141'))), {
    length: 7,
    place: { reference: 0x1234, total: 2, sequence: 1 },
  });
  t.same(value(readHeader(hex('0b0504158100000003070201'))), {
    length: 12,
    place: { reference: 7, total: 2, sequence: 1 },
  });
  t.same(value(readHeader(hex('050003070203'))), { length: 6, place: null }, 'part 3 of 2 is no place');
  t.same(value(readHeader(hex('00'))), { length: 1, place: null });
  t.match(readHeader(hex('0500030711ff')), { error: { code: 'input.tooLong' } });
  t.match(readHeader(hex('0400020702')), { error: { code: 'input.malformed' } });
  t.match(readHeader(hex('0100')), { error: { code: 'input.malformed' } });
  const whole = hex('0608041234020141');
  for (let length = 0; length < 7; length++)
    t.match(readHeader(whole.subarray(0, length)), { error: { code: 'input.truncated' } });
  t.end();
});
