/**
 * Shows the SMPP codec: units out of a stream split anywhere, bodies byte for byte, and a delivery at every truncation and
 * flipped bit.
 */
import t from 'tap';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { splitText } from '../sms/parts.js';
import { decodeDeliver, decodeSubmitResponse, encodeBind, encodeSubmit } from './bodies.js';
import { encodePdu, PduReader, pduBytesMax } from './pdu.js';

t.test('units, split anywhere', (t) => {
  const first = encodePdu({ command: 0x15, status: 0, sequence: 1, body: hex('') });
  const second = encodePdu({ command: 0x80000004, status: 0x58, sequence: 0x7fffffff, body: hex('6900') });
  t.equal(toHex(first), '00000010000000150000000000000001');
  t.equal(toHex(second), '0000001280000004000000587fffffff6900');
  const stream = concat(first, second, first);
  for (let cut = 0; cut <= stream.length; cut++) {
    const reader = new PduReader();
    const units = [stream.subarray(0, cut), stream.subarray(cut)].flatMap((chunk) => {
      const read = reader.push(chunk);
      return read.ok ? read.value : [];
    });
    t.same(
      units.map(({ command, status, sequence, body }) => [command, status, sequence, toHex(body)]),
      [
        [0x15, 0, 1, ''],
        [0x80000004, 0x58, 0x7fffffff, '6900'],
        [0x15, 0, 1, ''],
      ],
    );
  }
  t.match(new PduReader().push(hex('0000000f')), { error: { code: 'input.malformed' } });
  t.match(new PduReader().push(hex((pduBytesMax + 1).toString(16).padStart(8, '0'))), {
    error: { code: 'input.tooLong' },
  });
  t.end();
});

t.test('bind and submission, byte for byte', (t) => {
  t.equal(toHex(encodeBind({ systemId: 'shop', password: 'pw', systemType: '' })), '73686f70007077000034000000');
  t.throws(() => encodeBind({ systemId: 'shop', password: 'ninechars', systemType: '' }));
  const parts = splitText('hi', 0);
  t.equal(
    parts.ok && parts.value[0] && toHex(encodeSubmit('10690000', '+8613800000001', parts.value[0])),
    `00${'0001'}${'313036393030303000'}${'0101'}${'3836313338303030303030303100'}${'00000000000000000002'}6869`,
  );
  t.match(decodeSubmitResponse(hex('69643100')), { value: 'id1' });
  t.match(decodeSubmitResponse(hex('')), { value: '' });
  t.match(decodeSubmitResponse(hex('696431')), { error: { code: 'input.truncated' } });
  t.end();
});

t.test('a delivery, and whatever can be wrong with one', (t) => {
  const whole = hex(
    `00${'0101'}${'3836313338303030303030303100'}${'0001'}${'313036393030303000'}400000${'00'}${'00'}0000080008${'050003070201'}60a8`,
  );
  t.match(decodeDeliver(whole), {
    ok: true,
    value: {
      from: '+8613800000001',
      to: '10690000',
      isReceipt: false,
      text: '您',
      place: { reference: 7, total: 2, sequence: 1 },
    },
  });
  for (let length = 0; length < whole.length; length++)
    t.match(decodeDeliver(whole.subarray(0, length)), { ok: false, error: { code: 'input.truncated' } }, `${length}`);
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const flipped = whole.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.doesNotThrow(() => decodeDeliver(flipped));
  }
  t.match(decodeDeliver(concat(whole, hex('0424000141'))), { error: { code: 'input.malformed' } }, 'two texts');
  t.match(decodeDeliver(concat(whole, hex('04240009'))), { error: { code: 'input.truncated' } });
  t.end();
});
