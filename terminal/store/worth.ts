/**
 * Worth of a record: what would be lost, or owed wrongly, if the host never heard of it. Shown with queue and dead letters.
 * Pure. Must not read the database.
 */
import type { RecordDraft } from '../../host-sync/protocol/record.js';
import { unreachable } from '../kernel/result.js';

/** Money in minor units and whole points, each ≥ 0. */
export interface Worth {
  readonly worthMinor: number;
  readonly points: number;
}
export const noWorth: Worth = { worthMinor: 0, points: 0 };

/**
 * What hangs on a record: money that points, coupon or card pay, or that is given back, and points that move.
 * Sales without a member and consumption records move nothing. A record that completes, reverses or voids another is
 * worth what that one is (`original`; null: not known at this box, so nothing can be said and nothing is counted).
 * A host-held coupon may pay the whole bill: that is its worth until the host has said less.
 */
export function recordWorth(draft: RecordDraft, original: Worth | null): Worth {
  switch (draft.kind) {
    case 'plainSale':
    case 'consumption':
    case 'allowanceRelease':
      return noWorth;
    case 'pointsEarn':
      return { worthMinor: 0, points: draft.points };
    case 'pointsSpend':
      return { worthMinor: draft.coveredMinor, points: draft.points };
    case 'couponDeduct':
      return { worthMinor: draft.offline?.coveredMinor ?? draft.bill.totalMinor, points: 0 };
    case 'cardDebit':
    case 'cardCredit':
    case 'refund':
    case 'topUp':
    case 'topUpVoid':
    case 'cardTopUp':
    case 'cardTopUpVoid':
      return { worthMinor: draft.amountMinor, points: 0 };
    case 'completion':
    case 'reversal':
    case 'void':
      return original ?? noWorth;
    default:
      return unreachable(draft);
  }
}
