/**
 * A clock and a scheduler that move only when told, for tests of code that waits.
 * Must not read the real clock, and must not be imported by anything but tests and scripts.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { monotonicMs, wallMs } from '../../terminal/kernel/units.js';
import type { Schedule } from '../contract/driver.js';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class ManualTime {
  #nowMs = 1_000;
  #order = 0;
  readonly #due = new Set<Due>();

  readonly clock: Clock = {
    monotonicMs: () => monotonicMs(this.#nowMs),
    wallMs: () => wallMs(1_750_000_000_000 + this.#nowMs),
  };

  readonly schedule: Schedule = (delayMs, run) => {
    const due: Due = { atMs: this.#nowMs + delayMs, order: this.#order++, run };
    this.#due.add(due);
    return () => this.#due.delete(due);
  };

  /** Timers that have not run and were not cancelled. */
  get pending(): number {
    return this.#due.size;
  }

  /** Runs everything that becomes due within so many milliseconds, in order, each at its own time. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const next = [...this.#due]
        .filter((due) => due.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (!next) break;
      this.#due.delete(next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = endMs;
  }
}
