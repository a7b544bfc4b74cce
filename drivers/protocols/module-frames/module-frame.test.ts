/**
 * Shows that a frame comes back from the line as it was sent, in pieces of every size and with noise around it, and that a
 * frame cut or changed anywhere is never taken. How: vectors, and every truncation and flipped bit.
 */
import fc from 'fast-check';
import t from 'tap';
import { hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { encodeFragments } from '../gatt-messages/fragments.js';
import {
  emptyStream,
  encodeModuleFrame,
  type ModuleFrame,
  moduleBodyBytesMax,
  moduleCheck,
  readModuleStream,
} from './module-frame.js';

const read = (bytes: Uint8Array) => readModuleStream(emptyStream, bytes);
const select = hex('00A4040010F053484F554C49016ADA5AABF979B83A00');
const [fragment = new Uint8Array(0)] = encodeFragments(7, select, moduleBodyBytesMax);
const command: ModuleFrame = { kind: 'command', session: 0x01020304, body: fragment };

t.test('vectors', async (t) => {
  t.equal(moduleCheck(utf8('123456789')), 0x906e);
  const encoded = '00080201020304078003a4041210f053484f554c49016ada5aabf979b83a03258500';
  t.equal(toHex(encodeModuleFrame(command)), encoded);
  t.same(read(hex(encoded)), { stream: { partial: [] }, frames: [command], noise: 0 });
});

const frames = fc.record({
  kind: fc.constantFrom('command' as const, 'answer' as const),
  session: fc.integer({ min: 0, max: 0xffff_ffff }),
  body: fc.uint8Array({ maxLength: moduleBodyBytesMax }),
});

t.test('in pieces of every size, with noise between', async (t) => {
  fc.assert(
    fc.property(
      ...[fc.array(frames, { maxLength: 5 }), fc.uint8Array({ minLength: 1, maxLength: 200 })],
      fc.integer({ min: 1, max: 80 }),
      (sent, noise, pieceBytes) => {
        const bytes = sent.flatMap((frame) => [...noise, ...encodeModuleFrame(frame)]);
        let stream = emptyStream;
        const found: ModuleFrame[] = [];
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          const step = readModuleStream(stream, Uint8Array.from(bytes.slice(at, at + pieceBytes)));
          stream = step.stream;
          found.push(...step.frames);
          t.ok((stream.partial?.length ?? 0) <= 80);
        }
        t.same(found, sent);
      },
    ),
    { numRuns: 200, seed: 20_261_128 },
  );
});

t.test('every truncation, every flipped bit', async (t) => {
  const whole = encodeModuleFrame(command);
  for (let length = 0; length < whole.length - 1; length++) {
    const cut = new Uint8Array([...whole.subarray(0, length), 0]);
    t.same(read(cut).frames, [], `cut to ${length}`);
  }
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const flipped = whole.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const { frames: found } = read(new Uint8Array([...flipped, 0]));
    // A changed delimiter takes nothing away from the frame itself.
    const isDelimiter = bit >> 3 === 0 || bit >> 3 === whole.length - 1;
    t.ok(found.length === 0 || (isDelimiter && toHex(found[0]?.body ?? hex('')) === toHex(fragment)), `bit ${bit}`);
  }
  for (const kind of ['hello', 'working', 'bye'] as const) {
    const frame = { kind, session: 7, body: new Uint8Array(0) };
    t.same(read(encodeModuleFrame(frame)).frames, [frame]);
    t.same(read(encodeModuleFrame({ ...frame, body: Uint8Array.of(1) })).frames, [], `${kind} carries nothing`);
  }
});
