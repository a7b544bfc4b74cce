/**
 * Points: earning (posted at once) and spending (reserved, then posted, returned or late).
 * Pure. Repays what is owed first, whichever way points come to a member, so that points and owed never stand side by side.
 */
import { pointsMax } from '../../../terminal/kernel/units.js';
import { isStrongEnough } from '../../protocol/assurance.js';
import type { OfflineDecision, RecordOf } from '../../protocol/record.js';
import {
  memberOwed,
  memberPoints,
  memberReserved,
  pointsIssued,
  pointsRedeemed,
  pointsUnit,
  riskBorne,
} from './accounts.js';
import { planAllowance, postOffline } from './allowance.js';
import { accepted, later, memberBalances, type Outcome, refused } from './answer.js';
import { billAddsUp } from './catalogue.js';
import type { ApplyContext, Openers } from './context.js';
import { holdAgainst, identify, planCredential, situationOf } from './credential.js';
import type { Draft } from './draft.js';
import type { Collector, Facts } from './facts.js';
import {
  choosePartner,
  noteClearing,
  planPartners,
  releasePartner,
  reservePartner,
  takePartner,
  undoPartner,
} from './federation.js';
import { giveToMember, planPointsAccounts, takeFromMember } from './member-points.js';
import { membershipAt } from './membership.js';
import { balanceOf, move } from './posting.js';
import { bonusFor, earnedFor, planRules, rulesFor, tierOf, worthOf } from './rules.js';
import { newSale } from './sale.js';
import type { Row } from './tables.js';

export const planEarn = (need: Collector, record: RecordOf<'pointsEarn'>, context: Openers): void => {
  planRules(need, record.rulesVersion);
  const memberId = membershipOf(need, record, planCredential(need, record.credential, context));
  if (memberId !== null) planPointsAccounts(need, memberId, record.terminalId);
};

/** The membership of this counter's merchant that a sale is for, of whoever the credential named; null: none. */
const membershipOf = (
  facts: Pick<Facts, 'get' | 'find'>,
  { terminalId, credential }: RecordOf<'pointsEarn' | 'pointsSpend'>,
  named: string | null,
): string | null => membershipAt(facts, terminalId, named, credential.method === 'phoneNumber');

/** Posts what the rules give for the bill, or what the clerk typed, and the tier's bonus on points by rule. */
export function applyEarn(draft: Draft, record: RecordOf<'pointsEarn'>, context: ApplyContext): Outcome {
  if (record.credential.method === 'couponCode') return refused('credential.tooWeak', 'a coupon code earns no points');
  if (!billAddsUp(record.bill)) return refused('bill.wrongTotal');
  const who = identify(draft, record, record.credential, context);
  if (!who.ok) return refused(who.code);
  const memberId = membershipOf(draft, record, who.identity.memberId);
  const member = memberId === null ? undefined : draft.get('member', memberId);
  if (!member) return refused('credential.unknown', 'this card belongs to no member of this merchant');
  const ruled = rulesFor(draft, record.rulesVersion, record.atWallMs, record.clockDoubtful, context);
  if (!ruled) return later('host.busy');
  if (!record.typed && ruled.rules.currency !== record.bill.currency)
    return refused('points.notAllowed', `points are not earned in ${record.bill.currency}`);
  if (record.typed && record.points > context.policy.typedPointsMax)
    return refused('points.notAllowed', `more than ${context.policy.typedPointsMax} typed points`);
  const notices: string[] = [];
  const base = record.typed ? record.points : earnedFor(ruled.rules, record.bill.totalMinor);
  if (!record.typed && ruled.replaced) notices.push('rules.replaced');
  if (base !== record.points) notices.push('points.recomputed');
  const basisPoints = record.typed ? 10_000 : tierOf(context.tiers, member.earnedPoints).multiplierBasisPoints;
  const bonus = bonusFor(base, basisPoints);
  if (bonus > 0) notices.push('tier.bonus');
  const points = base + bonus;
  if (balanceOf(draft, memberPoints(member.id)) + points > pointsMax)
    return refused('points.notAllowed', 'more points than an account holds');
  if (balanceOf(draft, memberOwed(member.id)) > 0 && points > 0) notices.push('points.owed');
  draft.post('earn', giveToMember(draft, member.id, pointsIssued(record.terminalId), points));
  draft.put('member', { ...member, earnedPoints: Math.min(member.earnedPoints + points, pointsMax) });
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId: member.id,
    points,
    rulesVersion: record.typed ? null : ruled.rules.version,
    tierBasisPoints: basisPoints,
    state: 'accepted',
  });
  return accepted(memberBalances(draft, member.id), { pointsPosted: points, notices });
}

export const planSpend = (
  need: Collector,
  record: RecordOf<'pointsSpend'>,
  context: Openers & Pick<ApplyContext, 'ownMerchant'>,
): void => {
  planRules(need, record.rulesVersion);
  if (record.offline?.by === 'allowance') planAllowance(need, record.offline.allowanceId);
  const named = planCredential(need, record.credential, context);
  const memberId = membershipOf(need, record, named);
  if (memberId !== null) planPointsAccounts(need, memberId, record.terminalId);
  if (!record.offline) planPartners(need, record.terminalId, named, context);
};

/**
 * Reserves points for a bill; only the member's own key may, and a rotating code where the merchant lets it. First the
 * member's own at this merchant, then a partner's for what lacks.
 */
export function applySpend(draft: Draft, record: RecordOf<'pointsSpend'>, context: ApplyContext): Outcome {
  const { credential } = record;
  if (
    !isStrongEnough('spendPoints', credential, situationOf(record, context)) ||
    (credential.method === 'tap' && credential.key === 'card')
  )
    return refused('credential.tooWeak');
  if (!billAddsUp(record.bill)) return refused('bill.wrongTotal');
  const who = identify(draft, record, record.credential, context);
  if (!who.ok) return refused(who.code);
  if (who.misuse && credential.method === 'tap') holdAgainst(draft, record, credential.keyId, who.misuse);
  const tapped = who.identity.memberId === null ? undefined : draft.get('member', who.identity.memberId);
  const home = membershipOf(draft, record, who.identity.memberId);
  if (record.offline)
    return home ? applyOfflineSpend(draft, record, record.offline, home) : refused('credential.unknown');
  if (!tapped) return refused('credential.unknown');
  const ruled = rulesFor(draft, record.rulesVersion, record.atWallMs, record.clockDoubtful, context);
  if (!ruled) return later('host.busy');
  const memberId = home ?? tapped.id;
  const balances = memberBalances(draft, memberId);
  const { rules } = ruled;
  const coveredMinor = Math.min(worthOf(rules, record.points), record.bill.totalMinor);
  if (rules.currency !== record.bill.currency || coveredMinor === 0)
    return refused('points.notAllowed', 'these points pay nothing here', balances);
  if (worthOf(rules, record.points - 1) >= record.bill.totalMinor)
    return refused('points.notAllowed', 'fewer points pay this bill', balances);
  const own = home === null ? 0 : Math.min(balanceOf(draft, memberPoints(home)), record.points);
  const lacking = record.points - own;
  const partner = lacking > 0 ? choosePartner(draft, record.terminalId, tapped, lacking, context) : null;
  if (lacking > 0 && !partner)
    return home ? refused('points.tooFew', '', balances) : refused('credential.unknown', 'no member of this merchant');
  draft.post('spend', [
    move(memberPoints(memberId), memberReserved(memberId), own),
    ...(partner ? reservePartner(draft, partner, context) : []),
  ]);
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId,
    points: record.points,
    rulesVersion: rules.version,
    coveredMinor,
    state: 'reserved',
    expiresAtMs: context.nowMs + context.policy.reservationMs,
    ...(partner && {
      partnerMemberId: partner.member.id,
      agreementId: partner.agreement.id,
      partnerPoints: partner.points,
      partnerShare: partner.share,
    }),
  });
  const notices = [
    ...(ruled.replaced ? ['rules.replaced'] : []),
    ...(coveredMinor === record.coveredMinor ? [] : ['points.recomputed']),
    ...(partner ? ['points.partner'] : []),
  ];
  return accepted(memberBalances(draft, memberId), { pointsPosted: record.points, coveredMinor, notices });
}

/** The counter has given already: the points come from the terminal's slice, or on a floor limit from what the member has. */
function applyOfflineSpend(
  draft: Draft,
  record: RecordOf<'pointsSpend'>,
  decision: OfflineDecision,
  memberId: string,
): Outcome {
  if (decision.coveredMinor > record.bill.totalMinor) return refused('bill.wrongTotal');
  const riskMinor = postOffline(draft, {
    decision,
    saleId: record.transactionId,
    terminalId: record.terminalId,
    amount: record.points,
    home: memberPoints(memberId),
    memberId,
    couponId: null,
  });
  draft.put('sale', {
    ...newSale(record, record.bill, draft.atMs),
    memberId,
    points: record.points,
    rulesVersion: record.rulesVersion,
    coveredMinor: decision.coveredMinor,
    riskMinor,
  });
  const notices = riskMinor > 0 ? ['points.risk'] : [];
  return accepted(memberBalances(draft, memberId), {
    pointsPosted: record.points,
    coveredMinor: decision.coveredMinor,
    notices,
  });
}

/** A sale's member; a sale of points always has one. */
const memberOf = (sale: Row<'sale'>): string => sale.memberId ?? '';

/** Takes reserved points for good; after a time-out from what the member has, the rest is owed. @returns notices */
export function postSpend(draft: Draft, sale: Row<'sale'>): readonly string[] {
  const memberId = memberOf(sale);
  const to = pointsRedeemed(sale.terminalId);
  const own = sale.points - sale.partnerShare;
  if (sale.state === 'reserved') {
    draft.post('spend', [move(memberReserved(memberId), to, own), ...takePartner(draft, sale, false)]);
    noteClearing(draft, sale, 'spend', sale.partnerPoints, sale.partnerShare);
    return [];
  }
  const isOwed =
    balanceOf(draft, memberPoints(memberId)) < own ||
    (sale.partnerMemberId !== null && balanceOf(draft, memberPoints(sale.partnerMemberId)) < sale.partnerPoints);
  draft.post('spendLate', [...takeFromMember(draft, memberId, to, own), ...takePartner(draft, sale, true)]);
  noteClearing(draft, sale, 'spendLate', sale.partnerPoints, sale.partnerShare);
  return isOwed ? ['points.late', 'points.owed'] : ['points.late'];
}

/** Gives reserved points back. */
export const releaseSpend = (draft: Draft, sale: Row<'sale'>, cause: string): void =>
  draft.post(cause, [
    ...giveToMember(draft, memberOf(sale), memberReserved(memberOf(sale)), sale.points - sale.partnerShare),
    ...releasePartner(draft, sale),
  ]);

/** Takes earned points back, or gives spent ones back: `amount` points of this sale, first what the merchant bore. */
export function undoPoints(draft: Draft, sale: Row<'sale'>, amount: number, cause: string): Row<'sale'> {
  const memberId = memberOf(sale);
  if (sale.kind === 'pointsSpend') {
    const from = pointsRedeemed(sale.terminalId);
    const borne = Math.min(sale.riskMinor, amount);
    const partner = undoPartner(draft, sale, amount);
    draft.post(cause, [
      move(from, riskBorne(pointsUnit), borne),
      ...giveToMember(draft, memberId, from, amount - borne - partner.share),
      ...partner.movements,
    ]);
    noteClearing(draft, sale, cause, -partner.points, -partner.share);
    return { ...sale, riskMinor: sale.riskMinor - borne };
  }
  draft.post(cause, takeFromMember(draft, memberId, pointsIssued(sale.terminalId), amount));
  const member = draft.get('member', memberId);
  if (member) draft.put('member', { ...member, earnedPoints: Math.max(0, member.earnedPoints - amount) });
  return sale;
}
