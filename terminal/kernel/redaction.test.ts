/**
 * Shows that text from outside cannot steer a terminal, a log line or the order of its letters, and that a phone number
 * is not readable from what is shown of it.
 */
import fc from 'fast-check';
import t from 'tap';
import { maskPhone, printable } from './redaction.js';

t.test('what cannot be seen is made visible', (t) => {
  t.equal(printable('\u001b[2J\u0007a\r\nb\u0000'), '␛[2J␇a␍␊b␀');
  t.equal(printable('\u001d01095011\u007f'), '␝01095011␡', 'Code 128: FNC1 as GS');
  const invisible = [0x9b, 0xad, 0x61c, 0x180e, 0x200b, 0x200d, 0x200f, 0x2028, 0x2029, 0x202e, 0x2060, 0x2066, 0x2069];
  for (const code of [...invisible, 0xfeff, 0xfffa, 0xd800, 0xdfff, 0xe0041])
    t.equal(printable(`a${String.fromCodePoint(code)}b`), 'a\ufffdb', code.toString(16));
  t.equal(printable('汉字 é € 😀 ｶﾞ 3 – “x”'), '汉字 é € 😀 ｶﾞ 3 – “x”', 'ordinary text stays');
  t.end();
});

t.test('any text comes out printable, well-formed and bounded', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 1, max: 300 }), (text, max) => {
      const shown = printable(text, max);
      if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(shown)) throw new Error(`left: ${JSON.stringify(shown)}`);
      if (shown.length > max + 1) throw new Error(`${shown.length} of ${max}`);
      if (printable(shown, 400) !== shown) throw new Error('not stable');
    }),
    { numRuns: 2_000 },
  );
  t.equal(printable('a😀', 2), 'a…', 'no half of a character');
  t.equal(printable('a😀', 3), 'a😀');
  t.end();
});

t.test('phone numbers', (t) => {
  t.equal(maskPhone('13812340000'), '138****0000');
  t.equal(maskPhone('1381234'), '****', 'too short to hide a part of');
  t.equal(maskPhone(''), '****');
  t.end();
});
