/**
 * Shows that GS1 data is read as GS1's own dictionary says: the table against the dictionary's file, a value made for each
 * identifier, each truncation and each flipped character, and that a product is one number in whatever symbol it comes.
 */
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { dictionaryRows } from '../../../scripts/gs1-table.js';
import { PROJECT_ROOT } from '../../../scripts/lib/source-files.js';
import { type AiRule, aiAt, aiRule, allAiRules, checkValue, type Element, withoutCompanion } from './ai-rules.js';
import { aiRows } from './ai-table.js';
import { checkDigit, expandUpcE, gtin14, hasCheckCharacters, hasCheckDigit, shortGtin } from './check-digits.js';
import { decodeDigitalLink } from './digital-link.js';
import { bracketed, decodeElementString, encodeElementString } from './element-string.js';
import { linters } from './linters.js';
import { catalogueCodes, expiryDay, readProductCode } from './product-code.js';
import { readWeighedCode, weighedForm } from './weighed-code.js';

const gs = '\u001d';
const dictionary = `${PROJECT_ROOT}/../shared/data/gs1-syntax-dictionary.txt`;
const isHere = existsSync(dictionary);

/** What a check accepts, as GS1's General Specifications or the code's own standard print it. */
const examples: Readonly<Record<string, readonly string[]>> = {
  csumalpha: ['1987654Ad4X4bL5ttr2310c2K'],
  yymmd0: ['261200', '240229', '991231'],
  yymmdd: ['261231', '240229'],
  yyyymmdd: ['20240229', '19991231'],
  hhmi: ['0000', '2359'],
  hh: ['23'],
  mi: ['59'],
  ss: ['00'],
  yesno: ['0', '1'],
  winding: ['0', '1', '9'],
  iso5218: ['0', '1', '2', '9'],
  hyphen: ['-'],
  importeridx: ['A', '-', '_'],
  mediatype: ['01', '10', '80', '99'],
  latitude: ['0000000000', '1800000000'],
  longitude: ['3600000000'],
  pieceoftotal: ['0101', '0110', '9999'],
  posinseqslash: ['1/2', '9/9'],
  pcenc: ['A%20B', '%e4%BD'],
  iban: ['GB82WEST12345698765432', 'DE89370400440532013000'],
  iso3166: ['156'],
  iso3166999: ['999'],
  iso3166alpha2: ['CN'],
  iso4217: ['156'],
  packagetype: ['BX'],
};
const refused: Readonly<Record<string, readonly string[]>> = {
  csumalpha: ['1987654Ad4X4bL5ttr2310c2L', '2987654Ad4X4bL5ttr2310c2K', '2K'],
  yymmd0: ['261300', '250229', '260431', '260031'],
  yymmdd: ['261200'],
  yyyymmdd: ['20230229', '20241301', '21000229'],
  hhmi: ['2400', '2360'],
  hh: ['24'],
  mi: ['60'],
  ss: ['60'],
  yesno: ['2'],
  winding: ['2'],
  iso5218: ['3'],
  hyphen: ['+'],
  importeridx: ['/'],
  mediatype: ['00', '11', '79'],
  latitude: ['1800000001'],
  longitude: ['3600000001'],
  pieceoftotal: ['0001', '0201', '0000'],
  posinseqslash: ['2/1', '0/1', '1-2'],
  pcenc: ['A%2', '%zz'],
  iban: ['GB82WEST12345698765433', '82'],
  zero: ['1'],
  nonzero: ['000'],
  nozeroprefix: ['01'],
  hasnondigit: ['12'],
  gcppos1: ['12A4'],
  gcppos2: ['112A'],
  iso3166: ['000'],
  iso3166999: ['000'],
  iso3166alpha2: ['cn'],
  iso4217: ['000'],
  packagetype: ['bx'],
};

/** A value that passes: digits that rise from a seed, or the printed example. */
function valueFor({ parts }: AiRule, seed: number, isLong: boolean): string {
  let value = '';
  for (const part of parts) {
    if (part.isOptional && !isLong) break;
    const printed = part.checks.map((check) => examples[check]).find((found) => found !== undefined);
    if (printed) value += printed[seed % printed.length] ?? '';
    else if (part.checks.includes('zero')) value += '0'.repeat(part.lengthMax);
    else {
      const length = isLong ? part.lengthMax : Math.max(part.lengthMin, part.checks.includes('gcppos1') ? 4 : 1);
      const digits = Array.from({ length }, (_, index) => String(((seed + 3 * index) % 9) + 1)).join('');
      const isKey = part.checks.includes('csum');
      value += isKey ? digits.slice(0, -1) + String(checkDigit(digits.slice(0, -1))) : digits;
      if (part.checks.includes('hasnondigit')) value = `${value.slice(0, -1)}A`;
    }
  }
  return value;
}
const gtinOf = (n: number): string => {
  const digits = String(n).padStart(13, '0');
  return digits + String(checkDigit(digits));
};
const outcome = (text: string): string => {
  const read = decodeElementString(text);
  return read.ok ? bracketed(read.value) : `${read.error.code} at ${read.error.offset}`;
};
const linkOutcome = (uri: string): string => {
  const read = decodeDigitalLink(uri);
  return read.ok ? bracketed(read.value) : `${read.error.code} at ${read.error.offset}`;
};

t.test(
  'the table is the dictionary',
  { skip: isHere ? false : 'not here: ../shared/data/gs1-syntax-dictionary.txt' },
  (t) => {
    t.same(aiRows, dictionaryRows(readFileSync(dictionary, 'utf8')));
    t.end();
  },
);

t.test('every word of the table is understood, and each check tells right from wrong', (t) => {
  t.equal(allAiRules().length > 450, true, `${allAiRules().length} identifiers`);
  const used = new Set(allAiRules().flatMap(({ parts }) => parts.flatMap(({ checks }) => checks)));
  t.same(
    [...used].filter((check) => !linters[check]),
    [],
    'no check is unknown',
  );
  t.same(
    Object.keys(linters).filter((check) => !used.has(check)),
    [],
    'and none is there for nothing',
  );
  for (const [check, values] of Object.entries(examples))
    for (const value of values) t.equal(linters[check]?.(value), true, `${check} ${value}`);
  for (const [check, values] of Object.entries(refused))
    for (const value of values) t.equal(linters[check]?.(value), false, `${check} not ${value}`);
  t.same(
    [...used].filter((check) => !refused[check]).sort(),
    ['couponcode', 'couponposoffer', 'csum'],
    'each but the coupons and csum, which has a test of its own',
  );
  t.end();
});

t.test('each identifier: its shortest and longest value, one more and one less', (t) => {
  let tried = 0;
  for (const rule of allAiRules())
    for (const isLong of [false, true])
      for (let seed = 0; seed < 3; seed++) {
        const value = valueFor(rule, seed, isLong);
        const checked = checkValue(rule, value, 0);
        if (!checked.ok) throw new Error(`(${rule.ai})${value}: ${checked.error.detail}`);
        const text = rule.ai + value;
        if (outcome(text) !== `(${rule.ai})${value}`) throw new Error(`${text}: ${outcome(text)}`);
        const cut = decodeElementString(text.slice(0, -1));
        if (rule.fixedLength !== null && cut.ok) throw new Error(`cut ${text}`);
        const most = rule.parts.reduce((sum, part) => sum + part.lengthMax, 0);
        if (decodeElementString(text.padEnd(rule.ai.length + most + 1, '9')).ok) throw new Error(`too long ${text}`);
        for (const bad of [' ', '\u0000', 'é', '^', '`'])
          if (checkValue(rule, bad + value.slice(1), 0).ok) throw new Error(`${bad} in (${rule.ai})`);
        tried += 1;
      }
  t.ok(tried > 2_700, `${tried} values`);
  t.end();
});

t.test('strings of several identifiers: the separator where one is needed, and only one meaning', (t) => {
  const gtin = '09506000134352';
  t.equal(outcome(`01${gtin}17261231${'10'}AB-1${gs}21S1`), `(01)${gtin}(17)261231(10)AB-1(21)S1`);
  t.equal(outcome(`${gs}01${gtin}${gs}10AB${gs}`), `(01)${gtin}(10)AB`, 'separators that some scanners add');
  t.equal(outcome(`01${gtin}01${gtin}`), `(01)${gtin}`, 'said twice');
  t.equal(outcome(`01${gtin}0109506000134369`), 'input.malformed at 16', 'twice, otherwise');
  t.equal(outcome('0109506000134353'), 'input.outOfRange at 2');
  t.equal(outcome('010950600013435'), 'input.truncated at 15');
  t.equal(outcome(`01${gtin}1726123`), 'input.truncated at 23');
  t.equal(outcome(`01${gtin}17261331`), 'input.outOfRange at 18');
  t.equal(outcome(`01${gtin}0512`), 'input.unsupported at 16');
  t.equal(outcome(`01${gtin}10`), 'input.truncated at 18', 'no value');
  t.equal(outcome(`01${gtin}10${'A'.repeat(21)}`), 'input.tooLong at 38');
  t.equal(outcome(`01${gtin}37${'12'}`), 'input.malformed at 0', 'a pair that is not allowed');
  t.equal(outcome(`01${gtin}3103001234${'3102001234'}`), 'input.malformed at 0', 'nor by pattern');
  t.equal(outcome(''), 'input.truncated at 0');
  t.equal(outcome('x'.repeat(257)), 'input.tooLong at 256');
  t.equal(outcome('(01)09506000134352'), 'input.unsupported at 0', 'brackets are for people');
  t.end();
});

t.test('what lacks a companion is named: it may stand in another symbol', (t) => {
  const missing = (text: string): readonly string[] => {
    const read = decodeElementString(text);
    return read.ok ? withoutCompanion(read.value) : [read.error.code];
  };
  t.same(missing('10AB'), ['10']);
  t.same(missing('010950600013435210AB'), []);
  t.same(missing('0109506000134352250X'), ['250'], 'a secondary serial number without the first');
  t.same(missing(`010950600013435221S${gs}250X`), []);
  t.same(missing('0209506000134352'), ['02']);
  t.end();
});

const elementsOf = fc.uniqueArray(fc.nat(allAiRules().length - 1), { minLength: 1, maxLength: 5 }).chain((indices) =>
  fc.tuple(fc.constant(indices), fc.nat(40), fc.boolean()).map(([picked, seed, isLong]) =>
    picked.flatMap((index): Element[] => {
      const rule = allAiRules()[index];
      return rule ? [{ ai: rule.ai, value: valueFor(rule, seed, isLong) }] : [];
    }),
  ),
);

t.test('any elements: read back alike, or refused as a pair', (t) => {
  fc.assert(
    fc.property(elementsOf, (elements) => {
      const text = encodeElementString(elements);
      if (text.length > 256) return true;
      const read = decodeElementString(text);
      return read.ok
        ? JSON.stringify(read.value) === JSON.stringify(elements)
        : read.error.detail.includes('may not stand beside');
    }),
    { numRuns: 1_000 },
  );
  t.pass('1,000 strings');
  t.end();
});

t.test(
  'each truncation and each changed character: an error with its place, or what is written there and nothing else',
  (t) => {
    const mutant = elementsOf.chain((elements) => {
      const text = encodeElementString(elements).slice(0, 256);
      const at = fc.nat(text.length - 1);
      return fc.oneof(
        at.map((cut) => text.slice(0, cut)),
        fc
          .tuple(at, fc.nat(0x7f))
          .map(([place, code]) => text.slice(0, place) + String.fromCharCode(code) + text.slice(place + 1)),
      );
    });
    fc.assert(
      fc.property(mutant, (text) => {
        const read = decodeElementString(text);
        if (!read.ok) return read.error.offset >= 0 && read.error.offset <= text.length;
        const bare = (whole: string): string => whole.replaceAll(gs, '');
        const isRepeated = text.length > encodeElementString(read.value).length + read.value.length + 1;
        return isRepeated || bare(encodeElementString(read.value)) === bare(text);
      }),
      { numRuns: 3_000 },
    );
    t.pass('3,000 mutants');
    t.end();
  },
);

t.test('a wrong digit and two that changed places are found', (t) => {
  fc.assert(
    fc.property(fc.nat(9_999_999_999_999), fc.nat(13), fc.integer({ min: 1, max: 9 }), (n, at, add) => {
      const gtin = gtinOf(n);
      const wrong = gtin.slice(0, at) + String((Number(gtin[at]) + add) % 10) + gtin.slice(at + 1);
      return gtin14(gtin) === gtin && gtin14(wrong) === null && !decodeElementString(`01${wrong}`).ok;
    }),
  );
  t.equal(hasCheckDigit('4006381333931'), true);
  t.equal(hasCheckDigit('4060381333931'), false, 'two neighbours swapped');
  t.equal(hasCheckDigit('7'), false);
  t.equal(hasCheckDigit('１２'), false);
  t.equal(hasCheckCharacters(`${'A'.repeat(24)}22`), false, 'too long');
  t.equal(hasCheckCharacters(`\u0000A22`), false);
  t.end();
});

t.test('UPC-E as GS1 expands it, and numbers as their symbols print them', (t) => {
  t.equal(expandUpcE('01234565'), '012345000065');
  t.equal(expandUpcE('01234505'), '012000003455');
  t.equal(expandUpcE('04252614'), '042100005264');
  t.equal(expandUpcE('01234566'), null, 'check digit');
  t.equal(expandUpcE('21234565'), null, 'number system');
  for (const body of ['123450', '123451', '123452', '123453', '123454', '123455', '123459'])
    t.equal([...'0123456789'].filter((check) => expandUpcE(`0${body}${check}`) !== null).length, 1, body);
  t.equal(gtin14('73513537'), '00000073513537', 'EAN-8');
  t.equal(gtin14('01234565'), '00012345000065', 'UPC-E');
  for (const code of ['73513537', '012345000065', '4006381333931', '14006381333938'])
    t.equal(shortGtin(gtin14(code) ?? ''), code);
  for (const code of ['', '7351353', '400638133393', '123456789', '4006381333932', '400638133393x'])
    t.equal(gtin14(code), null, code);
  t.end();
});

t.test('Digital Links: key, qualifiers in order, attributes, any host and stem', (t) => {
  const gtin = '09506000134352';
  t.equal(linkOutcome(`https://id.gs1.org/01/${gtin}`), `(01)${gtin}`);
  t.equal(
    linkOutcome(`https://shop.example:8443/some/stem/01/${gtin}/22/2A/10/L%2F1/21/S-1?17=261231&3103=000195&utm=x#top`),
    `(01)${gtin}(22)2A(10)L/1(21)S-1(17)261231(3103)000195`,
  );
  t.equal(linkOutcome('http://example.cn/01/9506000134352/'), `(01)${gtin}`, 'an older link of 13 digits');
  t.equal(linkOutcome('HTTPS://EXAMPLE.COM/414/9506000134369'), '(414)9506000134369');
  t.equal(linkOutcome(`https://id.gs1.org/01/${gtin}/235/TPX`), `(01)${gtin}(235)TPX`);
  const wrong: Readonly<Record<string, string>> = {
    'https://id.gs1.org/01/09506000134353': 'input.outOfRange at 22',
    'https://id.gs1.org/01/0950600013435': 'input.outOfRange at 22',
    'https://id.gs1.org/01/': 'input.unsupported at 18',
    'https://id.gs1.org/01': 'input.unsupported at 18',
    'https://id.gs1.org': 'input.unsupported at 0',
    [`https://id.gs1.org/01/${gtin}/21/S/10/L`]: 'input.malformed at 37',
    [`https://id.gs1.org/01/${gtin}/10/L/235/T`]: 'input.malformed at 37',
    [`https://id.gs1.org/01/${gtin}/10/`]: 'input.unsupported at 18',
    [`https://id.gs1.org/01/${gtin}/10/%zz`]: 'input.malformed at 40',
    [`https://id.gs1.org/01/${gtin}?17=261331`]: 'input.outOfRange at 40',
    [`https://id.gs1.org/01/${gtin}?21=S`]: 'input.malformed at 37',
    [`https://id.gs1.org/01/${gtin}?9999=S`]: 'input.unsupported at 37',
    [`https://id.gs1.org/01/${gtin}?17=`]: 'input.truncated at 40',
    [`https://id.gs1.org/01/${gtin}?37=1`]: 'input.malformed at 18',
    [`https://id.gs1.org/01/${gtin}?17=261231&17=261230`]: 'input.malformed at 47',
    'https://id.gs1.org/AQnYUc1gmiERBhQ': 'input.unsupported at 18',
    [`ftp://id.gs1.org/01/${gtin}`]: 'input.malformed at 0',
  };
  for (const [uri, found] of Object.entries(wrong)) t.equal(linkOutcome(uri), found, uri);
  t.equal(linkOutcome(`https://x/${'a'.repeat(256)}`), 'input.tooLong at 256');
  t.end();
});

t.test('any text is read or refused with its place, never thrown at', (t) => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ maxLength: 60 }).map((rest) => `https://id.gs1.org/01/${rest}`),
    fc.string({ maxLength: 60 }).map((rest) => `01${gtinOf(123_456)}${rest}`),
  );
  fc.assert(
    fc.property(text, (each) =>
      [
        decodeElementString(each),
        decodeDigitalLink(each),
        readProductCode(each, ']C1'),
        readProductCode(each, null),
      ].every((read) => read.ok || (read.error.offset >= 0 && read.error.offset <= each.length)),
    ),
    { numRuns: 1_000 },
  );
  t.pass('1,000 texts');
  t.end();
});

t.test('one product is one number, in whatever symbol', (t) => {
  fc.assert(
    fc.property(fc.nat(99_999_999_999), (n) => {
      const gtin = gtinOf(n);
      const upc = gtin.slice(2);
      const texts: readonly (readonly [string, string | null])[] = [
        [gtin, null],
        [gtin.slice(1), null],
        [gtin.slice(1), ']E0'],
        [upc, null],
        [`01${gtin}`, ']C1'],
        [`01${gtin}10LOT${gs}21S`, ']d2'],
        [`01${gtin}17261231`, null],
        [`https://id.gs1.org/01/${gtin}/10/LOT`, ']Q1'],
      ];
      return texts.every(([text, aim]) => {
        const read = readProductCode(text, aim);
        return read.ok && read.value?.gtin === gtin && (aim !== null || catalogueCodes(text).includes(upc));
      });
    }),
  );
  t.same(catalogueCodes('73513537'), ['73513537', '00000073513537', '0000073513537', '000073513537']);
  t.same(catalogueCodes('4006381333931'), ['4006381333931', '04006381333931']);
  t.same(catalogueCodes('14006381333938'), ['14006381333938'], 'a case is not its piece');
  t.same(catalogueCodes('4006381333932'), ['4006381333932'], 'a merchant’s own number');
  t.same(catalogueCodes('A-1'), ['A-1']);
  t.end();
});

t.test('what a symbol or a separator promises is kept or refused', (t) => {
  const found = (text: string, aim: string | null): unknown => {
    const read = readProductCode(text, aim);
    return read.ok ? read.value : read.error.code;
  };
  const gtin = '09506000134352';
  t.same(found(`01${gtin}17261200${'10'}L1${gs}21S1`, ']C1'), { gtin, batch: 'L1', serial: 'S1', expiry: '261200' });
  t.equal(found('4006381333932', ']E0'), 'input.outOfRange');
  t.equal(found('400638133393', ']E0'), 'input.outOfRange');
  t.equal(found('40063813', ']E4'), 'input.outOfRange');
  t.equal(found('40063', ']E0'), 'input.truncated');
  t.equal(found('400638133393x', ']E0'), 'input.malformed');
  t.match(found('01234565', ']E0'), { gtin: '00012345000065' });
  t.equal(found('4006381333931', ']C1'), 'input.unsupported', 'GS1-128 holds element strings');
  t.equal(found('00106141411234567897', ']C1'), 'input.unsupported', 'a pallet is not for sale');
  t.equal(found(`X${gs}Y`, null), 'input.unsupported');
  t.equal(found('https://pay.example/abc', null), 'input.unsupported');
  t.equal(found('4006381333932', null), null);
  t.equal(found('0112345678901234', null), null, 'sixteen digits of a merchant: the number inside is wrong');
  t.equal(aiAt('01', 0)?.ai, '01');
  t.equal(aiRule('9999'), null);
  t.end();
});

t.test('expiry: the nearest century, the month’s last day', (t) => {
  t.equal(expiryDay('261231', 2026), '2026-12-31');
  t.equal(expiryDay('280200', 2026), '2028-02-29');
  t.equal(expiryDay('270200', 2026), '2027-02-28');
  t.equal(expiryDay('760101', 2026), '2076-01-01', '50 years ahead');
  t.equal(expiryDay('770101', 2026), '1977-01-01', '51 years ahead are 49 years ago');
  t.equal(expiryDay('100101', 2060), '2110-01-01', '50 years ago are 50 years ahead');
  t.end();
});

t.test('weighed goods: only in the forms that were asked for, and only with a right check digit', (t) => {
  const label = (digits: string): string => digits + String(checkDigit(digits));
  const forms = ['21IIIIIVVVVVC', '22IIIIIXVVVVC'];
  t.same(readWeighedCode(label('211234500999'), forms), { item: '2112345', priceMinor: 999 });
  t.same(readWeighedCode(label('221234570150'), forms), { item: '2212345', priceMinor: 150 });
  t.equal(readWeighedCode(label('231234500999'), forms), null, 'another prefix');
  t.equal(readWeighedCode(label('211234500000'), forms), null, 'no price');
  t.equal(readWeighedCode(label('211234500999'), []), null, 'not asked for');
  t.equal(readWeighedCode(`${label('211234500999').slice(0, 12)}x`, forms), null);
  const wrong = label('211234500999').replace('999', '899');
  t.equal(readWeighedCode(wrong, forms), null, 'a price that was misread');
  for (const form of ['21IIIIIVVVVV', '31IIIIIVVVVVC', '21VVVVVVVVVVC', '21IIIIIXXVVVC', '21IIIIVIVVVVC'])
    t.equal(weighedForm.test(form), false, form);
  t.end();
});
