/**
 * Line driver: devices on lines of bytes, a serial port or a socket: opens each line that is wanted, reopens what went away,
 * under whatever name the system gives it then, and leaves alone what it was told to. Must not know what the bytes mean.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { Bus, ByteSink, DeviceEvent, DeviceState, DeviceStatus, Driver, Schedule } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import { withPatience } from '../contract/patience.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';

export interface LinePorts {
  /** Opens a line; fails with device.absent, device.busy, device.denied, device.failed or device.driverMissing. */
  readonly open: (path: string) => Promise<Result<ByteTransport, DeviceError>>;
  /** Is the line's device file there? A line that vanished is given up even where the library says nothing. */
  readonly exists: (path: string) => boolean;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Paths that are pseudo-terminals of the simulated set. */
  readonly isSimulated: (path: string) => boolean;
}

/** How often absent lines are looked for, in milliseconds: a device plugged in again is back within 2 s. */
const lookEveryMs = 1_000;
/** Longest that start() waits for the first opening, and stop() for the last closing, in milliseconds. */
const patienceMs = 1_500;
/** Longest that a line which is let go stays open for what is still to be said on it, in milliseconds. */
const farewellMs = 500;
/** Lines that one driver serves at once. */
export const linesMax = 8;

/** `Own` is what the driver keeps of each line. */
export interface Line<Own> {
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
  opened: number;
  bytes: number;
  readonly own: Own;
}
export interface WantedLine {
  readonly identity: string;
  readonly path: string;
  readonly description: string;
}

/** Lines that the configuration names, each once: known by their names. */
export const namedLines = (names: readonly string[]): readonly WantedLine[] =>
  [...new Set(names)].map((path) => {
    const identity = printable(path);
    return { identity, path, description: identity };
  });

export abstract class LineDriver<Own> implements Driver {
  abstract readonly name: string;
  abstract readonly bus: Bus;
  /** What its devices are called: `scanner` gives scanner-1, scanner-2. */
  protected abstract readonly kind: string;
  /** What passes is never recorded but on a simulated box. */
  protected readonly sensitive: boolean = false;
  protected readonly lines: Line<Own>[] = [];
  protected readonly orders = new DeviceOrders();
  readonly #closing = new Set<Promise<void>>();
  /** Lines that are let go and still open for their last word. */
  readonly #leaving = new Set<Line<Own>>();
  protected emit: (event: DeviceEvent) => void = () => {};
  #stopped = false;
  #cancelLook: (() => void) | null = null;

  constructor(protected readonly ports: LinePorts) {}

  /** Lines that are to be served now. */
  protected abstract wanted(): readonly WantedLine[];
  /** What is kept of a line that was just found. */
  protected abstract fresh(): Own;
  /** The line is open. */
  protected abstract began(line: Line<Own>): void;
  protected abstract read(line: Line<Own>, chunk: Uint8Array): void;
  /** The line is about to be closed, or is gone; also where it never was open. */
  protected abstract left(line: Line<Own>): void;
  /**
   * The last word on a line that is still open and is let go by order; it is closed when this has ended, or after farewellMs.
   * Null: there is nothing to say. Comes before left().
   */
  protected farewell(_line: Line<Own>, _transport: ByteTransport): Promise<unknown> | null {
    return null;
  }
  /** Is the last word still owed to a line that is let go? It is then opened for that alone, and closed again. */
  protected owesFarewell(_line: Line<Own>): boolean {
    return false;
  }
  /** What of the configuration changes what is written or read; for recordings. */
  protected abstract settings(): unknown;
  protected abstract counters(own: Own): Readonly<Record<string, number>>;

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.emit = emit;
    await withPatience(this.#look(), patienceMs, this.ports.schedule);
  }

  statuses(): readonly DeviceStatus[] {
    return this.lines.map((line) => this.#status(line));
  }

  serve(identity: string, inService: boolean): void {
    if (!this.orders.serve(identity, inService)) return;
    this.orders.ordered(identity, () => ({ serve: inService }));
    const line = this.lines.find((each) => each.identity === identity);
    if (!line) return;
    if (!inService) this.#letGo(line, true);
    this.#settle(line);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.orders.listenIn(identity, sink);
    this.orders.about(identity, () => this.settings());
  }

  signal(): void {
    // A line of bytes has no light or sound that the box may use.
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    for (const line of this.lines) {
      this.#letGo(line, true);
      line.state = 'absent';
    }
    await withPatience([...this.#closing], patienceMs, this.ports.schedule);
  }

  /** One round: what is gone is let go, what is new gets a row, what is not open is tried. @returns the openings begun */
  #look(): readonly Promise<void>[] {
    const wanted = this.wanted();
    for (const line of this.lines) {
      const found = wanted.find(({ identity }) => identity === line.identity);
      const isHere = found !== undefined && this.ports.exists(found.path);
      const moved = found !== undefined && found.path !== line.path;
      if (line.isHere && (!isHere || moved)) this.gone(line, { code: 'device.closed', detail: 'the line went away' });
      if (found) Object.assign(line, { path: found.path, description: found.description });
      if (isHere && !line.isHere) {
        line.isHere = true;
        if (this.orders.isHeld(line.identity)) this.#settle(line);
      }
    }
    for (const found of wanted) this.#addLine(found);
    const openings = this.lines
      .filter((line) => line.isHere && !line.transport && !line.isOpening && !this.#leaving.has(line))
      .filter((line) => !this.orders.isHeld(line.identity) || this.owesFarewell(line))
      .map((line) => (this.orders.isHeld(line.identity) ? this.#visit(line) : this.#open(line)));
    this.#cancelLook = this.ports.schedule(lookEveryMs, () => {
      if (!this.#stopped) this.#look();
    });
    return openings;
  }

  #addLine({ identity, path, description }: WantedLine): void {
    if (this.lines.some((line) => line.identity === identity)) return;
    const isHere = this.ports.exists(path);
    const free = this.lines.length < linesMax ? null : this.lines.find((line) => !line.isHere && !line.isOpening);
    // All rows are taken: one whose device is gone serves the one that is here.
    if (free) Object.assign(free, { identity, path, description, isHere });
    else if (this.lines.length < linesMax)
      this.lines.push({
        ...{ identity, path, description, isHere, device: `${this.kind}-${this.lines.length + 1}`, state: 'absent' },
        ...{
          sinceWallMs: this.ports.clock.wallMs(),
          error: null,
          transport: null,
          isOpening: false,
          opened: 0,
          bytes: 0,
          own: this.fresh(),
        },
      });
    const line = this.lines.find((each) => each.identity === identity);
    if (line && (!isHere || this.orders.isHeld(identity))) this.#settle(line);
  }

  /** Opens a line that is held, says the last word on it, and closes it. */
  async #visit(line: Line<Own>): Promise<void> {
    line.isOpening = true;
    const opened = await this.ports.open(line.path);
    if (opened.ok) {
      const farewell = this.#stopped ? null : this.farewell(line, opened.value);
      this.#close(opened.value, farewell ? this.#part(line, farewell) : null);
    }
    line.isOpening = false;
  }

  async #open(line: Line<Own>): Promise<void> {
    const { path, identity } = line;
    line.isOpening = true;
    const opened = await this.ports.open(path);
    line.isOpening = false;
    const isWanted = !this.#stopped && line.identity === identity && !this.orders.isHeld(identity);
    if (!opened.ok) {
      const isAway = opened.error.code === 'device.absent' || opened.error.code === 'device.driverMissing';
      if (opened.error.code === 'device.absent') line.isHere = false;
      if (isWanted) this.set(line, isAway ? 'absent' : 'failing', opened.error);
      return;
    }
    const transport = opened.value;
    if (!isWanted || line.path !== path) {
      this.#close(transport);
      return;
    }
    line.transport = transport;
    line.isHere = true;
    line.opened += 1;
    this.orders.line(identity, 'opened');
    transport.onData((chunk) => {
      if (line.transport === transport) this.#read(line, chunk);
    });
    transport.onClosed((error) => {
      if (line.transport === transport && !this.#stopped) this.gone(line, error);
    });
    this.set(line, 'ready', null);
    this.began(line);
  }

  /** The line went away, or nobody speaks on it any more: closed, and opened anew by the next look that finds it. */
  protected gone(line: Line<Own>, error: DeviceError): void {
    this.#letGo(line, false);
    line.isHere = false;
    this.set(line, 'absent', error);
  }

  /** Held and there, held and away, or about to be opened by the next look. */
  #settle(line: Line<Own>): void {
    if (!line.isHere) this.set(line, 'absent', line.error ?? { code: 'device.absent', detail: line.description });
    else this.set(line, this.orders.isHeld(line.identity) ? 'disabled' : 'opening', null);
  }

  /** An open line that does not do what it should: it is closed, and opened anew by a later look. */
  protected fail(line: Line<Own>, error: DeviceError): void {
    this.#letGo(line, true);
    this.set(line, 'failing', error);
  }

  /** @param isOpen false: nothing can be said on it any more */
  #letGo(line: Line<Own>, isOpen: boolean): void {
    const { transport } = line;
    const farewell = isOpen && transport ? this.farewell(line, transport) : null;
    this.left(line);
    line.transport = null;
    if (transport) this.orders.line(line.identity, 'closed');
    if (transport) this.#close(transport, farewell ? this.#part(line, farewell) : null);
  }

  async #part(line: Line<Own>, farewell: Promise<unknown>): Promise<void> {
    this.#leaving.add(line);
    await withPatience([farewell.then(() => {})], farewellMs, this.ports.schedule);
    this.#leaving.delete(line);
  }

  #close(transport: ByteTransport, parting: Promise<void> | null = null): void {
    const closed = parting ? parting.then(() => transport.close()) : transport.close();
    const closing = closed.finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #read(line: Line<Own>, chunk: Uint8Array): void {
    this.orders.passed(line.identity, 'in', chunk);
    line.bytes += chunk.length;
    this.read(line, chunk);
  }

  /** Says what became of the line, where that is news. */
  protected set(line: Line<Own>, state: DeviceState, error: DeviceStatus['error']): void {
    if (line.state === state && line.error?.code === error?.code && line.error?.detail === error?.detail) return;
    line.state = state;
    line.error = error;
    line.sinceWallMs = this.ports.clock.wallMs();
    this.emit({ type: 'deviceStateChanged', status: this.#status(line) });
  }

  #status(line: Line<Own>): DeviceStatus {
    return {
      device: line.device,
      bus: this.bus,
      identity: line.identity,
      sensitive: this.sensitive,
      state: line.state,
      description: line.description,
      simulated: this.ports.isSimulated(line.path),
      sinceWallMs: line.sinceWallMs,
      error: line.error,
      counters: { ...this.counters(line.own), opened: line.opened, bytes: line.bytes },
    };
  }
}
