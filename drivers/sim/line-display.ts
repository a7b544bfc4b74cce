/**
 * A simulated customer's display of 2 × 20 cells that understands both command sets, bytes split anywhere. Written from the
 * command lists, without a line of the driver's codec. For tests and scripts.
 */
import { constants, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';

const columns = 20;

export class SimulatedLineDisplay {
  #cells = [new Uint8Array(columns).fill(0x20), new Uint8Array(columns).fill(0x20)];
  #waiting: number[] = [];
  #chinese = false;
  #at = 0;
  readonly unknown: string[] = [];

  /** @param onShown is given both lines whenever something was taken in whole */
  constructor(private readonly onShown: (lines: readonly string[]) => void = () => {}) {}

  /** What a member reads. */
  get lines(): readonly string[] {
    return this.#read(true);
  }
  /** Half a character may stand there between two pieces. */
  #read(fatal: boolean): readonly string[] {
    const decoder = new TextDecoder(this.#chinese ? 'gb18030' : 'latin1', { fatal });
    return this.#cells.map((line) => decoder.decode(line).trimEnd());
  }

  feed(chunk: Uint8Array): void {
    this.#waiting.push(...chunk);
    while (this.#takeOne()) {}
    if (this.#waiting.length === 0) this.onShown(this.#read(false));
  }

  #takeOne(): boolean {
    const [first, second, third] = this.#waiting;
    if (first === undefined) return false;
    if (first >= 0x20) {
      this.#put(this.#waiting.shift() as number);
      return true;
    }
    if (first === 0x0c) {
      this.#clear();
      this.#waiting.shift();
      return true;
    }
    if (second === undefined) return false;
    if (first === 0x1b && second === 0x40) {
      this.#clear();
      this.#chinese = false;
      this.#waiting.splice(0, 2);
      return true;
    }
    if (first === 0x1c && second === 0x26) {
      this.#chinese = true;
      this.#waiting.splice(0, 2);
      return true;
    }
    if (first === 0x1b && second === 0x51) return this.#wholeLine(third);
    if (first === 0x1f && second === 0x24) return this.#moveTo();
    this.unknown.push(Buffer.from(this.#waiting.splice(0, 1)).toString('hex'));
    return true;
  }

  /** ESC Q A or B, 1…20 characters, CR. */
  #wholeLine(which: number | undefined): boolean {
    const end = this.#waiting.indexOf(0x0d);
    if (which === undefined || end < 0) return false;
    const text = this.#waiting.splice(0, end + 1).slice(3, -1);
    if ((which !== 0x41 && which !== 0x42) || text.length < 1 || text.length > columns) this.unknown.push('ESC Q');
    else {
      this.#at = which === 0x41 ? 0 : columns;
      for (const byte of text) this.#put(byte);
    }
    return true;
  }

  /** US $ column row, both from 1. */
  #moveTo(): boolean {
    if (this.#waiting.length < 4) return false;
    const [, , column = 0, row = 0] = this.#waiting.splice(0, 4);
    if (column < 1 || column > columns || row < 1 || row > 2) this.unknown.push('US $');
    else this.#at = (row - 1) * columns + column - 1;
    return true;
  }

  #put(byte: number): void {
    const line = this.#cells[Math.floor(this.#at / columns) % 2];
    if (line) line[this.#at % columns] = byte;
    this.#at = (this.#at + 1) % (2 * columns);
  }
  #clear(): void {
    this.#cells = this.#cells.map(() => new Uint8Array(columns).fill(0x20));
    this.#at = 0;
  }
}

/** Attaches one to the device's end of a pseudo-terminal. @returns it, and how to take it away */
export function displayOnPty(
  device: string,
  onShown: (lines: readonly string[]) => void = () => {},
): { readonly display: SimulatedLineDisplay; close(): Promise<void> } {
  const stream = new ReadStream(openSync(device, constants.O_RDWR | constants.O_NOCTTY));
  const display = new SimulatedLineDisplay(onShown);
  stream.on('data', (chunk: Buffer) => display.feed(chunk));
  stream.on('error', () => {});
  return {
    display,
    close: async () => {
      stream.destroy();
    },
  };
}
