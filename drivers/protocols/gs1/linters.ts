/**
 * The checks that the syntax dictionary names for parts of a value. Rows; those that need lists of others (countries,
 * currencies, package types, American coupons) check no more than the form. Pure.
 */
import { hasCheckCharacters, hasCheckDigit } from './check-digits.js';

type Linter = (part: string) => boolean;

const inRange =
  (from: number, to: number): Linter =>
  (part) =>
    Number(part) >= from && Number(part) <= to;

/** Days of a month, 1…12, of the Gregorian calendar. */
export const daysOf = (year: number, month: number): number =>
  month === 2
    ? year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
      ? 29
      : 28
    : [4, 6, 9, 11].includes(month)
      ? 30
      : 31;

/** Years of two digits are 1951…2050 and beyond (§7.12): each fourth is a leap year. */
const isDate = (year: number, month: number, day: number, dayMin: 0 | 1): boolean =>
  month >= 1 && month <= 12 && day >= dayMin && day <= daysOf(year, month);
const shortDate =
  (dayMin: 0 | 1): Linter =>
  (part) =>
    isDate(2_000 + Number(part.slice(0, 2)), Number(part.slice(2, 4)), Number(part.slice(4, 6)), dayMin);

/** `p` of `t`, both from 1. */
const isPiece = (piece: number, total: number): boolean => piece >= 1 && piece <= total;

/** ISO 13616: letters count from 10, the first four characters come last, and the whole leaves 1 by 97. */
function isIban(part: string): boolean {
  if (!/^[A-Z]{2}[0-9]{2}[A-Z0-9]+$/.test(part)) return false;
  let rest = 0;
  for (const character of part.slice(4) + part.slice(0, 4)) {
    const value = Number.parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

const anything: Linter = () => true;

export const linters: Readonly<Record<string, Linter>> = {
  csum: hasCheckDigit,
  csumalpha: hasCheckCharacters,
  // A company prefix has four digits or more; whose it is, nobody here knows.
  gcppos1: (part) => /^[0-9]{4}/.test(part),
  gcppos2: (part) => /^.[0-9]{4}/.test(part),
  yymmd0: shortDate(0),
  yymmdd: shortDate(1),
  yyyymmdd: (part) => isDate(Number(part.slice(0, 4)), Number(part.slice(4, 6)), Number(part.slice(6, 8)), 1),
  hhmi: (part) => Number(part.slice(0, 2)) <= 23 && Number(part.slice(2, 4)) <= 59,
  hh: inRange(0, 23),
  mi: inRange(0, 59),
  ss: inRange(0, 59),
  zero: (part) => /^0+$/.test(part),
  nonzero: (part) => /[1-9]/.test(part),
  nozeroprefix: (part) => part === '0' || !part.startsWith('0'),
  hasnondigit: (part) => /[^0-9]/.test(part),
  yesno: inRange(0, 1),
  winding: (part) => /^[019]$/.test(part),
  iso5218: (part) => /^[0129]$/.test(part),
  hyphen: (part) => part === '-',
  importeridx: (part) => /^[0-9A-Za-z_-]$/.test(part),
  mediatype: (part) => inRange(1, 10)(part) || inRange(80, 99)(part),
  latitude: inRange(0, 1_800_000_000),
  longitude: inRange(0, 3_600_000_000),
  pieceoftotal: (part) => isPiece(Number(part.slice(0, 2)), Number(part.slice(2, 4))),
  posinseqslash: (part) => {
    const [, piece, total] = /^([0-9])\/([0-9])$/.exec(part) ?? [];
    return isPiece(Number(piece), Number(total));
  },
  pcenc: (part) => /^(?:[^%]|%[0-9A-Fa-f]{2})*$/.test(part),
  iban: isIban,
  iso3166: (part) => /^[0-9]{3}$/.test(part) && part !== '000',
  iso3166999: (part) => /^[0-9]{3}$/.test(part) && part !== '000',
  iso3166alpha2: (part) => /^[A-Z]{2}$/.test(part),
  iso4217: (part) => /^[0-9]{3}$/.test(part) && part !== '000',
  packagetype: (part) => /^[0-9A-Z]{1,4}$/.test(part),
  couponcode: anything,
  couponposoffer: anything,
};
