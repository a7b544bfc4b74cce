/**
 * Effects: what the machine asks the shell to do, as data, in the imperative. Each one's outcome comes back as an event.
 * A list that moves value, writes a card, prints or shows "accepted" starts with `persist`; nothing behind it runs
 * before the commit has returned.
 */
import type { KeyName, Operation } from '../../drivers/protocols/member/layout.js';
import type { CardWrite, RecordDraft } from '../../host-sync/protocol/record.js';
import type { TransactionId } from '../kernel/ports.js';
import type { AmountMinor, DurationMs, Points } from '../kernel/units.js';
import type { PersistedSale, SaleOutcome, SaleRequest } from './sale.js';

export type Effect =
  /** One commit: the sale's row and its records in the journal and outbox. → persisted · persistFailed */
  | { readonly type: 'persist'; readonly sale: PersistedSale; readonly records: readonly RecordDraft[] }
  /** Asks the card, method by method in the merchant's order, who it is. → proofReceived · passRead · linkFailed */
  | {
      readonly type: 'presentCredential';
      readonly linkId: string;
      readonly key: KeyName;
      readonly terminalNonce: string;
      readonly context: {
        readonly transactionId: TransactionId;
        readonly operation: Operation;
        readonly amountMinor: AmountMinor;
        readonly currency: string;
        readonly points: Points;
      };
    }
  /** Mutual session by the host, or the site key where allowed. → sessionOpened · sessionRefused · linkFailed */
  | {
      readonly type: 'openSession';
      readonly linkId: string;
      readonly siteAllowed: boolean;
      /** The card comes back to a debit that was decided before: nothing new is given for this tap. */
      readonly settles: boolean;
    }
  /** Both slots. → cardRead · linkFailed */
  | {
      readonly type: 'readCard';
      readonly linkId: string;
      readonly request: SaleRequest;
      readonly authority: 'host' | 'site';
    }
  /** One slot. → cardWritten · linkFailed */
  | { readonly type: 'writeCard'; readonly linkId: string; readonly write: CardWrite }
  /** Tell the phone the result and let it go; best effort. → nothing */
  | { readonly type: 'releaseCard'; readonly linkId: string; readonly outcome: SaleOutcome | null }
  /** Send this record now. → hostAnswered · hostSilent, always within `deadline` */
  | { readonly type: 'askHost'; readonly transactionId: TransactionId; readonly deadline: DurationMs }
  /** Replaces the sale's one timer. → timerFired with this generation */
  | { readonly type: 'startTimer'; readonly generation: number; readonly duration: DurationMs }
  /** What clerk and member are asked to do now; no value hangs on it. → nothing */
  | { readonly type: 'prompt'; readonly prompt: Prompt; readonly transactionId: TransactionId }
  /** Show, sound and print the outcome, at most once. → announced */
  | { readonly type: 'announce'; readonly request: SaleRequest; readonly outcome: SaleOutcome };

/** `present`: tap or show the code. `hold`: keep the phone there. `tapAgain`: the write is not certain. `done`: take it away. */
export type Prompt = 'present' | 'hold' | 'tapAgain' | 'asking' | 'done' | 'refused';
export type EffectType = Effect['type'];
