/**
 * Shows the card exchange of the box: the offline debit by the site key with its cap per day, forged phones refused by host
 * and by site key, and the word that a phone gets at the end, which changes nothing when the phone has left.
 */
import { join } from 'node:path';
import t from 'tap';
import { hex, toHex } from '../kernel/bytes.js';
import type { AmountMinor, Points } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import { siteKey } from '../sim/host-double.js';

const card = { service: 'couponCard' } as const;
const worth = (amountMinor: number) => ({ purchase: { amountMinor: amountMinor as AmountMinor } });
const dayMs = 86_400_000;

async function pay(box: BoxDouble, phone: Parameters<BoxDouble['reader']['tap']>[0], amountMinor: number) {
  const { transactionId } = await box.start(card, worth(amountMinor));
  const link = box.reader.tap(phone);
  const sale = await box.ended(transactionId);
  await until('the release', () => box.reader.links.find(({ id }) => id === link)?.closed);
  return sale;
}

t.test('offline the site key opens the card, debits it and caps each card and day', async (t) => {
  const box = await openBox(t, { siteKey });
  box.host.up = false;
  const phone = box.host.phone('1380', 100_000);
  const other = box.host.phone('1381', 100_000);
  const first = await pay(box, phone, 12_000);
  t.match(first.outcome, { result: 'accepted', authority: 'site', coveredMinor: 12_000 });
  t.match(first.outcome, { balances: { couponMinor: 88_000, currency: 'CNY' } });
  t.same(box.kinds, ['cardDebit', 'completion', 'consumption']);
  t.match(box.records[0], { write: { slot: 1 }, amountMinor: 12_000 }, 'the host is told what was written');
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 88_000);
  t.match(phone.show().memberships[0]?.results.at(-1), { outcome: 'accepted', couponMinor: 88_000, currency: 'CNY' });
  t.same(
    box.effects.flatMap((effect) => (effect.type === 'persist' ? [effect.sale.commit] : [])),
    ['intent', 'written', 'ended'],
    'three commit points',
  );

  const over = await pay(box, phone, 8_001);
  t.match(over.outcome, { result: 'refused', code: 'card.siteLimit', balances: { couponMinor: 88_000 } });
  t.match((await pay(box, phone, 8_000)).outcome, { result: 'accepted' }, 'up to the cap');
  t.match((await pay(box, phone, 1)).outcome, { result: 'refused', code: 'card.siteLimit' });
  t.match((await pay(box, other, 20_000)).outcome, { result: 'accepted' }, 'another card has its own');
  box.time.advance(dayMs);
  t.match((await pay(box, phone, 20_000)).outcome, { result: 'accepted' }, 'and the next day begins anew');
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 60_000);
});

t.test('a clock that was set does not bring the next day nearer', async (t) => {
  for (const wallStepMs of [dayMs, -dayMs]) {
    const box = await openBox(t, { siteKey });
    box.host.up = false;
    const phone = box.host.phone('1380', 100_000);
    t.match((await pay(box, phone, 20_000)).outcome, { result: 'accepted' });
    t.equal(box.terminal.status().clockDoubtful, false);
    box.wallStepMs = wallStepMs;
    t.match((await pay(box, phone, 1)).outcome, { result: 'refused', code: 'card.siteLimit' });
    t.equal(box.terminal.status().clockDoubtful, true);
  }
});

t.test('the cap holds over a restart of the box', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const box = await openBox(t, { file, siteKey });
  box.host.up = false;
  const phone = box.host.phone('1380', 100_000);
  await pay(box, phone, 15_000);
  box.close();
  const later = await openBox(t, { file, siteKey });
  later.host.up = false;
  t.match((await pay(later, phone, 5_001)).outcome, { result: 'refused', code: 'card.siteLimit' });
});

t.test('offline nothing is paid without a site key, beyond the balance, or by a points spend', async (t) => {
  const bare = await openBox(t);
  bare.host.up = false;
  t.match((await pay(bare, bare.host.phone('1380', 5_000), 100)).outcome, { code: 'host.unreachable' });
  const another = await openBox(t, { siteKey: hex('77'.repeat(16)) });
  another.host.up = false;
  t.match((await pay(another, another.host.phone('1380', 5_000), 100)).outcome, { code: 'credential.wrongProof' });

  const box = await openBox(t, { siteKey });
  box.host.up = false;
  const phone = box.host.phone('1380', 5_000);
  t.match((await pay(box, phone, 5_001)).outcome, { code: 'coupon.balanceTooLow', balances: { couponMinor: 5_000 } });
  const spend = await box.start({ service: 'pointsSpend', points: 100 as Points });
  box.reader.tap(phone);
  t.match((await box.ended(spend.transactionId)).outcome, { code: 'host.unreachable' });
  for (const each of [bare, another, box]) t.same(each.kinds, [], 'nothing leaves the box');
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 5_000);
});

t.test('a refund to the card is not for the site key', async (t) => {
  const box = await openBox(t, { siteKey });
  const phone = box.host.phone('1380', 10_000);
  const paid = await pay(box, phone, 4_000);
  box.host.up = false;
  const undo = await box.start({ service: 'void', original: paid.transactionId });
  box.reader.tap(phone);
  t.match((await box.ended(undo.transactionId)).outcome, { result: 'refused', code: 'host.unreachable' });
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 6_000);
});

t.test('a forged phone gets no session, by the site key or by the host', async (t) => {
  for (const up of [false, true]) {
    const box = await openBox(t, { siteKey });
    box.host.up = up;
    const phone = box.host.phone('1380', 10_000);
    phone.misbehave({ wrongKey: true });
    const sale = await pay(box, phone, 100);
    t.match(sale.outcome, { result: 'refused', code: 'credential.wrongProof' }, up ? 'host' : 'site key');
    t.same([box.kinds, box.reader.commands.includes('readRecords')], [[], false]);
    t.equal(box.host.sessionsAsked.length, up ? 1 : 0);
  }
});

t.test('a replayed exchange is no proof under a fresh nonce', async (t) => {
  const box = await openBox(t, { siteKey });
  box.host.up = false;
  const phone = box.host.phone('1380', 10_000);
  await pay(box, phone, 100);
  phone.misbehave({ replay: true });
  t.match((await pay(box, phone, 100)).outcome, { result: 'refused', code: 'credential.wrongProof' });
});

t.test('an answer that is too long, or comes in a chain, takes nothing; the next tap pays', async (t) => {
  for (const how of ['oversized', 'chained'] as const) {
    const box = await openBox(t, { siteKey });
    box.host.up = false;
    const phone = box.host.phone('1380', 10_000);
    phone.misbehave({ [how]: true });
    const { transactionId } = await box.start(card, worth(100));
    const link = box.reader.tap(phone);
    await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
    t.notOk(box.reader.commands.includes('readRecords'), how);
    box.reader.remove(link);
    phone.misbehave({ [how]: false });
    box.reader.tap(phone);
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted', authority: 'site' }, how);
  }
});

t.test('a host that refuses the session is not got round by the site key; one that says nothing is', async (t) => {
  const box = await openBox(t, { siteKey });
  box.host.decideSession = () => ({ outcome: 'refused', code: 'credential.blocked' });
  const phone = box.host.phone('1380', 10_000);
  t.match((await pay(box, phone, 100)).outcome, { result: 'refused', code: 'credential.blocked' });
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 10_000);

  box.host.decideSession = () => null;
  const { transactionId } = await box.start(card, worth(100));
  box.reader.tap(phone);
  await until('the question', () => box.host.sessionsAsked.length === 2);
  box.time.advance(1_500);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted', authority: 'site' });
});

t.test('a host that grants keys which the phone does not hold opens nothing', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 10_000);
  box.host.decideSession = () => ({
    outcome: 'granted',
    session: { terminalProof: '11'.repeat(16), encryptionKey: '22'.repeat(16), macKey: '33'.repeat(16) },
  });
  await box.start(card, worth(100));
  box.reader.tap(phone);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  t.notOk(box.reader.commands.includes('readRecords'));
  t.same(box.kinds, []);
});

t.test('the phone is told what came of it, in words where it was refused', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 1_000);
  box.host.decide = (record) => ({
    outcome: 'refused',
    transactionId: record.transactionId,
    code: 'coupon.expired',
    detail: '',
    balances: { points: null, pointsOwed: null, couponMinor: 1_000, couponCode: null, currency: 'CNY' },
  });
  await pay(box, phone, 100);
  const [result] = phone.show().memberships[0]?.results ?? [];
  t.match(result, { outcome: 'refused', couponMinor: 1_000, points: null });
  t.match(result?.text, /\p{Script=Han}/u);
});

t.test('a phone that has left before its result changes nothing', async (t) => {
  for (const at of ['mutual', 'result'] as const) {
    const box = await openBox(t);
    const phone = box.host.phone('1380');
    phone.tearAt({ at, moment: 'before', bytes: null });
    const { transactionId } = await box.start({ service: 'pointsEarn' });
    box.reader.tap(phone);
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted', balances: { points: 1_300 } }, at);
    await until('the release', () => box.reader.links[0]?.closed);
    t.same(phone.show().memberships[0]?.results, []);
    t.same(box.kinds, ['pointsEarn', 'consumption']);
    t.same([box.terminal.status().sale, box.crashes], [null, []]);
  }
});

t.test('session keys and the site key reach neither the database nor an event', async (t) => {
  const box = await openBox(t, { siteKey });
  box.host.up = false;
  await pay(box, box.host.phone('1380', 10_000), 100);
  const seen = JSON.stringify([box.events, box.effects, box.store.journal(200, null), box.terminal.sales(10, null)]);
  t.notMatch(seen, toHex(siteKey));
  t.notMatch(seen, /encryptionKey|macKey|terminalProof/);
});
