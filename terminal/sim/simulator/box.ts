/**
 * A box: its database, which outlives everything, and the run of the shipped terminal over it, which a crash ends at any
 * effect or commit. Must hold no rule of the terminal's: what runs here is terminal/runtime, terminal/store and
 * host-sync/client as they are shipped.
 */
import Database from 'better-sqlite3';
import { createSyncClient, type SyncClient } from '../../../host-sync/client/client.js';
import type { HostPort } from '../../../host-sync/client/host-port.js';
import type { Bytes } from '../../kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../../kernel/errors.js';
import type { Clock, Ids, TransactionId } from '../../kernel/ports.js';
import { err } from '../../kernel/result.js';
import { monotonicMs, wallMs } from '../../kernel/units.js';
import type { LocalKeys } from '../../runtime/local-keys.js';
import type { SaleView } from '../../runtime/port.js';
import type { HostReply } from '../../runtime/sale-runner.js';
import { type HostLink, Terminal } from '../../runtime/terminal.js';
import { upkeepEveryMs } from '../../runtime/upkeep.js';
import { restoredSetting } from '../../store/backup.js';
import { openConnection } from '../../store/connection.js';
import { createStore, type SqliteStore } from '../../store/open.js';
import { noReserve } from '../../store/reserve.js';
import type { Faults } from './faults.js';
import { drawLocalKeys, drawSigner, type Signer, simCrypto } from './keys.js';
import { Network, type NetworkWorld } from './network.js';
import { SimReader } from './reader.js';
import { type Chance, virtualIds } from './virtual-time.js';

/** 2026-06-01: virtual time begins here. */
export const worldStartMs = 1_780_272_000_000;
/** How long a sale waits for a tap. */
export const patienceMs = 60_000;
const epochRetryMs = 5_000;
const renewalLookMs = 300_000;

/** The power went: the run is over, and whoever still calls it is part of it. */
export class PowerLost extends Error {}

export interface BoxWorld extends NetworkWorld {
  readonly chance: Chance;
  /** The public key of the host's authority. */
  readonly authorityKey: Bytes;
  readonly faults: Pick<Faults, 'strikes'>;
  readonly log: (text: string) => void;
  /** A bug in the shipped code: an assertion, or an error nobody may throw. */
  readonly bug: (error: unknown) => void;
  /** A sale began or went on; told of each step. */
  readonly seen: (box: SimBox, sale: SaleView) => void;
  /** A sale was announced: shown, told and printed. */
  readonly shown: (box: SimBox, sale: SaleView) => void;
  readonly stepped: (phase: string, event: string) => void;
}

const durable = new Set([
  'persist',
  'settle',
  'requeueAbove',
  'setIdentity',
  'setDirectives',
  'appendAudit',
  'releaseAllowance',
  'setSetting',
]);

/** By turns from life to life. With a small page two batches are often under way at once. */
const pageSizes = [3, 10, 50] as const;

/** One life of the box's process. */
class Run {
  alive = true;
  readonly store: SqliteStore;
  readonly reader: SimReader;
  readonly terminal: Terminal;
  readonly client: SyncClient;

  constructor(
    private readonly world: BoxWorld,
    private readonly box: SimBox,
  ) {
    const isAlive = (): boolean => this.alive;
    const bootMs = world.time.nowMs;
    const clock: Clock = {
      monotonicMs: () => monotonicMs(world.time.nowMs - bootMs + 1_000),
      wallMs: () => wallMs(Math.max(0, worldStartMs + world.time.nowMs + box.clockStepMs)),
    };
    const schedule = (delayMs: number, run: () => void): (() => void) =>
      world.time.after(delayMs, () => {
        if (this.alive) guarded(run, world.bug);
      });
    this.store = this.#mortal(createStore(box.db, { crypto: simCrypto }, noReserve));
    this.reader = new SimReader(world, `${box.name}-${box.runs}`, isAlive);
    this.client = createSyncClient({
      outbox: this.store,
      host: null,
      clock,
      schedule,
      random: world.chance,
      limits: {
        ...{ backOffMinMs: 1_000, backOffMaxMs: 60_000, pollMs: 60_000 },
        pageSize: pageSizes[box.runs % pageSizes.length] ?? pageSizes[0],
      },
      directivesHeld: () => this.store.directives(),
      bellWaitMs: 0,
      onDirectives: (directives) => {
        const { directives: taken, rejected } = box.keys.take(directives, box.terminalId, world.authorityKey);
        if (rejected > 0) world.bug(new Error(`${box.name} turned ${rejected} allowances away`));
        this.store.setDirectives(taken);
      },
      onAnswer: () => {},
      onStatus: () => {},
    });
    const link = new Link(world, box, this);
    this.terminal = new Terminal({
      store: this.store,
      host: link,
      unclaimed: () => [],
      drivers: [this.reader],
      crypto: simCrypto,
      clock,
      random: world.chance,
      ids: box.ids,
      schedule,
      siteKey: () => box.siteKey,
      options: {
        ...{
          simulated: false,
          category: 'dining',
          typedPointsClerks: [],
          topUpClerks: ['*'],
          siteDailyMaxMinor: 1_000_000,
        },
        ...{ credentialTimeoutMs: patienceMs, authorisationTimeoutMs: 5_000, balanceTimeoutMs: 1_500 },
        ...{ cardAgainTimeoutMs: 60_000, scannerClerk: 'scanner', scannerSells: false, scannerUndoes: false },
        ...{ expiredRefused: true, weighedForms: [], tapInquiry: true },
      },
      version: '0',
      crashed: (error) => {
        if (this.alive) world.bug(error);
      },
      stepped: world.stepped,
      watch: (moment, effect) => {
        if (!this.alive) return;
        const kind = moment === 'before' ? 'crashBefore' : 'crashAfter';
        if (world.faults.strikes(kind, `${box.name} at ${effect.type}`)) box.powerCut();
      },
    });
    this.terminal.follow(null, (numbered) => {
      const event = numbered?.event;
      if (!this.alive || event?.type !== 'sale') return;
      world.seen(box, event.sale);
      if (event.sale.phase === 'ended') world.shown(box, event.sale);
    });
    void this.#begin(link).catch(world.bug);
  }

  /** What terminal/main.ts does in quiet moments. */
  #upkeep(): void {
    this.world.time.after(upkeepEveryMs, () => {
      if (!this.alive) return;
      guarded(() => {
        try {
          this.terminal.upkeep();
        } catch (error) {
          if (!(error instanceof TerminalError)) throw error;
        }
      }, this.world.bug);
      this.#upkeep();
    });
  }

  async #begin(link: Link): Promise<void> {
    this.#upkeep();
    this.terminal.settleAlone();
    this.client.start();
    link.connect();
    await this.terminal.start();
  }

  /** The store of this life: it fails where a fault says so, and is gone with the power. */
  #mortal(store: SqliteStore): SqliteStore {
    const { box, world } = this;
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...words: unknown[]): unknown => {
          if (!this.alive) throw new PowerLost();
          if (!durable.has(String(name))) return Reflect.apply(value, target, words);
          if (world.faults.strikes('crashBefore', `${box.name} before ${String(name)}`)) box.powerCut();
          if (!this.alive) throw new PowerLost();
          this.#mayFail(String(name));
          const result: unknown = Reflect.apply(value, target, words);
          if (world.faults.strikes('crashAfter', `${box.name} after ${String(name)}`)) box.powerCut();
          if (!this.alive) throw new PowerLost();
          return result;
        };
      },
    });
  }

  #mayFail(name: string): void {
    const { box, world } = this;
    const fail = (code: ErrorCode): never => {
      throw new TerminalError(code, 'a fault');
    };
    if (world.faults.strikes('storageFull', `${box.name} ${name}`)) fail('store.full');
    if (world.faults.strikes('storageFailed', `${box.name} ${name}`)) {
      // A box whose storage failed stops selling; somebody restarts it.
      world.time.after(world.chance.between(10_000, 120_000), () => box.powerCut());
      fail('store.failed');
    }
  }
}

function guarded(run: () => void, bug: (error: unknown) => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof PowerLost)) bug(error);
  }
}

/** What terminal/runtime/host-link.ts does once enrolled: a fresh epoch after a restore, then the sync client. */
class Link implements HostLink {
  constructor(
    private readonly world: BoxWorld,
    private readonly box: SimBox,
    private readonly run: Run,
  ) {}

  connect(): void {
    const { box, run, world } = this;
    const port = box.network.port(box.terminalId, () => run.alive);
    const again = (): void => void world.time.after(epochRetryMs, () => proceed());
    const proceed = (): void => {
      fresh(port).then(
        (isFresh) => {
          if (!run.alive) return;
          if (!isFresh) return again();
          run.terminal.setWaiting(null);
          run.client.enrolled(port);
        },
        (error: unknown) => {
          if (error instanceof PowerLost) return;
          if (error instanceof TerminalError) again();
          else world.bug(error);
        },
      );
    };
    /** A new epoch where the disk was set back. False: the host could not be asked. */
    const fresh = async (host: HostPort): Promise<boolean> => {
      const identity = run.store.identity();
      if (!identity || run.store.setting(restoredSetting) === null) return true;
      run.terminal.setWaiting({ code: 'terminal.restored', detail: '' });
      const raised = await host.raiseEpoch('restored');
      if (!raised.ok) return false;
      const { epoch, previous } = raised.value;
      run.store.requeueAbove(previous);
      run.store.setIdentity({ terminalId: identity.terminalId, epoch });
      return true;
    };
    proceed();
    /** What host-link.ts does before a certificate ends, and after. */
    const keepFresh = (): void =>
      void world.time.after(renewalLookMs, () => {
        if (!run.alive) return;
        if (box.network.isExpired) port.renew('').then(() => {}, world.bug);
        keepFresh();
      });
    keepFresh();
  }

  async authorise(transactionId: TransactionId, deadlineMs: number): Promise<HostReply> {
    if (this.run.client.reachable()) {
      const reply = await this.run.client.authorise(transactionId, deadlineMs);
      if (reply.kind === 'answered') return reply;
    }
    const stored = this.run.store.saleByTransaction(transactionId)?.answer ?? null;
    return stored ? { kind: 'answered', answer: stored, session: null } : { kind: 'silent' };
  }
  async openSession(...words: Parameters<SyncClient['openSession']>): ReturnType<HostLink['openSession']> {
    const response = await this.run.client.openSession(...words);
    return response.ok ? response.value : null;
  }
  async inquire(...words: Parameters<SyncClient['inquire']>): ReturnType<HostLink['inquire']> {
    const response = await this.run.client.inquire(...words);
    return response.ok ? response.value : null;
  }
  async signSmartTap(...words: Parameters<SyncClient['signSmartTap']>): ReturnType<HostLink['signSmartTap']> {
    const response = await this.run.client.signSmartTap(...words);
    return response.ok ? response : err({ code: response.error.code, detail: '' });
  }
  async requestAllowance(
    ...words: Parameters<SyncClient['requestAllowance']>
  ): ReturnType<HostLink['requestAllowance']> {
    const response = await this.run.client.requestAllowance(...words);
    return response.ok ? response : err({ code: response.error.code, detail: '' });
  }
  sign(data: Uint8Array): Uint8Array {
    return this.box.signer.sign(data);
  }
  proofHolds(...words: Parameters<HostLink['proofHolds']>): boolean | null {
    return words[0] === '' ? null : this.box.keys.proofHolds(...words);
  }
  reachable(): boolean {
    return this.run.client.reachable();
  }
  recordsQueued(): void {
    this.run.client.recordsQueued();
  }
  syncNow(): ReturnType<HostLink['syncNow']> {
    return this.run.client.syncNow();
  }
  status(): ReturnType<HostLink['status']> {
    return this.run.client.status();
  }
}

/** A connection that prepares each statement once, whoever asks: every look at a disk opens a store of its own over it. */
function preparingOnce(db: Database.Database): Database.Database {
  const prepared = new Map<string, Database.Statement>();
  const prepare = db.prepare.bind(db);
  db.prepare = ((sql: string) => {
    const known = prepared.get(sql) ?? prepare(sql);
    prepared.set(sql, known);
    return known;
  }) as typeof db.prepare;
  return db;
}

/** The disk that an image was taken of. */
function opened(image: Buffer): Database.Database {
  const db = preparingOnce(new Database(image));
  db.defaultSafeIntegers(true);
  return db;
}

/** What a copy of a box is made of. */
export type BoxSource = Pick<SimBox, 'signer' | 'keys' | 'image'>;

/** A box at a counter, through all its lives. */
export class SimBox {
  db: Database.Database;
  readonly network: Network;
  readonly signer: Signer;
  readonly keys: LocalKeys;
  readonly ids: Ids;
  runs = 0;
  /** By how much somebody has set the wall clock. */
  clockStepMs = 0;
  /** Somebody has ever set it. */
  clockWasSet = false;
  #run: Run | null = null;

  constructor(
    private readonly world: BoxWorld,
    readonly name: string,
    readonly terminalId: string,
    readonly siteKey: Bytes | null,
    /** The box whose disk and keys this one is a copy of. */
    source: BoxSource | null = null,
  ) {
    this.network = new Network(world, name);
    this.network.bug = world.bug;
    this.signer = source?.signer ?? drawSigner(world.chance);
    this.keys = source?.keys ?? drawLocalKeys(world.chance);
    this.ids = virtualIds(world.chance, () => worldStartMs + world.time.nowMs);
    this.db = source ? opened(source.image()) : preparingOnce(openConnection(':memory:'));
    if (!source) createStore(this.db, { crypto: simCrypto }, noReserve).setIdentity({ terminalId, epoch: 1 });
    this.boot();
  }

  setClock(stepMs: number): void {
    this.clockStepMs = stepMs;
    this.clockWasSet = true;
  }

  /** The life that runs now; null: the power is off. */
  get run(): Run | null {
    return this.#run;
  }
  /** What is on the disk, read past any life. */
  disk(): SqliteStore {
    return createStore(this.db, { crypto: simCrypto }, noReserve);
  }

  boot(): void {
    if (this.#run || this.#isRemoved) return;
    this.runs += 1;
    this.world.log(`${this.name} starts`);
    this.#run = new Run(this.world, this);
  }

  /** For good: this box is taken away. */
  remove(): void {
    if (this.#run) this.#run.alive = false;
    this.#run = null;
    this.#isRemoved = true;
  }
  #isRemoved = false;

  /** The power goes now and comes back after a while. */
  powerCut(): void {
    if (!this.#run) return;
    this.#run.alive = false;
    this.#run = null;
    this.world.log(`${this.name} loses its power`);
    this.world.time.after(this.world.chance.between(1_000, 120_000), () => this.boot());
  }

  image(): Buffer {
    return this.db.serialize();
  }
  /** The disk becomes an earlier image, with the mark that our restore command sets. */
  restore(image: Buffer): void {
    this.powerCut();
    this.db = opened(image);
    this.disk().setSetting(restoredSetting, String(worldStartMs + this.world.time.nowMs));
  }
}
