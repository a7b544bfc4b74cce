/**
 * Inside the Bluetooth child: one connection, from connect to disconnect. Every call to noble has a time-out, because a
 * call that is pending when the link goes never comes back. Must not know what the bytes mean.
 */
import type { Characteristic, Peripheral, Service } from '@abandonware/noble';
import { type Bytes, concat } from '../../terminal/kernel/bytes.js';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { DeviceError } from '../contract/transport.js';
import {
  encodeFragments,
  type FragmentJoin,
  joinFragment,
  messageBytesMax,
  nothingJoined,
  valueBytesMin,
} from '../protocols/gatt-messages/fragments.js';
import type { GattService } from '../protocols/gatt-messages/services.js';

/** What noble asks for: a peer that offers more is still written in values of this length. */
const mtuMax = 256;
const mtuMin = 23;
/** Opcode and handle before a value. */
const attHeaderBytes = 3;

export interface GattPeerPort {
  readonly timeoutMs: number;
  /** A notification of the subscribed service. */
  received(data: Bytes): void;
  /** Once, when the link is gone after it had been opened; not called for a link that never opened. */
  closed(error: DeviceError): void;
  /** The adapter does not even disconnect any more. */
  stuck(): void;
}

export class GattPeer {
  #write: Characteristic | null = null;
  #lost: DeviceError | null = null;
  #connected = false;
  #opened = false;
  #join: FragmentJoin = nothingJoined;
  #answer: { readonly exchange: number; readonly resolve: (outcome: Result<Bytes, DeviceError>) => void } | null = null;
  /** Calls that wait, to be ended when the link goes. */
  readonly #waiting = new Set<(error: DeviceError) => void>();
  readonly #onDisconnect = (): void => this.#goes({ code: 'device.closed', detail: 'the link was lost' });

  constructor(
    private readonly peripheral: Peripheral,
    private readonly service: GattService,
    private readonly port: GattPeerPort,
  ) {}

  /** ATT_MTU as both ends hold it. */
  get mtu(): number {
    return Math.min(mtuMax, Math.max(mtuMin, this.peripheral.mtu ?? mtuMin));
  }

  /** Connects, finds the service and subscribes. A failure leaves nothing connected. */
  async open(): Promise<Result<void, DeviceError>> {
    const outcome = await this.#openSteps();
    if (!outcome.ok) await this.close();
    else this.#opened = true;
    return outcome;
  }

  async #openSteps(): Promise<Result<void, DeviceError>> {
    const { peripheral, service } = this;
    const connected = await this.#within<void>('connect', (done) =>
      peripheral.connect((error) => done(error ? new Error(String(error)) : null)),
    );
    if (!connected.ok) {
      if (connected.error.code === 'device.timedOut') this.#cancelConnect();
      return connected;
    }
    this.#connected = true;
    peripheral.on('disconnect', this.#onDisconnect);
    const services = await this.#within<readonly Service[]>('services', (done) =>
      peripheral.discoverServices([service.service], done),
    );
    if (!services.ok) return services;
    const found = services.value[0];
    if (!found) return err({ code: 'device.unsupported', detail: 'the device does not have the service' });
    const characteristics = await this.#within<readonly Characteristic[]>('characteristics', (done) =>
      found.discoverCharacteristics([], done),
    );
    if (!characteristics.ok) return characteristics;
    const from = characteristics.value.find(({ uuid }) => uuid === service.fromDevice);
    this.#write = characteristics.value.find(({ uuid }) => uuid === service.toDevice) ?? null;
    if (!from || !this.#write) return err({ code: 'device.unsupported', detail: 'the service lacks a characteristic' });
    from.on('data', (data) => this.#notified(new Uint8Array(data)));
    return this.#within<void>('subscribe', (done) => from.subscribe(done));
  }

  /** Sends one message in fragments. @returns its answer; the caller has the deadline */
  async exchange(exchange: number, command: Bytes): Promise<Result<Bytes, DeviceError>> {
    const to = this.#write;
    if (this.#lost || !to) return err({ code: 'device.cardRemoved', detail: 'the phone is gone' });
    if (command.length > messageBytesMax)
      return err({ code: 'device.unsupported', detail: `a command of ${command.length} bytes` });
    const number = exchange % 256;
    const answered = new Promise<Result<Bytes, DeviceError>>((resolve) => {
      this.#answer = { exchange: number, resolve };
    });
    this.#join = nothingJoined;
    for (const fragment of encodeFragments(number, command, Math.max(valueBytesMin, this.mtu - attHeaderBytes))) {
      const written = await this.#within<void>('write', (done) => to.write(Buffer.from(fragment), false, done));
      if (!written.ok) return this.#lost ? err(leftField) : written;
    }
    return answered;
  }

  /** Ends the link; resolves when it is gone. */
  async close(): Promise<void> {
    if (this.#lost || !this.#connected) return;
    const gone = await this.#within<void>('disconnect', (done) => {
      this.peripheral.once('disconnect', () => done(null));
      this.peripheral.disconnect();
    });
    if (!gone.ok && gone.error.code === 'device.timedOut') this.port.stuck();
    this.#goes({ code: 'device.closed', detail: 'the link was closed' });
  }

  /** One call to noble, which calls back, or never does. */
  #within<T>(
    what: string,
    call: (done: (error: Error | null, value?: T) => void) => void,
  ): Promise<Result<T, DeviceError>> {
    if (this.#lost) return Promise.resolve(err(this.#lost));
    return new Promise((resolve) => {
      const settle = (outcome: Result<T, DeviceError>): void => {
        clearTimeout(timer);
        this.#waiting.delete(abort);
        resolve(outcome);
      };
      const abort = (error: DeviceError): void => settle(err(error));
      const timer = setTimeout(
        () => abort({ code: 'device.timedOut', detail: `${what}: no answer within ${this.port.timeoutMs} ms` }),
        this.port.timeoutMs,
      );
      this.#waiting.add(abort);
      try {
        call((error, value) =>
          error
            ? abort({ code: 'device.failed', detail: printable(`${what}: ${error.message}`) })
            : settle(ok(value as T)),
        );
      } catch (error) {
        abort({ code: 'device.failed', detail: printable(`${what}: ${error instanceof Error ? error.message : ''}`) });
      }
    });
  }

  /** A link that comes up after we gave up on it is ended at once. */
  #cancelConnect(): void {
    const { peripheral } = this;
    peripheral.cancelConnect();
    const late = (error?: unknown): void => {
      if (!error) peripheral.disconnect();
    };
    peripheral.once('connect', late);
    setTimeout(() => peripheral.removeListener('connect', late), this.port.timeoutMs);
    this.#lost = { code: 'device.closed', detail: 'never connected' };
  }

  #notified(data: Bytes): void {
    if (this.#lost) return;
    this.port.received(data);
    const waiting = this.#answer;
    if (!waiting) return;
    const step = joinFragment(this.#join, data);
    this.#join = step.ok ? step.value.state : nothingJoined;
    // An answer of another exchange is a late one: its command was given up.
    if (!step.ok || step.value.message?.exchange !== waiting.exchange) return;
    this.#answer = null;
    const { bytes } = step.value.message;
    waiting.resolve(
      bytes.length >= 2 ? ok(concat(bytes)) : err({ code: 'device.failed', detail: 'an answer without a status word' }),
    );
  }

  #goes(error: DeviceError): void {
    if (this.#lost) return;
    this.#lost = error;
    this.peripheral.removeListener('disconnect', this.#onDisconnect);
    for (const abort of [...this.#waiting]) abort(error);
    this.#answer?.resolve(err(leftField));
    this.#answer = null;
    if (this.#opened) this.port.closed(error);
  }
}

const leftField: DeviceError = { code: 'device.cardRemoved', detail: 'the link to the phone was lost' };
