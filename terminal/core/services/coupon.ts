/**
 * Coupons: kept at the host (deducted there) or on the card (the card's record is written).
 */
import { isStrongEnough } from '../../../host-sync/protocol/assurance.js';
import type { AmountMinor } from '../../kernel/units.js';
import { zeroAmount, zeroPoints } from '../../kernel/units.js';
import { recordBase, restOf, type ServiceRules } from './service.js';

export const couponHost: ServiceRules<'couponHost'> = {
  identify: 'tapOrCode',
  authority: 'host',
  asksBalance: false,
  siteAllowed: false,
  key: 'member',
  operation: 'coupon',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: (_request, credential) =>
    credential === null || credential.method === 'couponCode' || isStrongEnough('hostCoupon', credential, 'maybe')
      ? null
      : 'credential.tooWeak',
  record: (request, credential, _card, at) => {
    if (!credential) throw new Error('invariant broken: a coupon deduction has a credential');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'couponDeduct',
      reference: request.reference,
      bill: request.bill,
      credential,
      couponCode: credential.method === 'couponCode' ? credential.code : request.service.couponCode,
      partial: request.terms.rules.couponPartial,
    };
  },
  accepted: (request, answer) => {
    const coveredMinor = answer?.coveredMinor ?? zeroAmount;
    return {
      result: 'accepted',
      authority: 'host',
      points: null,
      coveredMinor: coveredMinor as AmountMinor,
      restMinor: restOf(request.bill.totalMinor, coveredMinor),
      balances: answer?.balances ?? null,
    };
  },
};

export const couponCard: ServiceRules<'couponCard'> = {
  identify: 'card',
  authority: 'card',
  asksBalance: false,
  siteAllowed: true,
  key: 'card',
  operation: 'cardDebit',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: () => null,
  record: (request, credential, card, at) => {
    if (!credential || !card) throw new Error('invariant broken: a card debit has a credential and a card');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'cardDebit',
      reference: request.reference,
      bill: request.bill,
      credential,
      partial: request.terms.rules.couponPartial,
      amountMinor: request.bill.totalMinor,
      slots: card.slots,
      write: card.authority === 'site' ? card.write : null,
    };
  },
  accepted: (request, answer, card) => {
    const coveredMinor = card?.coveredMinor ?? answer?.coveredMinor ?? zeroAmount;
    return {
      result: 'accepted',
      authority: card?.authority ?? 'host',
      points: null,
      coveredMinor: coveredMinor as AmountMinor,
      restMinor: restOf(request.bill.totalMinor, coveredMinor),
      balances: card?.balances ?? answer?.balances ?? null,
    };
  },
};
