/**
 * Read-ahead: records for the next batch, read while a full one is under way, so that the host does not wait for that.
 * Must not hold more than was asked for, nor decide when it is valid: its owner drops it whenever the queue changes in
 * another way than by the answers to the batch under way.
 */
import { TerminalError } from '../../terminal/kernel/errors.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { OutboxPort, OutboxRecord } from './outbox-port.js';

export class ReadAhead {
  #records: readonly OutboxRecord[] = [];

  constructor(private readonly outbox: Pick<OutboxPort, 'nextUnsent'>) {}

  /** Reads up to `limit` records but `skip`. Nothing is held where the store fails: it will say so when it is asked in earnest. */
  read(limit: number, skip: ReadonlySet<TransactionId>): void {
    this.drop();
    try {
      this.#records = this.outbox.nextUnsent(limit, skip);
    } catch (error) {
      if (!(error instanceof TerminalError)) throw error;
    }
  }

  /** Gives what is held, up to `limit` and but `skip`, and holds nothing after; null: there was nothing, read the outbox. */
  take(limit: number, skip: ReadonlySet<TransactionId>): readonly OutboxRecord[] | null {
    const records = this.#records.filter(({ transactionId }) => !skip.has(transactionId)).slice(0, limit);
    this.drop();
    return records.length > 0 ? records : null;
  }

  drop(): void {
    this.#records = [];
  }
}
