/**
 * Sync state: what the sync reducer remembers, is told and asks for, as types and named limits. Pure.
 * Must hold no transitions (reducer.ts) and no I/O (client.ts).
 */
import type { ErrorCode } from '../../terminal/kernel/errors.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { MonotonicMs, WallMs } from '../../terminal/kernel/units.js';
import type { FinalAnswer, RecordAnswer, Watermark } from '../protocol/sync.js';
import type { HostFailure } from './host-port.js';

/** Most records held back at once because the host said `later`; at that many nothing more is sent until one is due. */
export const holdsMax = 5_000;
/** A `later` record waits at least this long, whatever the host says, so that a host answering 0 makes no busy loop. */
export const holdMinMs = 1_000;
/** A record that alone makes the host fail waits this long while the others go through. */
export const poisonHoldMs = 60_000;
/** Most records remembered as unreadable to the host; the oldest is forgotten first. */
export const suspectsMax = 64;
/** Batches under way at once: while the host works on one, the box stores the answers to another and reads the next. */
export const batchesMax = 2;

/** What a technician may set. Milliseconds and counts. */
export interface SyncLimits {
  /** Most records in one batch, 1…batchRecordsMax. */
  readonly pageSize: number;
  /** The back-off's ceiling after the first failure; it doubles with each further one… */
  readonly backOffMinMs: number;
  /** …up to this. */
  readonly backOffMaxMs: number;
  /** How often an idle box asks for directives, give or take a tenth. */
  readonly pollMs: number;
}

export interface Hold {
  readonly transactionId: TransactionId;
  /** Why it waits. */
  readonly code: ErrorCode;
  readonly untilMonotonicMs: number;
}

/** A record that, alone in a request, made the host refuse to read it. */
export interface Suspect {
  readonly transactionId: TransactionId;
  /** How many batches the host had answered by then: a higher count proves that it reads others. */
  readonly answeredBatches: number;
}

export interface SyncTrouble {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** What is known while the client runs, whatever it is doing. */
export interface SyncMemory {
  /** Consecutive failures; 0 after any success. */
  readonly failures: number;
  /** Most records in the next batch: halved where a batch could not be read, doubled up to the page size by success. */
  readonly sliceMax: number;
  /** Records not to send yet; at most holdsMax. */
  readonly holds: readonly Hold[];
  readonly suspects: readonly Suspect[];
  readonly answeredBatches: number;
  /** Directives are to be fetched once the queue is empty: a poll is due, a newer version is known, or contact is unproven. */
  readonly fetchDue: boolean;
  readonly pollAtMonotonicMs: number;
  /** The version the box holds; null: none. */
  readonly directivesVersion: number | null;
  readonly watermark: Watermark | null;
  /** How the last contact went. */
  readonly contact: 'none' | 'succeeded' | 'failed';
  readonly lastContactWallMs: WallMs | null;
  readonly lastError: SyncTrouble | null;
}

interface Running {
  readonly memory: SyncMemory;
}
/** `generation` rises whenever a timer loses its meaning; a timer of an older one is ignored. */
export type SyncState = { readonly generation: number } & (
  | { readonly phase: 'offline' }
  | { readonly phase: 'notEnrolled' }
  /** Nothing to send now; a timer waits for the next poll or the first hold's end. */
  | ({ readonly phase: 'idle'; readonly wakeAtMonotonicMs: number } & Running)
  /** So many batches, 1…batchesMax, are being taken from the outbox or are in flight; the generation is that of all of them. */
  | ({ readonly phase: 'sending'; readonly underWay: number } & Running)
  /** Directives are being fetched. */
  | ({ readonly phase: 'fetching' } & Running)
  | ({ readonly phase: 'backingOff'; readonly wakeAtMonotonicMs: number } & Running)
);
export type SyncPhase = SyncState['phase'];
export type StateOf<Phase extends SyncPhase> = Extract<SyncState, { phase: Phase }>;
export type RunningState = StateOf<'idle' | 'sending' | 'fetching' | 'backingOff'>;

/** When an event happened, and a random number 0 ≤ jitter < 1 that the shell drew for it. */
export interface Moment {
  readonly atMonotonicMs: MonotonicMs;
  readonly atWallMs: WallMs;
  readonly jitter: number;
}
export type SyncHappening =
  | {
      readonly type: 'started';
      readonly enrolled: boolean;
      readonly directivesVersion: number | null;
    }
  | { readonly type: 'enrolled'; readonly directivesVersion: number | null }
  | { readonly type: 'stopped' }
  | { readonly type: 'recordsQueued' }
  /** A person wants a round now. */
  | { readonly type: 'roundRequested' }
  /** The outbox had nothing to send beside what is held or under way. */
  | { readonly type: 'sliceEmpty' }
  /** A full slice went out, or was answered, a moment ago: there is probably another. */
  | { readonly type: 'sliceFull'; readonly generation: number }
  | {
      readonly type: 'batchAnswered';
      readonly answers: readonly RecordAnswer[];
      readonly watermark: Watermark;
      readonly directivesVersion: number;
    }
  | { readonly type: 'batchFailed'; readonly transactionIds: readonly TransactionId[]; readonly failure: HostFailure }
  | { readonly type: 'directivesArrived'; readonly version: number }
  | { readonly type: 'directivesFailed'; readonly failure: HostFailure }
  /** A request beside the batches (an authorisation, a session) was answered. */
  | { readonly type: 'contactSucceeded'; readonly watermark: Watermark | null }
  | { readonly type: 'contactFailed'; readonly failure: HostFailure }
  /** A record that was being authorised goes back to the queue, but not before `retryAfterMs`. */
  | {
      readonly type: 'recordPostponed';
      readonly transactionId: TransactionId;
      readonly code: ErrorCode;
      readonly retryAfterMs: number;
    }
  /** The box's own store failed while taking records or storing answers. */
  | { readonly type: 'storeFailed'; readonly code: ErrorCode; readonly detail: string }
  | { readonly type: 'timerFired'; readonly generation: number };
export type SyncEvent = Moment & SyncHappening;
export type SyncEventType = SyncEvent['type'];
export type EventOf<Type extends SyncEventType> = Moment & Extract<SyncHappening, { type: Type }>;

export type SyncEffect =
  /**
   * Take up to `limit` records, skipping `held` and what is under way, and send them.
   * → sliceEmpty · sliceFull · batchAnswered · batchFailed · storeFailed
   */
  | {
      readonly type: 'sendBatch';
      readonly limit: number;
      readonly held: readonly TransactionId[];
      /** Also a batch without records, which asks only whether the host still holds what it answered. */
      readonly evenEmpty: boolean;
    }
  /** Store final answers before anything after it in the list runs. → storeFailed when that fails; the rest is dropped. */
  | { readonly type: 'settle'; readonly answers: readonly FinalAnswer[]; readonly held: Watermark | null }
  /** → directivesArrived · directivesFailed · storeFailed */
  | { readonly type: 'fetchDirectives' }
  /** Replaces the one timer. → timerFired */
  | { readonly type: 'startTimer'; readonly generation: number; readonly delayMs: number }
  /** The host was restored from a backup and holds this now. Queue again what it may have lost, then tell. */
  | { readonly type: 'reportRegression'; readonly to: Watermark }
  | { readonly type: 'reportStatus' };
export type EffectOf<Type extends SyncEffect['type']> = Extract<SyncEffect, { type: Type }>;
export type SyncStep = readonly [SyncState, readonly SyncEffect[]];

/** As the terminal port shows it (terminal/runtime/port.ts). */
export interface SyncStatus {
  readonly state: 'online' | 'offline' | 'sending' | 'notEnrolled';
  readonly lastContactWallMs: WallMs | null;
  readonly lastError: SyncTrouble | null;
  /** Until the next attempt by itself; null while one is under way or none will come. */
  readonly nextAttemptInMs: number | null;
}
