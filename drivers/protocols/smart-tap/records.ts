/**
 * Smart Tap's records: NDEF records with three-letter names, nested in one another; requests written, answers read.
 * Pure (docs/protocols/smart-tap.md). Must not know commands, keys or the order of the session.
 */
import { type Bytes, concat, decodeUtf8, equalBytes, toHex, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeNdef, encodeNdef, type NdefRecord } from '../ndef/ndef.js';
import { type Collector, collectorIdBytes, pointBytes, type SessionFace, smartTapNonceBytes } from './channel.js';

const external = 0x04;
const wellKnown = 0x01;
/** First byte of a primitive value: how the rest is written. */
const format = { unspecified: 0, ascii: 1, utf8: 2, binary: 4, bcd: 5 } as const;
const version = uintBE(0x0001, 2);
export const sessionIdBytes = 8;
const statusOk = 0x01;

const nothing = new Uint8Array(0);
const record = (name: string, ...payload: readonly Bytes[]): NdefRecord => ({
  tnf: external,
  type: utf8(name),
  id: nothing,
  payload: concat(...payload),
});
const binary = (value: Bytes): Bytes => concat(uintBE(format.binary, 1), value);

/** A record's name: its type where that is external, its id where the type is a well-known one such as text. */
function isNamed(record: NdefRecord, name: string): boolean {
  const own = record.tnf === external ? record.type : record.tnf === wellKnown ? record.id : nothing;
  return equalBytes(own, utf8(name));
}
const find = (records: readonly NdefRecord[], name: string): Bytes | null =>
  records.find((record) => isNamed(record, name))?.payload ?? null;

const session = (id: Bytes, sequence: number): NdefRecord =>
  record('ses', id, uintBE(sequence, 1), uintBE(statusOk, 1));
const collector = (collectorId: number): NdefRecord => record('cld', binary(collectorIdBytes(collectorId)));

/** NEGOTIATE's data: ngr{version, ses, cpr{nonce, live, key, key version, sig, cld}}. `signature` is DER. */
export function encodeNegotiate(
  secrets: SessionFace,
  from: Pick<Collector, 'collectorId' | 'keyVersion'>,
  signature: Bytes,
  sequence: number,
): Bytes {
  const liveAuthentication = uintBE(0x01, 1);
  const parameters = concat(secrets.nonce, liveAuthentication, secrets.ephemeral.publicKey, uintBE(from.keyVersion, 4));
  const proof = encodeNdef([record('sig', binary(signature)), collector(from.collectorId)]);
  const inner = encodeNdef([session(secrets.sessionId, sequence), record('cpr', parameters, proof)]);
  return encodeNdef([record('ngr', version, inner)]);
}

/** Which service objects are asked for: `str`'s values. */
export const serviceType = { all: 0x00, loyalty: 0x03 } as const;
export type ServiceType = keyof typeof serviceType;
/** `pcr`: online and zlib; no statement on display, checkout and cardholder verification; the tap is for a pass only. */
const terminalCapabilities = new Uint8Array([0x48, 0x00, 0x00, 0x00, 0x01]);

/** GET's data: srq{version, ses, mer{cld}, slr{str}, pcr}. */
export function encodeServiceRequest(
  sessionId: Bytes,
  sequence: number,
  collectorId: number,
  wanted: ServiceType,
): Bytes {
  const inner = encodeNdef([
    session(sessionId, sequence),
    record('mer', encodeNdef([collector(collectorId)])),
    record('slr', encodeNdef([record('str', uintBE(serviceType[wanted], 1))])),
    record('pcr', terminalCapabilities),
  ]);
  return encodeNdef([record('srq', version, inner)]);
}

/** The message nested in the one record of this name. */
function nested(data: Bytes, name: string): Result<readonly NdefRecord[], DecodeError> {
  const outer = decodeNdef(data);
  if (!outer.ok) return outer;
  const payload = find(outer.value, name);
  return payload ? decodeNdef(payload) : decodeError('input.malformed', 0, `no ${name}`);
}

/** What the phone says of the session. `status` 01 is good. */
export interface SessionWord {
  readonly id: Bytes;
  readonly sequence: number;
  readonly status: number;
}
function sessionOf(records: readonly NdefRecord[]): Result<SessionWord, DecodeError> {
  const payload = find(records, 'ses');
  if (payload?.length !== sessionIdBytes + 2) return decodeError('input.malformed', 0, 'ses');
  const [sequence = 0, status = 0] = payload.subarray(sessionIdBytes);
  return ok({ id: payload.subarray(0, sessionIdBytes), sequence, status });
}

/** NEGOTIATE's answer: nrs{ses, dpk}. */
export function decodeNegotiateAnswer(
  data: Bytes,
): Result<{ readonly session: SessionWord; readonly deviceKey: Bytes }, DecodeError> {
  const records = nested(data, 'nrs');
  if (!records.ok) return records;
  const session = sessionOf(records.value);
  if (!session.ok) return session;
  const deviceKey = find(records.value, 'dpk');
  if (deviceKey?.length !== pointBytes) return decodeError('input.malformed', 0, 'dpk');
  return ok({ session: session.value, deviceKey });
}

/** GET's whole answer: srs{ses, reb}; `bundle` is null where the phone has nothing to say. */
export function decodeServiceAnswer(
  data: Bytes,
): Result<{ readonly session: SessionWord; readonly bundle: Bytes | null }, DecodeError> {
  const records = nested(data, 'srs');
  if (!records.ok) return records;
  const session = sessionOf(records.value);
  return session.ok ? ok({ session: session.value, bundle: find(records.value, 'reb') }) : session;
}

const versionsBytes = 4;
/** The answer of Smart Tap's own selection: least version(2) ‖ highest(2) ‖ mdn. @returns the device's nonce */
export function decodeSmartTapSelected(data: Bytes): Result<Bytes, DecodeError> {
  if (data.length < versionsBytes) return decodeError('input.truncated', data.length, 'versions');
  const [least, highest] = [toHex(data.subarray(0, 2)), toHex(data.subarray(2, versionsBytes))];
  const ours = toHex(version);
  if (least > ours || highest < ours) return decodeError('input.unsupported', 0, `versions ${least} to ${highest}`);
  const records = decodeNdef(data.subarray(versionsBytes));
  if (!records.ok) return records;
  const nonce = find(records.value, 'mdn');
  if (nonce?.length !== 1 + smartTapNonceBytes || nonce[0] !== format.binary)
    return decodeError('input.malformed', versionsBytes, 'mdn');
  return ok(nonce.subarray(1));
}

const serviceNames = {
  ly: 'loyalty',
  of: 'offer',
  gc: 'giftCard',
  et: 'eventTicket',
  tr: 'transit',
  gr: 'generic',
} as const;
export type ServiceName = (typeof serviceNames)[keyof typeof serviceNames];
/** One pass: what it is and the number that its issuer put into it, 1…128 characters without control characters. */
export interface ServiceObject {
  readonly service: ServiceName;
  readonly number: string;
}
/** Most service objects read of one bundle. */
export const serviceObjectsMax = 16;

/**
 * The passes of an opened bundle: asv{ly|of|gc|et|tr|gr{n}}…; records of other names are passed over.
 * @returns the objects in their order, possibly none, or `input.…`
 */
export function decodeServiceObjects(message: Bytes): Result<readonly ServiceObject[], DecodeError> {
  const outer = decodeNdef(message);
  if (!outer.ok) return outer;
  const values = outer.value.filter((record) => isNamed(record, 'asv'));
  if (values.length > serviceObjectsMax) return decodeError('input.tooLong', 0, 'service objects');
  const objects: ServiceObject[] = [];
  for (const value of values) {
    const records = decodeNdef(value.payload);
    if (!records.ok) return records;
    for (const [name, service] of Object.entries(serviceNames)) {
      const payload = find(records.value, name);
      if (payload === null) continue;
      const fields = decodeNdef(payload);
      if (!fields.ok) return fields;
      const field = fields.value.find((record) => isNamed(record, 'n'));
      if (!field) continue;
      const number = numberOf(field);
      if (!number.ok) return number;
      objects.push({ service, number: number.value });
    }
  }
  return ok(objects);
}

/** `n`: NDEF text (whose status byte says how long its language is), or a format byte and the value. */
function numberOf(field: NdefRecord): Result<string, DecodeError> {
  const [first = 0] = field.payload;
  if (field.payload.length < 2) return decodeError('input.truncated', field.payload.length, 'n');
  const isText = field.tnf === wellKnown && equalBytes(field.type, utf8('T'));
  // Bit 7 of a text's status byte says UTF-16 (NFC Forum Text RTD §3.2); bit 6 is reserved.
  if (isText && (first & 0xc0) !== 0) return decodeError('input.unsupported', 0, 'text encoding');
  const value = field.payload.subarray(1 + (isText ? first : 0));
  const text = isText ? decodeUtf8(value) : formatted(first, value);
  if (!text.ok) return text;
  return /^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u.test(text.value)
    ? text
    : decodeError('input.malformed', 1, 'number');
}

function formatted(how: number, value: Bytes): Result<string, DecodeError> {
  switch (how) {
    case format.unspecified:
    case format.ascii:
    case format.utf8:
      return decodeUtf8(value);
    case format.binary:
      return ok(toHex(value));
    case format.bcd: {
      const digits = /^([0-9]+)f*$/.exec(toHex(value))?.[1];
      return digits === undefined ? decodeError('input.malformed', 1, 'BCD') : ok(digits);
    }
    default:
      return decodeError('input.unsupported', 0, 'value format');
  }
}
