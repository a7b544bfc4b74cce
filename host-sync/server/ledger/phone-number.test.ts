/**
 * Shows what a phone number typed at the counter may do: it earns for the member whose it is, unless the merchant forbids
 * even that, and never spends; whoever tries numbers learns nothing where it is forbidden.
 */
import t, { type Test } from 'tap';
import { type Box, keyed, must, newId, openWorld, said, type World } from '../sim/world.js';

const number = '13800000000';
const credentialOf = (typed: string) => ({ method: 'phoneNumber' as const, number: typed });
const earn = (typed: string) => ({
  kind: 'pointsEarn' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential: credentialOf(typed) },
  ...{ rulesVersion: 1, points: 100, typed: false },
});
const spend = (typed: string, offline?: { by: 'floor'; coveredMinor: number }) => ({
  kind: 'pointsSpend' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential: credentialOf(typed) },
  ...{ rulesVersion: 1, points: 50, coveredMinor: 50, ...(offline && { offline }) },
});

function withMember(name: string, run: (t: Test, at: { world: World; box: Box; code: string }) => Promise<void>): void {
  void t.test(name, async (t) => {
    const world = await openWorld();
    t.teardown(() => world.close());
    const { memberCode } = must(await world.host.members.enlist({ phone: number, name: 'Wang' }));
    await run(t, { world, box: await world.box(), code: memberCode });
    t.same(await world.host.checkStore(), []);
  });
}

withMember('a number earns for its member, again and again', async (t, { world, box, code }) => {
  t.match(await box.tell(earn(number)), { outcome: 'accepted', pointsPosted: 100, balances: { points: 100 } });
  const sale = earn(number);
  t.equal(said(await box.tell(sale)), 'accepted');
  t.equal((await world.host.members.byCode(code))?.points, 200);
  const bought = {
    kind: 'consumption' as const,
    currency: 'CNY' as const,
    ...{ sale: sale.transactionId, businessId: null, amountMinor: 10_000 },
    ...{ category: 'dining', location: 'here', merchant: 'us' },
  };
  t.equal(said(await box.tell(bought)), 'accepted');
  t.match((await world.host.consumption.months(code)).rows, [{ amountMinor: 10_000 }], 'the purchase is the member’s');
});

withMember('a number of nobody is refused, and so is what is no number', async (t, { box }) => {
  for (const typed of ['13800000001', '+8613800000000'])
    t.equal(said(await box.tell(earn(typed))), 'credential.unknown', typed);
  for (const typed of [
    "1' OR 1=1 --",
    '1380',
    '１３８００００００００',
    '',
    '-13800000000',
    '13800000000\u0000',
    '1'.repeat(16),
  ])
    t.equal(said(await box.tell(earn(typed))), 'record.malformed', JSON.stringify(typed));
});

withMember('it never spends, whatever the merchant opts into', async (t, { world, box }) => {
  await box.tell(earn(number));
  must(await world.host.rules.setPolicy({ passesSpend: true, screenCodeSpends: true }));
  t.equal(said((await box.ask(spend(number))).answer), 'credential.tooWeak');
  t.equal(said(await box.tell(spend(number, { by: 'floor', coveredMinor: 50 }))), 'credential.tooWeak');
});

withMember('where it counts for nothing, members and strangers get one answer', async (t, { world, box, code }) => {
  must(await world.host.rules.setPolicy({ phoneEarns: false }));
  for (const typed of [number, '13800000001']) t.equal(said(await box.tell(earn(typed))), 'credential.tooWeak', typed);
  t.equal((await world.host.members.byCode(code))?.points, 0);
});
