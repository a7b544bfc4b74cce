/**
 * The alphabets of short messages: the GSM 7-bit default alphabet with its extension, and UCS-2 (3GPP TS 23.038 §6.2).
 * Pure. Must not know how long a message may be.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** §6.2.1: the character of each septet; 1B leads into the extension. */
const basic =
  '@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !"#¤%&\'()*+,-./0123456789:;<=>?' +
  '¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà';
const lead = 0x1b;
/** §6.2.1.1: septets behind 1B, and what they mean. */
const extension: readonly (readonly [number, string])[] = [
  [0x0a, '\f'],
  [0x14, '^'],
  [0x28, '{'],
  [0x29, '}'],
  [0x2f, '\\'],
  [0x3c, '['],
  [0x3d, '~'],
  [0x3e, ']'],
  [0x40, '|'],
  [0x65, '€'],
];

/** The septets of one character, one or two; null: the alphabet does not have it. */
export function septetsOf(character: string): readonly number[] | null {
  const at = character === '\x1b' ? -1 : basic.indexOf(character);
  if (at >= 0 && character.length === 1) return [at];
  const extended = extension.find(([, text]) => text === character);
  return extended ? [lead, extended[0]] : null;
}

/**
 * Text of septets, one a byte. A code behind 1B that the extension lacks reads as in the basic table, as §6.2.1.1 says of
 * receivers; a second or a last 1B is a blank. `input.outOfRange` where a byte is above 7F.
 */
export function decodeSeptets(septets: Bytes): Result<string, DecodeError> {
  let text = '';
  let escaped = false;
  for (const [at, septet] of septets.entries()) {
    if (septet > 0x7f) return decodeError('input.outOfRange', at, 'not a septet');
    if (septet === lead && !escaped) {
      escaped = true;
      continue;
    }
    const extended = escaped ? extension.find(([code]) => code === septet)?.[1] : undefined;
    text += septet === lead ? ' ' : (extended ?? basic.charAt(septet));
    escaped = false;
  }
  return ok(escaped ? `${text} ` : text);
}

/**
 * Packs septets into octets, the first bit of each at the lowest free place (§6.1.2.1.1), behind `fillBits` (0…6) zero bits.
 */
export function packSeptets(septets: Bytes, fillBits: number): Bytes {
  assert(fillBits >= 0 && fillBits <= 6, 'fill bits');
  const packed = new Uint8Array(Math.ceil((fillBits + 7 * septets.length) / 8));
  for (const [i, septet] of septets.entries()) {
    const bit = fillBits + 7 * i;
    const at = bit >> 3;
    const wide = septet << (bit & 7);
    packed[at] = (packed[at] ?? 0) | (wide & 0xff);
    if (wide > 0xff) packed[at + 1] = (packed[at + 1] ?? 0) | (wide >> 8);
  }
  return packed;
}

/** Takes `count` septets out of octets, behind `fillBits` (0…6) bits. `input.truncated` where there are fewer. */
export function unpackSeptets(packed: Bytes, count: number, fillBits: number): Result<Bytes, DecodeError> {
  assert(fillBits >= 0 && fillBits <= 6 && count >= 0, 'fill bits and count');
  if (Math.ceil((fillBits + 7 * count) / 8) > packed.length)
    return decodeError('input.truncated', packed.length, `${count} septets`);
  const septets = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const bit = fillBits + 7 * i;
    const at = bit >> 3;
    const wide = (packed[at] ?? 0) | ((packed[at + 1] ?? 0) << 8);
    septets[i] = (wide >> (bit & 7)) & 0x7f;
  }
  return ok(septets);
}

/** UCS-2, written as UTF-16 with the high byte first. */
export function encodeUcs2(text: string): Bytes {
  const bytes = new Uint8Array(2 * text.length);
  for (let i = 0; i < text.length; i++) {
    bytes[2 * i] = text.charCodeAt(i) >> 8;
    bytes[2 * i + 1] = text.charCodeAt(i) & 0xff;
  }
  return bytes;
}

/** Text of UCS-2, surrogate pairs as they are; `input.malformed` where a byte is left over. */
export function decodeUcs2(bytes: Bytes): Result<string, DecodeError> {
  if (bytes.length % 2 !== 0) return decodeError('input.malformed', bytes.length, 'half a character');
  let text = '';
  for (let i = 0; i < bytes.length; i += 2) text += String.fromCharCode(((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0));
  return ok(text);
}
