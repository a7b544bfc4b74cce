/**
 * Shows that what is encoded for a receipt printer comes out on its paper: Chinese and English, a QR code, the cut; that no
 * text from outside becomes a command; and that status bytes are read as the reference gives them. How: a printer written
 * from the reference alone, fed in pieces of every size, and bytes by hand.
 */
import fc from 'fast-check';
import iconv from 'iconv-lite';
import t from 'tap';
import { SimulatedReceiptPrinter } from '../../sim/receipt-printer.js';
import { askWhenPrinted, encodeJob, jobLinesMax, type PrintJob, qrBytesMax } from './print-job.js';
import { askStatus, isPrintedByte, isStatusByte, readStatus, saysPaperOut, statusKinds } from './printer-status.js';

const encode = (text: string) => new Uint8Array(iconv.encode(text, 'gb18030'));
const fed = (job: PrintJob, pieceBytes = 10_000, cuts = true) => {
  const answers: number[] = [];
  const printer = new SimulatedReceiptPrinter((bytes) => answers.push(...bytes));
  const bytes = encodeJob(job, encode, cuts);
  for (let at = 0; at < bytes.length; at += pieceBytes) printer.feed(bytes.subarray(at, at + pieceBytes));
  return { printer, answers };
};
const lines = ['好味道餐厅', '合计 TOTAL            CNY 300.00', '', '龘 € ¥ 麵 ，。'];

t.test('what was meant stands on the paper, in pieces of every size', async (t) => {
  for (let pieceBytes = 1; pieceBytes < 40; pieceBytes++) {
    const { printer } = fed({ lines, qr: 'https://shop.example/页' }, pieceBytes);
    t.same(printer.slips, [[...lines, '[QR https://shop.example/页]', '', '', '', '']]);
    t.same(printer.unknown, []);
  }
  const whole = fed({ lines, qr: null }, 10_000, false).printer;
  t.same([whole.slips, whole.paper.slice(0, 4)], [[], lines], 'without a blade nothing is cut');
});

t.test('no text becomes a command', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { maxLength: 8 }), (texts) => {
      const { answers, printer } = fed({ lines: texts, qr: null });
      const wanted = texts.map((text) => text.replace(/[\p{Cc}\p{Cs}]/gu, '?'));
      t.same(printer.unknown, []);
      t.same(answers, []);
      t.same(printer.slips[0]?.length, texts.length + 4);
      // Private characters have more than one place in GB18030; what is printable is found again as it was.
      for (const [at, text] of wanted.entries())
        if (/^[\p{L}\p{N}\p{P}\p{Zs}]*$/u.test(text)) t.equal(printer.slips[0]?.[at], text);
    }),
    { numRuns: 300, seed: 20_261_128 },
  );
  t.same(fed({ lines: ['\u0010\u0004\u0001', '\u001b@\u001dV\u0042\u0000', 'a\nb'], qr: null }).printer.slips, [
    ['???', '?@?VB?', 'a?b', '', '', '', ''],
  ]);
});

t.test('a job beyond its bounds is a bug', async (t) => {
  const line = (count: number): string[] => Array.from({ length: count }, () => 'x');
  t.ok(encodeJob({ lines: line(jobLinesMax), qr: 'x'.repeat(qrBytesMax) }, encode, true));
  t.throws(() => encodeJob({ lines: line(jobLinesMax + 1), qr: null }, encode, true), RangeError);
  for (const qr of ['', 'x'.repeat(qrBytesMax + 1), '页'.repeat(72)])
    t.throws(() => encodeJob({ lines: [], qr }, encode, true), RangeError);
});

t.test('status bytes as the reference gives them', async (t) => {
  t.same(
    statusKinds.map((kind) => [...askStatus(kind)]),
    [
      [0x10, 0x04, 1],
      [0x10, 0x04, 2],
      [0x10, 0x04, 4],
    ],
  );
  const read = (printer: number, offline: number, paper: number) => readStatus({ printer, offline, paper });
  t.same(read(0x16, 0x12, 0x12), { trouble: null, paperLow: false }, 'the drawer’s pin says nothing of the printer');
  t.same(read(0x12, 0x12, 0x1e), { trouble: null, paperLow: true });
  t.same(read(0x1a, 0x32, 0x7e), { trouble: 'paperOut', paperLow: true });
  t.same(read(0x1a, 0x16, 0x12), { trouble: 'coverOpen', paperLow: false });
  t.same(
    read(0x1a, 0x36, 0x7e),
    { trouble: 'coverOpen', paperLow: true },
    'the cover comes first: paper is put in through it',
  );
  t.same(read(0x1a, 0x52, 0x12), { trouble: 'failed', paperLow: false });
  t.same(read(0x1a, 0x12, 0x12), { trouble: 'failed', paperLow: false }, 'offline without a cause');
  const all = Array.from({ length: 256 }, (_, byte) => byte);
  t.equal(all.filter(isStatusByte).length, 16);
  t.same(
    all.filter((byte) => isStatusByte(byte) && isPrintedByte(byte)),
    [],
    'the two answers are never mixed up',
  );
  t.same([0x00, 0x03, 0x0c, 0x0f].map(saysPaperOut), [false, false, true, true]);
});

t.test('the answer to GS r 1 comes only when all before it is printed', async (t) => {
  const { answers, printer } = fed({ lines, qr: null });
  printer.body.paper = 'out';
  printer.feed(encodeJob({ lines: ['later'], qr: null }, encode, true));
  printer.feed(askWhenPrinted);
  t.same([answers, printer.slips.length], [[], 1]);
  printer.body.paper = 'there';
  printer.goOn();
  t.same([answers, printer.slips.length], [[0], 2]);
});
