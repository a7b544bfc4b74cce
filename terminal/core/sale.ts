/**
 * Sale: what is asked for, what came of it, and what of both is persisted. Data only; the flow is in transition.ts.
 */

import type { Bill, CardWrite, Credential, TapCredential } from '../../host-sync/protocol/record.js';
import type { Balances, Rules } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import type { AmountMinor, DurationMs, Points } from '../kernel/units.js';
import type { OfflineUse } from './offline-offer.js';

/** The accepted sale that a void or refund undoes, as this box's journal knows it. */
export interface OriginalSale {
  readonly transactionId: TransactionId;
  readonly service: ServiceName;
  readonly bill: Bill;
  readonly outcome: AcceptedOutcome;
  /** The card that paid or was topped up, for a card-held coupon: only it takes or gives the amount back. */
  readonly cardKeyId: string | null;
  /** Sum of earlier refunds of it, minor units. */
  readonly refundedMinor: AmountMinor;
  readonly voided: boolean;
}

/** What the clerk, the till or a command barcode asks the box to do with one bill. */
export type Service =
  /** A sale without a member. */
  | { readonly name: 'plainSale' }
  /** Points are earned; `typedPoints` replaces the rule's figure and needs a right. */
  | { readonly name: 'pointsEarn'; readonly typedPoints: Points | null }
  /** Points pay: as many as asked, at most what the bill takes. */
  | { readonly name: 'pointsSpend'; readonly points: Points }
  /** A coupon kept at the host pays, found by its code on the screen or by the tapped member. */
  | { readonly name: 'couponHost'; readonly couponCode: string | null }
  /** A coupon kept on the card pays: the card is written. */
  | { readonly name: 'couponCard' }
  /** Money is paid in for a coupon kept at the host; `coupon`: its code or last 4 digits, null: the member's only one. */
  | { readonly name: 'topUp'; readonly coupon: string | null }
  /** Money is paid in for the coupon on the card: the card is written. */
  | { readonly name: 'topUpCard' }
  /** A whole top-up of a card is taken from it again and paid back, if the card still holds it. */
  | { readonly name: 'topUpCardVoid'; readonly original: OriginalSale }
  /** A whole top-up is paid back, if the coupon still holds it: the host decides before the clerk opens the drawer. */
  | { readonly name: 'topUpVoid'; readonly original: OriginalSale }
  /** The whole of an accepted sale is undone. */
  | { readonly name: 'void'; readonly original: OriginalSale }
  /** A part of an accepted sale is given back. */
  | { readonly name: 'refund'; readonly original: OriginalSale; readonly amountMinor: AmountMinor }
  /** A void or refund of a card-held coupon's sale: the card is written. */
  | { readonly name: 'cardCredit'; readonly original: OriginalSale; readonly amountMinor: AmountMinor };
export type ServiceName = Service['name'];

/** By what terms the box works when the sale begins; fixed for the sale. */
export interface Terms {
  readonly rules: Rules;
  readonly merchant: string;
  readonly location: string;
  /** Consumption category of the merchant where no line says one. */
  readonly category: string;
  readonly simulated: boolean;
  readonly credentialTimeout: DurationMs;
  readonly authorisationTimeout: DurationMs;
  /** How long an accepted earn waits for the host's balance before it is announced without. */
  readonly balanceTimeout: DurationMs;
  readonly cardAgainTimeout: DurationMs;
  /** Most one card may pay offline under the site key in one day, minor units; 0: no site key or not allowed. */
  readonly siteDailyMaxMinor: AmountMinor;
}

/** Ids that the shell drew for the records a sale may need. */
export interface SaleIds {
  readonly transaction: TransactionId;
  /** Of the completion or the reversal: one sale needs at most one of them. */
  readonly closing: TransactionId;
  readonly consumption: TransactionId;
}

export interface SaleRequest {
  readonly ids: SaleIds;
  /** The till's own reference; null for console and command barcodes. */
  readonly reference: string | null;
  /** SHA-256 (hex) of what was asked under the reference: the same reference must ask for the same. */
  readonly requestDigest: string;
  readonly origin: 'till' | 'console' | 'scanner';
  readonly clerk: string;
  readonly service: Service;
  readonly bill: Bill;
  readonly terms: Terms;
}

export interface AcceptedOutcome {
  readonly result: 'accepted';
  /**
   * Who decided: the host, the box by its rules (earn, void, refund, plain sale), the site key on the box, or without the
   * host an allowance that the box holds, or the merchant's floor limit.
   */
  readonly authority: 'host' | 'box' | 'site' | 'allowance' | 'floor';
  /** Points earned (box's figure until the host has posted) or spent or given back; null where points play no part. */
  readonly points: Points | null;
  /** What points or coupon paid of the bill, or what was given back. */
  readonly coveredMinor: AmountMinor;
  /** What is left to pay otherwise. */
  readonly restMinor: AmountMinor;
  readonly balances: Balances | null;
}
export type SaleOutcome =
  | AcceptedOutcome
  /**
   * Nothing was charged (or what may have been is being reversed). `code` says why, in the words of the error table; `detail`
   * adds what the host said beyond it, where it did.
   */
  | {
      readonly result: 'refused';
      readonly code: ErrorCode;
      readonly balances: Balances | null;
      readonly detail?: string;
    }
  /**
   * The card may or may not have been written; the host settles it when the card is seen again. `isUndecided`: no answer of
   * the host was received either, so it may still refuse.
   */
  | { readonly result: 'unknown'; readonly code: 'card.unknown'; readonly isUndecided?: true };

/** Money of a top-up whose card was lost: it is due to that card, as far as this box knows. */
export const isDueToCard = (service: ServiceName, outcome: SaleOutcome): boolean =>
  service === 'topUpCard' && outcome.result === 'unknown' && outcome.isUndecided !== true;

/** A card-writing sale from its intent on: what was read, what is to be written. */
export interface CardWork {
  readonly cardKeyId: string;
  /** Both slots as read before the write, hex. */
  readonly slots: string;
  readonly authority: 'host' | 'site';
  /** Null until the host has answered. */
  readonly write: CardWrite | null;
  readonly coveredMinor: AmountMinor | null;
  /** After the write, as host or site key computed them; null until decided. */
  readonly balances: Balances | null;
}

/** What the store keeps of a sale at each commit point. Recovery is a total function of it. */
export type PersistedSale =
  /** Value may move from here on: the intent's record is in the outbox. */
  | {
      readonly commit: 'intent';
      readonly request: SaleRequest;
      /** Null where nobody has to be there: the void of a top-up. */
      readonly credential: Credential | null;
      readonly card: CardWork | null;
    }
  /** The card said that it took the record. */
  | {
      readonly commit: 'written';
      readonly request: SaleRequest;
      readonly credential: TapCredential;
      readonly card: CardWork & { readonly write: CardWrite; readonly coveredMinor: AmountMinor };
    }
  | {
      readonly commit: 'ended';
      readonly request: SaleRequest;
      readonly credential: Credential | null;
      readonly cardKeyId: string | null;
      readonly outcome: SaleOutcome;
      /** What the box gave without its host, to be counted with the decision; absent: nothing. */
      readonly offline?: OfflineUse;
    };
export type CommitPoint = PersistedSale['commit'];
