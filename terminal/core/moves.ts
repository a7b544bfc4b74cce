/**
 * Moves: the steps that several phases share: ask the member, commit an intent, end a sale in each of its ways.
 */
import type { Credential, RecordDraft, RecordOf } from '../../host-sync/protocol/record.js';
import type { Balances } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { DurationMs } from '../kernel/units.js';
import type { Effect, Prompt } from './effect.js';
import type { At } from './event.js';
import type { OfflineOffer, OfflineUse } from './offline-offer.js';
import { offlineOutcome } from './offline-outcome.js';
import type { CardWork, SaleOutcome, SaleRequest } from './sale.js';
import type { AcceptedAnswer } from './services/service.js';
import { completionRecord, endRecords, reversalRecord, serviceOf } from './services/services.js';
import type { State, Unsettled } from './state.js';

type OfflinePays = Extract<OfflineOffer, { offer: 'pays' }>;
export type Step = readonly [State, readonly Effect[]];
/** What every state of an open sale carries. */
export interface Open {
  readonly generation: number;
  readonly request: SaleRequest;
}

export const stay = (state: State): Step => [state, []];
export const prompt = (request: SaleRequest, what: Prompt): Effect => ({
  type: 'prompt',
  prompt: what,
  transactionId: request.ids.transaction,
});
const startTimer = (generation: number, duration: DurationMs): Effect => ({ type: 'startTimer', generation, duration });

export function askForCredential({ generation, request }: Open): Step {
  const next = generation + 1;
  return [
    { phase: 'awaitingCredential', generation: next, request },
    [prompt(request, 'present'), startTimer(next, request.terms.credentialTimeout)],
  ];
}

/** The write is not certain: the same card is wanted, for as long as the terms say. */
export function askForCardAgain({ generation, request }: Open, { credential, card }: Unsettled): Step {
  const next = generation + 1;
  return [
    { phase: 'awaitingCardAgain', generation: next, request, credential, card },
    [prompt(request, 'tapAgain'), startTimer(next, request.terms.cardAgainTimeout)],
  ];
}

/** Commit point `intent`: from here value may move, and a restart knows of it. */
export function intend(
  { generation, request }: Open,
  at: At,
  credential: Credential | null,
  card: CardWork | null,
  linkId: string | null,
): Step {
  return [
    { phase: 'persistingIntent', generation, request, credential, card, linkId, cancelled: false },
    [
      {
        type: 'persist',
        sale: { commit: 'intent', request, credential, card },
        records: [serviceOf(request).record(credential, card, at)],
      },
    ],
  ];
}

interface Ending {
  readonly outcome: SaleOutcome;
  readonly records: readonly RecordDraft[];
  readonly credential: Credential | null;
  readonly cardKeyId: string | null;
  readonly linkId: string | null;
  /** Is this the sale's first commit? Then a refusal of the store means that nothing happened. */
  readonly first: boolean;
  /** What was given without the host, to be counted in the same commit. */
  readonly offline?: OfflineUse | null;
}

/** Commit point `ended`: the decision and the records it needs, in one commit, before anybody is told. */
export function end({ generation, request }: Open, ending: Ending): Step {
  const { outcome, records, credential, cardKeyId, linkId, first, offline = null } = ending;
  return [
    { phase: 'persistingEnd', generation, request, outcome, linkId, first },
    [
      {
        type: 'persist',
        sale: { commit: 'ended', request, credential, cardKeyId, outcome, ...(offline && { offline }) },
        records,
      },
    ],
  ];
}

export function endAccepted(
  open: Open,
  at: At,
  credential: Credential | null,
  answer: AcceptedAnswer | null,
  card: CardWork | null,
  linkId: string | null,
  offline: OfflinePays | null = null,
): Step {
  const service = serviceOf(open.request);
  const decision = offline?.decision ?? null;
  const outcome = decision ? offlineOutcome(open.request, decision) : service.accepted(answer, card);
  return end(open, {
    outcome,
    records: endRecords(open.request, credential, outcome, at, decision),
    offline: offline?.use ?? null,
    credential,
    cardKeyId: card?.cardKeyId ?? null,
    linkId,
    first: service.rules.authority === 'box' || decision !== null,
  });
}

type Linked = Open & { readonly linkId?: string | null; readonly credential?: Credential | null };

/** Refused with nothing to undo. `afterIntent`: by the host's own word on an intent, whose sale is stored already. */
export function endRefused(
  open: Linked,
  code: ErrorCode,
  balances: Balances | null = null,
  afterIntent = false,
  detail = '',
): Step {
  return end(open, {
    outcome: { result: 'refused', code, balances, ...(detail !== '' && { detail }) },
    records: [],
    credential: open.credential ?? null,
    cardKeyId: null,
    linkId: open.linkId ?? null,
    first: !afterIntent,
  });
}

/** An intent without a final word, whose card was not touched: its reversal goes out first, whether the host saw it or not. */
export function endReversed(
  open: Open & { readonly linkId?: string | null; readonly credential: Credential | null },
  at: At,
  reason: RecordOf<'reversal'>['reason'],
  code: ErrorCode,
): Step {
  return end(open, {
    outcome: { result: 'refused', code, balances: null },
    records: [reversalRecord(open.request, reason, at)],
    credential: open.credential,
    cardKeyId: null,
    linkId: open.linkId ?? null,
    first: false,
  });
}

/**
 * The card did not come back: it holds the write or not, and the host settles it when the card is seen again.
 * `isUndecided`: the box does not know what the host answered, or whether it did.
 */
export function abandonCard(
  open: Open & { readonly linkId?: string | null },
  at: At,
  cardKeyId: string,
  isUndecided = false,
): Step {
  return end(open, {
    outcome: { result: 'unknown', code: 'card.unknown', ...(isUndecided && { isUndecided }) },
    records: [completionRecord(open.request, 'cardUnknown', at)],
    credential: null,
    cardKeyId,
    linkId: open.linkId ?? null,
    first: false,
  });
}

export function halt({ generation }: Open, code: ErrorCode): Step {
  return [{ phase: 'halted', generation, code }, []];
}
