/**
 * Outbox port: what the sync client needs of the box's store: the next records to send, and a place for the answers.
 */

import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { FinalAnswer, Watermark } from '../protocol/sync.js';

/** What the host says it holds of this terminal's records: how far without a gap, how many, and the one answered last. */
export type Held = Pick<Watermark, 'epoch' | 'sequence' | 'recordsHeld' | 'newest'>;

export interface OutboxRecord {
  readonly transactionId: TransactionId;
  readonly epoch: number;
  readonly sequence: number;
  readonly kind: string;
  /** The stored bytes as text; sent verbatim. */
  readonly body: string;
  readonly previousHash: string;
  /** How often it was handed out to be sent before. Kept in memory only: it informs, nothing hangs on it. */
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
  /**
   * Stores final answers in one commit and takes their records out of the queue; a refusal becomes a dead letter unless the
   * sale knew it. `held` came with them (null: the terminal answered itself); the newest record of the most held so far is
   * kept in the same commit.
   */
  settle(answers: readonly SettledAnswer[], held: Held | null): void;
  unsentCount(): number;
  /** The newest record of the most that the host was known to hold; null: none. */
  newestSeen(): TransactionId | null;
  /**
   * The host went back, and holds this now. Queues again, their answers void, all records that it may have lost: those above
   * its watermark where that is of the only chain there ever was, otherwise all.
   */
  requeueAbove(held: Held): void;
}

export interface SettledAnswer {
  readonly transactionId: TransactionId;
  readonly answer: FinalAnswer;
  /** True where the open sale takes the refusal as its outcome: nothing is left for a person to settle. */
  readonly knownToSale: boolean;
}
