/**
 * Accounts of the ledger: their ids, units and normal sides. An id says everything, so that an account is opened by use.
 * Pure. Must not post.
 */
import { assert } from '../../../terminal/kernel/result.js';

export type Side = 'debit' | 'credit';
export interface Account {
  readonly id: string;
  /** `points`, or a currency's ISO 4217 letters. */
  readonly unit: string;
  readonly side: Side;
}

const account = (id: string, unit: string, side: Side): Account => ({ id, unit, side });
export const pointsUnit = 'points';

/** Points that a member may spend; owed by the merchant, so credit-normal. */
export const memberPoints = (memberId: string): Account => account(`member/${memberId}/points`, pointsUnit, 'credit');
/** Points that a member owes because they were spent before they were taken back. */
export const memberOwed = (memberId: string): Account => account(`member/${memberId}/owed`, pointsUnit, 'debit');
/** Points held for spends that wait for their completion. */
export const memberReserved = (memberId: string): Account =>
  account(`member/${memberId}/reserved`, pointsUnit, 'credit');
/** Points given out at a terminal. One account a terminal, so that no account is hot. */
export const pointsIssued = (terminalId: string): Account =>
  account(`terminal/${terminalId}/issued`, pointsUnit, 'debit');
/** Points taken in at a terminal. */
export const pointsRedeemed = (terminalId: string): Account =>
  account(`terminal/${terminalId}/redeemed`, pointsUnit, 'credit');

/** What a host-held coupon may pay. */
export const couponBalance = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/balance`, currency, 'credit');
/** Held for deductions that wait for their completion. */
export const couponReserved = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/reserved`, currency, 'credit');
/** Mirror of what stands on the card by all that is known for certain. */
export const cardMirror = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/card`, currency, 'credit');
/** Debits authorised for the card that may or may not be written. */
export const cardReserved = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/cardReserved`, currency, 'credit');
/** Seen to have left the card by a record of its own, while the debit's record has not arrived yet. */
export const cardAhead = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/cardAhead`, currency, 'credit');
/** Given back to the member, to be written to the card. */
export const cardCorrection = (couponId: string, currency: string): Account =>
  account(`coupon/${couponId}/correction`, currency, 'credit');
/** What the merchant put into coupons. */
export const couponFunded = (currency: string): Account => account(`merchant/funded/${currency}`, currency, 'debit');
/** Money that was taken in at a terminal for coupons. */
export const topUpTaken = (terminalId: string, currency: string): Account =>
  account(`terminal/${terminalId}/funded/${currency}`, currency, 'debit');
/** Money that was paid back at a terminal for voided top-ups. */
export const topUpPaidBack = (terminalId: string, currency: string): Account =>
  account(`terminal/${terminalId}/paidBack/${currency}`, currency, 'credit');
/** What coupons paid at a terminal. */
export const couponRedeemed = (terminalId: string, currency: string): Account =>
  account(`terminal/${terminalId}/redeemed/${currency}`, currency, 'credit');
/** What expired coupons left behind. */
export const couponExpired = (currency: string): Account => account(`merchant/expired/${currency}`, currency, 'credit');
/** What could not be taken from a coupon and is borne by the merchant. */
export const riskBorne = (currency: string): Account => account(`risk/${currency}`, currency, 'debit');

/** What one terminal holds of an allowance: the slice, less what its spends that have arrived have taken. */
export const allowanceHeld = (allowanceId: string, unit: string): Account =>
  account(`allowance/${allowanceId}/held`, unit, 'credit');

/** Points of the issuer that its members paid with at the acceptor, in all. */
export const partnerTaken = (issuer: string, acceptor: string): Account =>
  account(`partner/${issuer}/${acceptor}/taken`, pointsUnit, 'credit');
/** Points of the acceptor that the issuer's points paid since the last settlement: the issuer owes them. */
export const clearingDue = (issuer: string, acceptor: string): Account =>
  account(`clearing/${issuer}/${acceptor}/due`, pointsUnit, 'debit');
/** Of such points, those given back since the last settlement: owed no more, or owed back. */
export const clearingBack = (issuer: string, acceptor: string): Account =>
  account(`clearing/${issuer}/${acceptor}/back`, pointsUnit, 'credit');
/** Both after a settlement, in all. */
export const settledDue = (issuer: string, acceptor: string): Account =>
  account(`settled/${issuer}/${acceptor}/due`, pointsUnit, 'debit');
export const settledBack = (issuer: string, acceptor: string): Account =>
  account(`settled/${issuer}/${acceptor}/back`, pointsUnit, 'credit');

/** Kind of an account for totals: its id without the party it belongs to. */
export function accountKind(id: string): string {
  const parts = id.split('/');
  assert(parts.length >= 2, `account id ${id}`);
  if (['partner', 'clearing', 'settled'].includes(parts[0] ?? '')) return `${parts[0]}/${parts[3]}`;
  return parts[0] === 'merchant' || parts[0] === 'risk' ? parts.slice(0, 2).join('/') : `${parts[0]}/${parts[2] ?? ''}`;
}

/** Plus one where a debit raises the balance, minus one where a credit does. */
export const sideSign = (side: Side): 1 | -1 => (side === 'debit' ? 1 : -1);
/** Ordinal of a line within its account as it stands in the line's id: 12 digits, so that ids sort. */
export const lineId = (accountId: string, ordinal: number): string =>
  `${accountId}#${String(ordinal).padStart(12, '0')}`;
