/**
 * Shows that what surrounds a code comes off and its AIM identifier is kept, in whatever order a scanner was told to send
 * them, and that no text is left with part of either.
 */
import fc from 'fast-check';
import t from 'tap';
import { nothingAround as bare, scannedText } from './scanned-text.js';

t.test('identifier, prefix, code, suffix', async (t) => {
  t.same(scannedText('4006381333931', bare), { code: '4006381333931', aim: null });
  t.same(scannedText(']E04006381333931', bare), { code: '4006381333931', aim: ']E0' });
  t.same(scannedText(']C101\u001d', bare), { code: '01\u001d', aim: ']C1' });
  const rules = { prefixes: ['A', 'AB', ']C1'], suffixes: ['#', '##'] };
  t.same(scannedText('AB]E0123##', rules), { code: '123', aim: ']E0' });
  t.same(scannedText(']E0AB123#', rules), { code: '123', aim: ']E0' });
  t.same(scannedText(']C1123', rules), { code: '123', aim: ']C1' }, 'an identifier named as a prefix is still one');
  t.same(scannedText('B123#A', rules), { code: 'B123#A', aim: null }, 'only where they belong');
  for (const nothing of ['', ']E0', 'AB', 'AB##', ']E0A#']) t.equal(scannedText(nothing, rules), null, nothing);
  t.same(scannedText(']1', bare), { code: ']1', aim: null });
});

t.test('any text: never longer, and what comes off are whole parts', async (t) => {
  const text = fc.string({ unit: fc.constantFrom(']', 'C', '1', 'A', '#'), maxLength: 12 });
  fc.assert(
    fc.property(
      text,
      fc.array(text, { maxLength: 3 }),
      fc.array(text, { maxLength: 3 }),
      (whole, prefixes, suffixes) => {
        const read = scannedText(whole, { prefixes, suffixes });
        if (!read) return true;
        const heads = ['', ...prefixes];
        return heads.some((head) =>
          ['', ...suffixes].some((tail) =>
            [`${read.aim ?? ''}${head}`, `${head}${read.aim ?? ''}`].some(
              (front) => front + read.code + tail === whole,
            ),
          ),
        );
      },
    ),
  );
  t.pass('100 texts');
});
