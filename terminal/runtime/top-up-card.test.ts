/**
 * Shows a top-up of the coupon on the card and its void at the counter: what the phone is shown, whose right it is, that
 * nothing begins without the host, what clerk and member read in every ending, and what comes of a card that is lost at it.
 * On the shipped terminal and store, with the simulated phone and a host that answers by a script.
 */
import t from 'tap';
import type { AmountMinor } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import { refusal } from '../sim/host-double.js';
import type { ServiceCommand } from './port.js';

const purchase = { amountMinor: 5_000 as AmountMinor };
const topUp: ServiceCommand = { service: 'topUpCard' };
const byBoss = { purchase, clerk: 'boss' };
const receiptOf = (box: BoxDouble, id: string): string => box.terminal.sale(id)?.receipt.join('\n') ?? '';
const onCard = (phone: ReturnType<BoxDouble['host']['phone']>) =>
  phone.show().memberships[0]?.card?.record?.balanceMinor;

async function paidIn(box: BoxDouble, phone: ReturnType<BoxDouble['host']['phone']>, reference: string) {
  const started = await box.start(topUp, { ...byBoss, reference });
  box.reader.tap(phone);
  return box.ended(started.transactionId);
}

t.test('paid in, written to the card, and taken from it again once', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  t.match((await paidIn(box, phone, 'T-1')).outcome, {
    ...{ result: 'accepted', authority: 'host', coveredMinor: 0, restMinor: 5_000 },
    balances: { couponMinor: 35_000 },
  });
  t.equal(onCard(phone), 35_000);
  t.same(box.kinds, ['cardTopUp', 'completion'], 'no purchase');
  t.match(receiptOf(box, 'T-1'), /卡内充值 CARD TOP-UP[\s\S]*实收 MONEY TAKEN +50\.00[\s\S]*BALANCE +CNY 350\.00/);
  t.same(box.printer.texts.at(-1), ['交易成功 ACCEPTED', '充值 TOP-UP   +50.00']);

  const back: ServiceCommand = { service: 'void', original: 'T-1' };
  t.match(await box.refused(back, { clerk: 'ann' }), { code: 'sale.notAllowed' });
  t.match(await box.refused({ service: 'refund', original: 'T-1', amountMinor: 1 as AmountMinor }, { clerk: 'boss' }), {
    code: 'original.notVoidable',
  });
  const another = await box.start(back, { clerk: 'boss', reference: 'V-0' });
  t.match(another, { service: 'topUpCardVoid', phase: 'waiting', totalMinor: 5_000 });
  box.reader.tap(box.host.phone('1381', 30_000));
  t.match((await box.ended(another.transactionId)).outcome, { result: 'refused', code: 'card.another' });
  t.match(receiptOf(box, 'V-0'), /未撤销，请勿退款。\n.*PAY NOTHING BACK/);
  const voided = await box.start(back, { clerk: 'boss', reference: 'V-1' });
  box.reader.tap(phone);
  t.match((await box.ended(voided.transactionId)).outcome, { result: 'accepted', coveredMinor: 5_000, restMinor: 0 });
  t.equal(onCard(phone), 30_000);
  t.match(receiptOf(box, 'V-1'), /实退 MONEY PAID BACK +50\.00/);
  t.match(box.terminal.sale('T-1'), { voided: true });
  t.match(await box.refused(back, { clerk: 'boss' }), { code: 'original.notVoidable' });
  t.match(await box.refused({ service: 'void', original: 'V-1' }, { clerk: 'boss' }), { code: 'original.notVoidable' });
});

t.test('only by whom the shop names, only an amount, and only with the host', async (t) => {
  const box = await openBox(t, { siteKey: new Uint8Array(16) });
  t.match(await box.refused(topUp, { purchase }), { code: 'sale.notAllowed' });
  const lines = [{ name: 'cake', quantity: 1, unitPriceMinor: 5 as AmountMinor }];
  t.match(await box.refused(topUp, { clerk: 'boss', purchase: { lines } }), { code: 'sale.notAllowed' });
  const phone = box.host.phone('1380', 30_000);
  await paidIn(box, phone, 'T-1');
  box.host.up = false;
  t.match(await box.refused(topUp, byBoss), { code: 'host.unreachable' }, 'before anybody taps');
  t.match(await box.refused({ service: 'void', original: 'T-1' }, { clerk: 'boss' }), { code: 'host.unreachable' });
  t.equal(onCard(phone), 35_000);
});

t.test('a card that is not there: given up, nothing moved, and the money goes back', async (t) => {
  const box = await openBox(t);
  const alone = await box.start(topUp, { ...byBoss, reference: 'T-1' });
  await box.terminal.cancelSale('T-1');
  t.match((await box.ended(alone.transactionId)).outcome, { result: 'refused', code: 'sale.cancelled' });
  t.match(receiptOf(box, 'T-1'), /GIVE MONEY BACK/);
  t.same(box.kinds, []);
  const phone = box.host.phone('1380', 30_000);
  await paidIn(box, phone, 'T-2');
  const late = await box.start({ service: 'void', original: 'T-2' }, { clerk: 'boss', reference: 'V-1' });
  box.time.advance(60_000);
  t.match((await box.ended(late.transactionId)).outcome, { result: 'refused', code: 'sale.timedOut' });
  t.match(receiptOf(box, 'V-1'), /PAY NOTHING BACK/);
  t.match(box.terminal.sale('T-2'), { voided: false });
});

t.test('refused by the host: the card is as it was, and the receipt says what to do with the money', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  const { decide } = box.host;
  box.host.decide = ({ transactionId }) => refusal(transactionId, 'coupon.noTopUp');
  t.match((await paidIn(box, phone, 'T-1')).outcome, { result: 'refused', code: 'coupon.noTopUp' });
  t.match(receiptOf(box, 'T-1'), /未充值，请退还现金。\n.*GIVE MONEY BACK/);
  box.host.decide = decide;
  await paidIn(box, phone, 'T-2');
  box.host.decide = ({ transactionId }) => refusal(transactionId, 'coupon.topUpSpent');
  const spent = await box.start({ service: 'void', original: 'T-2' }, { clerk: 'boss', reference: 'V-1' });
  box.reader.tap(phone);
  t.match((await box.ended(spent.transactionId)).outcome, { result: 'refused', code: 'coupon.topUpSpent' });
  t.equal(onCard(phone), 35_000);
  t.match(box.terminal.sale('T-2'), { voided: false });
});

/** The card leaves at its write, and the clerk gives it up. */
async function lost(box: BoxDouble, phone: ReturnType<BoxDouble['host']['phone']>, reference: string, id: string) {
  phone.tearAt({ at: 'writeSlot', moment: 'before', bytes: 40 });
  box.reader.tap(phone);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  await box.terminal.cancelSale(reference);
  return (await box.ended(id)).outcome;
}

t.test('a card lost at its top-up: the money stays, both are told why, and it can be voided', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  const torn = await box.start(topUp, { ...byBoss, reference: 'T-1' });
  t.match(await lost(box, phone, 'T-1', torn.transactionId), { result: 'unknown', code: 'card.unknown' });
  t.match(box.records.at(-1), { kind: 'completion', outcome: 'cardUnknown' });
  const receipt = receiptOf(box, 'T-1').replaceAll('\n', ' ').replaceAll(/ +/g, ' ');
  t.match(
    receipt,
    /NOT CONFIRMED 现金已收， ?金额将在下次刷卡时入卡。 KEEP THE MONEY: IT IS ADDED WHEN THE CARD IS NEXT USED\./,
  );
  t.notMatch(receipt, /GIVE MONEY BACK|not accepted/);
  t.same(box.printer.texts.at(-1), ['充值 TOP-UP    50.00', '下次入卡 ON NEXT TAP']);
  t.match(await box.refused({ service: 'void', original: 'T-1' }, { clerk: 'ann' }), { code: 'sale.notAllowed' });
  const back = await box.start({ service: 'void', original: 'T-1' }, { clerk: 'boss', reference: 'V-1' });
  t.match(back, { service: 'topUpCardVoid', phase: 'waiting' });
  box.reader.tap(phone);
  t.match((await box.ended(back.transactionId)).outcome, { result: 'accepted', coveredMinor: 5_000 });
  t.match(box.records.at(-2), { kind: 'cardTopUpVoid', original: torn.transactionId, amountMinor: 5_000 });
  t.match(await box.refused({ service: 'void', original: 'T-1' }, { clerk: 'boss' }), { code: 'original.notVoidable' });
});

t.test('a card lost at the void: nothing is paid back, and the top-up can be voided again', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  await paidIn(box, phone, 'T-1');
  const torn = await box.start({ service: 'void', original: 'T-1' }, { clerk: 'boss', reference: 'V-1' });
  t.match(await lost(box, phone, 'V-1', torn.transactionId), { result: 'unknown' });
  t.match(receiptOf(box, 'V-1').replaceAll('\n', ' '), /请勿退款[\s\S]*NOT VOIDED: PAY NOTHING BACK\./);
  t.match(box.terminal.sale('T-1'), { voided: false });
  const again = await box.start({ service: 'void', original: 'T-1' }, { clerk: 'boss' });
  box.reader.tap(phone);
  t.match((await box.ended(again.transactionId)).outcome, { result: 'accepted' });
  t.equal(onCard(phone), 30_000);
});
