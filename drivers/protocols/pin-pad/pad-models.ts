/**
 * Models of PIN pads as rows: how each is asked and called off, and what its answers mean. The generic row is this project's own,
 * docs/protocols/pin-pad.md. A pad gives an encrypted PIN block and its key serial number, never a PIN. Pure.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** Name of one entry, drawn by the box: 16 lower-case hex digits. Every answer says which entry it is of. */
export type EntryName = string;

export type PadEnd =
  /** Key serial number 10 or 12 bytes (ANSI X9.24-1, X9.24-3), block 8 or 16 (ISO 9564-1 formats 0 and 3, or 4). */
  | { readonly result: 'entered'; readonly keySerialNumber: Bytes; readonly pinBlock: Bytes }
  /** refused: card number or time is not to the pad's liking. notUnderWay: it knows of no such entry. */
  | { readonly result: 'cancelled' | 'timedOut' | 'noKeys' | 'notUnderWay' | 'refused' };
export type PadAnswer =
  /** The member is asked now. */
  | { readonly says: 'asking'; readonly entry: EntryName }
  | { readonly says: 'ended'; readonly entry: EntryName; readonly end: PadEnd }
  /** It has just started and knows of no entry. */
  | { readonly says: 'started' };

export interface PadModel {
  /** Body of the frame that begins an entry. `pan`: 8…19 digits, the block is bound to it; `timeoutS`: 5…255. */
  readonly ask: (entry: EntryName, pan: string, timeoutS: number) => string;
  /** Body of the frame that ends it. */
  readonly cancel: (entry: EntryName) => string;
  /** @returns input.unsupported for what is no answer of this model, input.malformed for one with wrong fields */
  readonly answer: (body: Bytes) => Result<PadAnswer, DecodeError>;
}

const fs = 0x1c;
const fieldsMax = 5;
const join = (...fields: readonly string[]): string => fields.join(String.fromCharCode(fs));

/** Views of the fields; null: more of them than any answer has. */
function fieldsOf(body: Bytes): readonly Bytes[] | null {
  const fields: Bytes[] = [];
  for (let from = 0; from <= body.length; ) {
    const found = body.indexOf(fs, from);
    const end = found < 0 ? body.length : found;
    if (fields.length === fieldsMax) return null;
    fields.push(body.subarray(from, end));
    from = end + 1;
  }
  return fields;
}
const textOf = (field: Bytes | undefined): string => (field ? String.fromCharCode(...field) : '');

/** The value of an ASCII hex digit, or −1. */
function digitValue(code: number | undefined): number {
  if (code === undefined) return -1;
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** By way of bytes alone, so that nothing of a block stays behind in a text. Null: no pairs of hex digits. */
function hexField(field: Bytes | undefined): Bytes | null {
  if (!field || field.length % 2 !== 0) return null;
  const bytes = new Uint8Array(field.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    const high = digitValue(field[2 * i]);
    const low = digitValue(field[2 * i + 1]);
    if (high < 0 || low < 0) return null;
    bytes[i] = high * 16 + low;
  }
  return bytes;
}

/** A serial number of DUKPT under TDEA goes with a block of that cipher; one of AES DUKPT with either. */
const pairs: Readonly<Record<number, readonly number[]>> = { 10: [8], 12: [8, 16] };

const outcomes: Readonly<Record<string, Exclude<PadEnd['result'], 'entered'>>> = {
  '01': 'cancelled',
  '02': 'timedOut',
  '03': 'noKeys',
  '04': 'notUnderWay',
  '05': 'refused',
};

function genericAnswer(body: Bytes): Result<PadAnswer, DecodeError> {
  const fields = fieldsOf(body);
  const count = fields?.length ?? 0;
  const [command, entry, outcome] = [textOf(fields?.[0]), textOf(fields?.[1]), textOf(fields?.[2])];
  if (command === 'PU' && count === 1) return ok({ says: 'started' });
  if (command !== 'PA' && command !== 'PE') return decodeError('input.unsupported', 0, 'no answer to a PIN entry');
  if (!/^[0-9a-f]{16}$/.test(entry)) return decodeError('input.malformed', 3, 'name of the entry');
  if (command === 'PA')
    return count === 2 ? ok({ says: 'asking', entry }) : decodeError('input.malformed', 0, 'fields of PA');
  const failed = Object.hasOwn(outcomes, outcome) ? outcomes[outcome] : undefined;
  if (failed && count === 3) return ok({ says: 'ended', entry, end: { result: failed } });
  if (outcome !== '00' || count !== 5) return decodeError('input.unsupported', 20, 'outcome of a PIN entry');
  const keySerialNumber = hexField(fields?.[3]);
  const pinBlock = hexField(fields?.[4]);
  if (!keySerialNumber || !pinBlock || !pairs[keySerialNumber.length]?.includes(pinBlock.length))
    return decodeError('input.malformed', 23, 'key serial number and block');
  return ok({ says: 'ended', entry, end: { result: 'entered', keySerialNumber, pinBlock } });
}

export const padModels = {
  generic: {
    ask: (entry, pan, timeoutS) => join('PE', entry, pan, String(timeoutS)),
    cancel: (entry) => join('PC', entry),
    answer: genericAnswer,
  },
} as const satisfies Readonly<Record<string, PadModel>>;
export type PadModelName = keyof typeof padModels;
