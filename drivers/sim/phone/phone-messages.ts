/**
 * What a simulated phone does with the merchant's fixed-format messages: registers, keeps coupons, answers.
 * A function of state and text; must not know how messages travel.
 */
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { keyIdOf, openIssuedCard, type PhoneChance, wrapKey } from './phone-crypto.js';
import { couponsMax, issuedCardsMax, type PhoneCoupon, type PhoneState } from './phone-state.js';

/** What became of a message; all but the first four leave the phone as it was. */
export type MessageOutcome =
  | 'registered'
  | 'registrationRepeated'
  | 'couponKept'
  | 'cardIssued'
  | 'notForThisApplication'
  | 'malformed'
  | 'anotherMerchant'
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
  /^(SHOULI1 CPN (SLC[0-9]{13}) (0|[1-9][0-9]{0,11}) ([A-Z]{3}) (0|[1-9][0-9]{0,9}) ([HC]))(?: ([0-9A-Za-z_-]{214}))?$/;

/** base64url that is the one text of its bytes; null otherwise. */
function readBase64Url(text: string): Bytes | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

/** Handles one message text. `chance` gives the new member key and the ephemeral private key. */
export function handleMessage(state: PhoneState, text: string, chance: PhoneChance): Handled {
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  if (!text.startsWith('SHOULI1 ')) return unchanged('notForThisApplication');
  const registration = registrationForm.exec(text);
  if (registration) {
    const [, merchantId = '', token = '', key = ''] = registration;
    const merchantKey = readBase64Url(key);
    return merchantKey === null ? unchanged('malformed') : register(state, merchantId, token, merchantKey, chance);
  }
  const coupon = couponForm.exec(text);
  if (!coupon) return unchanged('malformed');
  const [, head = '', code = '', balance = '', currency = '', expiry = '', holder = '', sealed] = coupon;
  if ((holder === 'C') !== (sealed !== undefined)) return unchanged('malformed');
  const kept: PhoneCoupon = {
    code,
    balanceMinor: Number(balance),
    currency,
    expiresAtSeconds: Number(expiry),
    holder: holder === 'C' ? 'card' : 'host',
  };
  if (sealed === undefined) return keepCoupon(state, kept);
  const sealedBytes = readBase64Url(sealed);
  return sealedBytes === null ? unchanged('malformed') : takeCard(state, kept, head, sealedBytes);
}

function register(
  state: PhoneState,
  merchantId: string,
  token: string,
  merchantKey: Bytes,
  chance: PhoneChance,
): Handled {
  const known = state.registration;
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  if (known && known.merchantId !== merchantId) return unchanged('anotherMerchant');
  // The first registration fixes the merchant's key: a forged later message cannot turn the phone over to somebody else.
  if (known && known.merchantPublicKey !== toHex(merchantKey)) return unchanged('anotherMerchantKey');
  if (known && known.token === token) return { outcome: 'registrationRepeated', state, answer: known.answer };
  const memberKey = chance.bytes(16);
  const wrapped = wrapKey(merchantKey, chance.bytes(32), token, memberKey);
  if (wrapped === null) return unchanged('malformed');
  const answer = `SHOULI1 KEY ${token} ${Buffer.from(wrapped).toString('base64url')}`;
  const registration = {
    merchantId,
    merchantPublicKey: toHex(merchantKey),
    token,
    answer,
    memberKeyId: toHex(keyIdOf(merchantId, token)),
    memberKey: toHex(memberKey),
  };
  return { outcome: 'registered', state: { ...state, registration }, answer };
}

function withCoupon(state: PhoneState, coupon: PhoneCoupon): PhoneState | null {
  const others = state.coupons.filter(({ code }) => code !== coupon.code);
  return others.length >= couponsMax ? null : { ...state, coupons: [...others, coupon] };
}

function keepCoupon(state: PhoneState, coupon: PhoneCoupon): Handled {
  const next = withCoupon(state, coupon);
  return { outcome: next ? 'couponKept' : 'memoryFull', state: next ?? state, answer: null };
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

function takeCard(state: PhoneState, coupon: PhoneCoupon, head: string, sealed: Bytes): Handled {
  const unchanged = (outcome: MessageOutcome): Handled => ({ outcome, state, answer: null });
  if (state.registration === null) return unchanged('notRegistered');
  const issued = openIssuedCard(hex(state.registration.memberKey), head, sealed);
  if (issued === null || toHex(issued.record.subarray(1, 9)) !== toHex(issued.keyId))
    return unchanged('notSealedForThisPhone');
  const keyId = toHex(issued.keyId);
  if (state.issuedCardKeyIds.includes(keyId)) return unchanged('issuedBefore');
  // One card at a time: a coupon with money on it is never written over.
  if (state.card && (shownRecord(state.card.slots)?.balanceMinor ?? 0) > 0) return unchanged('cardInUse');
  const kept = withCoupon(state, coupon);
  if (kept === null || state.issuedCardKeyIds.length >= issuedCardsMax) return unchanged('memoryFull');
  const card = { keyId, key: toHex(issued.key), slots: [toHex(issued.record), '00'.repeat(96)] as [string, string] };
  const issuedCardKeyIds = [...state.issuedCardKeyIds, keyId];
  return { outcome: 'cardIssued', state: { ...kept, card, issuedCardKeyIds }, answer: null };
}
