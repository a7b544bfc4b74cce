/**
 * GET PROCESSING OPTIONS (EMV Book 3 §6.5.8): the list of what an application wants to know, filled, and where its records are.
 * No transaction is begun: no amount is said and no cryptogram is asked for. Pure.
 */
import { type Bytes, concat, hex } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeTlv, encodeTlv, findTlv } from '../ber-tlv/ber-tlv.js';

/** Longest list with its values: a short command with its template around them. */
const listedBytesMax = 252;
const commandTemplate = 0x83;
const answer = { bare: 0x80, constructed: 0x77, profile: 0x82, locator: 0x94 } as const;

interface Known {
  readonly value: Bytes;
  /** Stands at the right of its field and is filled with zeros before it (format n); else at the left. */
  readonly isNumeric: boolean;
}
/**
 * The few things that are true of this terminal; zeros for everything else, as for a tag that a terminal does not know (Book 3
 * §5.4): no amount, no date, no random number.
 */
const knownValues: Readonly<Record<number, Known>> = {
  40730: { value: hex('0156'), isNumeric: true }, // country: China
  24362: { value: hex('0156'), isNumeric: true }, // currency: CNY
  40757: { value: hex('22'), isNumeric: true }, // attended, merchant's, may go online
  40755: { value: hex('200000'), isNumeric: false }, // reads chips with contacts; verifies nobody, proves nothing
};

/**
 * @param list the processing options data object list (tags and lengths), or null: the application has none
 * @returns the command's data, or `input.truncated`, `input.malformed` (a tag of zeros), `input.tooLong` (more than 252 bytes wanted)
 */
export function fillOptions(list: Bytes | null): Result<Bytes, DecodeError> {
  const values: Bytes[] = [];
  let total = 0;
  for (let at = 0; list !== null && at < list.length; ) {
    const first = list[at] ?? 0;
    if (first === 0) return decodeError('input.malformed', at, 'a tag of zeros');
    let tag = first;
    let next = at + 1;
    if ((first & 0x1f) === 0x1f) {
      let byte: number | undefined;
      do {
        byte = list[next++];
        if (byte === undefined) return decodeError('input.truncated', at, 'tag');
        tag = tag * 256 + byte;
      } while ((byte & 0x80) !== 0 && next - at < 3);
      if ((byte & 0x80) !== 0) return decodeError('input.tooLong', at, 'a tag of more than 3 bytes');
    }
    const length = list[next];
    if (length === undefined) return decodeError('input.truncated', next, 'length');
    total += length;
    if (total > listedBytesMax) return decodeError('input.tooLong', next, `more than ${listedBytesMax} bytes wanted`);
    values.push(fitted(knownValues[tag], length));
    at = next + 1;
  }
  return ok(encodeTlv(commandTemplate, concat(...values)));
}

function fitted(known: Known | undefined, length: number): Bytes {
  const field = new Uint8Array(length);
  if (!known) return field;
  const { value, isNumeric } = known;
  if (isNumeric) field.set(value.subarray(Math.max(0, value.length - length)), Math.max(0, length - value.length));
  else field.set(value.subarray(0, length));
  return field;
}

/** Records of one file that are to be read, first to last. */
export interface RecordRange {
  /** 1…30. */
  readonly file: number;
  readonly first: number;
  readonly last: number;
}

/**
 * Where the records are, out of an answer in either form: template 80 (profile and locator, bare) or 77 (both as objects).
 * @returns the ranges in their order, or `input.…`: a locator whose length is no multiple of 4 or 0, a file or record out of range
 */
export function decodeOptions(data: Bytes): Result<readonly RecordRange[], DecodeError> {
  const decoded = decodeTlv(data, 'filled');
  if (!decoded.ok) return decoded;
  const [only, more] = decoded.value;
  if (!only) return decodeError('input.truncated', 0, 'no template');
  if (more) return decodeError('input.tooLong', more.offset, 'more than one template');
  if (only.tag === answer.bare) {
    if (only.value.length < 2) return decodeError('input.truncated', only.offset, 'profile');
    return decodeLocator(only.value.subarray(2));
  }
  if (only.tag !== answer.constructed) return decodeError('input.malformed', only.offset, 'another template');
  const profile = findTlv(only.children, answer.profile);
  const locator = findTlv(only.children, answer.locator);
  if (profile?.value.length !== 2) return decodeError('input.malformed', only.offset, 'profile');
  if (!locator) return decodeError('input.malformed', only.offset, 'no file locator');
  return decodeLocator(locator.value);
}

/** Book 3 §10.2: file in the upper 5 bits, first record, last record, how many of them are signed. */
function decodeLocator(bytes: Bytes): Result<readonly RecordRange[], DecodeError> {
  if (bytes.length === 0 || bytes.length % 4 !== 0)
    return decodeError('input.malformed', 0, `a file locator of ${bytes.length} bytes`);
  const ranges: RecordRange[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    const [named = 0, first = 0, last = 0, signed = 0] = bytes.subarray(at, at + 4);
    const file = named >> 3;
    if ((named & 7) !== 0 || file === 0 || file === 31) return decodeError('input.outOfRange', at, 'file');
    if (first === 0 || last < first) return decodeError('input.outOfRange', at + 1, 'records');
    if (signed > last - first + 1) return decodeError('input.outOfRange', at + 3, 'signed records');
    ranges.push({ file, first, last });
  }
  return ok(ranges);
}
