/**
 * Serial line: keeps the console on one configured serial port, which may go away and come back. A port that came back
 * begins at the PIN. Opens only the configured path; must not list ports, which ends the process where udevadm is missing. The
 * library is loaded with the first opening: where it cannot be loaded, the box runs without this line.
 */
import type { SerialPort } from 'serialport';
import { printable } from '../kernel/redaction.js';
import type { Dialogue } from './dialogue.js';
import { type Schedule, Session } from './session.js';
import type { OpenLine } from './socket-line.js';

const reopenFirstMs = 1_000;
const reopenMostMs = 30_000;

export interface SerialLineParts {
  readonly path: string;
  readonly baud: number;
  readonly dialogue: () => Dialogue;
  readonly schedule: Schedule;
  readonly idleMs: number;
  readonly onBug: (error: unknown) => void;
  /** Told when the line opened or went away; `detail` is empty when it is open. */
  readonly onState: (open: boolean, detail: string) => void;
}

/** Starts serving the serial port, now or as soon as it is there. */
export function openSerialLine(parts: SerialLineParts): OpenLine {
  return new SerialLine(parts);
}

class SerialLine implements OpenLine {
  readonly #parts: SerialLineParts;
  #port: SerialPort | null = null;
  #session: Session | null = null;
  #waitMs = reopenFirstMs;
  #cancelReopen: () => void = () => undefined;
  #closed = false;
  #lastDetail: string | null = null;

  constructor(parts: SerialLineParts) {
    this.#parts = parts;
    void this.#open();
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#cancelReopen();
    this.#session?.close('closing');
    this.#session = null;
    const port = this.#port;
    this.#port = null;
    return new Promise((resolve) => {
      if (!port?.isOpen) resolve();
      else port.close(() => resolve());
    });
  }

  async #open(): Promise<void> {
    const library = await import('serialport').catch((error: unknown) =>
      error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unknown',
    );
    if (this.#closed) return;
    if (typeof library === 'string') {
      this.#failed(`serialport cannot be loaded: ${library}`);
      return;
    }
    const port = new library.SerialPort({
      path: this.#parts.path,
      baudRate: this.#parts.baud,
      autoOpen: false,
      lock: true,
    });
    this.#port = port;
    port.on('error', (error) => this.#lost(port, error.message));
    port.on('close', (error: Error | null) => this.#lost(port, error?.message ?? 'closed'));
    port.open((error) => {
      if (error) this.#lost(port, error.message);
      else if (this.#closed) port.close();
      else this.#opened(port);
    });
  }

  #opened(port: SerialPort): void {
    this.#waitMs = reopenFirstMs;
    this.#lastDetail = null;
    this.#parts.onState(true, '');
    const { dialogue, schedule, idleMs, onBug } = this.#parts;
    this.#session = new Session({ stream: port, dialogue: dialogue(), schedule, idleMs, afterLogout: 'begin', onBug });
    this.#session.begin();
  }

  #lost(port: SerialPort, why: string): void {
    if (port !== this.#port || this.#closed) return;
    this.#port = null;
    this.#session?.close('lineLost');
    this.#session = null;
    if (port.isOpen) port.close(() => undefined);
    this.#failed(why);
  }

  #failed(why: string): void {
    const detail = printable(why, 120);
    // The same trouble at each try is told once.
    if (detail !== this.#lastDetail) this.#parts.onState(false, detail);
    this.#lastDetail = detail;
    this.#cancelReopen = this.#parts.schedule(this.#waitMs, () => void this.#open());
    this.#waitMs = Math.min(reopenMostMs, this.#waitMs * 2);
  }
}
