/**
 * Parts of a message: cuts a text into short messages under a concatenation header and reads such headers
 * (3GPP TS 23.040 §9.2.3.24.1 and .8). Pure. Must not know how a part is carried.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { encodeUcs2, septetsOf } from './alphabet.js';

/** A text of 1,000 characters has at most so many parts in either alphabet; more are refused, out and in. */
export const partsMax = 16;
const singleSeptets = 160;
const partSeptets = 153;
const singleUcs2 = 70;
const partUcs2 = 67;

export type Coding = 'gsm7' | 'ucs2';
export interface SmsPart {
  readonly coding: Coding;
  /** The user data header with its length byte; empty for a message of one part. */
  readonly header: Bytes;
  /** Septets, one a byte, or UCS-2 bytes. */
  readonly body: Bytes;
}

/**
 * Cuts a text into parts, in GSM 7-bit where every character is in it, else in UCS-2; no character is torn.
 * @param reference 0…255, the same for all parts. `input.tooLong` above partsMax parts, `input.truncated` without text.
 */
export function splitText(text: string, reference: number): Result<readonly SmsPart[], DecodeError> {
  assert(Number.isInteger(reference) && reference >= 0 && reference <= 255, 'reference in one byte');
  if (text === '') return decodeError('input.truncated', 0, 'no text');
  const characters = [...text];
  const septets = characters.map(septetsOf);
  const coding: Coding = septets.includes(null) ? 'ucs2' : 'gsm7';
  const units =
    coding === 'gsm7' ? septets.map((each) => Uint8Array.from(each ?? [])) : characters.map((each) => encodeUcs2(each));
  const [single, each] = coding === 'gsm7' ? [singleSeptets, partSeptets] : [2 * singleUcs2, 2 * partUcs2];
  const whole = concat(...units);
  if (whole.length <= single) return ok([{ coding, header: new Uint8Array(0), body: whole }]);
  const bodies: Bytes[] = [];
  let waiting: Bytes[] = [];
  let length = 0;
  for (const unit of units) {
    if (length + unit.length > each) {
      bodies.push(concat(...waiting));
      waiting = [];
      length = 0;
    }
    waiting.push(unit);
    length += unit.length;
  }
  bodies.push(concat(...waiting));
  if (bodies.length > partsMax) return decodeError('input.tooLong', 0, `${bodies.length} parts`);
  return ok(
    bodies.map((body, i) => ({
      coding,
      header: Uint8Array.of(5, 0x00, 3, reference, bodies.length, i + 1),
      body,
    })),
  );
}

/** Which part of which message this is. */
export interface PartPlace {
  /** 0…65535. */
  readonly reference: number;
  readonly total: number;
  /** 1…total. */
  readonly sequence: number;
}

/**
 * Reads the user data header that `data` begins with. A place without sense (part 3 of 2) is none, as §9.2.3.24.1 says.
 * @returns how many bytes it takes and the place; `input.truncated`, `input.malformed`, or `input.tooLong` above partsMax
 */
export function readHeader(data: Bytes): Result<{ length: number; place: PartPlace | null }, DecodeError> {
  const headerLength = data[0];
  if (headerLength === undefined || data.length < 1 + headerLength)
    return decodeError('input.truncated', data.length, 'user data header');
  let place: PartPlace | null = null;
  for (let at = 1; at < 1 + headerLength; ) {
    const [kind = 0, length] = [data[at], data[at + 1]];
    if (at + 1 > headerLength || length === undefined || at + 2 + length > 1 + headerLength)
      return decodeError('input.malformed', at, 'header element');
    const value = data.subarray(at + 2, at + 2 + length);
    if (kind === 0x00 || kind === 0x08) {
      const wide = kind === 0x08 ? 1 : 0;
      if (length !== 3 + wide) return decodeError('input.malformed', at, 'concatenation element');
      const [total = 0, sequence = 0] = value.subarray(1 + wide);
      if (total > partsMax) return decodeError('input.tooLong', at, `${total} parts`);
      const reference = wide ? ((value[0] ?? 0) << 8) | (value[1] ?? 0) : (value[0] ?? 0);
      if (sequence >= 1 && sequence <= total) place = { reference, total, sequence };
    }
    at += 2 + length;
  }
  return ok({ length: 1 + headerLength, place });
}
