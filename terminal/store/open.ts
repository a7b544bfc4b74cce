/**
 * The box's store: puts the parts over one connection together behind the store port.
 * Holds no SQL of its own but for the chain's beginning.
 */
import {
  type Heard,
  type Held,
  type OutboxRecord,
  type SettledAnswer,
  seenAfter,
} from '../../host-sync/client/outbox-port.js';
import { genesisHash, type RecordDraft, transactionIdFromBytes } from '../../host-sync/protocol/record.js';
import type { Product } from '../../host-sync/protocol/sync.js';
import type { OfflineUsage } from '../core/offline-offer.js';
import type { PersistedSale } from '../core/sale.js';
import { concat } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import type { Crypto, TransactionId } from '../kernel/ports.js';
import { assert } from '../kernel/result.js';
import { type AmountMinor, type WallMs, wallMs } from '../kernel/units.js';
import { backupTo, restoredSetting } from './backup.js';
import { Catalogue } from './catalogue.js';
import { type Connection, Gate, integer, openConnection, type Statement } from './connection.js';
import { type Counters, CountersKeeper, countingMs, sumOf } from './counters.js';
import { idBytes, Journal, listLimit } from './journal.js';
import { Maintenance, type MaintenanceDone, type Retention, retentionDefault } from './maintenance.js';
import { type AllowanceRow, OfflineBook } from './offline-book.js';
import { Outbox } from './outbox.js';
import { type PersistParts, persistSale } from './persist.js';
import type {
  AuditEntry,
  Identity,
  JournalEntry,
  NewDirectives,
  QueueGauges,
  SaleRow,
  StoredDirectives,
  TerminalStore,
} from './port.js';
import { noReserve, openReserve, type Reserve } from './reserve.js';
import { SaleLookup } from './sale-lookup.js';
import { Sales } from './sales.js';
import { Audit, Settings } from './settings.js';
import { type ChainFault, Verifier } from './verify.js';
import { noWorth } from './worth.js';

export interface StoreOptions {
  /** Path of the database; `:memory:` keeps nothing and has no reserve. */
  readonly file: string;
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly retention?: Retention;
}

/** The store port, and the upkeep that the runtime asks for when no sale is open. */
export interface SqliteStore extends TerminalStore {
  /** One bounded slice of purge, and a checkpoint when enough was written; call again while it purged anything. */
  maintain(atWallMs: WallMs, clockDoubtful: boolean): MaintenanceDone;
}

/**
 * Opens or creates the box's database and takes it for this process alone.
 * @throws TerminalError store.newer, store.corrupt, store.full, store.failed (read-only, or another process has it)
 */
export function openTerminalStore(options: StoreOptions): SqliteStore {
  const db = openConnection(options.file);
  try {
    const reserve = options.file === ':memory:' ? noReserve : openReserve(`${options.file}-reserve`);
    return createStore(db, options, reserve);
  } catch (cause) {
    db.close();
    throw cause;
  }
}

/** The store over an open connection. */
export function createStore(db: Connection, options: Omit<StoreOptions, 'file'>, reserve: Reserve): SqliteStore {
  return new OpenStore(db, options, reserve);
}

class OpenStore implements SqliteStore {
  readonly #gate: Gate;
  readonly #parts: PersistParts;
  readonly #catalogue: Catalogue;
  readonly #book: OfflineBook;
  readonly #settings: Settings;
  readonly #audit: Audit;
  readonly #verifier: Verifier;
  readonly #maintenance: Maintenance;
  readonly #addChain: Statement;
  readonly #highestEpoch: Statement;
  readonly #firstNumber: Statement;
  #identity: Identity | null;

  constructor(
    private readonly db: Connection,
    private readonly options: Omit<StoreOptions, 'file'>,
    reserve: Reserve,
  ) {
    const { crypto } = options;
    this.#gate = new Gate(db);
    const counters = new CountersKeeper(db, this.#gate);
    const lookup = new SaleLookup(db, counters.current);
    this.#book = new OfflineBook(db);
    this.#parts = {
      counters,
      book: this.#book,
      journal: new Journal(db, crypto),
      outbox: new Outbox(db, counters.current),
      sales: new Sales(db, lookup),
      lookup,
      reserve,
    };
    this.#catalogue = new Catalogue(db);
    this.#settings = new Settings(db);
    this.#audit = new Audit(db, crypto);
    this.#verifier = new Verifier(db, crypto);
    this.#maintenance = new Maintenance(db, this.#gate, this.#parts, options.retention ?? retentionDefault);
    this.#addChain = db.prepare('INSERT INTO chain VALUES (?, ?, ?, ?)');
    this.#highestEpoch = db.prepare('SELECT max(epoch) FROM chain WHERE terminal_id = ?').pluck();
    this.#firstNumber = db.prepare('SELECT first_number FROM chain WHERE number = ?').pluck();
    this.#identity = this.#storedIdentity();
  }

  #storedIdentity(): Identity | null {
    const row = this.db
      .prepare('SELECT terminal_id, epoch FROM chain WHERE number = ?')
      .get(this.#parts.counters.current.chain) as { readonly terminal_id: string; readonly epoch: bigint } | undefined;
    return row ? { terminalId: row.terminal_id, epoch: integer(row.epoch, 1) } : null;
  }

  persist(sale: PersistedSale, records: readonly RecordDraft[], atWallMs: WallMs): void {
    persistSale(this.#parts, this.#identity, sale, records, atWallMs);
    this.#maintenance.committed();
  }

  settle(answers: readonly SettledAnswer[], heard: Heard | null): void {
    if (answers.length === 0) return;
    const byId = new Map(answers.map((answer) => [answer.transactionId, answer]));
    this.#parts.counters.commit((counters, after) => {
      for (const answer of byId.values()) {
        this.#parts.outbox.settle(counters, after, this.#asKnown(answer));
        this.#takeBackUndo(answer);
      }
      if (heard) counters.newestSeen = concat(...seenAfter(seenIn(counters), heard).map(idBytes));
    });
    this.#maintenance.committed();
  }

  /** Refused later, the clerk has paid out already: then it goes on counting, and the dead letter says so. */
  #takeBackUndo({ transactionId, answer, knownToSale }: SettledAnswer): void {
    if (!knownToSale || answer.outcome === 'accepted') return;
    const sale = this.#parts.sales.byTransaction(transactionId)?.sale;
    if (sale) this.#parts.sales.takeBackUndo(sale);
  }

  /** A sale that ended refused here gave nothing: the host's refusal of it leaves nothing for a person to settle. */
  #asKnown(settled: SettledAnswer): SettledAnswer {
    if (settled.knownToSale || settled.answer.outcome === 'accepted') return settled;
    const sale = this.#parts.sales.byTransaction(settled.transactionId)?.sale;
    return sale?.commit === 'ended' && sale.outcome.result === 'refused' ? { ...settled, knownToSale: true } : settled;
  }

  nextUnsent(limit: number, held: ReadonlySet<TransactionId>): readonly OutboxRecord[] {
    return this.#gate.read(() => this.#parts.outbox.next(limit, held));
  }
  unsentByTransaction(id: TransactionId): OutboxRecord | null {
    return this.#gate.read(() => this.#parts.outbox.byTransaction(id));
  }
  unsentCount(): number {
    return this.#parts.counters.current.unsent;
  }
  newestSeen(): readonly TransactionId[] {
    return seenIn(this.#parts.counters.current);
  }
  requeueAbove(held: Held): void {
    const { counters, outbox } = this.#parts;
    // Of an earlier chain nothing says how much the host still holds, so all of it goes again: what it has, it answers alike.
    const isOnlyChain = counters.current.chain === 1 && this.#identity?.epoch === held.epoch;
    const from = isOnlyChain ? this.#firstNumberOfChain() + held.sequence : 1;
    counters.commit((next, after) => {
      outbox.requeue(next, after, from);
      next.newestSeen = held.newest === null ? new Uint8Array() : idBytes(held.newest);
    });
    this.#maintenance.committed();
  }
  /** Journal number of the running epoch's first record. */
  #firstNumberOfChain(): number {
    return integer(this.#firstNumber.get(this.#parts.counters.current.chain), 1);
  }

  unfinishedSale(): PersistedSale | null {
    return this.#gate.read(() => this.#parts.sales.open(this.#parts.counters.current));
  }
  saleByReference(reference: string): SaleRow | null {
    return this.#gate.read(() => this.#parts.sales.byReference(reference));
  }
  saleByTransaction(id: TransactionId): SaleRow | null {
    return this.#gate.read(() => this.#parts.sales.byTransaction(id));
  }
  sales(limit: number, before: TransactionId | null): readonly SaleRow[] {
    return this.#gate.read(() => this.#parts.sales.newest(limit, before));
  }
  journal(
    limit: number,
    before: { readonly epoch: number; readonly sequence: number } | null,
  ): readonly JournalEntry[] {
    return this.#gate.read(() => this.#parts.journal.newest(limit, before));
  }
  recordsIn(state: 'unsent' | 'dead', limit: number): readonly JournalEntry[] {
    const { journal, outbox } = this.#parts;
    return this.#gate.read(() =>
      state === 'dead' ? journal.dead(limit) : outbox.oldest(listLimit(limit)).map((number) => journal.entry(number)),
    );
  }

  gauges(): QueueGauges {
    const { counters, journal, outbox } = this.#parts;
    const { unsent, unsentWorthMinor, unsentPoints, dead, nextSequence } = counters.current;
    return this.#gate.read(() => {
      const [oldest] = unsent === 0 ? [] : outbox.oldest(1);
      return {
        unsent,
        unsentWorthMinor: sumOf(unsentWorthMinor),
        unsentPoints: sumOf(unsentPoints),
        dead,
        oldestUnsentWallMs: oldest === undefined ? null : journal.entry(oldest).storedWallMs,
        nextSequence,
      };
    });
  }

  trustedWallMs(): number {
    return this.#parts.counters.current.trustedMs;
  }
  /** Read by the day on which it would be counted. */
  #countedAt(atWallMs: WallMs | null): WallMs | null {
    return atWallMs === null ? null : wallMs(countingMs(this.#parts.counters.current, atWallMs));
  }

  siteSpentMinor(cardKeyId: string, atWallMs: WallMs | null): AmountMinor {
    return this.#gate.read(() => this.#parts.sales.spentMinor(cardKeyId, this.#countedAt(atWallMs)));
  }

  identity(): Identity | null {
    return this.#identity;
  }

  /**
   * Begins a chain anew and removes the mark of a restored database in the same commit. The identity that stands already
   * changes nothing. @throws TerminalError record.chainBroken when the epoch is not above those this terminal had
   */
  setIdentity(identity: Identity): void {
    const { terminalId, epoch } = identity;
    if (this.#identity?.terminalId === terminalId && this.#identity.epoch === epoch) return;
    const highest = this.#highestEpoch.get(terminalId);
    if (highest !== null && epoch <= integer(highest)) {
      throw new TerminalError('record.chainBroken', `epoch ${epoch} is not above the last one`);
    }
    this.#parts.counters.commit((counters) => {
      counters.chain += 1;
      counters.nextSequence = 1;
      counters.lastHash = genesisHash(this.options.crypto, terminalId, epoch);
      if (this.#identity?.terminalId !== terminalId) counters.newestSeen = new Uint8Array();
      this.#addChain.run(counters.chain, terminalId, epoch, counters.nextNumber);
      this.#settings.put(restoredSetting, null);
      // What a disk that was set back says of its slices may be old: none is spent any more, all go back.
      this.#book.recallAll();
      // A clock that ran years ahead must not leave the box in doubt for as long: the host's word ends it.
      counters.trustedMs = 0;
    });
    this.#identity = { terminalId, epoch };
  }

  directives(): StoredDirectives | null {
    return this.#gate.read(() => this.#catalogue.directives());
  }
  setDirectives({ catalogue, allowances, blocked, ...stored }: NewDirectives): boolean {
    const taken = this.#gate.write(() => {
      const fits = this.#catalogue.replace(stored, catalogue);
      if (fits) this.#book.replace(allowances, blocked);
      return fits;
    });
    this.#maintenance.committed();
    return taken;
  }
  allowances(): readonly AllowanceRow[] {
    return this.#gate.read(() => this.#book.standing());
  }
  allowancesFor(name: string): readonly AllowanceRow[] {
    return this.#gate.read(() => this.#book.named(name));
  }
  isBlocked(name: string): boolean {
    return this.#gate.read(() => this.#book.isBlocked(name));
  }
  offlineUsage(subject: string | null, atWallMs: WallMs | null): OfflineUsage {
    return this.#gate.read(() => this.#book.usage(subject, this.#countedAt(atWallMs)));
  }
  /** @throws TerminalError store.full, store.failed, store.corrupt; then the allowance stands */
  releaseAllowance(release: RecordDraft & { readonly kind: 'allowanceRelease' }, atWallMs: WallMs): void {
    const identity = this.#identity;
    assert(identity, 'an allowance belongs to an enrolled box');
    const { counters, journal, outbox } = this.#parts;
    counters.commit((now, after) => {
      const number = journal.append(now, identity, release, noWorth, atWallMs);
      outbox.add(now, after, { id: release.transactionId, kind: release.kind, number }, noWorth);
      this.#book.end(release.allowanceId);
    });
    this.#maintenance.committed();
  }
  productByCode(code: string): Product | null {
    return this.#gate.read(() => this.#catalogue.byCode(code));
  }
  productsByName(name: string, limit: number): readonly Product[] {
    return this.#gate.read(() => this.#catalogue.byName(name, limit));
  }

  setting(name: string): string | null {
    return this.#gate.read(() => this.#settings.get(name));
  }
  setSetting(name: string, value: string | null): void {
    this.#gate.write(() => this.#settings.put(name, value));
  }
  appendAudit(entry: Omit<AuditEntry, 'number'>): void {
    this.#parts.counters.commit((counters) => this.#audit.append(counters, entry));
  }
  audit(limit: number): readonly AuditEntry[] {
    return this.#gate.read(() => this.#audit.newest(limit));
  }

  /** A file that SQLite finds damaged is not written again. */
  verifyChains(): ChainFault | null {
    try {
      return this.#gate.read(() => this.#verifier.check(this.#parts.counters.current));
    } catch (cause) {
      if (cause instanceof TerminalError && cause.code === 'store.corrupt')
        return { code: cause.code, detail: cause.detail };
      throw cause;
    }
  }

  maintain(atWallMs: WallMs, clockDoubtful: boolean): MaintenanceDone {
    return this.#maintenance.run(atWallMs, clockDoubtful);
  }
  backup(toFile: string): Promise<void> {
    return backupTo(this.db, toFile);
  }
  close(): void {
    this.db.close();
  }
}

const idLength = 16;
const seenIn = ({ newestSeen }: Pick<Counters, 'newestSeen'>): readonly TransactionId[] =>
  Array.from({ length: newestSeen.length / idLength }, (_, at) =>
    transactionIdFromBytes(newestSeen.subarray(at * idLength, (at + 1) * idLength)),
  );
