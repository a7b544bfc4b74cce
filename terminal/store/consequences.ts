/**
 * Consequences: what a persisted sale counts elsewhere: on the sale it undoes, and on its card's offline limit.
 * Pure. Must not read the database.
 */
import type { PersistedSale } from '../core/sale.js';
import type { TransactionId } from '../kernel/ports.js';

/** What a void or refund that ended accepted takes from its original. */
export interface Undone {
  readonly original: TransactionId;
  readonly refundedMinor: number;
  readonly voided: boolean;
}

/** Null while not ended, and where it ended refused or unknown: only an accepted one counts. */
export function undoneBy(sale: PersistedSale): Undone | null {
  if (sale.commit !== 'ended' || sale.outcome.result !== 'accepted') return null;
  const { service } = sale.request;
  if (service.name === 'void' || service.name === 'topUpVoid' || service.name === 'topUpCardVoid')
    return { original: service.original.transactionId, refundedMinor: 0, voided: true };
  if (service.name !== 'refund' && service.name !== 'cardCredit') return null;
  return { original: service.original.transactionId, refundedMinor: service.amountMinor, voided: false };
}

/**
 * What a sale counts against its card's offline limit under the site key. `release`: nothing (any more). `keep`: what it
 * counted before, since a card whose write ended unknown may have paid.
 */
export type SiteUse = { readonly cardKeyId: string; readonly spentMinor: number } | 'release' | 'keep';

export function siteUseOf(sale: PersistedSale): SiteUse {
  if (sale.commit !== 'ended') {
    const card = sale.card;
    if (card?.authority !== 'site' || card.coveredMinor === null) return 'release';
    return { cardKeyId: card.cardKeyId, spentMinor: card.coveredMinor };
  }
  if (sale.outcome.result === 'unknown') return 'keep';
  if (sale.outcome.result === 'refused' || sale.outcome.authority !== 'site' || sale.cardKeyId === null)
    return 'release';
  return { cardKeyId: sale.cardKeyId, spentMinor: sale.outcome.coveredMinor };
}

/** Days since 1970-01-01 UTC. */
export const utcDay = (atWallMs: number): number => Math.floor(atWallMs / 86_400_000);
