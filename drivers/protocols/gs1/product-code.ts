/**
 * Product codes: whatever symbol a product carries (EAN, UPC, ITF-14, element string, Digital Link) as one trade item number,
 * with what the symbol says beyond it. Pure.
 */
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import type { Element } from './ai-rules.js';
import { expandUpcE, gtin14, hasCheckDigit } from './check-digits.js';
import { decodeDigitalLink } from './digital-link.js';
import { decodeElementString, groupSeparator } from './element-string.js';
import { daysOf } from './linters.js';

export interface ProductCode {
  /** GTIN of 14 digits with a right check digit. */
  readonly gtin: string;
  /** AI 10 and 21, 1…20 characters; null where the symbol has none. */
  readonly batch: string | null;
  readonly serial: string | null;
  /** AI 17, six digits YYMMDD, day 00 for the month's last; null where the symbol has none. */
  readonly expiry: string | null;
}

/** AIM identifiers of symbols that hold GS1 data (§5.1.3): GS1-128, GS1 DataBar, GS1 DataMatrix, GS1 QR, GS1 DotCode. */
const gs1Symbols: readonly string[] = [']C1', ']e0', ']d2', ']Q3', ']J1'];
/** Does the symbol, or a separator in it, say that this is an element string? */
export const saysElementString = (text: string, aim: string | null): boolean =>
  (aim !== null && gs1Symbols.includes(aim)) || text.includes(groupSeparator);

/** EAN-13 and UPC, and EAN-8. ITF has no check digit of its own, so that its codes may be anything. */
const eanSymbol = ']E0';
const ean8Symbol = ']E4';

const bare = (gtin: string): ProductCode => ({ gtin, batch: null, serial: null, expiry: null });

/**
 * @param aim the symbol's AIM identifier where the scanner says it
 * @returns null for a text that is none of these codes: a merchant's own. An error where the symbol, a separator or http says
 *   what it has to be, and it is not: input.* with the offset in characters
 */
export function readProductCode(text: string, aim: string | null): Result<ProductCode | null, DecodeError> {
  if (/^https?:\/\//i.test(text)) return withGtin(decodeDigitalLink(text));
  if (saysElementString(text, aim)) return withGtin(decodeElementString(text));
  if (aim === eanSymbol || aim === ean8Symbol) return readEan(text, aim);
  const gtin = gtin14(text);
  if (gtin !== null) return ok(bare(gtin));
  // Without an identifier nobody knows that it is an element string; one that is whole and right by each check is taken so.
  const isLikely = /^01[0-9]{14}/.test(text);
  const elements = isLikely ? decodeElementString(text) : null;
  return elements?.ok ? withGtin(elements) : ok(null);
}

/** Add-ons of 2 and 5 digits behind an EAN-13 (magazines) come in a symbol of their own and are not read. */
function readEan(text: string, aim: string): Result<ProductCode | null, DecodeError> {
  const wrongDigit = text.search(/[^0-9]/);
  if (wrongDigit >= 0) return decodeError('input.malformed', wrongDigit, 'digits only');
  if (![8, 12, 13].includes(text.length)) return decodeError('input.truncated', text.length, '8, 12 or 13 digits');
  const upc = aim === eanSymbol && text.length === 8 ? expandUpcE(text) : null;
  const whole = upc ?? text;
  return hasCheckDigit(whole)
    ? ok(bare(whole.padStart(14, '0')))
    : decodeError('input.outOfRange', text.length - 1, 'check digit');
}

function withGtin(elements: Result<readonly Element[], DecodeError>): Result<ProductCode, DecodeError> {
  if (!elements.ok) return elements;
  const said = (wanted: string): string | null => elements.value.find(({ ai }) => ai === wanted)?.value ?? null;
  const gtin = said('01');
  if (gtin === null) return decodeError('input.unsupported', 0, 'no trade item: another thing of GS1 is marked');
  return ok({ gtin, batch: said('10'), serial: said('21'), expiry: said('17') });
}

/**
 * The day of an expiry in `thisYear` (four digits) as `2026-12-31`: years of two digits are the nearest (§7.12), day 00 is the
 * month's last. Takes what readProductCode gave.
 */
export function expiryDay(expiry: string, thisYear: number): string {
  const ahead = Number(expiry.slice(0, 2)) - (thisYear % 100);
  const century = Math.floor(thisYear / 100) + (ahead >= 51 ? -1 : ahead <= -50 ? 1 : 0);
  const year = century * 100 + Number(expiry.slice(0, 2));
  const month = expiry.slice(2, 4);
  const day = expiry.slice(4, 6);
  return `${year}-${month}-${day === '00' ? daysOf(year, Number(month)) : day}`;
}

/**
 * Under which codes a catalogue may list what a text stands for, the text itself first, then the trade item number from 14
 * digits down to its shortest form. 1…5 codes.
 */
export function catalogueCodes(text: string): readonly string[] {
  const read = readProductCode(text, null);
  const gtin = read.ok ? read.value?.gtin : undefined;
  if (gtin === undefined) return [text];
  const forms = [14, 13, 12, 8].map((length) => gtin.slice(14 - length));
  return [...new Set([text, ...forms.filter((form) => form.padStart(14, '0') === gtin)])];
}
