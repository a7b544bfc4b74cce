/**
 * Tracks of a magnetic stripe (ISO/IEC 7811-2, ISO/IEC 7813): sentinels, LRC, Luhn digit and a card's fields. Pure. What is
 * read here may be a card's number: no error and no detail holds a character of it.
 */
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

export type TrackNumber = 1 | 2 | 3;

interface TrackForm {
  readonly starts: string;
  /** Characters of the whole track, sentinels and LRC included. */
  readonly lengthMax: number;
  /** The character of value 0, and how many values there are. */
  readonly zero: number;
  readonly values: number;
}

/** Readers give track 3 either sentinel. */
const forms: Readonly<Record<TrackNumber, TrackForm>> = {
  1: { starts: '%', lengthMax: 79, zero: 0x20, values: 64 },
  2: { starts: ';', lengthMax: 40, zero: 0x30, values: 16 },
  3: { starts: ';+', lengthMax: 107, zero: 0x30, values: 16 },
};

/**
 * Takes a track as a reader decoded it: sentinel, data, `?`, and the LRC where the reader passes it on, which is then checked.
 * @returns the data between the sentinels, 1…105 characters, or input.* with the offset in characters
 */
export function decodeTrack(text: string, track: TrackNumber): Result<string, DecodeError> {
  const { starts, lengthMax, zero, values } = forms[track];
  if (text === '') return decodeError('input.truncated', 0, 'empty track');
  if (text.length > lengthMax) return decodeError('input.tooLong', lengthMax, `track ${track}`);
  if (!starts.includes(text.charAt(0))) return decodeError('input.malformed', 0, 'start sentinel');
  for (let at = 1; at < text.length; at++) {
    const value = text.charCodeAt(at) - zero;
    if (value < 0 || value >= values) return decodeError('input.malformed', at, `no character of track ${track}`);
  }
  // An LRC can look like an end sentinel: the first one ends the data. (A damaged sentinel before such an LRC goes unnoticed.)
  const end = text.indexOf('?');
  if (end < 0) return decodeError('input.truncated', text.length, 'end sentinel');
  if (end === 1) return decodeError('input.truncated', 1, 'no data');
  if (text.length > end + 2) return decodeError('input.tooLong', end + 2, 'behind the LRC');
  const start = track === 3 ? ';' : text.charAt(0);
  if (text.length === end + 2 && lrcOf(start + text.slice(1, end + 1), track) !== text.charAt(end + 1))
    return decodeError('input.outOfRange', end + 1, 'LRC');
  return ok(text.slice(1, end));
}

/** The LRC of a track with both sentinels, as a character of the track (ISO/IEC 7811-2 §7.2: even parity of each bit). */
export function lrcOf(track: string, number: TrackNumber): string {
  const { zero } = forms[number];
  let bits = 0;
  for (let at = 0; at < track.length; at++) bits ^= track.charCodeAt(at) - zero;
  return String.fromCharCode(zero + bits);
}

/** Does a run of digits end with its Luhn digit (ISO/IEC 7812-1 annex B)? */
export function hasLuhnDigit(digits: string): boolean {
  if (!/^[0-9]{2,}$/.test(digits)) return false;
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    sum += i % 2 === 0 ? digit : digit > 4 ? 2 * digit - 9 : 2 * digit;
  }
  return sum % 10 === 0;
}

export interface StripeCard {
  /** 8…19 digits with a right Luhn digit. */
  readonly pan: string;
  /** YYMM; null where the card says none. */
  readonly expiry: string | null;
  readonly serviceCode: string | null;
  /** As on track 1, 2…26 characters; null on track 2. */
  readonly name: string | null;
}

/** A financial card's fields on the data of track 1 (format B) or 2 (ISO/IEC 7813 §6); null: another kind of card. */
export function cardOfTrack(data: string, track: 1 | 2): StripeCard | null {
  const form =
    track === 1
      ? /^B([0-9]{8,19})\^([^^]{2,26})\^([0-9]{4}|\^)([0-9]{3}|\^)[^^]*$/
      : /^([0-9]{8,19})=([0-9]{4}|=)([0-9]{3}|=)[0-9]*$/;
  const parts = form.exec(data);
  if (!parts) return null;
  const [pan = '', name, expiry = '', serviceCode = ''] =
    track === 1 ? parts.slice(1) : [parts[1], undefined, parts[2], parts[3]];
  if (!hasLuhnDigit(pan) || (/^[0-9]/.test(expiry) && !/^..(?:0[1-9]|1[0-2])$/.test(expiry))) return null;
  const digitsOr = (text: string): string | null => (/^[0-9]/.test(text) ? text : null);
  return { pan, expiry: digitsOr(expiry), serviceCode: digitsOr(serviceCode), name: name ?? null };
}

/** A number as people may see it: the first six and the last four digits of 13…19, of a shorter one only the last two. */
export const maskedNumber = (digits: string): string =>
  digits.length >= 13
    ? `${digits.slice(0, 6)}${'*'.repeat(digits.length - 10)}${digits.slice(-4)}`
    : `${'*'.repeat(Math.max(0, digits.length - 2))}${digits.length > 4 ? digits.slice(-2) : '*'.repeat(Math.min(2, digits.length))}`;

/** What may be said of a swipe: each track's length, and the masked number where it is a bank card's. Index 0 is track 1. */
export function describeSwipe(tracks: readonly (string | null)[]): string {
  const card = (tracks[1] ? cardOfTrack(tracks[1], 2) : null) ?? (tracks[0] ? cardOfTrack(tracks[0], 1) : null);
  const lengths = tracks.map((data, index) => `${index + 1}: ${data === null ? '-' : data.length}`).join('  ');
  return card ? `${maskedNumber(card.pan)}  ${lengths}` : lengths;
}
