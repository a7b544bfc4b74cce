/**
 * Bodies of SMPP 3.4 units: bind_transceiver, submit_sm, deliver_sm and their responses (§4.1.5, §4.4, §4.6, §5.3).
 * Pure. Must not put a password into an error.
 */
import { ByteReader, type Bytes, concat, readUintBE } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeSeptets, decodeUcs2 } from '../sms/alphabet.js';
import { type PartPlace, partsMax, readHeader, type SmsPart } from '../sms/parts.js';

/** Most characters of each text, without its closing zero byte. */
export const systemIdMax = 15;
export const passwordMax = 8;
export const systemTypeMax = 12;
const addressMax = 20;
const messageIdMax = 64;
const shortMessageMax = 254;
const interfaceVersion = 0x34;
const hasHeader = 0x40;
const payloadTag = 0x0424;
const places = { reference: 0x020c, total: 0x020e, sequence: 0x020f };

/** A C-octet string: ASCII and a zero byte. */
function text(value: string, max: number): Bytes {
  assert(value.length <= max && /^[\x20-\x7e]*$/.test(value), `a text of at most ${max} ASCII characters`);
  return concat(
    Uint8Array.from(value, (character) => character.charCodeAt(0)),
    Uint8Array.of(0),
  );
}

function readText(reader: ByteReader, max: number, what: string): Result<string, DecodeError> {
  const start = reader.offset;
  let value = '';
  for (;;) {
    const byte = reader.uint(1);
    if (!byte.ok) return byte;
    if (byte.value === 0) return ok(value);
    if (value.length >= max) return decodeError('input.tooLong', start, what);
    if (byte.value < 0x20 || byte.value > 0x7e) return decodeError('input.malformed', reader.offset - 1, what);
    value += String.fromCharCode(byte.value);
  }
}

/** §4.1.5; the address range is left to the message centre. */
export const encodeBind = (who: { systemId: string; password: string; systemType: string }): Bytes =>
  concat(
    text(who.systemId, systemIdMax),
    text(who.password, passwordMax),
    text(who.systemType, systemTypeMax),
    Uint8Array.of(interfaceVersion, 0, 0, 0),
  );

/** §5.2.5–6: a number with a plus is international (1), any other as the centre understands it (0); ISDN plan (1). */
const address = (number: string): Bytes =>
  number.startsWith('+')
    ? concat(Uint8Array.of(1, 1), text(number.slice(1), addressMax))
    : concat(Uint8Array.of(0, 1), text(number, addressMax));

/** §4.4.1: one part of a message; no receipt is asked for, and the centre's own validity holds. */
export function encodeSubmit(from: string, to: string, part: SmsPart): Bytes {
  const message = concat(part.header, part.body);
  assert(message.length <= shortMessageMax, 'a short message has at most 254 bytes');
  const esmClass = part.header.length > 0 ? hasHeader : 0;
  return concat(
    Uint8Array.of(0),
    address(from),
    address(to),
    Uint8Array.of(esmClass, 0, 0, 0, 0, 0, 0, part.coding === 'gsm7' ? 0 : 8, 0, message.length),
    message,
  );
}

/** §4.4.2: the centre's id of the message; empty where it gives none. */
export function decodeSubmitResponse(body: Bytes): Result<string, DecodeError> {
  return body.length === 0 ? ok('') : readText(new ByteReader(body), messageIdMax, 'message id');
}

export interface Delivery {
  /** 1…20 characters; with a plus where the centre says that it is international. */
  readonly from: string;
  readonly to: string;
  /** A receipt or another word of the centre itself: no person's message. */
  readonly isReceipt: boolean;
  readonly place: PartPlace | null;
  readonly text: string;
}

/**
 * Reads a deliver_sm (§4.6.1), its text in short_message or message_payload, its place by header or by SAR parameters.
 * `input.unsupported` for codings other than GSM 7-bit (0), ASCII (1), Latin-1 (3) and UCS-2 (8), and as the fields go wrong.
 */
export function decodeDeliver(body: Bytes): Result<Delivery, DecodeError> {
  const reader = new ByteReader(body);
  const service = readText(reader, 5, 'service type');
  if (!service.ok) return service;
  const from = readAddress(reader, 'source');
  if (!from.ok) return from;
  const to = readAddress(reader, 'destination');
  if (!to.ok) return to;
  const head = reader.take(3);
  if (!head.ok) return head;
  for (const what of ['schedule', 'validity']) {
    const time = readText(reader, 16, what);
    if (!time.ok) return time;
  }
  const tail = reader.take(5);
  if (!tail.ok) return tail;
  const [, , coding = 0, , length = 0] = tail.value;
  if (length > shortMessageMax) return decodeError('input.tooLong', reader.offset, 'short message');
  const short = reader.take(length);
  if (!short.ok) return short;
  const optional = readOptional(reader);
  if (!optional.ok) return optional;
  const payload = optional.value.get(payloadTag);
  if (payload && length > 0) return decodeError('input.malformed', reader.offset, 'two texts');
  const esmClass = head.value[0] ?? 0;
  const isReceipt = ((esmClass >> 2) & 0x0f) !== 0;
  const parties = { from: from.value, to: to.value, isReceipt };
  if (isReceipt) return ok({ ...parties, place: null, text: '' });
  const read = readMessage(payload ?? short.value, (esmClass & hasHeader) !== 0, coding);
  if (!read.ok) return read;
  const place = read.value.place ?? sar(optional.value);
  if (place && place.total > partsMax) return decodeError('input.tooLong', reader.offset, `${place.total} parts`);
  return ok({ ...parties, text: read.value.text, place });
}

function readAddress(reader: ByteReader, what: string): Result<string, DecodeError> {
  const kind = reader.take(2);
  if (!kind.ok) return kind;
  const number = readText(reader, addressMax, what);
  if (!number.ok) return number;
  if (number.value === '') return decodeError('input.malformed', reader.offset, `no ${what}`);
  return ok(kind.value[0] === 1 && !number.value.startsWith('+') ? `+${number.value}` : number.value);
}

function readOptional(reader: ByteReader): Result<ReadonlyMap<number, Bytes>, DecodeError> {
  const found = new Map<number, Bytes>();
  while (reader.remaining > 0) {
    const tag = reader.uint(2);
    if (!tag.ok) return tag;
    const length = reader.uint(2);
    if (!length.ok) return length;
    const value = reader.take(length.value);
    if (!value.ok) return value;
    found.set(tag.value, value.value);
  }
  return ok(found);
}

function readMessage(
  data: Bytes,
  headed: boolean,
  coding: number,
): Result<{ text: string; place: PartPlace | null }, DecodeError> {
  const header = headed ? readHeader(data) : ok({ length: 0, place: null });
  if (!header.ok) return header;
  const said = decodeText(data.subarray(header.value.length), coding);
  return said.ok ? ok({ text: said.value, place: header.value.place }) : said;
}

function decodeText(data: Bytes, coding: number): Result<string, DecodeError> {
  if (coding === 0) return decodeSeptets(data);
  if (coding === 8) return decodeUcs2(data);
  if (coding !== 1 && coding !== 3) return decodeError('input.unsupported', 0, `data coding ${coding}`);
  return ok(Array.from(data, (byte) => String.fromCharCode(byte)).join(''));
}

/** §5.3.2.22–24. */
function sar(optional: ReadonlyMap<number, Bytes>): PartPlace | null {
  const number = (tag: number, length: number): number => {
    const value = optional.get(tag);
    return value?.length === length ? readUintBE(value) : 0;
  };
  const reference = number(places.reference, 2);
  const [total, sequence] = [number(places.total, 1), number(places.sequence, 1)];
  return total > 1 && sequence >= 1 && sequence <= total ? { reference, total, sequence } : null;
}
