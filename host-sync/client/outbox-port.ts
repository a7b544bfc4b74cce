/**
 * Outbox port: what the sync client needs of the box's store: the next records to send, and a place for the answers.
 */

import type { TransactionId } from '../../terminal/kernel/ports.js';
import { type FinalAnswer, newestSeenMax, type Watermark } from '../protocol/sync.js';

/** What the host says it holds of this terminal's records: how far without a gap, and the one answered last. */
export type Held = Pick<Watermark, 'epoch' | 'sequence' | 'newest'>;

/** What came with answers: the record that the host had answered last, and those that the request had named before (newestSeen). */
export interface Heard {
  readonly newest: TransactionId | null;
  readonly named: readonly TransactionId[];
}

/**
 * What the next request names once an answer is stored. Requests that were under way beside it did not name what it brought,
 * so each may add a record, until an answer to one that named them all takes their place.
 * @returns at most newestSeenMax ids
 */
export function seenAfter(seen: readonly TransactionId[], { named, newest }: Heard): readonly TransactionId[] {
  const left = seen.filter((id) => !named.includes(id) && id !== newest);
  return (newest === null ? left : [...left, newest]).slice(-newestSeenMax);
}

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
   * Up to `limit` unsent records in sending order (`sendClass`; by sequence within each), skipping
   * `held` ids: those being authorised right now.
   */
  nextUnsent(limit: number, held: ReadonlySet<TransactionId>): readonly OutboxRecord[];
  unsentByTransaction(id: TransactionId): OutboxRecord | null;
  /**
   * Stores final answers in one commit and takes their records out of the queue; a refusal becomes a dead letter unless the
   * sale knew it. `heard` came with them (null: the terminal answered itself); in the same commit its newest record takes
   * the place of those named: the host that gave this answer holds them.
   */
  settle(answers: readonly SettledAnswer[], heard: Heard | null): void;
  unsentCount(): number;
  /** What the next request names: a host that holds all of it has lost nothing of what it answered. At most newestSeenMax. */
  newestSeen(): readonly TransactionId[];
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
