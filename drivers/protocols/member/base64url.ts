/**
 * Base64 with the URL alphabet and without padding (RFC 4648 §5), strict: one text for each byte string.
 * Must not know what the bytes mean.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** ceil(4n ÷ 3) characters for n bytes. */
export function encodeBase64Url(bytes: Bytes): string {
  let text = '';
  let bits = 0;
  let bitCount = 0;
  for (const byte of bytes) {
    bits = ((bits << 8) | byte) & 0xffff;
    bitCount += 8;
    while (bitCount >= 6) {
      bitCount -= 6;
      text += alphabet.charAt((bits >> bitCount) & 63);
    }
  }
  return bitCount === 0 ? text : text + alphabet.charAt((bits << (6 - bitCount)) & 63);
}

/**
 * Reads exactly `length` bytes. Unused bits of the last character must be zero, so that no second text means the same.
 * @returns the bytes, or `input.truncated`, `input.tooLong`, `input.malformed` with the offset in characters
 */
export function decodeBase64Url(text: string, length: number): Result<Bytes, DecodeError> {
  const expected = Math.ceil((length * 4) / 3);
  if (text.length < expected) return decodeError('input.truncated', text.length, `${expected} characters wanted`);
  if (text.length > expected) return decodeError('input.tooLong', expected, `${expected} characters wanted`);
  const bytes = new Uint8Array(length);
  let bits = 0;
  let bitCount = 0;
  let filled = 0;
  for (let at = 0; at < text.length; at++) {
    const value = alphabet.indexOf(text.charAt(at));
    if (value < 0) return decodeError('input.malformed', at, 'not a character of the URL alphabet');
    bits = ((bits << 6) | value) & 0xffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[filled++] = (bits >> bitCount) & 0xff;
    }
  }
  if ((bits & ((1 << bitCount) - 1)) !== 0)
    return decodeError('input.malformed', text.length - 1, 'unused bits are set');
  return ok(bytes);
}
