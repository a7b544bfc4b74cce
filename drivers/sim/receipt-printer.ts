/**
 * A simulated receipt printer: takes ESC/POS bytes as they come, split anywhere, and gives what stands on its paper. Written
 * from the command reference, without a line of the driver's codec. For tests and scripts.
 */
import { once } from 'node:events';
import { constants, openSync, writeSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { ReadStream } from 'node:tty';

/** What a person may do to it. */
export interface PrinterBody {
  paper: 'there' | 'low' | 'out';
  coverOpen: boolean;
  /** Answers nothing, as a printer on a line with one wire. */
  mute: boolean;
  /** Lines until the roll ends. */
  linesLeft: number;
}

const parametersOf: Readonly<Record<string, number>> = {
  '1b64': 1,
  '1b61': 1,
  '1d61': 1,
  '1c26': 0,
  '1b40': 0,
  '1d72': 1,
};

export class SimulatedReceiptPrinter {
  readonly body: PrinterBody = { paper: 'there', coverOpen: false, mute: false, linesLeft: Number.POSITIVE_INFINITY };
  /** Slips that were cut off, each its lines; a QR code stands as `[QR content]`. */
  readonly slips: string[][] = [];
  /** What is on the paper and not cut off yet. */
  paper: string[] = [];
  readonly unknown: string[] = [];
  #waiting: number[] = [];
  #line: number[] = [];
  #qr: Uint8Array = new Uint8Array(0);
  #chinese = false;

  /** @param answer sends bytes back over the line @param onSlip is given each slip as it is cut off */
  constructor(
    private readonly answer: (bytes: Uint8Array) => void,
    private readonly onSlip: (slip: readonly string[]) => void = () => {},
  ) {}

  feed(chunk: Uint8Array): void {
    for (const byte of chunk) {
      this.#waiting.push(byte);
      this.#realTime();
    }
    this.goOn();
  }

  /** Prints what it had taken and could not print, once the person has seen to it. */
  goOn(): void {
    while (this.#isAble() && this.#takeOne()) {}
  }

  #isAble(): boolean {
    if (this.body.linesLeft <= 0) this.body.paper = 'out';
    return this.body.paper !== 'out' && !this.body.coverOpen;
  }

  /** DLE EOT n is answered at once and taken out, whatever else waits. */
  #realTime(): void {
    const at = this.#waiting.length - 3;
    if (at < 0 || this.#waiting[at] !== 0x10 || this.#waiting[at + 1] !== 0x04) return;
    const [, , kind = 0] = this.#waiting.splice(at);
    const { coverOpen, mute, paper } = this.body;
    if (mute) return;
    const isOut = paper === 'out' || this.body.linesLeft <= 0;
    const stopped = coverOpen || isOut;
    if (kind === 1) this.answer(Uint8Array.of(stopped ? 0x1a : 0x12));
    else if (kind === 2) this.answer(Uint8Array.of(0x12 | (coverOpen ? 0x04 : 0) | (isOut ? 0x20 : 0)));
    else if (kind === 4) this.answer(Uint8Array.of(isOut ? 0x7e : paper === 'low' ? 0x1e : 0x12));
  }

  /** @returns whether a whole command or character was there */
  #takeOne(): boolean {
    const [first, second] = this.#waiting;
    if (first === undefined) return false;
    if (first === 0x10) {
      // Perhaps a real-time command whose rest is on its way.
      if (this.#waiting.length < 3) return false;
      this.#refuse(1);
      return true;
    }
    if (first === 0x0a) {
      this.#waiting.shift();
      this.#endLine();
      return true;
    }
    if (first !== 0x1b && first !== 0x1c && first !== 0x1d) {
      if (first < 0x20) this.#refuse(1);
      else this.#line.push(this.#waiting.shift() as number);
      return true;
    }
    return second === undefined ? false : this.#command(first, second);
  }

  #command(first: number, second: number): boolean {
    const name = first.toString(16) + second.toString(16).padStart(2, '0');
    if (name === '1d28') return this.#twoDimensional();
    if (name === '1d56') return this.#cut();
    const parameters = parametersOf[name];
    if (parameters === undefined) {
      this.#refuse(2);
      return true;
    }
    if (this.#waiting.length < 2 + parameters) return false;
    const [, , value = 0] = this.#waiting.splice(0, 2 + parameters);
    if (name === '1b40') this.#line = [];
    if (name === '1b40' || name === '1c26') this.#chinese = name === '1c26';
    if (name === '1b64') for (let lines = 0; lines < value; lines++) this.#endLine();
    if (name === '1d72' && !this.body.mute) this.answer(Uint8Array.of(this.body.paper === 'low' ? 0x03 : 0x00));
    return true;
  }

  #twoDimensional(): boolean {
    const [, , , low, high] = this.#waiting;
    if (low === undefined || high === undefined) return false;
    const length = low + 256 * high;
    if (this.#waiting.length < 5 + length) return false;
    const [kind, number, , ...data] = this.#waiting.splice(0, 5 + length).slice(5);
    if (kind !== 0x31) this.unknown.push('a code that is no QR code');
    if (number === 0x50) this.#qr = Uint8Array.from(data);
    if (number === 0x51) this.#put(`[QR ${new TextDecoder('utf-8', { fatal: true }).decode(this.#qr)}]`);
    return true;
  }

  #cut(): boolean {
    if (this.#waiting.length < 4) return false;
    this.#waiting.splice(0, 4);
    this.slips.push(this.paper);
    this.onSlip(this.paper);
    this.paper = [];
    return true;
  }

  #endLine(): void {
    const bytes = Uint8Array.from(this.#line);
    this.#line = [];
    this.#put(new TextDecoder(this.#chinese ? 'gb18030' : 'latin1', { fatal: true }).decode(bytes));
  }
  #put(text: string): void {
    this.body.linesLeft -= 1;
    this.paper.push(text);
  }
  #refuse(length: number): void {
    this.unknown.push(Buffer.from(this.#waiting.splice(0, length)).toString('hex'));
  }
}

/** A simulated printer at the far end of a line that somebody opens. */
export interface AttachedPrinter {
  readonly printer: SimulatedReceiptPrinter;
  close(): Promise<void>;
}

/** Attaches it to the device's end of a pseudo-terminal. */
export function printerOnPty(
  device: string,
  body: Partial<PrinterBody> = {},
  onSlip: (slip: readonly string[]) => void = () => {},
): AttachedPrinter {
  const file = openSync(device, constants.O_RDWR | constants.O_NOCTTY);
  const stream = new ReadStream(file);
  const printer = new SimulatedReceiptPrinter((bytes) => writeSync(file, bytes), onSlip);
  Object.assign(printer.body, body);
  stream.on('data', (chunk: Buffer) => printer.feed(chunk));
  stream.on('error', () => {});
  return {
    printer,
    close: async () => {
      stream.destroy();
    },
  };
}

/** Listens like a network printer on a port of this machine; one connection at a time, as they do. */
export async function printerOnPort(
  port = 0,
  body: Partial<PrinterBody> = {},
): Promise<AttachedPrinter & { readonly address: string }> {
  let socket: Socket | null = null;
  const printer = new SimulatedReceiptPrinter((bytes) => void socket?.write(bytes));
  Object.assign(printer.body, body);
  const server = createServer((incoming) => {
    socket?.destroy();
    socket = incoming;
    incoming.on('data', (chunk) => printer.feed(chunk));
    incoming.on('error', () => {});
  }).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    printer,
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      socket?.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
