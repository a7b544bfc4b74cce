/**
 * Shows that codes come whole or not at all: the same codes at every split of the stream, nothing from noise, cut or
 * overlong lines.
 */
import fc from 'fast-check';
import t from 'tap';
import { utf8 } from '../../../terminal/kernel/bytes.js';
import { codeBytesMax, emptyLine, endOfGap, readScanLine } from './scan-line.js';

function readAll(chunks: readonly Uint8Array[]) {
  let state = emptyLine;
  const codes: string[] = [];
  let dropped = 0;
  for (const chunk of chunks) {
    const step = readScanLine(state, chunk);
    state = step.state;
    codes.push(...step.codes);
    dropped += step.dropped;
  }
  return { state, codes, dropped };
}

t.test('CR, LF and CRLF end a code; empty lines are nothing', (t) => {
  t.same(readAll([utf8('A1\rB2\nC3\r\n\r\n')]).codes, ['A1', 'B2', 'C3']);
  t.end();
});

t.test('the same at every split', (t) => {
  const stream = utf8('4006381333931\r\n]C1010\u001d99\r\nSLM0000000000000\r');
  const whole = readAll([stream]);
  for (let cut = 0; cut <= stream.length; cut++)
    t.same(readAll([stream.subarray(0, cut), stream.subarray(cut)]), whole);
  t.end();
});

t.test('NUL, ESC, bytes above ASCII and overlong lines spoil their line only', (t) => {
  for (const bad of ['\u0000', '\u001b', '\u007f', '１２'])
    t.same(readAll([utf8(`X${bad}Y\rGOOD\r`)]), { state: emptyLine, codes: ['GOOD'], dropped: 1 });
  t.same(readAll([utf8(`${'9'.repeat(codeBytesMax)}\r`)]).codes.length, 1);
  t.same(readAll([utf8(`${'9'.repeat(codeBytesMax + 1)}\rGOOD\r`)]), { state: emptyLine, codes: ['GOOD'], dropped: 1 });
  t.end();
});

t.test('half a code and silence: dropped, counted, and the next code is whole', (t) => {
  const half = readScanLine(emptyLine, utf8('40063'));
  const gap = endOfGap(half.state);
  t.same(gap, { state: emptyLine, codes: [], dropped: 1 });
  t.same(readScanLine(gap.state, utf8('GOOD\r')).codes, ['GOOD']);
  t.equal(endOfGap(emptyLine).dropped, 0);
  t.end();
});

t.test('any bytes: never more than the bound is kept, every code is printable', (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 }), (chunks) => {
      const read = readAll(chunks);
      return (
        read.state.partial.length <= codeBytesMax && read.codes.every((code) => /^[\x1d\x20-\x7e]{1,256}$/.test(code))
      );
    }),
  );
  t.pass();
  t.end();
});
