/**
 * Scanners on HID, in HID POS or keyboard mode: opens every allowed one that is plugged in, turns its reports into codes,
 * and reopens what went away under its old name. Must not know what a code means, and opens nothing that device-rules.ts does not allow.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { ByteSink, DeviceEvent, DeviceState, DeviceStatus, Driver, Schedule } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import type { DeviceError } from '../contract/transport.js';
import {
  describeDevice,
  type HidScannerOptions,
  identityOf,
  isMeant,
  judgeDevice,
  type Reading,
  supervisedIdentity,
} from './device-rules.js';
import type { ReportTransport } from './hid-transport.js';
import type { HidDevice } from './hidraw-sysfs.js';
import type { ReadCodes, ReportReader } from './report-reader.js';

export interface HidScannerPorts {
  /** HID devices that are there now; must not open any. */
  readonly look: () => readonly HidDevice[];
  /** Opens a device; fails with device.absent, device.busy, device.denied or device.failed. */
  readonly open: (path: string) => Promise<Result<ReportTransport, DeviceError>>;
  /** Takes a keyboard from the rest of the system; fails where its keys would go on reaching it. */
  readonly silence: (device: HidDevice) => Result<void, DeviceError>;
  readonly clock: Clock;
  readonly schedule: Schedule;
}

/** How often devices are looked for, in milliseconds: a scanner plugged in again is back within 2 s. */
const lookEveryMs = 1_000;
/** Longest that start() waits for the first opening, and stop() for the last closing, in milliseconds. */
const patienceMs = 1_500;
/** Scanners served at once. */
export const hidScannersMax = 8;

const unknownLayout: DeviceError = {
  code: 'device.unsupported',
  detail: 'a scanner whose reports have an unknown layout: switch it to serial mode',
};

interface Scanner {
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
  codes: number;
  dropped: number;
  opened: number;
  reports: number;
}

export class HidScannerDriver implements Driver {
  readonly name = 'hid-scanner';
  readonly bus = 'hid';
  readonly #scanners: Scanner[] = [];
  readonly #orders = new DeviceOrders();
  #emit: (event: DeviceEvent) => void = () => {};
  #stopped = false;
  #cancelLook: (() => void) | null = null;
  readonly #closing = new Set<Promise<void>>();

  constructor(
    private readonly options: HidScannerOptions,
    private readonly ports: HidScannerPorts,
  ) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
    if (!this.options.enabled) return;
    const named = [...this.options.devices, ...this.options.keyboards];
    for (const pattern of named.slice(0, hidScannersMax)) this.#addScanner(pattern);
    await this.#withPatience(this.#look());
    for (const scanner of this.#scanners)
      if (scanner.plugged === null)
        this.#set(scanner, 'absent', { code: 'device.absent', detail: scanner.description });
  }

  statuses(): readonly DeviceStatus[] {
    return this.#scanners.map((scanner) => this.#status(scanner));
  }

  serve(identity: string, inService: boolean): void {
    if (!this.#orders.serve(identity, inService)) return;
    const scanner = this.#scanners.find((each) => each.identity === identity);
    if (!scanner) return;
    if (!inService) this.#letGo(scanner);
    if (scanner.plugged) this.#settle(scanner);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.#orders.listenIn(identity, sink);
    const plugged = this.#scanners.find((each) => each.identity === identity)?.plugged;
    if (sink && plugged) sink('about', plugged.descriptor);
  }

  signal(): void {
    // HID POS has light and sound of its own for a good read; none that the box may use.
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    for (const scanner of this.#scanners) {
      this.#letGo(scanner);
      scanner.state = 'absent';
    }
    await this.#withPatience([...this.#closing]);
  }

  /** Waits for all of them, but not for a device that hangs. */
  async #withPatience(all: readonly Promise<void>[]): Promise<void> {
    if (all.length === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.ports.schedule(patienceMs, resolve);
      void Promise.all(all).then(() => {
        cancel();
        resolve();
      });
    });
  }

  /** One round: what is gone is let go, what is new gets a row, what is not open is tried. @returns the openings begun */
  #look(): readonly Promise<void>[] {
    const devices = this.ports.look();
    for (const scanner of this.#scanners)
      if (scanner.plugged && !isThere(devices, scanner.plugged)) this.#unplugged(scanner);
    for (const device of devices) {
      const judged = judgeDevice(device, this.options);
      if (judged.verdict === 'scanner') this.#plug(device, judged.reading);
      if (judged.verdict === 'unsupported') this.#plug(device, null);
    }
    for (const scanner of this.#scanners) if (scanner.transport) this.#stillSilent(scanner);
    const openings = this.#scanners.flatMap((scanner) =>
      scanner.plugged && scanner.reading && !scanner.transport && !scanner.isOpening && !this.#isHeld(scanner)
        ? [this.#open(scanner, scanner.plugged)]
        : [],
    );
    this.#cancelLook = this.ports.schedule(lookEveryMs, () => {
      if (!this.#stopped) this.#look();
    });
    return openings;
  }

  /** Gives a device that has no row yet the row that it had before, one that waits for it, or a new one. */
  #plug(device: HidDevice, reading: Reading | null): void {
    if (this.#scanners.some(({ plugged }) => plugged !== null && isSame(plugged, device))) return;
    const free = this.#scanners.filter(
      (scanner) => scanner.plugged === null && !scanner.isOpening && isMeant(scanner.pattern, device),
    );
    const scanner =
      free.find(({ socket }) => socket === device.socket) ??
      free[0] ??
      this.#addScanner(identityOf(device)) ??
      // All rows are taken: one whose scanner is gone serves the one that is here.
      this.#scanners.find(({ plugged, isOpening }) => plugged === null && !isOpening);
    if (!scanner) return;
    scanner.pattern = identityOf(device);
    scanner.plugged = device;
    scanner.socket = device.socket;
    scanner.description = describeDevice(device);
    scanner.reading = reading;
    scanner.identity = supervisedIdentity(device);
    if (reading === null || this.#isHeld(scanner)) this.#settle(scanner);
  }

  #isHeld(scanner: Scanner): boolean {
    return this.#orders.isHeld(scanner.identity);
  }

  /** Plugged in, and held, unreadable, or about to be opened by the next look. */
  #settle(scanner: Scanner): void {
    if (this.#isHeld(scanner)) this.#set(scanner, 'disabled', null);
    else if (scanner.reading === null) this.#set(scanner, 'failing', unknownLayout);
    else this.#set(scanner, 'opening', null);
  }

  #addScanner(pattern: string): Scanner | null {
    if (this.#scanners.length >= hidScannersMax) return null;
    const scanner: Scanner = {
      device: `hid-scanner-${this.#scanners.length + 1}`,
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
      codes: 0,
      dropped: 0,
      opened: 0,
      reports: 0,
    };
    this.#scanners.push(scanner);
    return scanner;
  }

  /** A keyboard that anything else can hear is not read here. @returns whether nothing can */
  #stillSilent(scanner: Scanner): boolean {
    if (!scanner.plugged || !scanner.reading?.types) return true;
    const silenced = this.ports.silence(scanner.plugged);
    if (silenced.ok) return true;
    this.#letGo(scanner);
    this.#set(scanner, 'failing', silenced.error);
    return false;
  }

  async #open(scanner: Scanner, device: HidDevice): Promise<void> {
    if (!this.#stillSilent(scanner)) return;
    scanner.isOpening = true;
    const opened = await this.ports.open(device.path);
    scanner.isOpening = false;
    if (!opened.ok) {
      const isAway = opened.error.code === 'device.absent' || opened.error.code === 'device.driverMissing';
      if (!this.#stopped && scanner.plugged === device && !this.#isHeld(scanner))
        this.#set(scanner, isAway ? 'absent' : 'failing', opened.error);
      return;
    }
    const transport = opened.value;
    // Its file may belong to another device by now, a keyboard even: what was judged must still be the one there.
    if (this.#stopped || this.#isHeld(scanner) || scanner.plugged !== device || !isThere(this.ports.look(), device)) {
      this.#close(transport);
      return;
    }
    scanner.transport = transport;
    scanner.reader = scanner.reading?.reader() ?? null;
    scanner.opened += 1;
    transport.onReport((report) => {
      if (scanner.transport === transport) this.#read(scanner, report);
    });
    transport.onClosed((error) => {
      if (scanner.transport !== transport || this.#stopped) return;
      this.#letGo(scanner);
      this.#set(scanner, 'absent', error);
    });
    this.#set(scanner, 'ready', null);
  }

  #unplugged(scanner: Scanner): void {
    this.#letGo(scanner);
    scanner.plugged = null;
    this.#set(scanner, 'absent', { code: 'device.closed', detail: 'unplugged' });
  }

  /** Ends reading; half a scan goes with it. */
  #letGo(scanner: Scanner): void {
    scanner.cancelGap?.();
    scanner.cancelGap = null;
    scanner.dropped += scanner.reader?.end() ?? 0;
    scanner.reader = null;
    const { transport } = scanner;
    scanner.transport = null;
    if (transport) this.#close(transport);
  }

  #close(transport: ReportTransport): void {
    const closing = transport.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #read(scanner: Scanner, report: Uint8Array): void {
    const { reader, reading } = scanner;
    if (!reader || !reading) return;
    this.#orders.passed(scanner.identity, 'in', report);
    scanner.reports += 1;
    scanner.cancelGap?.();
    scanner.cancelGap = null;
    this.#report(scanner, reader.read(report));
    if (!reader.isOpen) return;
    scanner.cancelGap = this.ports.schedule(reading.gapMs, () => this.#report(scanner, reader.gap()));
  }

  #report(scanner: Scanner, { codes, dropped }: ReadCodes): void {
    scanner.dropped += dropped;
    scanner.codes += codes.length;
    for (const code of codes) this.#emit({ type: 'codeScanned', device: scanner.device, ...code });
  }

  #set(scanner: Scanner, state: DeviceState, error: DeviceStatus['error']): void {
    if (scanner.state === state && scanner.error?.detail === error?.detail) return;
    scanner.state = state;
    scanner.error = error;
    scanner.sinceWallMs = this.ports.clock.wallMs();
    this.#emit({ type: 'deviceStateChanged', status: this.#status(scanner) });
  }

  #status(scanner: Scanner): DeviceStatus {
    return {
      device: scanner.device,
      bus: 'hid',
      identity: scanner.identity,
      sensitive: false,
      state: scanner.state,
      description: scanner.description,
      simulated: false,
      sinceWallMs: scanner.sinceWallMs,
      error: scanner.error,
      counters: { codes: scanner.codes, dropped: scanner.dropped, opened: scanner.opened, reports: scanner.reports },
    };
  }
}

const isSame = (a: HidDevice, b: HidDevice): boolean => a.path === b.path && a.instance === b.instance;
const isThere = (devices: readonly HidDevice[], device: HidDevice): boolean =>
  devices.some((found) => isSame(found, device));
