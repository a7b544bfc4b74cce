/**
 * Shows that BER-TLV is read strictly: published wallet answers come apart and together again, and every truncation, wrong
 * length and nesting beyond the bounds is an error with its offset, in bounded time.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { decodeTlv, encodeTlv, findTlv, type Tlv, tlvCountMax, tlvDepthMax } from './ber-tlv.js';

/** The answer of a phone with Google Wallet to the selection of OSE.VAS.01, as published. */
const captured = hex(
  '6f8184500a416e64726f6964506179c0020001c108cc00000000008080c22056d2ec8f857f0049aa54f1ca1de2791b5693a7014e6e4565d5644b1c2a305136c32103dfee38dbdb68a607383ad622640b180cc7e27d796b4e788c40e5d994291c71fca523bf0c20611e4f09a000000476d0000111870101730edf6d020000df4d020001df620103',
);

function encodeAll(objects: readonly Tlv[]): Bytes {
  return concat(
    ...objects.map(({ tag, value, children }) => encodeTlv(tag, children.length > 0 ? encodeAll(children) : value)),
  );
}

t.test('a captured answer comes apart, and together again byte by byte', (t) => {
  const decoded = decodeTlv(captured);
  t.ok(decoded.ok);
  if (!decoded.ok) return void t.end();
  const [template] = decoded.value;
  t.equal(toHex(findTlv(template?.children ?? [], 0x50)?.value ?? hex('')), '416e64726f6964506179');
  const application = template?.children.find(({ tag }) => tag === 0xa5)?.children[0]?.children[0];
  t.equal(application?.tag, 0x61);
  t.equal(findTlv(application?.children ?? [], 0x73)?.children.length, 3);
  t.same(encodeAll(decoded.value), captured);
  t.end();
});

t.test('every truncation of it is an error within the bytes that came', (t) => {
  for (let length = 1; length < captured.length; length++) {
    const cut = decodeTlv(captured.subarray(0, length));
    t.ok(!cut.ok && cut.error.code === 'input.truncated' && cut.error.offset <= length, `cut to ${length}`);
  }
  t.end();
});

t.test('what is against the rules, where it is', (t) => {
  const nested = (levels: number): Bytes => (levels === 0 ? hex('') : encodeTlv(0x61, nested(levels - 1)));
  const cases: readonly (readonly [string, Bytes, string, number])[] = [
    ['indefinite length', hex('618050010000000000'), 'input.malformed', 1],
    ['length of one byte too long', hex('50810141'), 'input.malformed', 1],
    ['length of two bytes too long', hex('5082000141'), 'input.malformed', 1],
    ['length of three bytes', hex('508300000141'), 'input.tooLong', 1],
    ['length of 127 bytes', hex('50ff'), 'input.tooLong', 1],
    ['length beyond the end', hex('5082ffff41'), 'input.truncated', 4],
    ['child beyond its parent', hex('6103500441424344'), 'input.truncated', 4],
    ['a tag of zeros', hex('5001410000'), 'input.malformed', 3],
    ['a tag of four bytes', hex('9f81818101'), 'input.tooLong', 0],
    ['a tag with leading zeros', hex('9f808000'), 'input.malformed', 1],
    ['no length', hex('9f27'), 'input.truncated', 2],
    ['nine levels', nested(tlvDepthMax + 1), 'input.tooLong', 2 * tlvDepthMax],
    ['too many objects', hex('5000'.repeat(tlvCountMax + 1)), 'input.tooLong', 2 * tlvCountMax],
  ];
  for (const [name, bytes, code, offset] of cases) {
    const decoded = decodeTlv(bytes);
    t.same(decoded.ok ? 'read' : [decoded.error.code, decoded.error.offset], [code, offset], name);
  }
  t.ok(decodeTlv(nested(tlvDepthMax)).ok, 'eight levels are read');
  t.ok(decodeTlv(hex('5000'.repeat(tlvCountMax))).ok, 'and 256 objects');
  t.end();
});

t.test('as bank cards write: zeros between objects, lengths longer than they need', (t) => {
  const tags = (text: string) => {
    const decoded = decodeTlv(hex(text), 'filled');
    return decoded.ok
      ? decoded.value.map(({ tag, offset, value }) => `${tag.toString(16)}@${offset} ${toHex(value)}`).join(', ')
      : `${decoded.error.code} ${decoded.error.offset}`;
  };
  t.equal(tags('00005001410000870101000'.slice(0, -1)), '50@2 41, 87@7 01');
  t.equal(tags('7007005001410000'.concat('00')), '70@0 00500141000000');
  t.equal(tags('50810141508200 0142'.replace(' ', '')), '50@0 41, 50@4 42');
  t.equal(tags('000000'), '', 'zeros alone are nothing');
  t.equal(tags('0050'), 'input.truncated 2');
  t.equal(tags('00'.repeat(5_000)), '', 'and cost no object');
  t.equal(tags('5080'), 'input.malformed 1', 'no end is still none');
  t.equal(tags('9f808000'), 'input.malformed 1');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const [strict, filled] = [decodeTlv(bytes), decodeTlv(bytes, 'filled')];
      if (strict.ok) return filled.ok && filled.value.length === strict.value.length;
      return filled.ok || filled.error.offset <= bytes.length;
    }),
    { numRuns: 5_000, seed: 6 },
  );
  t.end();
});

t.test('any bytes: an answer, never a throw; what is read is written the same', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoded = decodeTlv(bytes);
      if (!decoded.ok) return decoded.error.offset <= bytes.length;
      return toHex(encodeAll(decoded.value)) === toHex(bytes);
    }),
    { numRuns: 5_000, seed: 5 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 - 4_600 }), (value) => {
      const decoded = decodeTlv(encodeTlv(0x9f27, value));
      return decoded.ok && decoded.value.length === 1 && toHex(decoded.value[0]?.value ?? hex('')) === toHex(value);
    }),
    { numRuns: 50, seed: 5 },
  );
  t.end();
});
