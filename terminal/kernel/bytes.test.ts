/**
 * Shows that bytes survive hex, integers and joining, and that a reader never goes past its end: random values, and the
 * edges of each bound.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  ByteReader,
  concat,
  decodeHex,
  decodeUtf8,
  equalBytes,
  hex,
  readUintBE,
  toHex,
  uintBE,
  utf8,
} from './bytes.js';

t.test('hex there and back, either case', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const text = toHex(bytes);
      return equalBytes(hex(text), bytes) && equalBytes(hex(text.toUpperCase()), bytes);
    }),
  );
  t.match(decodeHex('abc'), { ok: false, error: { code: 'input.malformed', offset: 3 } });
  t.match(decodeHex('00zz'), { ok: false, error: { code: 'input.malformed', offset: 2 } });
  for (const text of ['0x', ' 0', '１２', '-1', '+1', '1.']) t.equal(decodeHex(text).ok, false, text);
  t.throws(() => hex('zz'), /invariant/, 'a wrong constant is a bug');
  t.end();
});

t.test('integers of 1 to 6 bytes', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.double({ min: 0, max: 1, noNaN: true }), (length, part) => {
      const value = Math.floor(part * (2 ** (8 * length) - 1));
      const bytes = uintBE(value, length);
      return bytes.length === length && readUintBE(bytes) === value;
    }),
  );
  t.same([...uintBE(0x010203, 4)], [0, 1, 2, 3]);
  for (const [value, length] of [
    [256, 1],
    [2 ** 48, 6],
    [-1, 2],
    [1.5, 2],
    [Number.NaN, 2],
  ] as const)
    t.throws(() => uintBE(value, length), /invariant/, `${value} in ${length}`);
  t.end();
});

t.test('text is valid UTF-8 or refused', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const back = decodeUtf8(utf8(text));
      return back.ok && back.value === text;
    }),
  );
  for (const bad of ['ff', 'c0af', 'e28080e2', 'eda080', 'f5808080'])
    t.match(decodeUtf8(hex(bad)), { ok: false, error: { code: 'input.malformed' } }, bad);
  t.match(decodeUtf8(hex('efbbbf41')), { ok: true, value: '\ufeffA' }, 'a byte order mark stays to be seen');
  t.end();
});

t.test('a reader gives what it has and no more', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.integer({ min: 0, max: 70 })), (bytes, lengths) => {
      const reader = new ByteReader(bytes);
      let taken = new Uint8Array();
      for (const length of lengths) {
        const [offset, left] = [reader.offset, reader.remaining];
        const part = reader.take(length);
        if (part.ok) taken = new Uint8Array(concat(taken, part.value));
        else if (part.error.code !== 'input.truncated' || part.error.offset !== offset || length <= left)
          throw new Error(`refused ${length} of ${left}`);
      }
      if (!equalBytes(taken, bytes.subarray(0, reader.offset))) throw new Error('not the bytes that were there');
    }),
  );
  const reader = new ByteReader(hex('0102'));
  t.match(reader.uint(2), { ok: true, value: 258 });
  t.match(reader.uint(1), { ok: false, error: { code: 'input.truncated', offset: 2 } });
  t.end();
});

t.test('equal only when every byte is', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, flip) => {
      const other = Uint8Array.from(bytes);
      const place = at % bytes.length;
      other[place] = (other[place] ?? 0) ^ flip;
      return equalBytes(bytes, Uint8Array.from(bytes)) && !equalBytes(bytes, other);
    }),
  );
  t.notOk(equalBytes(hex('00'), hex('0000')));
  t.end();
});
