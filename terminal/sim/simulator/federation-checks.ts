/**
 * Checkers of shared points: the clearing is what the sales come to, each settlement takes every line once, the statements of
 * both merchants agree, and no rate makes value. They read what is stored, count by themselves, and throw what is wrong.
 */
import type { Host } from '../../../host-sync/server/host.js';
import type { Row } from '../../../host-sync/server/ledger/tables.js';
import type { MemoryHostStore } from './memory-host-store.js';
import { Violation } from './violation.js';

const must = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Violation(what());
};
const balance = (store: MemoryHostStore, id: string): number => store.row('account', id)?.balance ?? 0;
const standing = new Set(['accepted', 'voided']);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** What a standing spend has taken of its partner: of the issuer's points, and how many of the acceptor's those pay. */
function takenOf(store: MemoryHostStore, sale: Row<'sale'>): { readonly points: number; readonly share: number } {
  const agreement = sale.agreementId === null ? undefined : store.row('agreement', sale.agreementId);
  if (!agreement) return { points: 0, share: 0 };
  // What was taken last goes back first: the partner's part.
  const share = sale.partnerShare - Math.min(sale.undone, sale.partnerShare);
  const { acceptorPoints, issuerPoints } = agreement;
  return { share, points: Math.floor((share * issuerPoints + acceptorPoints - 1) / acceptorPoints) };
}

/** Points of this membership that a standing spend has taken: the own part, or the partner's. */
export function spentOf(store: MemoryHostStore, sale: Row<'sale'>, memberId: string): number {
  const { share, points } = takenOf(store, sale);
  const own = sale.memberId === memberId ? sale.points - sale.undone - sale.riskMinor - share : 0;
  return own + (sale.partnerMemberId === memberId ? points : 0);
}

/** Whose points an account counts; null: nobody's, such as money. */
function issuerOf(store: MemoryHostStore, ownId: string, accountId: string): string | null {
  const [kind, first = '', second = ''] = accountId.split('/');
  if (kind === 'partner') return first;
  if (kind === 'clearing' || kind === 'settled') return second;
  const row =
    kind === 'member' ? store.row('member', first) : kind === 'terminal' ? store.row('terminal', first) : undefined;
  return row ? row.merchantId || ownId : null;
}

/** No entry moves points from one merchant's to another's: each adds up for each of them by itself. */
function checkEntries(store: MemoryHostStore, ownId: string): void {
  const sums = new Map<string, number>();
  const mixed = new Set(store.rows('clearingItem').map(({ entry }) => entry));
  for (const { account, amount, entry } of store.rows('line')) {
    if (!mixed.has(entry)) continue;
    const whose = issuerOf(store, ownId, account);
    if (whose === null) continue;
    const key = `${entry} of ${whose}`;
    sums.set(key, (sums.get(key) ?? 0) + amount);
  }
  for (const [key, total] of sums) must(total === 0, () => `entry ${key}'s points adds up to ${total}`);
}

/** One direction: what the issuer's members gave at the acceptor's counters, by sales, lines and accounts alike. */
function checkDirection(store: MemoryHostStore, issuer: string, acceptor: string): void {
  const sales = store
    .rows('sale')
    .filter(
      ({ agreementId, state }) => standing.has(state) && agreementId?.startsWith(`${issuer}/${acceptor}/`) === true,
    );
  const taken = sales.map((sale) => takenOf(store, sale));
  const items = store.rows('clearingItem').filter((item) => item.issuer === issuer && item.acceptor === acceptor);
  const about = (what: string, one: number, other: number): string =>
    `${issuer} at ${acceptor}: ${what} ${one}, not ${other}`;
  const paid = sum(taken.map(({ share }) => share));
  const lines = sum(items.map(({ acceptorPoints }) => acceptorPoints));
  must(lines === paid, () => about('lines pay', lines, paid));
  const points = sum(taken.map((one) => one.points));
  const noted = sum(items.map(({ issuerPoints }) => issuerPoints));
  must(noted === points, () => about('lines take', noted, points));
  const held = balance(store, `partner/${issuer}/${acceptor}/taken`);
  must(held === points, () => about('the issuer took', held, points));
  const of = (kind: string): number =>
    balance(store, `${kind}/${issuer}/${acceptor}/due`) - balance(store, `${kind}/${issuer}/${acceptor}/back`);
  const claimed = of('clearing') + of('settled');
  must(claimed === paid, () => about('clearing and settled hold', claimed, paid));
  const settledUntilMs = store.rows('settlement').reduce((latest, { untilMs }) => Math.max(latest, untilMs), 0);
  const closed = sum(items.filter(({ atMs }) => atMs < settledUntilMs).map(({ acceptorPoints }) => acceptorPoints));
  must(of('settled') === closed, () => about('settled was', of('settled'), closed));
  const owes = store
    .rows('settlement')
    .map(({ firstOwes, secondOwes }) => (issuer < acceptor ? firstOwes : secondOwes));
  must(sum(owes) === closed, () => about('the settlements say', sum(owes), closed));
}

/** At rest. `host`: as it stands then. */
export async function checkFederation(
  store: MemoryHostStore,
  host: Host,
  ownId: string,
  partnerId: string,
): Promise<void> {
  checkEntries(store, ownId);
  checkDirection(store, ownId, partnerId);
  checkDirection(store, partnerId, ownId);
  const problems = await host.federation.check();
  must(problems.length === 0, () => problems.join('; '));
  const of = (merchant: string, partner: string) =>
    host.federation.statement({ merchant, partner, fromMs: 1, untilMs: null, limit: 999 });
  const [mine, theirs] = [await of(ownId, partnerId), await of(partnerId, ownId)];
  must(mine.ok === theirs.ok, () => 'one has a statement, the other has none');
  if (!mine.ok || !theirs.ok) return;
  const [a, b] = [mine.value, theirs.value];
  const isSame =
    a.claims === b.debts &&
    a.debts === b.claims &&
    a.settled === -b.settled &&
    a.opening === -b.opening &&
    a.closing === -b.closing;
  must(isSame, () => `statements differ: ${JSON.stringify({ ...a, rows: [] })}, ${JSON.stringify({ ...b, rows: [] })}`);
  must(a.opening + a.claims - a.debts - a.settled === a.closing, () => 'a statement does not add up');
  const open = (issuer: string, acceptor: string): number =>
    balance(store, `clearing/${issuer}/${acceptor}/due`) - balance(store, `clearing/${issuer}/${acceptor}/back`);
  const stands = open(partnerId, ownId) - open(ownId, partnerId);
  must(a.closing === stands, () => `the statement closes at ${a.closing}, the ledger at ${stands}`);
}
