/**
 * Scanners on serial lines: opens each configured or recognised line, turns its bytes into codes, and reopens what went
 * away, under whatever name the system gives it then. Must not know what a code means.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { ByteSink, DeviceEvent, DeviceState, DeviceStatus, Driver, Schedule } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { serialFingerprint } from '../fingerprints.js';
import { emptyLine, endOfGap, readScanLine, type ScanLineState } from '../protocols/scan-line/scan-line.js';
import { scannedText } from '../protocols/scan-line/scanned-text.js';
import { identityOfLine, type UsbLine } from './tty-sysfs.js';

export interface ScannerOptions {
  readonly paths: readonly string[];
  readonly ignoredPaths: readonly string[];
  readonly baud: number;
  readonly idleGapMs: number;
  readonly prefixes: readonly string[];
  readonly suffixes: readonly string[];
}

export interface ScannerPorts {
  /** Opens a line; fails with device.absent, device.busy, device.denied, device.failed or device.driverMissing. */
  readonly open: (path: string, baud: number) => Promise<Result<ByteTransport, DeviceError>>;
  /** USB lines that are there now; must not open any. */
  readonly look: () => readonly UsbLine[];
  /** Is the line's device file there? A line that vanished is given up even where the library says nothing. */
  readonly exists: (path: string) => boolean;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Paths that are pseudo-terminals of the simulated set. */
  readonly isSimulated: (path: string) => boolean;
}

/** How often absent lines are looked for, in milliseconds: a scanner plugged in again is back within 2 s. */
const lookEveryMs = 1_000;
/** Longest that start() waits for the first opening, and stop() for the last closing, in milliseconds. */
const patienceMs = 1_500;
/** Lines served at once. */
export const scannersMax = 8;

interface Line {
  readonly device: string;
  /** A configured path, or what the line says of itself. */
  identity: string;
  /** Where it is now; for a recognised line another one after each replug. */
  path: string;
  description: string;
  isHere: boolean;
  state: DeviceState;
  sinceWallMs: DeviceStatus['sinceWallMs'];
  error: DeviceStatus['error'];
  transport: ByteTransport | null;
  isOpening: boolean;
  read: ScanLineState;
  cancelGap: (() => void) | null;
  codes: number;
  dropped: number;
  opened: number;
  bytes: number;
}

interface Wanted {
  readonly identity: string;
  readonly path: string;
  readonly description: string;
}

export class SerialScannerDriver implements Driver {
  readonly name = 'serial-scanner';
  readonly bus = 'serial';
  readonly #lines: Line[] = [];
  readonly #orders = new DeviceOrders();
  readonly #closing = new Set<Promise<void>>();
  #emit: (event: DeviceEvent) => void = () => {};
  #stopped = false;
  #cancelLook: (() => void) | null = null;

  constructor(
    private readonly options: ScannerOptions,
    private readonly ports: ScannerPorts,
  ) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
    await this.#withPatience(this.#look());
  }

  statuses(): readonly DeviceStatus[] {
    return this.#lines.map((line) => this.#status(line));
  }

  serve(identity: string, inService: boolean): void {
    if (!this.#orders.serve(identity, inService)) return;
    const line = this.#lines.find((each) => each.identity === identity);
    if (!line) return;
    if (!inService) this.#letGo(line);
    this.#settle(line);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.#orders.listenIn(identity, sink);
  }

  signal(): void {
    // A serial scanner has no light or sound that the box may use.
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    for (const line of this.#lines) {
      this.#letGo(line);
      line.state = 'absent';
    }
    await this.#withPatience([...this.#closing]);
  }

  /** Waits for all of them, but not for a line that hangs. */
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
    const wanted = this.#wanted();
    for (const line of this.#lines) {
      const found = wanted.find(({ identity }) => identity === line.identity);
      const isHere = found !== undefined && this.ports.exists(found.path);
      const moved = found !== undefined && found.path !== line.path;
      if (line.isHere && (!isHere || moved)) this.#gone(line, { code: 'device.closed', detail: 'the line went away' });
      if (found) line.path = found.path;
      if (isHere && !line.isHere) {
        line.isHere = true;
        if (this.#orders.isHeld(line.identity)) this.#settle(line);
      }
    }
    for (const found of wanted) this.#addLine(found);
    const openings = this.#lines
      .filter((line) => line.isHere && !line.transport && !line.isOpening && !this.#orders.isHeld(line.identity))
      .map((line) => this.#open(line));
    this.#cancelLook = this.ports.schedule(lookEveryMs, () => {
      if (!this.#stopped) this.#look();
    });
    return openings;
  }

  /** Lines to be served: the configured ones, or where none is, every one whose scanner is known. */
  #wanted(): readonly Wanted[] {
    const { paths, ignoredPaths } = this.options;
    if (paths.length > 0)
      return [...new Set(paths)]
        .filter((path) => !ignoredPaths.includes(path))
        .map((path) => ({ identity: printable(path), path, description: printable(path) }));
    return this.ports.look().flatMap((line) => {
      const isIgnored = ignoredPaths.includes(line.path) || ignoredPaths.includes(line.lastingPath ?? line.path);
      if (isIgnored || !serialFingerprint(line.vendorId, line.productId)) return [];
      const identity = printable(identityOfLine(line));
      return [{ identity, path: line.path, description: printable(`${line.name || 'scanner'} (${identity})`) }];
    });
  }

  #addLine({ identity, path, description }: Wanted): void {
    if (this.#lines.some((line) => line.identity === identity)) return;
    const isHere = this.ports.exists(path);
    const free = this.#lines.length < scannersMax ? null : this.#lines.find((line) => !line.isHere && !line.isOpening);
    // All rows are taken: one whose scanner is gone serves the one that is here.
    if (free) Object.assign(free, { identity, path, description, isHere });
    else if (this.#lines.length < scannersMax)
      this.#lines.push({
        ...{ identity, path, description, isHere, device: `scanner-${this.#lines.length + 1}`, state: 'absent' },
        ...{ sinceWallMs: this.ports.clock.wallMs(), error: null, transport: null, isOpening: false, read: emptyLine },
        ...{ cancelGap: null, codes: 0, dropped: 0, opened: 0, bytes: 0 },
      });
    const line = this.#lines.find((each) => each.identity === identity);
    if (line && (!isHere || this.#orders.isHeld(identity))) this.#settle(line);
  }

  async #open(line: Line): Promise<void> {
    const { path, identity } = line;
    line.isOpening = true;
    const opened = await this.ports.open(path, this.options.baud);
    line.isOpening = false;
    const isWanted = !this.#stopped && line.identity === identity && !this.#orders.isHeld(identity);
    if (!opened.ok) {
      const isAway = opened.error.code === 'device.absent' || opened.error.code === 'device.driverMissing';
      if (opened.error.code === 'device.absent') line.isHere = false;
      if (isWanted) this.#set(line, isAway ? 'absent' : 'failing', opened.error);
      return;
    }
    const transport = opened.value;
    if (!isWanted || line.path !== path) {
      this.#close(transport);
      return;
    }
    line.transport = transport;
    line.isHere = true;
    line.read = emptyLine;
    line.opened += 1;
    transport.onData((chunk) => {
      if (line.transport === transport) this.#read(line, chunk);
    });
    transport.onClosed((error) => {
      if (line.transport === transport && !this.#stopped) this.#gone(line, error);
    });
    this.#set(line, 'ready', null);
  }

  #gone(line: Line, error: DeviceError): void {
    this.#letGo(line);
    line.isHere = false;
    this.#set(line, 'absent', error);
  }

  /** Held and there, held and away, or about to be opened by the next look. */
  #settle(line: Line): void {
    if (!line.isHere) this.#set(line, 'absent', line.error ?? { code: 'device.absent', detail: line.description });
    else this.#set(line, this.#orders.isHeld(line.identity) ? 'disabled' : 'opening', null);
  }

  /** Ends reading; half a code goes with it. */
  #letGo(line: Line): void {
    line.cancelGap?.();
    line.cancelGap = null;
    line.dropped += endOfGap(line.read).dropped;
    line.read = emptyLine;
    const { transport } = line;
    line.transport = null;
    if (transport) this.#close(transport);
  }

  #close(transport: ByteTransport): void {
    const closing = transport.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #read(line: Line, chunk: Uint8Array): void {
    this.#orders.passed(line.identity, 'in', chunk);
    line.cancelGap?.();
    line.cancelGap = null;
    line.bytes += chunk.length;
    const step = readScanLine(line.read, chunk);
    line.read = step.state;
    line.dropped += step.dropped;
    for (const text of step.codes) {
      const scanned = scannedText(text, this.options);
      if (!scanned) continue;
      line.codes += 1;
      this.#emit({ type: 'codeScanned', device: line.device, ...scanned });
    }
    if (step.state.partial === '' && !step.state.spoilt) return;
    line.cancelGap = this.ports.schedule(this.options.idleGapMs, () => {
      const gap = endOfGap(line.read);
      line.read = gap.state;
      line.dropped += gap.dropped;
    });
  }

  #set(line: Line, state: DeviceState, error: DeviceStatus['error']): void {
    if (line.state === state && line.error?.detail === error?.detail) return;
    line.state = state;
    line.error = error;
    line.sinceWallMs = this.ports.clock.wallMs();
    this.#emit({ type: 'deviceStateChanged', status: this.#status(line) });
  }

  #status(line: Line): DeviceStatus {
    return {
      device: line.device,
      bus: 'serial',
      identity: line.identity,
      sensitive: false,
      state: line.state,
      description: line.description,
      simulated: this.ports.isSimulated(line.path),
      sinceWallMs: line.sinceWallMs,
      error: line.error,
      counters: { codes: line.codes, dropped: line.dropped, opened: line.opened, bytes: line.bytes },
    };
  }
}
