/**
 * Shows that answers to reset are taken apart as ISO/IEC 7816-3 says: published ones of bank cards and of cards in a field, every
 * truncation, every flipped bit, and any bytes at all.
 */
import fc from 'fast-check';
import t from 'tap';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { linkAtr } from '../../supervised/link-atr.js';
import { cardKind, decodeAtr, protocolOf } from './atr.js';

/** From Ludovic Rousseau's public list of answers to reset, and PC/SC part 3 §3.1.3.2.3. */
const known = [
  ['3b6500002063cb6800', [0], '2063cb6800', 'contact', 'T0'],
  ['3b6e000080318066b0840c016e0183009000', [0], '80318066b0840c016e0183009000', 'contact', 'T0'],
  ['3bff1800ff8131fe4565631105400250001055100303050043', [1, 1], '656311054002500010551003030500', 'contact', 'T1'],
  ['3b8180018080', [0, 1], '80', 'processor', 'T1'],
  ['3b8f8001804f0ca000000306030001000000006a', [0, 1], '804f0ca00000030603000100000000', 'storage', 'T1'],
] as const;

t.test('published answers to reset', (t) => {
  for (const [atr, protocols, historical, kind, protocol] of known) {
    const decoded = decodeAtr(hex(atr));
    t.ok(decoded.ok, atr);
    if (decoded.ok) t.same([decoded.value.protocols, toHex(decoded.value.historical)], [protocols, historical]);
    t.equal(cardKind(hex(atr)), kind);
    t.equal(protocolOf(hex(atr)), protocol);
  }
  for (const way of ['BLE1', 'SER1'])
    t.equal(cardKind(linkAtr(way, hex('c01122334455'))), 'processor', 'a phone over another link is as in a field');
  t.equal(protocolOf(hex('3b804080')), 'T0', 'nothing follows from one that is against the rules');
  t.end();
});

t.test('every truncation is an error; a flipped bit is seen where there is a check byte', (t) => {
  for (const [text] of known) {
    const atr = hex(text);
    for (let length = 0; length < atr.length; length++) {
      t.notOk(decodeAtr(atr.subarray(0, length)).ok, `${text} cut to ${length}`);
      t.not(cardKind(atr.subarray(0, length)), 'contact');
    }
    if (protocolOf(atr) === 'T0') continue;
    for (let bit = 8; bit < atr.length * 8; bit++) {
      const changed = atr.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      t.notOk(decodeAtr(changed).ok, `${text}, bit ${bit}`);
    }
  }
  t.end();
});

t.test('what is against the rules, and any bytes', (t) => {
  const code = (text: string) => {
    const decoded = decodeAtr(hex(text));
    return decoded.ok ? 'ok' : `${decoded.error.code} ${decoded.error.offset}`;
  };
  t.equal(code(''), 'input.truncated 0');
  t.equal(code('3a00'), 'input.malformed 0');
  t.equal(code('3b0000'), 'input.tooLong 2');
  t.equal(code(`3b${'80'.repeat(33)}`), 'input.tooLong 33');
  t.equal(code(`3b${'80'.repeat(32)}`), 'input.truncated 33', 'interface bytes without end');
  t.equal(code('3b801f00'), 'input.truncated 4', 'T=15 alone asks for a check byte');
  t.equal(code('3f00'), 'ok');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const decoded = decodeAtr(bytes);
      return decoded.ok ? decoded.value.historical.length <= 15 : decoded.error.offset <= 33;
    }),
    { numRuns: 5_000, seed: 7 },
  );
  t.end();
});
