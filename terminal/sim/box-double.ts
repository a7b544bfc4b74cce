/**
 * Box double: the shipped Terminal over the shipped store, with a reader, a host and a clock that a test moves by hand.
 * Must not decide anything itself, and must not be imported by anything but tests and scripts.
 */
import type { DeviceStatus, Driver, PrintEnd } from '../../drivers/contract/driver.js';
import type { DeviceError } from '../../drivers/contract/transport.js';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import type { RecordBody } from '../../host-sync/protocol/record.js';
import { decodeRecord } from '../../host-sync/protocol/record.js';
import { offlineLimitsDefault } from '../../host-sync/protocol/sync.js';
import type { Effect } from '../core/effect.js';
import type { RelayRule } from '../core/relay-rule.js';
import { type Bytes, utf8 } from '../kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import { nativeCrypto, nativeIds, nativeRandom } from '../kernel/native.js';
import type { Clock } from '../kernel/ports.js';
import { type AmountMinor, wallMs } from '../kernel/units.js';
import type { NumberedEvent, Purchase, Refusal, SaleCommand, SaleView, ServiceCommand } from '../runtime/port.js';
import type { DeskOptions } from '../runtime/sale-desk.js';
import { type Rights, Terminal, type TerminalParts } from '../runtime/terminal.js';
import { openTerminalStore, type SqliteStore } from '../store/open.js';
import type { NewDirectives } from '../store/port.js';
import { HostDouble } from './host-double.js';
import { ReaderDouble } from './reader-double.js';

export const terminalId = 't-0123456789ab';
export const directives: NewDirectives = {
  version: 1,
  merchant: '好味道餐厅',
  location: 'store 12',
  merchants: ['M1'],
  rules: {
    version: 3,
    currency: 'CNY',
    earnPoints: 1,
    earnPerMinor: 100,
    spendMinor: 100,
    spendPerPoints: 100,
    couponPartial: false,
  },
  catalogueVersion: 7,
  offline: offlineLimitsDefault,
  blocked: [],
  credentialKey: null,
  allowances: [],
  catalogue: {
    since: 0,
    gone: [],
    products: [
      { code: '6901234567892', name: '黑森林蛋糕', priceMinor: 10_000, category: 'cake' },
      { code: '6909876543210', name: '红烧牛肉面', priceMinor: 2_500, category: 'noodles' },
    ],
  },
};

interface BoxWish {
  /** The database; nothing: in memory. */
  readonly file?: string;
  readonly siteKey?: Bytes;
  readonly options?: Partial<DeskOptions & Rights>;
  /** What a tap is asked for; nothing: the member application. */
  readonly wallets?: TerminalParts['wallets'];
  /** How the chips of tags are asked; nothing: not at all. */
  readonly originality?: TerminalParts['originality'];
  /** A relay board, and which sales switch it on. */
  readonly relay?: { readonly driver: Driver; readonly opensOn: RelayRule };
  /** A box that never met its host: no identity, no directives. */
  readonly bare?: boolean;
  readonly time?: ManualTime;
  /** Has a slot for cards with contacts, slot-1. */
  readonly slot?: boolean;
  /** Beside reader and printer. */
  readonly drivers?: readonly Driver[];
}

const turnsMax = 2_000;
/** From the manual clock's year to one in which a box takes its clock for true. */
const wallAheadMs = 40_000_000_000;

/** Waits turn by turn of the event loop; throws when the condition does not come true. */
export async function until(what: string, condition: () => unknown): Promise<void> {
  for (let turn = 0; turn < turnsMax; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`waited in vain for ${what}`);
}

/** A printer and a display without a device of their own: what they are given is all there is to see. */
export class PrinterDouble implements Driver {
  readonly name = 'printer-double';
  readonly bus = 'serial';
  readonly slips: (readonly string[])[] = [];
  /** What becomes of the next slips; null: they come out whole. */
  fails: Extract<PrintEnd, { readonly error: DeviceError }> | null = null;

  /** What the display was told. */
  readonly texts: (readonly [string, string])[] = [];
  readonly display = { chinese: true, show: (text: readonly [string, string]): void => void this.texts.push(text) };

  async print(_device: string | null, lines: readonly string[]): Promise<PrintEnd> {
    if (this.fails) return this.fails;
    this.slips.push(lines);
    return { printed: 'whole', device: 'printer-1' };
  }

  async start(): Promise<void> {}
  statuses(): readonly DeviceStatus[] {
    return [];
  }
  serve(): void {}
  listenIn(): void {}
  signal(): void {}
  async stop(): Promise<void> {}
}

export class BoxDouble {
  readonly store: SqliteStore;
  readonly host: HostDouble;
  readonly reader: ReaderDouble;
  readonly terminal: Terminal;
  readonly time: ManualTime;
  readonly events: NumberedEvent[] = [];
  readonly printer = new PrinterDouble();
  /** Receipts as the printer got them. */
  readonly printed = this.printer.slips;
  readonly crashes: unknown[] = [];
  readonly effects: Effect[] = [];
  /** The next commits fail so; null: they succeed. */
  persistFails: ErrorCode | null = null;
  /** By how much somebody has set the wall clock since the start, milliseconds. */
  wallStepMs = 0;
  readonly clock: Clock;
  /** Sees every effect before it is performed. */
  onEffect: (effect: Effect) => void = () => {};

  constructor(wish: BoxWish) {
    this.time = wish.time ?? new ManualTime();
    this.store = openTerminalStore({ file: wish.file ?? ':memory:', crypto: nativeCrypto });
    if (!wish.bare && !this.store.identity()) this.store.setIdentity({ terminalId, epoch: 1 });
    if (!wish.bare && !this.store.directives()) this.store.setDirectives(directives);
    this.#mayFail();
    const { schedule, clock: manual } = this.time;
    const clock: Clock = {
      monotonicMs: () => manual.monotonicMs(),
      wallMs: () => wallMs(manual.wallMs() + wallAheadMs + this.wallStepMs),
    };
    this.clock = clock;
    this.host = new HostDouble(this.store, schedule);
    this.reader = new ReaderDouble(schedule);
    this.reader.hasSlot = wish.slot ?? false;
    this.terminal = new Terminal({
      ...{ store: this.store, host: this.host, schedule, clock },
      drivers: [this.reader, this.printer, ...(wish.relay ? [wish.relay.driver] : []), ...(wish.drivers ?? [])],
      ...(wish.relay && { relayOpensOn: wish.relay.opensOn }),
      ...{ crypto: nativeCrypto, random: nativeRandom, ids: nativeIds, version: '0.0.0' },
      unclaimed: () => [],
      siteKey: () => wish.siteKey ?? null,
      ...(wish.wallets && { wallets: wish.wallets }),
      ...(wish.originality && { originality: wish.originality }),
      options: {
        ...{
          simulated: false,
          category: 'dining',
          typedPointsClerks: ['boss'],
          topUpClerks: ['boss'],
          siteDailyMaxMinor: 20_000,
        },
        ...{ credentialTimeoutMs: 60_000, authorisationTimeoutMs: 5_000, balanceTimeoutMs: 1_500 },
        ...{ cardAgainTimeoutMs: 30_000, scannerClerk: 'scanner', scannerSells: true, scannerUndoes: true },
        ...{ expiredRefused: true, weighedForms: [], tapInquiry: true },
        ...wish.options,
      },
      crashed: (error) => this.crashes.push(error),
      watch: (moment, effect) => {
        if (moment !== 'before') return;
        this.effects.push(effect);
        this.onEffect(effect);
      },
    });
    this.terminal.follow(null, (event) => {
      if (event) this.events.push(event);
    });
    if (!wish.bare) this.terminal.setWaiting(null);
  }

  #mayFail(): void {
    const persist = this.store.persist.bind(this.store);
    this.store.persist = (...commit) => {
      if (this.persistFails) throw new TerminalError(this.persistFails, 'the test says so');
      persist(...commit);
    };
  }

  /** Starts a sale that the box takes; throws with the refusal's code where it does not. */
  async start(command: ServiceCommand, more: Partial<SaleCommand> = {}): Promise<SaleView> {
    const started = await this.terminal.startSale(this.command(command, more));
    if (!started.ok) throw new Error(started.error.code);
    return started.value;
  }

  /** Starts a sale that the box refuses. */
  async refused(command: ServiceCommand, more: Partial<SaleCommand> = {}): Promise<Refusal> {
    const started = await this.terminal.startSale(this.command(command, more));
    if (started.ok) throw new Error(`the box took ${command.service}`);
    return started.error;
  }

  /** A till's command: 300.00 yuan of clerk ann, unless said otherwise. An undo has no purchase. */
  command(command: ServiceCommand, more: Partial<SaleCommand> = {}): SaleCommand {
    const isUndo = command.service === 'void' || command.service === 'refund';
    const purchase: Purchase = { amountMinor: 30_000 as AmountMinor };
    return { command, ...(isUndo ? {} : { purchase }), reference: null, clerk: 'ann', origin: 'till', ...more };
  }

  /** The sale's view when it has ended, with its receipt that is no copy. */
  async ended(id: string): Promise<SaleView> {
    const seen = (): SaleView | undefined =>
      this.events
        .flatMap(({ event }) => (event.type === 'sale' ? [event.sale] : []))
        .find((sale) => sale.phase === 'ended' && (sale.transactionId === id || sale.reference === id));
    await until(`the end of ${id}`, () => this.crashes.length > 0 || seen());
    const sale = seen();
    if (!sale) throw this.crashes[0];
    return sale;
  }

  /** The prompts of all sales so far, in order. */
  get prompts(): readonly string[] {
    return this.effects.flatMap((effect) => (effect.type === 'prompt' ? [effect.prompt] : []));
  }

  /** The records in the journal, oldest first. */
  get records(): readonly RecordBody[] {
    return this.store
      .journal(200, null)
      .map(({ body }) => {
        const record = decodeRecord(utf8(body));
        if (!record.ok) throw new Error(record.error.detail);
        return record.value;
      })
      .reverse();
  }
  get kinds(): readonly string[] {
    return this.records.map(({ kind }) => kind);
  }

  /** The power goes: what the process knew is gone, the file stays. */
  close(): void {
    this.store.close();
  }
}

/** A box that is switched on and ready to sell. */
export async function openBox(t: { teardown(run: () => void): void }, wish: BoxWish = {}): Promise<BoxDouble> {
  const box = new BoxDouble(wish);
  t.teardown(() => box.close());
  await box.terminal.start();
  return box;
}
