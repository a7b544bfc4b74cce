/**
 * A reader process with one card that sends every command back: the shipped frames and pipe, no pcscd.
 */
import { type Frame, readerFrames } from '../../drivers/pcsc/frames.js';
import { openChildEnd } from '../../drivers/supervised/child-end.js';

const box = openChildEnd<Frame>(readerFrames, (frame) => {
  if (frame.type === 'transmit') box.report({ type: 'answer', exchange: frame.exchange, answer: frame.command });
});
box.report({ type: 'serviceUp' });
box.report({ type: 'readerAdded', reader: 1, name: 'Bench Reader 00 00' });
box.report({ type: 'looked' });
box.report({ type: 'cardPresented', reader: 1, card: 1, atr: Uint8Array.of(0x3b, 0x80, 0x80, 0x01, 0x01) });
