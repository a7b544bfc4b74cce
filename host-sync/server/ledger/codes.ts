/**
 * Codes that people and scanners read: member (SLM) and coupon (SLC) codes with a GS1 check digit, enrolment codes.
 * Pure; the caller brings the random bytes. Must not know who a code belongs to.
 */
import { checkDigit, hasCheckDigit } from '../../../drivers/protocols/gs1/check-digits.js';
import { type Bytes, readUintBE } from '../../../terminal/kernel/bytes.js';
import { assert } from '../../../terminal/kernel/result.js';

/** Random bytes that `drawCode` needs. */
export const codeRandomBytes = 6;
function drawCode(prefix: 'SLM' | 'SLC', random: Bytes): string {
  assert(random.length === codeRandomBytes, 'six random bytes');
  const digits = String(readUintBE(random) % 1_000_000_000_000).padStart(12, '0');
  return `${prefix}${digits}${checkDigit(digits)}`;
}
/** A member code of 6 random bytes: SLM, 12 digits, check digit. */
export const drawMemberCode = (random: Bytes): string => drawCode('SLM', random);
/** A coupon code of 6 random bytes: SLC, 12 digits, check digit. */
export const drawCouponCode = (random: Bytes): string => drawCode('SLC', random);

/** Is the check digit right? Takes SLM or SLC codes of the right form. */
export const codeIsSound = (code: string): boolean => /^SL[MC][0-9]{13}$/.test(code) && hasCheckDigit(code.slice(3));
/** The 13 digits of a coupon's code as the card's record holds them. */
export const couponNumber = (code: string): number => Number(code.slice(3));

const crockford = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
export const enrolmentRandomBytes = 16;
/** Sixteen characters of Crockford's base 32 (80 bits of the 16 bytes given) in groups of four. */
export function drawEnrolmentCode(random: Bytes): string {
  assert(random.length === enrolmentRandomBytes, 'sixteen random bytes');
  const letters = [...random].map((byte) => crockford.charAt(byte & 31)).join('');
  return letters.match(/.{4}/g)?.join('-') ?? '';
}
