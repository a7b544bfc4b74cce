/**
 * Relay rule: which sales switch the relay on that opens a gate or a cash drawer. Pure. When, and that it is once, is the
 * shell's.
 */
import type { SaleOutcome, ServiceName } from './sale.js';

/**
 * accepted: every accepted sale, top-ups, voids and refunds too (a cash drawer). sales: accepted ones but those (a gate).
 * coupons: those that a coupon paid (a gate with coupons as tickets).
 */
export type RelayRule = 'never' | 'accepted' | 'sales' | 'coupons';

/** What a service is to a gate; a new service has to say it. */
const kinds: Readonly<Record<ServiceName, 'sale' | 'coupon' | 'topUp' | 'undo'>> = {
  ...{ plainSale: 'sale', pointsEarn: 'sale', pointsSpend: 'sale' },
  ...{ couponHost: 'coupon', couponCard: 'coupon' },
  ...{ topUp: 'topUp', topUpCard: 'topUp' },
  ...{ void: 'undo', refund: 'undo', cardCredit: 'undo', topUpVoid: 'undo', topUpCardVoid: 'undo' },
};

/** Does a sale of this service that ended so switch the relay on? Refused and unknown ones never do. */
export function opensRelay(rule: RelayRule, service: ServiceName, { result }: Pick<SaleOutcome, 'result'>): boolean {
  if (result !== 'accepted' || rule === 'never') return false;
  if (rule === 'accepted') return true;
  const kind = kinds[service];
  return kind === 'coupon' || (kind === 'sale' && rule === 'sales');
}
