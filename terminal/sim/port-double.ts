/**
 * Port double: a TerminalPort in memory for tests of console and local API. Sales wait until the test ends them;
 * settings and audit live in maps that the test may hand to the next double, as a restart would.
 */
import type { PrintEnd, UnclaimedDevice } from '../../drivers/contract/driver.js';
import type { AllowanceRequest } from '../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AmountMinor, wallMs } from '../kernel/units.js';
import type {
  DeviceDeskPort,
  NumberedEvent,
  OfflineView,
  Refusal,
  SaleCommand,
  SaleView,
  SyncStatus,
  TerminalEvent,
  TerminalPort,
  TerminalStatus,
  TrialSight,
} from '../runtime/port.js';

type JournalEntry = ReturnType<TerminalPort['journal']>[number];
type AuditEntry = ReturnType<TerminalPort['audit']>[number];
type Device = ReturnType<TerminalPort['devices']>[number];

const ringMax = 256;

export class PortDouble implements TerminalPort {
  readonly settings: Map<string, string>;
  readonly auditEntries: AuditEntry[] = [];
  readonly commands: SaleCommand[] = [];
  readonly backups: string[] = [];
  readonly boot: string;
  journalEntries: JournalEntry[] = [];
  deviceList: Device[] = [];
  sync: SyncStatus = {
    state: 'online',
    lastContactWallMs: wallMs(1_700_000_000_000),
    lastError: null,
    nextAttemptInMs: null,
  };
  stopped: Refusal | null = null;
  /** What the next startSale throws, as a bug or a failed store would. */
  failNext: Error | null = null;
  /** Limits that saleEnded was asked with, milliseconds. */
  readonly waits: number[] = [];
  readonly #sales: { command: string; view: SaleView }[] = [];
  readonly #ring: NumberedEvent[] = [];
  readonly #listeners = new Set<(event: NumberedEvent | null) => void>();
  readonly #waiting = new Map<string, ((view: SaleView) => void)[]>();
  #number = 0;

  constructor(settings = new Map<string, string>(), boot = 'b00t') {
    this.settings = settings;
    this.boot = boot;
  }

  offlineNow: OfflineView = {
    ...{ limits: null, catalogueVersion: null, rulesVersion: null, directivesVersion: null, lastContactMs: null },
    ...{ nowMs: 0, clockDoubtful: false, floorTodayMinor: 0, worth: {}, allowances: [] },
  };
  readonly allowancesAsked: AllowanceRequest[] = [];
  readonly givenBack: string[] = [];
  offline(): OfflineView {
    return this.offlineNow;
  }
  async requestAllowance(request: AllowanceRequest): ReturnType<TerminalPort['requestAllowance']> {
    this.allowancesAsked.push(request);
    return ok({ granted: 1, refusedBecause: null });
  }
  giveBackAllowance(id: string): boolean {
    this.givenBack.push(id);
    return this.offlineNow.allowances.some((each) => each.id === id);
  }

  get followers(): number {
    return this.#listeners.size;
  }

  publish(event: TerminalEvent): void {
    const numbered = { boot: this.boot, number: ++this.#number, event };
    this.#ring.push(numbered);
    if (this.#ring.length > ringMax) this.#ring.shift();
    for (const listener of [...this.#listeners]) listener(numbered);
  }

  #update(id: string, change: Partial<SaleView>): SaleView {
    const found = this.#sales.find(({ view }) => view.transactionId === id || view.reference === id);
    if (!found) throw new Error(`no sale ${id}`);
    found.view = { ...found.view, ...change };
    this.publish({ type: 'sale', sale: found.view });
    if (found.view.phase === 'ended') {
      for (const tell of this.#waiting.get(found.view.transactionId) ?? []) tell(found.view);
      this.#waiting.delete(found.view.transactionId);
    }
    return found.view;
  }

  /** Ends a sale as accepted, or as refused with `code`. */
  end(id: string, code: ErrorCode | null = null): SaleView {
    const balances = { points: 300, pointsOwed: 0, couponMinor: null, couponCode: null, currency: null } as never;
    const outcome: SaleView['outcome'] = code
      ? { result: 'refused', code, balances: null }
      : {
          result: 'accepted',
          authority: 'box',
          points: null,
          coveredMinor: 0 as AmountMinor,
          restMinor: 0 as AmountMinor,
          balances,
        };
    return this.#update(id, { phase: 'ended', prompt: null, outcome, receipt: ['收据 RECEIPT', 'total 300.00'] });
  }
  prompt(id: string, prompt: SaleView['prompt']): SaleView {
    return this.#update(id, { prompt, phase: 'working' });
  }

  status(): TerminalStatus {
    return {
      terminalId: 't-0123456789ab',
      epoch: 1,
      version: '0.1.0',
      simulated: false,
      merchant: '测试商家',
      uptimeMs: 3_723_000,
      clockDoubtful: false,
      googleWallet: 'off',
      googleTrouble: null,
      sale: this.#sales.find(({ view }) => view.phase !== 'ended')?.view ?? null,
      sync: this.sync,
      queue: this.#gauges(),
      directivesVersion: 3,
      catalogueVersion: null,
      stopped: this.stopped,
    };
  }
  devices(): readonly Device[] {
    return this.deviceList;
  }
  /** What the desk was asked for, and how the trial under way is fed. */
  readonly deskCalls: string[] = [];
  unclaimedList: readonly UnclaimedDevice[] = [];
  see: (sight: TrialSight) => void = () => {};
  endTrial: (why: 'time' | 'stopped' | 'sale' | 'done') => void = () => {};
  readonly deviceDesk: DeviceDeskPort = {
    unclaimed: () => this.unclaimedList,
    describe: (device) => {
      const found = this.#device(device);
      return found.ok ? ok({ ...found.value, driver: 'feigned', forMs: 65_000, recording: null }) : found;
    },
    setEnabled: (device, enabled) => {
      this.deskCalls.push(`${enabled ? 'enable' : 'disable'} ${device}`);
      const found = this.#device(device);
      return found.ok ? ok({ ...found.value, state: enabled ? 'opening' : 'disabled' }) : found;
    },
    tryOut: (device, _timeoutMs, see) => {
      const found = this.#device(device);
      if (!found.ok) return found;
      this.see = see;
      const ended = new Promise<'time' | 'stopped' | 'sale' | 'done'>((resolve) => {
        this.endTrial = resolve;
      });
      const stop = (): void => {
        this.deskCalls.push('stop');
        this.endTrial('stopped');
      };
      return ok({ wants: 'code', ended, stop });
    },
    record: (device, file) => {
      this.deskCalls.push(`record ${device} ${file}`);
      const found = this.#device(device);
      if (!found.ok) return found;
      return found.value.sensitive
        ? err({ code: 'device.notRecorded', detail: device })
        : ok({ file, bytes: 0, ended: null });
    },
    stopRecording: (device) => (device === 'scanner-1' ? { file: '/tmp/a.rec', bytes: 12, ended: null } : null),
  };
  #device(device: string): Result<Device, Refusal> {
    const found = this.deviceList.find((each) => each.device === device);
    return found ? ok(found) : err({ code: 'device.unknown', detail: device });
  }

  async startSale(command: SaleCommand): Promise<Result<SaleView, Refusal>> {
    const failure = this.failNext;
    this.failNext = null;
    if (failure) throw failure;
    const known =
      command.reference === null ? undefined : this.#sales.find(({ view }) => view.reference === command.reference);
    const text = JSON.stringify(command);
    if (known) return known.command === text ? ok(known.view) : err({ code: 'sale.referenceConflict', detail: '' });
    if (this.stopped) return err(this.stopped);
    if (this.status().sale) return err({ code: 'sale.busy', detail: '' });
    this.commands.push(command);
    const purchase = command.purchase;
    const total = purchase && 'amountMinor' in purchase ? purchase.amountMinor : (12_345 as AmountMinor);
    const view: SaleView = {
      transactionId: `01890000-0000-7000-8000-${String(this.#sales.length + 1).padStart(12, '0')}` as TransactionId,
      reference: command.reference,
      service: command.command.service,
      clerk: command.clerk,
      currency: 'CNY',
      totalMinor: total,
      phase: 'waiting',
      prompt: 'present',
      outcome: null,
      simulated: false,
      voided: false,
      refundedMinor: 0 as AmountMinor,
      receipt: [],
    };
    this.#sales.push({ command: text, view });
    this.publish({ type: 'sale', sale: view });
    return ok(view);
  }
  async cancelSale(id: string): Promise<Result<SaleView, Refusal>> {
    const sale = this.sale(id);
    if (!sale) return err({ code: 'sale.unknown', detail: '' });
    if (sale.phase === 'ended') return err({ code: 'sale.tooLate', detail: '' });
    return ok(this.end(id, 'sale.cancelled'));
  }
  sale(id: string): SaleView | null {
    return this.#sales.find(({ view }) => view.reference === id || view.transactionId === id)?.view ?? null;
  }
  sales(limit: number, before: TransactionId | null): readonly SaleView[] {
    const newest = this.#sales.map(({ view }) => view).reverse();
    const from = before === null ? 0 : newest.findIndex((view) => view.transactionId === before) + 1;
    return newest.slice(from, from + limit);
  }
  /** What becomes of a copy; null: no printer. */
  printEnd: PrintEnd | null = null;
  async printCopy(id: string): Promise<Result<PrintEnd, Refusal>> {
    if (!this.sale(id)) return err({ code: 'sale.unknown', detail: id });
    return this.printEnd ? ok(this.printEnd) : err({ code: 'device.absent', detail: 'no printer' });
  }
  saleEnded(id: string, timeoutMs: number): Promise<SaleView | null> {
    this.waits.push(timeoutMs);
    const sale = this.sale(id);
    if (!sale || sale.phase === 'ended') return Promise.resolve(sale);
    return new Promise((resolve) => {
      this.#waiting.set(sale.transactionId, [...(this.#waiting.get(sale.transactionId) ?? []), resolve]);
    });
  }
  follow(
    after: { readonly boot: string; readonly number: number } | null,
    listener: (event: NumberedEvent | null) => void,
  ): () => void {
    if (after) {
      const oldest = this.#ring[0]?.number ?? this.#number + 1;
      if (after.boot !== this.boot || after.number > this.#number || after.number < oldest - 1) listener(null);
      else for (const event of this.#ring) if (event.number > after.number) listener(event);
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  queue(limit: number): ReturnType<TerminalPort['queue']> {
    const inState = (state: string): JournalEntry[] =>
      this.journalEntries.filter((entry) => entry.state === state).slice(0, limit);
    return { gauges: this.#gauges(), unsent: inState('unsent'), dead: inState('dead') };
  }
  journal(limit: number): readonly JournalEntry[] {
    return this.journalEntries.slice(0, limit);
  }
  audit(limit: number): readonly AuditEntry[] {
    return this.auditEntries.slice(-limit).reverse();
  }
  async syncNow(): Promise<SyncStatus> {
    return this.sync;
  }
  recordAudit(actor: string, action: string, detail: string): void {
    this.auditEntries.push({
      number: this.auditEntries.length + 1,
      atWallMs: wallMs(1_700_000_000_000),
      actor,
      action,
      detail,
    });
  }
  setting(name: string): string | null {
    return this.settings.get(name) ?? null;
  }
  setSetting(name: string, value: string | null): void {
    if (value === null) this.settings.delete(name);
    else this.settings.set(name, value);
  }
  async backup(toFile: string): Promise<void> {
    this.backups.push(toFile);
  }

  #gauges(): TerminalStatus['queue'] {
    const unsent = this.journalEntries.filter((entry) => entry.state === 'unsent');
    return {
      unsent: unsent.length,
      unsentWorthMinor: 30_000 * unsent.length,
      unsentPoints: 300 * unsent.length,
      dead: this.journalEntries.filter((entry) => entry.state === 'dead').length,
      oldestUnsentWallMs: unsent[0]?.storedWallMs ?? null,
      nextSequence: this.journalEntries.length + 1,
    };
  }
}

/** A journal entry with a body that decodes: a plain sale of 300.00 CNY, or points on it. */
export function journalEntry(
  sequence: number,
  change: Partial<JournalEntry> & { readonly kind?: 'plainSale' } = {},
): JournalEntry {
  const transactionId = `01890000-0000-7000-9000-${String(sequence).padStart(12, '0')}` as TransactionId;
  const body = {
    version: 1,
    terminalId: 't-0123456789ab',
    epoch: 1,
    sequence,
    transactionId,
    atWallMs: 1_700_000_000_000,
    clockDoubtful: false,
    simulated: false,
    clerk: 'zhang',
    kind: 'plainSale',
    reference: `till-${sequence}`,
    bill: { currency: 'CNY', totalMinor: 30_000, lines: [], catalogueVersion: null },
  };
  return {
    terminalId: 't-0123456789ab',
    epoch: 1,
    sequence,
    transactionId,
    kind: 'plainSale',
    body: JSON.stringify(body),
    previousHash: '00'.repeat(32),
    hash: '11'.repeat(32),
    storedWallMs: wallMs(1_700_000_000_000 + sequence),
    state: 'unsent',
    answer: null,
    ...change,
  };
}

/** A schedule that runs nothing until the test says so. */
export class HandSchedule {
  readonly #due: { atMs: number; run: () => void }[] = [];
  #nowMs = 0;

  readonly schedule = (delayMs: number, run: () => void): (() => void) => {
    const entry = { atMs: this.#nowMs + delayMs, run };
    this.#due.push(entry);
    return () => {
      const at = this.#due.indexOf(entry);
      if (at >= 0) this.#due.splice(at, 1);
    };
  };
  get pending(): number {
    return this.#due.length;
  }
  /** Lets `ms` pass; what falls due runs in its order. */
  pass(ms: number): void {
    const until = this.#nowMs + ms;
    for (;;) {
      const next = this.#due.filter((entry) => entry.atMs <= until).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = until;
  }
}
