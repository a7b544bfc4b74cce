/**
 * The wall clock's credibility: doubtful once it reads before this product existed, before the latest time that was trusted,
 * or has stepped against the monotonic clock. It stays doubtful until the process starts again with a sound clock.
 */
import type { At } from '../core/event.js';
import type { Clock } from '../kernel/ports.js';

/** 2026-01-01 UTC: no true reading of this product's clock lies before it. */
const productEpochMs = 1_767_225_600_000;
/** Most that the two clocks may part in one run. Slewing moves both alike, and leap seconds stay far below. */
const stepMaxMs = 120_000;

export class WallClock {
  #doubtful: boolean;
  // The anchor stays where the run began, so that many small steps count as the large one that they make.
  readonly #startWallMs: number;
  readonly #startMonotonicMs: number;
  /** The latest time that was credible, and when on the monotonic clock. */
  #trusted: { readonly wallMs: number; readonly monotonicMs: number };

  /** `latestKnownWallMs`: the latest time the box has stored under a trusted clock; 0 where it has none. */
  constructor(
    private readonly clock: Clock,
    latestKnownWallMs: number,
  ) {
    this.#startWallMs = clock.wallMs();
    this.#startMonotonicMs = clock.monotonicMs();
    this.#doubtful = this.#startWallMs < productEpochMs || this.#startWallMs + stepMaxMs < latestKnownWallMs;
    const trustedMs = this.#doubtful ? latestKnownWallMs : this.#startWallMs;
    this.#trusted = { wallMs: trustedMs, monotonicMs: this.#startMonotonicMs };
  }

  get doubtful(): boolean {
    this.now();
    return this.#doubtful;
  }

  now(): At {
    const atWallMs = this.clock.wallMs();
    const atMonotonicMs = this.clock.monotonicMs();
    const drift = atWallMs - this.#startWallMs - (atMonotonicMs - this.#startMonotonicMs);
    if (Math.abs(drift) > stepMaxMs) this.#doubtful = true;
    if (!this.#doubtful) this.#trusted = { wallMs: atWallMs, monotonicMs: atMonotonicMs };
    return { atMonotonicMs, atWallMs, clockDoubtful: this.#doubtful };
  }

  /** The wall clock while it is credible; else the latest credible time and what has passed since on the monotonic clock. */
  bestKnownMs(): number {
    const { atWallMs, atMonotonicMs, clockDoubtful } = this.now();
    return clockDoubtful ? this.#trusted.wallMs + atMonotonicMs - this.#trusted.monotonicMs : atWallMs;
  }
}
