/**
 * Sales: the row that later records (completion, reversal, void, refund) find their original by.
 * Pure. Must not move value.
 */
import type { RecordBody, RecordOf } from '../../protocol/record.js';
import { accepted, noBalances, type Outcome, refused } from './answer.js';
import { billAddsUp } from './catalogue.js';
import type { Draft } from './draft.js';
import type { Row } from './tables.js';

/** The row of a sale of which nothing has happened yet. `bill` gives currency and total, minor units. */
export const newSale = (
  record: Pick<RecordBody, 'transactionId' | 'terminalId'> & { readonly kind: Row<'sale'>['kind'] },
  bill: { readonly currency: string; readonly totalMinor: number },
  atMs: number,
): Row<'sale'> => ({
  id: record.transactionId,
  kind: record.kind,
  terminalId: record.terminalId,
  memberId: null,
  couponId: null,
  currency: bill.currency,
  totalMinor: bill.totalMinor,
  points: 0,
  rulesVersion: null,
  tierBasisPoints: 10_000,
  coveredMinor: 0,
  correctionMinor: 0,
  originalId: null,
  originalRefundMinor: 0,
  state: 'accepted',
  refundedMinor: 0,
  undone: 0,
  expiresAtMs: null,
  riskMinor: 0,
  cardCounter: null,
  cardWritten: 0,
  atMs,
  partnerMemberId: null,
  agreementId: null,
  partnerPoints: 0,
  partnerShare: 0,
  topUpOf: null,
});

/** A sale without a member: nothing moves; kept so that it can be refunded once. */
export function applyPlainSale(draft: Draft, record: RecordOf<'plainSale'>): Outcome {
  if (!billAddsUp(record.bill)) return refused('bill.wrongTotal');
  draft.put('sale', newSale(record, record.bill, draft.atMs));
  return accepted(noBalances);
}
