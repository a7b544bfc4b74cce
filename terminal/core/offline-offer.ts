/**
 * What the box may give without its host, as data: slices it holds, what was counted, and the offer made of both.
 * Types only; offline.ts makes the offers.
 */
import type { OfflineDecision } from '../../host-sync/protocol/record.js';
import type { Allowance } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';

/** A slice that this box may spend. */
export interface HeldAllowance {
  readonly id: TransactionId;
  readonly holds: Allowance['holds'];
  /** Not yet spent, in its own unit. */
  readonly remaining: number;
  readonly expiresAtMs: number;
}

/** What one member has been given without the host on this day; under a doubtful clock on all days still known. */
export interface OfflineUsage {
  readonly earns: number;
  readonly earnPoints: number;
  readonly allowanceUses: number;
  readonly floorUses: number;
  readonly floorMinor: number;
}

/** What an accepted sale counts against the limits; stored with its decision, in one commit. */
export interface OfflineUse {
  /** Key id or code that the counts are kept under. */
  readonly subject: string;
  readonly kind: 'earn' | 'allowance' | 'floor';
  readonly points: number;
  readonly minor: number;
  readonly allowanceId: TransactionId | null;
  /** Taken from the allowance, in its own unit. */
  readonly amount: number;
}

export type OfflineOffer =
  /** `decision` null: the box decides this service by its own rules anyway. */
  | { readonly offer: 'pays'; readonly decision: OfflineDecision | null; readonly use: OfflineUse }
  | { readonly offer: 'refuses'; readonly code: ErrorCode };
