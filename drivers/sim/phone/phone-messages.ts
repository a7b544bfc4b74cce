/**
 * What a simulated phone does with the merchant's fixed-format messages: registers, keeps coupons, answers.
 * A function of state and text; must not know how messages travel.
 */
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { handlePart, type PackageMember, type PackageOutcome, readPart } from './package-messages.js';
import { noPackages, packageMerchantsMax } from './package-state.js';
import { drawKeyPair, keyIdOf, openIssuedCard, type PhoneChance, wrapKey } from './phone-crypto.js';
import {
  couponsMax,
  issuedCardsMax,
  type Membership,
  membershipOf,
  membershipsMax,
  newMembership,
  type PhoneCoupon,
  type PhoneState,
  withMembership,
} from './phone-state.js';

/** Asked at the first message of a merchant that the phone does not know: does its owner want that membership? */
export type Agrees = (merchantId: string) => boolean;
/** An owner who joins whatever comes. */
export const agreesToAll: Agrees = () => true;

/** What became of a message; all but the first four and a package’s leave the phone as it was. */
export type MessageOutcome =
  | 'registered'
  | 'registrationRepeated'
  | 'couponKept'
  | 'cardIssued'
  | PackageOutcome
  | 'notForThisApplication'
  | 'malformed'
  | 'notAgreed'
  | 'anotherMerchantKey'
  | 'notRegistered'
  | 'notSealedForThisPhone'
  | 'issuedBefore'
  | 'cardInUse'
  | 'memoryFull';

export interface Handled {
  readonly outcome: MessageOutcome;
  readonly state: PhoneState;
  /** What goes back to the sender; null: nothing. */
  readonly answer: string | null;
}

const registrationForm = /^SHOULI1 REG ([0-9A-Za-z]{1,16}) ([0-9A-HJKMNP-TV-Z]{16}) ([0-9A-Za-z_-]{44})$/;
const couponForm =
  /^(SHOULI1 CPN ([0-9A-Za-z]{1,16}) (SLC[0-9]{13}) (0|[1-9][0-9]{0,11}) ([A-Z]{3}) (0|[1-9][0-9]{0,9}) ([HC]))(?: ([0-9A-Za-z_-]{214}))?$/;

/** base64url that is the one text of its bytes; null otherwise. */
function readBase64Url(text: string): Bytes | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

/**
 * Handles one message text. `chance` gives the new member key and the ephemeral private key; `agrees` is its owner, who is
 * asked once for each merchant.
 */
export function handleMessage(
  state: PhoneState,
  text: string,
  chance: PhoneChance,
  agrees: Agrees = agreesToAll,
): Handled {
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  if (!text.startsWith('SHOULI1 ')) return unchanged('notForThisApplication');
  const registration = registrationForm.exec(text);
  if (registration) {
    const [, merchantId = '', token = '', key = ''] = registration;
    const merchantKey = readBase64Url(key);
    if (merchantKey === null) return unchanged('malformed');
    return register(state, { merchantId, token, merchantKey }, chance, agrees);
  }
  if (text.startsWith('SHOULI1 PKG ')) return takePart(state, text);
  const coupon = couponForm.exec(text);
  if (!coupon) return unchanged('malformed');
  const [, head = '', merchantId = '', code = '', balance = '', currency = '', expiry = '', holder = '', sealed] =
    coupon;
  if ((holder === 'C') !== (sealed !== undefined)) return unchanged('malformed');
  const kept: PhoneCoupon = {
    code,
    balanceMinor: Number(balance),
    currency,
    expiresAtSeconds: Number(expiry),
    holder: holder === 'C' ? 'card' : 'host',
  };
  const membership = membershipOf(state, merchantId);
  const sealedBytes = sealed === undefined ? undefined : readBase64Url(sealed);
  if (sealedBytes === null) return unchanged('malformed');
  if (membership === null) return unchanged('notRegistered');
  const { outcome, next } = sealedBytes ? takeCard(membership, kept, head, sealedBytes) : keepCoupon(membership, kept);
  return next ? { outcome, state: withMembership(state, next), answer: null } : unchanged(outcome);
}

interface Invitation {
  readonly merchantId: string;
  readonly token: string;
  readonly merchantKey: Bytes;
}

function register(
  state: PhoneState,
  { merchantId, token, merchantKey }: Invitation,
  chance: PhoneChance,
  agrees: Agrees,
): Handled {
  const known = membershipOf(state, merchantId);
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  // The first registration fixes the merchant's key: a forged later message cannot turn the phone over to somebody else.
  if (known && known.merchantPublicKey !== toHex(merchantKey)) return unchanged('anotherMerchantKey');
  if (known && known.token === token) return { outcome: 'registrationRepeated', state, answer: known.answer };
  // After an erasure the merchant's key stays fixed, and the erased membership does not come back by its old message.
  const erased = state.packages.find((one) => one.merchantId === merchantId)?.erased;
  if (!known && erased && erased.merchantPublicKey !== toHex(merchantKey)) return unchanged('anotherMerchantKey');
  if (!known && erased?.token === token) return unchanged('erasedBefore');
  if (!known && state.memberships.length >= membershipsMax) return unchanged('memoryFull');
  if (!known && !agrees(merchantId)) return unchanged('notAgreed');
  const memberKey = chance.bytes(16);
  const ephemeral = chance.bytes(32);
  const own = drawKeyPair(chance);
  const wrapped = wrapKey(merchantKey, ephemeral, token, Buffer.concat([memberKey, own.publicKey]));
  if (wrapped === null) return unchanged('malformed');
  const answer = `SHOULI1 KEY ${token} ${Buffer.from(wrapped).toString('base64url')}`;
  const registration = {
    merchantId,
    merchantPublicKey: toHex(merchantKey),
    token,
    answer,
    memberKeyId: toHex(keyIdOf(merchantId, token)),
    memberKey: toHex(memberKey),
    signingKey: toHex(own.privateKey),
  };
  // A credential names the key id that it is for: the former one is nobody's any more.
  const membership = known
    ? { ...known, ...registration, credential: null, formerCredential: null }
    : newMembership(registration);
  return { outcome: 'registered', state: withMembership(state, membership), answer };
}

/** The membership that a package of this merchant is for. */
function packageMember(membership: Membership | null): PackageMember | null {
  if (membership === null) return null;
  const { card } = membership;
  const isLoaded = card !== null && (shownRecord(card.slots)?.balanceMinor ?? 0) > 0;
  return { ...membership, loadedCardKeyId: isLoaded ? card.keyId : null };
}

function takePart(state: PhoneState, text: string): Handled {
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  const part = readPart(text);
  if (part === null) return unchanged('malformed');
  const { merchantId } = part;
  const known = state.packages.find((one) => one.merchantId === merchantId);
  const membership = membershipOf(state, merchantId);
  if (!known && !membership) return unchanged('notRegistered');
  if (!known && state.packages.length >= packageMerchantsMax) return unchanged('memoryFull');
  const own = known ?? noPackages(merchantId);
  const { outcome, state: next, answer } = handlePart(own, packageMember(membership), part);
  if (next === own) return { outcome, state, answer };
  const kept = { ...state, packages: [...state.packages.filter((one) => one !== known), next] };
  if (outcome === 'membershipErased') {
    const memberships = state.memberships.filter((one) => one.merchantId !== merchantId);
    return { outcome, state: { ...kept, memberships }, answer };
  }
  if (outcome !== 'packageApplied' || membership === null) return { outcome, state: kept, answer };
  // Host-held coupons are what the package says; the card's own stays with its record.
  const carried = (next.content?.coupons ?? []).map(({ limit: _limit, ...coupon }) => ({
    ...coupon,
    holder: 'host' as const,
  }));
  const onCard = membership.coupons.filter(({ holder }) => holder === 'card');
  const coupons = [...onCard, ...carried].slice(0, couponsMax);
  const credential = next.content?.credential ?? null;
  const formerCredential = credential === membership.credential ? membership.formerCredential : membership.credential;
  return {
    outcome,
    state: withMembership(kept, { ...membership, coupons, credential, formerCredential }),
    answer,
  };
}

/** What a coupon makes of its membership; `next` null: nothing. */
interface Kept {
  readonly outcome: MessageOutcome;
  readonly next: Membership | null;
}

function withCoupon(membership: Membership, coupon: PhoneCoupon): Membership | null {
  const others = membership.coupons.filter(({ code }) => code !== coupon.code);
  return others.length >= couponsMax ? null : { ...membership, coupons: [...others, coupon] };
}

function keepCoupon(membership: Membership, coupon: PhoneCoupon): Kept {
  const next = withCoupon(membership, coupon);
  return { outcome: next ? 'couponKept' : 'memoryFull', next };
}

/** What the phone shows of its card: the slot with the highest counter that reads like a record. It cannot check the MAC. */
export function shownRecord(slots: readonly [string, string]): {
  readonly counter: number;
  readonly couponCode: string;
  readonly balanceMinor: number;
  readonly currency: string;
} | null {
  const read = slots
    .map((slot) => Buffer.from(hex(slot)))
    .filter((slot) => slot[0] === 1 && slot.readUInt32BE(15) > 0 && /^[A-Z]{3}$/.test(slot.toString('latin1', 25, 28)))
    .map((slot) => ({
      counter: slot.readUInt32BE(15),
      couponCode: `SLC${String(slot.readUIntBE(9, 6)).padStart(13, '0')}`,
      balanceMinor: slot.readUIntBE(19, 6),
      currency: slot.toString('latin1', 25, 28),
    }));
  return read.sort((a, b) => b.counter - a.counter)[0] ?? null;
}

function takeCard(membership: Membership, coupon: PhoneCoupon, head: string, sealed: Bytes): Kept {
  const unchanged = (outcome: MessageOutcome): Kept => ({ outcome, next: null });
  const issued = openIssuedCard(hex(membership.memberKey), head, sealed);
  if (issued === null || toHex(issued.record.subarray(1, 9)) !== toHex(issued.keyId))
    return unchanged('notSealedForThisPhone');
  const keyId = toHex(issued.keyId);
  if (membership.issuedCardKeyIds.includes(keyId)) return unchanged('issuedBefore');
  // One card at a time: a coupon with money on it is never written over.
  if (membership.card && (shownRecord(membership.card.slots)?.balanceMinor ?? 0) > 0) return unchanged('cardInUse');
  const kept = withCoupon(membership, coupon);
  if (kept === null || membership.issuedCardKeyIds.length >= issuedCardsMax) return unchanged('memoryFull');
  const card = { keyId, key: toHex(issued.key), slots: [toHex(issued.record), '00'.repeat(96)] as [string, string] };
  const issuedCardKeyIds = [...membership.issuedCardKeyIds, keyId];
  return { outcome: 'cardIssued', next: { ...kept, card, issuedCardKeyIds } };
}
