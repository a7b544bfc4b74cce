/**
 * The fixed-format messages between merchant and phone: registration, its answer, and a coupon's issue. Text only.
 * Pure. Must not open or seal what they carry (key-exchange.ts does).
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinorMax, type Currency } from '../../../terminal/kernel/units.js';
import { decodeBase64Url, encodeBase64Url } from './base64url.js';
import { merchantIdPattern } from './layout.js';

/** One short message in the GSM 7-bit alphabet (3GPP TS 23.038 §6.2.1); two parts of a longer one (153 each). */
export const oneMessageCharactersMax = 160;
export const couponMessageCharactersMax = 306;

/** 16 characters of Crockford's base 32 in upper case: 80 bits that nobody can guess. Good for one registration. */
export const registrationTokenPattern = /^[0-9A-HJKMNP-TV-Z]{16}$/;
export const registrationTokenCharacters = 16;
const tokenAlphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Compressed P-256 public key, and what the phone sends: its ephemeral public key(33) ‖ ciphertext(16) ‖ tag(16). */
export const publicKeyBytes = 33;
export const wrappedKeyBytes = 65;
/** The same of a phone that can sign: the ciphertext has its own public key(33) behind the member key. */
export const wrappedKeysBytes = 98;
/** A card-held coupon's sealed part: iv(16) ‖ ciphertext(128) ‖ MAC(16). */
export const issuedCardBytes = 160;

/** A token of 16 random bytes: the low five bits of each make one character. */
export function registrationToken(random: Bytes): string {
  assert(random.length === registrationTokenCharacters, 'a token is made of 16 random bytes');
  return Array.from(random, (byte) => tokenAlphabet.charAt(byte & 31)).join('');
}

/** `SHOULI1 REG <merchantId> <token> <base64url of the merchant's public key>`, at most 90 characters. */
export function formatRegistration(merchantId: string, token: string, merchantPublicKey: Bytes): string {
  assert(
    merchantIdPattern.test(merchantId) && registrationTokenPattern.test(token),
    'merchant id and token have their form',
  );
  assert(merchantPublicKey.length === publicKeyBytes, 'a compressed public key has 33 bytes');
  return `SHOULI1 REG ${merchantId} ${token} ${encodeBase64Url(merchantPublicKey)}`;
}

export interface KeyMessage {
  readonly token: string;
  readonly wrappedKey: Bytes;
}

/**
 * Reads a phone's answer, `SHOULI1 KEY <token> <base64url of 65 or 98 bytes>`: exactly that, 116 or 160 characters.
 * @returns its parts, or `input.tooLong`, `input.truncated`, `input.malformed` with the offset in characters
 */
export function parseKeyMessage(text: string): Result<KeyMessage, DecodeError> {
  if (text.length > oneMessageCharactersMax) return decodeError('input.tooLong', oneMessageCharactersMax, 'message');
  const head = 'SHOULI1 KEY ';
  if (!text.startsWith(head)) return decodeError('input.malformed', 0, 'not a key message');
  const tokenEnd = head.length + registrationTokenCharacters;
  const token = text.slice(head.length, tokenEnd);
  if (!registrationTokenPattern.test(token)) return decodeError('input.malformed', head.length, 'token');
  if (text.charAt(tokenEnd) !== ' ') return decodeError('input.malformed', tokenEnd, 'one space after the token');
  const wrapped = text.slice(tokenEnd + 1);
  const canSign = wrapped.length > Math.ceil((wrappedKeyBytes * 4) / 3);
  const wrappedKey = decodeBase64Url(wrapped, canSign ? wrappedKeysBytes : wrappedKeyBytes);
  if (!wrappedKey.ok) {
    const { code, offset, detail } = wrappedKey.error;
    return decodeError(code, tokenEnd + 1 + offset, detail);
  }
  return ok({ token, wrappedKey: wrappedKey.value });
}

export interface CouponIssue {
  /** Whose coupon it is: the membership that keeps it. */
  readonly merchantId: string;
  /** `SLC` and 13 digits. */
  readonly couponCode: string;
  /** 0…amountMinorMax. */
  readonly balanceMinor: number;
  readonly currency: Currency;
  /** Unix seconds, 0…9,999,999,999; 0: never expires. */
  readonly expiresAtSeconds: number;
}
const expiryMax = 9_999_999_999;

/** The text before a coupon message's last part; for a card-held coupon its seal covers these characters. */
export function couponMessageHead(coupon: CouponIssue, holder: 'H' | 'C'): string {
  const { merchantId, couponCode, balanceMinor, currency, expiresAtSeconds } = coupon;
  assert(merchantIdPattern.test(merchantId), 'a merchant id has its form');
  assert(/^SLC[0-9]{13}$/.test(couponCode), 'a coupon code is SLC and 13 digits');
  assert(Number.isSafeInteger(balanceMinor) && balanceMinor >= 0 && balanceMinor <= amountMinorMax, 'balance in range');
  assert(
    Number.isSafeInteger(expiresAtSeconds) && expiresAtSeconds >= 0 && expiresAtSeconds <= expiryMax,
    'expiry in range',
  );
  return `SHOULI1 CPN ${merchantId} ${couponCode} ${balanceMinor} ${currency} ${expiresAtSeconds} ${holder}`;
}

/** A host-held coupon's message: the phone shows the code, the balance stays at the host. One short message. */
export const formatHostCoupon = (coupon: CouponIssue): string => couponMessageHead(coupon, 'H');

/** A card-held coupon's message, with what sealIssuedCard gave: two parts of a concatenated short message. */
export function formatCardCoupon(coupon: CouponIssue, sealedCard: Bytes): string {
  assert(sealedCard.length === issuedCardBytes, 'a sealed card has 160 bytes');
  const text = `${couponMessageHead(coupon, 'C')} ${encodeBase64Url(sealedCard)}`;
  assert(text.length <= couponMessageCharactersMax, 'a coupon message fits two parts');
  return text;
}
