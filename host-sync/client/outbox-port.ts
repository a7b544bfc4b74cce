/**
 * Outbox port: what the sync client needs of the box's store: the next records to send, and a place for the answers.
 */

import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { FinalAnswer, Watermark } from '../protocol/sync.js';

/** A place in this terminal's chain. */
export type ChainPlace = Pick<Watermark, 'epoch' | 'sequence'>;

export interface OutboxRecord {
  readonly transactionId: TransactionId;
  readonly epoch: number;
  readonly sequence: number;
  readonly kind: string;
  /** The stored bytes as text; sent verbatim. */
  readonly body: string;
  readonly previousHash: string;
  /** How often it was sent before. Kept in memory only: it informs, nothing hangs on it. */
  readonly attempts: number;
}

/** Begins the detail of an answer that the terminal gave itself, because the host cannot read the record. */
export const decidedByTerminal = 'decided by the terminal';

export interface OutboxPort {
  /**
   * Up to `limit` unsent records in sending order (reversals, value, records; by sequence within each), skipping
   * `held` ids: those being authorised right now.
   */
  nextUnsent(limit: number, held: ReadonlySet<TransactionId>): readonly OutboxRecord[];
  unsentByTransaction(id: TransactionId): OutboxRecord | null;
  /** Stores final answers in one commit and takes their records out of the queue; a refusal becomes a dead letter unless the sale knew it. */
  settle(answers: readonly SettledAnswer[]): void;
  unsentCount(): number;
  /** How many records the host has answered, of all epochs; null where that cannot be compared with what one terminal's host holds. */
  answeredCount(): number | null;
  /** How far the host has answered every record of the running epoch; null: not even its first. */
  settledThrough(): ChainPlace | null;
  /**
   * Queues every answered record above this place again, its answer void, and all of earlier epochs. A place of an earlier
   * epoch than the running one queues everything; one of a later epoch nothing.
   */
  requeueAbove(place: ChainPlace): void;
}

export interface SettledAnswer {
  readonly transactionId: TransactionId;
  readonly answer: FinalAnswer;
  /** True where the open sale takes the refusal as its outcome: nothing is left for a person to settle. */
  readonly knownToSale: boolean;
}
