/**
 * Consumption records 消费特征信息: kept once per sale, with running sums per member, month and category.
 * Pure. Must not read history: the cost of one record is the same after a million.
 */
import { decodeHex } from '../../../terminal/kernel/bytes.js';
import type { RecordOf } from '../../protocol/record.js';
import { accepted, noBalances, type Outcome } from './answer.js';
import type { ApplyContext } from './context.js';
import type { Draft } from './draft.js';
import type { Collector, Facts } from './facts.js';

const isKeyId = (id: string): boolean => id.length === 16 && decodeHex(id).ok;

/** The member behind a business id: a phone's or card's key id, a member code or a coupon code; null where unknown. */
function memberOf(facts: Pick<Facts, 'get' | 'find'>, businessId: string): string | null {
  if (businessId.startsWith('SLM')) return facts.get('member', businessId)?.id ?? null;
  if (businessId.startsWith('SLC')) return facts.get('coupon', businessId)?.memberId ?? null;
  if (!isKeyId(businessId)) return null;
  const id = businessId.toLowerCase();
  const card = facts.find('coupon', 'cardKeyId', id)[0];
  return facts.get('memberKey', id)?.memberId ?? card?.memberId ?? null;
}

/** Who bought: by the record's business id; a pass that only the host can open has none, and its sale tells. */
const buyerOf = (facts: Pick<Facts, 'get' | 'find'>, record: RecordOf<'consumption'>): string | null =>
  record.businessId === null ? (facts.get('sale', record.sale)?.memberId ?? null) : memberOf(facts, record.businessId);

const dayMs = 86_400_000;
/** The calendar day of a time, in days since 1970-01-01, by an offset from UTC. */
export const dayOf = (atMs: number, utcOffsetMinutes: number): number =>
  Math.floor((atMs + utcOffsetMinutes * 60_000) / dayMs);
/** The calendar month of a time, `2026-11`, by an offset from UTC. Gregorian, from days since 1970 (H. Hinnant, civil_from_days). */
export function monthOf(atMs: number, utcOffsetMinutes: number): string {
  const days = dayOf(atMs, utcOffsetMinutes) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}`;
}

/** A doubtful clock counts in the month in which the host heard of it. */
const monthOfRecord = (record: RecordOf<'consumption'>, context: Pick<ApplyContext, 'nowMs' | 'policy'>): string =>
  monthOf(record.clockDoubtful ? context.nowMs : record.atWallMs, context.policy.utcOffsetMinutes);
const sumKey = (memberId: string, month: string, record: RecordOf<'consumption'>): string =>
  `${memberId}/${month}/${record.category}/${record.currency}`;

export function planConsumption(
  need: Collector,
  record: RecordOf<'consumption'>,
  context: Pick<ApplyContext, 'nowMs' | 'policy'>,
): void {
  need.get('consumption', record.sale);
  const memberId = buyerOf(need, record);
  if (memberId !== null) need.get('consumptionMonth', sumKey(memberId, monthOfRecord(record, context), record));
}

export function applyConsumption(draft: Draft, record: RecordOf<'consumption'>, context: ApplyContext): Outcome {
  if (draft.get('consumption', record.sale)) return accepted(noBalances, { notices: ['consumption.known'] });
  const memberId = buyerOf(draft, record);
  draft.put('consumption', {
    id: record.sale,
    record: record.transactionId,
    memberId,
    businessId: record.businessId,
    terminalId: record.terminalId,
    amountMinor: record.amountMinor,
    currency: record.currency,
    category: record.category,
    location: record.location,
    merchant: record.merchant,
    atMs: record.atWallMs,
    clockDoubtful: record.clockDoubtful ? 1 : 0,
  });
  if (memberId !== null) {
    const month = monthOfRecord(record, context);
    const id = sumKey(memberId, month, record);
    const sum = draft.get('consumptionMonth', id) ?? {
      id,
      memberId,
      month,
      category: record.category,
      currency: record.currency,
      count: 0,
      amountMinor: 0,
    };
    draft.put('consumptionMonth', { ...sum, count: sum.count + 1, amountMinor: sum.amountMinor + record.amountMinor });
  }
  return accepted(noBalances);
}
