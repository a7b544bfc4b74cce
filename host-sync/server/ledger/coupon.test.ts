// Host-held coupons on a real store: C4, C6, C7(b), limits, prices, partial payment, and every end of a reservation.
// Drives the host's terminal-facing calls; the catalogue's prices are the host's own.
import t from 'tap';
import type { Bill } from '../../protocol/record.js';
import { complete, deduct, refund, reverse, undo } from '../sim/sales.js';
import { inWorld, keyed, must, said, startMs, type World } from '../sim/world.js';

const catalogue = [
  { code: 'CAKE-100', name: 'cake', priceMinor: 10_000, category: 'bakery' },
  { code: 'CAKE-400', name: 'wedding cake', priceMinor: 40_000, category: 'bakery' },
  { code: 'TEA', name: 'tea', priceMinor: 2_500, category: 'drinks' },
];
const line = (
  code: string | null,
  unitPriceMinor: number,
  quantity = 1,
  priceSource: 'catalogue' | 'override' = 'catalogue',
) => ({
  code,
  name: 'goods',
  quantity,
  unitPriceMinor,
  priceSource,
  amountMinor: unitPriceMinor * quantity,
});
/** The first version of a catalogue is the time in seconds, and each change counts on. */
const firstVersion = startMs / 1000;
const bill = (...lines: readonly ReturnType<typeof line>[]): Bill => ({
  currency: 'CNY',
  totalMinor: lines.reduce((sum, { amountMinor }) => sum + amountMinor, 0),
  lines: [...lines],
  catalogueVersion: firstVersion,
});

async function issue(world: World, more: Partial<Parameters<World['host']['coupons']['issue']>[0]> = {}) {
  await world.host.catalogue.replace(catalogue);
  const { code } = must(
    await world.host.coupons.issue({
      holder: 'host',
      memberCode: null,
      currency: 'CNY',
      amountMinor: 30_000,
      expiresAtMs: null,
      ...more,
    }),
  );
  const left = async () => {
    const view = await world.host.coupons.byCode(code);
    return [view?.balanceMinor, view?.reservedMinor];
  };
  return { code, left };
}

inWorld(
  t,
  'C7(b): a 300.00 coupon pays a 100.00 cake by its code, and 200.00 stays at the host',
  async (t, { world, box }) => {
    const { code, left } = await issue(world);
    t.match(code, /^SLC[0-9]{13}$/);
    const cake = deduct(box, { code }, bill(line('CAKE-100', 10_000)));
    const { answer } = await box.ask(cake);
    t.match(answer, {
      outcome: 'accepted',
      coveredMinor: 10_000,
      balances: { couponMinor: 20_000, couponCode: code, currency: 'CNY' },
    });
    t.same(await left(), [20_000, 10_000]);
    t.match(await box.tell(complete(cake)), { outcome: 'accepted', balances: { couponMinor: 20_000 } });
    t.same(await left(), [20_000, 0]);
    t.equal(
      said((await box.ask(deduct(box, { code }, bill(line('CAKE-400', 40_000))))).answer),
      'coupon.balanceTooLow',
    );
  },
);

inWorld(
  t,
  'C4: the host looks the price up: a valid version stands, an unknown one is recomputed, a till price is its own',
  async (t, { world, box }) => {
    const { code } = await issue(world);
    await world.host.catalogue.replace([{ code: 'CAKE-100', name: 'cake', priceMinor: 9_000, category: 'bakery' }]);
    const old = await box.ask(deduct(box, { code }, bill(line('CAKE-100', 10_000))));
    t.match(old.answer, { coveredMinor: 10_000, notices: [] }, 'the first version, just replaced');
    const wrong = await box.ask(
      deduct(box, { code }, { ...bill(line('CAKE-100', 8_000)), catalogueVersion: firstVersion + 1 }),
    );
    t.match(
      wrong.answer,
      { coveredMinor: 8_000, notices: ['price.recomputed'] },
      'dearer at the host, never above the bill',
    );
    const unknown = await box.ask(deduct(box, { code }, { ...bill(line('CAKE-100', 9_500)), catalogueVersion: 77 }));
    t.match(unknown.answer, { coveredMinor: 9_000, notices: ['price.recomputed'] });
    const own = await box.ask(deduct(box, { code }, bill(line('CAKE-100', 1_000, 1, 'override'))));
    t.match(own.answer, { coveredMinor: 1_000, notices: [] });
    t.equal(said((await box.ask(deduct(box, { code }, bill(line('NOWHERE', 100))))).answer), 'product.unknown');
    const skewed = { ...bill(line('TEA', 2_500)), totalMinor: 2_600 };
    t.equal(said((await box.ask(deduct(box, { code }, skewed))).answer), 'bill.wrongTotal');
  },
);

inWorld(t, 'C1: a coupon limited to products or a category pays for those alone', async (t, { world, box }) => {
  const cakes = await issue(world, { limitCategory: 'bakery' });
  const mixed = bill(line('CAKE-100', 10_000, 2), line('TEA', 2_500));
  t.match((await box.ask(deduct(box, cakes, mixed))).answer, { coveredMinor: 20_000 });
  t.equal(said((await box.ask(deduct(box, cakes, bill(line('TEA', 2_500))))).answer), 'coupon.notForProduct');
  t.equal(
    said((await box.ask(deduct(box, cakes, keyed(2_500)))).answer),
    'coupon.notForProduct',
    'a keyed total names no product',
  );
  const tea = await issue(world, { limitProducts: ['TEA'] });
  t.match((await box.ask(deduct(box, tea, mixed))).answer, { coveredMinor: 2_500 });
});

inWorld(t, 'a part is paid only where the box asks for it and the merchant allows it', async (t, { world, box }) => {
  const { code, left } = await issue(world, { amountMinor: 6_000 });
  t.equal(said((await box.ask(deduct(box, { code }, keyed(10_000)))).answer), 'coupon.balanceTooLow');
  const part = deduct(box, { code }, keyed(10_000), { partial: true });
  t.match((await box.ask(part)).answer, { coveredMinor: 6_000 });
  await box.tell(complete(part));
  await box.tell(refund(part, 5_000));
  t.same(await left(), [3_000, 0], 'half the sale gives half of what was covered back');
  await box.tell(refund(part, 5_000));
  t.same(await left(), [6_000, 0]);
});

inWorld(
  t,
  'a tap finds the oldest coupon of the member that covers the price; a stranger’s is unknown',
  async (t, { world, box }) => {
    const phone = await world.phone('13800000001');
    const stranger = await world.phone('13800000002');
    t.equal(said((await box.ask(deduct(box, phone, keyed(1_000)))).answer), 'coupon.unknown');
    const small = await issue(world, { memberCode: phone.memberCode, amountMinor: 500 });
    world.clock.nowMs += 1;
    const large = await issue(world, { memberCode: phone.memberCode });
    t.match((await box.ask(deduct(box, phone, keyed(1_000)))).answer, { balances: { couponCode: large.code } });
    t.match((await box.ask(deduct(box, phone, keyed(400)))).answer, { balances: { couponCode: small.code } });
    t.equal(
      said((await box.ask(deduct(box, stranger, keyed(400), { couponCode: large.code }))).answer),
      'coupon.unknown',
    );
  },
);

inWorld(
  t,
  'fault 20: a coupon that expires under a reservation still pays it; what falls back is written off',
  async (t, { world, box }) => {
    const expiresAtMs = world.clock.nowMs + 60_000;
    const { code, left } = await issue(world, { expiresAtMs });
    const [kept, dropped] = [deduct(box, { code }, keyed(10_000)), deduct(box, { code }, keyed(5_000))];
    await box.ask(kept);
    await box.ask(dropped);
    world.clock.nowMs = expiresAtMs + 1;
    t.equal(said((await box.ask(deduct(box, { code }, keyed(100)))).answer), 'coupon.expired');
    await world.host.expire();
    t.same(await left(), [0, 15_000], 'the rest is written off');
    t.equal(said(await box.tell(complete(kept))), 'accepted');
    world.clock.nowMs += 600_000;
    await world.host.expire();
    await world.host.expire();
    t.same(await left(), [0, 0]);
    t.match((await world.host.verifyLedger()).totals, {
      'merchant/expired CNY': 20_000,
      'terminal/redeemed CNY': 10_000,
    });
  },
);

inWorld(t, 'time-out, reversal, void and late completion each end in one place', async (t, { world, box }) => {
  const { code, left } = await issue(world);
  const reversed = deduct(box, { code }, keyed(10_000));
  await box.ask(reversed);
  await box.tell(reverse(reversed, 'cancelled'));
  t.same(await left(), [30_000, 0]);
  const voided = deduct(box, { code }, keyed(10_000));
  await box.ask(voided);
  t.equal(said(await box.tell(undo(voided))), 'accepted', 'the void may overtake the completion');
  t.equal(said(await box.tell(complete(voided))), 'accepted');
  t.same(await left(), [30_000, 0]);
  const late = deduct(box, { code }, keyed(20_000));
  await box.ask(late);
  world.clock.nowMs += 600_000;
  await world.host.expire();
  const other = deduct(box, { code }, keyed(25_000));
  await box.ask(other);
  t.match(await box.tell(complete(late)), { outcome: 'accepted', notices: ['coupon.late', 'coupon.risk'] });
  t.same(await left(), [0, 25_000]);
  t.match((await world.host.verifyLedger()).totals, { 'risk/CNY CNY': 15_000 });
  await box.tell(undo(late));
  t.same(await left(), [5_000, 25_000], 'the merchant’s risk is made good first');
});

inWorld(
  t,
  'a void or refund that comes before its completion: what the sale was told counts in the end',
  async (t, { world, box }) => {
    const { code, left } = await issue(world, { amountMinor: 10_000 });
    const sold = async () => {
      const sale = deduct(box, { code }, keyed(8_000), { partial: true });
      t.equal(said((await box.ask(sale)).answer), 'accepted');
      return sale;
    };
    const tell = async (sale: Awaited<ReturnType<typeof sold>>, toldMinor: number) =>
      await box.tell({ ...complete(sale), coveredMinor: toldMinor } as ReturnType<typeof complete>);
    const halved = await sold();
    t.match(await box.tell(refund(halved, 4_000)), { outcome: 'accepted', coveredMinor: 4_000 });
    t.same(await left(), [6_000, 0]);
    t.equal(said(await tell(halved, 3_000)), 'accepted');
    t.same(await left(), [8_500, 0], 'of 3,000 told, half of the bill refunded, 1,500 stays taken');
    t.equal(said(await tell(halved, 3_000)), 'accepted');
    t.same(await left(), [8_500, 0], 'said twice, it counts once');
    const more = await sold();
    t.equal(said(await box.tell(refund(more, 1_000))), 'accepted');
    t.same(await left(), [1_500, 0]);
    await tell(halved, 1);
    await tell(halved, 8_000);
    t.same(await left(), [0, 0], 'more was told than is there');
    t.match((await world.host.verifyLedger()).totals, { 'risk/CNY CNY': 1_000 }, 'the merchant bears the rest');
    const voided = deduct(box, { code }, keyed(1_000));
    await tell(halved, 3_000);
    t.equal(said((await box.ask(voided)).answer), 'accepted');
    const before = await left();
    await box.tell(undo(voided));
    t.equal(said(await tell(voided, 500)), 'accepted');
    t.same(await left(), [(before[0] ?? 0) + 1_000, 0], 'a voided sale takes nothing, whatever it was told');
  },
);

inWorld(t, 'the void of a sale whose reservation fell back shows nothing as taken', async (t, { world, box }) => {
  const { code, left } = await issue(world, { amountMinor: 10_000 });
  const late = deduct(box, { code }, keyed(8_000));
  await box.ask(late);
  world.clock.nowMs += 600_000;
  await world.host.expire();
  t.equal(said(await box.tell(undo(late))), 'accepted');
  t.equal(said(await box.tell(complete(late))), 'accepted');
  t.same(await left(), [10_000, 0]);
  const id = late.transactionId as string;
  const sale = await world.store.read(
    (need) => need.get('sale', id),
    (facts) => facts.get('sale', id),
  );
  t.match(sale ?? {}, { state: 'voided', coveredMinor: 8_000, undone: 8_000, riskMinor: 0 });
});

inWorld(t, 'what the sale was told stands where the host has reserved another amount', async (t, { world, box }) => {
  const { code, left } = await issue(world, { amountMinor: 10_000 });
  const sell = async (toldMinor: number) => {
    const sale = deduct(box, { code }, keyed(8_000), { partial: true });
    t.equal(said((await box.ask(sale)).answer), 'accepted');
    const answer = await box.tell({ ...complete(sale), coveredMinor: toldMinor } as ReturnType<typeof complete>);
    t.equal(said(answer), 'accepted');
    return answer;
  };
  await sell(3_000);
  t.same(await left(), [7_000, 0], 'less was told than reserved: the rest is the coupon’s again');
  t.match(await sell(8_000), { notices: ['coupon.risk'] }, 'more was told than there is: the merchant bears it');
  t.same(await left(), [0, 0]);
  t.match((await world.host.verifyLedger()).totals, { 'risk/CNY CNY': 1_000 });
  t.equal((await world.host.alarms()).rows.filter((alarm) => alarm.code === 'coupon.asTold').length, 2);
});
