/**
 * Shows that a scanner is known by its descriptor and a keyboard never taken for one, that codes come whole or not at all
 * from reports in declared and usual layouts, and that no report, cut or flipped, throws.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, utf8 } from '../../../terminal/kernel/bytes.js';
import {
  keyboardAndScannerDescriptor,
  keyboardDescriptor,
  manualExample,
  mutePosDescriptor,
  otherLayoutDescriptor,
  scannerDescriptor,
  scanReport,
  scanReports,
  strangePosDescriptor,
} from './hid-pos-fixtures.js';
import { hidRole, layoutWithAim, layoutWithoutAim, type ScanLayout } from './scan-layout.js';
import { decodeScanReport, emptyJoin, endOfScanGap, readScanReport, type ScanCode } from './scan-report.js';

function layoutOf(descriptor: Bytes): ScanLayout {
  const role = hidRole(descriptor, layoutWithAim);
  if (role.role !== 'scanner') throw new Error(role.role);
  return role.layout;
}

function readAll(reports: readonly Bytes[], layout = layoutWithAim) {
  let state = emptyJoin;
  const codes: ScanCode[] = [];
  let dropped = 0;
  for (const report of reports) {
    const step = readScanReport(layout, state, report);
    state = step.state;
    dropped += step.dropped;
    if (step.code) codes.push(step.code);
  }
  return { codes, dropped, state };
}
const texts = (reports: readonly Bytes[], layout = layoutWithAim) =>
  readAll(reports, layout).codes.map(({ text }) => text);

t.test('the declared layout is the published one', (t) => {
  t.same(layoutOf(scannerDescriptor), layoutWithAim);
  t.end();
});

t.test('a descriptor without fields falls back to the maker’s layout, if the report is as long', (t) => {
  t.same(hidRole(mutePosDescriptor, layoutWithoutAim), { role: 'scanner', layout: layoutWithoutAim });
  t.same(hidRole(strangePosDescriptor, layoutWithAim), { role: 'scannerOfUnknownLayout' });
  t.end();
});

t.test('what can type is a keyboard, also beside a scanner; what cannot be read is nothing', (t) => {
  t.same(hidRole(keyboardDescriptor, layoutWithAim), { role: 'keyboard' });
  t.same(hidRole(keyboardAndScannerDescriptor, layoutWithAim), { role: 'keyboard' });
  t.same(hidRole(scannerDescriptor.subarray(0, -1), layoutWithAim), { role: 'other' });
  t.same(hidRole(new Uint8Array(0), layoutWithAim), { role: 'other' });
  t.end();
});

t.test('a code and its identifier come apart, without the line end that a scanner may add', (t) => {
  t.same(readAll([scanReport('4006381333931')]).codes, [{ text: '4006381333931', aim: ']E0' }]);
  t.same(readAll([scanReport('0104006381333931\u001d10A\r\n', { aim: ']C1' })]).codes, [
    { text: '0104006381333931\u001d10A', aim: ']C1' },
  ]);
  t.same(readAll([scanReport('X', { aim: '\u0000\u0000\u0000' })]).codes, [{ text: 'X', aim: '' }]);
  t.same(readAll([scanReport('X', { aim: ']\u001b[' })]).codes, [{ text: 'X', aim: '' }], 'no identifier, not shown');
  t.end();
});

t.test('without an identifier in the report', (t) => {
  const report = new Uint8Array(64);
  report.set([2, 13, ...utf8('4006381333931')]);
  t.same(readAll([report], layoutWithoutAim).codes, [{ text: '4006381333931', aim: '' }]);
  t.end();
});

t.test('another layout: no id, no length, padding taken off, a flag in bit 3', (t) => {
  const layout = layoutOf(otherLayoutDescriptor);
  const report = (text: string, flag: number) =>
    concat(utf8(text), new Uint8Array(20 - text.length), utf8(']Q1'), new Uint8Array([flag]));
  t.same(texts([report('ABC', 0)], layout), ['ABC']);
  t.same(texts([report('x'.repeat(20), 8), report('END', 0)], layout), [`${'x'.repeat(20)}END`]);
  t.end();
});

t.test('long scans are joined up to 256 characters', (t) => {
  t.same(
    texts(manualExample).map((text) => text.length),
    [60],
    'the manual’s example',
  );
  const longest = '0123456789'.repeat(26).slice(0, 256);
  t.same(texts(scanReports(longest)), [longest]);
  t.same(texts(scanReports(`${longest}\r\n`)), [longest]);
  t.same(readAll([...scanReports(`${longest}1`), scanReport('GOOD')]).codes, [{ text: 'GOOD', aim: ']E0' }]);
  const endless = readAll(Array.from({ length: 1_000 }, () => scanReport('x'.repeat(56), { isContinued: true })));
  t.same(endless.codes, []);
  t.equal(endless.state.data.length, 0, 'nothing is kept of what can no longer be a code');
  t.end();
});

t.test('half a scan is never used: silence, a bad report, another identifier', (t) => {
  const half = scanReport('HALF', { isContinued: true });
  const begun = readScanReport(layoutWithAim, emptyJoin, half);
  t.same(endOfScanGap(begun.state), { state: emptyJoin, code: null, dropped: 1 });
  t.same(endOfScanGap(emptyJoin), { state: emptyJoin, code: null, dropped: 0 });
  const afterBad = readAll([half, scanReport('TORN').subarray(0, 40), scanReport('REST'), scanReport('GOOD')]);
  t.same([afterBad.codes.map(({ text }) => text), afterBad.dropped], [['GOOD'], 1]);
  const mixed = readAll([half, scanReport('REST', { aim: ']C1' }), scanReport('GOOD')]);
  t.same([mixed.codes.map(({ text }) => text), mixed.dropped], [['GOOD'], 1]);
  t.end();
});

t.test('another report of the device changes nothing, not even in the middle of a scan', (t) => {
  const other = concat(new Uint8Array([0xf0]), new Uint8Array(63));
  t.same(texts([other, scanReport('AB', { isContinued: true }), other, new Uint8Array(0), scanReport('CD')]), ['ABCD']);
  t.end();
});

t.test('control characters, bytes above ASCII and empty scans are no codes', (t) => {
  for (const bad of ['X\u0000Y', '\u001b[2J', 'A\tB', 'X\rY', '\u007f', '１２']) {
    const read = readAll([scanReport(bad), scanReport('GOOD')]);
    t.same([read.codes.map(({ text }) => text), read.dropped], [['GOOD'], 1], JSON.stringify(bad));
  }
  t.same(readAll([scanReport(''), scanReport('\r\n')]), { codes: [], dropped: 0, state: emptyJoin });
  t.end();
});

t.test('a report at every truncation: refused or another one’s, never a code', (t) => {
  const report = scanReport('4006381333931');
  for (let length = 0; length < report.length; length++) {
    const cut = report.subarray(0, length);
    t.same(texts([cut]), []);
    const decoded = decodeScanReport(layoutWithAim, cut);
    t.equal(decoded.ok ? decoded.value : decoded.error.code, length === 0 ? null : 'input.truncated');
  }
  t.end();
});

t.test('a report with any bit flipped: a code that keeps the rules, or none', (t) => {
  const report = scanReport('4006381333931');
  let codes = 0;
  for (let bit = 0; bit < 8 * report.length; bit++) {
    const flipped = concat(report);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = readAll([flipped]);
    codes += read.codes.length;
    for (const { text } of read.codes) t.match(text, /^[\x1d\x20-\x7e]{1,256}$/);
  }
  t.ok(codes > 400, 'flips outside data and length change nothing');
  const tooLong = scanReport('X');
  tooLong[1] = 57;
  t.same(texts([tooLong]), [], 'a length past its field');
  t.end();
});

t.test('any reports in any layout: never a throw, never more than a code is kept', (t) => {
  const bytes = fc.uint8Array({ maxLength: 70 });
  const likely = bytes.map((tail) => concat(new Uint8Array([2, tail.length % 57]), tail, new Uint8Array(64)));
  const layouts = [layoutWithAim, layoutWithoutAim, layoutOf(otherLayoutDescriptor)];
  fc.assert(
    fc.property(
      fc.constantFrom(...layouts),
      fc.array(fc.oneof(bytes, likely), { maxLength: 12 }),
      (layout, reports) => {
        const read = readAll(reports, layout);
        return read.state.data.length <= 258 && read.codes.every(({ text }) => /^[\x1d\x20-\x7e]{1,256}$/.test(text));
      },
    ),
    { numRuns: 1_000 },
  );
  t.pass();
  t.end();
});
