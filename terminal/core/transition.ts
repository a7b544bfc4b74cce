import { assert } from '../kernel/result.js';
import type { EventOf, SaleEvent, SaleEventType } from './event.js';
import {
  announce,
  authorised,
  begin,
  ended,
  giveUp,
  holds,
  intendCard,
  intended,
  isUnstored,
  linkFailed,
  present,
  readCard,
  refuseUnstored,
  resume,
  settleCard,
  takeCode,
  takePass,
  takeProof,
  waitForCard,
  withAnswer,
} from './handlers.js';
import { abandonCard, askForCardAgain, endAccepted, endRefused, endReversed, halt, type Step, stay } from './moves.js';
import type { Phase, State, StateOf } from './state.js';

type Handler<P extends Phase, E extends SaleEventType> = (state: StateOf<P>, event: EventOf<E>) => Step;
/** ignored: may come here and means nothing. impossible: the shell would have a bug; the machine stops. */
type Cell<P extends Phase, E extends SaleEventType> = Handler<P, E> | 'ignored' | 'impossible';
export type Table = { readonly [P in Phase]: { readonly [E in SaleEventType]: Cell<P, E> } };

// What arrives at any time because devices, host and people act when they like.
const stray = {
  cancelRequested: 'ignored',
  cardPresented: 'ignored',
  cardRemoved: 'ignored',
  codeScanned: 'ignored',
  proofReceived: 'ignored',
  passRead: 'ignored',
  sessionOpened: 'ignored',
  sessionRefused: 'ignored',
  cardRead: 'ignored',
  cardWritten: 'ignored',
  linkFailed: 'ignored',
  hostAnswered: 'ignored',
  hostSilent: 'ignored',
  timerFired: 'ignored',
} as const;
// What the shell must not send here: it asked for a sale while one is open, or reports a commit nobody asked for.
const once = {
  saleRequested: 'impossible',
  saleRecovered: 'impossible',
  persisted: 'impossible',
  persistFailed: 'impossible',
  announced: 'impossible',
} as const;

export const table: Table = {
  idle: { ...stray, ...once, saleRequested: begin, saleRecovered: resume },
  awaitingCredential: {
    ...stray,
    ...once,
    cancelRequested: (state) => endRefused(state, 'sale.cancelled'),
    cardPresented: present,
    codeScanned: takeCode,
    timerFired: onTime((state) => endRefused(state, 'sale.timedOut')),
  },
  presenting: {
    ...stray,
    ...once,
    cancelRequested: (state, event) => giveUp(state, event, 'sale.cancelled'),
    cardRemoved: onLink((state) => waitForCard(state)),
    linkFailed: onLink(linkFailed),
    proofReceived: onLink(takeProof),
    passRead: onLink(takePass),
    timerFired: onTime((state, event) => giveUp(state, event, 'sale.timedOut')),
  },
  openingSession: {
    ...stray,
    ...once,
    cancelRequested: (state, event) => giveUp(state, event, 'sale.cancelled'),
    cardRemoved: onLink((state) => waitForCard(state)),
    linkFailed: onLink(linkFailed),
    sessionOpened: onLink(readCard),
    sessionRefused: onLink((state, event) => (state.unsettled ? waitForCard(state) : endRefused(state, event.code))),
    timerFired: onTime((state, event) => giveUp(state, event, 'sale.timedOut')),
  },
  readingCard: {
    ...stray,
    ...once,
    cancelRequested: (state, event) => giveUp(state, event, 'sale.cancelled'),
    cardRemoved: onLink((state) => waitForCard(state)),
    linkFailed: onLink(linkFailed),
    cardRead: onLink((state, event) => (state.unsettled ? settleCard(state, event) : intendCard(state, event))),
    timerFired: onTime((state, event) => giveUp(state, event, 'sale.timedOut')),
  },
  persistingIntent: {
    ...stray,
    ...once,
    // The record is on its way into the outbox: the cancel is kept and becomes a reversal once the commit is back.
    cancelRequested: (state) => stay({ ...state, cancelled: true }),
    cardRemoved: onLink((state) => stay({ ...state, linkId: null })),
    linkFailed: onLink((state) => stay({ ...state, linkId: null })),
    persisted: intended,
    persistFailed: (state, event) =>
      isUnstored(event.code) ? refuseUnstored(state, event.code) : halt(state, event.code),
  },
  awaitingAuthorisation: {
    ...stray,
    ...once,
    // After a restart the card may hold the write already: only the host or the card can tell, so no cancel.
    cancelRequested: (state, event) =>
      state.recovered ? stay(state) : endReversed(state, event, 'cancelled', 'sale.cancelled'),
    cardRemoved: onLink((state) => stay({ ...state, linkId: null })),
    linkFailed: onLink((state) => stay({ ...state, linkId: null })),
    hostAnswered: onOwn(authorised),
    hostSilent: onOwn((state, event) =>
      state.recovered && state.card
        ? abandonCard(state, event, state.card.cardKeyId, true)
        : endReversed(state, event, 'noAnswer', 'host.noAnswer'),
    ),
  },
  // From here the card may hold the record: too late to cancel until it is known.
  writingCard: {
    ...stray,
    ...once,
    cardRemoved: onLink((state) => askForCardAgain(state, state)),
    linkFailed: onLink((state) => askForCardAgain(state, state)),
    cardWritten: onLink((state) => [
      { ...state, phase: 'persistingWritten' },
      [
        {
          type: 'persist',
          sale: { commit: 'written', request: state.request, credential: state.credential, card: state.card },
          records: [],
        },
      ],
    ]),
  },
  persistingWritten: {
    ...stray,
    ...once,
    cardRemoved: onLink((state) => stay({ ...state, linkId: null })),
    linkFailed: onLink((state) => stay({ ...state, linkId: null })),
    persisted: (state, event) =>
      state.linkId === null
        ? endAccepted(state, event, state.credential, null, state.card, null)
        : [
            { ...state, phase: 'readingBack', linkId: state.linkId },
            [{ type: 'readCard', linkId: state.linkId, request: state.request, authority: state.card.authority }],
          ],
    persistFailed: (state, event) => halt(state, event.code),
  },
  readingBack: {
    ...stray,
    ...once,
    // The card has confirmed the write under the session's MAC; a look that fails takes nothing from that.
    cardRemoved: onLink((state, event) => endAccepted(state, event, state.credential, null, state.card, null)),
    linkFailed: onLink((state, event) => endAccepted(state, event, state.credential, null, state.card, null)),
    cardRead: onLink((state, event) =>
      holds(event.slots, state.card.write)
        ? endAccepted(state, event, state.credential, null, state.card, state.linkId)
        : askForCardAgain(state, state),
    ),
  },
  awaitingCardAgain: {
    ...stray,
    ...once,
    cancelRequested: (state, event) => abandonCard(state, event, state.card.cardKeyId),
    cardPresented: (state, event) => present(state, event, { credential: state.credential, card: state.card }),
    timerFired: onTime((state, event) => abandonCard(state, event, state.card.cardKeyId)),
  },
  persistingEnd: {
    ...stray,
    ...once,
    persisted: ended,
    // Nothing of this sale is stored when its first commit is refused for room or size; else only a restart can tell.
    persistFailed: (state, event) =>
      state.first && isUnstored(event.code) ? refuseUnstored(state, event.code) : halt(state, event.code),
  },
  awaitingBalance: {
    ...stray,
    ...once,
    hostAnswered: onOwn((state, event) => announce(state, withAnswer(state, event))),
    hostSilent: onOwn((state) => announce(state, state.outcome)),
  },
  announcing: {
    ...stray,
    ...once,
    announced: (state) => [{ phase: 'idle', generation: state.generation }, []],
  },
  halted: {
    ...stray,
    ...once,
    saleRequested: 'impossible',
    persisted: 'ignored',
    persistFailed: 'ignored',
    announced: 'ignored',
  },
};

/**
 * One step. Throws on a pair the table calls impossible: that is a bug, and the process is to stop and recover.
 * @returns the next state and the effects in the order to perform
 */
export function transition(state: State, event: SaleEvent): Step {
  const cell = table[state.phase][event.type] as Cell<Phase, SaleEventType>;
  if (cell === 'ignored') return [state, []];
  assert(cell !== 'impossible', `${event.type} cannot happen in ${state.phase}`);
  return cell(state as never, event as never);
}

// Guards: events of another link, of another sale or of an old timer mean nothing.

function onLink<S extends { readonly linkId: string | null }, E extends { readonly linkId: string }>(
  handler: (state: S, event: E) => Step,
): (state: S & State, event: E) => Step {
  return (state, event) => (event.linkId === state.linkId ? handler(state, event) : [state, []]);
}
function onTime<S extends { readonly generation: number }>(
  handler: (state: S, event: EventOf<'timerFired'>) => Step,
): (state: S & State, event: EventOf<'timerFired'>) => Step {
  return (state, event) => (event.generation === state.generation ? handler(state, event) : [state, []]);
}
function onOwn<
  S extends { readonly request: { readonly ids: { readonly transaction: string } } },
  E extends { readonly transactionId: string },
>(handler: (state: S, event: E) => Step): (state: S & State, event: E) => Step {
  return (state, event) =>
    event.transactionId === state.request.ids.transaction ? handler(state, event) : [state, []];
}
