/**
 * The handlers of the acceptance machine, in the order of a sale: what each step makes of the state and which effects
 * follow. Pure. Which phase takes which event is the table's word alone (transition.ts).
 */
import {
  type CardWrite,
  type Credential,
  credentialOfCode,
  type TapCredential,
} from '../../host-sync/protocol/record.js';
import type { ErrorCode } from '../kernel/errors.js';
import { assert } from '../kernel/result.js';
import type { Effect } from './effect.js';
import type { EventOf, SaleEvent } from './event.js';
import {
  abandonCard,
  askForCardAgain,
  askForCredential,
  endAccepted,
  endRefused,
  endReversed,
  intend,
  prompt,
  type Step,
  stay,
} from './moves.js';
import { recover } from './recovery.js';
import { serviceOf } from './services/services.js';
import type { DecidedCardWork, StateOf } from './state.js';

export function begin(state: StateOf<'idle'>, event: EventOf<'saleRequested'>): Step {
  const open = { generation: state.generation, request: event.request };
  const service = serviceOf(event.request);
  const refusal = service.refusal(null);
  if (refusal) return endRefused(open, refusal);
  if (service.rules.identify !== 'nobody') return askForCredential(open);
  return service.rules.authority === 'box'
    ? endAccepted(open, event, null, null, null, null)
    : intend(open, event, null, null, null);
}

export function resume(state: StateOf<'idle'>, event: EventOf<'saleRecovered'>): Step {
  return recover(event.persisted, state.generation, event);
}

export function present(
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

export function takeCode(state: StateOf<'awaitingCredential'>, event: EventOf<'codeScanned'>): Step {
  const service = serviceOf(state.request);
  if (service.rules.identify === 'card') return stay(state);
  const credential = credentialOfCode(event.code);
  if (!credential) return stay(state);
  const refusal = service.refusal(credential);
  if (refusal) return endRefused(state, refusal);
  return decideOrAsk(state, event, credential, null);
}

export function takeProof(state: StateOf<'presenting'>, event: EventOf<'proofReceived'>): Step {
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
      [{ type: 'openSession', linkId, siteAllowed: service.rules.siteAllowed, settles: unsettled !== null }],
    ];
  }
  return decideOrAsk(state, event, credential, state.linkId);
}

/** Only the application carries a card's record; whoever wants that is told to tap with it. */
export function takePass(state: StateOf<'presenting'>, event: EventOf<'passRead'>): Step {
  const service = serviceOf(state.request);
  if (state.unsettled || service.rules.identify === 'card') return waitForCard(state);
  const refusal = service.refusal(event.credential);
  if (refusal) return endRefused(state, refusal);
  return decideOrAsk(state, event, event.credential, state.linkId);
}

/** Decided here where the service, or without the host an offer, allows it; else the host is asked. */
function decideOrAsk(
  state: StateOf<'awaitingCredential'> | StateOf<'presenting'>,
  event: EventOf<'codeScanned'> | EventOf<'proofReceived'> | EventOf<'passRead'>,
  credential: Credential,
  linkId: string | null,
): Step {
  const offer = event.hostReachable ? null : event.offlineOffer;
  if (offer?.offer === 'refuses') return endRefused(state, offer.code);
  if (serviceOf(state.request).rules.authority === 'box' || offer?.decision)
    return endAccepted(state, event, credential, null, null, linkId, offer);
  if (!event.hostReachable) return endRefused(state, 'host.unreachable');
  return intend(state, event, credential, null, linkId);
}

export function readCard(state: StateOf<'openingSession'>, event: EventOf<'sessionOpened'>): Step {
  return [
    { ...state, phase: 'readingCard', authority: event.authority },
    [{ type: 'readCard', linkId: state.linkId, request: state.request, authority: event.authority }],
  ];
}

/** The card's record is known: by the site key it is decided here, else the host is to decide. */
export function intendCard(state: StateOf<'readingCard'>, event: EventOf<'cardRead'>): Step {
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

export function intended(state: StateOf<'persistingIntent'>, event: EventOf<'persisted'>): Step {
  if (state.cancelled) return endReversed(state, event, 'cancelled', 'sale.cancelled');
  const { generation, request, credential, card, linkId } = state;
  if (card?.authority === 'site') {
    assert(isDecided(card) && credential?.method === 'tap', 'a site-key intent has its write');
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

export function authorised(state: StateOf<'awaitingAuthorisation'>, event: EventOf<'hostAnswered'>): Step {
  const { generation, request, credential, card, linkId } = state;
  const answer = event.answer;
  if (answer.outcome === 'refused') return endRefused(state, answer.code, answer.balances, true, answer.detail);
  if (!card) return endAccepted(state, event, credential, answer, null, linkId);
  if (!answer.write || credential?.method !== 'tap') return endReversed(state, event, 'noAnswer', 'host.refused');
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

export function write(
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
export function settleCard(state: StateOf<'readingCard'>, event: EventOf<'cardRead'>): Step {
  const unsettled = state.unsettled;
  assert(unsettled, 'a card is settled only after an uncertain write');
  const { generation, request, linkId } = state;
  const { card } = unsettled;
  if (holds(event.slots, card.write)) return endAccepted(state, event, unsettled.credential, null, card, linkId);
  const untouched = slotOf(event.slots, otherSlot(card.write)) === slotOf(card.slots, otherSlot(card.write));
  // Another box finds the same slot free: what it wrote there meanwhile has paid for something and must stand.
  return untouched && isOursOrOlder(event.slots, card)
    ? write({ generation, request, ...unsettled }, linkId)
    : abandonCard(state, event, card.cardKeyId);
}

export function ended(state: StateOf<'persistingEnd'>): Step {
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

export function announce(
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

export function withAnswer(
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
export function waitForCard(state: Tapping): Step {
  const { generation, request, unsettled } = state;
  const effects = [prompt(request, 'tapAgain')];
  return unsettled
    ? [{ phase: 'awaitingCardAgain', generation, request, ...unsettled }, effects]
    : [{ phase: 'awaitingCredential', generation, request }, effects];
}

export function linkFailed(state: Tapping, event: EventOf<'linkFailed'>): Step {
  return event.code === 'card.absent' && !state.unsettled ? endRefused(state, event.code) : waitForCard(state);
}

export function giveUp(state: Tapping, event: SaleEvent, code: ErrorCode): Step {
  return state.unsettled ? abandonCard(state, event, state.unsettled.card.cardKeyId) : endRefused(state, code);
}

/** The store says that it wrote nothing, and is sound: no room, or a record larger than one may be. */
export const isUnstored = (code: ErrorCode): boolean => code === 'store.full' || code === 'input.tooLong';

/** Nothing could be stored and nothing has happened: refused without a commit. */
export function refuseUnstored(state: StateOf<'persistingIntent'> | StateOf<'persistingEnd'>, code: ErrorCode): Step {
  return announce(state, { result: 'refused', code, balances: null });
}

const isDecided = (card: StateOf<'persistingIntent'>['card']): card is DecidedCardWork =>
  card !== null && card.write !== null && card.coveredMinor !== null;
const slotHexDigits = 192;
const slotOf = (slots: string, slot: 0 | 1): string => slots.slice(slot * slotHexDigits, (slot + 1) * slotHexDigits);
const otherSlot = (cardWrite: CardWrite): 0 | 1 => (cardWrite.slot === 0 ? 1 : 0);
export const holds = (slots: string, cardWrite: CardWrite): boolean =>
  slotOf(slots, cardWrite.slot) === cardWrite.record;

/**
 * Does the slot to write hold nothing but bytes of this write, of what stood there before, or of erased memory? So it looks
 * before, during and after this box's own write; the MAC of anybody else's record differs.
 */
function isOursOrOlder(slots: string, card: DecidedCardWork): boolean {
  const now = slotOf(slots, card.write.slot);
  const before = slotOf(card.slots, card.write.slot);
  for (let at = 0; at < now.length; at += 2) {
    const byte = now.slice(at, at + 2);
    if (![before.slice(at, at + 2), card.write.record.slice(at, at + 2), '00', 'ff'].includes(byte)) return false;
  }
  return true;
}
