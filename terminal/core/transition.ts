/**
 * The acceptance machine: transition(state, event) → [state, effects], one table of every phase against every event.
 * Pure: no clock, no I/O, no ids; what the shell drew comes with the event. Read `table` first, then the handlers.
 */
import type { CardWrite, TapCredential } from '../../host-sync/protocol/record.js';
import type { ErrorCode } from '../kernel/errors.js';
import { assert } from '../kernel/result.js';
import type { Effect } from './effect.js';
import type { EventOf, SaleEvent, SaleEventType } from './event.js';
import {
  abandonCard,
  askForCardAgain,
  askForCredential,
  endAccepted,
  endRefused,
  endReversed,
  halt,
  intend,
  prompt,
  type Step,
  stay,
} from './moves.js';
import { recover } from './recovery.js';
import { serviceOf } from './services/services.js';
import type { DecidedCardWork, Phase, State, StateOf } from './state.js';

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
        ? abandonCard(state, event, state.card.cardKeyId)
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

// Handlers, in the order of a sale.

function begin(state: StateOf<'idle'>, event: EventOf<'saleRequested'>): Step {
  const open = { generation: state.generation, request: event.request };
  const service = serviceOf(event.request);
  const refusal = service.refusal(null);
  if (refusal) return endRefused(open, refusal);
  return service.rules.identify === 'nobody'
    ? endAccepted(open, event, null, null, null, null)
    : askForCredential(open);
}

function resume(state: StateOf<'idle'>, event: EventOf<'saleRecovered'>): Step {
  return recover(event.persisted, state.generation, event);
}

function present(
  state: StateOf<'awaitingCredential'> | StateOf<'awaitingCardAgain'>,
  event: EventOf<'cardPresented'>,
  unsettled: StateOf<'presenting'>['unsettled'] = null,
): Step {
  const { request, generation } = state;
  const service = serviceOf(request);
  const effects: Effect[] = [
    prompt(request, 'hold'),
    {
      type: 'presentCredential',
      linkId: event.linkId,
      key: service.rules.key,
      terminalNonce: event.terminalNonce,
      context: {
        transactionId: request.ids.transaction,
        operation: service.rules.operation,
        currency: request.bill.currency,
        ...service.context(),
      },
    },
  ];
  return [
    { phase: 'presenting', generation, request, linkId: event.linkId, terminalNonce: event.terminalNonce, unsettled },
    effects,
  ];
}

function takeCode(state: StateOf<'awaitingCredential'>, event: EventOf<'codeScanned'>): Step {
  const service = serviceOf(state.request);
  if (service.rules.identify === 'card') return stay(state);
  const credential = event.code.startsWith('SLM')
    ? ({ method: 'memberCode', code: event.code } as const)
    : ({ method: 'couponCode', code: event.code } as const);
  const refusal = service.refusal(credential);
  if (refusal) return endRefused(state, refusal);
  if (service.rules.authority === 'box') return endAccepted(state, event, credential, null, null, null);
  if (!event.hostReachable) return endRefused(state, 'host.unreachable');
  return intend(state, event, credential, null, null);
}

function takeProof(state: StateOf<'presenting'>, event: EventOf<'proofReceived'>): Step {
  const service = serviceOf(state.request);
  const credential: TapCredential = {
    method: 'tap',
    key: service.rules.key,
    keyId: event.keyId,
    terminalNonce: state.terminalNonce,
    phoneNonce: event.phoneNonce,
    counter: event.counter,
    proof: event.proof,
  };
  if (state.unsettled && event.keyId !== state.unsettled.card.cardKeyId) return waitForCard(state);
  const refusal = state.unsettled ? null : service.refusal(credential);
  if (refusal) return endRefused(state, refusal);
  if (service.rules.identify === 'card') {
    const { generation, request, linkId, unsettled } = state;
    return [
      { phase: 'openingSession', generation, request, linkId, credential, unsettled },
      [{ type: 'openSession', linkId, siteAllowed: service.rules.siteAllowed }],
    ];
  }
  if (service.rules.authority === 'box') return endAccepted(state, event, credential, null, null, state.linkId);
  if (!event.hostReachable) return endRefused(state, 'host.unreachable');
  return intend(state, event, credential, null, state.linkId);
}

function readCard(state: StateOf<'openingSession'>, event: EventOf<'sessionOpened'>): Step {
  return [
    { ...state, phase: 'readingCard', authority: event.authority },
    [{ type: 'readCard', linkId: state.linkId, request: state.request, authority: event.authority }],
  ];
}

/** The card's record is known: by the site key it is decided here, else the host is to decide. */
function intendCard(state: StateOf<'readingCard'>, event: EventOf<'cardRead'>): Step {
  const cardKeyId = state.credential.keyId;
  const undecided = { cardKeyId, slots: event.slots, write: null, coveredMinor: null, balances: null };
  if (state.authority === 'host')
    return intend(state, event, state.credential, { ...undecided, authority: 'host' }, state.linkId);
  const offer = event.siteOffer;
  if (offer?.offer !== 'pays') return endRefused(state, offer?.code ?? 'host.unreachable', offer?.balances ?? null);
  const { write, coveredMinor, balances } = offer;
  return intend(
    state,
    event,
    state.credential,
    { ...undecided, authority: 'site', write, coveredMinor, balances },
    state.linkId,
  );
}

function intended(state: StateOf<'persistingIntent'>, event: EventOf<'persisted'>): Step {
  if (state.cancelled) return endReversed(state, event, 'cancelled', 'sale.cancelled');
  const { generation, request, credential, card, linkId } = state;
  if (card?.authority === 'site') {
    assert(isDecided(card) && credential.method === 'tap', 'a site-key intent has its write');
    return write({ generation, request, credential, card }, linkId);
  }
  return [
    { phase: 'awaitingAuthorisation', generation, request, credential, card, linkId, recovered: false },
    [
      { type: 'askHost', transactionId: request.ids.transaction, deadline: request.terms.authorisationTimeout },
      prompt(request, 'asking'),
    ],
  ];
}

function authorised(state: StateOf<'awaitingAuthorisation'>, event: EventOf<'hostAnswered'>): Step {
  const { generation, request, credential, card, linkId } = state;
  const answer = event.answer;
  if (answer.outcome === 'refused') return endRefused(state, answer.code, answer.balances, true);
  if (!card) return endAccepted(state, event, credential, answer, null, linkId);
  if (!answer.write || credential.method !== 'tap') return endReversed(state, event, 'noAnswer', 'host.refused');
  const decided = {
    ...card,
    write: answer.write,
    coveredMinor: (answer.coveredMinor ?? 0) as DecidedCardWork['coveredMinor'],
    balances: answer.balances,
  };
  const unsettled = { credential, card: decided };
  return state.recovered
    ? askForCardAgain({ generation, request }, unsettled)
    : write({ generation, request, ...unsettled }, linkId);
}

function write(
  state: Pick<StateOf<'writingCard'>, 'generation' | 'request' | 'credential' | 'card'>,
  linkId: string | null,
): Step {
  if (linkId === null) return askForCardAgain(state, state);
  const { generation, request, credential, card } = state;
  return [
    { phase: 'writingCard', generation, request, credential, card, linkId },
    [{ type: 'writeCard', linkId, write: card.write }],
  ];
}

/** The card is back after an uncertain write: what stands in its slots decides. */
function settleCard(state: StateOf<'readingCard'>, event: EventOf<'cardRead'>): Step {
  const unsettled = state.unsettled;
  assert(unsettled, 'a card is settled only after an uncertain write');
  const { generation, request, linkId } = state;
  const { card } = unsettled;
  if (holds(event.slots, card.write)) return endAccepted(state, event, unsettled.credential, null, card, linkId);
  const untouched = slotOf(event.slots, otherSlot(card.write)) === slotOf(card.slots, otherSlot(card.write));
  return untouched ? write({ generation, request, ...unsettled }, linkId) : abandonCard(state, event, card.cardKeyId);
}

function ended(state: StateOf<'persistingEnd'>): Step {
  const { generation, request, outcome, linkId } = state;
  if (outcome.result === 'accepted' && serviceOf(request).rules.asksBalance) {
    return [
      { phase: 'awaitingBalance', generation, request, outcome, linkId },
      [
        prompt(request, 'done'),
        { type: 'askHost', transactionId: request.ids.transaction, deadline: request.terms.balanceTimeout },
      ],
    ];
  }
  return announce(state, outcome);
}

function announce(
  state: StateOf<'persistingIntent'> | StateOf<'persistingEnd'> | StateOf<'awaitingBalance'>,
  outcome: StateOf<'announcing'>['outcome'],
): Step {
  const { generation, request, linkId } = state;
  return [
    { phase: 'announcing', generation, request, outcome },
    [
      prompt(request, outcome.result === 'accepted' ? 'done' : 'refused'),
      ...(linkId === null ? [] : ([{ type: 'releaseCard', linkId, outcome }] as const)),
      { type: 'announce', request, outcome },
    ],
  ];
}

function withAnswer(
  state: StateOf<'awaitingBalance'>,
  event: EventOf<'hostAnswered'>,
): StateOf<'announcing'>['outcome'] {
  return event.answer.outcome === 'accepted'
    ? serviceOf(state.request).accepted(event.answer, null)
    : { result: 'refused', code: event.answer.code, balances: event.answer.balances };
}

// Ways back.

type Tapping = StateOf<'presenting'> | StateOf<'openingSession'> | StateOf<'readingCard'>;

/** The phone left or could not be read: it is asked for again, under the timer that runs. */
function waitForCard(state: Tapping): Step {
  const { generation, request, unsettled } = state;
  const effects = [prompt(request, 'tapAgain')];
  return unsettled
    ? [{ phase: 'awaitingCardAgain', generation, request, ...unsettled }, effects]
    : [{ phase: 'awaitingCredential', generation, request }, effects];
}

function linkFailed(state: Tapping, event: EventOf<'linkFailed'>): Step {
  return event.code === 'card.absent' && !state.unsettled ? endRefused(state, event.code) : waitForCard(state);
}

function giveUp(state: Tapping, event: SaleEvent, code: ErrorCode): Step {
  return state.unsettled ? abandonCard(state, event, state.unsettled.card.cardKeyId) : endRefused(state, code);
}

/** The store says that it wrote nothing, and is sound: no room, or a record larger than one may be. */
const isUnstored = (code: ErrorCode): boolean => code === 'store.full' || code === 'input.tooLong';

/** Nothing could be stored and nothing has happened: refused without a commit. */
function refuseUnstored(state: StateOf<'persistingIntent'> | StateOf<'persistingEnd'>, code: ErrorCode): Step {
  return announce(state, { result: 'refused', code, balances: null });
}

const isDecided = (card: StateOf<'persistingIntent'>['card']): card is DecidedCardWork =>
  card !== null && card.write !== null && card.coveredMinor !== null;
const slotHexDigits = 192;
const slotOf = (slots: string, slot: 0 | 1): string => slots.slice(slot * slotHexDigits, (slot + 1) * slotHexDigits);
const otherSlot = (cardWrite: CardWrite): 0 | 1 => (cardWrite.slot === 0 ? 1 : 0);
const holds = (slots: string, cardWrite: CardWrite): boolean => slotOf(slots, cardWrite.slot) === cardWrite.record;
