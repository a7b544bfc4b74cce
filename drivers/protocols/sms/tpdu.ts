/**
 * Short messages as a modem gives and takes them in PDU mode: SMS-SUBMIT and SMS-DELIVER behind a centre's address
 * (3GPP TS 23.040 §9.2.2, TS 27.005 §3.1). Pure. Must not know AT commands.
 */
import { ByteReader, type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeSeptets, decodeUcs2, packSeptets, unpackSeptets } from './alphabet.js';
import { type PartPlace, readHeader, type SmsPart } from './parts.js';

const userDataMax = 140;
/** Longest unit with its centre's address: 12 + 1 + 12 + 10 + 140 and some. */
export const tpduBytesMax = 180;
const fillBitsOf = (headerLength: number): number => (7 - ((8 * headerLength) % 7)) % 7;
const septetsBefore = (headerLength: number): number => Math.ceil((8 * headerLength) / 7);

/** §9.1.2.5: digits as half octets, the first one low. */
function address(number: string): Bytes {
  assert(/^\+?[0-9]{3,15}$/.test(number), 'a number of 3 to 15 digits');
  const digits = number.replace('+', '');
  const halves = Array.from({ length: Math.ceil(digits.length / 2) }, (_, i) => {
    const [low, high] = [Number(digits[2 * i]), 2 * i + 1 < digits.length ? Number(digits[2 * i + 1]) : 0xf];
    return (high << 4) | low;
  });
  return concat(Uint8Array.of(digits.length, number.startsWith('+') ? 0x91 : 0x81), Uint8Array.from(halves));
}

/**
 * An SMS-SUBMIT of one part, its reference left to the modem and its centre to the SIM.
 * @returns the bytes for the modem, and their number without the centre's address, which AT+CMGS wants
 */
export function encodeSubmitTpdu(to: string, part: SmsPart): { readonly bytes: Bytes; readonly length: number } {
  const { coding, header, body } = part;
  const before = septetsBefore(header.length);
  const packed = coding === 'gsm7' ? packSeptets(body, fillBitsOf(header.length)) : body;
  const data = concat(header, packed);
  assert(data.length <= userDataMax, 'user data of at most 140 bytes');
  const tpdu = concat(
    Uint8Array.of(header.length > 0 ? 0x41 : 0x01, 0),
    address(to),
    Uint8Array.of(0, coding === 'gsm7' ? 0 : 8, coding === 'gsm7' ? before + body.length : data.length),
    data,
  );
  return { bytes: concat(Uint8Array.of(0), tpdu), length: tpdu.length };
}

export interface DeliveredTpdu {
  /** Empty where the sender is no number. */
  readonly from: string;
  readonly text: string;
  readonly place: PartPlace | null;
}

/**
 * Reads an SMS-DELIVER with its centre's address. `input.unsupported`: another type of unit, compressed or binary content;
 * `input.truncated`, `input.malformed`, `input.tooLong`, `input.outOfRange` as it goes wrong.
 */
export function decodeDeliverTpdu(bytes: Bytes): Result<DeliveredTpdu, DecodeError> {
  if (bytes.length > tpduBytesMax) return decodeError('input.tooLong', tpduBytesMax, 'unit');
  const reader = new ByteReader(bytes);
  const centre = reader.uint(1);
  if (!centre.ok) return centre;
  const skipped = reader.take(centre.value);
  if (!skipped.ok) return skipped;
  const first = reader.uint(1);
  if (!first.ok) return first;
  if ((first.value & 3) !== 0) return decodeError('input.unsupported', reader.offset - 1, 'not an SMS-DELIVER');
  const from = readSender(reader);
  if (!from.ok) return from;
  const fixed = reader.take(10);
  if (!fixed.ok) return fixed;
  const coding = codingOf(fixed.value[1] ?? 0);
  if (!coding) return decodeError('input.unsupported', reader.offset - 9, 'data coding');
  const length = fixed.value[9] ?? 0;
  const octets = coding === 'gsm7' ? Math.ceil((7 * length) / 8) : length;
  if (octets > userDataMax) return decodeError('input.tooLong', reader.offset - 1, 'user data');
  const data = reader.take(octets);
  if (!data.ok) return data;
  if (reader.remaining > 0) return decodeError('input.malformed', reader.offset, 'bytes behind the unit');
  const header = (first.value & 0x40) !== 0 ? readHeader(data.value) : ok({ length: 0, place: null });
  if (!header.ok) return header;
  const text = readBody(data.value, header.value.length, coding, length);
  return text.ok ? ok({ from: from.value, text: text.value, place: header.value.place }) : text;
}

function readBody(data: Bytes, header: number, coding: SmsPart['coding'], length: number): Result<string, DecodeError> {
  if (coding === 'ucs2') return decodeUcs2(data.subarray(header));
  const count = length - septetsBefore(header);
  if (count < 0) return decodeError('input.malformed', 0, 'header longer than the data');
  const septets = unpackSeptets(data.subarray(header), count, fillBitsOf(header));
  return septets.ok ? decodeSeptets(septets.value) : septets;
}

function readSender(reader: ByteReader): Result<string, DecodeError> {
  const head = reader.take(2);
  if (!head.ok) return head;
  const [length = 0, type = 0] = head.value;
  if (length > 20) return decodeError('input.tooLong', reader.offset - 2, 'sender');
  const halves = reader.take(Math.ceil(length / 2));
  if (!halves.ok) return halves;
  const digits = Array.from(halves.value, (octet) => `${(octet & 15).toString(16)}${(octet >> 4).toString(16)}`)
    .join('')
    .slice(0, length);
  const kind = (type >> 4) & 7;
  // Alphanumeric senders (5) and digits beyond 9 are no numbers.
  return ok(kind === 5 || !/^[0-9]+$/.test(digits) ? '' : kind === 1 ? `+${digits}` : digits);
}

/** TS 23.038 §4; null: binary, compressed or reserved. */
function codingOf(scheme: number): SmsPart['coding'] | null {
  const group = scheme >> 4;
  if (group <= 3)
    return (scheme & 0x20) !== 0 ? null : ((['gsm7', null, 'ucs2', null] as const)[(scheme >> 2) & 3] ?? null);
  if (group === 0x0c || group === 0x0d) return 'gsm7';
  if (group === 0x0e) return 'ucs2';
  return group === 0x0f && (scheme & 4) === 0 ? 'gsm7' : null;
}
