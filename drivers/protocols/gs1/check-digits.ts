/**
 * GS1 check digits and characters, and the trade item numbers of EAN, UPC and ITF symbols as one form of 14 digits (GS1
 * General Specifications §7.9, §3.3.2). Pure.
 */

/** The modulo-10 check digit of a run of digits (§7.9.1). */
export function checkDigit(digits: string): number {
  let sum = 0;
  for (let i = 0; i < digits.length; i++)
    sum += (digits.charCodeAt(digits.length - 1 - i) - 48) * (i % 2 === 0 ? 3 : 1);
  return (10 - (sum % 10)) % 10;
}

/** Does a run of two digits or more end with its check digit? */
export const hasCheckDigit = (digits: string): boolean =>
  /^[0-9]{2,}$/.test(digits) && checkDigit(digits.slice(0, -1)) === Number(digits.at(-1));

/** GS1 character set 82 in the order of its values (figure 7.11-1). */
const characters82 = '!"%&\'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz';
const characters32 = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83] as const;

/** Does a key of 3…25 characters end with its pair of check characters (§7.9.5)? */
export function hasCheckCharacters(key: string): boolean {
  const data = key.slice(0, -2);
  if (data.length === 0 || data.length > primes.length) return false;
  let sum = 0;
  for (let i = 0; i < data.length; i++) {
    const value = characters82.indexOf(data.charAt(data.length - 1 - i));
    if (value < 0) return false;
    sum += value * (primes[i] ?? 0);
  }
  sum %= 1_021;
  return key.slice(-2) === characters32.charAt(sum >> 5) + characters32.charAt(sum & 31);
}

/** The 12 digits of UPC-A for the 8 of UPC-E (§5.2.2.4.2); null where it is none or its check digit is wrong. */
export function expandUpcE(code: string): string | null {
  const parts = /^([01])([0-9]{6})([0-9])$/.exec(code);
  const [, system = '', body = '', check = ''] = parts ?? [];
  if (!parts) return null;
  const last = Number(body.charAt(5));
  const expanded =
    last <= 2
      ? `${body.slice(0, 2)}${last}0000${body.slice(2, 5)}`
      : last === 3
        ? `${body.slice(0, 3)}00000${body.slice(3, 5)}`
        : last === 4
          ? `${body.slice(0, 4)}00000${body.charAt(4)}`
          : `${body.slice(0, 5)}0000${last}`;
  const whole = `${system}${expanded}${check}`;
  return hasCheckDigit(whole) ? whole : null;
}

/**
 * The trade item number of 14 digits that 8, 12, 13 or 14 digits stand for; null where none has a right check digit. Eight
 * digits that begin with 0 are UPC-E before EAN-8: no EAN-8 for products begins so.
 */
export function gtin14(digits: string): string | null {
  if (!/^(?:[0-9]{8}|[0-9]{12,14})$/.test(digits)) return null;
  const upc = digits.length === 8 && digits.startsWith('0') ? expandUpcE(digits) : null;
  if (upc !== null) return upc.padStart(14, '0');
  if (hasCheckDigit(digits)) return digits.padStart(14, '0');
  return digits.length === 8 ? (expandUpcE(digits)?.padStart(14, '0') ?? null) : null;
}

/** A trade item number as its symbol prints it: 8, 12, 13 or 14 digits. */
export function shortGtin(gtin: string): string {
  if (gtin.startsWith('000000')) return gtin.slice(6);
  if (gtin.startsWith('00')) return gtin.slice(2);
  return gtin.startsWith('0') ? gtin.slice(1) : gtin;
}
