/**
 * Printer talk: the conversation with one open ESC/POS printer: what keeps it from printing, and one slip, at most once.
 * Must not open the line, nor print anything again.
 */
import { type Bytes, concat } from '../../terminal/kernel/bytes.js';
import type { Schedule } from '../contract/driver.js';
import type { ByteTransport, DeviceError, DeviceErrorCode } from '../contract/transport.js';
import { askWhenPrinted } from '../protocols/escpos/print-job.js';
import {
  askStatus,
  isPrintedByte,
  isStatusByte,
  type PrinterStatus,
  type PrinterTrouble,
  readStatus,
  type StatusKind,
  saysPaperOut,
  statusKinds,
} from '../protocols/escpos/printer-status.js';

/** What became of a slip on one printer. */
export type SlipEnd =
  /** sent: the printer says nothing of itself. */
  { readonly printed: 'whole' | 'sent' } | { readonly printed: 'nothing' | 'unknown'; readonly error: DeviceError };

/** How long a printer has to answer what it answers at once. */
const statusTimeoutMs = 1_000;
/** How long a slip may take: feeding and cutting, and a millisecond for each byte of it, which is 9,600 baud. */
const printTimeoutMs = 15_000;

const codes: Readonly<Record<PrinterTrouble, DeviceErrorCode>> = {
  coverOpen: 'device.coverOpen',
  paperOut: 'device.paperOut',
  failed: 'device.failed',
};
/** What the status means for who wants to print; null: nothing is in the way. `status` null: it did not answer. */
export function troubleOf(status: PrinterStatus | null): DeviceError | null {
  if (!status)
    return { code: 'device.timedOut', detail: 'no answer to DLE EOT; printers.answers = false if it has none' };
  return status.trouble === null ? null : { code: codes[status.trouble], detail: '' };
}
const cut: DeviceError = { code: 'device.closed', detail: 'the line went away while it printed' };

export class PrinterTalk {
  #heard: ((byte: number) => void) | null = null;
  /** Ends what is being waited for. */
  #leave: () => void = () => {};
  #left = false;

  /** @param answers false: the printer never sends anything, and is not asked */
  constructor(
    private readonly write: ByteTransport['write'],
    private readonly schedule: Schedule,
    private readonly answers: boolean,
  ) {}

  /** Bytes from the printer; what nobody waits for is dropped. */
  hear(chunk: Bytes): void {
    for (const byte of chunk) this.#heard?.(byte);
  }

  /** The line is gone. */
  left(): void {
    this.#left = true;
    this.#leave();
  }

  /** Null: it does not answer, or the line went away. */
  async status(): Promise<PrinterStatus | null> {
    const answers: Record<StatusKind, number> = { printer: 0, offline: 0, paper: 0 };
    for (const kind of statusKinds) {
      const byte = await this.#exchange(askStatus(kind), isStatusByte, statusTimeoutMs);
      if (typeof byte !== 'number') return null;
      answers[kind] = byte;
    }
    return readStatus(answers);
  }

  /** Prints `job` if nothing is in its way. One at a time. */
  async print(job: Bytes): Promise<SlipEnd> {
    const before = this.answers ? troubleOf(await this.status()) : null;
    if (this.#left) return { printed: 'nothing', error: cut };
    if (before) return { printed: 'nothing', error: before };
    const patienceMs = printTimeoutMs + job.length;
    if (!this.answers) {
      const sent = await this.#exchange(job, null, patienceMs);
      return sent === 'written' ? { printed: 'sent' } : { printed: 'unknown', error: errorOf(sent) };
    }
    const byte = await this.#exchange(concat(job, askWhenPrinted), isPrintedByte, patienceMs);
    if (typeof byte === 'number' && !saysPaperOut(byte)) return { printed: 'whole' };
    const after = this.#left ? cut : (troubleOf(await this.status()) ?? errorOf(byte));
    return { printed: 'unknown', error: after };
  }

  /**
   * Writes, and waits for a byte that `isIt` takes; null: for the writing alone.
   * @returns the byte, `written`, `silent` when the time is over, or why it could not be written
   */
  async #exchange(
    bytes: Bytes,
    isIt: ((byte: number) => boolean) | null,
    timeoutMs: number,
  ): Promise<number | 'written' | 'silent' | DeviceError> {
    if (this.#left) return cut;
    return new Promise((resolve) => {
      const end = (how: number | 'written' | 'silent' | DeviceError): void => {
        cancel();
        this.#heard = null;
        this.#leave = () => {};
        resolve(how);
      };
      const cancel = this.schedule(timeoutMs, () => end('silent'));
      this.#leave = () => end(cut);
      this.#heard = (byte) => {
        if (isIt?.(byte)) end(byte);
      };
      void this.write(bytes).then((written) => {
        if (!written.ok) end(written.error);
        else if (!isIt) end('written');
      });
    });
  }
}

const errorOf = (how: number | 'written' | 'silent' | DeviceError): DeviceError =>
  typeof how === 'object' ? how : { code: 'device.timedOut', detail: 'it did not say that the slip was printed' };
