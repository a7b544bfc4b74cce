/**
 * Inquiry rate: how many inquiries one terminal may make, so that a stolen box cannot try out passes and codes. In memory: a
 * host that starts anew counts anew. Must not know what was asked.
 */
import type { MonotonicMs } from '../../../terminal/kernel/units.js';

/** Of one terminal, in milliseconds and counts. A counter where phone follows phone makes about ten a minute. */
export const inquiryWindowMs = 60_000;
export const inquiriesPerWindowMax = 30;
/** After so many that were refused, none is answered until the window is over. */
export const refusedPerWindowMax = 10;
/** Terminals remembered at once; the one that asked first is forgotten first. */
const terminalsMax = 10_000;

interface Window {
  readonly since: MonotonicMs;
  asked: number;
  /** With those that have no answer yet: asking many at once gains nothing. */
  refused: number;
}

export class InquiryRate {
  readonly #windows = new Map<string, Window>();
  constructor(private readonly perWindowMax = inquiriesPerWindowMax) {}

  /**
   * Counts one inquiry, as refused until `notRefused` says otherwise. `again`: too many; `first`: too many, for the first time
   * in this window.
   */
  ask(terminalId: string, now: MonotonicMs): 'may' | 'first' | 'again' {
    const kept = this.#windows.get(terminalId);
    const window = kept && now - kept.since < inquiryWindowMs ? kept : { since: now, asked: 0, refused: 0 };
    if (window !== kept) {
      // Behind the others, as the newest.
      this.#windows.delete(terminalId);
      this.#windows.set(terminalId, window);
      const [oldest] = this.#windows.keys();
      if (this.#windows.size > terminalsMax && oldest !== undefined) this.#windows.delete(oldest);
    }
    if (window.asked > this.perWindowMax) return 'again';
    if (window.refused >= refusedPerWindowMax) window.asked = this.perWindowMax;
    window.asked += 1;
    if (window.asked <= this.perWindowMax) window.refused += 1;
    return window.asked > this.perWindowMax ? 'first' : 'may';
  }

  /** The inquiry asked at this time was answered, or failed for another reason. */
  notRefused(terminalId: string, askedAt: MonotonicMs): void {
    const window = this.#windows.get(terminalId);
    if (window && askedAt >= window.since && window.refused > 0) window.refused -= 1;
  }
}
