/**
 * The last events, numbered, for followers that come back. Bounded; what has fallen out is said to be gone, never guessed.
 */
import type { NumberedEvent, TerminalEvent } from './port.js';

export const ringEventsMax = 1024;

export class EventRing {
  readonly #events: NumberedEvent[] = [];
  readonly #listeners = new Set<(event: NumberedEvent | null) => void>();
  #number = 0;

  /** `boot` names this run of the process. */
  constructor(private readonly boot: string) {}

  publish(event: TerminalEvent): void {
    this.#number += 1;
    const numbered = { boot: this.boot, number: this.#number, event };
    this.#events.push(numbered);
    if (this.#events.length > ringEventsMax) this.#events.shift();
    for (const listener of this.#listeners) listener(numbered);
  }

  follow(
    after: { readonly boot: string; readonly number: number } | null,
    listener: (event: NumberedEvent | null) => void,
  ): () => void {
    if (after !== null) {
      const oldest = this.#events[0]?.number ?? this.#number + 1;
      const known = after.boot === this.boot && after.number <= this.#number && after.number >= oldest - 1;
      if (!known) listener(null);
      else for (const event of this.#events) if (event.number > after.number) listener(event);
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
