/**
 * Shows that NDEF is read strictly: published messages come apart and together again; every truncation, every wrong flag and
 * every length beyond the end is an error with its offset, in bounded time.
 */
import fc from 'fast-check';
import t from 'tap';
import { hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { decodeNdef, encodeNdef, ndefRecordsMax } from './ndef.js';

/** A Smart Tap NEGOTIATE request as published: one external record `ngr` with a long payload. */
const captured = hex(
  'd403b86e6772000194030a7365736b159a80fc8283fd00015403a0637072a8aa2bae1ba891783d8c5be8a95bf2f9e5bb90fd9d197f8b2b1a84d9cc80427501027b2e12f1a1a542084b4d01b8799380fa4cb77e530ba2305b0bf2b3e4b474fe7d0000000194034973696704304602210086e43dc483b22e51aa177ae8112ed83d399a58b41d6d8cbe900cde03c4524da5022100e94b6a919c9e097568f4efa9a7123b86b97ee44342593f8a77fc9e12e3f95ae4540305636c640401020304',
);

t.test('published messages come apart and together again', (t) => {
  const outer = decodeNdef(captured);
  t.ok(outer.ok);
  if (!outer.ok) return void t.end();
  t.same(
    outer.value.map(({ tnf, type }) => [tnf, toHex(type)]),
    [[4, toHex(utf8('ngr'))]],
  );
  t.same(encodeNdef(outer.value), captured);
  const inner = decodeNdef(outer.value[0]?.payload.subarray(2) ?? hex(''));
  t.ok(inner.ok);
  if (inner.ok)
    t.same(
      inner.value.map(({ type }) => toHex(type)),
      ['ses', 'cpr'].map((name) => toHex(utf8(name))),
    );
  const withId = decodeNdef(hex(`dc0321036d646e6d646e04${'56'.repeat(32)}`));
  t.ok(withId.ok);
  if (withId.ok)
    t.same(
      withId.value.map(({ id, payload }) => [toHex(id), payload.length]),
      [[toHex(utf8('mdn')), 33]],
    );
  t.end();
});

t.test('every truncation is an error within the bytes that came', (t) => {
  for (let length = 0; length < captured.length; length++) {
    const cut = decodeNdef(captured.subarray(0, length));
    t.ok(!cut.ok && cut.error.code === 'input.truncated' && cut.error.offset <= length, `cut to ${length}`);
  }
  t.end();
});

t.test('what is against the rules, where it is', (t) => {
  const record = 'd1010154' + '41';
  const cases: readonly (readonly [string, string, string, number])[] = [
    ['nothing', '', 'input.truncated', 0],
    ['a payload of 2^32−1', 'c101ffffffff54', 'input.truncated', 0],
    ['a payload of 2^31 and an id', 'c9018000000001545a', 'input.truncated', 0],
    ['a type beyond the end', 'd1ff0054', 'input.truncated', 0],
    ['no end', '9101015441', 'input.truncated', 5],
    ['no begin', '5101015441', 'input.malformed', 0],
    ['a second begin', `9101015441${record}`, 'input.malformed', 5],
    ['bytes behind the end', `${record}00`, 'input.malformed', 5],
    ['a chunk', 'b101015441', 'input.unsupported', 0],
    ['an unchanged type', 'd600010041', 'input.unsupported', 0],
    ['the reserved format', 'd701015441', 'input.malformed', 0],
    ['an empty record with a payload', 'd0000141', 'input.malformed', 0],
    ['an unknown type with a name', 'd501015441', 'input.malformed', 0],
    ['a well-known type without a name', 'd1000141', 'input.malformed', 0],
    ['too many', `91010054${'11010054'.repeat(ndefRecordsMax - 1)}51010054`, 'input.tooLong', 4 * ndefRecordsMax],
  ];
  for (const [name, bytes, code, offset] of cases) {
    const decoded = decodeNdef(hex(bytes));
    t.same(decoded.ok ? 'read' : [decoded.error.code, decoded.error.offset], [code, offset], name);
  }
  t.ok(decodeNdef(hex('d00000')).ok, 'an empty record alone is a message');
  t.end();
});

t.test('any bytes: an answer, never a throw; any records: written and read the same', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoded = decodeNdef(bytes);
      return decoded.ok || decoded.error.offset <= bytes.length;
    }),
    { numRuns: 5_000, seed: 5 },
  );
  const anyRecord = fc.record({
    tnf: fc.constantFrom(1, 2, 3, 4),
    type: fc.uint8Array({ minLength: 1, maxLength: 255 }),
    id: fc.uint8Array({ maxLength: 255 }),
    payload: fc.uint8Array({ maxLength: 400 }),
  });
  fc.assert(
    fc.property(fc.array(anyRecord, { minLength: 1, maxLength: 8 }), (records) => {
      const decoded = decodeNdef(encodeNdef(records));
      return decoded.ok && JSON.stringify(decoded.value) === JSON.stringify(records);
    }),
    { numRuns: 200, seed: 5 },
  );
  t.end();
});
