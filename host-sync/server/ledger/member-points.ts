/**
 * A member's points as accounts: what reads them, and how points come and go with what is owed.
 * Pure. Repays what is owed first, whichever way points come to a member, so that points and owed never stand side by side.
 */
import {
  type Account,
  memberOwed,
  memberPoints,
  memberReserved,
  pointsIssued,
  pointsRedeemed,
  pointsUnit,
  riskBorne,
} from './accounts.js';
import type { Collector, Facts } from './facts.js';
import { balanceOf, type Movement, move } from './posting.js';

/** States the accounts that points of this member move through, with the terminal whose books they are in. */
export function planPointsAccounts(need: Collector, memberId: string, terminalId: string): void {
  need.get('member', memberId);
  for (const account of [
    memberPoints(memberId),
    memberOwed(memberId),
    memberReserved(memberId),
    pointsIssued(terminalId),
    pointsRedeemed(terminalId),
    riskBorne(pointsUnit),
  ])
    need.get('account', account.id);
}

/** Movements that give points to a member out of `from`: what is owed first, the rest to spend. */
export function giveToMember(facts: Facts, memberId: string, from: Account, amount: number): readonly Movement[] {
  const repaid = Math.min(balanceOf(facts, memberOwed(memberId)), amount);
  return [move(from, memberOwed(memberId), repaid), move(from, memberPoints(memberId), amount - repaid)];
}

/** Movements that take points from a member into `to`: what is there, and the rest is owed. */
export function takeFromMember(facts: Facts, memberId: string, to: Account, amount: number): readonly Movement[] {
  const taken = Math.min(balanceOf(facts, memberPoints(memberId)), amount);
  return [move(memberPoints(memberId), to, taken), move(memberOwed(memberId), to, amount - taken)];
}
