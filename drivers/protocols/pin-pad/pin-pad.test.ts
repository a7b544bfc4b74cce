/**
 * Shows the frames of a PIN pad at every split, truncation and flipped bit, that nothing of one stays in memory, the generic
 * model's questions and answers, key serial numbers that only rise, and frames in HID reports. How: frames written out by hand,
 * and property tests.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import { keySerialNumber } from '../dukpt/dukpt.js';
import { keyboardDescriptor, scannerDescriptor } from '../hid-pos/hid-pos-fixtures.js';
import { initialKeysMax, KeySerials } from './key-serials.js';
import { mixedPadDescriptor, numberedPadDescriptor, padDescriptor } from './pad-fixtures.js';
import { encodePadFrame, PadFrameReader, padBodyLengthMax } from './pad-frame.js';
import { padModels } from './pad-models.js';
import { decodePadReport, encodePadReports, padReportLayout } from './pad-report.js';

const { generic } = padModels;
const name = '0123456789abcdef';
const line = (...fields: readonly string[]) => fields.join('\u001c');
/** Texts and the number of dropped frames, whatever the pieces. */
function readAll(...chunks: readonly Bytes[]): readonly [texts: readonly string[], dropped: number] {
  const reader = new PadFrameReader();
  const texts: string[] = [];
  let dropped = 0;
  for (const chunk of chunks) dropped += reader.push(chunk, (body) => texts.push(String.fromCharCode(...body)));
  return [texts, dropped];
}

t.test(
  'frames: as written out, the same at every split, noise passed over, cut and overlong ones counted',
  async (t) => {
    t.same(encodePadFrame('PU'), hex('0250550306'), 'LRC: 50 ^ 55 ^ 03');
    const asking = encodePadFrame(generic.ask(name, '5413330089090014', 30));
    const stream = concat(
      utf8('noise\u0003\u0003'),
      asking,
      hex('0241'),
      asking,
      encodePadFrame('x'.repeat(padBodyLengthMax)),
    );
    const whole = readAll(stream);
    t.same([whole[0].length, whole[1]], [3, 1]);
    t.equal(whole[0][0], line('PE', name, '5413330089090014', '30'));
    for (let cut = 0; cut <= stream.length; cut++)
      t.same(readAll(stream.subarray(0, cut), stream.subarray(cut)), whole);
    for (let length = 0; length < asking.length; length++) t.same(readAll(asking.subarray(0, length))[0], []);
    const long = concat(hex('02'), utf8('x'.repeat(padBodyLengthMax + 1)), hex('037b'));
    t.same(readAll(long), [[], 1]);
    t.same(readAll(hex('020303')), [[], 1], 'an empty one');
    t.throws(() => encodePadFrame('x'.repeat(padBodyLengthMax + 1)));
    t.throws(() => encodePadFrame('\u0003'));
  },
);

t.test('one flipped bit is never a frame, and never takes the next one with it', async (t) => {
  const frame = encodePadFrame(line('PE', name, '00', '123456789012345600000001', '00112233445566778899AABBCCDDEEFF'));
  for (let bit = 0; bit < 8 * frame.length; bit++) {
    const flipped = frame.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const [texts] = readAll(flipped, frame, encodePadFrame('PU'));
    t.same(texts, [String.fromCharCode(...frame.subarray(1, -2)), 'PU'], `bit ${bit}`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) =>
      readAll(bytes)[0].every((text) => text.length >= 1 && text.length <= padBodyLengthMax),
    ),
  );
});

t.test('what was handed over, dropped or forgotten is wiped', async (t) => {
  const reader = new PadFrameReader();
  const views: Bytes[] = [];
  const frame = encodePadFrame('SECRET');
  reader.push(frame, (body) => views.push(body));
  t.same(views, [new Uint8Array(6)], 'a view of the buffer, empty by now');
  const buffer = new Uint8Array(views[0]?.buffer ?? new ArrayBuffer(1));
  reader.push(frame.subarray(0, 5), () => {});
  t.ok(
    buffer.some((byte) => byte !== 0),
    'half a frame has to stay',
  );
  reader.forget();
  t.ok(buffer.every((byte) => byte === 0));
  reader.push(concat(frame.subarray(0, -1), hex('ff')), () => t.fail('a wrong LRC'));
  t.ok(buffer.every((byte) => byte === 0));
});

const answerOf = (...fields: readonly string[]) => {
  const read = generic.answer(utf8(line(...fields)));
  return read.ok ? read.value : read.error.code;
};

t.test('the generic model: what it is told, what it says, and what is none of its answers', async (t) => {
  t.equal(generic.cancel(name), line('PC', name));
  const [serial, block] = ['12'.repeat(12), 'Ab'.repeat(16)];
  t.same(answerOf('PE', name, '00', serial, block), {
    says: 'ended',
    entry: name,
    end: { result: 'entered', keySerialNumber: hex(serial), pinBlock: hex(block) },
  });
  t.match(answerOf('PE', name, '00', '12'.repeat(10), '34'.repeat(8)), { end: { result: 'entered' } }, 'TDEA');
  for (const [code, result] of [
    ['01', 'cancelled'],
    ['02', 'timedOut'],
    ['03', 'noKeys'],
    ['04', 'notUnderWay'],
    ['05', 'refused'],
  ] as const)
    t.same(answerOf('PE', name, code), { says: 'ended', entry: name, end: { result } });
  t.same(answerOf('PA', name), { says: 'asking', entry: name });
  t.same(answerOf('PU'), { says: 'started' });
  for (const fields of [
    ['PE', name, '00', serial, '00'.repeat(15)],
    ['PE', name, '00', serial, 'zz'.repeat(16)],
    ['PE', name, '00', `${serial.slice(0, -1)}z`, block],
    ['PE', name, '00', '12', block],
    ['PE', name, '00', '12'.repeat(10), block],
    ['PE', name.toUpperCase(), '01'],
    ['PE', '', '01'],
    ['PE', '01'],
    ['PA', name, ''],
  ])
    t.equal(answerOf(...fields), 'input.malformed', fields.join(' '));
  for (const fields of [
    ['PE', name, '01', serial],
    ['PE', name, '00', serial],
    ['PE', name, '__proto__'],
    ['PE', name, '00', serial, block, 'more'],
    ['PU', ''],
    ['PX', name],
    [''],
    ['71', '0'],
  ])
    t.equal(answerOf(...fields), 'input.unsupported', fields.join(' '));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: padBodyLengthMax }), (body) => {
      generic.answer(body);
      return true;
    }),
  );
});

t.test('key serial numbers: each once, rising for each initial key, of a form that DUKPT has', async (t) => {
  const serials = new KeySerials();
  const [first, second] = [hex('1234567890123456'), hex('1234567890123457')];
  const take = (id: Bytes, counter: number) => serials.take(keySerialNumber(id, counter));
  t.same(
    [1, 2, 2, 1, 3, 3, 0x1_0000].map((counter) => take(first, counter)),
    [...['fresh', 'fresh', 'reused', 'reused', 'fresh', 'reused', 'fresh']],
  );
  t.equal(take(second, 1), 'fresh', 'another initial key begins anew');
  t.same([take(first, 0), take(first, 0x1_ffff)], ['unfit', 'unfit'], 'no counter of AES DUKPT');
  for (const length of [0, 8, 9, 11, 13]) t.equal(serials.take(new Uint8Array(length).fill(1)), 'unfit');
  // 59 bits of the initial key, then 21 of the counter.
  const tdea = (id: string, counter: number) => serials.take(concat(hex(id), uintBE(counter, 3)));
  t.same(
    [tdea('ffff9876543210', 0xe0_0001), tdea('ffff9876543210', 0xe0_0001), tdea('ffff9876543210', 0xc0_0001)],
    ['fresh', 'reused', 'fresh'],
    'the upper three bits are the initial key’s',
  );
  t.same([tdea('ffff9876543210', 0xe0_0000), tdea('ffff9876543210', 0xe0_07ff)], ['unfit', 'unfit']);
  const many = new KeySerials();
  for (let id = 0; id < initialKeysMax; id++)
    t.equal(many.take(keySerialNumber(concat(uintBE(id, 4), uintBE(0, 4)), 7)), 'fresh');
  t.equal(many.take(keySerialNumber(first, 7)), 'unfit', 'bounded: one more is refused, none is forgotten');
  t.equal(many.take(keySerialNumber(new Uint8Array(8), 7)), 'reused');
});

t.test('reports: where they go by the descriptor, and the stream in them', async (t) => {
  const plain = { reportId: 0, inputBytes: 64, outputBytes: 64 };
  t.same(padReportLayout(padDescriptor), plain);
  const numbered = { reportId: 3, inputBytes: 32, outputBytes: 16 };
  t.same(padReportLayout(numberedPadDescriptor), numbered);
  for (const other of [keyboardDescriptor, scannerDescriptor, mixedPadDescriptor, hex('05'), hex('')])
    t.equal(padReportLayout(other), null);
  for (let length = 0; length < padDescriptor.length; length++)
    t.equal(padReportLayout(padDescriptor.subarray(0, length)), null);
  const stream = Uint8Array.from({ length: 130 }, (_, at) => at + 1);
  const reports = encodePadReports(plain, stream);
  t.same(
    reports.map((report) => [report.length, report[0], report[1]]),
    [
      [65, 0, 63],
      [65, 0, 63],
      [65, 0, 4],
    ],
  );
  t.same(concat(...reports.map((report) => decodePadReport(plain, report.subarray(1)) ?? hex(''))), stream);
  t.same(encodePadReports(numbered, hex('aabb')), [concat(hex('0302aabb'), new Uint8Array(13))]);
  const read = (report: Bytes) => decodePadReport(numbered, concat(report, new Uint8Array(33)).subarray(0, 33));
  t.same(read(hex('0302aabb')), hex('aabb'));
  t.equal(read(hex('031f'))?.length, 31);
  for (const wrong of ['0300', '0320', '03ff', '0402aabb']) t.equal(read(hex(wrong)), null, wrong);
  t.equal(decodePadReport(numbered, hex('0302aabb')), null, 'cut');
  t.equal(decodePadReport(plain, hex('')), null);
});
