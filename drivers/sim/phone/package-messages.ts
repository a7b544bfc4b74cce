/**
 * What a simulated phone does with the parts of a content package: keeps them, asks for what is missing, applies a whole one or
 * erases the membership. Written from docs/protocols/phone.md; functions of state and text. Must not touch other memberships.
 */
import { createPublicKey, ECDH, verify } from 'node:crypto';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { PackageContent, PackageState } from './package-state.js';
import { cmac, same } from './phone-crypto.js';

/** The membership that the merchant of a package has here. */
export interface PackageMember {
  readonly merchantId: string;
  readonly merchantPublicKey: string;
  readonly token: string;
  readonly memberKeyId: string;
  readonly memberKey: string;
  /** A card whose record shows a balance; null: nothing is lost when the card goes. */
  readonly loadedCardKeyId: string | null;
}

export type PackageOutcome =
  | 'packagePartKept'
  | 'packageApplied'
  | 'membershipErased'
  /** Applied before, or a newer one was. */
  | 'packageKnown'
  | 'packageDamaged'
  | 'packageForged'
  | 'cardInUse'
  | 'erasedBefore';

export interface PackageHandled {
  readonly outcome: PackageOutcome;
  readonly state: PackageState;
  readonly answer: string | null;
}

export const packageForm =
  /^SHOULI1 PKG ([0-9A-Za-z]{1,16}) ([1-9][0-9]{0,9}) ([1-9][0-9]?)\/([1-9][0-9]?) ([0-9A-Za-z_-]+)$/;
const pieceBytes = 69;
const couponNumberMax = 9_999_999_999_999;
const balanceMinorMax = 999_999_999_999;

export interface PackagePart {
  readonly merchantId: string;
  readonly version: number;
  readonly part: number;
  readonly parts: number;
  readonly body: Bytes;
}

/** One part as its text says it; null when it has not the form. */
export function readPart(text: string): PackagePart | null {
  const [, merchantId = '', versionText, partText, partsText, bodyText = ''] = packageForm.exec(text) ?? [];
  const [version, part, parts] = [Number(versionText), Number(partText), Number(partsText)];
  const body = Buffer.from(bodyText, 'base64url');
  const length = body.length - 16;
  const fits = part < parts ? length === pieceBytes : length >= 1 && length <= pieceBytes;
  const isPart = version <= 0xffffffff && part <= parts && parts <= 32 && fits;
  return isPart && body.toString('base64url') === bodyText ? { merchantId, version, part, parts, body } : null;
}

const answerOf = (key: Bytes, first: number, text: string): string =>
  `${text} ${Buffer.from(cmac(key, first, Buffer.from(text))).toString('base64url')}`;
const have = (member: PackageMember, version: number): string =>
  answerOf(hex(member.memberKey), 0x48, `SHOULI1 HAVE ${member.merchantId} ${version}`);

/** Handles a part. `member` is null when this phone has no membership of the merchant (any more). */
export function handlePart(state: PackageState, member: PackageMember | null, got: PackagePart): PackageHandled {
  const unchanged = (outcome: PackageOutcome, answer: string | null = null) => ({ outcome, state, answer });
  const isLast = got.part === got.parts;
  if (member === null) {
    const again = state.erased !== null && got.version === state.version && isLast;
    return unchanged('erasedBefore', again ? (state.erased?.answer ?? null) : null);
  }
  const head = Buffer.from(`SHOULI1 PKG ${got.merchantId} ${got.version}`);
  const macKey = cmac(hex(member.memberKey), 0x09, head);
  const piece = got.body.subarray(0, -16);
  const expected = cmac(macKey, 0x70, Uint8Array.of(got.part, got.parts), piece);
  if (!same(expected, got.body.subarray(-16))) return unchanged('packageDamaged');
  if (got.version <= state.version) return unchanged('packageKnown', isLast ? have(member, state.version) : null);
  const before = state.incoming?.memberKeyId === member.memberKeyId ? state.incoming : null;
  if (before && got.version < before.version) return unchanged('packageKnown');
  const goesOn = before?.version === got.version && before.pieces.length === got.parts;
  const pieces = goesOn ? [...before.pieces] : Array.from({ length: got.parts }, (): string | null => null);
  pieces[got.part - 1] = toHex(piece);
  const missing = pieces.reduce((mask, one, at) => (one === null ? (mask | (1 << at)) >>> 0 : mask), 0);
  if (missing === 0) return take(state, member, got, Buffer.from(pieces.join(''), 'hex'), macKey, head);
  const kept = { ...state, incoming: { memberKeyId: member.memberKeyId, version: got.version, pieces } };
  const text = `SHOULI1 NEED ${member.merchantId} ${got.version} ${missing.toString(16).padStart(8, '0')}`;
  const answer = isLast ? answerOf(hex(member.memberKey), 0x4e, text) : null;
  return { outcome: 'packagePartKept', state: kept, answer };
}

/** A package of which every part is here: verified as a whole, and applied or refused as a whole. */
function take(
  state: PackageState,
  member: PackageMember,
  got: PackagePart,
  sealed: Bytes,
  macKey: Bytes,
  head: Bytes,
): PackageHandled {
  // What is whole and wrong does not become right: its parts are let go, and may come anew.
  const dropped = { ...state, incoming: null };
  const opened = openPackage(member, sealed, macKey, head);
  const content = opened && readContent(opened, state.signer);
  if (
    !content ||
    content.merchantId !== member.merchantId ||
    content.version !== got.version ||
    content.memberKeyId !== member.memberKeyId
  )
    return { outcome: 'packageForged', state: dropped, answer: null };
  const { version, signer } = content;
  if (content.full)
    return {
      outcome: 'packageApplied',
      state: { ...dropped, version, signer, content: content.full, erased: null },
      answer: have(member, version),
    };
  const loaded = member.loadedCardKeyId;
  if (loaded !== null && !content.forfeitedCards.includes(loaded)) {
    const text = `SHOULI1 KEPT ${member.merchantId} ${version} ${loaded}`;
    return { outcome: 'cardInUse', state: dropped, answer: answerOf(hex(member.memberKey), 0x4b, text) };
  }
  // The answer is made while the key is still here, and kept: it may have to be given again.
  const answer = have(member, version);
  const { token, merchantPublicKey } = member;
  const erased = { answer, token, merchantPublicKey };
  return {
    outcome: 'membershipErased',
    state: { ...dropped, version, signer, content: null, erased },
    answer,
  };
}

/** content ‖ signature(64), or null. */
function openPackage(member: PackageMember, sealed: Bytes, macKey: Bytes, head: Bytes): Buffer | null {
  if (sealed.length < 16 + 80 + 16 || sealed.length % 16 !== 0) return null;
  if (!same(cmac(macKey, 0x6d, sealed.subarray(0, -16)), sealed.subarray(-16))) return null;
  const key = cmac(hex(member.memberKey), 0x08, head);
  const plain = Buffer.from(nativeCrypto.aesCbcDecrypt(key, sealed.subarray(0, 16), sealed.subarray(16, -16)));
  const end = plain.lastIndexOf(0x80);
  return end > 64 && plain.subarray(end + 1).every((byte) => byte === 0) ? plain.subarray(0, end) : null;
}

function isSigned(signer: Bytes, content: Bytes, signature: Bytes): boolean {
  try {
    const point = ECDH.convertKey(signer, 'prime256v1', undefined, undefined, 'uncompressed') as Buffer;
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'));
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x: x ?? '', y: y ?? '' }, format: 'jwk' });
    const data = Buffer.concat([Buffer.from('shouli package 1 '), content]);
    return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
  } catch {
    return false;
  }
}

interface ReadContent {
  readonly merchantId: string;
  readonly version: number;
  readonly memberKeyId: string;
  readonly signer: string;
  /** null: an erasure. */
  readonly full: PackageContent | null;
  readonly forfeitedCards: readonly string[];
}

/** Reads and verifies a content; null when it is not this merchant's signer's, or not one. */
function readContent(signed: Buffer, signer: string | null): ReadContent | null {
  const bytes = signed.subarray(0, -64);
  const kind = bytes[1];
  if (bytes.length < 48 || bytes[0] !== 1 || (kind !== 1 && kind !== 2)) return null;
  const namedSigner = toHex(bytes.subarray(14, 47));
  // The first package that the member key vouches for fixes the signer; from then on the member key alone changes nothing.
  if (signer !== null && signer !== namedSigner) return null;
  if (!isSigned(bytes.subarray(14, 47), bytes, signed.subarray(-64))) return null;
  const idEnd = 48 + (bytes[47] ?? 0);
  const common = {
    merchantId: bytes.toString('latin1', 48, idEnd),
    version: bytes.readUInt32BE(2),
    memberKeyId: toHex(bytes.subarray(6, 14)),
    signer: namedSigner,
  };
  const sections = readSections(bytes.subarray(idEnd));
  if (sections === null) return null;
  const cards = sections.filter(({ type }) => kind === 2 && type === 7);
  if (cards.some(({ value }) => value.length !== 8)) return null;
  const forfeitedCards = cards.map(({ value }) => toHex(value));
  if (kind === 2) return { ...common, full: null, forfeitedCards };
  const full = readFull(sections);
  return full && { ...common, full, forfeitedCards: [] };
}

interface Section {
  readonly type: number;
  readonly value: Buffer;
}

function readSections(bytes: Buffer): readonly Section[] | null {
  const sections: Section[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + 3 > bytes.length) return null;
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) return null;
    sections.push({ type: bytes[at] ?? 0, value: bytes.subarray(at + 3, end) });
    at = end;
  }
  return sections;
}

/**
 * A type that this phone does not know is passed over: a later merchant may say more. One that it knows and that is out of its
 * form makes the whole wrong: null.
 */
function readFull(sections: readonly Section[]): PackageContent | null {
  let full: PackageContent = {
    merchantName: '',
    rules: null,
    coupons: [],
    offers: [],
    leftOut: { coupons: 0, offers: 0 },
    credential: null,
  };
  for (const { type, value } of sections) {
    if (type === 1) full = { ...full, merchantName: value.toString('utf8') };
    else if (type === 2 && value.length === 31 && isCurrency(value, 4)) full = { ...full, rules: readRules(value) };
    else if (type === 3 && value.length >= 21 && isCurrency(value, 12) && isCouponInRange(value))
      full = { ...full, coupons: [...full.coupons, readCoupon(value)] };
    else if (type === 4 && value.length >= 6 + (value[5] ?? 0))
      full = { ...full, offers: [...full.offers, readOffer(value)] };
    else if (type === 5 && value.length === 4)
      full = { ...full, leftOut: { coupons: value.readUInt16BE(0), offers: value.readUInt16BE(2) } };
    else if (type === 6 && value.length === 127) full = { ...full, credential: toHex(value) };
    else if (type >= 1 && type <= 6) return null;
  }
  return full;
}

const isCurrency = (value: Buffer, at: number): boolean => /^[A-Z]{3}$/.test(value.toString('latin1', at, at + 3));
const isCouponInRange = (value: Buffer): boolean =>
  value.readUIntBE(0, 6) <= couponNumberMax && value.readUIntBE(6, 6) <= balanceMinorMax;

const readRules = (value: Buffer): NonNullable<PackageContent['rules']> => ({
  version: value.readUInt32BE(0),
  currency: value.toString('latin1', 4, 7),
  earnPoints: value.readUIntBE(7, 6),
  earnPerMinor: value.readUIntBE(13, 6),
  spendMinor: value.readUIntBE(19, 6),
  spendPerPoints: value.readUIntBE(25, 6),
});

const readCoupon = (value: Buffer): PackageContent['coupons'][number] => ({
  code: `SLC${String(value.readUIntBE(0, 6)).padStart(13, '0')}`,
  balanceMinor: value.readUIntBE(6, 6),
  currency: value.toString('latin1', 12, 15),
  expiresAtSeconds: value.readUIntBE(15, 5),
  // A way to limit that this phone does not know is a limit all the same, without a name.
  limit: value[20] === 0 ? null : value[20] === 1 ? value.toString('utf8', 21) : '',
});

function readOffer(value: Buffer): PackageContent['offers'][number] {
  const titleEnd = 6 + (value[5] ?? 0);
  return {
    expiresAtSeconds: value.readUIntBE(0, 5),
    title: value.toString('utf8', 6, titleEnd),
    text: value.toString('utf8', titleEnd),
  };
}
