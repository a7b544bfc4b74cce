/**
 * One reader as the box knows it over all its replugs: name, identity, state, counters.
 * Must not talk to the child process; the driver does.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import type { WallMs } from '../../terminal/kernel/units.js';
import type { DeviceState, DeviceStatus } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import type { CardLink } from '../supervised/card-link.js';
import { isContactless, isVirtual, type ReaderName } from './reader-names.js';

/** Refusals in a row after which it is asked no more until it is plugged in again. */
const passThroughsRefusedMax = 3;

export class ReaderDevice {
  /** The child's number for it while it is plugged in. */
  reader: number | null = null;
  link: CardLink | null = null;
  name: ReaderName;
  /** A slot for cards with contacts, by the configuration. */
  isSlot = false;
  /** Why it takes no command for itself; shown while nothing worse is. */
  refusesOwnCommands: string | null = null;
  /** How often in a row it refused to pass a card's command through, since it was plugged in. */
  passThroughsRefused = 0;
  readonly counters = { cards: 0, twoCards: 0, wrongSlot: 0, exchanges: 0, failures: 0, timeouts: 0, replugs: 0 };
  #state: DeviceState = 'opening';
  #error: DeviceError | null = null;
  #since: WallMs;

  constructor(
    readonly device: string,
    readonly identity: string,
    name: ReaderName,
    private readonly clock: Clock,
  ) {
    this.name = name;
    this.#since = clock.wallMs();
  }

  get state(): DeviceState {
    return this.#state;
  }

  get passesThrough(): boolean {
    return this.passThroughsRefused < passThroughsRefusedMax;
  }

  /** What a reader that serves cards cannot do; null: nothing is known. */
  #lack(): string | null {
    if (this.refusesOwnCommands !== null || this.passesThrough) return this.refusesOwnCommands;
    return 'no makers’ signatures: the reader refuses to pass commands to tags';
  }

  /** @returns whether anything that a technician sees has changed */
  become(state: DeviceState, trouble: DeviceError | null = null): boolean {
    const refused = state === 'ready' ? this.#lack() : null;
    const error = trouble ?? (refused === null ? null : { code: 'device.denied', detail: refused });
    if (state === this.#state && error?.detail === this.#error?.detail) return false;
    if (state !== this.#state) this.#since = this.clock.wallMs();
    this.#state = state;
    this.#error = error;
    return true;
  }

  status(): DeviceStatus {
    return {
      device: this.device,
      bus: 'pcsc',
      identity: this.identity,
      // A slot for contacts sees bank cards, also one that nobody has configured yet.
      sensitive: this.isSlot || !isContactless(this.name),
      state: this.#state,
      description: this.name.full,
      simulated: isVirtual(this.name),
      sinceWallMs: this.#since,
      error: this.#error,
      counters: { ...this.counters },
    };
  }
}
