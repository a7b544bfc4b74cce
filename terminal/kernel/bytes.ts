/**
 * Bytes: hex, big-endian integers, joining and a bounds-checked reader, on Uint8Array alone.
 * Must not know any protocol, and must not read past an end.
 */
import { assert, type DecodeError, decodeError, ok, type Result } from './result.js';

export type Bytes = Uint8Array;

/** Each byte's two digits. */
const hexPairs: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Bytes): string {
  let text = '';
  for (let at = 0; at < bytes.length; at++) text += hexPairs[bytes[at] ?? 0];
  return text;
}

/** The value of an ASCII hex digit's code, or −1. */
function nibble(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Reads pairs of hex digits, either case, nothing between them. @returns bytes or `input.malformed` with the offset in characters. */
export function decodeHex(text: string): Result<Bytes, DecodeError> {
  if (text.length % 2 !== 0) return decodeError('input.malformed', text.length, 'odd number of hex digits');
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = nibble(text.charCodeAt(2 * i));
    const low = nibble(text.charCodeAt(2 * i + 1));
    if (high < 0 || low < 0) return decodeError('input.malformed', 2 * i, 'not a hex digit');
    bytes[i] = high * 16 + low;
  }
  return ok(bytes);
}

/** Hex that the program itself wrote (a constant, its own database). Throws on anything else: that is a bug. */
export function hex(text: string): Bytes {
  const decoded = decodeHex(text);
  assert(decoded.ok, `hex constant ${text.slice(0, 16)}`);
  return decoded.value;
}

export function concat(...parts: readonly Bytes[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
export const utf8 = (text: string): Bytes => encoder.encode(text);
/** Text of valid UTF-8; `input.malformed` when it is not. */
export function decodeUtf8(bytes: Bytes): Result<string, DecodeError> {
  try {
    return ok(decoder.decode(bytes));
  } catch {
    return decodeError('input.malformed', 0, 'not UTF-8');
  }
}

/** Compares without leaving early; lengths are not secret. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

/** Writes an unsigned integer big-endian into `length` bytes (1…6). The value must fit: the caller has checked it. */
export function uintBE(value: number, length: number): Bytes {
  assert(Number.isSafeInteger(value) && value >= 0 && value < 2 ** (8 * length), `${value} fits ${length} bytes`);
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let i = length - 1; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** Reads an unsigned big-endian integer of all bytes given (1…6). */
export function readUintBE(bytes: Bytes): number {
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return value;
}

/** Takes fields off the front of a buffer; every read is checked, and errors carry the offset where the read began. */
export class ByteReader {
  #at = 0;
  constructor(private readonly source: Bytes) {}
  get offset(): number {
    return this.#at;
  }
  get remaining(): number {
    return this.source.length - this.#at;
  }
  /** The next `length` bytes (a view, not a copy), or `input.truncated`. */
  take(length: number): Result<Bytes, DecodeError> {
    if (length > this.remaining)
      return decodeError('input.truncated', this.#at, `${length} bytes wanted, ${this.remaining} left`);
    const taken = this.source.subarray(this.#at, this.#at + length);
    this.#at += length;
    return ok(taken);
  }
  /** An unsigned big-endian integer of `length` bytes (1…6), or `input.truncated`. */
  uint(length: number): Result<number, DecodeError> {
    const taken = this.take(length);
    return taken.ok ? ok(readUintBE(taken.value)) : taken;
  }
}
