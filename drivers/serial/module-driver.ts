/**
 * Infrared and radio modules on serial lines: a member's device that speaks over one is presented as a card is. Must not
 * know what passes over the link.
 */
import { toHex } from '../../terminal/kernel/bytes.js';
import { type Line, LineDriver, type LinePorts, namedLines, type WantedLine } from './line-driver.js';
import { ModuleTalk } from './module-talk.js';

export interface ModuleOptions {
  readonly paths: readonly string[];
  readonly baud: number;
}

interface Speaking {
  talk: ModuleTalk | null;
  readonly counts: Record<'noise' | 'repeats' | 'crowded' | 'exchanges', number>;
}

/** Start bit, eight bits, stop bit. */
const bitsAByte = 10;

export class ModuleDriver extends LineDriver<Speaking> {
  readonly name = 'serial-module';
  readonly bus = 'serial';
  protected readonly kind = 'module';
  readonly #wanted: readonly WantedLine[];
  readonly #baud: number;
  #links = 0;

  constructor({ baud, paths }: ModuleOptions, ports: LinePorts) {
    super(ports);
    this.#baud = baud;
    this.#wanted = namedLines(paths);
  }

  protected wanted(): readonly WantedLine[] {
    return this.#wanted;
  }
  protected fresh(): Speaking {
    return { talk: null, counts: { noise: 0, repeats: 0, crowded: 0, exchanges: 0 } };
  }

  protected began({ device, identity, own, transport }: Line<Speaking>): void {
    own.talk = new ModuleTalk({
      clock: this.ports.clock,
      schedule: this.ports.schedule,
      write: (bytes) => {
        this.orders.passed(identity, 'out', bytes);
        void transport?.write(bytes);
      },
      ordered: (order) => this.orders.ordered(identity, () => order),
      answered: (answer) => this.orders.ended(identity, () => ({ answer: toHex(answer) })),
      lineMs: (bytes) => Math.ceil((bytes * bitsAByte * 1_000) / this.#baud),
      presented: (link) => this.emit({ type: 'cardPresented', device, link }),
      removed: (linkId) => this.emit({ type: 'cardRemoved', device, linkId }),
      count: (what) => {
        own.counts[what] += 1;
      },
      nextLinkId: () => `${device}-${++this.#links}`,
    });
  }

  protected left({ own }: Line<Speaking>): void {
    own.talk?.left({ code: 'device.closed', detail: 'the module went away' });
    own.talk = null;
  }

  protected read({ own }: Line<Speaking>, chunk: Uint8Array): void {
    own.talk?.hear(chunk);
  }

  protected settings(): unknown {
    return { baud: this.#baud };
  }
  protected counters({ counts }: Speaking): Readonly<Record<string, number>> {
    return counts;
  }
}
