/**
 * Weighed goods: in-store EAN-13 numbers that hold an article and its price, in the forms that a shop's scales print (GS1
 * General Specifications §2.1.12.1: prefixes 20…29 mean what each shop makes of them). Pure.
 */
import { hasCheckDigit } from './check-digits.js';

/** `21IIIIIVVVVVC`: two fixed digits, article I, at most one digit X that is not read, price V in minor units, check digit C. */
export const weighedForm = /^(?=.{13}$)2[0-9]I+X?V+C$/;

export interface WeighedCode {
  /** The form's two digits and the article's: what the catalogue lists. */
  readonly item: string;
  /** Price of the piece, 1…999,999,999 minor units. */
  readonly priceMinor: number;
}

/** @returns null where no form fits, the check digit is wrong or the price is 0 */
export function readWeighedCode(text: string, forms: readonly string[]): WeighedCode | null {
  if (text.length !== 13 || !hasCheckDigit(text)) return null;
  const form = forms.find((each) => weighedForm.test(each) && text.startsWith(each.slice(0, 2)));
  if (form === undefined) return null;
  const priceMinor = Number(text.slice(form.indexOf('V'), form.lastIndexOf('V') + 1));
  return priceMinor === 0 ? null : { item: text.slice(0, form.lastIndexOf('I') + 1), priceMinor };
}
