/**
 * Top-up of a coupon kept at the host, and its void. Both only with the host: without its word no money changes hands.
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
