/**
 * Shows for each rule which services open, and that nothing but an accepted sale ever does: the whole table.
 */
import t from 'tap';
import { serviceExamples } from './core-fixtures.js';
import { opensRelay, type RelayRule } from './relay-rule.js';
import type { SaleOutcome, ServiceName } from './sale.js';

const results: readonly SaleOutcome['result'][] = ['accepted', 'refused', 'unknown'];
const undone: readonly ServiceName[] = ['void', 'refund', 'cardCredit', 'topUpVoid', 'topUpCardVoid'];
const sold: readonly ServiceName[] = ['plainSale', 'pointsEarn', 'pointsSpend', 'couponHost', 'couponCard'];
const paidIn: readonly ServiceName[] = ['topUp', 'topUpCard'];
const opens: Readonly<Record<RelayRule, readonly ServiceName[]>> = {
  never: [],
  accepted: [...sold, ...undone, ...paidIn],
  sales: sold,
  coupons: ['couponHost', 'couponCard'],
};

t.test('every rule, service and result', async (t) => {
  t.same(
    new Set(serviceExamples.map(({ name }) => name)),
    new Set([...sold, ...undone, ...paidIn]),
    'no service is left out',
  );
  for (const [rule, services] of Object.entries(opens) as [RelayRule, readonly ServiceName[]][])
    for (const service of [...sold, ...undone, ...paidIn])
      for (const result of results)
        t.equal(
          opensRelay(rule, service, { result }),
          result === 'accepted' && services.includes(service),
          `${rule} ${service} ${result}`,
        );
});
