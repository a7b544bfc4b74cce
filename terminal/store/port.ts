/**
 * Store port: what the runtime asks of the box's one database. Implemented over SQLite in this folder; the simulator
 * brings one in memory. All calls are synchronous: a commit has happened when the call returns.
 */
import type { OutboxPort } from '../../host-sync/client/outbox-port.js';
import type { Position, RecordDraft } from '../../host-sync/protocol/record.js';
import type { Directives, FinalAnswer, Product } from '../../host-sync/protocol/sync.js';
import type { OfflineUsage } from '../core/offline-offer.js';
import type { PersistedSale } from '../core/sale.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import type { AmountMinor, WallMs } from '../kernel/units.js';
import type { AllowanceRow, StoredGrant } from './offline-book.js';

export type { AllowanceRow, StoredGrant } from './offline-book.js';
/** What is kept as one value; allowances and blocked keys are the offline book's, products the catalogue's. */
export type StoredDirectives = Omit<Directives, 'catalogue' | 'allowances' | 'blocked'>;
/** The host's directives, their allowances checked and sealed. */
export type NewDirectives = Omit<Directives, 'allowances'> & { readonly allowances: readonly StoredGrant[] };

/** Who this box is, since its enrolment. */
export interface Identity {
  readonly terminalId: string;
  readonly epoch: number;
}

export interface JournalEntry extends Position {
  readonly transactionId: TransactionId;
  readonly kind: string;
  /** The stored bytes as text, verbatim. */
  readonly body: string;
  readonly previousHash: string;
  readonly hash: string;
  readonly storedWallMs: WallMs;
  readonly state: 'unsent' | 'dead' | 'settled';
  /** The host's final word; null while there is none. */
  readonly answer: FinalAnswer | null;
}

export interface SaleRow {
  readonly sale: PersistedSale;
  readonly updatedWallMs: WallMs;
  readonly refundedMinor: AmountMinor;
  readonly voided: boolean;
  /** The host's word on the sale's own record; null while there is none. */
  readonly answer: FinalAnswer | null;
}

/** Counters kept with each commit; reading them costs the same at any backlog. Worth: sum of money in minor units. */
export interface QueueGauges {
  readonly unsent: number;
  readonly unsentWorthMinor: number;
  readonly unsentPoints: number;
  readonly dead: number;
  readonly oldestUnsentWallMs: WallMs | null;
  readonly nextSequence: number;
}

export interface AuditEntry {
  readonly number: number;
  readonly atWallMs: WallMs;
  readonly actor: string;
  readonly action: string;
  readonly detail: string;
}

export interface TerminalStore extends OutboxPort {
  /** One transaction, one flush. Throws TerminalError store.full, store.failed or store.corrupt; then nothing was written. */
  persist(sale: PersistedSale, records: readonly RecordDraft[], atWallMs: WallMs): void;
  /** The one sale whose last commit is not `ended`; null when there is none. */
  unfinishedSale(): PersistedSale | null;
  saleByReference(reference: string): SaleRow | null;
  saleByTransaction(id: TransactionId): SaleRow | null;
  /** Newest first, `limit` 1…200, before a transaction id or from the newest. */
  sales(limit: number, before: TransactionId | null): readonly SaleRow[];
  /** Newest first, `limit` 1…200, below a sequence of an epoch or from the newest. */
  journal(limit: number, before: { readonly epoch: number; readonly sequence: number } | null): readonly JournalEntry[];
  /** Records in one state, oldest first, at most `limit` (1…200). */
  recordsIn(state: 'unsent' | 'dead', limit: number): readonly JournalEntry[];
  gauges(): QueueGauges;
  /**
   * The latest time, milliseconds since 1970, that was stored while the clock was trusted; 0: none. It is raised with what is
   * stored anyway, and goes back with a new epoch alone.
   */
  trustedWallMs(): number;
  /**
   * What this card paid under the site key on the UTC day that holds `atWallMs`, or the latest trusted time where that is
   * later; null, for a clock that is doubtful: on all days that are still known, so that no new day begins by setting the clock.
   */
  siteSpentMinor(cardKeyId: string, atWallMs: WallMs | null): AmountMinor;

  identity(): Identity | null;
  /** At enrolment, or with a new epoch: the chain begins anew there. */
  setIdentity(identity: Identity): void;
  directives(): StoredDirectives | null;
  /**
   * Atomically; a null catalogue leaves the stored products. Allowances that the host no longer names are to go back.
   * @returns false where the catalogue's changes are for another version than the one held: nothing was written
   */
  setDirectives(directives: NewDirectives): boolean;
  /** Allowances that may be spent or are to go back. */
  allowances(): readonly AllowanceRow[];
  /** Those that may be spent by this key id or coupon code. */
  allowancesFor(name: string): readonly AllowanceRow[];
  isBlocked(name: string): boolean;
  /** Of one key or code, or of all members (null), on the day as for siteSpentMinor; null for a doubtful clock: on all days still known. */
  offlineUsage(subject: string | null, atWallMs: WallMs | null): OfflineUsage;
  /** Ends an allowance: its release is in the outbox in the same commit. */
  releaseAllowance(release: RecordDraft & { readonly kind: 'allowanceRelease' }, atWallMs: WallMs): void;
  productByCode(code: string): Product | null;
  /** Exact name first; else every product whose name contains the text without case, at most `limit`. */
  productsByName(name: string, limit: number): readonly Product[];

  /** Small settings by name (console PIN's hash, lock-out, pairing tokens' hashes). Values at most 4 KB. */
  setting(name: string): string | null;
  setSetting(name: string, value: string | null): void;
  appendAudit(entry: {
    readonly atWallMs: WallMs;
    readonly actor: string;
    readonly action: string;
    readonly detail: string;
  }): void;
  audit(limit: number): readonly AuditEntry[];
  /** Recomputes journal and audit chains. Null: whole; else the first place where they are not. */
  verifyChains(): { readonly code: ErrorCode; readonly detail: string } | null;
  /** A consistent copy while running. Resolves when the file is complete and flushed. */
  backup(toFile: string): Promise<void>;
  close(): void;
}
