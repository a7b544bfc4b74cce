/**
 * States: where one sale stands. Each carries only what is valid there; `generation` numbers its one timer.
 */
import type { CardWrite, Credential, TapCredential } from '../../host-sync/protocol/record.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { AmountMinor } from '../kernel/units.js';
import type { CardWork, SaleOutcome, SaleRequest } from './sale.js';

/** Card work whose write is decided: the host or the site key has authenticated the record. */
export type DecidedCardWork = CardWork & { readonly write: CardWrite; readonly coveredMinor: AmountMinor };

/** A card sale whose write is not certain, being settled by looking at the card again. */
export interface Unsettled {
  readonly credential: TapCredential;
  readonly card: DecidedCardWork;
}

interface Open {
  readonly generation: number;
  readonly request: SaleRequest;
}

export type State =
  | { readonly phase: 'idle'; readonly generation: number }
  /** Waiting for a tap or a shown code. */
  | (Open & { readonly phase: 'awaitingCredential' })
  /** SELECT and PRESENT run on the link. `unsettled`: to settle an earlier write; null: the first tap of the sale. */
  | (Open & {
      readonly phase: 'presenting';
      readonly linkId: string;
      readonly terminalNonce: string;
      readonly unsettled: Unsettled | null;
    })
  /** The mutual session is being opened. */
  | (Open & {
      readonly phase: 'openingSession';
      readonly linkId: string;
      readonly credential: TapCredential;
      readonly unsettled: Unsettled | null;
    })
  /** The card's slots are being read. */
  | (Open & {
      readonly phase: 'readingCard';
      readonly linkId: string;
      readonly credential: TapCredential;
      readonly authority: 'host' | 'site';
      readonly unsettled: Unsettled | null;
    })
  /** Commit point `intent` under way. `cancelled`: asked to cancel meanwhile; acted upon when the commit is back. */
  | (Open & {
      readonly phase: 'persistingIntent';
      readonly credential: Credential | null;
      readonly card: CardWork | null;
      readonly linkId: string | null;
      readonly cancelled: boolean;
    })
  /** The host is asked. `recovered`: after a restart, when a card may already hold the write. */
  | (Open & {
      readonly phase: 'awaitingAuthorisation';
      readonly credential: Credential | null;
      readonly card: CardWork | null;
      readonly linkId: string | null;
      readonly recovered: boolean;
    })
  /** WRITE SLOT is under way. */
  | (Open & Unsettled & { readonly phase: 'writingCard'; readonly linkId: string })
  /** Commit point `written` under way. `linkId` is null once the card has left. */
  | (Open & Unsettled & { readonly phase: 'persistingWritten'; readonly linkId: string | null })
  /** The slots are read once more to see the write. */
  | (Open & Unsettled & { readonly phase: 'readingBack'; readonly linkId: string })
  /** The write is not certain: the same card is wanted once more. */
  | (Open & Unsettled & { readonly phase: 'awaitingCardAgain' })
  /** Commit point `ended` under way. */
  | (Open & {
      readonly phase: 'persistingEnd';
      readonly outcome: SaleOutcome;
      readonly linkId: string | null;
      readonly first: boolean;
    })
  /** Accepted and durable; the host is given a moment to answer with the balance. */
  | (Open & { readonly phase: 'awaitingBalance'; readonly outcome: SaleOutcome; readonly linkId: string | null })
  | (Open & { readonly phase: 'announcing'; readonly outcome: SaleOutcome })
  /** The storage failed: nothing is decided here any more; a restart recovers from what is durable. */
  | { readonly phase: 'halted'; readonly generation: number; readonly code: ErrorCode };

export type Phase = State['phase'];
export type StateOf<P extends Phase> = Extract<State, { phase: P }>;
export const initialState: StateOf<'idle'> = { phase: 'idle', generation: 0 };
