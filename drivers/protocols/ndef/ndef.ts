/**
 * NDEF messages (NFC Forum NDEF 1.0 §3): records read strictly and within bounds, and written.
 * Pure. Must not know what a record's type means. Chunked records are refused: no tag or phone here needs them.
 */
import { type Bytes, concat, uintBE } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

export interface NdefRecord {
  /** Type name format: 0 empty, 1 well-known, 2 media, 3 absolute URI, 4 external, 5 unknown. */
  readonly tnf: number;
  /** Views, not copies. */
  readonly type: Bytes;
  readonly id: Bytes;
  readonly payload: Bytes;
}

export const ndefRecordsMax = 64;
const flag = { begin: 0x80, end: 0x40, chunked: 0x20, short: 0x10, hasId: 0x08 } as const;
const tnfBits = 0x07;
const tnf = { empty: 0, unknown: 5, unchanged: 6, reserved: 7 } as const;

/**
 * Decodes one message; it must begin and end with its bytes.
 * @returns at least one record, or `input.truncated` (a record ends too early, or the last one is not marked as the end),
 * `input.malformed` (flags, lengths or type against the rules, bytes behind the end), `input.unsupported` (chunks),
 * `input.tooLong` (more than 64 records)
 */
export function decodeNdef(bytes: Bytes): Result<readonly NdefRecord[], DecodeError> {
  const records: NdefRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (records.length === ndefRecordsMax)
      return decodeError('input.tooLong', at, `more than ${ndefRecordsMax} records`);
    const read = decodeRecord(bytes, at, records.length === 0);
    if (!read.ok) return read;
    records.push(read.value.record);
    at = read.value.next;
    if (!read.value.isLast) continue;
    return at === bytes.length ? ok(records) : decodeError('input.malformed', at, 'bytes behind the last record');
  }
  return decodeError('input.truncated', bytes.length, 'the message has no end');
}

interface RecordRead {
  readonly record: NdefRecord;
  readonly next: number;
  readonly isLast: boolean;
}

function decodeRecord(bytes: Bytes, start: number, isFirst: boolean): Result<RecordRead, DecodeError> {
  const header = bytes[start] ?? 0;
  const format = header & tnfBits;
  if (((header & flag.begin) !== 0) !== isFirst) return decodeError('input.malformed', start, 'message begin flag');
  if ((header & flag.chunked) !== 0 || format === tnf.unchanged)
    return decodeError('input.unsupported', start, 'chunked record');
  if (format === tnf.reserved) return decodeError('input.malformed', start, 'reserved type name format');
  const isShort = (header & flag.short) !== 0;
  const hasId = (header & flag.hasId) !== 0;
  const lengthsBytes = 1 + (isShort ? 1 : 4) + (hasId ? 1 : 0);
  const typeAt = start + 1 + lengthsBytes;
  if (typeAt > bytes.length) return decodeError('input.truncated', start, 'record header');
  const at = (offset: number): number => bytes[start + offset] ?? 0;
  const typeLength = at(1);
  const payloadLength = isShort ? at(2) : ((at(2) * 256 + at(3)) * 256 + at(4)) * 256 + at(5);
  const idLength = hasId ? at(isShort ? 3 : 6) : 0;
  if (format === tnf.empty && typeLength + payloadLength + idLength > 0)
    return decodeError('input.malformed', start, 'an empty record with content');
  if (format === tnf.unknown && typeLength > 0)
    return decodeError('input.malformed', start, 'an unknown type with a name');
  if (format !== tnf.empty && format !== tnf.unknown && typeLength === 0)
    return decodeError('input.malformed', start, 'a type without its name');
  const next = typeAt + typeLength + idLength + payloadLength;
  if (next > bytes.length)
    return decodeError('input.truncated', start, `${next - typeAt} bytes wanted, ${bytes.length - typeAt} left`);
  const idAt = typeAt + typeLength;
  return ok({
    record: {
      tnf: format,
      type: bytes.subarray(typeAt, idAt),
      id: bytes.subarray(idAt, idAt + idLength),
      payload: bytes.subarray(idAt + idLength, next),
    },
    next,
    isLast: (header & flag.end) !== 0,
  });
}

/** One message of 1…64 records in their shortest form. */
export function encodeNdef(records: readonly NdefRecord[]): Bytes {
  assert(records.length >= 1 && records.length <= ndefRecordsMax, 'one to 64 records');
  return concat(
    ...records.map((record, index) => {
      const { type, id, payload } = record;
      assert(type.length <= 0xff && id.length <= 0xff, 'type and id fit their lengths');
      const isShort = payload.length <= 0xff;
      const header =
        record.tnf |
        (index === 0 ? flag.begin : 0) |
        (index === records.length - 1 ? flag.end : 0) |
        (isShort ? flag.short : 0) |
        (id.length > 0 ? flag.hasId : 0);
      return concat(
        uintBE(header, 1),
        uintBE(type.length, 1),
        uintBE(payload.length, isShort ? 1 : 4),
        id.length > 0 ? uintBE(id.length, 1) : new Uint8Array(0),
        type,
        id,
        payload,
      );
    }),
  );
}
