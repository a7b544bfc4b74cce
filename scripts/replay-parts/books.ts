/**
 * The books after a replay: what the till, the box's journal and the host each say of the day, read from each in its own
 * way. Must not compare; reconcile.ts does.
 */
import { decodeRecord } from '../../host-sync/protocol/record.js';
import type { Rules } from '../../host-sync/protocol/sync.js';
import { utf8 } from '../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { openTerminalStore } from '../../terminal/store/open.js';
import type { AdminClient } from '../host/admin-client.js';
import type { Till } from './till.js';

/** How many, and what they are worth in pence. */
export interface Tally {
  readonly count: number;
  readonly minor: number;
}
export interface JournalBooks {
  readonly plainSale: Tally;
  readonly pointsEarn: Tally;
  readonly refund: Tally;
  readonly consumption: Tally;
  /** Records of any other kind: a replay makes none. */
  readonly others: number;
  /** Records that the host has accepted for good. */
  readonly settled: number;
  /** What breaks the hash chain; null: it is whole. */
  readonly fault: string | null;
}
export interface HostBooks {
  readonly rules: Rules;
  /** Consumption records with a member, and without. */
  readonly members: Tally;
  readonly others: Tally;
  /** Points by member code, less what is owed. */
  readonly points: ReadonlyMap<string, number>;
  readonly deadLetters: number;
  readonly ledgerProblems: number;
}
export interface TillBooks {
  readonly members: Tally;
  readonly others: Tally;
  readonly refunds: Tally;
  /** What the box holds as given back on the bills themselves. */
  readonly refundedMinor: number;
}

const empty: Tally = { count: 0, minor: 0 };
const plus = ({ count, minor }: Tally, more: number): Tally => ({ count: count + 1, minor: minor + more });
const pageRows = 200;

/** Every sale that the box shows over the local API. */
export async function tillBooks(till: Till): Promise<TillBooks> {
  const books = { members: empty, others: empty, refunds: empty, refundedMinor: 0 };
  for (const sale of await till.sales()) {
    if (sale.outcome?.result !== 'accepted') continue;
    if (sale.service === 'refund') books.refunds = plus(books.refunds, sale.outcome.coveredMinor);
    else if (sale.service === 'pointsEarn') books.members = plus(books.members, sale.totalMinor);
    else books.others = plus(books.others, sale.totalMinor);
    books.refundedMinor += sale.refundedMinor;
  }
  return books;
}

/** Every record of a stopped box's journal. */
export function journalBooks(terminalFile: string): JournalBooks {
  const store = openTerminalStore({ file: terminalFile, crypto: nativeCrypto });
  try {
    const tallies = { plainSale: empty, pointsEarn: empty, refund: empty, consumption: empty };
    let [others, settled] = [0, 0];
    for (let before: { readonly epoch: number; readonly sequence: number } | null = null; ; ) {
      const entries: ReturnType<typeof store.journal> = store.journal(pageRows, before);
      for (const entry of entries) {
        const decoded = decodeRecord(utf8(entry.body));
        if (!decoded.ok) throw new Error(`journal row ${entry.sequence} does not decode`);
        const record = decoded.value;
        if (entry.answer?.outcome === 'accepted') settled += 1;
        if (record.kind === 'plainSale' || record.kind === 'pointsEarn')
          tallies[record.kind] = plus(tallies[record.kind], record.bill.totalMinor);
        else if (record.kind === 'refund' || record.kind === 'consumption')
          tallies[record.kind] = plus(tallies[record.kind], record.amountMinor);
        else others += 1;
      }
      before = entries.at(-1) ?? null;
      if (!before) break;
    }
    return { ...tallies, others, settled, fault: store.verifyChains()?.detail ?? null };
  } finally {
    store.close();
  }
}

/** What the host holds of this box and these members. */
export async function hostBooks(
  admin: AdminClient,
  terminalId: string,
  memberCodes: Iterable<string>,
): Promise<HostBooks> {
  const books = { members: empty, others: empty };
  for (let cursor: string | null = null; ; ) {
    type Page = { rows: { memberId: string | null; amountMinor: number }[]; next: string | null };
    const page: Page = await admin.call('consumption.list', { by: { terminalId }, cursor, limit: 1_000 });
    for (const { memberId, amountMinor } of page.rows) {
      const group = memberId === null ? 'others' : 'members';
      books[group] = plus(books[group], amountMinor);
    }
    cursor = page.next;
    if (cursor === null) break;
  }
  const points = new Map<string, number>();
  for (const who of memberCodes) {
    const member = await admin.call<{ points: number; pointsOwed: number }>('member.show', { who });
    points.set(who, member.points - member.pointsOwed);
  }
  const { rules } = await admin.call<{ rules: Rules }>('rules.show');
  const { deadLettersOpen } = await admin.call<{ deadLettersOpen: number }>('status');
  const { ledger, store } = await admin.call<{ ledger: { problems: string[] }; store: string[] }>('verify');
  return {
    ...books,
    rules,
    points,
    deadLetters: deadLettersOpen,
    ledgerProblems: ledger.problems.length + store.length,
  };
}
