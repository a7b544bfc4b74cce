/**
 * Scanners on serial lines: opens each configured or recognised line, turns its bytes into codes, and reopens what went
 * away. Must not know what a code means.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { DeviceEvent, DeviceState, DeviceStatus, Driver, Schedule } from '../contract/driver.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { emptyLine, endOfGap, readScanLine, type ScanLineState } from '../protocols/scan-line/scan-line.js';

export interface ScannerOptions {
  readonly paths: readonly string[];
  readonly ignoredPaths: readonly string[];
  readonly baud: number;
  readonly idleGapMs: number;
}

export interface ScannerPorts {
  /** Opens a line; fails with device.absent, device.busy, device.denied or device.failed. */
  readonly open: (path: string, baud: number) => Promise<Result<ByteTransport, DeviceError>>;
  /** Lines whose scanner is recognised by what it says of itself. */
  readonly discover: () => Promise<readonly string[]>;
  /** Is the line's device file there? A line that vanished is given up even where the library says nothing. */
  readonly exists: (path: string) => boolean;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Paths that are pseudo-terminals of the simulated set. */
  readonly isSimulated: (path: string) => boolean;
}

/** How often absent lines are looked for, in milliseconds: a scanner plugged in again is back within 2 s. */
const lookEveryMs = 1_000;
/** Lines served at once. */
export const scannersMax = 8;

interface Line {
  readonly device: string;
  readonly path: string;
  state: DeviceState;
  sinceWallMs: DeviceStatus['sinceWallMs'];
  error: DeviceStatus['error'];
  transport: ByteTransport | null;
  read: ScanLineState;
  cancelGap: (() => void) | null;
  codes: number;
  dropped: number;
  opened: number;
}

export class SerialScannerDriver implements Driver {
  readonly bus = 'serial';
  readonly #lines = new Map<string, Line>();
  #emit: (event: DeviceEvent) => void = () => {};
  #stopped = false;
  #cancelLook: (() => void) | null = null;

  constructor(
    private readonly options: ScannerOptions,
    private readonly ports: ScannerPorts,
  ) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
    await this.#look();
  }

  statuses(): readonly DeviceStatus[] {
    return [...this.#lines.values()].map((line) => this.#status(line));
  }

  signal(): void {
    // A serial scanner has no light or sound that the box may use.
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelLook?.();
    await Promise.all(
      [...this.#lines.values()].map(async (line) => {
        const { transport } = line;
        this.#lost(line);
        line.state = 'absent';
        await transport?.close();
      }),
    );
  }

  /** One round: configured and recognised lines that are not open are tried. */
  async #look(): Promise<void> {
    const { paths, ignoredPaths } = this.options;
    const wanted = paths.length > 0 ? paths : await this.ports.discover();
    for (const path of wanted) {
      if (!ignoredPaths.includes(path) && !this.#lines.has(path) && this.#lines.size < scannersMax)
        this.#lines.set(path, this.#newLine(path));
    }
    await Promise.all([...this.#lines.values()].map((line) => this.#attend(line)));
    if (!this.#stopped) this.#cancelLook = this.ports.schedule(lookEveryMs, () => void this.#look());
  }

  async #attend(line: Line): Promise<void> {
    const { transport } = line;
    if (transport === null) return this.#open(line);
    if (this.ports.exists(line.path)) return;
    this.#lost(line);
    this.#set(line, 'absent', { code: 'device.closed', detail: 'the line went away' });
    await transport.close();
  }

  #lost(line: Line): void {
    line.transport = null;
    line.cancelGap?.();
    line.cancelGap = null;
  }

  #newLine(path: string): Line {
    return {
      path,
      device: `scanner-${this.#lines.size + 1}`,
      state: 'absent',
      sinceWallMs: this.ports.clock.wallMs(),
      error: null,
      transport: null,
      read: emptyLine,
      cancelGap: null,
      codes: 0,
      dropped: 0,
      opened: 0,
    };
  }

  async #open(line: Line): Promise<void> {
    const opened = await this.ports.open(line.path, this.options.baud);
    if (!opened.ok) {
      this.#set(line, opened.error.code === 'device.absent' ? 'absent' : 'failing', opened.error);
      return;
    }
    if (this.#stopped) {
      await opened.value.close();
      return;
    }
    line.transport = opened.value;
    line.read = emptyLine;
    line.opened += 1;
    const transport = opened.value;
    transport.onData((chunk) => this.#read(line, chunk));
    transport.onClosed((error) => {
      if (line.transport !== transport || this.#stopped) return;
      this.#lost(line);
      this.#set(line, 'absent', error);
    });
    this.#set(line, 'ready', null);
  }

  #read(line: Line, chunk: Uint8Array): void {
    line.cancelGap?.();
    line.cancelGap = null;
    const step = readScanLine(line.read, chunk);
    line.read = step.state;
    line.dropped += step.dropped;
    for (const code of step.codes) {
      line.codes += 1;
      this.#emit({ type: 'codeScanned', device: line.device, code });
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
      state: line.state,
      description: printable(line.path),
      simulated: this.ports.isSimulated(line.path),
      sinceWallMs: line.sinceWallMs,
      error: line.error,
      counters: { codes: line.codes, dropped: line.dropped, opened: line.opened },
    };
  }
}
