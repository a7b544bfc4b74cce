/**
 * Checkers: what must hold at every commit of the host and at every announcement of a box, and what must be true once
 * everything has come to rest. They read what is stored and throw what is wrong; they decide nothing.
 */

import type { CardRecord } from '../../../drivers/protocols/member/card-record.js';
import type { Membership } from '../../../drivers/sim/phone/phone-state.js';
import { sideSign } from '../../../host-sync/server/ledger/accounts.js';
import { isCardDebit, isCardSale } from '../../../host-sync/server/ledger/card-kinds.js';
import type { Write } from '../../../host-sync/server/ledger/facts.js';
import type { Row } from '../../../host-sync/server/ledger/tables.js';
import { outcomeOf } from '../../core/outcome.js';
import { toHex, utf8 } from '../../kernel/bytes.js';
import { nativeCrypto } from '../../kernel/native.js';
import type { TransactionId } from '../../kernel/ports.js';
import type { SaleView } from '../../runtime/port.js';
import type { SaleRow } from '../../store/port.js';
import { type SimBox, worldStartMs } from './box.js';
import { spentOf } from './federation-checks.js';
import type { MemoryHostStore } from './memory-host-store.js';
import { Violation } from './violation.js';

const must = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Violation(what());
};

/** Every commit: entries add up to nothing by unit, each line follows the balance before it, no balance is negative. */
export function checkCommit(writes: readonly Write[], store: MemoryHostStore): void {
  const sums = new Map<string, number>();
  const moved = new Map<string, number>();
  for (const write of writes) {
    if ('removed' in write || write.table !== 'line') continue;
    const line = write.row as Row<'line'>;
    must(!store.row('line', line.id), () => `line ${line.id} is written twice`);
    const sum = `${line.entry} ${line.unit}`;
    sums.set(sum, (sums.get(sum) ?? 0) + line.amount);
    moved.set(line.account, (moved.get(line.account) ?? 0) + line.amount);
  }
  for (const [entry, sum] of sums) must(sum === 0, () => `entry ${entry} adds up to ${sum}`);
  for (const write of writes) {
    if ('removed' in write || write.table !== 'account') continue;
    const account = write.row as Row<'account'>;
    const before = store.row('account', account.id)?.balance ?? 0;
    const after = before + sideSign(account.side) * (moved.get(account.id) ?? 0);
    must(account.balance === after, () => `${account.id} stands at ${account.balance}, its lines say ${after}`);
    must(account.balance >= 0, () => `${account.id} is negative`);
    moved.delete(account.id);
  }
  for (const [account, amount] of moved) must(amount === 0, () => `${account} has lines and no balance`);
}

/** When a sale was announced. */
export interface Showing {
  readonly nowMs: number;
  /** When the sale was first seen in this life of the box; null: it began in another. */
  readonly begunMs: number | null;
  /** How long it waits for a tap before it may give up. */
  readonly patienceMs: number;
}

/** What was announced as accepted is on the disk as accepted, and was the box's to accept. Nobody gives up too early. */
export function checkShown(box: SimBox, sale: SaleView, { nowMs, begunMs, patienceMs }: Showing): void {
  const { outcome, transactionId } = sale;
  if (outcome?.result === 'refused' && outcome.code === 'sale.timedOut' && begunMs !== null)
    must(nowMs - begunMs >= patienceMs, () => `${box.name} gave ${transactionId} up after ${nowMs - begunMs} ms`);
  if (outcome?.result !== 'accepted') return;
  const disk = box.disk();
  const row = disk.saleByTransaction(transactionId);
  must(
    row?.sale.commit === 'ended' && row.sale.outcome.result === 'accepted',
    () => `${box.name} showed ${transactionId} as accepted and has not stored it`,
  );
  if (row?.sale.commit !== 'ended' || !row.sale.offline) return;
  const { allowanceId, kind, minor } = row.sale.offline;
  const limit = disk.directives()?.offline.floorPerSaleMinor ?? 0;
  must(kind !== 'floor' || minor <= limit, () => `${box.name} gave ${minor} on a floor limit of ${limit}`);
  const slice = disk.allowances().find(({ id }) => id === allowanceId);
  // A clock that nobody set is the world's: then no slice is spent after its end.
  must(
    box.clockWasSet || !slice || worldStartMs + nowMs < slice.expiresAtMs,
    () => `${box.name} spent ${allowanceId} after its end`,
  );
}

export interface Rest {
  readonly store: MemoryHostStore;
  readonly boxes: readonly SimBox[];
  /** Ids of what was shown as accepted, and where. */
  readonly shown: ReadonlyMap<string, SimBox>;
  /** Boxes whose disk was set back: what they had not sent is gone with it. */
  readonly setBack: ReadonlySet<SimBox>;
  /** No disk was set back and nobody wrote an allowance off: then allowances lose nothing at all. */
  readonly isBounded: boolean;
  /** No disk was set back, of box or host: then every word of either is known to the other. */
  readonly isPlain: boolean;
  /** Virtual time. */
  readonly nowMs: number;
  /** What the members' cards hold, by the card's key id. */
  readonly cards: ReadonlyMap<string, CardRecord>;
}

/** What another merchant's membership was when the world began, it is in each phone. */
export function checkStrangers(found: readonly (Membership | null)[], was: Membership): void {
  for (const membership of found)
    must(JSON.stringify(membership) === JSON.stringify(was), () => `a membership of ${was.merchantId} was touched`);
}

/** Once all is healed and quiet: everything was told, and box, ledger and members agree. */
export function checkRest(rest: Rest): void {
  for (const box of rest.boxes) checkBox(rest, box);
  if (rest.isBounded) {
    for (const box of rest.boxes) checkSlices(rest.store, box);
    checkHolders(rest);
    const beyond = rest.store.rows('alarm').find(({ code }) => code === 'risk.allowance' || code === 'risk.release');
    must(beyond === undefined, () => `an allowance lost value: ${beyond?.detail}`);
  }
  for (const [id, box] of rest.shown)
    must(
      rest.setBack.has(box) || box.disk().saleByTransaction(id as TransactionId) !== null,
      () => `${box.name} has lost ${id}, which it had shown as accepted`,
    );
  checkTills(rest.store);
  for (const member of rest.store.rows('member')) checkMember(rest.store, member.id);
  for (const coupon of rest.store.rows('coupon')) {
    if (coupon.holder === 'host') checkCoupon(rest.store, coupon);
    else {
      checkCardCoupon(rest.store, coupon);
      if (rest.isPlain) checkCard(rest, coupon);
    }
  }
}

function checkBox(rest: Rest, box: SimBox): void {
  const { isPlain, store } = rest;
  const disk = box.disk();
  const { unsent } = disk.gauges();
  must(unsent === 0, () => {
    const [first] = disk.recordsIn('unsent', 1);
    return `${box.name} still holds ${unsent} records, the first a ${first?.kind} ${first?.transactionId}`;
  });
  must(disk.unfinishedSale() === null, () => `${box.name} has a sale that has not ended`);
  const fault = disk.verifyChains();
  must(fault === null, () => `${box.name}: ${fault?.code} ${fault?.detail}`);
  for (let page = disk.journal(200, null); page.length > 0; ) {
    for (const { answer, body, transactionId } of page) {
      if (!answer || (answer.outcome !== 'accepted' && !isPlain)) continue;
      const record = store.row('record', transactionId);
      const digest = toHex(nativeCrypto.sha256(utf8(body)));
      must(record?.digest === digest, () => `the host has lost ${transactionId}, which it had ${answer.outcome}`);
      must(
        !isPlain || record?.outcome === answer.outcome,
        () => `${box.name} was told ${answer.outcome} of ${transactionId}, the host says ${record?.outcome}`,
      );
    }
    const last = page.at(-1);
    page = last ? disk.journal(200, last) : [];
  }
  const named = new Set<string>();
  for (let page = disk.sales(200, null); page.length > 0; ) {
    for (const row of page) {
      checkSale(rest, box, row);
      const { reference } = row.sale.request;
      must(reference === null || !named.has(reference), () => `${box.name} made two sales of ${reference}`);
      if (reference !== null) named.add(reference);
    }
    const last = page.at(-1);
    page = last ? disk.sales(200, last.sale.request.ids.transaction) : [];
  }
}

/** By the transaction: a fork that was refused has no record under its id. */
const deadLetterOf = (store: MemoryHostStore, id: string): Row<'deadLetter'> | undefined =>
  store.rows('deadLetter').find(({ transactionId }) => transactionId === id);

const valueKinds = new Set([
  'pointsEarn',
  'pointsSpend',
  'couponHost',
  'couponCard',
  'plainSale',
  'topUp',
  'topUpVoid',
  'topUpCard',
  'topUpCardVoid',
]);
const standing = new Set(['accepted', 'voided']);
const undone = new Set(['reversed', 'timedOut']);
/** What a top-up may be whose money is in the drawer. */
const owed = new Set(['pending', 'accepted', 'voided']);

/**
 * A restored host took in what it had refused before as poisoned: the box, told once that it was refused, says no more of it, and
 * the card, which was never written, gives it back at its next reading.
 */
const isAwaited = (store: MemoryHostStore, { cardWritten, couponId, id, kind, state }: Row<'sale'>): boolean =>
  isCardSale({ kind }) &&
  state === 'reserved' &&
  cardWritten === 0 &&
  store.row('coupon', couponId ?? '')?.pendingSale === id;

/** What the box shows of a sale is what the ledger holds of it, once. */
function checkSale({ isPlain, store }: Rest, box: SimBox, row: SaleRow): void {
  const { request } = row.sale;
  const id = request.ids.transaction;
  const outcome = outcomeOf(row.sale, row.answer);
  must(outcome !== null, () => `${box.name} ${id} has not ended`);
  if (!outcome || !valueKinds.has(request.service.name)) return;
  const sale = store.row('sale', id);
  const about = (): string =>
    `${box.name} ${request.service.name} ${id}: box ${JSON.stringify(outcome)}, ledger ${JSON.stringify(sale ?? null)}`;
  if (outcome.result === 'refused') {
    // A box that was set back between a sale's intent and its end reverses what it had completed: the two have one id, the host
    // keeps the first, and the second is a dead letter that a person settles.
    const isNamed = !isPlain && deadLetterOf(store, request.ids.closing) !== undefined;
    must(!sale || undone.has(sale.state) || isNamed || (!isPlain && isAwaited(store, sale)), about);
  }
  // A card that was lost at its top-up: the drawer has the money, and the ledger the amount for the card.
  if (outcome.result === 'unknown' && request.service.name === 'topUpCard' && isPlain)
    must(sale !== undefined && owed.has(sale.state) && sale.undone === 0, about);
  if (outcome.result !== 'accepted') return;
  // What a host or box that was set back cannot apply any more stays visible until a person settles it; so does what a floor
  // limit gave on a coupon that was not the member's, and what met a bug of the host.
  const mayBeDead = (letter: Row<'deadLetter'> | undefined): boolean =>
    letter !== undefined && (!isPlain || outcome.authority === 'floor' || letter.code === 'record.malformed');
  if (mayBeDead(deadLetterOf(store, id)) || mayBeDead(deadLetterOf(store, request.ids.closing))) return;
  must(sale !== undefined && standing.has(sale.state), about);
  if (!sale) return;
  if (request.service.name === 'pointsEarn' || request.service.name === 'pointsSpend')
    must(sale.points === outcome.points, about);
  if (request.service.name === 'topUp')
    must(sale.coveredMinor === outcome.restMinor && (!isPlain || row.voided === sale.refundedMinor > 0), about);
  if (request.service.name === 'topUpCard')
    must(
      sale.coveredMinor - sale.undone === outcome.restMinor && (!isPlain || row.voided === sale.refundedMinor > 0),
      about,
    );
  if (request.service.name === 'topUpVoid' || request.service.name === 'topUpCardVoid')
    must(
      sale.coveredMinor === outcome.coveredMinor && store.row('sale', sale.originalId ?? '')?.state === 'voided',
      about,
    );
  if (request.service.name === 'couponHost') must(sale.coveredMinor === outcome.coveredMinor, about);
}

const balance = (store: MemoryHostStore, id: string): number => store.row('account', id)?.balance ?? 0;

/** What terminals hold of slices like this. */
const atTerminals = (store: MemoryHostStore, like: (slice: Row<'allowance'>) => boolean): number =>
  store
    .rows('allowance')
    .reduce((sum, slice) => sum + (like(slice) ? balance(store, `allowance/${slice.id}/held`) : 0), 0);

/** What a box may still spend of a slice is what the ledger holds for it, to the last point. */
function checkSlices(store: MemoryHostStore, box: SimBox): void {
  for (const { id, remaining } of box.disk().allowances()) {
    const held = balance(store, `allowance/${id}/held`);
    must(held === remaining, () => `${box.name} may spend ${remaining} of ${id}, the ledger holds ${held}`);
  }
}

/** A slice granted just now may still be on its way to its box. */
const onItsWayMs = 900_000;
/** Every slice that is out at a box is known to that box: else nobody could ever spend it or give it back. */
function checkHolders({ boxes, nowMs, store }: Rest): void {
  const known = new Set(
    boxes.flatMap((box) =>
      box
        .disk()
        .allowances()
        .map(({ id }) => id as string),
    ),
  );
  for (const { grantedAtMs, id, openTerminal, state } of store.rows('allowance'))
    must(
      state !== 'open' || openTerminal === null || grantedAtMs + onItsWayMs > worldStartMs + nowMs || known.has(id),
      () => `nobody holds ${id}, and the ledger waits for it`,
    );
}

/** The card is where the ledger says, or has been written since by a debit that nobody has seen on it. */
function checkCard({ cards, store }: Rest, coupon: Row<'coupon'>): void {
  const card = cards.get(coupon.cardKeyId ?? '');
  if (!card) return;
  const about = (): string => `card ${coupon.id}: ${JSON.stringify(card)}, ledger ${JSON.stringify(coupon)}`;
  must(card.counter >= coupon.cardCounter, about);
  if (card.counter > coupon.cardCounter) return;
  const pending = coupon.pendingSale === null ? undefined : store.row('sale', coupon.pendingSale);
  const heldMinor = pending && isCardDebit(pending) ? pending.coveredMinor : 0;
  must(card.balanceMinor === balance(store, `coupon/${coupon.id}/card`) + heldMinor, about);
}

/** What a card's coupon comes to, on the card, in the air and due to it, is what was put in less what was paid with it. */
function checkCardCoupon(store: MemoryHostStore, { currency, id, initialMinor }: Row<'coupon'>): void {
  let expected = initialMinor;
  for (const sale of store.rows('sale')) {
    if (sale.couponId !== id) continue;
    expected += sale.riskMinor;
    if (sale.kind === 'cardTopUp') expected += sale.coveredMinor - sale.undone;
    else if (isCardDebit(sale) && standing.has(sale.state)) expected -= sale.coveredMinor - sale.undone;
  }
  const accounts = ['card', 'cardReserved', 'cardAhead', 'correction'];
  const has = accounts.reduce((sum, name) => sum + balance(store, `coupon/${id}/${name}`), 0);
  must(has === expected, () => `card coupon ${id} comes to ${has} ${currency}, its sales say ${expected}`);
}

/** A member has what was earned, less what was spent and taken back; nothing is still held. */
function checkMember(store: MemoryHostStore, memberId: string): void {
  let expected = 0;
  for (const sale of store.rows('sale')) {
    if (!standing.has(sale.state)) continue;
    if (sale.kind === 'pointsEarn' && sale.memberId === memberId) expected += sale.points - sale.undone;
    if (sale.kind === 'pointsSpend') expected -= spentOf(store, sale, memberId);
  }
  const owed = balance(store, `member/${memberId}/owed`);
  const points = balance(store, `member/${memberId}/points`);
  must(owed === 0 || points === 0, () => `member ${memberId} has ${points} points and owes ${owed}`);
  const home = points - owed;
  const has = home + atTerminals(store, (slice) => slice.memberId === memberId && slice.couponId === null);
  must(has === expected, () => `member ${memberId} has ${has} points, the sales say ${expected}`);
  const reserved = balance(store, `member/${memberId}/reserved`);
  must(reserved === 0, () => `${reserved} points of ${memberId} are still held`);
}

/** Each terminal holds the money of its top-ups that stand, less what it has paid back for those that were voided there. */
function checkTills(store: MemoryHostStore): void {
  for (const { id } of store.rows('terminal')) {
    let taken = 0;
    let paidBack = 0;
    for (const { coveredMinor, kind, state, terminalId, undone: backMinor } of store.rows('sale')) {
      if (terminalId !== id) continue;
      // A card's is due to it from the host's word on, and stays so where its box says no more.
      if (kind === 'cardTopUp') taken += coveredMinor - backMinor;
      if (!standing.has(state)) continue;
      if (kind === 'topUp') taken += coveredMinor;
      if (kind === 'topUpVoid' || kind === 'cardTopUpVoid') paidBack += coveredMinor;
    }
    const books = { taken: `terminal/${id}/funded/CNY`, paidBack: `terminal/${id}/paidBack/CNY` };
    must(
      balance(store, books.taken) === taken,
      () => `${id} took ${taken}, the books say ${balance(store, books.taken)}`,
    );
    must(
      balance(store, books.paidBack) === paidBack,
      () => `${id} paid ${paidBack} back, the books say ${balance(store, books.paidBack)}`,
    );
  }
}

function checkCoupon(store: MemoryHostStore, { currency, id, initialMinor }: Row<'coupon'>): void {
  let paid = 0;
  for (const sale of store.rows('sale')) {
    if (sale.couponId !== id) continue;
    // What was paid in stays paid in: its void is a sale of its own. Of one that was taken back, risk gave what was spent.
    if (sale.kind === 'topUp') paid -= standing.has(sale.state) ? sale.coveredMinor : sale.riskMinor;
    else if (standing.has(sale.state)) paid += sale.coveredMinor - sale.undone - sale.riskMinor;
  }
  const left = balance(store, `coupon/${id}/balance`) + atTerminals(store, (slice) => slice.couponId === id);
  must(left === initialMinor - paid, () => `coupon ${id} has ${left} of ${initialMinor}, the sales took ${paid}`);
  const reserved = balance(store, `coupon/${id}/reserved`);
  must(reserved === 0, () => `${reserved} of coupon ${id} are still held (${currency})`);
}
