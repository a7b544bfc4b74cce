// Points on a real store: what earning, spending, voiding and refunding leave behind, whatever the order and the mishap.
// Drives the host's terminal-facing calls with boxes that chain their records and phones that prove their keys.
import t, { type Test } from 'tap';
import { complete, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { inWorld, type Phone, said, type World } from '../sim/world.js';

async function balances(world: World, memberCode: string): Promise<readonly [number, number, number]> {
  const member = await world.host.members.byCode(memberCode);
  return [member?.points ?? -1, member?.pointsOwed ?? -1, member?.pointsReserved ?? -1];
}

type Opened = Parameters<Parameters<typeof inWorld>[2]>[1] & {
  readonly phone: Phone & { readonly memberCode: string };
};
const withPhone = (name: string, run: (t: Test, opened: Opened) => Promise<void>): void =>
  inWorld(t, name, async (t, opened) => run(t, { ...opened, phone: await opened.world.phone('13800000000') }));

withPhone('P7: a 300.00 bill earns 300, later points pay part of another', async (t, { world, box, phone }) => {
  const earned = await box.tell(earn(box, phone, 30_000));
  t.equal(said(earned), 'accepted');
  t.match(earned, { pointsPosted: 300, balances: { points: 300, pointsOwed: 0 } });
  const paying = spend(box, phone, 5_000, 200);
  const asked = await box.ask(paying);
  t.match(asked.answer, { outcome: 'accepted', coveredMinor: 200, balances: { points: 100 } });
  t.equal(asked.reservedForMs, 600_000, 'held for ten minutes');
  t.match(asked.session, { encryptionKey: /^[0-9a-f]{32}$/ });
  t.same(await balances(world, phone.memberCode), [100, 0, 200]);
  t.equal(said(await box.tell(complete(paying))), 'accepted');
  t.same(await balances(world, phone.memberCode), [100, 0, 0]);
  const statement = await world.host.members.statement(phone.memberCode, 'points');
  t.same(
    statement.rows.map(({ cause, change, balanceAfter }) => [cause, change, balanceAfter]),
    [
      ['spend', -200, 100],
      ['earn', 300, 300],
    ],
  );
});

withPhone(
  'fault 3: the same body gets the same answer, later and byte for byte, and one effect',
  async (t, { world, box, phone }) => {
    const first = box.record(earn(box, phone, 30_000));
    const [answer] = (await box.send(first)).answers;
    await box.tell(earn(box, phone, 100_00));
    const [again] = (await box.send({ ...first, attempt: 2 })).answers;
    t.equal(JSON.stringify(again), JSON.stringify(answer));
    t.same(await balances(world, phone.memberCode), [400, 0, 0]);
  },
);

withPhone(
  'fault 17: earned, spent, and the sale then voided: the debt is recorded and repaid first',
  async (t, { world, box, phone }) => {
    const sale = earn(box, phone, 30_000);
    await box.tell(sale);
    const paying = spend(box, phone, 100_00, 250);
    await box.ask(paying);
    await box.tell(complete(paying));
    t.equal(said(await box.tell(undo(sale))), 'accepted');
    t.same(await balances(world, phone.memberCode), [0, 250, 0]);
    const answer = await box.tell(earn(box, phone, 30_000));
    t.match(answer, { notices: ['points.owed'], balances: { points: 50, pointsOwed: 0 } });
    t.equal(said(await box.tell(undo(sale))), 'original.notVoidable', 'once is enough');
  },
);

withPhone(
  'fault 16: refunds take back by the rule for the rest, and never more than the sale',
  async (t, { world, box, phone }) => {
    const sale = earn(box, phone, 9_99);
    await box.tell(sale);
    t.same(await balances(world, phone.memberCode), [9, 0, 0]);
    t.equal(said(await box.tell(refund(sale, 50))), 'accepted');
    t.same(await balances(world, phone.memberCode), [9, 0, 0], 'the rest of 9.49 still earns 9');
    await box.tell(refund(sale, 50));
    t.same(await balances(world, phone.memberCode), [8, 0, 0]);
    t.equal(said(await box.tell(refund(sale, 900))), 'refund.tooLarge');
    t.equal(said(await box.tell(undo(sale))), 'original.notVoidable');
    t.equal(said(await box.tell(refund(sale, 899))), 'accepted');
    t.same(await balances(world, phone.memberCode), [0, 0, 0]);
    t.equal(said(await box.tell(refund(sale, 1))), 'refund.tooLarge');
  },
);

withPhone('fault 18: an approval and a reversal end reversed in either order', async (t, { world, box, phone }) => {
  await box.tell(earn(box, phone, 30_000));
  const approved = spend(box, phone, 100_00, 100);
  await box.ask(approved);
  t.equal(said(await box.tell(reverse(approved))), 'accepted');
  t.equal(said(await box.tell(reverse(approved))), 'accepted', 'again, under another id');
  t.equal(said(await box.tell(complete(approved))), 'record.reversed');
  t.same(await balances(world, phone.memberCode), [300, 0, 0]);
  const unseen = box.record(spend(box, phone, 100_00, 100));
  const reversal = box.record({
    kind: 'reversal',
    original: JSON.parse(unseen.body).transactionId,
    reason: 'noAnswer',
  });
  t.equal(said((await box.send(reversal)).answers[0]), 'accepted', 'a tombstone');
  const late = await box.send(unseen);
  t.equal(said(late.answers[0]), 'record.reversed');
  t.equal(late.watermark.sequence, box.sequence, 'no gap stays behind');
  t.same(await balances(world, phone.memberCode), [300, 0, 0]);
  t.equal((await world.host.deadLetters.list('open')).rows.length, 1, 'the box called it accepted: a person must look');
});

withPhone(
  'a reservation that nobody completes falls back; a late completion takes what is there and the rest is owed',
  async (t, { world, box, phone }) => {
    await box.tell(earn(box, phone, 30_000));
    const first = spend(box, phone, 300_00, 300);
    await box.ask(first);
    world.clock.nowMs += 600_000;
    t.same(await world.host.expire(), { reservations: 1, coupons: 0 });
    t.same(await balances(world, phone.memberCode), [300, 0, 0]);
    const second = spend(box, phone, 300_00, 200);
    await box.ask(second);
    t.equal((await box.tell(complete(second))).outcome, 'accepted');
    t.match(await box.tell(complete(first)), { outcome: 'accepted', notices: ['points.late', 'points.owed'] });
    t.same(await balances(world, phone.memberCode), [0, 200, 0]);
    await box.tell(undo(first));
    t.same(await balances(world, phone.memberCode), [100, 0, 0]);
  },
);

withPhone(
  'fault 19: two boxes spend the same points at once: one is refused cleanly',
  async (t, { world, box, phone }) => {
    const other = await world.box('other till');
    await box.tell(earn(box, phone, 30_000));
    const answers = await Promise.all([
      box.ask(spend(box, phone, 300_00, 200)),
      other.ask(spend(other, phone, 300_00, 200)),
    ]);
    t.same(answers.map(({ answer }) => said(answer)).sort(), ['accepted', 'points.tooFew']);
    t.same(await balances(world, phone.memberCode), [100, 0, 200]);
  },
);

withPhone(
  'credentials: a code earns and never spends, a wrong proof, a replay and a blocked phone are refused',
  async (t, { world, box, phone }) => {
    await box.tell(earn(box, phone, 30_000));
    const code = { method: 'memberCode', code: phone.memberCode } as const;
    t.equal(said(await box.tell({ ...earn(box, phone, 10_000), credential: code } as never)), 'accepted');
    t.equal(
      said((await box.ask({ ...spend(box, phone, 10_000, 50), credential: code } as never)).answer),
      'credential.tooWeak',
    );
    const forged = earn(box, phone, 10_000) as { credential: { proof: string } };
    forged.credential.proof = '00'.repeat(16);
    t.equal(said(await box.tell(forged as never)), 'credential.wrongProof');
    phone.counter -= 1;
    t.equal(said(await box.tell(earn(box, phone, 10_000))), 'accepted', 'a forged tap uses no counter up');
    phone.counter -= 1;
    t.equal(said(await box.tell(earn(box, phone, 10_000))), 'credential.replayed');
    const alarms = await world.host.alarms();
    t.same(alarms.rows.map((alarm) => alarm.code).sort(), ['credential.replayed', 'credential.wrongProof']);
    const before = earn(box, phone, 10_000);
    world.clock.nowMs += 1000;
    await world.host.members.setKeyState(Buffer.from(phone.keyId).toString('hex'), 'blocked');
    t.equal(
      said(await box.tell({ ...before, atWallMs: world.clock.nowMs - 1 } as never)),
      'accepted',
      'earned before it was lost',
    );
    t.equal(said(await box.tell(earn(box, phone, 10_000))), 'credential.blocked');
  },
);

withPhone(
  'rules: the version named counts while its grace lasts, then the present one; typed points are capped',
  async (t, { world, box, phone }) => {
    await world.host.rules.publish({
      currency: 'CNY',
      earnPoints: 2,
      earnPerMinor: 100,
      spendMinor: 100,
      spendPerPoints: 100,
      couponPartial: false,
    });
    t.match(
      await box.tell(earn(box, phone, 10_000)),
      { pointsPosted: 100, notices: [] },
      'the old version, just replaced',
    );
    world.clock.nowMs += 8 * 86_400_000;
    t.match(await box.tell(earn(box, phone, 10_000)), {
      pointsPosted: 200,
      notices: ['rules.replaced', 'points.recomputed'],
    });
    t.match(await box.tell(earn(box, phone, 10_000, { rulesVersion: 2, points: 7 })), {
      pointsPosted: 200,
      notices: ['points.recomputed'],
    });
    t.match(await box.tell(earn(box, phone, 10_000, { rulesVersion: 2, points: 7, typed: true })), { pointsPosted: 7 });
    t.equal(said(await box.tell(earn(box, phone, 10_000, { points: 100_001, typed: true }))), 'points.notAllowed');
  },
);

withPhone('tiers: the bonus follows lifetime points and goes back with them', async (t, { world, box, phone }) => {
  await world.host.rules.setTiers([
    { name: 'member', earnedPointsMin: 0, multiplierBasisPoints: 10_000 },
    { name: 'gold', earnedPointsMin: 300, multiplierBasisPoints: 12_500 },
  ]);
  t.match(await box.tell(earn(box, phone, 30_000)), { pointsPosted: 300 });
  const golden = earn(box, phone, 1_90);
  t.match(await box.tell(golden), { pointsPosted: 1, notices: [] }, 'a quarter of 1 rounds down to nothing');
  const larger = earn(box, phone, 10_000);
  t.match(await box.tell(larger), { pointsPosted: 125, notices: ['tier.bonus'] });
  t.match(await box.tell(refund(larger, 5_000)), { pointsPosted: 63 });
  t.equal((await world.host.members.byCode(phone.memberCode))?.tier, 'gold');
  t.same(await balances(world, phone.memberCode), [363, 0, 0]);
});
