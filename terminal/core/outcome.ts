/**
 * The outcome as it is to be shown later: what was persisted, joined with the host's word that came afterwards.
 */
import type { FinalAnswer } from '../../host-sync/protocol/sync.js';
import type { PersistedSale, SaleOutcome } from './sale.js';
import { serviceOf } from './services/services.js';

/** Null while the sale is not ended. A refusal that reached a box-decided sale later is its outcome from then on. */
export function outcomeOf(sale: PersistedSale, answer: FinalAnswer | null): SaleOutcome | null {
  if (sale.commit !== 'ended') return null;
  const { outcome, request } = sale;
  const service = serviceOf(request);
  // Money that nothing came of is given back, also where that is known only when the card has been lost; else it is due.
  if (request.service.name === 'topUpCard' && outcome.result === 'unknown' && answer)
    return answer.outcome === 'refused'
      ? { result: 'refused', code: answer.code, balances: answer.balances }
      : { result: 'unknown', code: outcome.code };
  if (outcome.result !== 'accepted' || service.rules.authority !== 'box' || answer === null) return outcome;
  return answer.outcome === 'accepted'
    ? service.accepted(answer, null)
    : { result: 'refused', code: answer.code, balances: answer.balances };
}
