/**
 * Tells a device that comes and goes too often from one that was replugged. Pure: the caller gives the time.
 * Must not act; the driver decides what a flapping device may still do.
 */
import { type DurationMs, durationMs, type MonotonicMs } from '../../terminal/kernel/units.js';

export interface FlappingRule {
  /** So many changes within the window are flapping. */
  readonly changesMax: number;
  readonly window: DurationMs;
  /** So long without a change ends it. */
  readonly calm: DurationMs;
}

export class FlappingWatch {
  /** Times of the last changes, at most changesMax of them. */
  readonly #changes: MonotonicMs[] = [];
  #flapping = false;
  constructor(private readonly rule: FlappingRule) {}

  noteChange(now: MonotonicMs): void {
    this.#changes.push(now);
    if (this.#changes.length > this.rule.changesMax) this.#changes.shift();
    const oldest = this.#changes[0] ?? now;
    if (this.#changes.length === this.rule.changesMax && now - oldest <= this.rule.window) this.#flapping = true;
  }

  isFlapping(now: MonotonicMs): boolean {
    const newest = this.#changes.at(-1);
    if (this.#flapping && newest !== undefined && now - newest >= this.rule.calm) {
      this.#flapping = false;
      this.#changes.length = 0;
    }
    return this.#flapping;
  }

  /** Time until it counts as calm if nothing changes, 0 when it does already. */
  calmIn(now: MonotonicMs): DurationMs {
    const newest = this.#changes.at(-1) ?? now;
    return durationMs(Math.max(0, newest + this.rule.calm - now));
  }
}
