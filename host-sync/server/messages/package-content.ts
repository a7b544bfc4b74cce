/**
 * What a member's phone is to show, as a package's content: merchant, rules, coupons held at the host, offers; what does not fit
 * is counted. Must not seal, number or send.
 */
import {
  encodePackageContent,
  type FullContent,
  type PackageCoupon,
  type PackageHead,
  type PackageOffer,
  packageContentBytesMax,
} from '../../../drivers/protocols/member/package.js';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Rules } from '../../protocol/sync.js';
import { couponNumber } from '../ledger/codes.js';
import type { CouponView, MemberOverview } from '../service/types.js';

/** An offer's text travels up to so many characters; the member's pages show it whole. Each Chinese one costs three bytes. */
export const offerTextCharactersMax = 120;

const secondsOf = (ms: number | null): number => (ms === null ? 0 : Math.floor(ms / 1000));

function couponOf(coupon: CouponView): PackageCoupon {
  const { limitCategory, limitProducts } = coupon;
  return {
    couponNumber: couponNumber(coupon.code),
    balanceMinor: coupon.balanceMinor,
    currency: coupon.currency,
    expiresAtSeconds: secondsOf(coupon.expiresAtMs),
    limit: limitCategory
      ? { kind: 'category', category: limitCategory }
      : { kind: limitProducts ? 'products' : 'none' },
  };
}

function offerOf(offer: MemberOverview['offers'][number]): PackageOffer {
  const characters = [...offer.text];
  const text =
    characters.length > offerTextCharactersMax
      ? `${characters.slice(0, offerTextCharactersMax - 1).join('')}…`
      : offer.text;
  return { expiresAtSeconds: secondsOf(offer.expiresAtMs), title: offer.title, text };
}

/** The soonest to end first; those without an end last. */
const byEnd = (a: CouponView, b: CouponView): number =>
  (a.expiresAtMs ?? Number.MAX_SAFE_INTEGER) - (b.expiresAtMs ?? Number.MAX_SAFE_INTEGER) || (a.code < b.code ? -1 : 1);

const isShown = (coupon: CouponView, nowMs: number): boolean =>
  coupon.holder === 'host' &&
  coupon.state === 'active' &&
  coupon.balanceMinor > 0 &&
  (coupon.expiresAtMs === null || coupon.expiresAtMs > nowMs);

/** Coupons come before offers: they are worth money. A credential has its place before both. */
export function fullContent(
  head: PackageHead,
  overview: Pick<MemberOverview, 'atMs' | 'merchant' | 'offers'>,
  coupons: readonly CouponView[],
  rules: Rules | null,
  credential: Bytes | null = null,
): FullContent {
  const shown = coupons.filter((coupon) => isShown(coupon, overview.atMs)).sort(byEnd);
  const offers = overview.offers.map(offerOf);
  let content: FullContent = {
    kind: 'full',
    merchantName: overview.merchant,
    rules,
    coupons: [],
    offers: [],
    leftOut: { coupons: shown.length, offers: offers.length },
    credential,
  };
  const withNext = (next: FullContent): boolean => {
    if (encodePackageContent(head, next).length > packageContentBytesMax) return false;
    content = next;
    return true;
  };
  for (const coupon of shown.map(couponOf)) {
    const leftOut = { ...content.leftOut, coupons: content.leftOut.coupons - 1 };
    if (!withNext({ ...content, coupons: [...content.coupons, coupon], leftOut })) break;
  }
  for (const offer of offers) {
    const leftOut = { ...content.leftOut, offers: content.leftOut.offers - 1 };
    withNext({ ...content, offers: [...content.offers, offer], leftOut });
  }
  return content;
}
