/**
 * The terminal: joins sale desk, sale runner, devices and sync behind the port that console and local API use.
 * Must decide nothing about a sale; that is the core's.
 */
import type {
  DeviceEvent,
  DeviceStatus,
  Driver,
  MemberSignal,
  PrintEnd,
  Schedule,
  UnclaimedDevice,
} from '../../drivers/contract/driver.js';
import type { InquiryRequest, InquiryResponse } from '../../host-sync/protocol/inquiry.js';
import { type Credential, credentialOfCode } from '../../host-sync/protocol/record.js';
import type { SmartTapRequest, SmartTapResponse } from '../../host-sync/protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  SessionRequest,
  SessionResponse,
} from '../../host-sync/protocol/sync.js';
import type { Prompt } from '../core/effect.js';
import { subjectOf } from '../core/offline.js';
import { receiptLines } from '../core/receipt.js';
import type { RelayRule } from '../core/relay-rule.js';
import type { PersistedSale, SaleOutcome, SaleRequest, ServiceName } from '../core/sale.js';
import type { State } from '../core/state.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import type { Clock, Crypto, Ids, Random, TransactionId } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import { restoredSetting } from '../store/backup.js';
import type { SaleRow, TerminalStore } from '../store/port.js';
import { CardLinks } from './card-links.js';
import { type BankCardPort, ContactSlots } from './contact-slots.js';
import { DeviceDesk } from './device-desk.js';
import { disabledDevices, disabledSetting } from './device-settings.js';
import { DeviceSupervisor } from './device-supervisor.js';
import { EventRing } from './event-ring.js';
import { InquiryDesk } from './inquiry-desk.js';
import { MemberDisplay } from './member-display.js';
import { type DeviceKeys, keptContactMs, OfflineDesk, type Tap } from './offline-desk.js';
import type {
  NumberedEvent,
  OfflineView,
  Refusal,
  SaleCommand,
  SaleView,
  SyncStatus,
  TerminalEvent,
  TerminalPort,
  TerminalStatus,
} from './port.js';
import { RelayDesk } from './relay-desk.js';
import { type DeskOptions, SaleDesk } from './sale-desk.js';
import { type HostReply, type RunnerPorts, SaleRunner } from './sale-runner.js';
import { receiptContext, storedView, viewOf } from './sale-view.js';
import { ScanDesk, type ScanRights } from './scan-desk.js';
import { SlipDesk } from './slip-desk.js';
import { type Originality, Tags } from './tags.js';
import { WallClock } from './wall-clock.js';
import { type WalletPorts, Wallets } from './wallets.js';

/** What the terminal needs of the sync client. */
export interface HostLink extends DeviceKeys {
  authorise(transactionId: TransactionId, deadlineMs: number): Promise<HostReply>;
  /** Null: no answer within the deadline. */
  openSession(request: SessionRequest, deadlineMs: number): Promise<SessionResponse | null>;
  /** Null: no answer within the deadline. */
  inquire(request: InquiryRequest, deadlineMs: number): Promise<InquiryResponse | null>;
  /** @returns its answer, or why there is none within the deadline */
  signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<Result<SmartTapResponse, Refusal>>;
  reachable(): boolean;
  recordsQueued(): void;
  syncNow(): Promise<SyncStatus>;
  status(): SyncStatus;
  requestAllowance(request: AllowanceRequest): Promise<Result<AllowanceResponse, Refusal>>;
}

/** What the merchant lets reader and scanner do without a till. */
export interface Rights extends ScanRights {
  /** A tap or a rotating code while no sale is open shows the member's balances. */
  readonly tapInquiry: boolean;
}

export interface TerminalParts {
  readonly store: TerminalStore;
  readonly host: HostLink;
  readonly drivers: readonly Driver[];
  /** Devices that are plugged in and not among these identities. */
  readonly unclaimed: (claimed: readonly string[]) => readonly UnclaimedDevice[];
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly schedule: Schedule;
  readonly siteKey: () => Bytes | null;
  /** What a tap is asked for besides the member application; absent: nothing. */
  readonly wallets?: Pick<WalletPorts, 'settings' | 'crypto'>;
  /** How the chips of tags are asked for their maker's signature; absent: not at all. */
  readonly originality?: Originality | null;
  readonly options: DeskOptions & Rights;
  readonly version: string;
  readonly crashed: (error: unknown) => void;
  /** Content of a QR code under each receipt. */
  readonly receiptQr?: string | null;
  /** Which sales open the gate or the drawer. */
  readonly relayOpensOn?: RelayRule;
  readonly watch?: RunnerPorts['watch'];
  readonly stepped?: RunnerPorts['stepped'];
}

/** How long a card in the field is kept waiting for the host's session. */
const sessionDeadlineMs = 1_500;
/** Services that are not begun without the host. */
const needsHost: ReadonlySet<ServiceName> = new Set(['topUp', 'topUpVoid', 'topUpCard', 'topUpCardVoid']);
/** A phone just served that trembles at the edge of the field asks for nothing. */
export const quietAfterSaleMs = 5_000;
const signalOf: Readonly<Record<Prompt, MemberSignal>> = {
  present: 'idle',
  hold: 'hold',
  asking: 'hold',
  tapAgain: 'tapAgain',
  done: 'done',
  refused: 'refused',
};

export class Terminal implements TerminalPort {
  readonly #parts: TerminalParts;
  readonly #clock: WallClock;
  readonly #ring: EventRing;
  readonly #desk: SaleDesk;
  readonly #wallets: Wallets | null;
  readonly #links: CardLinks;
  readonly #slots: ContactSlots;
  readonly #runner: SaleRunner;
  readonly #offline: OfflineDesk;
  readonly #inquiries: InquiryDesk;
  readonly #scans: ScanDesk;
  readonly #supervisor: DeviceSupervisor;
  readonly #slips: SlipDesk;
  readonly #relays: RelayDesk;
  readonly #display: MemberDisplay;
  readonly deviceDesk: DeviceDesk;
  readonly #startedMonotonicMs: number;
  #prompt: Prompt | null = null;
  /** The sale that a stop interrupted. */
  #recoveredId: TransactionId | null = null;
  /** The sale that ended last, with the receipt that is no copy. */
  #announced: SaleView | null = null;
  /** When the last sale ended in this run; null: none has. */
  #saleEndedAtMs: number | null = null;
  /** The storage failed: only a restart helps. */
  #stopped: Refusal | null = null;
  /** No sale before this is settled: not enrolled, or a restored box without a new epoch. */
  #waiting: Refusal | null = { code: 'terminal.notEnrolled', detail: '' };

  constructor(parts: TerminalParts) {
    this.#parts = parts;
    const { store, host, clock, crypto, random, ids, schedule, options } = parts;
    this.#startedMonotonicMs = clock.monotonicMs();
    this.#clock = new WallClock(clock, Math.max(store.trustedWallMs(), keptContactMs(store) ?? 0));
    this.#ring = new EventRing(toHex(random.bytes(4)));
    this.#supervisor = new DeviceSupervisor({
      ...{ drivers: parts.drivers, clock, schedule },
      disabled: disabledDevices(store.setting(disabledSetting)),
      onEvent: (event) => this.#onDevice(event),
    });
    this.#slots = new ContactSlots({ clock, schedule, slots: () => this.#supervisor.contactSlots() });
    this.deviceDesk = new DeviceDesk({
      ...{ supervisor: this.#supervisor, clock, schedule, simulated: options.simulated, unclaimed: parts.unclaimed },
      bankCards: this.#slots,
      isSaleOpen: () => this.#runner.state.phase !== 'idle',
      displaysFreed: () => this.#display.show(null),
      remember: (disabled) =>
        store.setSetting(disabledSetting, disabled.length === 0 ? null : JSON.stringify(disabled)),
    });
    const audit = {
      recordAudit: (actor: string, action: string, detail: string) => this.recordAudit(actor, action, detail),
      crashed: parts.crashed,
    };
    this.#slips = new SlipDesk({
      ...{ drivers: parts.drivers, qr: parts.receiptQr ?? null, ...audit },
      copyOf: (id) => this.#copyOf(id),
    });
    this.#relays = new RelayDesk({ drivers: parts.drivers, opensOn: parts.relayOpensOn ?? 'never', ...audit });
    const merchant = (): string => store.directives()?.merchant ?? '';
    this.#display = new MemberDisplay(parts.drivers, schedule, merchant);
    this.#desk = new SaleDesk({ store, crypto, ids, options });
    this.#offline = new OfflineDesk({
      store,
      crypto,
      ids,
      clock: this.#clock,
      keys: host,
      simulated: options.simulated,
      lastContactWallMs: () => host.status().lastContactWallMs,
    });
    const googleTroubled = (trouble: Refusal | null): void =>
      this.recordAudit('box', 'Google passes', trouble ? `${trouble.code} ${trouble.detail}`.trim() : 'read again');
    this.#wallets = parts.wallets
      ? new Wallets({ ...parts.wallets, random, clock, host, wallClock: this.#clock, googleTroubled })
      : null;
    this.#links = new CardLinks({
      crypto,
      clock: this.#clock,
      siteKey: parts.siteKey,
      tapOrder: parts.wallets?.settings.tapOrder ?? ['application'],
      tags: parts.wallets
        ? new Tags({
            ...{ addresses: parts.wallets.settings.tagAddresses, crypto: parts.wallets.crypto, clock },
            originality: parts.originality ?? null,
            found: (tag) => this.#publish({ type: 'tag', tag }),
          })
        : null,
      wallets: this.#wallets,
      terminalId: () => store.identity()?.terminalId ?? '',
      merchants: () => store.directives()?.merchants ?? [],
      siteSpentMinor: (cardKeyId) => {
        const { atWallMs, clockDoubtful } = this.#clock.now();
        return store.siteSpentMinor(cardKeyId, clockDoubtful ? null : atWallMs);
      },
      categoryOf: (code) => store.productByCode(code)?.category ?? null,
      hostReachable: () => host.reachable(),
      decider: (credential, tap) => this.#decider(credential, tap),
      wantsSignature: (operation, tap) => this.#offline.wantsSignature(operation, tap),
      cardRefusal: (tap) => this.#offline.cardRefusal(tap),
      isBlocked: (name) => store.isBlocked(name),
      askSession: (request) => host.openSession(request, sessionDeadlineMs),
    });
    this.#inquiries = new InquiryDesk({
      ...{ links: this.#links, random, ids, crashed: parts.crashed },
      hostReachable: () => host.reachable(),
      askHost: (request, deadlineMs) => host.inquire(request, deadlineMs),
      mayBegin: () => this.#mayInquire(),
      asking: () => this.#signal('hold'),
      show: (inquiry) => {
        this.#signal(inquiry.result === 'known' ? 'done' : 'refused');
        this.#display.showInquiry(inquiry);
        this.#publish({ type: 'inquiry', inquiry });
      },
    });
    this.#scans = new ScanDesk({
      ...{ rights: options, clock: this.#clock },
      isSaleOpen: () => this.#runner.state.phase !== 'idle',
      takeCode: (code) => this.#takeCode(code),
      inquire: (credential) => this.#inquiries.scanned(credential),
      start: (command) => this.#start(command).ok,
      cancel: () => this.#runner.deliver({ type: 'cancelRequested' }),
      refuse: () => this.#signal('refused'),
      publish: (event) => this.#publish(event),
    });
    this.#runner = new SaleRunner({
      store,
      schedule,
      links: this.#links,
      clock: this.#clock,
      askHost: (transactionId, deadline) => host.authorise(transactionId, deadline),
      recordsQueued: () => host.recordsQueued(),
      prompt: (prompt) => this.#setPrompt(prompt),
      announce: (request, outcome) => this.#announce(request, outcome),
      changed: (state) => this.#changed(state),
      crashed: parts.crashed,
      watch: parts.watch,
      stepped: parts.stepped,
    });
  }

  /**
   * Settles the sale that a stop interrupted, where neither host nor card is needed for it. To be called before anything is
   * sent, so that the reversal is in the outbox and goes out ahead of what it reverses.
   */
  settleAlone(): void {
    const { store } = this.#parts;
    const unfinished = store.unfinishedSale();
    if (!unfinished || (unfinished.commit === 'intent' && unfinished.card)) return;
    // A restored database has no place in the chain for a record before it has a new epoch.
    if (store.setting(restoredSetting) === null) this.#recover(unfinished);
  }

  #recover(persisted: PersistedSale): void {
    this.#recoveredId = persisted.request.ids.transaction;
    this.#runner.deliver({ type: 'saleRecovered', persisted });
  }

  /** Settles the sale that a stop interrupted, then opens the devices. */
  async start(): Promise<void> {
    const unfinished = this.#parts.store.unfinishedSale();
    // A storage that failed already while the sale was settled alone has halted the box: only a restart recovers it.
    if (unfinished && this.#runner.state.phase === 'idle') this.#recover(unfinished);
    if (!this.#openRequest()) this.#display.show(null);
    await this.#supervisor.start();
  }

  async stop(): Promise<void> {
    this.#inquiries.abandon();
    this.#runner.stop();
    this.deviceDesk.close();
    this.#slots.close();
    this.#display.stop();
    await this.#supervisor.stop();
  }

  /** Why no sale may begin yet; null: it may. */
  setWaiting(refusal: Refusal | null): void {
    this.#waiting = refusal;
  }

  /** Sync told something new; followers want to know. */
  syncChanged(): void {
    try {
      this.#offline.noteContact();
    } catch (error) {
      // A disk that is full now keeps an older contact: limits then end sooner, never later.
      if (!(error instanceof TerminalError)) throw error;
    }
    this.#display.refresh();
    this.#publish({ type: 'sync', sync: this.#parts.host.status() });
  }

  // Sales

  async startSale(command: SaleCommand): Promise<Result<SaleView, Refusal>> {
    return this.#start(command);
  }

  #start(command: SaleCommand): Result<SaleView, Refusal> {
    if (command.reference !== null) {
      const named = this.#named(command, command.reference);
      if (named) return named;
    }
    const hindrance = this.#stopped ?? this.#waiting;
    if (hindrance) return err(hindrance);
    if (this.#runner.state.phase !== 'idle') return err({ code: 'sale.busy', detail: '' });
    const request = this.#desk.prepare(command);
    if (!request.ok) return request;
    // Said before any money is on the counter.
    if (needsHost.has(request.value.service.name) && !this.#parts.host.reachable())
      return err({ code: 'host.unreachable', detail: '' });
    if (command.origin === 'till') this.#scans.emptyBasket();
    this.deviceDesk.endTrial();
    this.#inquiries.abandon();
    this.#runner.deliver({ type: 'saleRequested', request: request.value });
    if (command.code !== undefined) this.#takeCode(command.code);
    const waiting = this.#links.waiting();
    if (waiting !== null) this.#present(waiting);
    const view = this.#viewNow(request.value);
    return view ? ok(view) : err(this.#stopped ?? { code: 'store.failed', detail: '' });
  }

  /** A sale just acted upon. One that ended at once is answered with its own receipt, not with a copy. */
  #viewNow({ ids: { transaction: id } }: SaleRequest): SaleView | null {
    return this.#announced?.transactionId === id ? this.#announced : this.sale(id);
  }

  /** The sale that this reference named before; null: it is new. */
  #named(command: SaleCommand, reference: string): Result<SaleView, Refusal> | null {
    const open = this.#openRequest();
    const stored = open?.reference === reference ? null : this.#parts.store.saleByReference(reference);
    const request = open?.reference === reference ? open : stored?.sale.request;
    if (!request) return null;
    if (request.requestDigest !== this.#desk.digest(command))
      return err({ code: 'sale.referenceConflict', detail: reference });
    const view = this.sale(reference);
    return view ? ok(view) : null;
  }

  async cancelSale(id: string): Promise<Result<SaleView, Refusal>> {
    const open = this.#openRequest();
    if (!open || (open.reference !== id && open.ids.transaction !== id)) {
      return err({ code: this.#desk.find(id) ? 'sale.tooLate' : 'sale.unknown', detail: id });
    }
    this.#runner.deliver({ type: 'cancelRequested' });
    const view = this.#viewNow(open);
    if (!view) return err(this.#stopped ?? { code: 'sale.unknown', detail: id });
    // A sale that goes on was past the point where the machine hears a cancel.
    return view.outcome && view.outcome.result !== 'accepted' ? ok(view) : err({ code: 'sale.tooLate', detail: id });
  }

  sale(id: string): SaleView | null {
    const open = this.#openRequest();
    if (open && (open.reference === id || open.ids.transaction === id)) return this.#openView(open);
    const row = this.#desk.find(id);
    return row ? this.#storedView(row) : null;
  }

  printCopy(id: string): Promise<Result<PrintEnd, Refusal>> {
    return this.#slips.copy(id);
  }

  /** From the store: its receipt is a copy, also of the sale that has just ended. */
  #copyOf(id: string): SaleView | null {
    const sale = this.sale(id);
    const row = sale?.outcome ? this.#parts.store.saleByTransaction(sale.transactionId) : null;
    return row ? this.#storedView(row) : sale;
  }

  sales(limit: number, before: TransactionId | null): readonly SaleView[] {
    return this.#parts.store.sales(limit, before).map((row) => this.#storedView(row));
  }

  saleEnded(id: string, timeoutMs: number): Promise<SaleView | null> {
    const view = this.sale(id);
    if (!view || view.phase === 'ended') return Promise.resolve(view);
    return new Promise((resolve) => {
      const finish = (seen: SaleView | null): void => {
        stopFollowing();
        cancelTimer();
        resolve(seen);
      };
      const cancelTimer = this.#parts.schedule(timeoutMs, () => finish(this.sale(id)));
      const stopFollowing = this.#ring.follow(null, (numbered) => {
        const event = numbered?.event;
        // The view of the event itself: it alone carries the receipt that is no copy.
        if (event?.type === 'sale' && event.sale.transactionId === view.transactionId && event.sale.phase === 'ended')
          finish(event.sale);
      });
    });
  }

  // Looking

  status(): TerminalStatus {
    const { store, host, options, version, clock } = this.#parts;
    const identity = store.identity();
    const directives = store.directives();
    const open = this.#openRequest();
    return {
      terminalId: identity?.terminalId ?? null,
      epoch: identity?.epoch ?? null,
      version,
      simulated: options.simulated,
      merchant: directives?.merchant ?? null,
      uptimeMs: clock.monotonicMs() - this.#startedMonotonicMs,
      clockDoubtful: this.#clock.doubtful,
      sale: open ? this.#openView(open) : null,
      sync: host.status(),
      queue: store.gauges(),
      directivesVersion: directives?.version ?? null,
      catalogueVersion: directives?.catalogueVersion ?? null,
      googleWallet: this.#googleWallet(),
      googleTrouble: this.#wallets?.googleTrouble ?? null,
      stopped: this.#stopped ?? this.#waiting,
    };
  }

  #googleWallet(): TerminalStatus['googleWallet'] {
    const { host, wallets } = this.#parts;
    const google = wallets?.settings.tapOrder.includes('smartTap') ? wallets.settings.google : null;
    if (!google) return 'off';
    return google.privateKey ? 'here' : host.reachable() ? 'withHost' : 'notAsked';
  }

  devices(): readonly DeviceStatus[] {
    return this.#supervisor.statuses();
  }
  follow(
    after: { readonly boot: string; readonly number: number } | null,
    listener: (event: NumberedEvent | null) => void,
  ): () => void {
    return this.#ring.follow(after, listener);
  }
  queue(limit: number) {
    const { store } = this.#parts;
    return { gauges: store.gauges(), unsent: store.recordsIn('unsent', limit), dead: store.recordsIn('dead', limit) };
  }
  journal(limit: number, before: { readonly epoch: number; readonly sequence: number } | null) {
    return this.#parts.store.journal(limit, before);
  }
  audit(limit: number) {
    return this.#parts.store.audit(limit);
  }
  syncNow(): Promise<SyncStatus> {
    return this.#parts.host.syncNow();
  }
  recordAudit(actor: string, action: string, detail: string): void {
    this.#parts.store.appendAudit({ atWallMs: this.#clock.now().atWallMs, actor, action, detail });
  }
  setting(name: string): string | null {
    return this.#parts.store.setting(name);
  }
  setSetting(name: string, value: string | null): void {
    this.#parts.store.setSetting(name, value);
  }
  backup(toFile: string): Promise<void> {
    return this.#parts.store.backup(toFile);
  }

  // Devices

  /** Of this process alone: neither till nor console gets it. */
  get bankCards(): BankCardPort {
    return this.#slots;
  }

  #onDevice(event: DeviceEvent): void {
    if (event.type === 'cardInserted') this.#slots.inserted(event.device, event.link);
    const isOfSlot = event.type === 'cardRemoved' && this.#slots.removed(event.linkId);
    if (this.deviceDesk.takes(event) || isOfSlot) return;
    switch (event.type) {
      case 'deviceStateChanged':
        this.#publish({ type: 'device', device: event.status });
        return;
      case 'cardPresented':
        this.#links.add(event.link);
        if (this.#runner.state.phase === 'idle') this.#inquiries.tapped(event.link.id);
        else this.#present(event.link.id);
        return;
      case 'cardRemoved':
        this.#links.remove(event.linkId);
        this.#runner.deliver({ type: 'cardRemoved', linkId: event.linkId });
        return;
      case 'cardInserted':
        // It lies in its slot until somebody asks for it: no tap, and nothing to an open sale.
        return;
      case 'codeScanned':
        this.#scans.scanned(event.device, event.code, event.aim);
        return;
      case 'stripeRead':
      case 'numberKeyed':
        // No service here asks for them; a technician's trial sees them.
        return;
    }
  }

  #mayInquire(): boolean {
    if (!this.#parts.options.tapInquiry || this.#runner.state.phase !== 'idle') return false;
    if (this.#stopped || this.#waiting) return false;
    const now = this.#parts.clock.monotonicMs();
    return this.#saleEndedAtMs === null || now - this.#saleEndedAtMs >= quietAfterSaleMs;
  }

  #present(linkId: string): void {
    this.#runner.deliver({ type: 'cardPresented', linkId, terminalNonce: toHex(this.#parts.random.bytes(16)) });
  }

  #takeCode(code: string): void {
    const scanned = credentialOfCode(code);
    const decided = scanned
      ? this.#decider(scanned, null)
      : { hostReachable: this.#parts.host.reachable(), offlineOffer: null };
    this.#runner.deliver({ type: 'codeScanned', code, ...decided });
  }

  /** Who decides of this credential: the host where it can be reached, else the box; of one that is blocked here always the box. */
  #decider(credential: Credential, tap: Tap | null) {
    const hostReachable = this.#parts.host.reachable();
    const request = this.#openRequest();
    // An earn counts before the host has answered: a host that falls silent just then must not let a lost phone through.
    const asksBox = !hostReachable || this.#parts.store.isBlocked(subjectOf(credential));
    const offlineOffer = request && asksBox ? this.#offline.offer(request, credential, tap) : null;
    return { hostReachable: hostReachable && offlineOffer === null, offlineOffer };
  }

  /** Gives allowances back that have ended, between sales. @throws TerminalError of the store */
  upkeep(): void {
    if (this.#runner.state.phase !== 'idle' || this.#waiting || this.#stopped) return;
    if (this.#offline.releaseEnded() > 0) this.#parts.host.recordsQueued();
  }
  offline(): OfflineView {
    return this.#offline.view();
  }
  async requestAllowance(request: AllowanceRequest): Promise<Result<AllowanceResponse, Refusal>> {
    const asked = await this.#parts.host.requestAllowance(request);
    if (asked.ok) await this.#parts.host.syncNow();
    return asked;
  }
  giveBackAllowance(id: string): boolean {
    const given = this.#runner.state.phase === 'idle' && this.#offline.giveBack(id);
    if (given) this.#parts.host.recordsQueued();
    return given;
  }

  // The runner's outlets

  #setPrompt(prompt: Prompt): void {
    this.#prompt = prompt;
    this.#signal(signalOf[prompt]);
  }
  #signal(signal: MemberSignal): void {
    this.#supervisor.signal(signal);
  }

  #announce(request: SaleRequest, outcome: SaleOutcome): void {
    this.#prompt = null;
    this.#saleEndedAtMs = this.#parts.clock.monotonicMs();
    this.#relays.ended(request, outcome, request.ids.transaction === this.#recoveredId);
    const { atWallMs } = this.#clock.now();
    const told = this.#parts.store.directives()?.configuration;
    const lines = receiptLines(request, outcome, receiptContext(this.#terminalId(), atWallMs, false, told));
    this.#slips.receipt(request.ids.transaction, lines);
    this.#announced = { ...viewOf(request, outcome, null), receipt: lines };
    this.#publish({ type: 'sale', sale: this.#announced });
  }

  #changed(state: State): void {
    if (state.phase === 'halted') this.#halt(state.code);
    const open = this.#openRequest();
    if (open && state.phase !== 'announcing') this.#publish({ type: 'sale', sale: this.#openView(open) });
  }

  #halt(code: ErrorCode): void {
    this.#stopped = { code, detail: 'restart the box when the storage is sound again' };
    // Nobody is to go on holding a phone to a box that has stopped.
    this.#prompt = null;
    this.#signal('refused');
  }

  // Views

  #openRequest(): SaleRequest | null {
    const { state } = this.#runner;
    return 'request' in state ? state.request : null;
  }

  #openView(request: SaleRequest): SaleView {
    const { state } = this.#runner;
    return viewOf(request, state.phase === 'announcing' ? state.outcome : null, this.#prompt);
  }

  #storedView(row: SaleRow): SaleView {
    return storedView(row, this.#terminalId(), this.#parts.store.directives()?.configuration);
  }

  #terminalId(): string {
    return this.#parts.store.identity()?.terminalId ?? '-';
  }

  #publish(event: TerminalEvent): void {
    if (event.type === 'sale') this.#display.show(event.sale);
    this.#ring.publish(event);
  }
}
