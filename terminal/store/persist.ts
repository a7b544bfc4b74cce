/**
 * Persist: one commit point of a sale: its records in journal and outbox, its row, and the counters, in one transaction.
 * Must not be acknowledged before the commit returned, and must not begin a sale that might not be written to its end.
 */
import type { RecordDraft } from '../../host-sync/protocol/record.js';
import type { PersistedSale } from '../core/sale.js';
import { TerminalError } from '../kernel/errors.js';
import { assert } from '../kernel/result.js';
import { type After, type Counters, type CountersKeeper, countingMs } from './counters.js';
import type { Journal } from './journal.js';
import type { OfflineBook } from './offline-book.js';
import type { Outbox } from './outbox.js';
import type { Identity } from './port.js';
import type { Reserve } from './reserve.js';
import type { SaleLookup } from './sale-lookup.js';
import type { Earlier, Sales } from './sales.js';
import { recordWorth, type Worth } from './worth.js';

/** Most records that one commit takes; the flows need at most three. */
const recordsMax = 8;
/**
 * Records that wait in memory to be filed in the lookup tables: their pages are then written once for all of them
 * instead of once an accept. Small, since a start reads them and one commit in so many writes them.
 */
const fileAfterRecords = 96;

export interface PersistParts {
  readonly counters: CountersKeeper;
  readonly journal: Journal;
  readonly outbox: Outbox;
  readonly sales: Sales;
  readonly lookup: SaleLookup;
  readonly reserve: Reserve;
  readonly book: OfflineBook;
}

/**
 * Writes one commit point. On a full disk the first commit of a sale is refused (store.full: no value has moved), while
 * a later one is given the reserve's room; then no sale begins until the reserve stands again.
 * @throws TerminalError store.full, store.failed, store.corrupt, input.tooLong; then nothing was written
 */
export function persistSale(
  parts: PersistParts,
  identity: Identity | null,
  sale: PersistedSale,
  records: readonly RecordDraft[],
  atWallMs: number,
): void {
  assert(records.length <= recordsMax, `a commit takes at most ${recordsMax} records`);
  const earlier = parts.sales.earlier(sale.request.ids.transaction);
  assert(earlier?.commit !== 'ended', 'a sale that ended is not persisted again');
  const commit = { sale, records, earlier, identity, atWallMs };
  const write = () => parts.counters.commit((counters, after) => writeCommit(parts, counters, after, commit));
  if (!earlier) {
    const trouble = parts.reserve.stand();
    if (trouble) throw new TerminalError(trouble, 'no room for the reserve');
    write();
    return;
  }
  try {
    write();
  } catch (cause) {
    if (!(cause instanceof TerminalError) || cause.code !== 'store.full') throw cause;
    parts.reserve.release();
    write();
  }
}

interface Commit {
  readonly sale: PersistedSale;
  readonly records: readonly RecordDraft[];
  readonly earlier: Earlier | null;
  readonly identity: Identity | null;
  readonly atWallMs: number;
}

function writeCommit(parts: PersistParts, counters: Counters, after: After, commit: Commit): void {
  const { sale, records, earlier, identity, atWallMs } = commit;
  const mayOpen = counters.openSale === 0 || counters.openSale === earlier?.number;
  assert(sale.commit === 'ended' || mayOpen, 'one sale is open at a time');
  assert(identity || records.length === 0, 'a record needs the identity of an enrolled box');
  fileWhenDue(parts, counters, after);
  const saleId = sale.request.ids.transaction;
  let ownNumber = earlier?.ownNumber ?? null;
  let own: Worth | null = null;
  for (const draft of records) {
    if (!identity) break;
    const original = 'original' in draft ? draft.original : null;
    const known = original === null ? null : original === saleId && own ? own : parts.sales.worthOf(original);
    const worth = recordWorth(draft, known);
    const number = parts.journal.append(counters, identity, draft, worth, atWallMs);
    parts.outbox.add(counters, after, { id: draft.transactionId, kind: draft.kind, number }, worth);
    if (draft.transactionId === saleId) {
      ownNumber = number;
      own = worth;
    }
  }
  if (sale.commit === 'ended' && sale.offline) parts.book.count(sale.offline, countingMs(counters, atWallMs));
  parts.sales.put(counters, after, { sale, earlier, ownNumber, atWallMs });
}

/** The rows before this commit's go into the lookup tables together, when there are enough of them. */
function fileWhenDue(parts: PersistParts, counters: Counters, after: After): void {
  if (counters.nextNumber - 1 - counters.filedNumber < fileAfterRecords) return;
  parts.outbox.file(after);
  parts.lookup.file(after);
  counters.filedNumber = counters.nextNumber - 1;
  counters.filedSale = counters.nextSale - 1;
}
