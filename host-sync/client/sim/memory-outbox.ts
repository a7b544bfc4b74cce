/**
 * An outbox in memory and made-up records for tests: what the store does for the sync client, without a disk.
 */

import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { assert } from '../../../terminal/kernel/result.js';
import type { FinalAnswer, Watermark } from '../../protocol/sync.js';
import {
  type Heard,
  type Held,
  type OutboxPort,
  type OutboxRecord,
  type SettledAnswer,
  seenAfter,
} from '../outbox-port.js';

export const idOf = (number: number): TransactionId =>
  `01890000-0000-7000-8000-${number.toString(16).padStart(12, '0')}` as TransactionId;

export const watermarkAt = (sequence: number): Watermark => ({
  epoch: 1,
  sequence,
  hash: 'ab'.repeat(32),
  recordsHeld: sequence,
  newest: sequence === 0 ? null : idOf(sequence),
  wentBack: false,
});

export const acceptedAnswer = (transactionId: TransactionId): FinalAnswer => ({
  outcome: 'accepted',
  transactionId,
  pointsPosted: null,
  coveredMinor: null,
  balances: { points: null, pointsOwed: null, couponMinor: null, couponCode: null, currency: null },
  write: null,
  notices: [],
});

export const refusedAnswer = (
  transactionId: TransactionId,
  code: Extract<FinalAnswer, { outcome: 'refused' }>['code'],
): FinalAnswer => ({
  outcome: 'refused',
  transactionId,
  code,
  detail: '',
  balances: { points: null, pointsOwed: null, couponMinor: null, couponCode: null, currency: null },
});

/** Checks what the store would: a record is settled once. `failing` makes every call throw store.failed. */
export class MemoryOutbox implements OutboxPort {
  readonly unsent: OutboxRecord[] = [];
  readonly settled = new Map<TransactionId, SettledAnswer>();
  readonly #taken = new Map<TransactionId, OutboxRecord>();
  failing = false;
  #sequence = 0;
  #newestSeen: readonly TransactionId[] = [];

  queue(count: number, body = '{"kind":"pointsEarn"}'): TransactionId[] {
    const ids: TransactionId[] = [];
    for (let i = 0; i < count; i++) {
      const sequence = ++this.#sequence;
      const transactionId = idOf(sequence);
      this.unsent.push({
        transactionId,
        epoch: 1,
        sequence,
        kind: 'pointsEarn',
        body,
        previousHash: '00'.repeat(32),
        attempts: 0,
      });
      ids.push(transactionId);
    }
    return ids;
  }
  nextUnsent(limit: number, held: ReadonlySet<TransactionId>): readonly OutboxRecord[] {
    this.#mayFail();
    return this.unsent.filter(({ transactionId }) => !held.has(transactionId)).slice(0, limit);
  }
  unsentByTransaction(id: TransactionId): OutboxRecord | null {
    this.#mayFail();
    return this.unsent.find(({ transactionId }) => transactionId === id) ?? null;
  }
  settle(answers: readonly SettledAnswer[], heard: Heard | null): void {
    this.#mayFail();
    if (heard) this.#newestSeen = seenAfter(this.#newestSeen, heard);
    for (const answer of answers) {
      const at = this.unsent.findIndex(({ transactionId }) => transactionId === answer.transactionId);
      assert(at >= 0 && !this.settled.has(answer.transactionId), `${answer.transactionId} is settled once`);
      for (const record of this.unsent.splice(at, 1)) this.#taken.set(record.transactionId, record);
      this.settled.set(answer.transactionId, answer);
    }
  }
  unsentCount(): number {
    return this.unsent.length;
  }
  newestSeen(): readonly TransactionId[] {
    return this.#newestSeen;
  }
  requeueAbove(place: Held): void {
    this.#mayFail();
    this.#newestSeen = place.newest === null ? [] : [place.newest];
    for (const [id, record] of this.#taken) {
      if (record.epoch !== place.epoch || record.sequence <= place.sequence) continue;
      this.#taken.delete(id);
      this.settled.delete(id);
      this.unsent.push(record);
    }
    this.unsent.sort((a, b) => a.sequence - b.sequence);
  }
  #mayFail(): void {
    if (this.failing) throw new TerminalError('store.failed', 'test');
  }
}
