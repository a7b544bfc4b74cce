/**
 * Module frames: what passes over an infrared or radio module on a serial line, between the box and a member's device
 * (docs/protocols/phone.md, "Over serial modules"). Byte stuffing (COBS), a check sum, bounds. Pure; must not know an APDU.
 */
import { type Bytes, concat, readUintBE, uintBE } from '../../../terminal/kernel/bytes.js';
import { assert } from '../../../terminal/kernel/result.js';

/** In the order of their numbers, from 1. */
const kinds = ['hello', 'command', 'answer', 'working', 'bye'] as const;
export type ModuleFrameKind = (typeof kinds)[number];

export interface ModuleFrame {
  readonly kind: ModuleFrameKind;
  /** Drawn by the device for each touch of its owner: 0…2^32-1. */
  readonly session: number;
  /** A fragment in commands and answers, else empty. */
  readonly body: Bytes;
}

/** Longest body: a fragment of 60 bytes of content. */
export const moduleBodyBytesMax = 62;
const headBytes = 5;
const checkBytes = 2;
const frameBytesMin = headBytes + checkBytes;
/** Stuffed: one byte more, since a frame is shorter than 254. */
const stuffedBytesMax = frameBytesMin + moduleBodyBytesMax + 1;
const delimiter = 0x00;

/** CRC-16/X-25 (ISO/IEC 13239): reflected polynomial 1021, begun and ended with FFFF; of `123456789` it is 906E. */
export function moduleCheck(bytes: Bytes): number {
  let crc = 0xffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1;
  }
  return crc ^ 0xffff;
}

/** COBS for less than 254 bytes: every zero is replaced by the distance to the next, the first distance in front. */
function stuff(bytes: Bytes): Bytes {
  const stuffed = new Uint8Array(bytes.length + 1);
  let codeAt = 0;
  for (const [at, byte] of bytes.entries()) {
    if (byte === delimiter) {
      stuffed[codeAt] = at + 1 - codeAt;
      codeAt = at + 1;
    } else stuffed[at + 1] = byte;
  }
  stuffed[codeAt] = stuffed.length - codeAt;
  return stuffed;
}

/** Null: not stuffed like that. */
function unstuff(stuffed: Bytes): Bytes | null {
  const bytes = stuffed.slice(1);
  for (let codeAt = 0; codeAt < stuffed.length; ) {
    const distance = stuffed[codeAt] ?? 0;
    if (distance === 0 || codeAt + distance > stuffed.length) return null;
    codeAt += distance;
    if (codeAt < stuffed.length) bytes[codeAt - 1] = delimiter;
  }
  return bytes;
}

/** One frame with its delimiters. */
export function encodeModuleFrame({ body, kind, session }: ModuleFrame): Bytes {
  assert(body.length <= moduleBodyBytesMax, 'a body of at most 62 bytes');
  const content = concat(Uint8Array.of(kinds.indexOf(kind) + 1), uintBE(session, 4), body);
  const framed = stuff(concat(content, uintBE(moduleCheck(content), checkBytes)));
  return concat(Uint8Array.of(delimiter), framed, Uint8Array.of(delimiter));
}

/** A frame without its delimiters; null: noise. */
function decodeModuleFrame(stuffed: Bytes): ModuleFrame | null {
  const framed = unstuff(stuffed);
  if (!framed || framed.length < frameBytesMin) return null;
  const content = framed.subarray(0, -checkBytes);
  if (readUintBE(framed.subarray(-checkBytes)) !== moduleCheck(content)) return null;
  const kind = kinds[(content[0] ?? 0) - 1];
  const body = content.slice(headBytes);
  const carries = kind === 'command' || kind === 'answer';
  if (!kind || (!carries && body.length > 0)) return null;
  return { kind, session: readUintBE(content.subarray(1, headBytes)), body };
}

export interface ModuleStream {
  /** Bytes since the last delimiter; null: too many, all up to the next delimiter is noise. */
  readonly partial: readonly number[] | null;
}
export const emptyStream: ModuleStream = { partial: [] };

/** Takes bytes as they come. @returns whole frames in order, and how much between delimiters was noise */
export function readModuleStream(
  stream: ModuleStream,
  chunk: Bytes,
): { readonly stream: ModuleStream; readonly frames: readonly ModuleFrame[]; readonly noise: number } {
  let partial = stream.partial === null ? null : [...stream.partial];
  const frames: ModuleFrame[] = [];
  let noise = 0;
  for (const byte of chunk) {
    if (byte !== delimiter) {
      if (partial && partial.length >= stuffedBytesMax) partial = null;
      partial?.push(byte);
      continue;
    }
    const frame = partial && partial.length > 0 ? decodeModuleFrame(Uint8Array.from(partial)) : null;
    if (frame) frames.push(frame);
    else if (partial === null || partial.length > 0) noise += 1;
    partial = [];
  }
  return { stream: { partial }, frames, noise };
}
