// Shows that commands are encoded by ISO/IEC 7816-4 §5.2 in all seven cases, written out by hand from the standard, that an
// independent reading of the lengths gives the data back, and that answers are split at every length and never throw.
import fc from 'fast-check';
import t from 'tap';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { encodeCommand, splitAnswer } from './apdu.js';

const bytes = (length: number, value = 0x5a) => new Uint8Array(length).fill(value);
const command = (data: Uint8Array, answerBytesMax: number) =>
  encodeCommand({ cla: 0x80, ins: 0x10, p1: 0x01, p2: 0x02, data, answerBytesMax });

t.test('the cases of the standard', async (t) => {
  t.equal(toHex(command(bytes(0), 0)), '80100102', 'case 1');
  t.equal(toHex(command(bytes(0), 20)), '8010010214', 'case 2 short');
  t.equal(toHex(command(bytes(0), 256)), '8010010200', 'case 2 short, all it has');
  t.equal(toHex(command(bytes(0), 257)), '80100102000101', 'case 2 extended');
  t.equal(toHex(command(bytes(0), 65_536)), '80100102000000', 'case 2 extended, all it has');
  t.equal(toHex(command(hex('0102'), 0)), '80100102020102', 'case 3 short');
  t.equal(toHex(command(hex('0102'), 16)), '8010010202010210', 'case 4 short');
  t.equal(toHex(command(bytes(255), 256)), `80100102ff${'5a'.repeat(255)}00`, 'case 4 short at its end');
  t.equal(toHex(command(bytes(256), 0)), `80100102000100${'5a'.repeat(256)}`, 'case 3 extended');
  t.equal(toHex(command(bytes(1), 257)), '801001020000015a0101', 'case 4 extended');
  t.throws(() => command(bytes(65_536), 0), 'more than a length field says is a bug');
  t.throws(() => command(bytes(0), 65_537));
  t.throws(() => encodeCommand({ cla: 256, ins: 0, p1: 0, p2: 0, data: bytes(0), answerBytesMax: 0 }));
});

t.test('the length field leads to the data whatever the length', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 600 }), fc.integer({ min: 0, max: 65_536 }), (data, ne) => {
      const encoded = command(data, ne);
      const extended = encoded[4] === 0;
      const [at, length] = extended ? [7, ((encoded[5] ?? 0) << 8) | (encoded[6] ?? 0)] : [5, encoded[4]];
      const leBytes = ne === 0 ? 0 : extended ? 2 : 1;
      return (
        length === data.length &&
        toHex(encoded.subarray(at, at + data.length)) === toHex(data) &&
        encoded.length === at + data.length + leBytes
      );
    }),
  );
});

t.test('answers', async (t) => {
  t.same(splitAnswer(hex('9000')), { ok: true, value: { data: hex(''), status: 0x9000 } });
  t.same(splitAnswer(hex('aabb6a82')), { ok: true, value: { data: hex('aabb'), status: 0x6a82 } });
  for (const short of ['', '90']) t.match(splitAnswer(hex(short)), { ok: false, error: { code: 'input.truncated' } });
  t.match(splitAnswer(bytes(65_538)), { ok: true, value: { status: 0x5a5a } }, 'the longest');
  t.match(splitAnswer(bytes(65_539)), { ok: false, error: { code: 'input.tooLong', offset: 65_538 } });
});
