/**
 * Shows that recordings survive the way through a file, and that what is no recording is refused with the line's offset:
 * cut anywhere, with a flipped bit, in another order. How: fast-check against the pure codec, and an example by hand.
 */
import fc from 'fast-check';
import t from 'tap';
import { utf8 } from '../../terminal/kernel/bytes.js';
import type { DeviceEvent, DeviceOrder, DeviceStatus } from './driver.js';
import { DeviceOrders } from './orders.js';
import {
  decodeRecording,
  encodeRecordedLine,
  encodeRecordingHead,
  eventLines,
  type Moment,
  moments,
  type Recording,
  recordingBytesMax,
} from './recording.js';
import type { ApduLink } from './transport.js';

const encode = (recording: Recording): Uint8Array =>
  utf8(encodeRecordingHead(recording) + recording.lines.map(encodeRecordedLine).join(''));

const example = `shouli-recording 1
driver serial-scanner
# a remark
identity 0c2e:0caa:S1
0 in 3430
12 in 0d
12 code 3430
`;

t.test('an example by hand', async (t) => {
  const read = decodeRecording(utf8(example));
  t.match(read, { ok: true, value: { driver: 'serial-scanner', identity: '0c2e:0caa:S1' } });
  t.equal(read.ok && read.value.lines.length, 3);
  const code = (text: string) => {
    const refused = decodeRecording(utf8(text));
    return refused.ok ? 'read' : refused.error;
  };
  t.match(code(example.replace('12 in 0d', '12 in 0')), { code: 'input.malformed', offset: example.indexOf('12 in') });
  t.match(code(example.replace('12 code', '11 code')), { code: 'input.malformed' }, 'time never runs backwards');
  t.match(code(example.replace('recording 1', 'recording 2')), { code: 'input.unsupported' });
  t.match(code(example.replace('serial-scanner', 'Serial/../x')), { code: 'input.malformed' });
  t.match(code(example.slice(0, -1)), { code: 'input.truncated' });
  t.match(code(''), { code: 'input.truncated' });
  t.match(code(`${'#'.repeat(recordingBytesMax)}\n`), { code: 'input.tooLong' });
});

const anyLine = fc.record({
  afterMs: fc.nat(5_000),
  moment: fc.constantFrom<Moment>(...moments),
  bytes: fc.uint8Array({ maxLength: 40 }),
});
const anyRecording = fc.array(anyLine, { maxLength: 30 }).map((steps): Recording => {
  let atMs = 0;
  const lines = steps.map(({ afterMs, moment, bytes }) => {
    atMs += afterMs;
    return { atMs, moment, bytes };
  });
  return { driver: 'hid-scanner', identity: '0c2e:0b87@usb-1/input0', lines };
});

t.test('what is written is read back, and a cut is never taken for the whole', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyRecording, fc.nat(), (recording, cut) => {
        const file = encode(recording);
        const read = decodeRecording(file);
        t.same(read.ok && read.value, recording);
        const part = decodeRecording(file.subarray(0, cut % file.length));
        return !part.ok || part.value.lines.length < recording.lines.length;
      }),
    ),
  );
});

t.test('each event but a state has its line', async (t) => {
  const link = { id: '1', atr: utf8('ATR') } as ApduLink;
  const events: readonly DeviceEvent[] = [
    { type: 'codeScanned', device: 'a', code: '4006381333931', aim: ']E0' },
    { type: 'cardPresented', device: 'a', link },
    { type: 'cardInserted', device: 'a', link },
    { type: 'cardRemoved', device: 'a', linkId: '1' },
    { type: 'stripeRead', device: 'a', tracks: ['B1^T/C^1', null, null] },
    { type: 'numberKeyed', device: 'a', digits: '42' },
  ];
  t.same(
    events.flatMap(eventLines).map(({ bytes, moment }) => `${moment} ${new TextDecoder().decode(bytes)}`),
    [
      'code 4006381333931',
      'aim ]E0',
      'card ATR',
      'card ATR',
      'cardGone ',
      'stripe ["B1^T/C^1",null,null]',
      'number 42',
    ],
  );
  t.same(eventLines({ type: 'deviceStateChanged', status: {} as DeviceStatus }), []);
});

t.test('orders are told in their text to who listens in, and to nobody else', async (t) => {
  const orders = new DeviceOrders();
  let made = 0;
  const pulse = (): DeviceOrder => {
    made += 1;
    return { pulse: true };
  };
  orders.ordered('a', pulse);
  t.equal(made, 0, 'not even made into a text');
  const heard: string[] = [];
  orders.listenIn('a', (what, bytes) => heard.push(`${what} ${new TextDecoder().decode(bytes)}`));
  orders.ordered('b', pulse);
  orders.line('a', 'opened');
  orders.ordered('a', pulse);
  orders.ended('a', () => ({ switched: 'sent' }));
  orders.listenIn('a', null);
  orders.ordered('a', pulse);
  t.same([made, heard], [1, ['opened ', 'order {"pulse":true}', 'end {"switched":"sent"}']]);
});

t.test('a flipped bit is refused or gives another recording; it never throws', async (t) => {
  const file = utf8(example);
  for (let at = 0; at < file.length * 8; at++) {
    const flipped = new Uint8Array(file);
    flipped[at >> 3] = (flipped[at >> 3] ?? 0) ^ (1 << (at & 7));
    t.doesNotThrow(() => decodeRecording(flipped));
  }
});
