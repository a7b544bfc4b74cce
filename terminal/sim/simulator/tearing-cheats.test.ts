/**
 * Shows that a card record is not spent twice by putting back, copying or racing: what box and host say of each, with the
 * host there and without it, to the minor unit. Shipped box, host and simulated phone, in virtual time (tearing-world.ts).
 */
import t, { type Test } from 'tap';
import type { SaleOutcome } from '../../core/sale.js';
import { recordOf } from './tearing-checks.js';
import { type Beginning, type BoxName, bought, CardHolder, TearingWorld } from './tearing-world.js';

let beginning: Beginning;
t.before(async () => {
  beginning = await TearingWorld.begin();
});

async function opened(t: Test, offline: readonly BoxName[]) {
  const { world, phone } = await TearingWorld.from(beginning);
  t.teardown(() => world.end());
  for (const box of offline) world.cutOff(box);
  const pay = async (at: BoxName, amountMinor: number, reference: string, holder = phone): Promise<string> => {
    await world.sell(at, bought(amountMinor, reference));
    holder.tap(world.box(at));
    await world.runFor(6_000);
    return said(world.announced.get(reference)?.outcome);
  };
  /** All boxes have their host again and have told it everything. */
  const told = async (): Promise<void> => {
    for (const box of world.boxes.values()) box.network.heal();
    await world.runFor(150_000);
    t.equal(world.problem, null);
  };
  const balance = (account: string): number => world.store.row('account', account)?.balance ?? 0;
  const ofCoupon = (name: string): number => {
    const coupon = world.store.rows('coupon').find(({ cardKeyId }) => cardKeyId === phone.card.keyId);
    return balance(`coupon/${coupon?.id}/${name}`);
  };
  return {
    ...{ world, phone, pay, told, ofCoupon },
    onCard: () => recordOf(world, phone)?.balanceMinor ?? Number.NaN,
    riskMinor: () => balance('risk/CNY'),
    alarms: () => [...new Set(world.store.rows('alarm').map(({ code }) => code))],
    letters: () => world.store.rows('deadLetter').map(({ code }) => code),
  };
}
const said = (outcome: SaleOutcome | null | undefined): string =>
  !outcome ? 'nothing' : outcome.result === 'accepted' ? `accepted by ${outcome.authority}` : outcome.code;

t.test(
  'both slots put back to an old copy, the host there: refused and alarmed, until they are as they were',
  async (t) => {
    const shop = await opened(t, []);
    const old = shop.phone.card.slots;
    t.equal(await shop.pay('box-1', 700, 'first'), 'accepted by host');
    const paid = shop.phone.card.slots;
    shop.phone.putSlots(old);
    for (const box of ['box-1', 'box-2'] as const)
      t.equal(await shop.pay(box, 700, `again-${box}`), 'card.recordStale', `${box}: the host knows the counter`);
    shop.phone.putSlots(paid);
    const held = shop.onCard();
    t.equal(await shop.pay('box-2', 100, 'third'), 'accepted by host');
    await shop.told();
    t.same([held - shop.onCard(), shop.ofCoupon('card'), shop.riskMinor()], [100, shop.onCard(), 0]);
    t.same([shop.alarms(), shop.letters()], [['card.recordStale'], []]);
  },
);

t.test(
  'put back and paid with twice, where a box has no host: found at sync, named, and the merchant’s risk',
  async (t) => {
    const ways: readonly (readonly [BoxName, BoxName])[] = [
      ['box-1', 'box-1'],
      ['box-1', 'box-2'],
      ['box-2', 'box-1'],
    ];
    for (const [first, second] of ways) {
      const shop = await opened(t, ['box-1']);
      const before = shop.onCard();
      const old = shop.phone.card.slots;
      t.match(await shop.pay(first, 700, 'first'), /^accepted by (site|host)$/);
      shop.phone.putSlots(old);
      t.match(await shop.pay(second, 700, 'second'), /^accepted by (site|host)$/, 'it cannot know');
      await shop.told();
      t.same([shop.riskMinor(), shop.alarms(), shop.letters()], [700, ['card.conflict'], []], `${first}, ${second}`);
      t.equal(await shop.pay('box-2', 100, 'third'), 'accepted by host');
      await shop.told();
      t.same([before - shop.onCard(), shop.ofCoupon('card')], [800, shop.onCard()], 'the books follow the card');
      for (const name of ['cardReserved', 'cardAhead', 'correction']) t.equal(shop.ofCoupon(name), 0, name);
    }
  },
);

t.test(
  'another card’s record, as it is or under this card’s name: never this card’s, at the box or the host',
  async (t) => {
    for (const offline of [false, true]) {
      const shop = await opened(t, offline ? ['box-1'] : []);
      const own = shop.phone.card.slots;
      const [other] = beginning.otherSlots;
      const renamed = `${other.slice(0, 2)}${shop.phone.card.keyId}${other.slice(18)}`;
      const blank = '00'.repeat(96);
      for (const [name, slots] of [
        ['copied', [other, blank]],
        ['renamed', [renamed, blank]],
        ['twice', [renamed, renamed]],
      ] as const) {
        shop.phone.putSlots(slots);
        t.equal(await shop.pay('box-1', 700, name), 'card.recordInvalid', `${name}, offline ${offline}`);
        t.same(shop.phone.card.slots, slots, 'nothing is written');
      }
      shop.phone.putSlots(own);
      const held = shop.onCard();
      t.match(await shop.pay('box-1', 700, 'own'), /^accepted/);
      await shop.told();
      t.same([held - shop.onCard(), shop.riskMinor(), shop.letters()], [700, 0, []]);
    }
  },
);

t.test('two boxes write from one reading: the second to come leaves the first one’s record alone', async (t) => {
  for (const offline of [[], ['box-1'], ['box-2'], ['box-1', 'box-2']] as const) {
    const shop = await opened(t, offline);
    const before = shop.onCard();
    await shop.world.sell('box-1', bought(700, 'lost'));
    shop.phone.tap(shop.world.box('box-1'), { at: 'writeSlot', moment: 'before', bytes: null });
    await shop.world.runFor(6_000);
    t.equal(shop.world.prompt('box-1'), 'tapAgain');
    t.match(await shop.pay('box-2', 300, 'other'), /^accepted/);
    const written = shop.phone.card.slots;
    shop.phone.tap(shop.world.box('box-1'));
    await shop.world.runFor(6_000);
    t.equal(said(shop.world.announced.get('lost')?.outcome), 'card.unknown');
    t.same(shop.phone.card.slots, written, `what paid for something stands; offline: ${offline.join()}`);
    await shop.told();
    t.equal(await shop.pay('box-1', 100, 'next'), 'accepted by host');
    await shop.told();
    t.same(
      [before - shop.onCard(), shop.ofCoupon('card')],
      [400, shop.onCard()],
      'the sale that was lost costs nothing',
    );
    t.same([shop.riskMinor(), shop.ofCoupon('correction'), shop.alarms(), shop.letters()], [0, 0, [], []]);
  }
});

t.test(
  'a phone that confirms a write and does not keep it: reading back finds out, nothing is accepted until it stands',
  async (t) => {
    for (const offline of [[], ['box-1']] as const) {
      const shop = await opened(t, offline);
      const before = shop.onCard();
      shop.phone.memory.losesWrites = true;
      t.equal(await shop.pay('box-1', 700, 'kept'), 'nothing', 'no end yet');
      t.equal(shop.world.prompt('box-1'), 'tapAgain');
      t.equal(shop.onCard(), before);
      shop.phone.memory.losesWrites = false;
      shop.phone.tap(shop.world.box('box-1'));
      await shop.world.runFor(6_000);
      t.match(said(shop.world.announced.get('kept')?.outcome), /^accepted by (host|site)$/);
      await shop.told();
      t.same([before - shop.onCard(), shop.riskMinor(), shop.letters()], [700, 0, []]);
    }
  },
);

t.test('a phone copied with its key: its use counter comes twice', async (t) => {
  for (const offline of [false, true]) {
    const shop = await opened(t, offline ? ['box-1'] : []);
    const before = shop.onCard();
    const clone = new CardHolder(shop.phone.memory.state, shop.world.chance);
    t.equal(await shop.pay('box-2', 700, 'first'), 'accepted by host');
    const outcome = await shop.pay('box-1', 700, 'clone', clone);
    t.equal(outcome, offline ? 'accepted by site' : 'credential.replayed');
    await shop.told();
    t.equal(await shop.pay('box-2', 100, 'third'), 'accepted by host');
    await shop.told();
    t.same([before - shop.onCard(), shop.ofCoupon('card')], [800, shop.onCard()], 'the member pays for nobody else');
    t.equal(shop.letters().includes('credential.replayed'), offline, 'what a box gave without its host stays visible');
  }
});
