/**
 * Shows a top-up and its void at the counter: whose right it is, that nothing begins without the host, what clerk and member
 * read in every ending, and that no purchase is noted. On the shipped terminal and store, with a host that answers by a script.
 */
import t from 'tap';
import type { AmountMinor } from '../kernel/units.js';
import { type BoxDouble, openBox } from '../sim/box-double.js';
import { refusal } from '../sim/host-double.js';
import type { ServiceCommand } from './port.js';

const purchase = { amountMinor: 5_000 as AmountMinor };
const topUp: ServiceCommand = { service: 'topUp' };
const byBoss = { purchase, clerk: 'boss', code: 'SLM0000000000000' };
const receiptOf = (box: BoxDouble, id: string): string => box.terminal.sale(id)?.receipt.join('\n') ?? '';

t.test('paid in, shown with the new balance, and paid back once', async (t) => {
  const box = await openBox(t);
  const started = await box.start(topUp, { ...byBoss, reference: 'T-1' });
  const ended = await box.ended(started.transactionId);
  t.match(ended.outcome, { result: 'accepted', authority: 'host', coveredMinor: 0, restMinor: 5_000 });
  t.same(box.kinds, ['topUp', 'completion'], 'no purchase');
  const receipt = receiptOf(box, 'T-1');
  t.match(receipt, /充值 TOP-UP/);
  t.match(receipt, /实收 MONEY TAKEN +50\.00/);
  t.match(receipt, /BALANCE +CNY 100\.00/);
  t.notMatch(receipt, /应付|COVERED/);

  const back: ServiceCommand = { service: 'void', original: 'T-1' };
  t.match(await box.refused(back, { clerk: 'ann' }), { code: 'sale.notAllowed' });
  t.match(await box.refused({ service: 'refund', original: 'T-1', amountMinor: 1 as AmountMinor }, { clerk: 'boss' }), {
    code: 'original.notVoidable',
  });
  const voided = await box.start(back, { clerk: 'boss', reference: 'V-1' });
  t.equal(voided.service, 'topUpVoid');
  t.match((await box.ended(voided.transactionId)).outcome, { result: 'accepted', coveredMinor: 5_000, restMinor: 0 });
  t.match(receiptOf(box, 'V-1'), /实退 MONEY PAID BACK +50\.00/);
  t.match(box.terminal.sale('T-1'), { voided: true });
  t.match(await box.refused(back, { clerk: 'boss' }), { code: 'original.notVoidable' });
  t.same(box.kinds, ['topUp', 'completion', 'topUpVoid', 'completion']);
});

t.test('only by whom the shop names, only an amount, and only with the host', async (t) => {
  const box = await openBox(t);
  t.match(await box.refused(topUp, { ...byBoss, clerk: 'ann' }), { code: 'sale.notAllowed' });
  t.match(
    await box.refused(topUp, {
      ...byBoss,
      purchase: { lines: [{ name: 'cake', quantity: 1, unitPriceMinor: 5 as AmountMinor }] },
    }),
    {
      code: 'sale.notAllowed',
    },
  );
  t.match(await box.refused(topUp, { ...byBoss, purchase: { amountMinor: 0 as AmountMinor } }), { code: 'sale.empty' });
  box.host.up = false;
  t.match(await box.refused(topUp, byBoss), { code: 'host.unreachable' }, 'before anybody taps');
  t.same(box.kinds, []);
});

t.test('where nothing moved, the receipt says what to do with the money', async (t) => {
  const box = await openBox(t);
  box.host.decide = ({ transactionId }) =>
    ({
      ...refusal(transactionId, 'coupon.ambiguous'),
      ...{ outcome: 'refused' as const, detail: 'coupons that end in 1234 · 5678' },
    }) as never;
  const several = await box.start(topUp, { ...byBoss, reference: 'T-1' });
  t.match((await box.ended(several.transactionId)).outcome, {
    ...{ result: 'refused', code: 'coupon.ambiguous', detail: 'coupons that end in 1234 · 5678' },
  });
  t.match(receiptOf(box, 'T-1'), /未充值，请退还现金。\n.*GIVE MONEY BACK/);
  const paidIn = async (reference: string) => {
    box.host.decide = (record) => box.host.accept(record);
    const started = await box.start(topUp, { ...byBoss, reference });
    await box.ended(started.transactionId);
  };
  await paidIn('T-2');
  box.host.decide = ({ transactionId }) => refusal(transactionId, 'coupon.topUpSpent');
  const spent = await box.start({ service: 'void', original: 'T-2' }, { clerk: 'boss', reference: 'V-1' });
  t.match((await box.ended(spent.transactionId)).outcome, { result: 'refused', code: 'coupon.topUpSpent' });
  t.match(receiptOf(box, 'V-1'), /PAY NOTHING BACK/);
  t.match(box.terminal.sale('T-2'), { voided: false });
});
