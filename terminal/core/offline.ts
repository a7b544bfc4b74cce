/**
 * Offline policy: what the box may decide of a sale while it cannot reach its host: earning within limits, spending out of
 * an allowance that it holds, or on the merchant's floor limit. Pure; everything it knows is in the reading.
 */
import { isProvenOffline, isStrongEnough, type OfflineProof } from '../../host-sync/protocol/assurance.js';
import type { Credential } from '../../host-sync/protocol/record.js';
import type { OfflineLimits } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { HeldAllowance, OfflineOffer, OfflineUsage } from './offline-offer.js';
import type { SaleRequest } from './sale.js';
import { businessIdOf, serviceOf } from './services/services.js';

export interface OfflineReading {
  readonly limits: OfflineLimits;
  readonly allowances: readonly HeldAllowance[];
  readonly isBlocked: boolean;
  readonly usage: OfflineUsage;
  /** Minor units that all members together got on floor limits on this day. */
  readonly floorTodayMinor: number;
  /** What a tap was verified by here, and why by nothing more. null: a code, which proves nothing and needs nothing. */
  readonly tap: {
    readonly proofs: readonly OfflineProof[];
    readonly missing: ErrorCode;
    /** The phone's own over this tap, 64 bytes in hex, where the credential is among the proofs; the record carries it to the host. */
    readonly signature: string | null;
  } | null;
  /** The box's best knowledge of the time: under a doubtful clock the latest that it trusted, and what passed since. */
  readonly nowMs: number;
  /** null: not known; counts and amounts bind all the same. */
  readonly lastContactMs: number | null;
  /** Category of each bill line's product where the box knows it, in the bill's order. */
  readonly categories: readonly (string | null)[];
}

const dayMs = 86_400_000;
const operationOf = { pointsEarn: 'earnPoints', pointsSpend: 'spendPoints', couponHost: 'hostCoupon' } as const;
const refuse = (code: ErrorCode): OfflineOffer => ({ offer: 'refuses', code });

/**
 * The name a credential is counted and blocked under. Whose a sealed pass or a secure tag is, only the host can tell: all of them are counted
 * as one member's, so that limits bind them too.
 */
export function subjectOf(credential: Credential): string {
  // Of a rotating code what stays: its handle.
  if (credential.method === 'screenCode') return credential.code.slice(0, 12);
  if (credential.method === 'phoneNumber') return credential.number;
  return businessIdOf(credential) ?? credential.method;
}

/**
 * What the box decides without its host. Sales whose service asks for neither points nor a coupon are not limited.
 * @returns an offer; null where the service needs the host and no way without it exists, or nothing limits it
 */
export function offerOffline(
  request: SaleRequest,
  credential: Credential,
  reading: OfflineReading,
): OfflineOffer | null {
  const { name } = request.service;
  if (name !== 'pointsEarn' && name !== 'pointsSpend' && name !== 'couponHost') return null;
  const { lastContactMs, nowMs, limits } = reading;
  if (reading.isBlocked) return refuse('credential.blocked');
  const operation = operationOf[name];
  // What the host might let pass, it alone can judge: whether a code or a pass was shown before, and what the merchant wants.
  if (credential.method !== 'couponCode' && !isStrongEnough(operation, credential, 'offline'))
    return refuse(isStrongEnough(operation, credential, 'maybe') ? 'host.unreachable' : 'credential.tooWeak');
  if (lastContactMs !== null && nowMs - lastContactMs > limits.daysMax * dayMs) return refuse('offline.tooLong');
  if (name === 'pointsEarn') return offerEarn(request, credential, reading);
  return offerAllowance(request, credential, reading) ?? offerFloor(request, credential, reading);
}

function offerEarn(request: SaleRequest, credential: Credential, { usage, limits }: OfflineReading): OfflineOffer {
  const { points } = serviceOf(request).context();
  if (usage.earns >= limits.earnCountPerDay || usage.earnPoints + points > limits.earnPointsPerDay)
    return refuse('offline.limit');
  const use = { subject: subjectOf(credential), kind: 'earn', points, minor: 0, allowanceId: null, amount: 0 } as const;
  return { offer: 'pays', decision: null, use };
}

/** What this slice pays of the sale in its own unit and in minor units; null: nothing. */
function payFrom(
  request: SaleRequest,
  slice: HeldAllowance,
  categories: OfflineReading['categories'],
): { readonly amount: number; readonly coveredMinor: number } | null {
  const { bill, service } = request;
  if (slice.holds.unit === 'points') {
    if (service.name !== 'pointsSpend') return null;
    const { points } = serviceOf(request).context();
    const coveredMinor = serviceOf(request).accepted(null, null).coveredMinor;
    return points <= slice.remaining && coveredMinor > 0 ? { amount: points, coveredMinor } : null;
  }
  const { couponCode, currency, limitCategory, limitProducts } = slice.holds;
  if (service.name !== 'couponHost' || currency !== bill.currency) return null;
  if (service.couponCode !== null && service.couponCode !== couponCode) return null;
  const isLimited = limitCategory !== null || limitProducts !== null;
  const wantedMinor = isLimited
    ? bill.lines.reduce((sum, line, index) => {
        const fits =
          limitProducts === null
            ? categories[index] === limitCategory
            : line.code !== null && limitProducts.includes(line.code);
        return fits ? sum + line.amountMinor : sum;
      }, 0)
    : bill.totalMinor;
  const coveredMinor = Math.min(wantedMinor, slice.remaining);
  const isWhole = coveredMinor === wantedMinor;
  return coveredMinor > 0 && (isWhole || request.terms.rules.couponPartial)
    ? { amount: coveredMinor, coveredMinor }
    : null;
}

/** Out of a slice: the one that ends first among those that pay most. null: there is none, and a floor limit may help. */
function offerAllowance(request: SaleRequest, credential: Credential, reading: OfflineReading): OfflineOffer | null {
  const { usage, limits, nowMs } = reading;
  const usable = reading.allowances.filter((slice) => nowMs < slice.expiresAtMs);
  const paying = usable
    .flatMap((slice) => {
      const paid = payFrom(request, slice, reading.categories);
      return paid ? [{ slice, paid }] : [];
    })
    .sort((a, b) => b.paid.coveredMinor - a.paid.coveredMinor || a.slice.expiresAtMs - b.slice.expiresAtMs);
  const [best] = paying;
  if (!best) return null;
  // A phone that does not prove the key is somebody else's: no floor limit helps it either.
  const unproven = whyUnproven(request, reading);
  if (unproven) return refuse(unproven);
  if (usage.allowanceUses >= limits.allowanceCountPerDay) return refuse('offline.limit');
  const { id } = best.slice;
  const { amount, coveredMinor } = best.paid;
  return {
    offer: 'pays',
    decision: { by: 'allowance', allowanceId: id, coveredMinor, ...signedBy(reading) },
    use: { subject: subjectOf(credential), kind: 'allowance', points: 0, minor: coveredMinor, allowanceId: id, amount },
  };
}

/** What of the tap the record carries besides its proof. */
const signedBy = ({ tap }: OfflineReading): { readonly signature?: string } =>
  tap === null || tap.signature === null ? {} : { signature: tap.signature };

/** Why this tap is not verified well enough to spend by it; null: it is, or it is none. */
function whyUnproven(request: SaleRequest, { tap, limits }: OfflineReading): ErrorCode | null {
  const operation = request.service.name === 'pointsSpend' ? 'spendPoints' : 'hostCoupon';
  return tap === null || isProvenOffline(operation, tap.proofs, limits.credentialOnly) ? null : tap.missing;
}

/**
 * On the merchant's floor limit: nobody knows whether it is there; the overspend is the merchant's risk, named at sync. Under
 * `credentialOnly` it has to be known who it is: else each invented phone, and each invented code, has a limit of its own.
 */
function offerFloor(request: SaleRequest, credential: Credential, reading: OfflineReading): OfflineOffer | null {
  const { limits, usage, floorTodayMinor } = reading;
  if (limits.floorPerSaleMinor === 0) return reading.allowances.length > 0 ? refuse('allowance.tooLow') : null;
  const coveredMinor =
    request.service.name === 'pointsSpend'
      ? serviceOf(request).accepted(null, null).coveredMinor
      : request.bill.totalMinor;
  if (coveredMinor < 1) return null;
  if (limits.credentialOnly && reading.tap === null) return refuse('credential.tooWeak');
  const unproven = limits.credentialOnly ? whyUnproven(request, reading) : null;
  if (unproven) return refuse(unproven);
  const isWithin =
    coveredMinor <= limits.floorPerSaleMinor &&
    usage.floorUses < limits.floorPerMemberDayCount &&
    usage.floorMinor + coveredMinor <= limits.floorPerMemberDayMinor &&
    floorTodayMinor + coveredMinor <= limits.floorPerDayMinor;
  if (!isWithin) return refuse('offline.limit');
  return {
    offer: 'pays',
    decision: { by: 'floor', coveredMinor, ...signedBy(reading) },
    use: {
      subject: subjectOf(credential),
      kind: 'floor',
      points: 0,
      minor: coveredMinor,
      allowanceId: null,
      amount: 0,
    },
  };
}
