/**
 * What the sync client needs and offers, as types. Must hold no behaviour (client.ts).
 */

import type { ErrorCode } from '../../terminal/kernel/errors.js';
import type { Clock, Random, TransactionId } from '../../terminal/kernel/ports.js';
import type { InquiryRequest, InquiryResponse } from '../protocol/inquiry.js';
import type { SmartTapRequest, SmartTapResponse } from '../protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  Directives,
  FinalAnswer,
  SessionGrant,
  SessionRequest,
  SessionResponse,
  Watermark,
} from '../protocol/sync.js';
import type { Schedule } from './exchange.js';
import type { HostPort, HostResult } from './host-port.js';
import type { OutboxPort, SettledAnswer } from './outbox-port.js';
import type { SyncLimits, SyncStatus } from './sync-state.js';

export type Authorisation =
  /** `session` holds keys of this tap: never log or store it. `reservedForMs`: null where nothing is reserved. */
  | {
      readonly kind: 'answered';
      readonly answer: FinalAnswer;
      readonly session: SessionGrant | null;
      readonly reservedForMs: number | null;
    }
  /** No final word in time. The record stays in the queue. */
  | { readonly kind: 'silent'; readonly code: ErrorCode };

export interface SyncClientOptions {
  readonly outbox: OutboxPort;
  /** Null until the box is enrolled. */
  readonly host: HostPort | null;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly random: Random;
  readonly limits: SyncLimits;
  /** How long one wait for new directives lasts at the host, at most bellWaitMsMax; 0: only the poll brings them. */
  readonly bellWaitMs: number;
  /** What the box works by now; null: nothing yet. Asked at the start and before each fetch. */
  readonly directivesHeld: () => { readonly version: number; readonly catalogueVersion: number } | null;
  /** Stores new directives; may throw a TerminalError of the store. Called only when their version differs from what is held. */
  readonly onDirectives: (directives: Directives) => void;
  /** A final answer that nobody was waiting for was stored. Those of `authorise` come with its promise alone. */
  readonly onAnswer: (settled: SettledAnswer) => void;
  /** Something that people see has changed. */
  readonly onStatus: (status: SyncStatus) => void;
  /** The host was restored from a backup and holds this now. What it may have lost has been queued again. */
  readonly onRegression?: (to: Watermark) => void;
}

export interface SyncClient {
  start(): void;
  /** The box has been enrolled while running. */
  enrolled(host: HostPort): void;
  /** Call after each commit that queued records. */
  recordsQueued(): void;
  /**
   * Sends one queued record now and stores its final answer as known to the sale. Resolves within `deadlineMs`, never
   * rejects. Where a batch holds the record already, its answer is waited for. `silent` with host.noAnswer also where
   * the record is not in the queue: then the store has its answer.
   */
  authorise(transactionId: TransactionId, deadlineMs: number): Promise<Authorisation>;
  /** Asks the host to open a tap's session. Never log or store the answer. */
  openSession(request: SessionRequest, deadlineMs: number): Promise<HostResult<SessionResponse>>;
  /**
   * Asks what a member may spend. Beside everything else: how it went says nothing about the host to those who sell. Never log
   * or store the answer.
   */
  inquire(request: InquiryRequest, deadlineMs: number): Promise<HostResult<InquiryResponse>>;
  /** Asks the host to sign a session with Google Wallet. Beside everything else, as `inquire`. */
  signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<HostResult<SmartTapResponse>>;
  /** Asks for slices that this terminal may spend without the host; they come with the directives. */
  requestAllowance(request: AllowanceRequest): Promise<HostResult<AllowanceResponse>>;
  /** False after a contact that failed, and while not started or not enrolled: then nothing need be asked. */
  reachable(): boolean;
  status(): SyncStatus;
  /** How far the host holds this terminal's chain, as it last said in this run; null: it has not. */
  watermark(): Watermark | null;
  /** Contacts the host at once; resolves when that round is over. */
  syncNow(): Promise<SyncStatus>;
  /** Stops for good or until `start`. Answers still under way are dropped: their records are sent again. */
  stop(): void;
}
