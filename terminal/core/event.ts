/**
 * Events: everything that can happen to a sale, in the past tense, with the times and random values the shell drew.
 */

import type { CardWrite, PassCredential, TagCredential } from '../../host-sync/protocol/record.js';
import type { Balances, FinalAnswer } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import type { AmountMinor, MonotonicMs, WallMs } from '../kernel/units.js';
import type { OfflineOffer } from './offline-offer.js';
import type { CommitPoint, PersistedSale, SaleRequest } from './sale.js';

/** When it happened. `clockDoubtful`: the wall clock stepped or was never set; the time is a lower bound at best. */
export interface At {
  readonly atMonotonicMs: MonotonicMs;
  readonly atWallMs: WallMs;
  readonly clockDoubtful: boolean;
}

export type SaleEvent = At &
  (
    | { readonly type: 'saleRequested'; readonly request: SaleRequest }
    /** The box started and found this sale unfinished. */
    | { readonly type: 'saleRecovered'; readonly persisted: PersistedSale }
    | { readonly type: 'cancelRequested' }
    /** A card or phone is in the field. `terminalNonce`: 16 fresh bytes in hex. */
    | { readonly type: 'cardPresented'; readonly linkId: string; readonly terminalNonce: string }
    | { readonly type: 'cardRemoved'; readonly linkId: string }
    /** A member or coupon code was scanned; product and command codes never get here. */
    | {
        readonly type: 'codeScanned';
        readonly code: string;
        readonly hostReachable: boolean;
        readonly offlineOffer: OfflineOffer | null;
      }
    /** The phone proved a key. */
    | {
        readonly type: 'proofReceived';
        readonly linkId: string;
        readonly keyId: string;
        readonly phoneNonce: string;
        readonly counter: number;
        readonly proof: string;
        readonly hostReachable: boolean;
        /** Without the host: what the box may decide of it; null: the host is there, or nothing limits the sale. */
        readonly offlineOffer: OfflineOffer | null;
      }
    /** A pass in the phone's wallet, or a tag, answered instead. */
    | {
        readonly type: 'passRead';
        readonly linkId: string;
        readonly credential: PassCredential | TagCredential;
        readonly hostReachable: boolean;
        readonly offlineOffer: OfflineOffer | null;
      }
    /** The mutual session stands; by whose key. */
    | { readonly type: 'sessionOpened'; readonly linkId: string; readonly authority: 'host' | 'site' }
    | { readonly type: 'sessionRefused'; readonly linkId: string; readonly code: ErrorCode }
    /** Both slots, hex. For a site-key box, `siteOffer`: what it would write, and how much that pays (null: cannot). */
    | {
        readonly type: 'cardRead';
        readonly linkId: string;
        readonly slots: string;
        readonly siteOffer: SiteOffer | null;
      }
    /** The card took the record, by its own word. */
    | { readonly type: 'cardWritten'; readonly linkId: string }
    /** Any exchange with the card that did not end: whether the card acted is not known. */
    | { readonly type: 'linkFailed'; readonly linkId: string; readonly code: ErrorCode }
    | { readonly type: 'persisted'; readonly transactionId: TransactionId; readonly commit: CommitPoint }
    | {
        readonly type: 'persistFailed';
        readonly transactionId: TransactionId;
        readonly commit: CommitPoint;
        readonly code: ErrorCode;
      }
    | { readonly type: 'hostAnswered'; readonly transactionId: TransactionId; readonly answer: FinalAnswer }
    /** No final word in time, or none to be had. */
    | { readonly type: 'hostSilent'; readonly transactionId: TransactionId }
    | { readonly type: 'timerFired'; readonly generation: number }
    | { readonly type: 'announced'; readonly transactionId: TransactionId }
  );
export type SaleEventType = SaleEvent['type'];
export type EventOf<Type extends SaleEventType> = Extract<SaleEvent, { type: Type }>;

/** What a site-key box found on the card, verified with the card's record key. */
export type SiteOffer =
  | {
      readonly offer: 'pays';
      readonly write: CardWrite;
      readonly coveredMinor: AmountMinor;
      readonly balances: Balances;
    }
  | { readonly offer: 'refuses'; readonly code: ErrorCode; readonly balances: Balances | null };
