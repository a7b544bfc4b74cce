/**
 * Agreement: do card, journal and ledger tell the same of a sale that ended? Reads all three and lists what differs.
 * Must change nothing.
 */
import { decodeRecord } from '../../host-sync/protocol/record.js';
import type { AllowanceView, CouponView, LedgerReport, MemberView } from '../../host-sync/server/service/types.js';
import { utf8 } from '../../terminal/kernel/bytes.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { SaleBody } from '../../terminal/local-api/schema.js';
import type { JournalEntry, TerminalStore } from '../../terminal/store/port.js';
import type { Worth } from './flows.js';
import type { Stage } from './stage.js';

/** What host and card say now, apart from what is the same at every rest. */
export interface Books {
  readonly points: number;
  readonly couponMinor: number;
  readonly cardMinor: number;
}

/** What must be so whenever no sale is open and the queue is empty, with what differs from it. */
export async function readBooks(stage: Stage): Promise<{ readonly books: Books; readonly problems: string[] }> {
  const { admin, member } = stage;
  const [holder, coupon, card, verdict, dead, alarms, phone] = await Promise.all([
    admin.call<MemberView>('member.show', { who: member.memberCode }),
    admin.call<CouponView>('coupon.show', { code: member.hostCoupon }),
    admin.call<CouponView>('coupon.show', { code: member.cardCoupon }),
    admin.call<{ ledger: LedgerReport; store: readonly string[] }>('verify'),
    admin.call<{ rows: readonly unknown[] }>('deadLetter.list'),
    admin.call<{ rows: readonly { code: string }[] }>('alarm.list'),
    stage.phone(),
  ]);
  const slices = await admin.call<{ rows: readonly AllowanceView[] }>('allowance.list', {});
  const atBoxes = (isCoupon: boolean) =>
    slices.rows.reduce((sum, slice) => sum + ((slice.couponId !== null) === isCoupon ? slice.held : 0), 0);
  const found = {
    'ledger problems': verdict.ledger.problems,
    'store problems': verdict.store,
    'dead letters at the host': dead.rows,
    alarms: alarms.rows,
    'points owed': holder.pointsOwed,
    'points reserved': holder.pointsReserved,
    'reserved of the coupon': coupon.reservedMinor,
    'reserved of the card': card.reservedMinor,
    'due to the card': card.correctionMinor,
    'card less mirror': (phone.memberships[0]?.card?.record?.balanceMinor ?? Number.NaN) - card.balanceMinor,
  };
  const problems = Object.entries(found).flatMap(([what, value]) =>
    value === 0 || (Array.isArray(value) && value.length === 0) ? [] : [`${what}: ${JSON.stringify(value)}`],
  );
  return {
    // What a box holds of a slice is the member's still.
    books: {
      points: holder.points + atBoxes(false),
      couponMinor: coupon.balanceMinor + atBoxes(true),
      cardMinor: card.balanceMinor,
    },
    problems,
  };
}

/** What the box's own database says against the sale that the till was told of. */
function journalProblems(store: TerminalStore, sale: SaleBody, slots: readonly string[]): string[] {
  const problems: string[] = [];
  const fault = store.verifyChains();
  if (fault) problems.push(`chains: ${fault.detail}`);
  const { dead, unsent } = store.gauges();
  if (dead + unsent > 0) problems.push(`${dead} dead letters, ${unsent} unsent`);
  if (store.unfinishedSale()) problems.push('a sale is unfinished');
  const named = store.sales(50, null).filter(({ sale: { request } }) => request.reference === sale.reference);
  if (named.length !== 1) problems.push(`${named.length} sales under the reference`);
  const row = store.saleByTransaction(sale.transactionId as TransactionId);
  if (row?.sale.commit !== 'ended') return [...problems, `the sale stands at ${row?.sale.commit ?? 'nothing'}`];
  const { ids } = row.sale.request;
  const entries = new Map<string, JournalEntry>(store.journal(50, null).map((entry) => [entry.transactionId, entry]));
  for (const id of Object.values(ids)) {
    const entry = entries.get(id);
    if (!entry) continue;
    const answer = entry.answer?.outcome === 'refused' ? entry.answer.code : entry.answer?.outcome;
    const wanted = sale.outcome?.result === 'refused' && id === ids.transaction ? 'record.reversed' : 'accepted';
    if (answer !== wanted && answer !== 'accepted') problems.push(`${entry.kind} was answered ${answer}`);
  }
  const own = entries.get(ids.transaction);
  return [...problems, ...(sale.outcome?.result === 'accepted' && own ? writeProblems(own, slots) : [])];
}

/** A card sale's write, as journal or answer hold it, is what stands in the card's slot. */
function writeProblems(own: JournalEntry, slots: readonly string[]): string[] {
  const body = decodeRecord(utf8(own.body));
  const offline = body.ok && body.value.kind === 'cardDebit' ? body.value.write : null;
  const write = offline ?? (own.answer?.outcome === 'accepted' ? (own.answer.write ?? null) : null);
  return write && slots[write.slot] !== write.record ? ['the card does not hold the write'] : [];
}

async function consumptionProblems(stage: Stage, sale: SaleBody, wanted: number): Promise<string[]> {
  const terminalId = (await stage.box.status()).terminalId ?? '';
  const { rows } = await stage.admin.call<{ rows: readonly { id: string }[] }>('consumption.list', {
    by: { terminalId },
    limit: 1000,
  });
  const found = rows.filter(({ id }) => id === sale.transactionId).length;
  return found === wanted ? [] : [`${found} consumption records instead of ${wanted}`];
}

/** What differs after a sale that ended: nothing, or it was worth something else than its outcome says. */
export async function disagreements(stage: Stage, before: Books, sale: SaleBody, worth: Worth): Promise<string[]> {
  const times = sale.outcome?.result === 'accepted' ? 1 : 0;
  const { books, problems } = await readBooks(stage);
  for (const key of ['points', 'couponMinor', 'cardMinor'] as const) {
    const change = books[key] - before[key];
    if (change !== times * worth[key]) problems.push(`${key} changed by ${change} instead of ${times * worth[key]}`);
  }
  const slots = (await stage.phone()).memberships[0]?.card?.slots ?? [];
  problems.push(...(await stage.lookAtRunning((store) => journalProblems(store, sale, slots))));
  problems.push(...(await consumptionProblems(stage, sale, worth.consumption ? times : 0)));
  return problems;
}
