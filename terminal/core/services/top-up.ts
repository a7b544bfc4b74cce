/**
 * Top-up of a coupon kept at the host or on the card, and its void. Only with the host: without its word no money changes
 * hands. A card is written like any other card sale; where it is lost at that, the money stays in the drawer and is due to it.
 */
import { isStrongEnough } from '../../../host-sync/protocol/assurance.js';
import { type AmountMinor, zeroAmount, zeroPoints } from '../../kernel/units.js';
import { recordBase, type ServiceRules } from './service.js';
import { voidRefusal } from './undo.js';

export const topUp: ServiceRules<'topUp'> = {
  identify: 'tapOrCode',
  authority: 'host',
  asksBalance: false,
  siteAllowed: false,
  key: 'member',
  operation: 'topUp',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: (_request, credential) =>
    credential === null || isStrongEnough('topUpHost', credential, 'online') ? null : 'credential.tooWeak',
  record: (request, credential, _card, at) => {
    if (!credential) throw new Error('invariant broken: a top-up has a credential');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'topUp',
      reference: request.reference,
      credential,
      coupon: request.service.coupon,
      currency: request.bill.currency,
      amountMinor: request.bill.totalMinor,
    };
  },
  accepted: (request, answer) => ({
    result: 'accepted',
    authority: 'host',
    points: null,
    coveredMinor: zeroAmount,
    restMinor: request.bill.totalMinor as AmountMinor,
    balances: answer?.balances ?? null,
  }),
};

export const topUpVoid: ServiceRules<'topUpVoid'> = {
  identify: 'nobody',
  authority: 'host',
  asksBalance: false,
  siteAllowed: false,
  key: 'member',
  operation: 'identify',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: ({ service }) => voidRefusal(service.original),
  record: (request, _credential, _card, at) => ({
    ...recordBase(request, at),
    transactionId: request.ids.transaction,
    kind: 'topUpVoid',
    reference: request.reference,
    original: request.service.original.transactionId,
    amountMinor: request.service.original.bill.totalMinor,
  }),
  accepted: (request, answer) => ({
    result: 'accepted',
    authority: 'host',
    points: null,
    coveredMinor: request.service.original.bill.totalMinor as AmountMinor,
    restMinor: zeroAmount,
    balances: answer?.balances ?? null,
  }),
};

export const topUpCard: ServiceRules<'topUpCard'> = {
  identify: 'card',
  authority: 'card',
  asksBalance: false,
  siteAllowed: false,
  key: 'card',
  operation: 'cardCredit',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: () => null,
  record: (request, credential, card, at) => {
    if (!credential || !card) throw new Error('invariant broken: a card top-up has a credential and a card');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'cardTopUp',
      reference: request.reference,
      credential,
      currency: request.bill.currency,
      amountMinor: request.bill.totalMinor,
      slots: card.slots,
    };
  },
  accepted: (request, answer, card) => ({
    result: 'accepted',
    authority: 'host',
    points: null,
    coveredMinor: zeroAmount,
    restMinor: request.bill.totalMinor as AmountMinor,
    balances: card?.balances ?? answer?.balances ?? null,
  }),
};

export const topUpCardVoid: ServiceRules<'topUpCardVoid'> = {
  identify: 'card',
  authority: 'card',
  asksBalance: false,
  siteAllowed: false,
  key: 'card',
  operation: 'cardDebit',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: ({ service: { original } }, credential) =>
    credential?.method === 'tap' && credential.keyId !== original.cardKeyId ? 'card.another' : voidRefusal(original),
  record: (request, credential, card, at) => {
    if (!credential || !card)
      throw new Error('invariant broken: the void of a card top-up has a credential and a card');
    return {
      ...recordBase(request, at),
      transactionId: request.ids.transaction,
      kind: 'cardTopUpVoid',
      reference: request.reference,
      credential,
      original: request.service.original.transactionId,
      currency: request.bill.currency,
      amountMinor: request.bill.totalMinor,
      slots: card.slots,
    };
  },
  accepted: (request, answer, card) => ({
    result: 'accepted',
    authority: 'host',
    points: null,
    coveredMinor: request.bill.totalMinor as AmountMinor,
    restMinor: zeroAmount,
    balances: card?.balances ?? answer?.balances ?? null,
  }),
};
