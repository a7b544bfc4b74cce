/**
 * Relay boards on serial lines: one relay that is on for a moment when asked, at most once for each asking, and off whenever a
 * line is opened or let go. Must not know what the relay opens, nor for whom.
 */
import type { PulseEnd } from '../contract/driver.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { encodeRelayOff, encodeRelayOn, type RelayBoard } from '../protocols/relay-board/relay-board.js';
import { type Line, LineDriver, type LinePorts, namedLines, type WantedLine } from './line-driver.js';
import { type Pulsed, RelayTalk } from './relay-talk.js';

export interface RelayOptions {
  readonly paths: readonly string[];
  readonly baud: number;
  readonly board: RelayBoard;
  readonly channel: number;
  readonly pulseMs: number;
}

interface Switching {
  talk: RelayTalk | null;
  /** The last that the board was told, and took, was off. */
  isOff: boolean;
  /** Counts what was said: an older word that ends late says nothing of the newest. */
  said: number;
  pulses: number;
  unsure: number;
}

const nobody: DeviceError = { code: 'device.absent', detail: 'no relay board is ready' };

export class RelayDriver extends LineDriver<Switching> {
  readonly name = 'serial-relay';
  readonly bus = 'serial';
  protected readonly kind = 'relay';
  readonly #wanted: readonly WantedLine[];
  readonly #on: Uint8Array;
  readonly #off: Uint8Array;
  readonly #pulseMs: number;

  constructor(
    private readonly options: RelayOptions,
    ports: LinePorts,
  ) {
    super(ports);
    const { board, channel, paths, pulseMs } = options;
    this.#wanted = namedLines(paths);
    this.#on = encodeRelayOn(board, channel);
    this.#off = encodeRelayOff(board, channel);
    this.#pulseMs = pulseMs;
  }

  /** On the board of this name, or on the first one named. Another one is never taken instead: it opens something else. */
  async pulse(device: string | null): Promise<PulseEnd | null> {
    if (this.lines.length === 0) return null;
    const line = this.lines.find((each) => device === null || each.device === device);
    if (!line) return { switched: 'nothing', device, error: nobody };
    const { own } = line;
    this.orders.ordered(line.identity, () => ({ pulse: true }));
    const end: Pulsed = own.talk ? await own.talk.pulse() : { switched: 'nothing', error: line.error ?? nobody };
    if (end.switched === 'sent') own.pulses += 1;
    else if (end.switched === 'unknown') own.unsure += 1;
    this.orders.ended(line.identity, () => end);
    return { ...end, device: line.device };
  }

  protected wanted(): readonly WantedLine[] {
    return this.#wanted;
  }
  protected fresh(): Switching {
    return { talk: null, isOff: false, said: 0, pulses: 0, unsure: 0 };
  }

  protected began(line: Line<Switching>): void {
    const { transport } = line;
    if (!transport) return;
    const talk = new RelayTalk({
      ...{ on: this.#on, off: this.#off, pulseMs: this.#pulseMs, schedule: this.ports.schedule },
      write: (bytes) => this.#write(line, transport, bytes),
      failed: (error) => this.fail(line, error),
    });
    line.own.talk = talk;
    talk.begin();
  }

  protected override farewell(line: Line<Switching>, transport: ByteTransport): Promise<unknown> {
    return this.#write(line, transport, this.#off);
  }

  /** A relay that may be on is switched off whatever was ordered of its line, once in each look. */
  protected override owesFarewell({ own }: Line<Switching>): boolean {
    return !own.isOff;
  }

  protected left({ own }: Line<Switching>): void {
    own.talk?.left();
    own.talk = null;
  }

  async #write(
    { identity, own }: Line<Switching>,
    transport: ByteTransport,
    bytes: Uint8Array,
  ): ReturnType<ByteTransport['write']> {
    this.orders.passed(identity, 'out', bytes);
    own.isOff = false;
    own.said += 1;
    const { said } = own;
    const written = await transport.write(bytes);
    if (own.said === said) own.isOff = written.ok && bytes === this.#off;
    return written;
  }

  protected read(): void {
    // What some boards say of themselves differs from make to make: nothing here rests on it.
  }
  protected settings(): unknown {
    const { baud, board, channel, pulseMs } = this.options;
    return { baud, board, channel, pulseMs };
  }
  protected counters({ pulses, unsure }: Switching): Readonly<Record<string, number>> {
    return { pulses, unsure };
  }
}
