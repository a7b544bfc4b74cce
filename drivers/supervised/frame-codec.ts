/**
 * Frames between the box and a supervised child process: body length (4 bytes, big-endian), type (1 byte), body. Pure: a
 * bus gives rows of types and fields, this gives the codec. Must keep nothing of what passed through it, and must not
 * accept a frame that its own encoder would not write.
 */
import { ByteReader, type Bytes, concat, decodeUtf8, uintBE, utf8 } from '../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../terminal/kernel/result.js';
import { apduBytesMax, type DeviceErrorCode } from '../contract/transport.js';

const headerBytes = 5;
/** Longest body: a whole extended APDU with two numbers. */
export const frameBodyBytesMax = apduBytesMax + 8;
/** Longest name or detail, in bytes of UTF-8; longer ones are cut. */
export const frameTextBytesMax = 400;

type Problem = { readonly ok: false; readonly error: DecodeError };

/** One field of a frame's body. `bytes` and `text` take all that is left and so come last. */
export interface Field<T> {
  readonly write: (value: T) => Bytes;
  readonly read: (from: FieldReader) => T;
}

/** Unsigned 32-bit, big-endian. */
export const uint32: Field<number> = { write: (value) => uintBE(value, 4), read: (from) => from.uint(4) };
/** 0…255. */
export const uint8: Field<number> = { write: (value) => uintBE(value, 1), read: (from) => from.uint(1) };
/** Text of at most frameTextBytesMax bytes. */
export const text: Field<string> = { write: cutText, read: (from) => from.text() };
/** Whatever is left, of so many bytes. */
export const bytes = (min: number, max: number): Field<Bytes> => ({
  write: (value) => value,
  read: (from) => from.rest(min, max),
});
/** 1…countMax strings of 1…255 bytes, each with its length before it: whatever is left. */
export const byteStrings = (countMax: number): Field<readonly Bytes[]> => ({
  write: (values) => concat(...values.flatMap((value) => [uintBE(value.length, 1), value])),
  read: (from) => from.strings(countMax),
});
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
  'device.driverMissing',
  'device.paperOut',
  'device.coverOpen',
  'device.wrongSlot',
  'device.keysSpent',
  'device.keyReused',
] as const satisfies readonly DeviceErrorCode[];
export const errorCode: Field<DeviceErrorCode> = {
  write: (value) => uintBE(errorCodes.indexOf(value), 1),
  read: (from) => from.code(),
};

function cutText(value: string): Bytes {
  const encoded = utf8(value);
  if (encoded.length <= frameTextBytesMax) return encoded;
  // Cut before a code point, never inside one: continuation bytes are 10xxxxxx.
  let end = frameTextBytesMax;
  while (((encoded[end] ?? 0) & 0xc0) === 0x80) end--;
  return encoded.subarray(0, end);
}

interface AnyField {
  readonly write: (value: never) => Bytes;
  readonly read: (from: FieldReader) => unknown;
}
/** Type number on the wire (commands below 0x80, reports from it) and fields in their order. */
type FrameRow = readonly [number: number, fields: Readonly<Record<string, AnyField>>];
type FrameRows = Readonly<Record<string, FrameRow>>;

/** The union of all frames of these rows. */
export type FrameOf<Rows extends FrameRows> = {
  [Type in keyof Rows & string]: { readonly type: Type } & {
    readonly [Name in keyof Rows[Type][1]]: ReturnType<Rows[Type][1][Name]['read']>;
  };
}[keyof Rows & string];

/** What every child speaks besides its own frames. */
export const lifeRows = {
  ping: [0x01, { nonce: uint32 }],
  /** The child names the version of its frames first. */
  hello: [0x80, { version: uint32 }],
  pong: [0x81, { nonce: uint32 }],
  /** What the child serves is not there; it may go on looking or be about to end. */
  serviceDown: [0x83, { code: errorCode, detail: text }],
} as const satisfies FrameRows;
export type LifeFrame = FrameOf<typeof lifeRows>;

export interface FrameStream<Frame> {
  /** @returns the frames that this chunk completed, in order, or input.* with the offset in the unfinished frame */
  push(chunk: Bytes): Result<readonly Frame[], DecodeError>;
}

export interface FrameCodec<Frame> {
  readonly version: number;
  /** @returns the whole frame. The fields must be in range: a violation is a bug of this program. */
  encode(frame: Frame): Bytes;
  /** Cuts a byte stream into frames, however it was split. */
  stream(): FrameStream<Frame>;
}

/** @param version what both ends must speak alike */
export function frameCodec<Rows extends FrameRows>(version: number, rows: Rows): FrameCodec<FrameOf<Rows>> {
  type Frame = FrameOf<Rows>;
  const byNumber = new Map(Object.entries(rows).map(([type, [number, fields]]) => [number, { type, fields }]));

  function encode(frame: Frame): Bytes {
    const [number, fields] = rows[frame.type] ?? [0, {}];
    const values = frame as unknown as Readonly<Record<string, never>>;
    const parts = Object.entries(fields).map(([name, field]) => field.write(values[name] as never));
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    assert(length <= frameBodyBytesMax, 'a frame body within its bound');
    return concat(uintBE(length, 4), uintBE(number, 1), ...parts);
  }

  function decode(number: number, body: Bytes): Result<Frame, DecodeError> {
    const row = byNumber.get(number);
    if (!row) return decodeError('input.unsupported', 0, `frame type ${number}`);
    const from = new FieldReader(body);
    const frame: Record<string, unknown> = { type: row.type };
    for (const [name, field] of Object.entries(row.fields)) frame[name] = field.read(from);
    return from.problem ?? from.leftOver() ?? ok(frame as unknown as Frame);
  }

  return { version, encode, stream: () => new StreamCutter(decode) };
}

/** Takes fields and remembers the first thing wrong; after it, fields are zero. */
class FieldReader {
  readonly #reader: ByteReader;
  problem: Problem | null = null;
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
    return taken.ok ? new Uint8Array(taken.value) : new Uint8Array(0);
  }
  strings(countMax: number): readonly Bytes[] {
    const at = this.#reader.offset;
    const all = this.rest(2, countMax * 256);
    const values: Bytes[] = [];
    for (let next = 0; next < all.length; ) {
      const length = all[next] ?? 0;
      const value = all.slice(next + 1, next + 1 + length);
      if (length === 0 || value.length < length || values.length === countMax) {
        this.problem ??= decodeError('input.malformed', at + next, 'a list of byte strings');
        return [];
      }
      values.push(value);
      next += 1 + length;
    }
    return values;
  }
  text(): string {
    const at = this.#reader.offset;
    const decoded = decodeUtf8(this.rest(0, frameTextBytesMax));
    if (!decoded.ok) this.problem ??= decodeError('input.malformed', at, 'not UTF-8');
    return decoded.ok ? decoded.value : '';
  }
  leftOver(): Problem | null {
    const rest = this.#reader.remaining;
    return rest === 0 ? null : decodeError('input.tooLong', this.#reader.offset, `${rest} bytes too many`);
  }
}

/**
 * Holds at most one unfinished frame. After an error the stream has no known frame boundary any more: it stays in error,
 * and its pipe must be closed.
 */
class StreamCutter<Frame> implements FrameStream<Frame> {
  #pending: Bytes = new Uint8Array(0);
  #broken: Problem | null = null;
  constructor(private readonly decode: (number: number, body: Bytes) => Result<Frame, DecodeError>) {}

  push(chunk: Bytes): Result<readonly Frame[], DecodeError> {
    if (this.#broken) return this.#broken;
    const stream = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    const frames: Frame[] = [];
    let at = 0;
    while (stream.length - at >= headerBytes) {
      const header = new ByteReader(stream.subarray(at, at + headerBytes));
      const length = header.uint(4);
      const number = header.uint(1);
      if (!length.ok || !number.ok) break;
      if (length.value > frameBodyBytesMax)
        return this.#break(decodeError('input.tooLong', 0, `a body of ${length.value} bytes`));
      const bodyAt = at + headerBytes;
      if (stream.length - bodyAt < length.value) break;
      const frame = this.decode(number.value, stream.subarray(bodyAt, bodyAt + length.value));
      if (!frame.ok) return this.#break(frame);
      frames.push(frame.value);
      at = bodyAt + length.value;
    }
    this.#pending = at === stream.length ? new Uint8Array(0) : new Uint8Array(stream.subarray(at));
    return ok(frames);
  }

  #break(problem: Problem): Problem {
    this.#pending = new Uint8Array(0);
    this.#broken = problem;
    return problem;
  }
}
