/**
 * Memberships: which of a person's memberships counts at a terminal, and which others are the same person's.
 * Pure. One person is one phone number; memberships are linked only where a phone at that number has answered for both.
 */
import type { ApplyContext } from './context.js';
import type { Facts } from './facts.js';
import type { Row } from './tables.js';

type Reads = Pick<Facts, 'get' | 'find'>;

/** The id by which agreements name a merchant; rows of the host's own merchant hold an empty one. */
export const merchantOf = (
  row: { readonly merchantId: string },
  { ownMerchant }: Pick<ApplyContext, 'ownMerchant'>,
): string => (row.merchantId === '' ? ownMerchant : row.merchantId);

/** A phone at this number has answered the merchant's registration and is not blocked. */
const isVerified = (facts: Reads, member: Row<'member'>): boolean =>
  facts.find('memberKey', 'memberId', member.id).some(({ kind, state }) => kind === 'phone' && state === 'active');

/** The same person's memberships elsewhere, by verified number; none where this membership's own is not verified. */
export function linkedTo(facts: Reads, member: Row<'member'>): readonly Row<'member'>[] {
  const others = facts.find('member', 'phone', member.phone).filter(({ id }) => id !== member.id);
  const verified = others.filter((other) => isVerified(facts, other));
  return others.length > 0 && isVerified(facts, member) ? verified : [];
}

/**
 * The membership of the terminal's merchant that belongs to whoever a credential named; null: none. `byNumber`: the credential
 * was the phone number itself, so that any membership under it is meant. Called by plans as well, to state what it reads.
 */
export function membershipAt(
  facts: Reads,
  terminalId: string,
  memberId: string | null,
  byNumber = false,
): string | null {
  const terminal = facts.get('terminal', terminalId);
  const member = memberId === null ? undefined : facts.get('member', memberId);
  if (!terminal || !member) return null;
  if (member.merchantId === terminal.merchantId) return member.id;
  const others = byNumber ? facts.find('member', 'phone', member.phone) : linkedTo(facts, member);
  return others.find(({ merchantId }) => merchantId === terminal.merchantId)?.id ?? null;
}

/** Was this sale made at a counter of the terminal's merchant? Another's sales are nobody's to undo here. */
export const isSameMerchant = (facts: Pick<Facts, 'get'>, sale: Row<'sale'>, terminalId: string): boolean =>
  facts.get('terminal', sale.terminalId)?.merchantId === facts.get('terminal', terminalId)?.merchantId;

/** May this coupon pay, or be topped up, at the terminal: is its member the merchant's? Coupons without a member are the host's own merchant's. */
export function couponIsHere(facts: Reads, terminalId: string, coupon: Row<'coupon'>): boolean {
  const merchantId = coupon.memberId === null ? '' : facts.get('member', coupon.memberId)?.merchantId;
  return facts.get('terminal', terminalId)?.merchantId === merchantId;
}
