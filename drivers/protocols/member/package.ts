/**
 * Content packages for a phone's application, the host's side: their bytes, their seal, their parts as messages, and what the
 * phone answers. docs/protocols/phone.md, "Content over the air". Pure; must not decide what a package holds.
 */
import { type Bytes, concat, equalBytes, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinorMax, type Currency } from '../../../terminal/kernel/units.js';
import { decodeBase64Url, encodeBase64Url } from './base64url.js';
import { credentialBytes, signatureBytes } from './credential.js';
import { keyIdBytes, merchantIdPattern } from './layout.js';
import { oneMessageCharactersMax, publicKeyBytes } from './messages.js';
import { labelled } from './proof.js';

/** Parts of one package at most, and bytes of the sealed package in each; the last may hold fewer. One short message each. */
export const packagePartsMax = 32;
export const packagePartBytes = 69;
const macBytes = 16;
const versionMax = 0xffffffff;
/** iv(16), MAC(16), signature, and at least one byte of padding to whole blocks: what is left for the content. */
export const packageContentBytesMax =
  Math.floor((packagePartsMax * packagePartBytes - 32) / 16) * 16 - signatureBytes - 1;

export interface PackageRules {
  readonly version: number;
  readonly currency: Currency;
  readonly earnPoints: number;
  readonly earnPerMinor: number;
  readonly spendMinor: number;
  readonly spendPerPoints: number;
}
export interface PackageCoupon {
  /** The 13 digits behind SLC. */
  readonly couponNumber: number;
  readonly balanceMinor: number;
  readonly currency: Currency;
  /** Unix seconds; 0: never. */
  readonly expiresAtSeconds: number;
  readonly limit: { readonly kind: 'none' | 'products' } | { readonly kind: 'category'; readonly category: string };
}
export interface PackageOffer {
  readonly expiresAtSeconds: number;
  /** At most 255 bytes of UTF-8. */
  readonly title: string;
  readonly text: string;
}

/** Who a package is for and by whom, and its place among the packages of this membership. */
export interface PackageHead {
  readonly merchantId: string;
  /** 1…2^32−1; each package of a membership has a higher one. */
  readonly version: number;
  readonly memberKeyId: Bytes;
  /** Compressed P-256 key that signs this and every later package. */
  readonly signer: Bytes;
}
export interface FullContent {
  readonly kind: 'full';
  readonly merchantName: string;
  readonly rules: PackageRules | null;
  readonly coupons: readonly PackageCoupon[];
  readonly offers: readonly PackageOffer[];
  /** What there is besides and did not fit. */
  readonly leftOut: { readonly coupons: number; readonly offers: number };
  /** credential.ts's, signed; null: the phone gets none. */
  readonly credential: Bytes | null;
}
export interface EraseContent {
  readonly kind: 'erase';
  /** Card key ids that may go although their record shows a balance: the host has blocked them. At most 32. */
  readonly forfeitedCards: readonly Bytes[];
}

const sectionType = {
  merchantName: 1,
  rules: 2,
  coupon: 3,
  offer: 4,
  leftOut: 5,
  credential: 6,
  forfeitedCard: 7,
} as const;
const limitByte = { none: 0, category: 1, products: 2 } as const;

function section(type: keyof typeof sectionType, ...parts: readonly Bytes[]): Bytes {
  const value = concat(...parts);
  return concat(uintBE(sectionType[type], 1), uintBE(value.length, 2), value);
}

function couponSection({ couponNumber, balanceMinor, currency, expiresAtSeconds, limit }: PackageCoupon): Bytes {
  assert(balanceMinor >= 0 && balanceMinor <= amountMinorMax, 'balance in range');
  const text = limit.kind === 'category' ? utf8(limit.category) : new Uint8Array(0);
  return section(
    'coupon',
    uintBE(couponNumber, 6),
    uintBE(balanceMinor, 6),
    utf8(currency),
    uintBE(expiresAtSeconds, 5),
    uintBE(limitByte[limit.kind], 1),
    text,
  );
}

function offerSection({ expiresAtSeconds, title, text }: PackageOffer): Bytes {
  const titleBytes = utf8(title);
  return section('offer', uintBE(expiresAtSeconds, 5), uintBE(titleBytes.length, 1), titleBytes, utf8(text));
}

const rulesSection = (rules: PackageRules): Bytes =>
  section(
    'rules',
    uintBE(rules.version, 4),
    utf8(rules.currency),
    uintBE(rules.earnPoints, 6),
    uintBE(rules.earnPerMinor, 6),
    uintBE(rules.spendMinor, 6),
    uintBE(rules.spendPerPoints, 6),
  );

/** The one byte string of a content: 01 ‖ kind ‖ version(4) ‖ memberKeyId(8) ‖ signer(33) ‖ length ‖ merchantId ‖ sections. */
export function encodePackageContent(head: PackageHead, content: FullContent | EraseContent): Bytes {
  const { merchantId, version, memberKeyId, signer } = head;
  assert(merchantIdPattern.test(merchantId) && version >= 1 && version <= versionMax, 'merchant id and version fit');
  assert(memberKeyId.length === keyIdBytes && signer.length === publicKeyBytes, 'key id and signer have their lengths');
  const id = utf8(merchantId);
  const start = concat(uintBE(1, 1), uintBE(content.kind === 'full' ? 1 : 2, 1), uintBE(version, 4));
  const fixed = concat(start, memberKeyId, signer, uintBE(id.length, 1), id);
  if (content.kind === 'erase')
    return concat(fixed, ...content.forfeitedCards.map((cardKeyId) => section('forfeitedCard', cardKeyId)));
  const { merchantName, rules, coupons, offers, leftOut, credential } = content;
  assert(credential === null || credential.length === credentialBytes, 'a credential has its length');
  return concat(
    fixed,
    section('merchantName', utf8(merchantName)),
    ...(rules ? [rulesSection(rules)] : []),
    ...coupons.map(couponSection),
    ...offers.map(offerSection),
    ...(leftOut.coupons + leftOut.offers > 0
      ? [section('leftOut', uintBE(Math.min(leftOut.coupons, 0xffff), 2), uintBE(Math.min(leftOut.offers, 0xffff), 2))]
      : []),
    ...(credential ? [section('credential', credential)] : []),
  );
}

/** What a signer signs for a content. */
export const signedBytes = (content: Bytes): Bytes => concat(utf8('shouli package 1 '), content);

/** r ‖ s, 32 bytes each, of an ECDSA signature in DER (RFC 3279 §2.2.3) as this host's own cryptography gives it. */
export function rawSignature(der: Bytes): Bytes {
  const raw = new Uint8Array(signatureBytes);
  let at = 2;
  for (const end of [32, 64]) {
    const length = der[at + 1] ?? 0;
    assert(der[at] === 0x02 && length >= 1 && length <= 33, 'an integer of P-256');
    const number = der.subarray(at + 2, at + 2 + length);
    const digits = length === 33 ? number.subarray(1) : number;
    raw.set(digits, end - digits.length);
    at += 2 + length;
  }
  assert(
    at === der.length && der[0] === 0x30 && der[1] === der.length - 2,
    'the signature ends with its second integer',
  );
  return raw;
}

const headOf = ({ merchantId, version }: Pick<PackageHead, 'merchantId' | 'version'>): string =>
  `SHOULI1 PKG ${merchantId} ${version}`;
type Cmac = Pick<Crypto, 'aesCmac'>;
const macKeyOf = (crypto: Cmac, memberKey: Bytes, head: string): Bytes =>
  labelled(crypto, memberKey, 'packageMacKey', utf8(head));

/**
 * iv(16) ‖ AES-128-CBC(KE, iv, pad(content ‖ signature)) ‖ CMAC(KM, 6D ‖ iv ‖ ciphertext). `iv` is 16 random bytes, fresh for
 * each call; `content` has at most packageContentBytesMax bytes.
 */
export function sealPackage(
  crypto: Pick<Crypto, 'aesCmac' | 'aesCbcEncrypt'>,
  memberKey: Bytes,
  head: Pick<PackageHead, 'merchantId' | 'version'>,
  iv: Bytes,
  content: Bytes,
  signature: Bytes,
): Bytes {
  assert(iv.length === 16 && signature.length === signatureBytes, 'iv and signature have their lengths');
  assert(content.length <= packageContentBytesMax, 'the content fits a package');
  const headBytes = utf8(headOf(head));
  const signed = concat(content, signature);
  const padding = new Uint8Array(16 - (signed.length % 16));
  padding[0] = 0x80;
  const encryptionKey = labelled(crypto, memberKey, 'packageEncryptionKey', headBytes);
  const sealed = concat(iv, crypto.aesCbcEncrypt(encryptionKey, iv, concat(signed, padding)));
  return concat(sealed, labelled(crypto, macKeyOf(crypto, memberKey, headOf(head)), 'packageMac', sealed));
}

/** How many messages a sealed package takes, 1…packagePartsMax. */
export const packagePartCount = (sealedBytes: number): number => Math.ceil(sealedBytes / packagePartBytes);

/** One part as its message, at most 160 characters; `part` counts from 1. */
export function formatPackagePart(
  crypto: Cmac,
  memberKey: Bytes,
  head: Pick<PackageHead, 'merchantId' | 'version'>,
  sealed: Bytes,
  part: number,
): string {
  const parts = packagePartCount(sealed.length);
  assert(part >= 1 && part <= parts && parts <= packagePartsMax, 'the part exists');
  const piece = sealed.subarray((part - 1) * packagePartBytes, part * packagePartBytes);
  const macKey = macKeyOf(crypto, memberKey, headOf(head));
  const covered = concat(uintBE(part, 1), uintBE(parts, 1), piece);
  const body = concat(piece, labelled(crypto, macKey, 'packagePartMac', covered));
  const text = `${headOf(head)} ${part}/${parts} ${encodeBase64Url(body)}`;
  assert(text.length <= oneMessageCharactersMax, 'a part fits one message');
  return text;
}

/** What a phone says of its packages. Nothing of it counts before verifyPackageAnswer. */
export type PackageAnswer = {
  readonly merchantId: string;
  readonly version: number;
  /** The text before the MAC, and the MAC. */
  readonly covered: string;
  readonly mac: Bytes;
} & (
  | { readonly word: 'HAVE' }
  /** Bit n − 1 stands for part n. */
  | { readonly word: 'NEED'; readonly missing: number }
  /** Not erased: this card's record shows a balance. */
  | { readonly word: 'KEPT'; readonly cardKeyId: string }
);

const answerForm =
  /^(SHOULI1 (HAVE|NEED|KEPT) ([0-9A-Za-z]{1,16}) ([1-9][0-9]{0,9})(?: ([0-9a-f]{8}(?:[0-9a-f]{8})?))?) ([0-9A-Za-z_-]{22})$/;

export const isPackageAnswer = (text: string): boolean => /^SHOULI1 (HAVE|NEED|KEPT) /.test(text);

/** @returns the answer's parts, or `input.tooLong`, `input.malformed`, `input.outOfRange` with the offset in characters */
export function parsePackageAnswer(text: string): Result<PackageAnswer, DecodeError> {
  if (text.length > oneMessageCharactersMax) return decodeError('input.tooLong', oneMessageCharactersMax, 'message');
  const match = answerForm.exec(text);
  if (!match) return decodeError('input.malformed', 0, 'not an answer to a package');
  const [, covered = '', word, merchantId = '', versionText, detail = '', macText = ''] = match;
  const mac = decodeBase64Url(macText, macBytes);
  if (!mac.ok) return decodeError(mac.error.code, covered.length + 1 + mac.error.offset, 'MAC');
  const version = Number(versionText);
  if (version > versionMax) return decodeError('input.outOfRange', covered.length, 'version');
  const common = { merchantId, version, covered, mac: mac.value };
  if (word === 'HAVE' && detail === '') return ok({ ...common, word });
  if (word === 'KEPT' && detail.length === 16) return ok({ ...common, word, cardKeyId: detail });
  const missing = word === 'NEED' && detail.length === 8 ? Number.parseInt(detail, 16) : 0;
  return missing === 0
    ? decodeError('input.malformed', covered.length - detail.length, 'what the word takes')
    : ok({ ...common, word: 'NEED', missing });
}

const answerLabel = { HAVE: 'packageHave', NEED: 'packageNeed', KEPT: 'packageKept' } as const;

/** Was this answer made by who holds the member key? */
export const verifyPackageAnswer = (crypto: Cmac, memberKey: Bytes, answer: PackageAnswer): boolean =>
  equalBytes(labelled(crypto, memberKey, answerLabel[answer.word], utf8(answer.covered)), answer.mac);
