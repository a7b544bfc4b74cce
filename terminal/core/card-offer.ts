/**
 * What a box that holds the site key offers on a card it has read: verified record, price against balance, the next record.
 * Pure; used where the host cannot be reached. The key stays with the caller's closure.
 */
import {
  type CardRecord,
  currentSlot,
  encodeCardRecord,
  verifyCardRecord,
} from '../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../drivers/protocols/member/proof.js';
import { transactionIdBytes } from '../../host-sync/protocol/record.js';
import type { Balances } from '../../host-sync/protocol/sync.js';
import { type Bytes, hex, toHex } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { Crypto } from '../kernel/ports.js';
import type { AmountMinor, WallMs } from '../kernel/units.js';
import type { SiteOffer } from './event.js';
import type { SaleRequest } from './sale.js';

export interface CardReading {
  readonly siteKey: Bytes;
  readonly cardKeyId: Bytes;
  readonly slots: readonly [Bytes, Bytes];
  readonly terminalId: string;
  readonly atWallMs: WallMs;
  readonly clockDoubtful: boolean;
  /** What this card has paid under the site key today, minor units. */
  readonly spentTodayMinor: AmountMinor;
  /** Category of each bill line's product where the box knows it, in the bill's order. */
  readonly categories: readonly (string | null)[];
}

export const couponCodeOf = (couponNumber: number): string => `SLC${String(couponNumber).padStart(13, '0')}`;

const balancesOf = (record: CardRecord, balanceMinor: number): Balances => ({
  points: null,
  pointsOwed: null,
  couponMinor: balanceMinor,
  couponCode: couponCodeOf(record.couponNumber),
  currency: record.currency as Balances['currency'],
});

/** The price of what this coupon may pay for: every line, or those of its category. */
function eligibleMinor(request: SaleRequest, record: CardRecord, categories: CardReading['categories']): number {
  if (record.limitCategory === '') return request.bill.totalMinor;
  return request.bill.lines.reduce(
    (sum, line, index) => (categories[index] === record.limitCategory ? sum + line.amountMinor : sum),
    0,
  );
}

/** Offers the write that pays for the sale, or says why not. */
export function offerFromCard(crypto: Pick<Crypto, 'aesCmac'>, request: SaleRequest, reading: CardReading): SiteOffer {
  const key = recordKey(crypto, reading.siteKey, reading.cardKeyId);
  const current = currentSlot(reading.slots, (slot) => verifyCardRecord(crypto, key, reading.cardKeyId, slot));
  if (!current) return { offer: 'refuses', code: 'card.recordInvalid', balances: null };
  const { record } = current;
  const refuse = (code: ErrorCode): SiteOffer => ({
    offer: 'refuses',
    code,
    balances: balancesOf(record, record.balanceMinor),
  });
  if (record.currency !== request.bill.currency) return refuse('coupon.notForProduct');
  // A doubtful clock may only err towards refusing nothing that is still good: the caps below bind all the same.
  if (record.expiresAtSeconds > 0 && !reading.clockDoubtful && reading.atWallMs >= record.expiresAtSeconds * 1000)
    return refuse('coupon.expired');
  const wantedMinor = eligibleMinor(request, record, reading.categories);
  if (wantedMinor === 0) return refuse('coupon.notForProduct');
  const coveredMinor = Math.min(wantedMinor, record.balanceMinor);
  if (coveredMinor === 0 || (coveredMinor < wantedMinor && !request.terms.rules.couponPartial))
    return refuse('coupon.balanceTooLow');
  if (reading.spentTodayMinor + coveredMinor > request.terms.siteDailyMaxMinor) return refuse('card.siteLimit');
  if (record.counter >= 0xffffffff) return refuse('card.recordInvalid');
  const next: CardRecord = {
    ...record,
    counter: record.counter + 1,
    balanceMinor: record.balanceMinor - coveredMinor,
    lastTransactionId: transactionIdBytes(request.ids.transaction),
    lastTerminal: hex(reading.terminalId.slice(2)),
    lastKind: 'debit',
    lastAmountMinor: coveredMinor,
  };
  return {
    offer: 'pays',
    write: { slot: current.slot === 0 ? 1 : 0, record: toHex(encodeCardRecord(crypto, key, next)) },
    coveredMinor: coveredMinor as AmountMinor,
    balances: balancesOf(record, next.balanceMinor),
  };
}
