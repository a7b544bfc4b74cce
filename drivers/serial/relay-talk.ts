/**
 * Relay talk: one relay of one open board, switched off when the line opens, and on for a moment when asked. Must not open the
 * line, nor switch on twice for one asking.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { Schedule } from '../contract/driver.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';

/** What became of a pulse on one board. */
export type Pulsed =
  /** On and off went out whole; the board says nothing of itself. */
  { readonly switched: 'sent' } | { readonly switched: 'nothing' | 'unknown'; readonly error: DeviceError };

export interface RelayPorts {
  readonly write: ByteTransport['write'];
  readonly schedule: Schedule;
  readonly on: Bytes;
  readonly off: Bytes;
  /** How long the relay is on, in milliseconds, counted from when the line has taken `on`. */
  readonly pulseMs: number;
  /** The line does not take what it should: it is to be opened anew, which switches off. */
  readonly failed: (error: DeviceError) => void;
}

/** How long the line may take for some bytes, in milliseconds; at 1,200 baud they need 70. */
const writeTimeoutMs = 1_000;

const closed: DeviceError = { code: 'device.closed', detail: 'the line went away' };
const cut: DeviceError = { code: 'device.closed', detail: 'the line went away while the relay was on' };
const slow: DeviceError = { code: 'device.timedOut', detail: 'the line does not take the bytes' };
const busy: DeviceError = { code: 'device.busy', detail: 'the relay is on already' };

export class RelayTalk {
  /** The switching off at the opening of the line. */
  #safe: Promise<Result<void, DeviceError>> = Promise.resolve(err(closed));
  #isUnderWay = false;
  #left = false;
  /** Ends what is being waited for. */
  #leave: () => void = () => {};

  constructor(private readonly ports: RelayPorts) {}

  /** The line is open: whatever the relay did before, it is off now. */
  begin(): void {
    this.#safe = this.#write(this.ports.off);
    void this.#safe.then((written) => {
      if (!written.ok && !this.#left) this.ports.failed(written.error);
    });
  }

  /** On, and off after `pulseMs`. One at a time: what is asked meanwhile is refused as busy, and never made up for. */
  async pulse(): Promise<Pulsed> {
    if (this.#isUnderWay) return { switched: 'nothing', error: busy };
    this.#isUnderWay = true;
    const safe = await this.#safe;
    if (!safe.ok) return { switched: 'nothing', error: safe.error };
    if (this.#left) return { switched: 'nothing', error: closed };
    const on = await this.#write(this.ports.on);
    if (!on.ok) return this.#unsure(on.error);
    await this.#pause();
    if (this.#left) return { switched: 'unknown', error: cut };
    const off = await this.#write(this.ports.off);
    if (!off.ok) return this.#unsure(off.error);
    this.#isUnderWay = false;
    return { switched: 'sent' };
  }

  /** The line is gone, or about to be closed. */
  left(): void {
    this.#left = true;
    this.#leave();
  }

  #unsure(error: DeviceError): Pulsed {
    if (this.#left) return { switched: 'unknown', error: cut };
    this.ports.failed(error);
    return { switched: 'unknown', error };
  }

  #write(bytes: Bytes): Promise<Result<void, DeviceError>> {
    return this.#wait(writeTimeoutMs, err(slow), (end) => void this.ports.write(bytes).then(end));
  }
  async #pause(): Promise<void> {
    await this.#wait(this.ports.pulseMs, ok(undefined), () => {});
  }

  /** Until `begin` ends it, the time is over, or the line is left. One at a time. */
  #wait(
    mostMs: number,
    after: Result<void, DeviceError>,
    begin: (end: (how: Result<void, DeviceError>) => void) => void,
  ): Promise<Result<void, DeviceError>> {
    return new Promise((resolve) => {
      const end = (how: Result<void, DeviceError>): void => {
        cancel();
        this.#leave = () => {};
        resolve(how);
      };
      const cancel = this.ports.schedule(mostMs, () => end(after));
      this.#leave = () => end(err(closed));
      begin(end);
    });
  }
}
