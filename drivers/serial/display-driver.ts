/**
 * Customer's displays on serial lines: keeps both lines of each showing what was told last, also over replugs. Must not know
 * what the text says.
 */
import type { MemberScreen } from '../contract/driver.js';
import { type ByteTransport, cannotLoad } from '../contract/transport.js';
import {
  type DisplayCommands,
  type DisplayText,
  encodeDisplay,
  resetDisplay,
} from '../protocols/line-display/line-display.js';
import { type Line, LineDriver, type LinePorts, namedLines, type WantedLine } from './line-driver.js';

export interface DisplayOptions {
  readonly paths: readonly string[];
  readonly baud: number;
  readonly commands: DisplayCommands;
  readonly chinese: boolean;
}
export interface DisplayPorts extends LinePorts {
  /** GB 18030; loaded when the first text with Chinese characters is shown. */
  readonly loadEncode: () => Promise<(text: string) => Uint8Array>;
}

interface Showing {
  /** Told and not written yet; a newer text takes its place. */
  due: DisplayText | null;
  /** The opening of the line that is being written to; a write that never ends goes with it. */
  writing: ByteTransport | null;
  shown: number;
}

/** For a display without Chinese characters. */
const ascii = (character: string): Uint8Array =>
  Uint8Array.of(/^[\x20-\x7e]$/.test(character) ? character.charCodeAt(0) : 0x3f);

export class CustomerDisplayDriver extends LineDriver<Showing> {
  readonly name = 'serial-display';
  readonly bus = 'serial';
  protected readonly kind = 'display';
  readonly #wanted: readonly WantedLine[];
  #text: DisplayText = ['', ''];
  readonly display: MemberScreen;

  constructor(
    private readonly options: DisplayOptions,
    protected override readonly ports: DisplayPorts,
  ) {
    super(ports);
    this.display = { chinese: options.chinese, show: (text) => this.#show(text) };
    this.#wanted = namedLines(options.paths);
  }

  #show(text: DisplayText): void {
    this.#text = text;
    for (const line of this.lines) this.#tell(line, text);
  }

  #tell(line: Line<Showing>, text: DisplayText): void {
    this.orders.ordered(line.identity, () => ({ show: text }));
    line.own.due = text;
    if (line.transport && line.own.writing !== line.transport) void this.#write(line, line.transport);
  }

  /** One write at a time: a slow line shows the newest text and skips what was in between. */
  async #write(line: Line<Showing>, transport: ByteTransport): Promise<void> {
    const { own } = line;
    own.writing = transport;
    const { chinese, commands } = this.options;
    const loaded = chinese
      ? await this.ports.loadEncode().catch((error: unknown) => cannotLoad('iconv-lite', error))
      : ascii;
    const encode = 'code' in loaded ? ascii : loaded;
    if ('code' in loaded) this.set(line, 'ready', loaded);
    while (own.due && line.transport === transport) {
      const bytes = encodeDisplay(own.due, commands, encode);
      own.due = null;
      this.orders.passed(line.identity, 'out', bytes);
      const written = await transport.write(bytes);
      if (line.transport !== transport) return;
      if (written.ok) own.shown += 1;
      this.set(line, 'ready', written.ok ? ('code' in loaded ? loaded : null) : written.error);
    }
    if (own.writing === transport) own.writing = null;
  }

  protected wanted(): readonly WantedLine[] {
    return this.#wanted;
  }
  protected fresh(): Showing {
    return { due: null, writing: null, shown: 0 };
  }
  protected began(line: Line<Showing>): void {
    const reset = resetDisplay(this.options.chinese);
    this.orders.passed(line.identity, 'out', reset);
    void line.transport?.write(reset);
    this.#tell(line, this.#text);
  }
  protected left({ own }: Line<Showing>): void {
    own.due = null;
  }
  protected read(): void {
    // A display sends nothing that anybody asked for.
  }
  protected settings(): unknown {
    const { baud, chinese, commands } = this.options;
    return { baud, chinese, commands };
  }
  protected counters({ shown }: Showing): Readonly<Record<string, number>> {
    return { shown };
  }
}
