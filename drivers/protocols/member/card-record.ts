/**
 * The record of a card-held coupon: 96 bytes in one of two slots, authenticated, tear-safe by writing the older slot.
 * Pure. Layout in docs/protocols/phone.md.
 */
import {
  ByteReader,
  type Bytes,
  concat,
  equalBytes,
  readUintBE,
  uintBE,
  utf8,
} from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import { recordBytes } from './layout.js';

export const recordVersion = 1;
const payloadBytes = 80;
const limitBytes = 16;
const couponNumberMax = 9_999_999_999_999;

export const lastKindByte = { issue: 0, debit: 1, credit: 2 } as const;
export type LastKind = keyof typeof lastKindByte;

export interface CardRecord {
  /** The card key's id, 8 bytes: a record copied to another card is not this card's. */
  readonly cardKeyId: Bytes;
  /** The 13 digits of the coupon's code as an integer. */
  readonly couponNumber: number;
  /** Rises by one with every write; 1…2^32−1. */
  readonly counter: number;
  readonly balanceMinor: number;
  /** ISO 4217 letters. */
  readonly currency: string;
  /** Unix seconds after which it no longer pays; 0: never expires. */
  readonly expiresAtSeconds: number;
  /** 16 bytes of the last transaction's UUID, 6 bytes of the terminal that wrote it, its kind and amount. */
  readonly lastTransactionId: Bytes;
  readonly lastTerminal: Bytes;
  readonly lastKind: LastKind;
  readonly lastAmountMinor: number;
  /** The product category it is limited to, ASCII of at most 16; empty: any product. */
  readonly limitCategory: string;
}

function encodePayload(record: CardRecord): Bytes {
  const limit = utf8(record.limitCategory);
  assert(/^[\x20-\x7e]{0,16}$/.test(record.limitCategory), 'a category is at most 16 ASCII characters');
  assert(/^[A-Z]{3}$/.test(record.currency), 'a currency has three letters');
  assert(record.cardKeyId.length === 8 && record.lastTransactionId.length === 16, 'ids have their lengths');
  assert(record.lastTerminal.length === 6, 'a terminal id has 6 bytes');
  assert(record.balanceMinor <= amountMinorMax && record.lastAmountMinor <= amountMinorMax, 'amounts in range');
  return concat(
    uintBE(recordVersion, 1),
    record.cardKeyId,
    uintBE(record.couponNumber, 6),
    uintBE(record.counter, 4),
    uintBE(record.balanceMinor, 6),
    utf8(record.currency),
    uintBE(record.expiresAtSeconds, 5),
    record.lastTransactionId,
    record.lastTerminal,
    uintBE(lastKindByte[record.lastKind], 1),
    uintBE(record.lastAmountMinor, 6),
    limit,
    new Uint8Array(limitBytes - limit.length + 2),
  );
}

/** 96 bytes: payload(80) ‖ CMAC(recordKey, payload). */
export function encodeCardRecord(crypto: Pick<Crypto, 'aesCmac'>, recordKey: Bytes, record: CardRecord): Bytes {
  const payload = encodePayload(record);
  return concat(payload, crypto.aesCmac(recordKey, payload));
}

/** Reads a slot's fields without judging its MAC. @returns the record, or an input error with its offset. */
export function decodeCardRecord(slot: Bytes): Result<CardRecord, DecodeError> {
  if (slot.length !== recordBytes)
    return decodeError('input.truncated', slot.length, `a slot has ${recordBytes} bytes`);
  if (slot[0] !== recordVersion) return decodeError('input.unsupported', 0, 'record version');
  const reader = new ByteReader(slot.subarray(1, payloadBytes));
  const bytes = (length: number): Bytes => {
    const taken = reader.take(length);
    assert(taken.ok, 'the slot has its whole length');
    return taken.value;
  };
  const uint = (length: number): number => readUintBE(bytes(length));
  const cardKeyId = bytes(8);
  const couponNumber = uint(6);
  const counter = uint(4);
  const balanceMinor = uint(6);
  const currency = String.fromCharCode(...bytes(3));
  const expiresAtSeconds = uint(5);
  const lastTransactionId = bytes(16);
  const lastTerminal = bytes(6);
  const kind = uint(1);
  const lastKind = (['issue', 'debit', 'credit'] as const)[kind];
  const lastAmountMinor = uint(6);
  const limit = bytes(limitBytes);
  if (!/^[A-Z]{3}$/.test(currency)) return decodeError('input.malformed', 25, 'currency');
  if (lastKind === undefined) return decodeError('input.outOfRange', 55, 'last kind');
  if (couponNumber > couponNumberMax) return decodeError('input.outOfRange', 9, 'coupon number');
  if (counter === 0) return decodeError('input.outOfRange', 15, 'counter');
  if (balanceMinor > amountMinorMax) return decodeError('input.outOfRange', 19, 'balance');
  if (lastAmountMinor > amountMinorMax) return decodeError('input.outOfRange', 56, 'last amount');
  const limitCategory = String.fromCharCode(...limit).replace(/\0+$/, '');
  if (!/^[\x20-\x7e]*$/.test(limitCategory)) return decodeError('input.malformed', 62, 'limit');
  if ((slot[78] ?? 0) !== 0 || (slot[79] ?? 0) !== 0) return decodeError('input.malformed', 78, 'reserved bytes');
  return ok({
    cardKeyId,
    couponNumber,
    counter,
    balanceMinor,
    currency,
    expiresAtSeconds,
    lastTransactionId,
    lastTerminal,
    lastKind,
    lastAmountMinor,
    limitCategory,
  });
}

/** Is this slot whole and written by somebody who holds the record key, for this card? */
export function verifyCardRecord(
  crypto: Pick<Crypto, 'aesCmac'>,
  recordKey: Bytes,
  cardKeyId: Bytes,
  slot: Bytes,
): boolean {
  return (
    slot.length === recordBytes &&
    equalBytes(slot.subarray(1, 9), cardKeyId) &&
    equalBytes(crypto.aesCmac(recordKey, slot.subarray(0, payloadBytes)), slot.subarray(payloadBytes))
  );
}

/**
 * Which slot holds the current record: the whole one with the highest counter; null when neither is whole.
 * `isWhole` is verifyCardRecord with the card's key: a torn slot can look like a record, only its MAC tells.
 */
export function currentSlot(
  slots: readonly [Bytes, Bytes],
  isWhole: (slot: Bytes) => boolean,
): { readonly slot: 0 | 1; readonly record: CardRecord } | null {
  const read = ([0, 1] as const).flatMap((slot) => {
    const record = decodeCardRecord(slots[slot]);
    return record.ok && isWhole(slots[slot]) ? [{ slot, record: record.value }] : [];
  });
  const [first, second] = read;
  if (first && second) return second.record.counter > first.record.counter ? second : first;
  return first ?? null;
}
