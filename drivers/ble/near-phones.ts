/**
 * Which phone is the one at the counter. Pure but for the times it is given: a phone counts while it was heard a moment
 * ago and near enough; with two of them there, neither is taken, since taking the wrong one would charge its owner.
 */
import type { MonotonicMs } from '../../terminal/kernel/units.js';

/** Not heard for so long, a phone has left. */
export const phoneLeftAfterMs = 3_000;
/** Phones kept in mind. */
const phonesMax = 32;

interface Sighting {
  readonly atMs: MonotonicMs;
  readonly isNear: boolean;
}

export class NearPhones {
  readonly #seen = new Map<number, Sighting>();
  /** Served to its end; has to leave before it is served again, as a card has to leave the reader. */
  readonly #served = new Map<number, MonotonicMs>();

  constructor(private readonly rssiMin: number) {}

  heard(peer: number, rssi: number, now: MonotonicMs): void {
    this.#forget(now);
    if (this.#served.has(peer)) this.#served.set(peer, now);
    if (this.#seen.size < phonesMax || this.#seen.has(peer))
      this.#seen.set(peer, { atMs: now, isNear: rssi >= this.rssiMin });
  }

  served(peer: number, now: MonotonicMs): void {
    this.#served.set(peer, now);
    if (this.#served.size > phonesMax) this.#served.delete([...this.#served.keys()][0] ?? peer);
  }

  /** Its link is gone: it counts again once it is heard again. */
  lost(peer: number): void {
    this.#seen.delete(peer);
  }

  /** The phones that could be meant now. */
  candidates(now: MonotonicMs): readonly number[] {
    this.#forget(now);
    return [...this.#seen].flatMap(([peer, { isNear }]) => (isNear && !this.#served.has(peer) ? [peer] : []));
  }

  clear(): void {
    this.#seen.clear();
    this.#served.clear();
  }

  #forget(now: MonotonicMs): void {
    for (const [peer, { atMs }] of this.#seen) if (now - atMs > phoneLeftAfterMs) this.#seen.delete(peer);
    for (const [peer, atMs] of this.#served) if (now - atMs > phoneLeftAfterMs) this.#served.delete(peer);
  }
}
