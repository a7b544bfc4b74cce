/**
 * Receipt printers, on serial lines or on network sockets: looks after what keeps each from printing, and prints slips, each
 * on one printer and at most once. Must not know what a slip says.
 */
import type { Bus, PrintEnd } from '../contract/driver.js';
import { cannotLoad, type DeviceError } from '../contract/transport.js';
import { encodeJob, type TextEncode } from '../protocols/escpos/print-job.js';
import { type Line, LineDriver, type LinePorts, namedLines, type WantedLine } from './line-driver.js';
import { PrinterTalk, troubleOf } from './printer-talk.js';

export interface PrinterOptions {
  readonly paths: readonly string[];
  readonly addresses: readonly string[];
  readonly baud: number;
  readonly cut: boolean;
  readonly answers: boolean;
}
export interface PrinterPorts extends LinePorts {
  /** GB 18030, the character set of these printers; loaded when the first slip is printed. */
  readonly loadEncode: () => Promise<TextEncode>;
}

/** How often an idle printer is asked for paper and cover, in milliseconds. */
const askEveryMs = 5_000;
/** Slips that wait for one printer; a further one is not printed. */
export const slipsWaitingMax = 8;

interface Printing {
  talk: PrinterTalk | null;
  /** It has answered since the line was opened. */
  hasAnswered: boolean;
  cancelAsk: (() => void) | null;
  /** Ends when what was begun on this printer has ended. */
  turn: Promise<unknown>;
  waiting: number;
  slips: number;
  unsure: number;
  paperLow: number;
}

type Slip = Parameters<typeof encodeJob>[0];

const nobody: DeviceError = { code: 'device.absent', detail: 'no printer is ready' };

export class ReceiptPrinterDriver extends LineDriver<Printing> {
  readonly name: string;
  readonly bus: Bus;
  protected readonly kind: string;
  readonly #wanted: readonly WantedLine[];
  readonly #options: PrinterOptions;
  readonly #loadEncode: PrinterPorts['loadEncode'];

  constructor(bus: 'serial' | 'tcp', options: PrinterOptions, ports: PrinterPorts) {
    super(ports);
    this.bus = bus;
    this.name = bus === 'serial' ? 'serial-printer' : 'network-printer';
    this.kind = bus === 'serial' ? 'printer' : 'network-printer';
    this.#options = options;
    this.#loadEncode = ports.loadEncode;
    this.#wanted = namedLines(bus === 'serial' ? options.paths : options.addresses);
  }

  /**
   * Prints on `device`, or on the first printer that can. The next is tried only after one that has certainly printed nothing:
   * a slip is on at most one printer.
   */
  async print(device: string | null, lines: readonly string[], qr: string | null): Promise<PrintEnd | null> {
    if (this.lines.length === 0) return null;
    const { cut } = this.#options;
    const encode = await this.#loadEncode().catch((error: unknown) => cannotLoad('iconv-lite', error));
    if ('code' in encode) return { printed: 'nothing', device, error: encode };
    const job = encodeJob({ lines, qr }, encode, cut);
    let end: PrintEnd = { printed: 'nothing', device, error: nobody };
    for (const line of this.lines) {
      if (device !== null && line.device !== device) continue;
      end = { ...(await this.#printOn(line, { lines, qr }, job)), device: line.device };
      if (end.printed !== 'nothing') return end;
    }
    return end;
  }

  async #printOn(line: Line<Printing>, slip: Slip, job: Uint8Array): ReturnType<PrinterTalk['print']> {
    this.orders.ordered(line.identity, () => ({ print: slip }));
    const end = await this.#endOf(line, job);
    this.orders.ended(line.identity, () => end);
    return end;
  }

  async #endOf(line: Line<Printing>, job: Uint8Array): ReturnType<PrinterTalk['print']> {
    const { own } = line;
    if (!own.talk) return { printed: 'nothing', error: line.error ?? nobody };
    if (own.waiting >= slipsWaitingMax)
      return { printed: 'nothing', error: { code: 'device.busy', detail: `${own.waiting} slips wait for it` } };
    own.waiting += 1;
    // Whatever printer is on this line when its turn comes; a line that went away meanwhile has printed nothing.
    const end = await this.#inTurn(line, async () =>
      own.talk ? own.talk.print(job) : ({ printed: 'nothing', error: line.error ?? nobody } as const),
    );
    own.waiting -= 1;
    if (end.printed === 'unknown') own.unsure += 1;
    else if (end.printed !== 'nothing') own.slips += 1;
    if ('error' in end && line.transport) this.set(line, 'ready', end.error);
    return end;
  }

  /** Runs it once all that was begun before on this printer has ended. */
  #inTurn<T>({ own }: Line<Printing>, run: () => Promise<T>): Promise<T> {
    const turn = own.turn.then(run);
    own.turn = turn.catch(() => {});
    return turn;
  }

  /** Asks again and again, whenever no slip is under way. */
  async #askOften(line: Line<Printing>, talk: PrinterTalk): Promise<void> {
    if (line.own.waiting === 0) {
      const status = await this.#inTurn(line, () => talk.status());
      if (line.own.talk !== talk) return;
      line.own.paperLow = status?.paperLow ? 1 : 0;
      const trouble = troubleOf(status);
      // The socket of a printer that was switched off says nothing of it, and would be a dead one when the printer is back.
      if (!status && trouble && line.own.hasAnswered && this.bus === 'tcp') {
        this.gone(line, trouble);
        return;
      }
      if (status) line.own.hasAnswered = true;
      // No fault of the line, which stays open: the driver itself sees when a person has seen to it.
      this.set(line, 'ready', trouble);
    }
    line.own.cancelAsk = this.ports.schedule(askEveryMs, () => void this.#askOften(line, talk));
  }

  protected wanted(): readonly WantedLine[] {
    return this.#wanted;
  }

  protected fresh(): Printing {
    return {
      talk: null,
      hasAnswered: false,
      cancelAsk: null,
      turn: Promise.resolve(),
      waiting: 0,
      slips: 0,
      unsure: 0,
      paperLow: 0,
    };
  }

  protected began(line: Line<Printing>): void {
    const { identity, own, transport } = line;
    if (!transport) return;
    const talk = new PrinterTalk(
      (bytes) => {
        this.orders.passed(identity, 'out', bytes);
        return transport.write(bytes);
      },
      this.ports.schedule,
      this.#options.answers,
    );
    own.talk = talk;
    own.hasAnswered = false;
    if (this.#options.answers) void this.#askOften(line, talk);
  }

  protected left({ own }: Line<Printing>): void {
    own.cancelAsk?.();
    own.cancelAsk = null;
    own.talk?.left();
    own.talk = null;
  }

  protected read({ own }: Line<Printing>, chunk: Uint8Array): void {
    own.talk?.hear(chunk);
  }

  protected settings(): unknown {
    const { answers, baud, cut } = this.#options;
    return { answers, baud, cut };
  }
  protected counters({ paperLow, slips, unsure }: Printing): Readonly<Record<string, number>> {
    return { slips, unsure, paperLow };
  }
}
