/**
 * One presented card as the box holds it: one command at a time, each with its deadline, dead for good once the card, the
 * reader or the process behind it is gone. Must not keep a command or an answer.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { err, type Result } from '../../terminal/kernel/result.js';
import type { DurationMs } from '../../terminal/kernel/units.js';
import type { Schedule } from '../contract/driver.js';
import { type ApduLink, apduBytesMax, type DeviceError } from '../contract/transport.js';

/** Header of a command APDU, ISO/IEC 7816-4 §5.1. */
const commandBytesMin = 4;
/** One more turn of the loop after a deadline: an answer that waits unread behind a pause of the box is not late. */
const lastTurnMs = 1;

/** What a link needs of its driver. */
export interface LinkPort {
  readonly schedule: Schedule;
  readonly answerGrace: DurationMs;
  /** Sends a command. The outcome comes back through settled(). @returns the exchange's number */
  transmit(card: number, command: Bytes): number;
  release(card: number): void;
  /** A command ran past its deadline; for the reader's counters. */
  timedOut(card: number): void;
  /** A command did not come back from the reader even after the grace. */
  stuck(): void;
}

interface Exchange {
  readonly number: number;
  readonly resolve: (result: Result<Bytes, DeviceError>) => void;
}

export class CardLink implements ApduLink {
  /** Given by a driver whose reader can. */
  passThrough?: NonNullable<ApduLink['passThrough']>;
  #waiting: Exchange | null = null;
  #dead: DeviceError | null = null;
  #released = false;
  #cancelTimer: () => void = () => {};

  constructor(
    readonly id: string,
    readonly atr: Bytes,
    readonly card: number,
    private readonly port: LinkPort,
  ) {}

  /** Let go by its user, and not lost. */
  get isReleased(): boolean {
    return this.#released;
  }

  transmit(command: Bytes, timeout: DurationMs): Promise<Result<Bytes, DeviceError>> {
    if (this.#dead) return Promise.resolve(err(this.#dead));
    if (this.#waiting) return Promise.resolve(err({ code: 'device.busy', detail: 'a command is under way' }));
    if (command.length < commandBytesMin || command.length > apduBytesMax)
      return Promise.resolve(err({ code: 'device.unsupported', detail: `a command of ${command.length} bytes` }));
    return new Promise((resolve) => {
      this.#waiting = { number: this.port.transmit(this.card, command), resolve };
      this.#cancelTimer = this.port.schedule(timeout, () => {
        this.#cancelTimer = this.port.schedule(lastTurnMs, () =>
          this.#overdue({ code: 'device.timedOut', detail: 'no answer in time' }),
        );
      });
    });
  }

  close(): Promise<void> {
    if (!this.#released && !this.#dead) this.port.release(this.card);
    this.#released = true;
    const closed: DeviceError = { code: 'device.closed', detail: 'the link was closed' };
    if (this.#waiting) this.#overdue(closed);
    this.#dead ??= closed;
    return Promise.resolve();
  }

  /** The reader is done with a command, in time or late. */
  settled(exchange: number, outcome: Result<Bytes, DeviceError>): void {
    this.#cancelTimer();
    const waiting = this.#waiting;
    if (waiting?.number !== exchange) return;
    this.#waiting = null;
    if (!outcome.ok && outcome.error.code !== 'device.failed' && outcome.error.code !== 'device.busy')
      this.#dead ??= outcome.error;
    waiting.resolve(outcome);
  }

  /** The card has left, or reader or process are gone: nothing can come back any more. */
  end(error: DeviceError): void {
    this.#cancelTimer();
    this.#dead ??= error;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(err(error));
  }

  #overdue(error: DeviceError): void {
    this.#cancelTimer();
    const waiting = this.#waiting;
    this.#waiting = null;
    if (error.code === 'device.timedOut') this.port.timedOut(this.card);
    this.#dead ??= { code: 'device.closed', detail: `the link ended: ${error.detail}` };
    this.#cancelTimer = this.port.schedule(this.port.answerGrace, () => this.port.stuck());
    waiting?.resolve(err(error));
  }
}
