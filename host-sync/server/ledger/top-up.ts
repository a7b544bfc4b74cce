/**
 * Top-ups of host-held coupons: money paid in at a terminal, and its void, which pays the whole of it back.
 * Pure. Both are held until the box says how they ended: what was never given can be taken back without anybody's loss.
 */
import { assuranceOf, isStrongEnough } from '../../protocol/assurance.js';
import type { Credential, RecordOf } from '../../protocol/record.js';
import type { Balances, RefusalCode } from '../../protocol/sync.js';
import { allowanceHeld, couponBalance, couponReserved, riskBorne, topUpPaidBack, topUpTaken } from './accounts.js';
import { accepted, couponBalances, type Outcome, refused } from './answer.js';
import { settleOriginal } from './card-kinds.js';
import type { ApplyContext, Openers } from './context.js';
import { planCouponAccounts, refreshCoupon } from './coupon-accounts.js';
import { identify, planCredential } from './credential.js';
import type { Draft } from './draft.js';
import type { Collector, Facts } from './facts.js';
import type { Identity } from './identified.js';
import { couponIsHere, isSameMerchant, membershipAt } from './membership.js';
import { balanceOf, move } from './posting.js';
import { newSale } from './sale.js';
import type { Row } from './tables.js';

/** Most coupons that a refusal lists. */
const listedMax = 8;
const isWholeCode = (named: string): boolean => named.startsWith('SLC');

export function planTopUp(need: Collector, record: RecordOf<'topUp'>, context: Openers): void {
  const { credential } = record;
  const memberId = memberOf(need, record, planCredential(need, credential, context));
  const code =
    credential.method === 'couponCode'
      ? credential.code
      : record.coupon !== null && isWholeCode(record.coupon)
        ? record.coupon
        : null;
  const named = code === null ? undefined : need.get('coupon', code);
  if (named?.memberId) need.get('member', named.memberId);
  if (named) planMeant(need, named, record.terminalId);
  else if (code === null && memberId !== null)
    for (const coupon of need.find('coupon', 'memberId', memberId)) planMeant(need, coupon, record.terminalId);
}

/** The membership of this counter's merchant, of whoever the credential named: a drawer's money is for no other's coupons. */
const memberOf = (
  facts: Pick<Facts, 'get' | 'find'>,
  { terminalId, credential }: RecordOf<'topUp'>,
  named: string | null,
): string | null => membershipAt(facts, terminalId, named, credential.method === 'phoneNumber');

/** The member's coupons that may be meant, host-held ones; the oldest first. */
function candidates(facts: Facts, record: RecordOf<'topUp'>, who: Identity): readonly Row<'coupon'>[] {
  const { coupon: named, credential } = record;
  const isMeant = ({ id }: Row<'coupon'>): boolean => named === null || id === named || id.endsWith(named);
  if (credential.method === 'couponCode') {
    const { coupon } = who;
    return coupon && isMeant(coupon) && couponIsHere(facts, record.terminalId, coupon) ? [coupon] : [];
  }
  const memberId = memberOf(facts, record, who.memberId);
  if (memberId === null) return [];
  if (named !== null && isWholeCode(named)) {
    const coupon = facts.get('coupon', named);
    return coupon?.memberId === memberId ? [coupon] : [];
  }
  return facts
    .find('coupon', 'memberId', memberId)
    .filter((coupon) => coupon.holder === 'host' && isMeant(coupon))
    .sort((a, b) => a.issuedAtMs - b.issuedAtMs || (a.id < b.id ? -1 : 1));
}

const isExpired = ({ expiresAtMs }: Row<'coupon'>, nowMs: number): boolean =>
  expiresAtMs !== null && nowMs > expiresAtMs;

/** Why this coupon cannot be topped up in this currency now; null: it can. */
function problemOf(coupon: Row<'coupon'>, currency: string, nowMs: number): RefusalCode | null {
  if (coupon.holder === 'card') return 'coupon.wrongHolder';
  if (coupon.memberId === null) return 'coupon.noTopUp';
  if (coupon.state === 'blocked') return 'credential.blocked';
  if (coupon.currency !== currency) return 'coupon.noTopUp';
  return isExpired(coupon, nowMs) ? 'coupon.expired' : null;
}

/** Refuses one top-up that is larger than the merchant allows, or any where there are none; null: it may be. */
export function sizeProblem(amountMinor: number, { topUpMaxMinor }: ApplyContext['policy']): Outcome | null {
  if (topUpMaxMinor === 0) return refused('coupon.noTopUp', 'there are no top-ups here');
  return amountMinor > topUpMaxMinor ? refused('coupon.noTopUp', `at most ${topUpMaxMinor} minor units at once`) : null;
}

/** Refuses what would leave more in a coupon than the merchant allows; null: it may be. Minor units. */
export const balanceProblem = (
  heldMinor: number,
  amountMinor: number,
  { topUpBalanceMaxMinor }: ApplyContext['policy'],
): Outcome | null =>
  heldMinor + amountMinor > topUpBalanceMaxMinor
    ? refused('coupon.noTopUp', `a coupon holds at most ${topUpBalanceMaxMinor} minor units`)
    : null;

/** What terminals hold of this coupon to spend without the host, minor units. */
const atTerminals = (facts: Facts, { currency, id }: Row<'coupon'>): number =>
  facts
    .find('allowance', 'couponId', id)
    .reduce((sum, slice) => sum + balanceOf(facts, allowanceHeld(slice.id, currency)), 0);

/** States what is read of a coupon that may be meant. */
function planMeant(need: Collector, coupon: Row<'coupon'>, terminalId: string): void {
  planCouponAccounts(need, coupon, terminalId);
  for (const slice of need.find('allowance', 'couponId', coupon.id))
    need.get('account', allowanceHeld(slice.id, coupon.currency).id);
}

/**
 * What the answer tells: a coupon's code bears the coupon, so only who showed it, or proved to be its member, is told it.
 * `paidInMinor`: counted as there already.
 */
function toldBalances(facts: Facts, coupon: Row<'coupon'>, credential: Credential, paidInMinor: number): Balances {
  const balances = couponBalances(facts, coupon);
  const isTold = credential.method === 'couponCode' || assuranceOf(credential) === 'proven';
  return {
    ...balances,
    couponCode: isTold ? coupon.id : null,
    couponMinor: (balances.couponMinor ?? 0) + paidInMinor,
  };
}

/** Holds what is paid in for one coupon of the member; it can be spent once the box has confirmed it. */
export function applyTopUp(draft: Draft, record: RecordOf<'topUp'>, context: ApplyContext): Outcome {
  const { amountMinor, credential, currency, terminalId } = record;
  if (!isStrongEnough('topUpHost', credential, 'online') || (credential.method === 'tap' && credential.key === 'card'))
    return refused('credential.tooWeak', 'a host-held coupon is topped up with the phone or a code');
  const size = sizeProblem(amountMinor, context.policy);
  if (size) return size;
  const who = identify(draft, record, credential, context);
  if (!who.ok) return refused(who.code);
  const meant = candidates(draft, record, who.identity);
  const open = meant.filter((coupon) => problemOf(coupon, currency, context.nowMs) === null);
  if (open.length > 1) {
    const endings = open.slice(0, listedMax).map(({ id }) => id.slice(-4));
    return refused('coupon.ambiguous', `coupons that end in ${endings.join(' · ')}`);
  }
  const [coupon] = open;
  if (!coupon) {
    const [first] = meant;
    return refused((first && problemOf(first, currency, context.nowMs)) ?? 'coupon.unknown');
  }
  const balance = couponBalance(coupon.id, currency);
  const reserved = couponReserved(coupon.id, currency);
  const heldMinor = balanceOf(draft, balance) + balanceOf(draft, reserved) + atTerminals(draft, coupon);
  const held = balanceProblem(heldMinor, amountMinor, context.policy);
  if (held) return held;
  draft.post('topUp', [move(topUpTaken(terminalId, currency), reserved, amountMinor)]);
  draft.put('sale', {
    ...newSale(record, { currency, totalMinor: amountMinor }, draft.atMs),
    memberId: coupon.memberId,
    couponId: coupon.id,
    coveredMinor: amountMinor,
    state: 'reserved',
    expiresAtMs: context.nowMs + context.policy.reservationMs,
  });
  refreshCoupon(draft, coupon.id);
  return accepted(toldBalances(draft, coupon, credential, amountMinor), { coveredMinor: amountMinor });
}

interface Accounts {
  readonly balance: ReturnType<typeof couponBalance>;
  readonly reserved: ReturnType<typeof couponReserved>;
  readonly taken: ReturnType<typeof topUpTaken>;
  readonly paidBack: ReturnType<typeof topUpPaidBack>;
}
function accountsOf({ couponId, currency, terminalId }: Row<'sale'>): Accounts {
  const id = couponId ?? '';
  return {
    balance: couponBalance(id, currency),
    reserved: couponReserved(id, currency),
    taken: topUpTaken(terminalId, currency),
    paidBack: topUpPaidBack(terminalId, currency),
  };
}

/** The box has the money: the coupon has the value, also after a time-out. @returns notices */
export function postTopUp(draft: Draft, sale: Row<'sale'>): readonly string[] {
  const { balance, reserved, taken } = accountsOf(sale);
  const isInTime = sale.state === 'reserved';
  draft.post(isInTime ? 'topUp' : 'topUpLate', [move(isInTime ? reserved : taken, balance, sale.coveredMinor)]);
  refreshCoupon(draft, sale.couponId ?? '');
  return isInTime ? [] : ['coupon.late'];
}

/** The money was given back, or never taken: nothing was paid in. */
export function releaseTopUp(draft: Draft, sale: Row<'sale'>, cause: string): void {
  const { reserved, taken } = accountsOf(sale);
  draft.post(cause, [move(reserved, taken, sale.coveredMinor)]);
  refreshCoupon(draft, sale.couponId ?? '');
}

/** A box that was set back undoes a top-up that it had confirmed: what was spent meanwhile is borne by the merchant. */
export function undoTopUp(draft: Draft, sale: Row<'sale'>, amount: number, cause: string): Row<'sale'> {
  const { balance, taken } = accountsOf(sale);
  const left = Math.min(balanceOf(draft, balance), amount);
  draft.post(cause, [move(balance, taken, left), move(riskBorne(sale.currency), taken, amount - left)]);
  refreshCoupon(draft, sale.couponId ?? '');
  return { ...sale, riskMinor: sale.riskMinor + amount - left };
}

/** Holds the whole of a top-up for being paid back; refused where the coupon does not cover it any more. */
export function applyTopUpVoid(draft: Draft, record: RecordOf<'topUpVoid'>, context: ApplyContext): Outcome {
  const original = draft.get('sale', record.original);
  if (!original) return refused(draft.get('record', record.original) ? 'original.notVoidable' : 'original.unknown');
  if (!isSameMerchant(draft, original, record.terminalId)) return refused('original.unknown');
  const coupon = draft.get('coupon', original.couponId ?? '');
  if (original.kind !== 'topUp' || !coupon) return refused('original.notVoidable', `a ${original.kind}`);
  const isStanding = original.state === 'accepted' || original.state === 'reserved' || original.state === 'timedOut';
  const isFree = isStanding && original.refundedMinor === 0;
  const balances = couponBalances(draft, coupon);
  if (!isFree) return refused('original.notVoidable', isStanding ? 'it is being voided' : original.state, balances);
  if (record.amountMinor !== original.coveredMinor)
    return refused('refund.tooLarge', `the top-up was of ${original.coveredMinor} minor units`, balances);
  const { balance, reserved } = accountsOf(original);
  // Its completion may still be on its way: the box that voids its own says that it was accepted. No other knows that.
  const isPosted = original.state === 'accepted';
  if (!isPosted && original.terminalId !== record.terminalId)
    return refused('original.notVoidable', 'its own terminal has not confirmed it yet', balances);
  const coveredMinor = balanceOf(draft, balance) + (isPosted ? 0 : original.coveredMinor);
  if (coveredMinor < original.coveredMinor)
    return refused(isExpired(coupon, context.nowMs) ? 'coupon.expired' : 'coupon.topUpSpent', '', balances);
  if (!isPosted) postTopUp(draft, original);
  draft.post('topUpVoid', [move(balance, reserved, original.coveredMinor)]);
  draft.put('sale', {
    ...original,
    state: 'accepted',
    expiresAtMs: null,
    refundedMinor: original.totalMinor,
    undone: original.coveredMinor,
  });
  draft.put('sale', {
    ...newSale(record, { currency: original.currency, totalMinor: record.amountMinor }, draft.atMs),
    memberId: original.memberId,
    couponId: coupon.id,
    coveredMinor: record.amountMinor,
    originalId: original.id,
    originalRefundMinor: record.amountMinor,
    state: 'reserved',
    expiresAtMs: context.nowMs + context.policy.reservationMs,
  });
  refreshCoupon(draft, coupon.id);
  return accepted(couponBalances(draft, coupon), { coveredMinor: record.amountMinor });
}

/** The money was paid back. After a time-out what is not there any more is borne by the merchant. @returns the sale and notices */
export function postTopUpVoid(
  draft: Draft,
  sale: Row<'sale'>,
): { readonly sale: Row<'sale'>; readonly notices: readonly string[] } {
  const { balance, paidBack, reserved } = accountsOf(sale);
  settleOriginal(draft, sale, true);
  if (sale.state === 'reserved') {
    draft.post('topUpVoid', [move(reserved, paidBack, sale.coveredMinor)]);
    refreshCoupon(draft, sale.couponId ?? '');
    return { sale, notices: [] };
  }
  const taken = Math.min(balanceOf(draft, balance), sale.coveredMinor);
  const riskMinor = sale.coveredMinor - taken;
  draft.post('topUpVoidLate', [move(balance, paidBack, taken), move(riskBorne(sale.currency), paidBack, riskMinor)]);
  refreshCoupon(draft, sale.couponId ?? '');
  return { sale: { ...sale, riskMinor }, notices: riskMinor > 0 ? ['coupon.late', 'coupon.risk'] : ['coupon.late'] };
}

/** The money was not paid back: the coupon keeps what was topped up; the merchant what it bore for a top-up reversed meanwhile. */
export function releaseTopUpVoid(draft: Draft, sale: Row<'sale'>, cause: string): void {
  const { balance, reserved } = accountsOf(sale);
  const original = sale.originalId === null ? undefined : draft.get('sale', sale.originalId);
  const borne = original?.state === 'reversed' ? Math.min(original.riskMinor, sale.coveredMinor) : 0;
  draft.post(cause, [
    move(reserved, riskBorne(sale.currency), borne),
    move(reserved, balance, sale.coveredMinor - borne),
  ]);
  if (original && borne > 0) draft.put('sale', { ...original, riskMinor: original.riskMinor - borne });
  settleOriginal(draft, sale, false);
  refreshCoupon(draft, sale.couponId ?? '');
}

/** A box that was set back undoes a void that it had confirmed. @returns the void with its risk */
export function undoTopUpVoid(draft: Draft, sale: Row<'sale'>, amount: number, cause: string): Row<'sale'> {
  const { balance, paidBack } = accountsOf(sale);
  const borne = Math.min(sale.riskMinor, amount);
  draft.post(cause, [move(paidBack, riskBorne(sale.currency), borne), move(paidBack, balance, amount - borne)]);
  settleOriginal(draft, sale, false);
  refreshCoupon(draft, sale.couponId ?? '');
  return { ...sale, riskMinor: sale.riskMinor - borne };
}
