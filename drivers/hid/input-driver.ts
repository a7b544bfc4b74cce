/**
 * Input devices on HID of one kind: opens every allowed one that is plugged in, turns its reports into events, and reopens
 * what went away under its old name. Must not know what an event means, and opens nothing that device-rules.ts does not allow.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { ByteSink, DeviceEvent, DeviceState, DeviceStatus, Driver, Schedule } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import { withPatience } from '../contract/patience.js';
import type { DeviceError } from '../contract/transport.js';
import {
  describeDevice,
  type HidVerdict,
  identityOf,
  isMeant,
  type Reading,
  supervisedIdentity,
} from './device-rules.js';
import type { ReportTransport } from './hid-transport.js';
import type { HidDevice } from './hidraw-sysfs.js';
import type { ReadInputs, ReportReader } from './report-reader.js';

/** What one driver serves. */
export interface HidKind {
  /** Of the driver, and with a number of each device. */
  readonly name: string;
  /** What the counter of its events is called. */
  readonly counter: string;
  readonly sensitive: boolean;
  readonly enabled: boolean;
  /** Devices that have a row also while they are away. */
  readonly named: readonly string[];
  /** What of the configuration changes what is read; for recordings. */
  readonly settings: unknown;
  readonly judge: (device: HidDevice) => HidVerdict;
}

export interface HidPorts {
  /** HID devices that are there now; must not open any. */
  readonly look: () => readonly HidDevice[];
  /** Opens a device; fails with device.absent, device.busy, device.denied or device.failed. */
  readonly open: (path: string) => Promise<Result<ReportTransport, DeviceError>>;
  /** Takes a keyboard from the rest of the system; fails where its keys would go on reaching it. */
  readonly silence: (device: HidDevice) => Result<void, DeviceError>;
  readonly clock: Clock;
  readonly schedule: Schedule;
}

/** How often devices are looked for, in milliseconds: a device plugged in again is back within 2 s. */
const lookEveryMs = 1_000;
/** Longest that start() waits for the first opening, and stop() for the last closing, in milliseconds. */
const patienceMs = 1_500;
/** Devices of one kind served at once. */
export const hidInputsMax = 8;

const unknownLayout: DeviceError = {
  code: 'device.unsupported',
  detail: 'its reports have an unknown layout: switch a scanner to serial mode',
};

interface Input {
  readonly device: string;
  identity: string;
  /** Which devices may take this row: an identity, or a configured pattern. */
  pattern: string;
  /** The device that has the row now. */
  plugged: HidDevice | null;
  socket: string;
  description: string;
  /** Null: nobody here can read it. */
  reading: Reading | null;
  reader: ReportReader | null;
  state: DeviceState;
  sinceWallMs: DeviceStatus['sinceWallMs'];
  error: DeviceStatus['error'];
  transport: ReportTransport | null;
  isOpening: boolean;
  cancelGap: (() => void) | null;
  events: number;
  dropped: number;
  opened: number;
  reports: number;
}

export class HidInputDriver implements Driver {
  readonly name: string;
  readonly bus = 'hid';
  readonly #inputs: Input[] = [];
  readonly #orders = new DeviceOrders();
  #emit: (event: DeviceEvent) => void = () => {};
  #stopped = false;
  #cancelLook: (() => void) | null = null;
  readonly #closing = new Set<Promise<void>>();

  constructor(
    private readonly kind: HidKind,
    private readonly ports: HidPorts,
  ) {
    this.name = kind.name;
  }

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
    if (!this.kind.enabled) return;
    for (const pattern of this.kind.named.slice(0, hidInputsMax)) this.#addInput(pattern);
    await withPatience(this.#look(), patienceMs, this.ports.schedule);
    for (const input of this.#inputs)
      if (input.plugged === null) this.#set(input, 'absent', { code: 'device.absent', detail: input.description });
  }

  statuses(): readonly DeviceStatus[] {
    return this.#inputs.map((input) => this.#status(input));
  }

  serve(identity: string, inService: boolean): void {
    if (!this.#orders.serve(identity, inService)) return;
    const input = this.#inputs.find((each) => each.identity === identity);
    if (!input) return;
    if (!inService) this.#letGo(input);
    if (input.plugged) this.#settle(input);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.#orders.listenIn(identity, sink);
    const plugged = this.#inputs.find((each) => each.identity === identity)?.plugged;
    if (sink && plugged) sink('about', plugged.descriptor);
    this.#orders.about(identity, () => this.kind.settings);
  }

  signal(): void {
    // HID POS has light and sound of its own for a good read; none that the box may use.
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    for (const input of this.#inputs) {
      this.#letGo(input);
      input.state = 'absent';
    }
    await withPatience([...this.#closing], patienceMs, this.ports.schedule);
  }

  /** One round: what is gone is let go, what is new gets a row, what is not open is tried. @returns the openings begun */
  #look(): readonly Promise<void>[] {
    const devices = this.ports.look();
    for (const input of this.#inputs) if (input.plugged && !isThere(devices, input.plugged)) this.#unplugged(input);
    for (const device of devices) {
      const judged = this.kind.judge(device);
      if (judged.verdict === 'served') this.#plug(device, judged.reading);
      if (judged.verdict === 'unsupported') this.#plug(device, null);
    }
    for (const input of this.#inputs) if (input.transport) this.#stillSilent(input);
    const openings = this.#inputs.flatMap((input) =>
      input.plugged && input.reading && !input.transport && !input.isOpening && !this.#isHeld(input)
        ? [this.#open(input, input.plugged)]
        : [],
    );
    this.#cancelLook = this.ports.schedule(lookEveryMs, () => {
      if (!this.#stopped) this.#look();
    });
    return openings;
  }

  /** Gives a device that has no row yet the row that it had before, one that waits for it, or a new one. */
  #plug(device: HidDevice, reading: Reading | null): void {
    if (this.#inputs.some(({ plugged }) => plugged !== null && isSame(plugged, device))) return;
    const free = this.#inputs.filter(
      (input) => input.plugged === null && !input.isOpening && isMeant(input.pattern, device),
    );
    const input =
      free.find(({ socket }) => socket === device.socket) ??
      free[0] ??
      this.#addInput(identityOf(device)) ??
      // All rows are taken: one whose device is gone serves the one that is here.
      this.#inputs.find(({ plugged, isOpening }) => plugged === null && !isOpening);
    if (!input) return;
    input.pattern = identityOf(device);
    input.plugged = device;
    input.socket = device.socket;
    input.description = describeDevice(device);
    input.reading = reading;
    input.identity = supervisedIdentity(device);
    if (reading === null || this.#isHeld(input)) this.#settle(input);
  }

  #isHeld(input: Input): boolean {
    return this.#orders.isHeld(input.identity);
  }

  /** Plugged in, and held, unreadable, or about to be opened by the next look. */
  #settle(input: Input): void {
    if (this.#isHeld(input)) this.#set(input, 'disabled', null);
    else if (input.reading === null) this.#set(input, 'failing', unknownLayout);
    else this.#set(input, 'opening', null);
  }

  #addInput(pattern: string): Input | null {
    if (this.#inputs.length >= hidInputsMax) return null;
    const input: Input = {
      device: `${this.kind.name}-${this.#inputs.length + 1}`,
      pattern,
      identity: printable(pattern),
      plugged: null,
      socket: '',
      description: printable(pattern),
      reading: null,
      reader: null,
      state: 'absent',
      sinceWallMs: this.ports.clock.wallMs(),
      error: null,
      transport: null,
      isOpening: false,
      cancelGap: null,
      events: 0,
      dropped: 0,
      opened: 0,
      reports: 0,
    };
    this.#inputs.push(input);
    return input;
  }

  /** A keyboard that anything else can hear is not read here. @returns whether nothing can */
  #stillSilent(input: Input): boolean {
    if (!input.plugged || !input.reading?.types) return true;
    const silenced = this.ports.silence(input.plugged);
    if (silenced.ok) return true;
    this.#letGo(input);
    this.#set(input, 'failing', silenced.error);
    return false;
  }

  async #open(input: Input, device: HidDevice): Promise<void> {
    if (!this.#stillSilent(input)) return;
    input.isOpening = true;
    const opened = await this.ports.open(device.path);
    input.isOpening = false;
    if (!opened.ok) {
      const isAway = opened.error.code === 'device.absent' || opened.error.code === 'device.driverMissing';
      if (!this.#stopped && input.plugged === device && !this.#isHeld(input))
        this.#set(input, isAway ? 'absent' : 'failing', opened.error);
      return;
    }
    const transport = opened.value;
    // Its file may belong to another device by now, a keyboard even: what was judged must still be the one there.
    if (this.#stopped || this.#isHeld(input) || input.plugged !== device || !isThere(this.ports.look(), device)) {
      this.#close(transport);
      return;
    }
    input.transport = transport;
    input.reader = input.reading?.reader() ?? null;
    input.opened += 1;
    transport.onReport((report) => {
      if (input.transport === transport) this.#read(input, report);
    });
    transport.onClosed((error) => {
      if (input.transport !== transport || this.#stopped) return;
      this.#letGo(input);
      this.#set(input, 'absent', error);
    });
    this.#set(input, 'ready', null);
  }

  #unplugged(input: Input): void {
    this.#letGo(input);
    input.plugged = null;
    this.#set(input, 'absent', { code: 'device.closed', detail: 'unplugged' });
  }

  /** Ends reading; half a scan goes with it. */
  #letGo(input: Input): void {
    input.cancelGap?.();
    input.cancelGap = null;
    input.dropped += input.reader?.end() ?? 0;
    input.reader = null;
    const { transport } = input;
    input.transport = null;
    if (transport) this.#close(transport);
  }

  #close(transport: ReportTransport): void {
    const closing = transport.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #read(input: Input, report: Uint8Array): void {
    const { reader, reading } = input;
    if (!reader || !reading) return;
    this.#orders.passed(input.identity, 'in', report);
    input.reports += 1;
    input.cancelGap?.();
    input.cancelGap = null;
    this.#report(input, reader.read(report));
    if (!reader.isOpen) return;
    input.cancelGap = this.ports.schedule(reading.gapMs, () => this.#report(input, reader.gap()));
  }

  #report(input: Input, { inputs, dropped }: ReadInputs): void {
    input.dropped += dropped;
    input.events += inputs.length;
    for (const read of inputs) this.#emit({ ...read, device: input.device });
  }

  #set(input: Input, state: DeviceState, error: DeviceStatus['error']): void {
    if (input.state === state && input.error?.detail === error?.detail) return;
    input.state = state;
    input.error = error;
    input.sinceWallMs = this.ports.clock.wallMs();
    this.#emit({ type: 'deviceStateChanged', status: this.#status(input) });
  }

  #status(input: Input): DeviceStatus {
    return {
      device: input.device,
      bus: 'hid',
      identity: input.identity,
      sensitive: this.kind.sensitive,
      state: input.state,
      description: input.description,
      simulated: false,
      sinceWallMs: input.sinceWallMs,
      error: input.error,
      counters: {
        [this.kind.counter]: input.events,
        dropped: input.dropped,
        opened: input.opened,
        reports: input.reports,
      },
    };
  }
}

const isSame = (a: HidDevice, b: HidDevice): boolean => a.path === b.path && a.instance === b.instance;
const isThere = (devices: readonly HidDevice[], device: HidDevice): boolean =>
  devices.some((found) => isSame(found, device));
