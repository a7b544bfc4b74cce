/**
 * Units: money, points, time and counts as integers with types of their own, and their only parsers.
 * Must not use floating point on the way from text to value, and must not round silently.
 */
import { assert, err, ok, type Result } from './result.js';

declare const unit: unique symbol;
type Unit<Name extends string> = number & { readonly [unit]: Name };

/** Money in minor units (fen, pence) of the currency that stands beside it. Integer, 0…amountMinorMax. */
export type AmountMinor = Unit<'AmountMinor'>;
/** Whole points, 0…pointsMax. */
export type Points = Unit<'Points'>;
/** Milliseconds of a clock that only goes forward and starts anywhere; differences alone have meaning. */
export type MonotonicMs = Unit<'MonotonicMs'>;
/** Milliseconds since 1970-01-01 UTC by the wall clock, which may be wrong. */
export type WallMs = Unit<'WallMs'>;
/** A length of time in milliseconds. */
export type DurationMs = Unit<'DurationMs'>;

/** 9,999,999,999.99 in a currency with two decimals: far above a till's bill, far below 2^53. */
export const amountMinorMax = 999_999_999_999;
export const pointsMax = 999_999_999_999;
/** Most pieces of one product on one line. */
export const quantityMax = 99_999;

export type ValueError = {
  readonly code: 'value.notAnInteger' | 'value.outOfRange' | 'value.malformed';
  readonly detail: string;
};

const integerIn = <T extends number>(value: unknown, min: number, max: number, what: string): Result<T, ValueError> => {
  if (typeof value !== 'number' || !Number.isInteger(value) || Object.is(value, -0))
    return err({ code: 'value.notAnInteger', detail: `${what} must be an integer` });
  if (value < min || value > max) return err({ code: 'value.outOfRange', detail: `${what} must be ${min} to ${max}` });
  return ok(value as T);
};

/** @returns the amount, or `value.notAnInteger` / `value.outOfRange`. Takes minor units, 0…amountMinorMax. */
export const amountMinor = (value: unknown): Result<AmountMinor, ValueError> =>
  integerIn(value, 0, amountMinorMax, 'amount');
/** @returns the points, or `value.notAnInteger` / `value.outOfRange`. Takes whole points, 0…pointsMax. */
export const points = (value: unknown): Result<Points, ValueError> => integerIn(value, 0, pointsMax, 'points');
/** @returns the quantity 1…quantityMax, or `value.notAnInteger` / `value.outOfRange`. */
export const quantity = (value: unknown): Result<number, ValueError> => integerIn(value, 1, quantityMax, 'quantity');

export const monotonicMs = (value: number): MonotonicMs => value as MonotonicMs;
export const wallMs = (value: number): WallMs => value as WallMs;
export const durationMs = (value: number): DurationMs => value as DurationMs;
export const seconds = (count: number): DurationMs => durationMs(count * 1000);

export const zeroAmount = 0 as AmountMinor;
export const zeroPoints = 0 as Points;

/** A currency that this product settles in, by ISO 4217, with its exponent (decimals of the minor unit). */
export const currencies = {
  CNY: { exponent: 2, symbol: '¥' },
  GBP: { exponent: 2, symbol: '£' },
  EUR: { exponent: 2, symbol: '€' },
  USD: { exponent: 2, symbol: '$' },
  JPY: { exponent: 0, symbol: '¥' },
  KWD: { exponent: 3, symbol: 'KD' },
} as const;
export type Currency = keyof typeof currencies;
export const isCurrency = (value: unknown): value is Currency =>
  typeof value === 'string' && Object.hasOwn(currencies, value);

/**
 * Reads a decimal amount as people type it: ASCII digits, at most one point, at most the currency's decimals.
 * No sign, no exponent, no grouping, no full-width digits, no spaces: `1,000`, `1e3`, `１２`, `-5`, `1.005` are refused.
 * @returns minor units, or `value.malformed` / `value.outOfRange`
 */
export function parseAmount(text: string, currency: Currency): Result<AmountMinor, ValueError> {
  const exponent = currencies[currency].exponent;
  const match = /^([0-9]{1,13})(?:\.([0-9]{1,3}))?$/.exec(text);
  if (!match?.[1] || (match[2]?.length ?? 0) > exponent) {
    const example = exponent === 0 ? '1250' : `1250.${'5'.padEnd(exponent, '0')}`;
    return err({ code: 'value.malformed', detail: `write the amount like ${example}` });
  }
  return amountMinor(Number.parseInt(match[1] + (match[2] ?? '').padEnd(exponent, '0'), 10));
}

/** Reads whole points or a count: 1 to 12 ASCII digits and nothing else. @returns points or `value.malformed`. */
export function parsePoints(text: string): Result<Points, ValueError> {
  if (!/^[0-9]{1,12}$/.test(text))
    return err({ code: 'value.malformed', detail: 'write points as whole digits, like 300' });
  return points(Number.parseInt(text, 10));
}

/** Writes minor units with the currency's decimals and no grouping: 30000 CNY is `300.00`. Takes negatives too (differences). */
export function formatAmount(value: number, currency: Currency): string {
  assert(Number.isSafeInteger(value), 'an amount to write is an integer');
  const exponent = currencies[currency].exponent;
  const digits = String(Math.abs(value)).padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const sign = value < 0 ? '-' : '';
  return exponent === 0 ? sign + whole : `${sign}${whole}.${digits.slice(-exponent)}`;
}

/** a × b ÷ c rounded down, exact for every safe integer (bigint inside). Takes integers, a and b ≥ 0, c > 0. */
export function multiplyDivideFloor(a: number, b: number, c: number): number {
  return Number((BigInt(a) * BigInt(b)) / BigInt(c));
}
/** a × b ÷ c rounded up. Same bounds as multiplyDivideFloor. */
export function multiplyDivideCeil(a: number, b: number, c: number): number {
  const product = BigInt(a) * BigInt(b);
  const divisor = BigInt(c);
  return Number((product + divisor - 1n) / divisor);
}
