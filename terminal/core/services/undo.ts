/**
 * Undoing an accepted sale: void of the whole, refund of a part, and both where a card takes the amount back.
 */

import type { ErrorCode } from '../../kernel/errors.js';
import { type AmountMinor, type Points, zeroPoints } from '../../kernel/units.js';
import type { AcceptedOutcome, OriginalSale, ServiceName } from '../sale.js';
import { type AcceptedAnswer, recordBase, type ServiceRules } from './service.js';

/** What is left of a sale to give back, minor units of its bill; the card gets its share of it, as the host computes it. */
export const refundableMinor = (original: OriginalSale): AmountMinor =>
  (original.voided ? 0 : Math.max(0, original.bill.totalMinor - original.refundedMinor)) as AmountMinor;

/** Why this sale cannot be voided; null: it can. A sale that was refunded in part is refunded on, not voided. */
export const voidRefusal = (original: OriginalSale): ErrorCode | null =>
  original.voided || original.refundedMinor > 0 || isUndo(original) ? 'original.notVoidable' : null;

/** Why this much cannot be refunded; null: it can. */
export const refundRefusal = (original: OriginalSale, amountMinor: number): ErrorCode | null =>
  // A top-up is paid back whole or not at all.
  isUndo(original) || isTopUp(original.service)
    ? 'original.notVoidable'
    : amountMinor < 1 || amountMinor > refundableMinor(original)
      ? 'refund.tooLarge'
      : null;

/** Money is paid in: of a coupon at the host, or on the card. */
export const isTopUp = (service: ServiceName): boolean => service === 'topUp' || service === 'topUpCard';
export const isTopUpVoid = (service: ServiceName): boolean => service === 'topUpVoid' || service === 'topUpCardVoid';

const undos: readonly ServiceName[] = ['void', 'refund', 'cardCredit', 'topUpVoid', 'topUpCardVoid'];
const isUndo = (original: OriginalSale): boolean => undos.includes(original.service);

const given = (
  coveredMinor: AmountMinor,
  answer: AcceptedAnswer | null,
  authority: AcceptedOutcome['authority'],
): AcceptedOutcome => ({
  result: 'accepted',
  authority: answer ? 'host' : authority,
  points: (answer?.pointsPosted ?? null) as Points | null,
  coveredMinor,
  restMinor: 0 as AmountMinor,
  balances: answer?.balances ?? null,
});

const atOnce = {
  identify: 'nobody',
  authority: 'box',
  asksBalance: true,
  siteAllowed: false,
  key: 'member',
  operation: 'identify',
} as const;

export const voidSale: ServiceRules<'void'> = {
  ...atOnce,
  context: ({ service }) => ({ amountMinor: service.original.bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: ({ service }) => voidRefusal(service.original),
  record: (request, _credential, _card, at) => ({
    ...recordBase(request, at),
    transactionId: request.ids.transaction,
    kind: 'void',
    reference: request.reference,
    original: request.service.original.transactionId,
  }),
  accepted: (request, answer) => given(request.service.original.bill.totalMinor as AmountMinor, answer, 'box'),
};

export const refundSale: ServiceRules<'refund'> = {
  ...atOnce,
  context: ({ service }) => ({ amountMinor: service.amountMinor, points: zeroPoints }),
  refusal: ({ service }) => refundRefusal(service.original, service.amountMinor),
  record: (request, _credential, _card, at) => ({
    ...recordBase(request, at),
    transactionId: request.ids.transaction,
    kind: 'refund',
    reference: request.reference,
    original: request.service.original.transactionId,
    amountMinor: request.service.amountMinor,
  }),
  accepted: (request, answer) => given(request.service.amountMinor, answer, 'box'),
};

export const cardCredit: ServiceRules<'cardCredit'> = {
  identify: 'card',
  authority: 'card',
  asksBalance: false,
  siteAllowed: false,
  key: 'card',
  operation: 'cardCredit',
  context: ({ service }) => ({ amountMinor: service.amountMinor, points: zeroPoints }),
  refusal: ({ service }, credential) => {
    if (service.original.voided || service.amountMinor > refundableMinor(service.original)) return 'refund.tooLarge';
    return credential?.method === 'tap' && credential.keyId !== service.original.cardKeyId ? 'card.another' : null;
  },
  record: (request, credential, card, at) => {
    if (!credential || !card) throw new Error('invariant broken: a card credit has a credential and a card');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'cardCredit',
      reference: request.reference,
      credential,
      original: request.service.original.transactionId,
      amountMinor: request.service.amountMinor,
      slots: card.slots,
    };
  },
  accepted: (request, answer, card) => ({
    ...given(card?.coveredMinor ?? request.service.amountMinor, answer, 'host'),
    balances: card?.balances ?? answer?.balances ?? null,
  }),
};
