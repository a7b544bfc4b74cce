/**
 * Readers of the host command line's arguments: amounts, counts, dates, and their refusals.
 * Must not round or guess.
 */
import { InvalidArgumentError } from 'commander';
import { type Currency, currencies, isCurrency, parseAmount } from '../../terminal/kernel/units.js';
import { CommandFailure } from './admin-client.js';

export function currencyOf(text: string): Currency {
  if (!isCurrency(text)) throw new InvalidArgumentError(`one of ${Object.keys(currencies).join(', ')}`);
  return text;
}

/** Whole number between two bounds, as commander's argument parser. */
export const integerBetween =
  (min: number, max: number) =>
  (text: string): number => {
    const value = /^[0-9]{1,12}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return value;
  };

/** `300.00` in a currency as minor units. Throws CommandFailure `value.malformed` · `value.outOfRange`. */
export function amountOf(text: string, currency: Currency): number {
  const amount = parseAmount(text, currency);
  if (!amount.ok) throw new CommandFailure(amount.error.code, amount.error.detail);
  return amount.value;
}

/** `2027-12-31`: the end of that day at this machine, in ms. */
export function endOfDay(text: string): number {
  const match = /^([0-9]{4})-([0-9]{2})-([0-9]{2})$/.exec(text);
  const [year, month, day] = (match ?? []).slice(1).map(Number);
  const at = match ? new Date(year ?? 0, (month ?? 0) - 1, day ?? 0, 23, 59, 59) : null;
  if (!at || at.getMonth() + 1 !== month || at.getDate() !== day)
    throw new InvalidArgumentError('a date like 2027-12-31');
  return at.getTime();
}

/** `2027-12-31`: its first moment at this machine, in ms. */
export function startOfDay(text: string): number {
  const end = new Date(endOfDay(text));
  return new Date(end.getFullYear(), end.getMonth(), end.getDate()).getTime();
}
