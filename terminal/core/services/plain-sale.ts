/**
 * A sale without a member: nothing is earned or deducted; the sale is kept and told to the host.
 */
import { type AmountMinor, zeroAmount, zeroPoints } from '../../kernel/units.js';
import { recordBase, type ServiceRules } from './service.js';

export const plainSale: ServiceRules<'plainSale'> = {
  identify: 'nobody',
  authority: 'box',
  asksBalance: false,
  siteAllowed: false,
  key: 'member',
  operation: 'identify',
  context: ({ bill }) => ({ amountMinor: bill.totalMinor as AmountMinor, points: zeroPoints }),
  refusal: () => null,
  record: (request, _credential, _card, at) => ({
    ...recordBase(request, at),
    transactionId: request.ids.transaction,
    kind: 'plainSale',
    reference: request.reference,
    bill: request.bill,
  }),
  accepted: (request) => ({
    result: 'accepted',
    authority: 'box',
    points: null,
    coveredMinor: zeroAmount,
    restMinor: request.bill.totalMinor as AmountMinor,
    balances: null,
  }),
};
