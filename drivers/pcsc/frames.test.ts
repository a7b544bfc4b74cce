/**
 * Shows that the frame codec gives back what went in, however the pipe split it, and that cut, flipped, oversized or
 * foreign bytes end in an error or in a frame that the encoder would have written: never in a throw or an over-read.
 * How: one sample of every frame type, each tried at each split, each truncation and each flipped bit.
 */
import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { concat, equalBytes, hex, utf8 } from '../../terminal/kernel/bytes.js';
import { frameBodyBytesMax, frameTextBytesMax } from '../supervised/frame-codec.js';
import { type Frame, readerFrames } from './frames.js';

const samples: readonly Frame[] = [
  { type: 'ping', nonce: 0xffff_ffff },
  { type: 'transmit', card: 7, exchange: 9, command: hex('00A4040007A0000002471001') },
  { type: 'release', card: 7 },
  { type: 'show', reader: 1, command: hex('FF00400F0400000000') },
  { type: 'escape', reader: 1, commands: [hex('E00000290102'), hex('E0000028010A')] },
  { type: 'escapeFailed', reader: 1, code: 'device.denied', detail: 'not allowed' },
  { type: 'hello', version: 1 },
  { type: 'pong', nonce: 0 },
  { type: 'serviceUp' },
  { type: 'serviceDown', code: 'device.absent', detail: 'pcscd is not running' },
  { type: 'looked' },
  { type: 'readerAdded', reader: 1, name: 'ACS ACR122U PICC Interface 00 00' },
  { type: 'readerRemoved', reader: 1 },
  { type: 'readerFailed', reader: 1, code: 'device.busy', detail: '读卡器忙' },
  { type: 'cardPresented', reader: 1, card: 7, atr: hex('3B80800101') },
  { type: 'cardRemoved', reader: 1, card: 7 },
  { type: 'answer', exchange: 9, answer: hex('6F009000') },
  { type: 'failed', exchange: 9, code: 'device.unsupported', detail: '' },
];

const decodeAll = (...chunks: readonly Uint8Array[]) => {
  const reader = readerFrames.stream();
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    const pushed = reader.push(chunk);
    if (!pushed.ok) return pushed.error;
    frames.push(...pushed.value);
  }
  return frames;
};

t.test('every frame comes back from every split of its bytes, and from none of its truncations', async (t) => {
  const same = (a: unknown, b: unknown) => isDeepStrictEqual(a, b);
  for (const frame of samples) {
    const bytes = readerFrames.encode(frame);
    const misfits: string[] = [];
    for (let at = 0; at <= bytes.length; at++) {
      if (!same(decodeAll(bytes.slice(0, at), bytes.slice(at)), [frame])) misfits.push(`split at ${at}`);
      if (at < bytes.length && !same(decodeAll(bytes.slice(0, at)), [])) misfits.push(`cut at ${at}`);
    }
    t.strictSame(misfits, [], frame.type);
  }
});

t.test('a stream of all frames comes back byte by byte and in one piece', async (t) => {
  const stream = concat(...samples.map(readerFrames.encode));
  t.strictSame(decodeAll(stream), samples);
  t.strictSame(decodeAll(...Array.from(stream, (byte) => new Uint8Array([byte]))), samples);
});

t.test(
  'a flipped bit ends in an error, in waiting for more, or in a frame that encodes to those very bytes',
  async (t) => {
    const tally = { error: 0, waiting: 0, frame: 0 };
    const misfits: string[] = [];
    for (const frame of samples) {
      const bytes = readerFrames.encode(frame);
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const found = decodeAll(flipped);
        if (!Array.isArray(found)) tally.error++;
        else if (found.length === 0) tally.waiting++;
        else {
          tally.frame++;
          const again = concat(...found.map(readerFrames.encode));
          if (!equalBytes(again, flipped.subarray(0, again.length))) misfits.push(`${frame.type}, bit ${bit}`);
        }
      }
    }
    t.strictSame(misfits, []);
    t.ok(tally.error > 0 && tally.waiting > 0 && tally.frame > 0, `all three were met: ${JSON.stringify(tally)}`);
  },
);

t.test('bounds: body, APDU, ATR, text, error code and type', async (t) => {
  const raw = (type: number, body: Uint8Array, length = body.length) =>
    concat(new Uint8Array([length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255, type]), body);
  const code = (bytes: Uint8Array) => {
    const found = decodeAll(bytes);
    return Array.isArray(found) ? 'accepted' : found.code;
  };
  t.equal(
    code(raw(0x02, new Uint8Array(0), 0xffff_ffff)),
    'input.tooLong',
    'a length of 4 GB is refused from its header',
  );
  t.equal(code(raw(0x02, new Uint8Array(0), frameBodyBytesMax + 1)), 'input.tooLong');
  t.equal(code(raw(0x02, new Uint8Array(frameBodyBytesMax))), 'accepted', 'the longest extended APDU passes');
  t.equal(code(raw(0x8a, new Uint8Array(4 + 65_547))), 'input.tooLong', 'an answer over the bound');
  t.equal(code(raw(0x8a, new Uint8Array(4 + 1))), 'input.truncated', 'an answer without a status word');
  t.equal(code(raw(0x88, new Uint8Array(8 + 34))), 'input.tooLong', 'an ATR of 34 bytes');
  t.equal(code(raw(0x85, new Uint8Array(4 + frameTextBytesMax + 1))), 'input.tooLong', 'a name over the bound');
  t.equal(code(raw(0x85, concat(new Uint8Array(4), hex('C3')))), 'input.malformed', 'a name that is not UTF-8');
  t.equal(code(raw(0x83, new Uint8Array([14]))), 'input.outOfRange', 'an unknown error code');
  t.equal(code(raw(0x7f, new Uint8Array(0))), 'input.unsupported', 'an unknown type');
  t.equal(code(raw(0x82, new Uint8Array(1))), 'input.tooLong', 'a byte too many');
  const list = (body: string) => code(raw(0x05, concat(new Uint8Array(4), hex(body))));
  t.equal(list('01E001E0'), 'accepted');
  t.equal(list('01E000'), 'input.malformed', 'an empty command');
  t.equal(list('01E003E0'), 'input.malformed', 'a command that is cut');
  t.equal(list('01E0'.repeat(9)), 'input.malformed', 'more commands than a frame holds');
  t.equal(list(''), 'input.truncated', 'no command at all');
});

t.test('after an error the reader stays in error: there is no frame boundary to trust', async (t) => {
  const reader = readerFrames.stream();
  t.notOk(reader.push(hex('FFFFFFFF01')).ok);
  t.notOk(reader.push(readerFrames.encode({ type: 'looked' })).ok);
});

t.test('a long name is cut before a character, never inside one', async (t) => {
  for (const lead of ['', 'a', 'ab']) {
    const found = decodeAll(readerFrames.encode({ type: 'readerAdded', reader: 1, name: lead + '读'.repeat(400) }));
    const name = Array.isArray(found) && found[0]?.type === 'readerAdded' ? found[0].name : 'no frame';
    t.match(name, /^a?b?读+$/);
    t.ok(utf8(name).length > frameTextBytesMax - 3);
  }
});
