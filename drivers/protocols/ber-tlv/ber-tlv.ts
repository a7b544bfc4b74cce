/**
 * BER-TLV as cards speak it (ISO/IEC 7816-4 §5.2.2, ISO/IEC 8825-1 §8.1): strict, bounded in length, depth and count.
 * Pure. Must not know any tag's meaning, and must not guess: what is not in its shortest form is an error with its offset,
 * unless the caller says that its cards may write so.
 */
import { type Bytes, concat, uintBE } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

export interface Tlv {
  /** All bytes of the tag as one number: 0x50, 0x9F27, 0xDF8129. */
  readonly tag: number;
  /** Where the tag began in the bytes that were decoded. */
  readonly offset: number;
  /** A view, not a copy. */
  readonly value: Bytes;
  /** Of a constructed object (bit 6 of the tag's first byte); empty for a primitive one. */
  readonly children: readonly Tlv[];
}

const tagBytesMax = 3;
const lengthBytesMax = 2;
export const tlvDepthMax = 8;
export const tlvCountMax = 256;

/**
 * strict: tags and lengths in their shortest form, nothing between objects. filled: as bank cards write (EMV Book 3 annex B1):
 * zeros may stand before, between and behind objects, and a length may have more bytes than it needs.
 */
export type TlvForm = 'strict' | 'filled';
interface Course {
  left: number;
  readonly form: TlvForm;
}

/**
 * Decodes all the bytes as objects one after the other; nothing may be left over.
 * @returns the objects, or `input.truncated` (tag, length or value end too early), `input.malformed` (a tag of zeros, an
 * indefinite length, a tag or length not in its shortest form), `input.tooLong` (a tag of more than 3 bytes, a length of more
 * than 65,535, more than 8 levels or 256 objects)
 */
export function decodeTlv(bytes: Bytes, form: TlvForm = 'strict'): Result<readonly Tlv[], DecodeError> {
  return decodeRange(bytes, 0, bytes.length, 1, { left: tlvCountMax, form });
}

function decodeRange(
  bytes: Bytes,
  start: number,
  end: number,
  depth: number,
  course: Course,
): Result<readonly Tlv[], DecodeError> {
  const objects: Tlv[] = [];
  for (let at = start; at < end; ) {
    if (depth > tlvDepthMax) return decodeError('input.tooLong', at, `more than ${tlvDepthMax} levels`);
    if (course.form === 'filled' && bytes[at] === 0) {
      at += 1;
      continue;
    }
    if (course.left-- === 0) return decodeError('input.tooLong', at, `more than ${tlvCountMax} objects`);
    const offset = at;
    const tag = readTag(bytes, at, end);
    if (!tag.ok) return tag;
    const length = readLength(bytes, tag.value.next, end, course.form);
    if (!length.ok) return length;
    const valueAt = length.value.next;
    at = valueAt + length.value.length;
    if (at > end)
      return decodeError('input.truncated', valueAt, `${length.value.length} bytes wanted, ${end - valueAt} left`);
    const isConstructed = ((bytes[offset] ?? 0) & 0x20) !== 0;
    const children = isConstructed ? decodeRange(bytes, valueAt, at, depth + 1, course) : ok([]);
    if (!children.ok) return children;
    objects.push({ tag: tag.value.tag, offset, value: bytes.subarray(valueAt, at), children: children.value });
  }
  return ok(objects);
}

function readTag(bytes: Bytes, at: number, end: number): Result<{ tag: number; next: number }, DecodeError> {
  const first = bytes[at] ?? 0;
  if (first === 0) return decodeError('input.malformed', at, 'a tag of zeros');
  if ((first & 0x1f) !== 0x1f) return ok({ tag: first, next: at + 1 });
  let tag = first;
  for (let next = at + 1; next < end; next++) {
    if (next - at >= tagBytesMax) return decodeError('input.tooLong', at, `a tag of more than ${tagBytesMax} bytes`);
    const byte = bytes[next] ?? 0;
    if (next === at + 1 && byte === 0x80) return decodeError('input.malformed', next, 'a tag with leading zeros');
    tag = tag * 256 + byte;
    if ((byte & 0x80) === 0) return ok({ tag, next: next + 1 });
  }
  return decodeError('input.truncated', at, 'tag');
}

function readLength(
  bytes: Bytes,
  at: number,
  end: number,
  form: TlvForm,
): Result<{ length: number; next: number }, DecodeError> {
  if (at >= end) return decodeError('input.truncated', at, 'length');
  const first = bytes[at] ?? 0;
  if (first < 0x80) return ok({ length: first, next: at + 1 });
  const count = first & 0x7f;
  if (count === 0) return decodeError('input.malformed', at, 'indefinite length');
  if (count > lengthBytesMax) return decodeError('input.tooLong', at, `a length of ${count} bytes`);
  const next = at + 1 + count;
  if (next > end) return decodeError('input.truncated', at, 'length');
  let length = 0;
  for (let i = at + 1; i < next; i++) length = length * 256 + (bytes[i] ?? 0);
  if (form === 'strict' && length < (count === 1 ? 0x80 : 0x100))
    return decodeError('input.malformed', at, 'length not in its shortest form');
  return ok({ length, next });
}

/** The first object of this tag among these, not below them. */
export const findTlv = (objects: readonly Tlv[], tag: number): Tlv | undefined =>
  objects.find((object) => object.tag === tag);

/** One object in its shortest form; `tag` as in Tlv, value at most 65,535 bytes. */
export function encodeTlv(tag: number, value: Bytes): Bytes {
  assert(value.length <= 0xffff, 'a value fits its length');
  const tagBytes = uintBE(tag, tag > 0xffff ? 3 : tag > 0xff ? 2 : 1);
  const { length } = value;
  if (length < 0x80) return concat(tagBytes, uintBE(length, 1), value);
  return length <= 0xff
    ? concat(tagBytes, uintBE(0x81, 1), uintBE(length, 1), value)
    : concat(tagBytes, uintBE(0x82, 1), uintBE(length, 2), value);
}
