/**
 * A reader process with one card that sends every command back: the shipped frames on file descriptor 3, no pcscd.
 */
import { Socket } from 'node:net';
import { encodeFrame, FrameReader, framesVersion } from '../../drivers/pcsc/frames.js';

const pipe = new Socket({ fd: 3, readable: true, writable: true });
const reader = new FrameReader();
pipe.on('end', () => process.exit(0));
pipe.on('data', (chunk) => {
  const frames = reader.push(chunk);
  if (!frames.ok) process.exit(1);
  for (const frame of frames.value) {
    if (frame.type === 'ping') pipe.write(encodeFrame({ type: 'pong', nonce: frame.nonce }));
    if (frame.type === 'transmit')
      pipe.write(encodeFrame({ type: 'answer', exchange: frame.exchange, answer: frame.command }));
  }
});
pipe.write(encodeFrame({ type: 'hello', version: framesVersion }));
pipe.write(encodeFrame({ type: 'serviceUp' }));
pipe.write(encodeFrame({ type: 'readerAdded', reader: 1, name: 'Bench Reader 00 00' }));
pipe.write(encodeFrame({ type: 'looked' }));
pipe.write(
  encodeFrame({ type: 'cardPresented', reader: 1, card: 1, atr: Uint8Array.of(0x3b, 0x80, 0x80, 0x01, 0x01) }),
);
