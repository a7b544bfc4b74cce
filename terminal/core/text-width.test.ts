/**
 * Shows that the short way over plain texts says what string-width says: over each character of the plain ranges and
 * their neighbours, and over texts mixed of plain and other characters.
 */
import fc from 'fast-check';
import stringWidth from 'string-width';
import t from 'tap';
import { columnsOf } from './text-width.js';

t.test('each character of the plain ranges and beside them', (t) => {
  const ranges = [
    [0x20, 0x7f],
    [0x3000, 0x3003],
    [0x4dff, 0xa000],
    [0xff00, 0xff61],
  ] as const;
  for (const [from, to] of ranges) {
    for (let code = from; code <= to; code++) {
      const text = String.fromCodePoint(code);
      if (columnsOf(text) !== stringWidth(text)) t.fail(code.toString(16));
    }
  }
  t.equal(columnsOf('积分 POINTS，好。'), 17);
  t.equal(columnsOf(''), 0);
  t.end();
});

t.test('mixed texts', (t) => {
  const plain = fc.constantFrom('a', ' ', '~', '积', '。', '！', '1');
  const other = fc.constantFrom('é', '\u0301', '😀', '👨‍👩‍👧', '가', '¥', '￥', '\u200d', '…', '\ufe0f', '🇨🇳');
  fc.assert(
    fc.property(
      fc.array(fc.oneof(plain, other, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 12 }),
      (parts) => {
        const text = parts.join('');
        return columnsOf(text) === stringWidth(text);
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass('2,000 texts');
  t.end();
});
