/**
 * Federation: a partner's points pay what a member lacks, at the rate that two merchants agreed; what follows for the
 * clearing between the two. Pure. Every entry adds up for each merchant's points by itself, so that no rate makes value.
 */
import { multiplyDivideCeil } from '../../../terminal/kernel/units.js';
import { clearingBack, clearingDue, memberPoints, memberReserved, partnerTaken, pointsRedeemed } from './accounts.js';
import { dayOf } from './consumption.js';
import type { ApplyContext } from './context.js';
import { type Draft, timeKey } from './draft.js';
import type { Collector, Facts } from './facts.js';
import { giveToMember, planPointsAccounts, takeFromMember } from './member-points.js';
import { linkedTo, merchantOf } from './membership.js';
import { balanceOf, type Movement, move } from './posting.js';
import type { Row } from './tables.js';

type Agreement = Row<'agreement'>;
type Sale = Row<'sale'>;

/** The two in the order that names what is between them, and whether the first of them issued the points. */
export function pairOf(issuer: string, acceptor: string): { readonly id: string; readonly isFirst: boolean } {
  const isFirst = issuer < acceptor;
  return { id: isFirst ? `${issuer}/${acceptor}` : `${acceptor}/${issuer}`, isFirst };
}

/** What two merchants start from. */
export const newClearing = (id: string): Row<'clearing'> => ({
  ...{ id, items: 0, lastAtMs: 0, settledUntilMs: 0 },
  ...{ firstDue: 0, firstBack: 0, firstTaken: 0, secondDue: 0, secondBack: 0, secondTaken: 0 },
  ...{ settledFirstDue: 0, settledFirstBack: 0, settledSecondDue: 0, settledSecondBack: 0 },
});

/** Does it pay at this time, by the host's clock? */
export const isInForce = (agreement: Agreement, nowMs: number): boolean =>
  agreement.state === 'confirmed' &&
  nowMs >= agreement.validFromMs &&
  (agreement.validToMs === null || nowMs < agreement.validToMs);

/** States what `paysAt` reads. */
export function planPaysAt(need: Collector, terminalId: string, context: Pick<ApplyContext, 'ownMerchant'>): void {
  const terminal = need.get('terminal', terminalId);
  if (terminal) need.find('agreement', 'openAcceptor', merchantOf(terminal, context));
}
/** Do points of this membership pay at the terminal, by an agreement of its merchant with the terminal's? */
export function paysAt(
  facts: Facts,
  terminalId: string,
  member: Row<'member'>,
  context: Pick<ApplyContext, 'ownMerchant' | 'nowMs'>,
): boolean {
  const terminal = facts.get('terminal', terminalId);
  const issuer = merchantOf(member, context);
  return (
    terminal !== undefined &&
    facts
      .find('agreement', 'openAcceptor', merchantOf(terminal, context))
      .some((one) => one.issuer === issuer && isInForce(one, context.nowMs))
  );
}

/** The issuer's points for `share` of the acceptor's: rounded up, so at most one point more than the rate says. */
export const issuerPointsFor = (
  { issuerPoints, acceptorPoints }: Pick<Agreement, 'issuerPoints' | 'acceptorPoints'>,
  share: number,
): number => multiplyDivideCeil(share, issuerPoints, acceptorPoints);

/** States what `choosePartner` reads for whoever a credential named. */
export function planPartners(
  need: Collector,
  terminalId: string,
  memberId: string | null,
  context: Pick<ApplyContext, 'ownMerchant'>,
): void {
  const terminal = need.get('terminal', terminalId);
  const member = memberId === null ? undefined : need.get('member', memberId);
  if (!terminal || !member) return;
  const agreements = need.find('agreement', 'openAcceptor', merchantOf(terminal, context));
  if (agreements.length === 0) return;
  for (const { issuer, acceptor } of agreements) planClearing(need, issuer, acceptor);
  for (const one of [member, ...linkedTo(need, member)]) {
    need.find('memberKey', 'memberId', one.id);
    planPointsAccounts(need, one.id, terminalId);
  }
}

function planClearing(need: Collector, issuer: string, acceptor: string): void {
  need.get('clearing', pairOf(issuer, acceptor).id);
  for (const account of [partnerTaken, clearingDue, clearingBack]) need.get('account', account(issuer, acceptor).id);
}

/** States what completing, releasing or undoing this sale reads of its partner. */
export function planPartnerOf(need: Collector, sale: Sale): void {
  if (sale.agreementId === null || sale.partnerMemberId === null) return;
  const agreement = need.get('agreement', sale.agreementId);
  if (agreement) planClearing(need, agreement.issuer, agreement.acceptor);
  planPointsAccounts(need, sale.partnerMemberId, sale.terminalId);
}

export interface Partner {
  readonly member: Row<'member'>;
  readonly agreement: Agreement;
  /** Points of the issuer that pay `share`. */
  readonly points: number;
  readonly share: number;
}

/** What a day's limit leaves, with the day counted anew where another has begun. */
const usedOn = (agreement: Agreement, day: number): number => (agreement.day === day ? agreement.dayPoints : 0);

/**
 * Who pays `share` of the terminal's merchant's points: the membership that was tapped where it is a partner's, else the
 * same person's that takes the fewest points. One partner pays all of it, or nobody. null: none can.
 */
export function choosePartner(
  facts: Facts,
  terminalId: string,
  tapped: Row<'member'>,
  share: number,
  context: Pick<ApplyContext, 'ownMerchant' | 'nowMs' | 'policy'>,
): Partner | null {
  const terminal = facts.get('terminal', terminalId);
  if (!terminal) return null;
  const acceptor = merchantOf(terminal, context);
  const agreements = facts.find('agreement', 'openAcceptor', acceptor).filter((one) => isInForce(one, context.nowMs));
  if (agreements.length === 0) return null;
  const day = dayOf(context.nowMs, context.policy.utcOffsetMinutes);
  const persons = merchantOf(tapped, context) === acceptor ? linkedTo(facts, tapped) : [tapped];
  const partners = persons.flatMap((member): readonly Partner[] => {
    const issuer = merchantOf(member, context);
    const agreement = agreements.filter((one) => one.issuer === issuer).sort((a, b) => b.version - a.version)[0];
    if (!agreement) return [];
    const points = issuerPointsFor(agreement, share);
    const isWithinDay = agreement.dailyPointsMax === null || usedOn(agreement, day) + share <= agreement.dailyPointsMax;
    return isWithinDay && balanceOf(facts, memberPoints(member.id)) >= points
      ? [{ member, agreement, points, share }]
      : [];
  });
  return partners.sort((a, b) => a.points - b.points || (a.agreement.id < b.agreement.id ? -1 : 1))[0] ?? null;
}

/** Holds the partner's points, and counts them for the day. @returns the movements of the entry that reserves the sale */
export function reservePartner(
  draft: Draft,
  { member, agreement, points, share }: Partner,
  context: Pick<ApplyContext, 'nowMs' | 'policy'>,
): readonly Movement[] {
  const day = dayOf(context.nowMs, context.policy.utcOffsetMinutes);
  draft.put('agreement', { ...agreement, day, dayPoints: usedOn(agreement, day) + share });
  return [move(memberPoints(member.id), memberReserved(member.id), points)];
}

/** Movements that take the partner's points of a sale for good; `late`: from what the member has now, the rest is owed. */
export function takePartner(draft: Draft, sale: Sale, late: boolean): readonly Movement[] {
  const between = betweenOf(draft, sale);
  if (!between) return [];
  const { memberId, issuer, acceptor } = between;
  const to = partnerTaken(issuer, acceptor);
  const taken = late
    ? takeFromMember(draft, memberId, to, sale.partnerPoints)
    : [move(memberReserved(memberId), to, sale.partnerPoints)];
  return [...taken, move(clearingDue(issuer, acceptor), pointsRedeemed(sale.terminalId), sale.partnerShare)];
}

/** Movements that give reserved points of the partner back. */
export function releasePartner(draft: Draft, sale: Sale): readonly Movement[] {
  const between = betweenOf(draft, sale);
  return between ? giveToMember(draft, between.memberId, memberReserved(between.memberId), sale.partnerPoints) : [];
}

export interface PartnerUndone {
  /** The acceptor's points that the partner had paid and that are given back now. */
  readonly share: number;
  /** The issuer's points that go back to its member. */
  readonly points: number;
  readonly movements: readonly Movement[];
}

/**
 * What of the next `amount` points given back is the partner's: what was taken last goes back first, at the rate it was
 * taken by. What stays taken is always the rate's figure for what stays paid, so that parts never sum up to another whole.
 */
export function undoPartner(draft: Draft, sale: Sale, amount: number): PartnerUndone {
  const between = betweenOf(draft, sale);
  if (!between) return { share: 0, points: 0, movements: [] };
  const { agreement, memberId, issuer, acceptor } = between;
  const paidBefore = sale.partnerShare - Math.min(sale.undone, sale.partnerShare);
  const paidAfter = sale.partnerShare - Math.min(sale.undone + amount, sale.partnerShare);
  const points = issuerPointsFor(agreement, paidBefore) - issuerPointsFor(agreement, paidAfter);
  const share = paidBefore - paidAfter;
  return {
    share,
    points,
    movements: [
      ...giveToMember(draft, memberId, partnerTaken(issuer, acceptor), points),
      move(pointsRedeemed(sale.terminalId), clearingBack(issuer, acceptor), share),
    ],
  };
}

function betweenOf(facts: Facts, sale: Sale) {
  const agreement = sale.agreementId === null ? undefined : facts.get('agreement', sale.agreementId);
  const memberId = sale.partnerMemberId;
  return agreement && memberId !== null
    ? { agreement, memberId, issuer: agreement.issuer, acceptor: agreement.acceptor }
    : null;
}

/**
 * Writes the statement's line of the entry posted last. `points` of the issuer were taken and pay `share` of the acceptor's;
 * both negative where they were given back.
 */
export function noteClearing(draft: Draft, sale: Sale, cause: string, points: number, share: number): void {
  const between = betweenOf(draft, sale);
  const entry = draft.postings.at(-1)?.id;
  if (!between || entry === undefined || (points === 0 && share === 0)) return;
  const { agreement, issuer, acceptor } = between;
  const { id, isFirst } = pairOf(issuer, acceptor);
  const before = draft.get('clearing', id) ?? newClearing(id);
  const due = Math.max(0, share);
  const back = Math.max(0, -share);
  const added = isFirst
    ? {
        firstDue: before.firstDue + due,
        firstBack: before.firstBack + back,
        firstTaken: before.firstTaken + points,
      }
    : {
        secondDue: before.secondDue + due,
        secondBack: before.secondBack + back,
        secondTaken: before.secondTaken + points,
      };
  // Never behind what is settled or noted already, also where the host's clock was set back.
  const atMs = Math.max(draft.atMs, before.lastAtMs, before.settledUntilMs);
  const after = { ...before, ...added, items: before.items + 1, lastAtMs: atMs };
  const { firstDue, firstBack, firstTaken, secondDue, secondBack, secondTaken } = after;
  draft.put('clearing', after);
  draft.put('clearingItem', {
    id: `${id}/${timeKey(atMs)}/${String(after.items).padStart(12, '0')}`,
    ...{ ordinal: after.items, issuer, acceptor, agreementId: agreement.id, entry, sale: sale.id, cause, atMs },
    ...{ issuerPoints: points, acceptorPoints: share },
    ...{ firstDue, firstBack, firstTaken, secondDue, secondBack, secondTaken },
  });
}
