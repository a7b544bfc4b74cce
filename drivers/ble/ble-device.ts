/**
 * One row of the Bluetooth driver over all its connections: a configured scanner, or the place where phones are served.
 * Holds its state, its counters and its pause after failures. Must not talk to the child process; the driver does.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { type MonotonicMs, monotonicMs, type WallMs } from '../../terminal/kernel/units.js';
import type { DeviceState, DeviceStatus } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';

/** First pause after a connection that failed or was short; doubles up to the longest. */
export const pauseMinMs = 250;
export const pauseMaxMs = 30_000;
/** A connection this long forgets the failures before it. */
export const stableAfterMs = 10_000;

export class BleDevice {
  /** The child's number of the peer that it is connected or connecting to. */
  peer: number | null = null;
  description: string;
  /** Its last connection ended by a fault of its own. */
  hasFailed = false;
  readonly counters: Record<string, number> = { connections: 0, failures: 0 };
  #state: DeviceState = 'absent';
  #error: DeviceError | null = null;
  #since: WallMs;
  #openedAt: MonotonicMs | null = null;
  #shortLives = 0;
  #notBefore: MonotonicMs = monotonicMs(0);

  constructor(
    readonly device: string,
    /** The address, or what it serves; null: the adapter, which is no device of its own. */
    readonly identity: string | null,
    description: string,
    private readonly clock: Clock,
  ) {
    this.description = description;
    this.#since = clock.wallMs();
  }

  get state(): DeviceState {
    return this.#state;
  }
  /** Free, and not within its pause. */
  get mayConnect(): boolean {
    return this.peer === null && this.clock.monotonicMs() >= this.#notBefore;
  }

  opened(): void {
    this.#openedAt = this.clock.monotonicMs();
    this.hasFailed = false;
    this.count('connections');
  }

  /** The connection is over, or never was. */
  closed(): void {
    const now = this.clock.monotonicMs();
    const wasStable = this.#openedAt !== null && now - this.#openedAt >= stableAfterMs;
    if (this.#openedAt === null) this.count('failures');
    this.#shortLives = wasStable ? 0 : this.#shortLives + 1;
    const pauseMs = wasStable ? 0 : Math.min(pauseMaxMs, pauseMinMs * 2 ** Math.min(this.#shortLives - 1, 10));
    this.#notBefore = monotonicMs(now + pauseMs);
    this.#openedAt = null;
    this.peer = null;
  }

  /** The other end was done and left as it should. */
  rested(): void {
    this.#shortLives = 0;
    this.#notBefore = monotonicMs(0);
  }

  count(counter: string, by = 1): void {
    this.counters[counter] = (this.counters[counter] ?? 0) + by;
  }

  /** @returns whether anything that a technician sees has changed */
  become(state: DeviceState, error: DeviceError | null = null): boolean {
    if (state === this.#state && error?.detail === this.#error?.detail) return false;
    if (state !== this.#state) this.#since = this.clock.wallMs();
    this.#state = state;
    this.#error = error;
    return true;
  }

  status(): DeviceStatus {
    return {
      device: this.device,
      bus: 'ble',
      identity: this.identity,
      sensitive: false,
      state: this.#state,
      description: this.description,
      simulated: false,
      sinceWallMs: this.#since,
      error: this.#error,
      counters: { ...this.counters },
    };
  }
}
