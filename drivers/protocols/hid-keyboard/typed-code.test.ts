/**
 * Shows that codes typed on US, German and French keyboards come out as they were meant, and that lost reports, foreign
 * keys and silence never leave part of a code. How: vectors of known keys, each printable character on each layout, and
 * properties over texts, splits and damaged reports.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import { keyboardAndScannerDescriptor, keyboardDescriptor, scannerDescriptor } from '../hid-pos/hid-pos-fixtures.js';
import { keyReportLayout } from './key-report.js';
import { enterReport, released, typeReports } from './keyboard-fixtures.js';
import { keyboardLayouts } from './layouts.js';
import { endOfTypingGap, nothingTyped, readTypedReport, type TypingRules } from './typed-code.js';

const boot = { reportId: 0 };
const us: TypingRules = { layout: 'us', end: 'enter' };

function type(rules: TypingRules, reports: readonly Bytes[], layout = boot) {
  let state = nothingTyped;
  const codes: string[] = [];
  let dropped = 0;
  for (const report of reports) {
    const step = readTypedReport(layout, rules, state, report);
    state = step.state;
    codes.push(...step.codes);
    dropped += step.dropped;
  }
  return { state, codes, dropped };
}

t.test('vectors: keys of each layout, written by hand', async (t) => {
  const keys = (...usages: readonly string[]): readonly Bytes[] => [
    ...usages.flatMap((key) => [hex(`${key.slice(0, 2)}00${key.slice(2)}0000000000`), released]),
    enterReport,
  ];
  // Keys where a US keyboard has y, z, q, a, 2 and the one right of l; with and without shift (02) and AltGr (40).
  t.strictSame(type(us, keys('001c', '001d', '021f', '0033')).codes, ['yz@;']);
  t.strictSame(type({ ...us, layout: 'de' }, keys('001c', '001d', '021f', '4014', '0038', '0238')).codes, ['zy"@-_']);
  t.strictSame(
    type({ ...us, layout: 'fr' }, keys('0014', '0004', '021f', '0033', '4027', '0024')).dropped,
    1,
    'è is in no code',
  );
  t.strictSame(type({ ...us, layout: 'fr' }, keys('0014', '0004', '021f', '0033', '4027')).codes, ['aq2m@']);
  t.strictSame(type(us, keys('0059', '005a', '0062', '0056')).codes, ['120-'], 'keypad');
  t.strictSame(type(us, keys('0004', '0130', '0005')).codes, ['a\u001db'], 'GS as control and ]');
  t.strictSame(type(us, keys('0039', '0004', '0204', '001e', '0039', '0004')).codes, ['Aa1a'], 'caps lock');
});

t.test('every printable character that a layout can type comes out as it went in', async (t) => {
  for (const layout of keyboardLayouts) {
    const can: string[] = [];
    const cannot: string[] = [];
    for (let code = 0x20; code <= 0x7e; code++) {
      const character = String.fromCharCode(code);
      try {
        const reports = [...typeReports(layout, character), enterReport];
        can.push(type({ ...us, layout }, reports).codes[0] === character ? character : `${character} came out wrong`);
      } catch {
        cannot.push(character);
      }
    }
    t.notOk(
      can.some((character) => character.length > 1),
      layout,
    );
    // Accents wait for a letter on these keyboards: scanners set to them type such characters in other ways.
    t.strictSame(cannot, layout === 'us' ? [] : layout === 'de' ? ['^', '`'] : [], layout);
  }
});

t.test('a code comes out whole however its keys overlap, and only once', async (t) => {
  const text = fc.string({ unit: fc.constantFrom(...'0123456789ABCxyz-/.'), minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(text, fc.constantFrom(...keyboardLayouts), fc.boolean(), (code, layout, rolls) => {
      const reports = typeReports(layout, code);
      // A fast scanner lets a key go only when the next is down; the same key twice needs its own release.
      const rolled = reports.filter(
        (report, index) => report !== released || reports[index + 1]?.[2] === reports[index - 1]?.[2] || !rolls,
      );
      const found = type({ ...us, layout }, [...rolled, released, enterReport, enterReport, released]);
      return found.codes.length === 1 && found.codes[0] === code && found.dropped === 0;
    }),
  );
  t.pass('for every text tried');
});

t.test('a lost report, a foreign key, a held Alt and silence drop the code, and the next one is whole', async (t) => {
  const good = [...typeReports('us', 'GOOD'), enterReport, released];
  const half = typeReports('us', 'HAL');
  for (const [what, bad] of [
    ['rolled over', hex('0000010101010101')],
    ['short', hex('00')],
    ['F1', hex('00003a0000000000')],
    ['Alt', hex('0400040000000000')],
    ['control and c', hex('0100060000000000')],
  ] as const) {
    const found = type(us, [...half, bad, released, enterReport, released, ...good]);
    t.strictSame([found.codes, found.dropped], [['GOOD'], 1], what);
  }
  const silent = endOfTypingGap(us, type(us, half).state);
  t.strictSame([silent.codes, silent.dropped, silent.state.text], [[], 1, '']);
  t.equal(endOfTypingGap(us, type(us, good).state).dropped, 0, 'silence after a whole code is none');
  t.strictSame(type(us, [...typeReports('us', 'x'.repeat(257)), enterReport]).dropped, 1, 'too long');
});

t.test('other ends, report ids', async (t) => {
  const tab = hex('00002b0000000000');
  t.strictSame(type({ ...us, end: 'tab' }, [...typeReports('us', 'A1'), tab]).codes, ['A1']);
  const gap: TypingRules = { ...us, end: 'gap' };
  t.strictSame(endOfTypingGap(gap, type(gap, typeReports('us', 'A1')).state).codes, ['A1']);
  const withId = [...typeReports('us', 'A1'), enterReport].map((report) => Uint8Array.of(3, ...report));
  const media = hex('02E90000');
  t.strictSame(
    type(
      us,
      withId.flatMap((report) => [media, report]),
      { reportId: 3 },
    ).codes,
    ['A1'],
  );
});

t.test('which descriptors have such reports', async (t) => {
  t.strictSame(keyReportLayout(keyboardDescriptor), { reportId: 0 });
  t.equal(keyReportLayout(scannerDescriptor), null);
  t.equal(keyReportLayout(keyboardAndScannerDescriptor), null, 'reports with and without ids in one device');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.uint8Array({ maxLength: 12 }), (descriptor, report) => {
      keyReportLayout(descriptor);
      const step = readTypedReport({ reportId: 0 }, us, nothingTyped, report);
      return step.codes.every((code) => code.length > 0 && code.length <= 256);
    }),
  );
});
