/**
 * A bank card's number (ISO/IEC 7812-1) wrapped so that it cannot be shown by accident: whatever prints, joins or stores this
 * object gets the masked form. It holds digits, never a text of them, and can be wiped. Pure.
 */
import { type Bytes, equalBytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { maskedNumber } from '../magnetic-stripe/track.js';

const digitsMin = 8;
const digitsMax = 19;
/** Shorter numbers show fewer digits (maskedNumber). */
const longDigitsMin = 13;
const wipedText = '****';

export class CardNumber {
  /** A byte for each digit, 0…9; empty once wiped. */
  #digits: Bytes;

  private constructor(digits: Bytes) {
    this.#digits = digits;
  }

  /**
   * @param digits a byte for each digit, 0…9; taken over: the caller lets go of it
   * @returns the number, or `input.outOfRange` (not 8…19 digits), `input.malformed` (a value above 9); `digits` is zeroed then
   */
  static of(digits: Bytes): Result<CardNumber, DecodeError> {
    const isNumber = digits.length >= digitsMin && digits.length <= digitsMax;
    const wrong = digits.findIndex((digit) => digit > 9);
    if (isNumber && wrong < 0) return ok(new CardNumber(digits));
    digits.fill(0);
    return isNumber
      ? decodeError('input.malformed', wrong, 'no digit')
      : decodeError('input.outOfRange', 0, 'a number of 8 to 19 digits');
  }

  /** 8…19; 0 once wiped. */
  get length(): number {
    return this.#digits.length;
  }

  /** Does it end with its Luhn digit (ISO/IEC 7812-1 annex B)? Over the digits: track.ts would want a text of them. */
  get hasLuhnDigit(): boolean {
    let sum = 0;
    this.#digits.forEach((digit, at) => {
      const isDoubled = (this.#digits.length - 1 - at) % 2 === 1;
      sum += !isDoubled ? digit : digit > 4 ? 2 * digit - 9 : 2 * digit;
    });
    return this.#digits.length > 0 && sum % 10 === 0;
  }

  equals(other: CardNumber): boolean {
    return this.#digits.length > 0 && equalBytes(this.#digits, other.#digits);
  }

  /** First six and last four digits; fewer of a number under 13 digits. */
  masked(): string {
    const { length } = this.#digits;
    if (length === 0) return wipedText;
    // Digits that are not shown stay out of the text from the beginning: a text cannot be wiped.
    const isShown = (at: number): boolean => (length >= longDigitsMin ? at < 6 || at >= length - 4 : at >= length - 2);
    return maskedNumber([...this.#digits].map((digit, at) => (isShown(at) ? digit : 0)).join(''));
  }

  /**
   * Lends the digits as ASCII for as long as `use` runs; the bytes are zeroed behind it. `use` must neither keep them nor make
   * a text of them.
   */
  lend<T>(use: (ascii: Bytes) => T): T {
    const ascii = this.#digits.map((digit) => 0x30 + digit);
    try {
      return use(ascii);
    } finally {
      ascii.fill(0);
    }
  }

  /** Zeroes the digits, as far as the language allows: copies that the runtime made on its way are not reached. */
  wipe(): void {
    this.#digits.fill(0);
    this.#digits = new Uint8Array(0);
  }

  toString(): string {
    return this.masked();
  }
  toJSON(): string {
    return this.masked();
  }
  /** What util.inspect, console.log and an assertion's message show. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `CardNumber ${this.masked()}`;
  }
}
