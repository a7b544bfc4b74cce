/**
 * Points: earning on a bill by the rule or by the clerk's figure, and paying with points.
 */
import { isStrongEnough } from '../../../host-sync/protocol/assurance.js';
import type { Rules } from '../../../host-sync/protocol/sync.js';
import {
  type AmountMinor,
  multiplyDivideCeil,
  multiplyDivideFloor,
  type Points,
  pointsMax,
  zeroAmount,
  zeroPoints,
} from '../../kernel/units.js';
import { recordBase, restOf, type ServiceRules } from './service.js';

/** Points for an amount: floor(amountMinor × earnPoints ÷ earnPerMinor), at most pointsMax. */
export const pointsFor = (rules: Rules, amountMinor: number): Points =>
  Math.min(multiplyDivideFloor(amountMinor, rules.earnPoints, rules.earnPerMinor), pointsMax) as Points;

/**
 * What `points` pay of a bill: never more than the bill, and only as many of the points as that takes; the host refuses
 * points that pay nothing.
 * @returns points to spend and minor units covered; both 0 where points pay nothing here
 */
export function spendFor(
  rules: Rules,
  points: Points,
  totalMinor: number,
): { readonly points: Points; readonly coveredMinor: AmountMinor } {
  if (rules.spendMinor === 0) return { points: zeroPoints, coveredMinor: zeroAmount };
  const coveredMinor = Math.min(multiplyDivideFloor(points, rules.spendMinor, rules.spendPerPoints), totalMinor);
  return {
    points: multiplyDivideCeil(coveredMinor, rules.spendPerPoints, rules.spendMinor) as Points,
    coveredMinor: coveredMinor as AmountMinor,
  };
}

export const pointsEarn: ServiceRules<'pointsEarn'> = {
  identify: 'tapOrCode',
  authority: 'box',
  asksBalance: true,
  siteAllowed: false,
  key: 'member',
  operation: 'earn',
  context: ({ bill, service, terms }) => ({
    amountMinor: bill.totalMinor as AmountMinor,
    points: service.typedPoints ?? pointsFor(terms.rules, bill.totalMinor),
  }),
  refusal: (_request, credential) => (credential?.method === 'couponCode' ? 'credential.tooWeak' : null),
  record: (request, credential, _card, at) => {
    if (!credential) throw new Error('invariant broken: an earn has a credential');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'pointsEarn',
      reference: request.reference,
      bill: request.bill,
      credential,
      rulesVersion: request.terms.rules.version,
      points: pointsEarn.context(request).points,
      typed: request.service.typedPoints !== null,
    };
  },
  accepted: (request, answer) => ({
    result: 'accepted',
    authority: answer ? 'host' : 'box',
    points: (answer?.pointsPosted ?? pointsEarn.context(request).points) as Points,
    coveredMinor: zeroAmount,
    restMinor: request.bill.totalMinor as AmountMinor,
    balances: answer?.balances ?? null,
  }),
};

export const pointsSpend: ServiceRules<'pointsSpend'> = {
  identify: 'tapOrCode',
  authority: 'host',
  asksBalance: false,
  siteAllowed: false,
  key: 'member',
  operation: 'spend',
  context: ({ bill, service, terms }) => ({
    amountMinor: bill.totalMinor as AmountMinor,
    points: spendFor(terms.rules, service.points, bill.totalMinor).points,
  }),
  refusal: (request, credential) => {
    if (spendFor(request.terms.rules, request.service.points, request.bill.totalMinor).coveredMinor === 0)
      return 'points.notAllowed';
    return credential !== null && !isStrongEnough('spendPoints', credential, 'maybe') ? 'credential.tooWeak' : null;
  },
  record: (request, credential, _card, at) => {
    if (!credential) throw new Error('invariant broken: a spend has a credential');
    const spend = spendFor(request.terms.rules, request.service.points, request.bill.totalMinor);
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'pointsSpend',
      reference: request.reference,
      bill: request.bill,
      credential,
      rulesVersion: request.terms.rules.version,
      points: spend.points,
      coveredMinor: spend.coveredMinor,
    };
  },
  accepted: (request, answer) => {
    const spend = spendFor(request.terms.rules, request.service.points, request.bill.totalMinor);
    const coveredMinor = answer?.coveredMinor ?? spend.coveredMinor;
    return {
      result: 'accepted',
      authority: 'host',
      points: (answer?.pointsPosted ?? spend.points) as Points,
      coveredMinor: coveredMinor as AmountMinor,
      restMinor: restOf(request.bill.totalMinor, coveredMinor),
      balances: answer?.balances ?? null,
    };
  },
};
