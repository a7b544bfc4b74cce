/**
 * Recovery: what a restarted box does with the sale it finds, as a total function of the last persisted commit point.
 */
import type { At } from './event.js';
import { askForCardAgain, endAccepted, endReversed, prompt, type Step } from './moves.js';
import type { PersistedSale } from './sale.js';

/**
 * intent, no card: nobody knows whether the host took it → reversed.
 * intent, card, site key: the card may hold the write → look at the card.
 * intent, card, host: the host repeats its answer for the same bytes → then look at the card.
 * written: the card took it → accepted. ended: nothing is left to do, and nothing is shown or printed again.
 */
export function recover(persisted: PersistedSale, generation: number, at: At): Step {
  const open = { generation, request: persisted.request };
  switch (persisted.commit) {
    case 'ended':
      return [{ phase: 'idle', generation }, []];
    case 'written':
      return endAccepted(open, at, persisted.credential, null, persisted.card, null);
    case 'intent': {
      const { credential, card, request } = persisted;
      if (!card || credential?.method !== 'tap')
        return endReversed({ ...open, credential }, at, 'interrupted', 'sale.interrupted');
      const { write, coveredMinor } = card;
      if (write && coveredMinor !== null)
        return askForCardAgain(open, { credential, card: { ...card, write, coveredMinor } });
      return [
        { phase: 'awaitingAuthorisation', ...open, credential, card, linkId: null, recovered: true },
        [
          { type: 'askHost', transactionId: request.ids.transaction, deadline: request.terms.authorisationTimeout },
          prompt(request, 'asking'),
        ],
      ];
    }
  }
}
