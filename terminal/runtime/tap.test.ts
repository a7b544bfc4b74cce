/**
 * Shows a member's tap on the whole box: what is decided with the host answering, silent and away, what the member is told,
 * and what becomes of phones that lie there already, come second, are swapped or leave in mid-exchange. With the shipped
 * terminal and store, simulated phones behind a reader double, and a host and a clock moved by hand.
 */
import t from 'tap';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import { newPhoneState, VolatileMemory } from '../../drivers/sim/phone/phone-state.js';
import type { Points } from '../kernel/units.js';
import { openBox, until } from '../sim/box-double.js';
import { refusal } from '../sim/host-double.js';

const earn = { service: 'pointsEarn' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;
const card = { service: 'couponCard' } as const;

t.test('an earn by tap with the host answering: balance, signals, result on the phone', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('13800138000');
  const { transactionId, phase, prompt } = await box.start(earn);
  t.same({ phase, prompt }, { phase: 'waiting', prompt: 'present' });
  box.reader.tap(phone);
  const sale = await box.ended(transactionId);
  t.match(sale.outcome, { result: 'accepted', authority: 'host', points: 300, balances: { points: 1_300 } });
  t.same(box.reader.signals, ['idle', 'hold', 'done', 'done'], 'done is said before the host is asked');
  t.same(box.kinds, ['pointsEarn', 'consumption']);
  const types = box.effects.map(({ type }) => type);
  t.ok(types.indexOf('persist') < types.indexOf('askHost'), 'durable before anybody outside hears of it');
  await until('the result', () => phone.show().memberships[0]?.results.length);
  t.match(phone.show().memberships[0]?.results, [{ outcome: 'accepted', points: 1_300 }]);
  await until('the release', () => box.reader.links[0]?.closed);
  t.equal(box.host.told, 1, 'sync hears of the rest once the sale is over');
  t.same(box.printed, [sale.receipt], 'printed once');
  t.same(box.crashes, []);
});

t.test('an earn with the host silent or away is accepted by the box, and its balance follows', async (t) => {
  const box = await openBox(t);
  box.host.decide = () => null;
  const silent = await box.start(earn);
  box.reader.tap(box.host.phone('1380'));
  await until('the question', () => box.host.asked.length === 1);
  t.match(box.terminal.sale(silent.transactionId), { phase: 'working', prompt: 'done', outcome: null });
  box.time.advance(1_499);
  t.match(box.terminal.status().sale, { transactionId: silent.transactionId }, 'the balance is waited for');
  box.time.advance(1);
  const first = await box.ended(silent.transactionId);
  t.match(first.outcome, { result: 'accepted', authority: 'box', points: 300, balances: null });
  t.match(first.receipt.join('\n'), /稍后 follows/);

  box.host.up = false;
  const away = await box.start(earn);
  box.reader.tap(box.host.phone('1381'));
  t.match((await box.ended(away.transactionId)).outcome, { result: 'accepted', authority: 'box', points: 300 });
  t.equal(box.store.unsentCount(), 4, 'both earns and their consumption records wait');
});

t.test('a host that refuses an earn in time is the outcome, and the phone is told so', async (t) => {
  const box = await openBox(t);
  box.host.decide = (record) => refusal(record.transactionId, 'credential.blocked');
  const { transactionId } = await box.start(earn);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(transactionId)).outcome, { result: 'refused', code: 'credential.blocked' });
  t.equal(box.reader.signals.at(-1), 'refused');
  t.match(box.terminal.sale(transactionId)?.outcome, { result: 'refused', code: 'credential.blocked' }, 'also later');
});

t.test('a spend is the host’s: answered, refused, and silent with its reversal', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380');
  const yes = await box.start(spend);
  box.reader.tap(phone);
  t.match((await box.ended(yes.transactionId)).outcome, { points: 5_000, coveredMinor: 5_000, restMinor: 25_000 });
  t.same(box.kinds, ['pointsSpend', 'completion', 'consumption']);
  t.same(box.reader.signals, ['idle', 'hold', 'hold', 'done']);

  box.host.decide = (record) => refusal(record.transactionId, 'points.tooFew');
  const no = await box.start(spend);
  box.reader.tap(phone);
  t.match((await box.ended(no.transactionId)).outcome, { result: 'refused', code: 'points.tooFew' });
  t.equal(box.kinds.at(-1), 'pointsSpend', 'nothing is to be undone');

  box.host.decide = () => null;
  const unanswered = await box.start(spend);
  box.reader.tap(phone);
  await until('the question', () => box.host.asked.length === 3);
  box.time.advance(5_000);
  t.match((await box.ended(unanswered.transactionId)).outcome, { result: 'refused', code: 'host.noAnswer' });
  t.match(box.records.at(-1), { kind: 'reversal', original: unanswered.transactionId, reason: 'noAnswer' });
});

t.test('a spend with the host away is refused and leaves no record', async (t) => {
  const box = await openBox(t);
  box.host.up = false;
  const { transactionId } = await box.start(spend);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(transactionId)).outcome, { result: 'refused', code: 'host.unreachable' });
  t.same([box.kinds, box.store.unsentCount()], [[], 0]);
  t.equal(box.reader.signals.at(-1), 'refused');
});

t.test('a member code from a screen earns, but never spends', async (t) => {
  const box = await openBox(t);
  const spent = await box.start(spend, { code: 'SLM1234567890128' });
  t.match(spent.outcome, { result: 'refused', code: 'credential.tooWeak' });
  const scanned = await box.start(spend);
  box.reader.scan('SLM1234567890128');
  t.match((await box.ended(scanned.transactionId)).outcome, { result: 'refused', code: 'credential.tooWeak' });
  t.same(box.kinds, [], 'nothing leaves the box');
  const earned = await box.start(earn, { code: 'SLM1234567890128' });
  t.match((await box.ended(earned.transactionId)).outcome, { result: 'accepted', points: 300 });
  t.match(box.records[0], { credential: { method: 'memberCode', code: 'SLM1234567890128' } });
});

t.test('a phone number typed at the till earns, but pays with nothing; scanned digits are none', async (t) => {
  const box = await openBox(t);
  for (const service of [spend, { service: 'couponHost' } as const]) {
    const refused = await box.start(service, { code: '13800000000' });
    t.match(refused.outcome, { result: 'refused', code: 'credential.tooWeak' }, service.service);
  }
  t.same(box.kinds, [], 'nothing leaves the box');
  const waiting = await box.start(earn);
  box.reader.scan('13800000000');
  t.equal(box.records.length, 0, 'digits from a scanner are a product');
  t.ok((await box.terminal.cancelSale(waiting.transactionId)).ok);
  const { transactionId } = await box.start(earn, { code: '13800000000' });
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted', points: 300 });
  t.match(box.records[0], { credential: { method: 'phoneNumber', number: '13800000000' } });
  t.match(box.records.at(-1), { kind: 'consumption', businessId: null }, 'the host tells whose purchase it was');
});

t.test('a phone that lies on the reader already is taken by the sale, once', async (t) => {
  const box = await openBox(t, { options: { tapInquiry: false } });
  const phone = box.host.phone('1380');
  const linkId = box.reader.tap(phone);
  t.same(box.reader.commands, [], 'nobody talks to it before a sale wants it');
  const { transactionId } = await box.start(earn);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  await until('the release', () => box.reader.links[0]?.closed);
  const { length } = box.reader.commands;
  const next = await box.start(earn);
  t.equal(next.prompt, 'present', 'the phone that lies there still has paid its part: the next sale wants a new tap');
  t.equal(box.reader.commands.length, length);
  box.reader.remove(linkId);
  t.equal(box.terminal.sale(next.transactionId)?.phase, 'waiting');
});

t.test('a second card during an exchange is not talked to', async (t) => {
  const box = await openBox(t);
  const first = box.host.phone('1380');
  const second = box.host.phone('1381');
  const held = box.reader.holdAt('present');
  const { transactionId } = await box.start(spend);
  box.reader.tap(first);
  await held.reached;
  box.reader.tap(second);
  held.release();
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  t.match(box.records[0], { credential: { keyId: first.show().memberships[0]?.memberKeyId } });
  t.equal(second.show().commandsInTap, 0);
});

t.test('a card swapped before it proved pays nothing; the one that proves pays', async (t) => {
  const box = await openBox(t);
  const first = box.host.phone('1380');
  const second = box.host.phone('1381');
  const held = box.reader.holdAt('present');
  const { transactionId } = await box.start(spend);
  const link = box.reader.tap(first);
  await held.reached;
  box.reader.remove(link);
  t.equal(box.reader.signals.at(-1), 'tapAgain');
  box.reader.tap(second);
  held.release();
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  t.match(box.records[0], { credential: { keyId: second.show().memberships[0]?.memberKeyId } });
  t.equal(box.kinds.filter((kind) => kind === 'pointsSpend').length, 1);
});

t.test('a card swapped in the middle of its write: the other is turned away, the same one is settled', async (t) => {
  const box = await openBox(t);
  const first = box.host.phone('1380', 30_000);
  const second = box.host.phone('1381', 30_000);
  const { transactionId } = await box.start(card, { purchase: { lines: [{ code: '6901234567892', quantity: 1 }] } });
  first.tearAt({ at: 'writeSlot', moment: 'before', bytes: 40 });
  box.reader.tap(first);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  t.equal(box.terminal.sale(transactionId)?.phase, 'waiting');

  const signals = box.reader.signals.length;
  const other = box.reader.tap(second);
  await until('the other to be turned away', () => box.reader.signals.slice(signals).includes('tapAgain'));
  t.equal(second.show().memberships[0]?.card?.record?.balanceMinor, 30_000, 'its balance is untouched');
  box.reader.remove(other);

  box.reader.tap(first);
  const sale = await box.ended(transactionId);
  t.match(sale.outcome, { result: 'accepted', coveredMinor: 10_000, balances: { couponMinor: 20_000 } });
  t.equal(first.show().memberships[0]?.card?.record?.balanceMinor, 20_000);
  t.same(box.kinds, ['cardDebit', 'completion', 'consumption'], 'one debit, whatever lay on the reader');
  t.equal(box.reader.signals.at(-1), 'done');
});

t.test('a card written though its answer was lost is seen at the next tap and not written twice', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  const { transactionId } = await box.start(card, { purchase: { lines: [{ code: '6901234567892', quantity: 1 }] } });
  phone.tearAt({ at: 'writeSlot', moment: 'after', bytes: null });
  box.reader.tap(phone);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  box.reader.tap(phone);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted', coveredMinor: 10_000 });
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 20_000);
  t.equal(box.reader.commands.filter((name) => name === 'writeSlot').length, 1);
});

t.test('a phone without the application is asked again; one without a card is refused', async (t) => {
  const box = await openBox(t);
  const blank = new SimulatedPhone({ memory: new VolatileMemory(newPhoneState('1390')) });
  const waiting = await box.start(earn);
  const link = box.reader.tap(blank);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  box.reader.remove(link);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(waiting.transactionId)).outcome, { result: 'accepted' });
  const { length } = box.kinds;
  const { transactionId } = await box.start(card);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(transactionId)).outcome, { result: 'refused', code: 'card.absent' });
  t.equal(box.kinds.length, length, 'nothing leaves the box');
});

t.test('a reader that never answers is given up after its time', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380');
  phone.hold();
  const { transactionId } = await box.start(earn);
  box.reader.tap(phone);
  await until('the command', () => box.reader.commands.length === 1);
  box.time.advance(2_000);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  t.equal(box.terminal.sale(transactionId)?.phase, 'waiting');
  t.same(box.kinds, []);
});
