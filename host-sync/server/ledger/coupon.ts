/**
 * Host-held coupons: which one pays, the reservation, and its end. Card-held ones are card.ts's.
 * Pure. A coupon has one holder for life; this file refuses to touch one that lives on a card.
 */
import { utf8 } from '../../../terminal/kernel/bytes.js';
import { isStrongEnough } from '../../protocol/assurance.js';
import type { OfflineDecision, RecordOf } from '../../protocol/record.js';
import type { RefusalCode } from '../../protocol/sync.js';
import { couponBalance, couponRedeemed, couponReserved, riskBorne } from './accounts.js';
import { planAllowance, postOffline } from './allowance.js';
import { accepted, couponBalances, noBalances, type Outcome, refused } from './answer.js';
import { billAddsUp, eligibleMinor, type Priced, planBill, priceBill } from './catalogue.js';
import type { ApplyContext, Openers } from './context.js';
import { planCouponAccounts, refreshCoupon } from './coupon-accounts.js';
import { holdAgainst, identify, planCredential, situationOf } from './credential.js';
import type { Draft } from './draft.js';
import type { Collector, Facts } from './facts.js';
import type { Identity } from './identified.js';
import { couponIsHere, membershipAt } from './membership.js';
import { balanceOf, type Movement, move } from './posting.js';
import { newSale } from './sale.js';
import type { Row } from './tables.js';

/** Longest category that a coupon on a card can be limited to, in bytes of ASCII. */
export const cardLimitCategoryBytesMax = 16;
/** May this category stand in a card's record? */
export const fitsCardLimit = (category: string): boolean =>
  /^[\x20-\x7e]+$/.test(category) && utf8(category).length <= cardLimitCategoryBytesMax;

export function planDeduct(need: Collector, record: RecordOf<'couponDeduct'>, context: Openers): void {
  planBill(need, record.bill);
  if (record.offline?.by === 'allowance') planAllowance(need, record.offline.allowanceId);
  const memberId = membershipAt(need, record.terminalId, planCredential(need, record.credential, context));
  const code = record.couponCode ?? (record.credential.method === 'couponCode' ? record.credential.code : null);
  const named = code === null ? undefined : need.get('coupon', code);
  if (named?.memberId) need.get('member', named.memberId);
  if (named) planCouponAccounts(need, named, record.terminalId);
  else if (code === null && memberId !== null)
    for (const coupon of need.find('coupon', 'openMember', memberId))
      planCouponAccounts(need, coupon, record.terminalId);
}

type Tried =
  | { readonly pays: true; readonly coupon: Row<'coupon'>; readonly amountMinor: number }
  | { readonly pays: false; readonly coupon: Row<'coupon'>; readonly code: RefusalCode };

/** What this coupon would pay of the bill. */
function tryCoupon(
  facts: Facts,
  coupon: Row<'coupon'>,
  bill: Extract<Priced, { ok: true }>,
  record: RecordOf<'couponDeduct'>,
  context: ApplyContext,
): Tried {
  const no = (code: RefusalCode): Tried => ({ pays: false, coupon, code });
  if (coupon.holder === 'card') return no('coupon.wrongHolder');
  if (coupon.state === 'blocked') return no('credential.blocked');
  if (coupon.currency !== record.bill.currency) return no('coupon.notForProduct');
  if (coupon.expiresAtMs !== null && context.nowMs > coupon.expiresAtMs) return no('coupon.expired');
  // Never more than the bill that the member sees, also where the host's price is higher.
  const priceMinor = Math.min(eligibleMinor(coupon, bill), record.bill.totalMinor);
  if (priceMinor === 0) return no('coupon.notForProduct');
  const balanceMinor = balanceOf(facts, couponBalance(coupon.id, coupon.currency));
  if (balanceMinor >= priceMinor) return { pays: true, coupon, amountMinor: priceMinor };
  if (balanceMinor > 0 && record.partial && context.rules?.couponPartial)
    return { pays: true, coupon, amountMinor: balanceMinor };
  return no('coupon.balanceTooLow');
}

/**
 * The coupons that may be meant: the one named, if it is the credential's own or its member's; else the member's open ones,
 * the oldest first.
 */
function candidates(facts: Facts, record: RecordOf<'couponDeduct'>, who: Identity): readonly Row<'coupon'>[] {
  if (record.credential.method === 'couponCode') {
    const isMeant = who.coupon && (record.couponCode === null || record.couponCode === who.coupon.id);
    return isMeant && couponIsHere(facts, record.terminalId, who.coupon) ? [who.coupon] : [];
  }
  const memberId = membershipAt(facts, record.terminalId, who.memberId);
  if (memberId === null) return [];
  if (record.couponCode !== null) {
    const named = facts.get('coupon', record.couponCode);
    return named && named.memberId === memberId ? [named] : [];
  }
  return [...facts.find('coupon', 'openMember', memberId)].sort(
    (a, b) => a.issuedAtMs - b.issuedAtMs || (a.id < b.id ? -1 : 1),
  );
}

/**
 * Reserves what a coupon pays. Without a name: the oldest that covers the whole price, else the oldest that may pay a part.
 * Refused with the reason of the oldest where none pays.
 */
export function applyDeduct(draft: Draft, record: RecordOf<'couponDeduct'>, context: ApplyContext): Outcome {
  const { credential } = record;
  const isEnough =
    credential.method === 'couponCode' || isStrongEnough('hostCoupon', credential, situationOf(record, context));
  if (!isEnough || (credential.method === 'tap' && credential.key === 'card'))
    return refused('credential.tooWeak', 'a host-held coupon is paid with the phone or its own code');
  const who = identify(draft, record, credential, context);
  if (!who.ok) return refused(who.code);
  if (who.misuse && credential.method === 'tap') holdAgainst(draft, record, credential.keyId, who.misuse);
  if (record.offline) return applyOfflineDeduct(draft, record, record.offline, who.identity);
  const bill = priceBill(draft, record.bill, record.atWallMs, record.clockDoubtful, context);
  if (!bill.ok) return refused(bill.code, bill.detail);
  const tried = candidates(draft, record, who.identity).map((coupon) =>
    tryCoupon(draft, coupon, bill, record, context),
  );
  const paying = tried.filter((attempt) => attempt.pays);
  const chosen =
    paying.find(
      (attempt) => attempt.amountMinor >= Math.min(eligibleMinor(attempt.coupon, bill), record.bill.totalMinor),
    ) ?? paying[0];
  if (!chosen) {
    const first = tried[0];
    if (!first || first.pays) return refused('coupon.unknown');
    return refused(
      first.code,
      '',
      first.code === 'coupon.wrongHolder' ? noBalances : couponBalances(draft, first.coupon),
    );
  }
  const { coupon, amountMinor } = chosen;
  draft.post('coupon', [
    move(couponBalance(coupon.id, coupon.currency), couponReserved(coupon.id, coupon.currency), amountMinor),
  ]);
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: amountMinor,
    state: 'reserved',
    expiresAtMs: context.nowMs + context.policy.reservationMs,
  });
  return accepted(couponBalances(draft, coupon), {
    coveredMinor: amountMinor,
    notices: bill.recomputed ? ['price.recomputed'] : [],
  });
}

/**
 * The counter has given already: what was covered is taken from the terminal's slice, or on a floor limit from the coupon as
 * far as it is there. The box knew the slice's own limits; a coupon that could not have paid is the merchant's risk.
 */
function applyOfflineDeduct(
  draft: Draft,
  record: RecordOf<'couponDeduct'>,
  decision: OfflineDecision,
  who: Identity,
): Outcome {
  if (!billAddsUp(record.bill) || decision.coveredMinor > record.bill.totalMinor) return refused('bill.wrongTotal');
  const [coupon] = candidates(draft, record, who);
  if (!coupon || coupon.holder === 'card') return refused(coupon ? 'coupon.wrongHolder' : 'coupon.unknown');
  if (coupon.currency !== record.bill.currency) return refused('coupon.notForProduct');
  const riskMinor = postOffline(draft, {
    decision,
    saleId: record.transactionId,
    terminalId: record.terminalId,
    amount: decision.coveredMinor,
    home: couponBalance(coupon.id, coupon.currency),
    memberId: coupon.memberId,
    couponId: coupon.id,
  });
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: decision.coveredMinor,
    riskMinor,
  });
  const balances = couponBalances(draft, coupon);
  return accepted(balances, { coveredMinor: decision.coveredMinor, notices: riskMinor > 0 ? ['coupon.risk'] : [] });
}

/** Takes a reservation for good; after a time-out from what the coupon has, the rest is borne by the merchant. @returns the sale and notices */
export function postDeduct(
  draft: Draft,
  sale: Row<'sale'>,
): { readonly sale: Row<'sale'>; readonly notices: readonly string[] } {
  const couponId = sale.couponId ?? '';
  const to = couponRedeemed(sale.terminalId, sale.currency);
  if (sale.state === 'reserved') {
    draft.post('coupon', [move(couponReserved(couponId, sale.currency), to, sale.coveredMinor)]);
    refreshCoupon(draft, couponId);
    return { sale, notices: [] };
  }
  const balance = couponBalance(couponId, sale.currency);
  const taken = Math.min(balanceOf(draft, balance), sale.coveredMinor);
  const riskMinor = sale.coveredMinor - taken;
  draft.post('couponLate', [move(balance, to, taken), move(riskBorne(sale.currency), to, riskMinor)]);
  refreshCoupon(draft, couponId);
  return { sale: { ...sale, riskMinor }, notices: riskMinor > 0 ? ['coupon.late', 'coupon.risk'] : ['coupon.late'] };
}

/**
 * What the sale was told stands, also where this host, restored since, reserved another amount: less goes back to the coupon,
 * more is taken from it as far as it is there. @returns the sale to post, and what the merchant bears
 */
export function asTold(
  draft: Draft,
  sale: Row<'sale'>,
  toldMinor: number,
): { readonly sale: Row<'sale'>; readonly borneMinor: number } {
  const told = { ...sale, coveredMinor: Math.min(toldMinor, sale.totalMinor) };
  // After a time-out nothing is held: the posting takes what was told from what there is.
  if (sale.state !== 'reserved') return { sale: told, borneMinor: 0 };
  const balance = couponBalance(sale.couponId ?? '', sale.currency);
  const reserved = couponReserved(sale.couponId ?? '', sale.currency);
  const moreMinor = told.coveredMinor - sale.coveredMinor;
  if (moreMinor <= 0) {
    draft.post('couponAsTold', [move(reserved, balance, -moreMinor)]);
    return { sale: told, borneMinor: 0 };
  }
  const taken = Math.min(balanceOf(draft, balance), moreMinor);
  draft.post('couponAsTold', [move(balance, reserved, taken)]);
  return { sale: { ...told, coveredMinor: sale.coveredMinor + taken }, borneMinor: moreMinor - taken };
}

/** The merchant bears what a posted deduction was told to pay beyond what could be taken. @returns the sale with its risk */
export function bearRest(draft: Draft, sale: Row<'sale'>, borneMinor: number): Row<'sale'> {
  if (borneMinor === 0) return sale;
  draft.post('couponAsTold', [
    move(riskBorne(sale.currency), couponRedeemed(sale.terminalId, sale.currency), borneMinor),
  ]);
  return { ...sale, coveredMinor: sale.coveredMinor + borneMinor, riskMinor: sale.riskMinor + borneMinor };
}

/** Gives a reservation back to the coupon. */
export function releaseDeduct(draft: Draft, sale: Row<'sale'>, cause: string): void {
  const couponId = sale.couponId ?? '';
  draft.post(cause, [
    move(couponReserved(couponId, sale.currency), couponBalance(couponId, sale.currency), sale.coveredMinor),
  ]);
  refreshCoupon(draft, couponId);
}

/** Movements that give `amount` back: first what the merchant bore, then into `home`. @returns them and the sale's new risk */
export function giveBack(
  sale: Row<'sale'>,
  home: Parameters<typeof move>[1],
  amount: number,
  from = couponRedeemed(sale.terminalId, sale.currency),
): { readonly movements: readonly Movement[]; readonly riskMinor: number } {
  const borne = Math.min(sale.riskMinor, amount);
  return {
    movements: [move(from, riskBorne(sale.currency), borne), move(from, home, amount - borne)],
    riskMinor: sale.riskMinor - borne,
  };
}

/** Takes `moreMinor` for a posted deduction, the merchant bearing what is not there; negative: gives back. @returns the sale with its risk */
export function retake(draft: Draft, sale: Row<'sale'>, moreMinor: number): Row<'sale'> {
  if (moreMinor <= 0) return undoDeduct(draft, sale, -moreMinor, 'couponAsTold');
  const couponId = sale.couponId ?? '';
  const to = couponRedeemed(sale.terminalId, sale.currency);
  const taken = Math.min(balanceOf(draft, couponBalance(couponId, sale.currency)), moreMinor);
  const borneMinor = moreMinor - taken;
  draft.post('couponAsTold', [
    move(couponBalance(couponId, sale.currency), to, taken),
    move(riskBorne(sale.currency), to, borneMinor),
  ]);
  refreshCoupon(draft, couponId);
  return { ...sale, riskMinor: sale.riskMinor + borneMinor };
}

/** Gives a posted deduction back in part or whole: `amount` minor units. @returns the sale with its risk */
export function undoDeduct(draft: Draft, sale: Row<'sale'>, amount: number, cause: string): Row<'sale'> {
  const couponId = sale.couponId ?? '';
  const back = giveBack(sale, couponBalance(couponId, sale.currency), amount);
  draft.post(cause, back.movements);
  refreshCoupon(draft, couponId);
  return { ...sale, riskMinor: back.riskMinor };
}
