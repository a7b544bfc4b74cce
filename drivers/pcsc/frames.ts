/**
 * Frames between the box and its PC/SC child: body length (4 bytes, big-endian), type (1 byte), body. Pure codec.
 * Must keep nothing of what passed through it, and must not accept a frame that its own encoder would not write.
 */

import { ByteReader, type Bytes, concat, decodeUtf8, uintBE, utf8 } from '../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result, unreachable } from '../../terminal/kernel/result.js';
import { apduBytesMax, type DeviceErrorCode } from '../contract/transport.js';

/** What both ends must speak alike; the child names it first. */
export const framesVersion = 1;
const headerBytes = 5;
/** Longest body: a whole extended APDU with its card and exchange numbers. */
export const frameBodyBytesMax = apduBytesMax + 8;
/** Longest name or detail, in bytes of UTF-8; longer ones are cut. */
export const frameTextBytesMax = 400;
/** ISO/IEC 7816-3 §8.2.1: an answer to reset has at most 33 bytes. */
const atrBytesMax = 33;

/** Numbers are unsigned 32-bit. `reader` and `card` are numbered by the child and never used again in its life. */
export type Frame =
  // to the child
  | { readonly type: 'ping'; readonly nonce: number }
  | { readonly type: 'transmit'; readonly card: number; readonly exchange: number; readonly command: Bytes }
  | { readonly type: 'release'; readonly card: number }
  /** A reader's own light or sound: a pseudo-APDU without an answer, dropped when it cannot be sent at once. */
  | { readonly type: 'show'; readonly reader: number; readonly command: Bytes }
  // from the child
  | { readonly type: 'hello'; readonly version: number }
  | { readonly type: 'pong'; readonly nonce: number }
  | { readonly type: 'serviceUp' }
  | { readonly type: 'serviceDown'; readonly code: DeviceErrorCode; readonly detail: string }
  /** The readers that were there at the start have all been named. */
  | { readonly type: 'looked' }
  | { readonly type: 'readerAdded'; readonly reader: number; readonly name: string }
  | { readonly type: 'readerRemoved'; readonly reader: number }
  | { readonly type: 'readerFailed'; readonly reader: number; readonly code: DeviceErrorCode; readonly detail: string }
  | { readonly type: 'cardPresented'; readonly reader: number; readonly card: number; readonly atr: Bytes }
  | { readonly type: 'cardRemoved'; readonly reader: number; readonly card: number }
  | { readonly type: 'answer'; readonly exchange: number; readonly answer: Bytes }
  | { readonly type: 'failed'; readonly exchange: number; readonly code: DeviceErrorCode; readonly detail: string };

/** Type numbers on the wire; commands below 0x80, reports from it. */
const typeNumbers = {
  ping: 0x01,
  transmit: 0x02,
  release: 0x03,
  show: 0x04,
  hello: 0x80,
  pong: 0x81,
  serviceUp: 0x82,
  serviceDown: 0x83,
  looked: 0x84,
  readerAdded: 0x85,
  readerRemoved: 0x86,
  readerFailed: 0x87,
  cardPresented: 0x88,
  cardRemoved: 0x89,
  answer: 0x8a,
  failed: 0x8b,
} as const satisfies Record<Frame['type'], number>;
const typeNames: ReadonlyMap<number, Frame['type']> = new Map(
  Object.entries(typeNumbers).map(([name, number]) => [number, name as Frame['type']]),
);

/** Numbers on the wire are the places in this list. */
const errorCodes = [
  'device.absent',
  'device.busy',
  'device.denied',
  'device.cardRemoved',
  'device.timedOut',
  'device.closed',
  'device.failed',
  'device.unsupported',
] as const satisfies readonly DeviceErrorCode[];

/** @returns the whole frame. The fields must be in range: a violation is a bug of this program. */
export function encodeFrame(frame: Frame): Bytes {
  const [head, tail] = bodyOf(frame);
  const bodyLength = head.length + tail.length;
  assert(bodyLength <= frameBodyBytesMax, 'a frame body within its bound');
  const bytes = new Uint8Array(headerBytes + bodyLength);
  bytes.set(uintBE(bodyLength, 4), 0);
  bytes[4] = typeNumbers[frame.type];
  bytes.set(head, headerBytes);
  bytes.set(tail, headerBytes + head.length);
  return bytes;
}

const nothing = new Uint8Array(0);
const uint32 = (...values: readonly number[]): Bytes =>
  values.length === 1 ? uintBE(values[0] ?? 0, 4) : concat(...values.map((value) => uintBE(value, 4)));

function bodyOf(frame: Frame): readonly [head: Bytes, tail: Bytes] {
  switch (frame.type) {
    case 'ping':
    case 'pong':
      return [uint32(frame.nonce), nothing];
    case 'transmit':
      return [uint32(frame.card, frame.exchange), frame.command];
    case 'release':
      return [uint32(frame.card), nothing];
    case 'show':
      return [uint32(frame.reader), frame.command];
    case 'hello':
      return [uint32(frame.version), nothing];
    case 'serviceUp':
    case 'looked':
      return [nothing, nothing];
    case 'serviceDown':
      return [codeByte(frame.code), text(frame.detail)];
    case 'readerAdded':
      return [uint32(frame.reader), text(frame.name)];
    case 'readerRemoved':
      return [uint32(frame.reader), nothing];
    case 'readerFailed':
      return [concat(uint32(frame.reader), codeByte(frame.code)), text(frame.detail)];
    case 'cardPresented':
      return [uint32(frame.reader, frame.card), frame.atr];
    case 'cardRemoved':
      return [uint32(frame.reader, frame.card), nothing];
    case 'answer':
      return [uint32(frame.exchange), frame.answer];
    case 'failed':
      return [concat(uint32(frame.exchange), codeByte(frame.code)), text(frame.detail)];
    default:
      return unreachable(frame);
  }
}

const codeByte = (code: DeviceErrorCode): Bytes => uintBE(errorCodes.indexOf(code), 1);

function text(value: string): Bytes {
  const bytes = utf8(value);
  if (bytes.length <= frameTextBytesMax) return bytes;
  // Cut before a code point, never inside one: continuation bytes are 10xxxxxx.
  let end = frameTextBytesMax;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** Reads one body. @returns the frame, or input.* with the offset in the body */
export function decodeFrame(typeNumber: number, body: Bytes): Result<Frame, DecodeError> {
  const type = typeNames.get(typeNumber);
  if (type === undefined) return decodeError('input.unsupported', 0, `frame type ${typeNumber}`);
  if (body.length > frameBodyBytesMax) return decodeError('input.tooLong', frameBodyBytesMax, 'frame body');
  const fields = new FieldReader(body);
  const frame = fieldsOf(type, fields);
  const problem = fields.problem ?? fields.leftOver();
  return problem ?? ok(frame);
}

function fieldsOf(type: Frame['type'], from: FieldReader): Frame {
  switch (type) {
    case 'ping':
    case 'pong':
      return { type, nonce: from.uint(4) };
    case 'transmit':
      return { type, card: from.uint(4), exchange: from.uint(4), command: from.rest(4, apduBytesMax) };
    case 'release':
      return { type, card: from.uint(4) };
    case 'show':
      return { type, reader: from.uint(4), command: from.rest(4, apduBytesMax) };
    case 'hello':
      return { type, version: from.uint(4) };
    case 'serviceUp':
    case 'looked':
      return { type };
    case 'serviceDown':
      return { type, code: from.code(), detail: from.text() };
    case 'readerAdded':
      return { type, reader: from.uint(4), name: from.text() };
    case 'readerRemoved':
      return { type, reader: from.uint(4) };
    case 'readerFailed':
      return { type, reader: from.uint(4), code: from.code(), detail: from.text() };
    case 'cardPresented':
      return { type, reader: from.uint(4), card: from.uint(4), atr: from.rest(0, atrBytesMax) };
    case 'cardRemoved':
      return { type, reader: from.uint(4), card: from.uint(4) };
    case 'answer':
      return { type, exchange: from.uint(4), answer: from.rest(2, apduBytesMax) };
    case 'failed':
      return { type, exchange: from.uint(4), code: from.code(), detail: from.text() };
    default:
      return unreachable(type);
  }
}

/** Takes fields and remembers the first thing wrong, so that the table above stays readable; after it, fields are zero. */
class FieldReader {
  readonly #reader: ByteReader;
  problem: { readonly ok: false; readonly error: DecodeError } | null = null;
  constructor(body: Bytes) {
    this.#reader = new ByteReader(body);
  }
  uint(length: number): number {
    const taken = this.#reader.uint(length);
    if (taken.ok) return taken.value;
    this.problem ??= taken;
    return 0;
  }
  code(): DeviceErrorCode {
    const at = this.#reader.offset;
    const code = errorCodes[this.uint(1)];
    if (code === undefined) this.problem ??= decodeError('input.outOfRange', at, 'error code');
    return code ?? 'device.failed';
  }
  rest(min: number, max: number): Bytes {
    const length = this.#reader.remaining;
    if (length < min)
      this.problem ??= decodeError('input.truncated', this.#reader.offset, `${min} bytes wanted, ${length} left`);
    if (length > max)
      this.problem ??= decodeError('input.tooLong', this.#reader.offset + max, `more than ${max} bytes`);
    const taken = this.#reader.take(length);
    // A copy: a slice of a Buffer would keep the whole chunk alive.
    return taken.ok ? new Uint8Array(taken.value) : nothing;
  }
  text(): string {
    const at = this.#reader.offset;
    const decoded = decodeUtf8(this.rest(0, frameTextBytesMax));
    if (!decoded.ok) this.problem ??= decodeError('input.malformed', at, 'not UTF-8');
    return decoded.ok ? decoded.value : '';
  }
  leftOver(): { readonly ok: false; readonly error: DecodeError } | null {
    const rest = this.#reader.remaining;
    return rest === 0 ? null : decodeError('input.tooLong', this.#reader.offset, `${rest} bytes too many`);
  }
}

/**
 * Cuts a byte stream into frames, however it was split. Holds at most one unfinished frame.
 * After an error the stream has no known frame boundary any more: the reader stays in error, and its pipe must be closed.
 */
export class FrameReader {
  #pending: Bytes = nothing;
  #broken: { readonly ok: false; readonly error: DecodeError } | null = null;

  /** @returns the frames that this chunk completed, in order, or input.* with the offset in the unfinished frame */
  push(chunk: Bytes): Result<readonly Frame[], DecodeError> {
    if (this.#broken) return this.#broken;
    const stream = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    const frames: Frame[] = [];
    let at = 0;
    while (stream.length - at >= headerBytes) {
      const length =
        (stream[at] ?? 0) * 2 ** 24 +
        ((stream[at + 1] ?? 0) << 16) +
        ((stream[at + 2] ?? 0) << 8) +
        (stream[at + 3] ?? 0);
      if (length > frameBodyBytesMax) return this.#break(decodeError('input.tooLong', 0, `a body of ${length} bytes`));
      if (stream.length - at < headerBytes + length) break;
      const frame = decodeFrame(stream[at + 4] ?? 0, stream.subarray(at + headerBytes, at + headerBytes + length));
      if (!frame.ok) return this.#break(frame);
      frames.push(frame.value);
      at += headerBytes + length;
    }
    this.#pending = at === stream.length ? nothing : new Uint8Array(stream.subarray(at));
    return ok(frames);
  }

  #break(problem: { readonly ok: false; readonly error: DecodeError }): {
    readonly ok: false;
    readonly error: DecodeError;
  } {
    this.#pending = nothing;
    this.#broken = problem;
    return problem;
  }
}
