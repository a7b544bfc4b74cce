// Points shared between merchants on a real store: who pays what at which rate, what comes back, what the two owe each other.
// Boxes stand at two merchants' counters of one host; every ledger recounts to itself and to its clearing at the end.
import t, { type Test } from 'tap';
import type { FederationStatement } from '../host.js';
import { complete, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { type Box, must, openWorld, type Phone, said, type World } from '../sim/world.js';

type Member = Phone & { readonly memberCode: string };
/** `SHOULI` is the host's own merchant and issues the points; `CAFE` takes them. */
interface Street {
  readonly world: World;
  readonly shop: Box;
  readonly cafe: Box;
  readonly atShop: Member;
  readonly atCafe: Member;
}
const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
const number = '13800000000';

async function agree(world: World, more: Partial<Parameters<World['host']['federation']['offer']>[0]> = {}) {
  const offer = {
    ...{ issuer: 'SHOULI', acceptor: 'CAFE', issuerPoints: 3, acceptorPoints: 2, offeredBy: 'SHOULI', person: 'Li' },
    ...{ validFromMs: null, validToMs: null, dailyPointsMax: null, ...more },
  };
  const { version } = must(await world.host.federation.offer(offer));
  const by = offer.offeredBy === offer.issuer ? offer.acceptor : offer.issuer;
  return must(await world.host.federation.confirm(offer.issuer, offer.acceptor, version, by, 'Wang'));
}

function onStreet(name: string, run: (t: Test, street: Street) => Promise<void>): void {
  void t.test(name, async (t) => {
    const world = await openWorld();
    t.teardown(() => world.close());
    must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, keys));
    const shop = await world.box('shop till');
    const cafe = await world.box('cafe till', 'CAFE');
    const [atShop, atCafe] = [await world.phone(number), await world.phone(number, 'CAFE')];
    await run(t, { world, shop, cafe, atShop, atCafe });
    t.same(await world.host.checkStore(), [], 'the ledger recounts to itself and to the clearing');
  });
}

const points = async (world: World, member: Member): Promise<readonly [number, number, number]> => {
  const view = await world.host.members.byCode(member.memberCode);
  return [view?.points ?? -1, view?.pointsOwed ?? -1, view?.pointsReserved ?? -1];
};
const statementOf = async (world: World, merchant: string, partner: string): Promise<FederationStatement> =>
  must(await world.host.federation.statement({ merchant, partner, fromMs: null, untilMs: null }));
const figures = ({ opening, claims, debts, settled, closing }: FederationStatement) => ({
  ...{ opening, claims, debts, settled, closing },
});

onStreet('one person, a row for each merchant: points stay apart until the merchants agree', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  t.not(atShop.memberCode, atCafe.memberCode);
  t.equal(said(await shop.tell(earn(shop, atShop, 300_00))), 'accepted');
  t.equal(said(await cafe.tell(earn(cafe, atCafe, 10_00))), 'accepted');
  t.same(
    [await points(world, atShop), await points(world, atCafe)],
    [
      [300, 0, 0],
      [10, 0, 0],
    ],
  );
  t.equal(said((await cafe.ask(spend(cafe, atCafe, 50_00, 30))).answer), 'points.tooFew');
  await agree(world, { issuer: 'CAFE', acceptor: 'SHOULI', offeredBy: 'CAFE' });
  t.equal(
    said((await cafe.ask(spend(cafe, atCafe, 50_00, 30))).answer),
    'points.tooFew',
    'an agreement has a direction',
  );
  t.equal(said(await cafe.tell(earn(cafe, atShop, 10_00))), 'accepted', 'the other key of the same person earns here');
  t.same(await points(world, atCafe), [20, 0, 0]);
});

onStreet('own points pay first, the partner’s what lacks, rounded by less than a point', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  await agree(world);
  await shop.tell(earn(shop, atShop, 300_00));
  await cafe.tell(earn(cafe, atCafe, 10_00));
  const paying = spend(cafe, atCafe, 50_00, 31);
  const { answer } = await cafe.ask(paying);
  t.match(answer, { outcome: 'accepted', pointsPosted: 31, notices: ['points.partner'], balances: { points: 0 } });
  // 21 lack, at 3 for 2 that is 31.5: 32.
  t.same(
    [await points(world, atCafe), await points(world, atShop)],
    [
      [0, 0, 10],
      [268, 0, 32],
    ],
  );
  t.equal(
    (await world.host.federation.statement({ merchant: 'CAFE', partner: 'SHOULI', fromMs: null, untilMs: null })).ok,
    false,
    'what is held is no debt yet',
  );
  t.equal(said(await cafe.tell(complete(paying))), 'accepted');
  t.same(
    [await points(world, atCafe), await points(world, atShop)],
    [
      [0, 0, 0],
      [268, 0, 0],
    ],
  );
  const cafeSees = await statementOf(world, 'CAFE', 'SHOULI');
  t.same(figures(cafeSees), { opening: 0, claims: 21, debts: 0, settled: 0, closing: 21 });
  t.match(cafeSees, { partnerPointsTaken: 32, ownPointsTaken: 0 });
  t.match(cafeSees.rows, [
    {
      sale: paying.transactionId,
      cause: 'spend',
      issuer: 'SHOULI',
      agreement: 'SHOULI/CAFE/000001',
      issuerPoints: 32,
      acceptorPoints: 21,
      change: 21,
      balance: 21,
    },
  ]);
  const shopSees = await statementOf(world, 'SHOULI', 'CAFE');
  t.same(figures(shopSees), { opening: 0, claims: 0, debts: 21, settled: 0, closing: -21 });
  const line = await world.host.members.statement(atShop.memberCode, 'points');
  t.match(line.rows[0], { cause: 'spend', change: -32, partner: 'Café' }, 'the member reads where the points went');
});

onStreet(
  'refunds give the partner’s points back first, by the rate they were taken by, and no more',
  async (t, street) => {
    const { world, shop, cafe, atShop, atCafe } = street;
    await agree(world);
    await shop.tell(earn(shop, atShop, 300_00));
    await cafe.tell(earn(cafe, atCafe, 10_00));
    const paying = spend(cafe, atCafe, 31_00, 31);
    await cafe.ask(paying);
    await cafe.tell(complete(paying));
    must(await world.host.federation.end('SHOULI', 'CAFE', 1, 'CAFE', 'Wang'));
    t.equal(said(await cafe.tell(refund(paying, 1_00))), 'accepted', 'an ended agreement still gives back');
    t.same(
      [await points(world, atCafe), await points(world, atShop)],
      [
        [0, 0, 0],
        [270, 0, 0],
      ],
      '20 stay paid: 30 stay taken',
    );
    await cafe.tell(refund(paying, 20_00));
    t.same(
      [await points(world, atCafe), await points(world, atShop)],
      [
        [0, 0, 0],
        [300, 0, 0],
      ],
    );
    await cafe.tell(refund(paying, 10_00));
    t.same(
      [await points(world, atCafe), await points(world, atShop)],
      [
        [10, 0, 0],
        [300, 0, 0],
      ],
    );
    const seen = await statementOf(world, 'CAFE', 'SHOULI');
    t.same(
      seen.rows.map(({ cause, issuerPoints, acceptorPoints }) => [cause, issuerPoints, acceptorPoints]),
      [
        ['spend', 32, 21],
        ['refund', -2, -1],
        ['refund', -30, -20],
      ],
    );
    t.equal(seen.closing, 0);
    t.equal(said((await cafe.ask(spend(cafe, atCafe, 31_00, 31))).answer), 'points.tooFew', 'it pays nothing more');
  },
);

onStreet('refunds in parts give back as much as one refund of their sum', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  await agree(world);
  await shop.tell(earn(shop, atShop, 300_00));
  const paying = spend(cafe, atCafe, 21_00, 21);
  await cafe.ask(paying);
  await cafe.tell(complete(paying));
  const back: number[] = [];
  for (let part = 0; part < 21; part++) {
    t.equal(said(await cafe.tell(refund(paying, 1_00))), 'accepted');
    back.push((await points(world, atShop))[0]);
  }
  // Of 20 to 0 points that stay paid, at 3 for 2, what stays taken: 30, 29, 27, 26, 24 … 2, 0.
  const stay = Array.from({ length: 21 }, (_, part) => Math.ceil(((20 - part) * 3) / 2));
  t.same(
    back,
    stay.map((taken) => 300 - taken),
  );
});

onStreet('a settlement is posted once, and both statements say the same', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  await agree(world);
  await agree(world, { issuer: 'CAFE', acceptor: 'SHOULI', issuerPoints: 1, acceptorPoints: 1 });
  await shop.tell(earn(shop, atShop, 300_00));
  await cafe.tell(earn(cafe, atCafe, 10_00));
  const atTheCafe = spend(cafe, atCafe, 50_00, 50);
  await cafe.ask(atTheCafe);
  await cafe.tell(complete(atTheCafe));
  world.clock.nowMs += 1_000;
  await cafe.tell(earn(cafe, atCafe, 20_00));
  const atTheShop = spend(shop, atShop, 300_00, 250);
  await shop.ask(atTheShop);
  t.same(
    [await points(world, atCafe), await points(world, atShop)],
    [
      [10, 0, 10],
      [0, 0, 240],
    ],
  );
  await shop.tell(complete(atTheShop));
  world.clock.nowMs += 1_000;
  const untilMs = world.clock.nowMs;
  const { federation } = world.host;
  t.match(await federation.settle('CAFE', 'SHOULI', untilMs + 1, 'Li'), {
    ok: false,
    error: { code: 'input.outOfRange' },
  });
  const [settled, again] = await Promise.all([
    federation.settle('CAFE', 'SHOULI', untilMs, 'Li'),
    federation.settle('SHOULI', 'CAFE', untilMs, 'Wang'),
  ]);
  // CAFE owes 10 for its points at the shop, SHOULI 40 for its own at the café.
  t.match(must(settled), { first: 'CAFE', second: 'SHOULI', firstOwes: 10, secondOwes: 40, firstPays: -30 });
  t.same(must(again), must(settled), 'the same end, the same settlement');
  t.match(await federation.settle('CAFE', 'SHOULI', untilMs - 1, 'Li'), {
    ok: false,
    error: { code: 'input.outOfRange' },
  });
  const of = (merchant: string, partner: string) => federation.statement({ merchant, partner, fromMs: 1, untilMs });
  const [cafeSees, shopSees] = [must(await of('CAFE', 'SHOULI')), must(await of('SHOULI', 'CAFE'))];
  t.same(figures(cafeSees), { opening: 0, claims: 40, debts: 10, settled: 30, closing: 0 });
  t.same(figures(shopSees), { opening: 0, claims: 10, debts: 40, settled: -30, closing: 0 });
  t.same(
    cafeSees.rows.map(({ change }) => change),
    shopSees.rows.map(({ change }) => -change || 0),
  );
  t.equal(cafeSees.settlement?.id, shopSees.settlement?.id);
  const first = must(await federation.statement({ merchant: 'CAFE', partner: 'SHOULI', fromMs: 1, untilMs, limit: 1 }));
  t.equal(first.rows.length, 1);
  const second = must(
    await federation.statement({
      merchant: 'CAFE',
      partner: 'SHOULI',
      fromMs: 1,
      untilMs,
      limit: 1,
      cursor: first.next,
    }),
  );
  t.same([...first.rows, ...second.rows], cafeSees.rows, 'page by page the same lines');
  t.equal(second.next, null);
  // Given back after it was settled: owed back in the next period.
  t.equal(said(await cafe.tell(undo(atTheCafe))), 'accepted');
  t.same(figures(await statementOf(world, 'CAFE', 'SHOULI')), {
    opening: 0,
    claims: -40,
    debts: 0,
    settled: 0,
    closing: -40,
  });
  world.clock.nowMs += 1_000;
  t.match(must(await federation.settle('CAFE', 'SHOULI', world.clock.nowMs, 'Li')), { secondOwes: -40, firstPays: 40 });
  t.equal((await federation.settlements('CAFE', 'SHOULI')).rows.length, 2);
});

onStreet('a settlement takes what came before its end, and leaves what came after to the next', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  await agree(world);
  await shop.tell(earn(shop, atShop, 300_00));
  const sell = async (sum: number) => {
    const paying = spend(cafe, atCafe, sum * 100, sum);
    await cafe.ask(paying);
    await cafe.tell(complete(paying));
  };
  await sell(20);
  world.clock.nowMs += 1_000;
  const untilMs = world.clock.nowMs;
  await sell(30);
  world.clock.nowMs += 1_000;
  const settle = async (end: number) => must(await world.host.federation.settle('CAFE', 'SHOULI', end, 'Li'));
  t.match(await settle(untilMs), { secondOwes: 20, firstPays: -20 }, 'a sale at its end is behind it');
  t.match(figures(await statementOf(world, 'CAFE', 'SHOULI')), { closing: 30 });
  t.match(await settle(world.clock.nowMs), { secondOwes: 30, firstPays: -30 });
});

onStreet(
  'faults: the same record twice, a late batch, a reversal before its spend, an agreement that ended',
  async (t, street) => {
    const { world, shop, cafe, atShop, atCafe } = street;
    await agree(world);
    await shop.tell(earn(shop, atShop, 300_00));
    const twice = cafe.record(spend(cafe, atCafe, 20_00, 20));
    const ask = () => world.host.authorise(cafe.terminalId, { record: twice, newestSeen: [] });
    const [first, second] = [must(await ask()), must(await ask())];
    t.same(first.answer, second.answer);
    t.same(await points(world, atShop), [270, 0, 30], 'taken once');
    const { transactionId } = JSON.parse(twice.body);
    // Nobody completed it in time: the points fall back, are spent elsewhere, and the late completion still counts.
    must(await world.host.federation.end('SHOULI', 'CAFE', 1, 'SHOULI', 'Li'));
    world.clock.nowMs += 600_000;
    await world.host.expire();
    t.same(await points(world, atShop), [300, 0, 0]);
    const elsewhere = spend(shop, atShop, 290_00, 290);
    await shop.ask(elsewhere);
    await shop.tell(complete(elsewhere));
    const late = await cafe.tell({ kind: 'completion', original: transactionId, outcome: 'accepted' });
    t.match(late, { outcome: 'accepted', notices: ['points.late', 'points.owed'] });
    t.same(await points(world, atShop), [0, 20, 0], 'what was not there is owed by the member');
    t.equal((await statementOf(world, 'CAFE', 'SHOULI')).closing, 20, 'and the café is due all of it');
    // Void of what was late: the debt is forgiven first.
    t.equal(said(await cafe.tell({ kind: 'void', reference: null, original: transactionId })), 'accepted');
    t.same(await points(world, atShop), [10, 0, 0]);
    await agree(world);
    const unseen = cafe.record(spend(cafe, atCafe, 5_00, 5));
    await cafe.send(
      cafe.record({ kind: 'reversal', original: JSON.parse(unseen.body).transactionId, reason: 'noAnswer' }),
    );
    t.equal(said((await cafe.send(unseen)).answers[0]), 'record.reversed');
    const dropped = spend(cafe, atCafe, 5_00, 5);
    t.equal(said((await cafe.ask(dropped)).answer), 'accepted');
    t.equal(said(await cafe.tell(reverse(dropped))), 'accepted');
    t.same(await points(world, atShop), [10, 0, 0]);
    t.equal((await statementOf(world, 'CAFE', 'SHOULI')).closing, 0);
  },
);

onStreet('who may: only verified numbers are linked, and each merchant’s sales are its own', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  await agree(world);
  await shop.tell(earn(shop, atShop, 300_00));
  const other = must(await world.host.members.enlist({ phone: '13900000000', name: 'typed', merchantId: 'CAFE' }));
  const known = await world.phone('13900000000');
  await shop.tell(earn(shop, known, 300_00));
  const typed = { method: 'memberCode', code: other.memberCode } as const;
  t.equal(said(await cafe.tell({ ...earn(cafe, known, 10_00), credential: typed } as never)), 'accepted');
  t.equal(said(await cafe.tell(earn(cafe, known, 10_00))), 'credential.unknown', 'a typed number links nobody');
  t.equal(
    said((await cafe.ask(spend(cafe, known, 10_00, 10))).answer),
    'accepted',
    'a partner’s key pays with its own points',
  );
  const byNumber = { method: 'phoneNumber', number } as const;
  t.equal(said(await cafe.tell({ ...earn(cafe, atCafe, 10_00), credential: byNumber } as never)), 'accepted');
  t.same(await points(world, atCafe), [10, 0, 0], 'a number is the membership of the counter it is typed at');
  const sale = earn(shop, atShop, 10_00);
  await shop.tell(sale);
  t.equal(said(await cafe.tell(undo(sale))), 'original.unknown');
  await world.host.members.setKeyState(Buffer.from(atShop.keyId).toString('hex'), 'blocked');
  t.equal(said((await cafe.ask(spend(cafe, atCafe, 30_00, 30))).answer), 'points.tooFew', 'a lost phone’s points stay');
  t.match(await world.host.merchants.assign(cafe.terminalId, 'SHOULI'), {
    ok: false,
    error: { code: 'record.conflict' },
  });
  t.match(must(await world.host.directives(cafe.terminalId, null)), {
    ...{ merchant: 'Café', location: 'Street 2', merchants: ['CAFE', 'SHOULI'] },
  });
  t.same(
    must(await world.host.directives(shop.terminalId, null)).merchants,
    ['SHOULI'],
    'an agreement has a direction',
  );
});

onStreet('agreements: two merchants’ word, a time, a limit for a day, versions', async (t, street) => {
  const { world, shop, cafe, atShop, atCafe } = street;
  const { federation } = world.host;
  await shop.tell(earn(shop, atShop, 300_00));
  const pays = async (amount: number) => said((await cafe.ask(spend(cafe, atCafe, amount * 100, amount))).answer);
  const offered = must(
    await federation.offer({
      ...{ issuer: 'SHOULI', acceptor: 'CAFE', issuerPoints: 1, acceptorPoints: 1, offeredBy: 'CAFE', person: 'Wang' },
      ...{ validFromMs: null, validToMs: null, dailyPointsMax: 50 },
    }),
  );
  t.equal(await pays(10), 'points.tooFew', 'one word is not enough');
  t.match(await federation.confirm('SHOULI', 'CAFE', 1, 'CAFE', 'Wang'), {
    ok: false,
    error: { code: 'access.denied' },
  });
  t.match(await federation.confirm('SHOULI', 'CAFE', 2, 'SHOULI', 'Li'), {
    ok: false,
    error: { code: 'agreement.unknown' },
  });
  t.ok(offered.state === 'offered' && !offered.isInForce);
  must(await federation.confirm('SHOULI', 'CAFE', 1, 'SHOULI', 'Li'));
  t.equal(await pays(30), 'accepted');
  t.equal(await pays(21), 'points.tooFew', 'the day’s limit');
  t.equal(await pays(20), 'accepted');
  world.clock.nowMs += 86_400_000;
  await world.host.expire();
  t.equal(await pays(50), 'accepted', 'another day');
  const soon = world.clock.nowMs + 60_000;
  await agree(world, { issuerPoints: 5, acceptorPoints: 1, validFromMs: soon, validToMs: soon + 60_000 });
  world.clock.nowMs = soon - 1;
  t.equal(await pays(1), 'points.tooFew', 'the first version until the second begins');
  world.clock.nowMs = soon;
  await world.host.expire();
  const before = (await points(world, atShop))[0];
  t.equal(await pays(2), 'accepted');
  t.equal(before - (await points(world, atShop))[0], 10, 'the newest version in its time');
  t.same(
    (await federation.list()).rows.map(({ version, state, isInForce }) => [version, state, isInForce]),
    [
      [1, 'confirmed', true],
      [2, 'confirmed', true],
    ],
  );
  for (const wrong of [{ issuerPoints: 0 }, { acceptorPoints: 1_000_001 }, { validFromMs: 5, validToMs: 5 }])
    t.match(await federation.offer({ ...request, ...wrong }), { ok: false, error: { code: 'input.outOfRange' } });
  t.match(await federation.offer({ ...request, acceptor: 'NOBODY' }), {
    ok: false,
    error: { code: 'merchant.unknown' },
  });
});
const request = {
  ...{ issuer: 'SHOULI', acceptor: 'CAFE', issuerPoints: 1, acceptorPoints: 1, offeredBy: 'SHOULI', person: 'Li' },
  ...{ validFromMs: null, validToMs: null, dailyPointsMax: null },
};
