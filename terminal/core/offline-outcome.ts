/**
 * The outcome of a sale that the box decided without its host. Pure; what it may decide is offline.ts's.
 */
import type { OfflineDecision } from '../../host-sync/protocol/record.js';
import type { AmountMinor } from '../kernel/units.js';
import type { AcceptedOutcome, SaleRequest } from './sale.js';
import { restOf } from './services/service.js';
import { serviceOf } from './services/services.js';

/** Balances are not known: the slice says nothing of what is left at the host. */
export const offlineOutcome = (request: SaleRequest, decision: OfflineDecision): AcceptedOutcome => ({
  ...serviceOf(request).accepted(null, null),
  authority: decision.by,
  coveredMinor: decision.coveredMinor as AmountMinor,
  restMinor: restOf(request.bill.totalMinor, decision.coveredMinor),
  balances: null,
});
