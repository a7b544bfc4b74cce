// What a member of one merchant may not do at another's counter on the same host, and what a lost phone takes with it: top-ups,
// inquiries, one act of blocking over all memberships, statements that name the partner, a card torn before it was lost.
import t from 'tap';
import { inquiryShown } from '../../../drivers/protocols/member/layout.js';
import { debit, issueCard } from '../sim/cards.js';
import { complete, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { type Box, inWorld, type LooseDraft, must, newId, type Phone, said, type World } from '../sim/world.js';

const number = '13800000000';
const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
const pay = (kind: 'topUp' | 'topUpVoid', amountMinor: number, more: object): LooseDraft =>
  ({ kind, transactionId: newId(), reference: null, amountMinor, ...more }) as LooseDraft;

async function street(world: World) {
  must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, keys));
  const cafe = await world.box('cafe till', 'CAFE');
  return { cafe, atShop: await world.phone(number), atCafe: await world.phone(number, 'CAFE') };
}
async function agree(world: World): Promise<void> {
  const offer = { issuer: 'SHOULI', acceptor: 'CAFE', issuerPoints: 3, acceptorPoints: 2, offeredBy: 'SHOULI' };
  const open = { person: 'Li', validFromMs: null, validToMs: null, dailyPointsMax: null };
  must(await world.host.federation.offer({ ...offer, ...open }));
  must(await world.host.federation.confirm('SHOULI', 'CAFE', 1, 'CAFE', 'Wang'));
}

inWorld(t, 'money for a coupon is taken and paid back by the coupon’s own merchant only', async (t, { world, box }) => {
  const { cafe, atShop } = await street(world);
  must(await world.host.rules.setPolicy({ topUpMaxMinor: 50_000, topUpBalanceMaxMinor: 100_000 }));
  const { code } = must(
    await world.host.coupons.issue({
      ...{ holder: 'host', memberCode: atShop.memberCode, currency: 'CNY', amountMinor: 1_000, expiresAtMs: null },
    }),
  );
  const by = { method: 'memberCode', code: atShop.memberCode };
  const byCode = { method: 'couponCode', code };
  const asks = [
    { credential: by, coupon: null },
    { credential: by, coupon: code },
    { credential: byCode, coupon: null },
  ];
  for (const ask of asks)
    t.equal(
      said((await cafe.ask(pay('topUp', 500, { ...ask, currency: 'CNY' }))).answer),
      'coupon.unknown',
      'CAFE would hold money that SHOULI owes',
    );
  const paid = pay('topUp', 500, { credential: by, coupon: null, currency: 'CNY' });
  t.equal(said((await box.ask(paid)).answer), 'accepted');
  t.equal(said(await box.tell(complete(paid))), 'accepted');
  const back = { original: paid.transactionId };
  t.equal(said((await cafe.ask(pay('topUpVoid', 500, back))).answer), 'original.unknown', 'nor pays CAFE it back');
  t.equal(said((await box.ask(pay('topUpVoid', 500, back))).answer), 'accepted');
});

inWorld(t, 'an inquiry tells what pays at this counter, and no more', async (t, { world, box }) => {
  const { cafe, atShop, atCafe } = await street(world);
  const only = await world.phone('13800000002');
  for (const phone of [atShop, only]) {
    await box.tell(earn(box, phone, 300_00));
    must(
      await world.host.coupons.issue({
        ...{ holder: 'host', memberCode: phone.memberCode, currency: 'CNY', amountMinor: 1_000, expiresAtMs: null },
      }),
    );
  }
  await cafe.tell(earn(cafe, atCafe, 10_00));
  const ask = async (till: Box, phone: Phone) => {
    const transactionId = newId();
    const credential = phone.tap(till, transactionId, 'inquire', 0, 0, inquiryShown.currency);
    return must(await world.host.inquire(till.terminalId, { transactionId, credential }));
  };
  t.match(await ask(box, atShop), { outcome: 'known', points: 300, coupons: [{ balanceMinor: 1_000 }] });
  t.match(await ask(cafe, atShop), { outcome: 'known', points: 10, coupons: [] }, 'the person’s membership here');
  t.match(await ask(cafe, only), { outcome: 'refused', code: 'credential.unknown' }, 'nobody here');
  await agree(world);
  t.match(
    await ask(cafe, only),
    { outcome: 'known', points: 300, coupons: [] },
    'a partner’s points pay, its coupons not',
  );
});

inWorld(t, 'a lost phone is out at every merchant that it has a membership of', async (t, { world, box }) => {
  const { cafe, atShop, atCafe } = await street(world);
  await agree(world);
  await box.tell(earn(box, atShop, 300_00));
  const typed = must(await world.host.members.enlist({ phone: '13800000009', name: 'other' }));
  t.same(await world.host.members.lose(atShop.memberCode, typed.phone), {
    ok: false,
    error: { code: 'record.conflict', detail: 'this number is another member’s' },
  });
  const lost = must(await world.host.members.lose(atShop.memberCode, '13800000001'));
  t.same(
    lost.memberships.map(({ memberCode, merchant }) => [memberCode, merchant]),
    [
      [atShop.memberCode, 'SHOULI'],
      [atCafe.memberCode, 'CAFE'],
    ],
  );
  t.equal(lost.keys.length, 2);
  t.same(must(await world.host.members.lose(atShop.memberCode, null)).memberships, lost.memberships, 'said again');
  const next = await world.phone('13800000001');
  t.equal(next.memberCode, atShop.memberCode);
  const stolen = await cafe.ask(spend(cafe, atCafe, 50_00, 30));
  t.equal(said(stolen.answer), 'credential.blocked', 'its other key spends nothing of what the next phone has');
  t.match(await world.host.members.byCode(atShop.memberCode), { points: 300, pointsReserved: 0 });
});

inWorld(
  t,
  'each line of a member’s points names the partner at whose counter it came about',
  async (t, { world, box }) => {
    const { cafe, atShop } = await street(world);
    await agree(world);
    await box.tell(earn(box, atShop, 300_00));
    const newest = async () => (await world.host.members.statement(atShop.memberCode, 'points')).rows[0];
    const sale = async (): Promise<LooseDraft> => {
      const paying = spend(cafe, atShop, 20_00, 20);
      t.equal(said((await cafe.ask(paying)).answer), 'accepted');
      return paying;
    };
    t.match(await newest(), { cause: 'earn', partner: null });
    const first = await sale();
    t.match(await newest(), { cause: 'spend', change: -30, partner: 'Café' });
    await cafe.tell(complete(first));
    await cafe.tell(refund(first, 10_00));
    t.match(await newest(), { cause: 'refund', change: 15, partner: 'Café' });
    await cafe.tell(undo(await sale()));
    t.match(await newest(), { cause: 'void', partner: 'Café' });
    await cafe.tell(reverse(await sale()));
    t.match(await newest(), { cause: 'reversal', partner: 'Café' });
    const late = await sale();
    world.clock.nowMs += 24 * 3_600_000;
    await world.host.expire();
    t.match(await newest(), { cause: 'timeOut', change: 30, partner: 'Café' });
    await cafe.tell(complete(late));
    t.match(await newest(), { cause: 'spendLate', change: -30, partner: 'Café' });
    t.same(await world.host.checkStore(), []);
  },
);

inWorld(t, 'a card that was torn and then lost gives all of it back, once', async (t, { world, box }) => {
  const { memberCode } = await world.phone(number);
  const card = await issueCard(world, { memberCode });
  const torn = debit(box, card, 10_000);
  await box.ask(torn);
  must(await world.host.coupons.setState(card.code, 'blocked'));
  t.match(
    await world.host.coupons.takeOver(card.code),
    { error: { code: 'sale.busy' } },
    'the box has not said how it ended',
  );
  await box.tell(complete(torn, 'cardUnknown'));
  const taken = must(await world.host.coupons.takeOver(card.code));
  t.equal(taken.amountMinor, 30_000, 'the box gave nothing for what was held');
  t.match(await world.host.coupons.byCode(taken.code), { holder: 'host', balanceMinor: 30_000, reservedMinor: 0 });
  t.match(await world.host.coupons.takeOver(card.code), { error: { code: 'coupon.balanceTooLow' } });
  t.equal(said(await box.tell(undo(torn))), 'original.notVoidable');
  t.equal(said((await box.ask(debit(box, card, 1_000))).answer), 'card.recordInvalid', 'the card pays nothing more');
  t.same(await world.host.checkStore(), []);
});
