/**
 * Shows whose memberships a box sees: a phone with three merchants' memberships at three merchants' boxes, a box that serves
 * partners too, a box that was not told whom it serves, and how many commands each of these costs. With the shipped terminal
 * and store, simulated phones behind a reader double, and a host moved by hand.
 */
import { join } from 'node:path';
import t from 'tap';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import { newPhoneState, VolatileMemory, withMembership } from '../../drivers/sim/phone/phone-state.js';
import { merchantsMax } from '../../host-sync/protocol/sync.js';
import type { AmountMinor } from '../kernel/units.js';
import { type BoxDouble, directives, openBox, until } from '../sim/box-double.js';
import { siteKey } from '../sim/host-double.js';

const earn = { service: 'pointsEarn' } as const;
const card = { service: 'couponCard' } as const;

const serves = (box: BoxDouble, ...merchants: readonly string[]): void =>
  void box.store.setDirectives({ ...directives, merchants: [...merchants] });

/** A phone with a membership of each merchant, whose keys that merchant's box's host alone knows. */
function phoneOf(boxes: Readonly<Record<string, BoxDouble>>): SimulatedPhone {
  const memberships = Object.entries(boxes).map(([merchantId, { host }], at) =>
    host.membership(`138${at}`, 10_000 * (at + 1), merchantId),
  );
  const state = memberships.reduce(withMembership, newPhoneState('13800138000'));
  return new SimulatedPhone({ memory: new VolatileMemory(state) });
}

async function sell(box: BoxDouble, phone: SimulatedPhone, service: typeof earn | typeof card) {
  const { transactionId } = await box.start(service, { purchase: { amountMinor: 4_000 as AmountMinor } });
  const from = box.reader.commands.length;
  const link = box.reader.tap(phone);
  const sale = await box.ended(transactionId);
  await until('the release', () => box.reader.links.find(({ id }) => id === link)?.closed);
  box.reader.remove(link);
  return { sale, commands: box.reader.commands.slice(from) };
}

t.test('three memberships at three merchants: each box sees its own', async (t) => {
  const boxes = { M1: await openBox(t), M2: await openBox(t), M3: await openBox(t) };
  const phone = phoneOf(boxes);
  for (const [at, [merchantId, box]] of Object.entries(boxes).entries()) {
    serves(box, merchantId);
    const own = phone.show().memberships[at];
    const others = () => JSON.stringify(phone.show().memberships.filter((each) => each.merchantId !== merchantId));
    const before = others();
    const { sale, commands } = await sell(box, phone, earn);
    t.match(sale.outcome, { result: 'accepted', points: 40 }, merchantId);
    t.match(box.records[0], { credential: { keyId: own?.memberKeyId, counter: 1 } }, 'its own key, counted by itself');
    t.same(commands, ['select', 'present', 'mutual', 'result'], 'one SELECT: a tap costs what it did');
    const paid = await sell(box, phone, card);
    t.match(paid.sale.outcome, { result: 'accepted', balances: { couponMinor: 10_000 * (at + 1) - 4_000 } });
    t.equal(paid.commands.filter((name) => name === 'select').length, 1);
    t.equal(others(), before, 'the others were not touched');
    for (const stranger of phone.show().memberships.filter((each) => each.merchantId !== merchantId))
      t.notMatch(JSON.stringify(box.records), new RegExp(`${stranger.memberKeyId}|${stranger.card?.keyId}`));
  }
  t.same(
    phone.show().memberships.map(({ useCounter, results }) => [useCounter, results.length]),
    [
      [2, 2],
      [2, 2],
      [2, 2],
    ],
  );
});

t.test('a box that serves partners asks in its order and takes the first that the phone has', async (t) => {
  const box = await openBox(t, { siteKey });
  serves(box, 'M1', 'M2', 'M3');
  const partner = new SimulatedPhone({
    memory: new VolatileMemory(withMembership(newPhoneState('1381'), box.host.membership('1381', null, 'M3'))),
  });
  const third = await sell(box, partner, earn);
  t.match(third.sale.outcome, { result: 'accepted', points: 40 });
  t.same(third.commands, ['select', 'select', 'select', 'present', 'mutual', 'result'], 'each that it is not: 6A82');
  t.match(box.records[0], { credential: { keyId: partner.show().memberships[0]?.memberKeyId } });

  const both = phoneOf({ M3: box, M1: box });
  const first = await sell(box, both, earn);
  t.same(first.commands, ['select', 'present', 'mutual', 'result']);
  t.same(
    both.show().memberships.map(({ useCounter }) => useCounter),
    [0, 1],
    'the box’s order, not the phone’s',
  );
  both.choose('M3');
  await sell(box, both, earn);
  t.same(
    both.show().memberships.map(({ useCounter }) => useCounter),
    [1, 1],
    'unless its owner holds out another',
  );
});

t.test('a partner’s balance on the card is not asked for, also where the box could take it alone', async (t) => {
  const box = await openBox(t, { siteKey });
  serves(box, 'M1', 'M3');
  const partner = new SimulatedPhone({
    memory: new VolatileMemory(withMembership(newPhoneState('1381'), box.host.membership('1381', 10_000, 'M3'))),
  });
  await box.start(card, { purchase: { amountMinor: 4_000 as AmountMinor } });
  box.reader.tap(partner);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  t.same(box.reader.commands, ['select']);
  t.match(partner.show().memberships, [{ useCounter: 0 }], 'nothing was proved');
});

t.test(
  'a stranger costs a SELECT for each merchant and no more; what fails otherwise is not asked further',
  async (t) => {
    const box = await openBox(t);
    const many = Array.from({ length: merchantsMax }, (_, at) => `N${at}`);
    serves(box, ...many);
    const stranger = box.host.phone('1380');
    const { transactionId } = await box.start(earn);
    const link = box.reader.tap(stranger);
    await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
    t.same(box.reader.commands, Array(merchantsMax).fill('select'));
    t.equal(stranger.show().memberships[0]?.useCounter, 0, 'nothing was proved');
    box.reader.remove(link);

    stranger.tearAt({ at: 2, moment: 'before', bytes: null });
    box.reader.tap(stranger);
    await until('tap again', () => box.reader.signals.filter((signal) => signal === 'tapAgain').length === 2);
    t.equal(box.reader.commands.length, merchantsMax + 2, 'the phone left: nobody asks it on');
    t.equal(box.terminal.sale(transactionId)?.phase, 'waiting');
    t.same(box.kinds, []);
  },
);

t.test('a box that nobody told whom it serves selects nothing, and asks for its directives anew', async (t) => {
  const bare = await openBox(t, { bare: true });
  t.equal(bare.store.directives(), null);
  await t.rejects(bare.start(earn), 'no sale begins before the first directives');

  const file = join(t.testdir(), 'box.db');
  const box = await openBox(t, { file });
  const { merchants: _merchants, ...former } = directives;
  box.store.setDirectives(former as typeof directives);
  t.same(box.store.directives()?.merchants, [], 'as an older box stored them');
  const { phase } = await box.start(earn);
  t.equal(phase, 'waiting');
  box.reader.tap(box.host.phone('1380'));
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  t.same(box.reader.commands, [], 'no application is asked for');
});
