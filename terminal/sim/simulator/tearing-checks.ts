/**
 * What must hold of a torn card: after its next visit it holds one whole record, the ledger says the same to the minor unit,
 * and the member has paid for each accepted sale once and for nothing else. Reads what is stored; decides nothing.
 */
import { type CardRecord, currentSlot, verifyCardRecord } from '../../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import { isCardDebit, takenOnArrival } from '../../../host-sync/server/ledger/card-kinds.js';
import { outcomeOf } from '../../core/outcome.js';
import { hex } from '../../kernel/bytes.js';
import type { SaleRow } from '../../store/port.js';
import { checkRest } from './checks.js';
import { simCrypto } from './keys.js';
import { boxNames, type CardHolder, type TearingWorld } from './tearing-world.js';
import { Violation } from './violation.js';

const must = (holds: boolean, what: () => string): void => {
  if (!holds) throw new Violation(what());
};

/** The current record by the rules of docs/protocols/phone.md; null where neither slot is whole. */
export function recordOf(world: TearingWorld, phone: CardHolder): CardRecord | null {
  const { card } = phone;
  const siteKey = world.store.row('secret', 'siteKey')?.wrapped ?? new Uint8Array(16);
  const key = recordKey(simCrypto, siteKey, hex(card.keyId));
  const slots: [Uint8Array, Uint8Array] = [hex(card.slots[0]), hex(card.slots[1])];
  return currentSlot(slots, (slot) => verifyCardRecord(simCrypto, key, hex(card.keyId), slot))?.record ?? null;
}

/** A case has fewer sales than this at each box. */
const salesOfCaseMax = 12;
/** And so have all cases of one world together. */
const salesOfWorldMax = 200;

/**
 * What one sale takes from the card by its box's word, minor units. Money paid in that a lost card has not shown is due to it
 * all the same; what nobody was given for is not taken.
 */
function takenBy({ answer, sale }: SaleRow): number {
  const outcome = outcomeOf(sale, answer);
  const { bill, service } = sale.request;
  if (service.name === 'topUpCard')
    return outcome?.result === 'accepted' || outcome?.result === 'unknown' ? -bill.totalMinor : 0;
  return outcome?.result === 'accepted' ? outcome.coveredMinor : 0;
}

/** What the sales of one case took from the card together. */
function paidMinor(world: TearingWorld, name: string): number {
  let sum = 0;
  for (const box of boxNames) {
    for (const row of world.box(box).disk().sales(salesOfCaseMax, null))
      if (row.sale.request.reference?.endsWith(`-${name}`)) sum += takenBy(row);
  }
  return sum;
}

const couponOf = (world: TearingWorld, phone: CardHolder) =>
  world.store.rows('coupon').find(({ cardKeyId }) => cardKeyId === phone.card.keyId);
const isBeingWritten = (world: TearingWorld, couponId: string): boolean =>
  world.store.row('coupon', couponId)?.pendingSale != null;
const balance = (world: TearingWorld, account: string): number => world.store.row('account', account)?.balance ?? 0;

/**
 * The card is torn or not, everybody has told everything, nobody has seen the card since: it holds the old or the new
 * record, and what the ledger says of it is explained by that.
 */
export function checkBeforeVisit(world: TearingWorld, phone: CardHolder, before: CardRecord): void {
  const coupon = couponOf(world, phone);
  const record = recordOf(world, phone);
  must(record !== null, () => `neither slot is whole`);
  if (!record || !coupon) return;
  must(record.counter >= before.counter, () => `the card went back to ${record.counter}`);
  const account = (name: string): number => balance(world, `coupon/${coupon.id}/${name}`);
  const pending = coupon.pendingSale === null ? undefined : world.store.row('sale', coupon.pendingSale);
  // By the books the card holds the mirror, and what is held for a write in the air where that was not made.
  const isPendingOnCard = pending !== undefined && pending.cardCounter === record.counter;
  const debited = isPendingOnCard && isCardDebit(pending) ? pending.coveredMinor + takenOnArrival(pending) : 0;
  const held = account('cardReserved') - debited;
  const taken = isPendingOnCard ? pending.correctionMinor : 0;
  const expected = account('card') + held + taken;
  must(
    record.balanceMinor === expected,
    () => `before its next visit the card holds ${record.balanceMinor}, by the ledger ${expected}`,
  );
}

/**
 * Of a debit that its box gave up, and whose question reached the host only when another box had written the card: nothing was
 * given, and the letters of question and completion say so to a person.
 */
function isPassedBy(world: TearingWorld, code: string, transactionId: string): boolean {
  if (code !== 'card.recordStale' && code !== 'original.unknown') return false;
  return boxNames.some((name) =>
    world
      .box(name)
      .disk()
      .sales(salesOfWorldMax, null)
      .some(({ answer, sale }) => {
        const { closing, transaction } = sale.request.ids;
        const isOwn = transactionId === (code === 'card.recordStale' ? transaction : closing);
        return isOwn && outcomeOf(sale, answer)?.result !== 'accepted';
      }),
  );
}

/** After the card's next visit and all of it told. `name` ends the references of the case's sales. */
export function checkAfterVisit(world: TearingWorld, phone: CardHolder, before: CardRecord, name: string): void {
  const coupon = couponOf(world, phone);
  const record = recordOf(world, phone);
  must(record !== null, () => 'neither slot is whole');
  if (!record || !coupon) return;
  const account = (of: string): number => balance(world, `coupon/${coupon.id}/${of}`);
  must(!isBeingWritten(world, coupon.id), () => 'a write is still in the air');
  for (const of of ['cardReserved', 'cardAhead', 'correction'])
    must(account(of) === 0, () => `${account(of)} is left in ${of}`);
  must(
    record.balanceMinor === account('card') && record.counter === coupon.cardCounter,
    () => `card ${record.balanceMinor} (${record.counter}), ledger ${account('card')} (${coupon.cardCounter})`,
  );
  const paid = paidMinor(world, name);
  must(
    before.balanceMinor - record.balanceMinor === paid,
    () => `the card gave ${before.balanceMinor - record.balanceMinor}, the accepted sales took ${paid}`,
  );
  must(balance(world, 'risk/CNY') === 0, () => `the merchant bears ${balance(world, 'risk/CNY')}`);
}

/** Everything that was played in this world, once it is quiet. */
export function checkWorld(world: TearingWorld, phone: CardHolder): void {
  const record = recordOf(world, phone);
  const boxes = boxNames.map((name) => world.box(name));
  checkRest({
    ...{ store: world.store, boxes, shown: world.shownAt, setBack: new Set(), isBounded: true, isPlain: true },
    ...{ nowMs: world.time.nowMs, cards: new Map(record ? [[phone.card.keyId, record]] : []) },
  });
  const letter = world.store
    .rows('deadLetter')
    .find(({ code, transactionId }) => !isPassedBy(world, code, transactionId));
  must(letter === undefined, () => `${letter?.code} is a dead letter`);
}
