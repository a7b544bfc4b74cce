/**
 * Scanners on serial lines: turns the bytes of each configured or recognised line into codes. Must not know what a code means.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { serialFingerprint } from '../fingerprints.js';
import { emptyLine, endOfGap, readScanLine, type ScanLineState } from '../protocols/scan-line/scan-line.js';
import { scannedText } from '../protocols/scan-line/scanned-text.js';
import { type Line, LineDriver, type LinePorts, type WantedLine } from './line-driver.js';
import { identityOfLine, type UsbLine } from './tty-sysfs.js';

export interface ScannerOptions {
  readonly paths: readonly string[];
  readonly ignoredPaths: readonly string[];
  readonly baud: number;
  readonly idleGapMs: number;
  readonly prefixes: readonly string[];
  readonly suffixes: readonly string[];
}

export interface ScannerPorts extends Omit<LinePorts, 'open'> {
  readonly open: (path: string, baud: number) => Promise<Result<ByteTransport, DeviceError>>;
  /** USB lines that are there now; must not open any. */
  readonly look: () => readonly UsbLine[];
}

interface Reading {
  read: ScanLineState;
  cancelGap: (() => void) | null;
  codes: number;
  dropped: number;
}

export class SerialScannerDriver extends LineDriver<Reading> {
  readonly name = 'serial-scanner';
  readonly bus = 'serial';
  protected readonly kind = 'scanner';
  readonly #look: ScannerPorts['look'];

  constructor(
    private readonly options: ScannerOptions,
    ports: ScannerPorts,
  ) {
    super({ ...ports, open: (path) => ports.open(path, options.baud) });
    this.#look = ports.look;
  }

  /** Lines to be served: the configured ones, or where none is, every one whose scanner is known. */
  protected wanted(): readonly WantedLine[] {
    const { paths, ignoredPaths } = this.options;
    if (paths.length > 0)
      return [...new Set(paths)]
        .filter((path) => !ignoredPaths.includes(path))
        .map((path) => ({ identity: printable(path), path, description: printable(path) }));
    return this.#look().flatMap((line) => {
      const isIgnored = ignoredPaths.includes(line.path) || ignoredPaths.includes(line.lastingPath ?? line.path);
      if (isIgnored || !serialFingerprint(line.vendorId, line.productId)) return [];
      const identity = printable(identityOfLine(line));
      return [{ identity, path: line.path, description: printable(`${line.name || 'scanner'} (${identity})`) }];
    });
  }

  protected fresh(): Reading {
    return { read: emptyLine, cancelGap: null, codes: 0, dropped: 0 };
  }

  protected began({ own }: Line<Reading>): void {
    own.read = emptyLine;
  }

  /** Half a code goes with its line. */
  protected left({ own }: Line<Reading>): void {
    own.cancelGap?.();
    own.cancelGap = null;
    own.dropped += endOfGap(own.read).dropped;
    own.read = emptyLine;
  }

  protected read({ device, own }: Line<Reading>, chunk: Uint8Array): void {
    own.cancelGap?.();
    own.cancelGap = null;
    const step = readScanLine(own.read, chunk);
    own.read = step.state;
    own.dropped += step.dropped;
    for (const text of step.codes) {
      const scanned = scannedText(text, this.options);
      if (!scanned) continue;
      own.codes += 1;
      this.emit({ type: 'codeScanned', device, ...scanned });
    }
    if (step.state.partial === '' && !step.state.spoilt) return;
    own.cancelGap = this.ports.schedule(this.options.idleGapMs, () => {
      const gap = endOfGap(own.read);
      own.read = gap.state;
      own.dropped += gap.dropped;
    });
  }

  protected settings(): unknown {
    const { baud, idleGapMs, prefixes, suffixes } = this.options;
    return { baud, idleGapMs, prefixes, suffixes };
  }
  protected counters({ codes, dropped }: Reading): Readonly<Record<string, number>> {
    return { codes, dropped };
  }
}
