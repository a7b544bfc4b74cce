/**
 * The frames between the box and its PC/SC child, as rows. Numbers are unsigned 32-bit; `reader` and `card` are numbered
 * by the child and never used again in its life.
 */
import { apduBytesMax } from '../contract/transport.js';
import {
  byteStrings,
  bytes,
  errorCode,
  type FrameOf,
  frameCodec,
  lifeRows,
  text,
  uint32,
} from '../supervised/frame-codec.js';

/** ISO/IEC 7816-3 §8.2.1: an answer to reset has at most 33 bytes. */
const atr = bytes(0, 33);
const command = bytes(4, apduBytesMax);
/** Escape commands in one frame. */
export const escapesMax = 8;

const rows = {
  ...lifeRows,
  // to the child
  transmit: [0x02, { card: uint32, exchange: uint32, command }],
  release: [0x03, { card: uint32 }],
  /** A reader's own light or sound: a pseudo-APDU without an answer, dropped when it cannot be sent at once. */
  show: [0x04, { reader: uint32, command }],
  /** A reader's own commands by PC_to_RDR_Escape, in order, with or without a card; dropped when the reader is at work. */
  escape: [0x05, { reader: uint32, commands: byteStrings(escapesMax) }],
  // from the child
  serviceUp: [0x82, {}],
  /** The readers that were there at the start have all been named. */
  looked: [0x84, {}],
  readerAdded: [0x85, { reader: uint32, name: text }],
  readerRemoved: [0x86, { reader: uint32 }],
  readerFailed: [0x87, { reader: uint32, code: errorCode, detail: text }],
  cardPresented: [0x88, { reader: uint32, card: uint32, atr }],
  cardRemoved: [0x89, { reader: uint32, card: uint32 }],
  answer: [0x8a, { exchange: uint32, answer: bytes(2, apduBytesMax) }],
  failed: [0x8b, { exchange: uint32, code: errorCode, detail: text }],
  /** The reader or its driver takes no escape command. */
  escapeFailed: [0x8c, { reader: uint32, code: errorCode, detail: text }],
} as const;

export type Frame = FrameOf<typeof rows>;
export const readerFrames = frameCodec(1, rows);
