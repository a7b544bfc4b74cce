/**
 * Alarm damper: how many of a stranger's requests become alarms. Each alarm is a commit and a flush; asking again and
 * again must not wear the disk out or stand before the terminals' own commits. Must not decide what an alarm is.
 */
import type { MonotonicMs } from '../../../terminal/kernel/units.js';

/** Of one kind and source one alarm in this time is written, in milliseconds. */
export const alarmWindowMs = 60_000;
/** Alarms of all kinds and sources in that time. */
export const alarmsPerWindowMax = 64;

export class AlarmDamper {
  readonly #told = new Set<string>();
  #since: MonotonicMs | null = null;

  /** May this one be written? `key`: what makes two alarms the same. */
  isDue(key: string, now: MonotonicMs): boolean {
    if (this.#since === null || now - this.#since >= alarmWindowMs) {
      this.#since = now;
      this.#told.clear();
    }
    if (this.#told.has(key) || this.#told.size >= alarmsPerWindowMax) return false;
    this.#told.add(key);
    return true;
  }
}
