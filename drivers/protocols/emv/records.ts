/**
 * What is taken out of a bank card's records (EMV Book 3 annex A): number, expiry, sequence number. Pure. Everything else in a
 * record, most of track 2 included, is checked for its form at most and forgotten.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import type { Tlv } from '../ber-tlv/ber-tlv.js';
import { CardNumber } from './card-number.js';
import { onlyTemplate } from './file-control.js';

const recordTemplate = 0x70;
const tag = { number: 0x5a, track2: 0x57, expiry: 0x5f24, sequence: 0x5f34 } as const;
const numberBytesMax = 10;
const track2BytesMax = 19;
const filler = 0xf;
const separator = 0xd;
/** Behind the separator: expiry (4 digits) and service code (3). */
const behindSeparatorMin = 7;

/** Gathers over all records of one application. */
export class Findings {
  #number: CardNumber | null = null;
  #trackNumber: CardNumber | null = null;
  #expiry: string | null = null;
  #trackExpiry: string | null = null;
  #sequenceNumber: number | null = null;

  /** YYMM: the card's own, or that of track 2. */
  get expiry(): string | null {
    return this.#expiry ?? this.#trackExpiry;
  }
  get sequenceNumber(): number | null {
    return this.#sequenceNumber;
  }

  /** @returns nothing, or `input.…`: a record or an object against the rules, or a second one of a kind (Book 3 §10.2) */
  take(record: Bytes): Result<null, DecodeError> {
    const inside = onlyTemplate(record, recordTemplate, 'record');
    if (!inside.ok) return inside;
    for (const object of inside.value) {
      const taken = this.#takeObject(object);
      if (!taken.ok) return taken;
    }
    return ok(null);
  }

  #takeObject(object: Tlv): Result<null, DecodeError> {
    const { value, offset } = object;
    switch (object.tag) {
      case tag.number: {
        if (this.#number) return twice(offset);
        const number = decodeNumber(value);
        if (!number.ok) return decodeError(number.error.code, offset, number.error.detail);
        this.#number = number.value;
        return ok(null);
      }
      case tag.track2: {
        if (this.#trackNumber) return twice(offset);
        const track = decodeTrack2(value);
        if (!track.ok) return decodeError(track.error.code, offset, track.error.detail);
        this.#trackNumber = track.value.number;
        this.#trackExpiry = track.value.expiry;
        return ok(null);
      }
      case tag.expiry: {
        if (this.#expiry !== null) return twice(offset);
        const expiry = value.length === 3 ? monthOf(nibblesOf(value)) : null;
        const day = value[2] ?? 0;
        if (expiry === null || day === 0 || day > 0x31 || (day & 0xf) > 9)
          return decodeError('input.malformed', offset, 'expiry');
        this.#expiry = expiry;
        return ok(null);
      }
      case tag.sequence: {
        if (this.#sequenceNumber !== null) return twice(offset);
        const [tens = 0, ones = 0] = nibblesOf(value);
        if (value.length !== 1 || tens > 9 || ones > 9)
          return decodeError('input.malformed', offset, 'sequence number');
        this.#sequenceNumber = tens * 10 + ones;
        return ok(null);
      }
      default:
        return ok(null);
    }
  }

  /** Hands the number over to the caller, who wipes it; here nothing stays. */
  handOver(): CardNumber | 'none' | 'differing' {
    const [number, ofTrack] = [this.#number, this.#trackNumber];
    if (number && ofTrack && !number.equals(ofTrack)) {
      this.wipe();
      return 'differing';
    }
    if (number) ofTrack?.wipe();
    this.#number = null;
    this.#trackNumber = null;
    return number ?? ofTrack ?? 'none';
  }

  wipe(): void {
    this.#number?.wipe();
    this.#trackNumber?.wipe();
    this.#number = null;
    this.#trackNumber = null;
    this.#expiry = null;
    this.#trackExpiry = null;
    this.#sequenceNumber = null;
  }
}

const twice = (offset: number) => decodeError('input.malformed', offset, 'an object that is there twice');

/** Bytes as half bytes, most significant first. */
function nibblesOf(bytes: Bytes): Bytes {
  const nibbles = new Uint8Array(bytes.length * 2);
  bytes.forEach((byte, at) => {
    nibbles[2 * at] = byte >> 4;
    nibbles[2 * at + 1] = byte & 0xf;
  });
  return nibbles;
}

/** Digits at the front of half bytes; behind them nothing but filler. Null: something else is behind them. */
function digitCount(nibbles: Bytes): number | null {
  const end = nibbles.findIndex((nibble) => nibble > 9);
  if (end < 0) return nibbles.length;
  return nibbles.subarray(end).every((nibble) => nibble === filler) ? end : null;
}

/** Tag 5A: digits, F behind them. */
function decodeNumber(value: Bytes): Result<CardNumber, DecodeError> {
  if (value.length > numberBytesMax) return decodeError('input.tooLong', 0, 'number');
  const nibbles = nibblesOf(value);
  const count = digitCount(nibbles);
  const digits = nibbles.slice(0, count ?? 0);
  nibbles.fill(0);
  return count === null ? decodeError('input.malformed', 0, 'number') : CardNumber.of(digits);
}

interface Track2 {
  readonly number: CardNumber;
  /** YYMM. */
  readonly expiry: string;
}

/** Tag 57: number, D, YYMM, service code(3), the bank's own digits, F where a half byte is left. The last two are not kept. */
function decodeTrack2(value: Bytes): Result<Track2, DecodeError> {
  if (value.length > track2BytesMax) return decodeError('input.tooLong', 0, 'track 2');
  const nibbles = nibblesOf(value);
  const at = nibbles.indexOf(separator);
  const behind = nibbles.subarray(at + 1);
  const count = digitCount(behind);
  const expiry = at < 0 || count === null || count < behindSeparatorMin ? null : monthOf(behind);
  const digits = nibbles.slice(0, Math.max(0, at));
  nibbles.fill(0);
  if (expiry === null) {
    digits.fill(0);
    return decodeError('input.malformed', 0, 'track 2');
  }
  const number = CardNumber.of(digits);
  return number.ok ? ok({ number: number.value, expiry }) : number;
}

/** YYMM out of four half bytes; null: not digits, or no month. */
function monthOf(nibbles: Bytes): string | null {
  const [y1 = 0, y2 = 0, m1 = 0, m2 = 0] = nibbles;
  const month = m1 * 10 + m2;
  const isMonth = y1 <= 9 && y2 <= 9 && m2 <= 9 && month >= 1 && month <= 12;
  return isMonth ? `${y1}${y2}${m1}${m2}` : null;
}
