/**
 * Virtual time and chance: one event queue ordered by (time, sequence) and one seeded source of randomness, so that a seed
 * is a whole run. Must not know what happens in an event.
 */
import type { Bytes } from '../../kernel/bytes.js';
import type { Ids, Random, TransactionId } from '../../kernel/ports.js';

interface Planned {
  readonly atMs: number;
  readonly sequence: number;
  readonly run: () => void;
  cancelled: boolean;
}

const isEarlier = (a: Planned, b: Planned): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);

/** A binary heap of what is to happen. */
export class VirtualTime {
  nowMs = 0;
  #sequence = 0;
  readonly #heap: Planned[] = [];

  /** Plans an event after `delayMs`; gives back how to cancel it. */
  after(delayMs: number, run: () => void): () => void {
    const planned: Planned = {
      atMs: this.nowMs + Math.max(0, delayMs),
      sequence: this.#sequence++,
      run,
      cancelled: false,
    };
    this.#push(planned);
    return () => {
      planned.cancelled = true;
    };
  }

  /** Goes to the next event. @returns it, not yet run; null: nothing is planned */
  next(): (() => void) | null {
    for (let planned = this.#pop(); planned; planned = this.#pop()) {
      if (planned.cancelled) continue;
      this.nowMs = Math.max(this.nowMs, planned.atMs);
      return planned.run;
    }
    return null;
  }

  /** Nothing happens for so long: all that became due meanwhile happens at its end. */
  skip(ms: number): void {
    this.nowMs += ms;
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.push(planned) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (!parent || !isEarlier(planned, parent)) break;
      heap[at] = parent;
      heap[above] = planned;
      at = above;
    }
  }

  #pop(): Planned | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = heap[left + 1];
      let below = heap[left];
      if (!below) break;
      const isRight = right !== undefined && isEarlier(right, below);
      if (isRight && right) below = right;
      if (isEarlier(last, below)) break;
      heap[at] = below;
      at = isRight ? left + 1 : left;
    }
    heap[at] = last;
    return top;
  }
}

/** mulberry32: 32 bits of state are plenty for one seed's choices. Not for keys of anything real. */
export class Chance implements Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761 + 1) >>> 0;
  }

  /** 0…2^32−1. */
  draw(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
  below(bound: number): number {
    return Math.floor((this.draw() / 0x1_0000_0000) * bound);
  }
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }
  happens(probability: number): boolean {
    return probability > 0 && this.draw() < probability * 0x1_0000_0000;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }
  bytes(length: number): Bytes {
    return Uint8Array.from({ length }, () => this.draw() & 255);
  }
}

/** UUIDs version 7 (RFC 9562 §5.7) from virtual time and chance. */
export const virtualIds = (chance: Chance, wallMs: () => number): Ids => ({
  transactionId: () => {
    const time = Math.max(0, wallMs()).toString(16).padStart(12, '0').slice(-12);
    const tail = Buffer.from(chance.bytes(10)).toString('hex');
    const variant = ((Number.parseInt(tail.slice(3, 4), 16) & 3) | 8).toString(16);
    return `${time.slice(0, 8)}-${time.slice(8)}-7${tail.slice(0, 3)}-${variant}${tail.slice(4, 7)}-${tail.slice(7, 19)}` as TransactionId;
  },
});
