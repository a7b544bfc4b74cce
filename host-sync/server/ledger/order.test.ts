// Properties over random histories: whatever the order, repetition and mixing of delivery, the ledger adds up, nothing is
// negative, every record has one effect, and balances come out the same as in the boxes' own order.
import fc from 'fast-check';
import t from 'tap';
import type { Envelope } from '../../protocol/sync.js';
import { complete, deduct, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { type Box, keyed, type LooseDraft, must, openWorld, type Phone, said, type World } from '../sim/world.js';

type Step =
  | { readonly do: 'earn'; readonly box: number; readonly phone: number; readonly amount: number }
  | { readonly do: 'undo' | 'reverse' | 'refund'; readonly of: number; readonly amount: number }
  | {
      readonly do: 'spend' | 'deduct';
      readonly box: number;
      readonly phone: number;
      readonly amount: number;
      readonly end: 'complete' | 'reverse' | 'open';
    };

const box = fc.nat(1);
const phone = fc.nat(1);
const amount = fc.integer({ min: 100, max: 50_000 });
const earning: fc.Arbitrary<Step> = fc.record({ do: fc.constant('earn' as const), box, phone, amount });
const undoing: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('undo' as const, 'reverse' as const, 'refund' as const),
  of: fc.nat(20),
  amount: fc.integer({ min: 1, max: 50_000 }),
});
const paying: fc.Arbitrary<Step> = fc.record({
  do: fc.constantFrom('spend' as const, 'deduct' as const),
  box,
  phone,
  amount,
  end: fc.constantFrom('complete' as const, 'reverse' as const, 'open' as const),
});

interface Cast {
  readonly world: World;
  readonly boxes: readonly Box[];
  readonly phones: readonly (Phone & { readonly memberCode: string })[];
}
async function openCast(): Promise<Cast> {
  const world = await openWorld({ seed: 1 });
  const boxes = [await world.box(), await world.box()];
  const phones = [await world.phone('13800000000'), await world.phone('13800000001')];
  for (const { memberCode } of phones)
    must(
      await world.host.coupons.issue({
        holder: 'host',
        memberCode,
        currency: 'CNY',
        amountMinor: 100_000,
        expiresAtMs: null,
      }),
    );
  return { world, boxes, phones };
}
const pick = <T>(list: readonly T[], index: number): T => {
  const found = list[index % list.length];
  if (found === undefined) throw new Error('an empty list');
  return found;
};

/** What of a history is written by which box, in its own order. */
interface Written {
  readonly box: Box;
  readonly record: Envelope;
}
function write({ boxes, phones }: Cast, steps: readonly Step[]): readonly Written[] {
  const written: Written[] = [];
  const sales: { readonly box: Box; readonly draft: LooseDraft; undone: boolean; left: number }[] = [];
  const tell = (by: Box, draft: LooseDraft): void => void written.push({ box: by, record: by.record(draft) });
  for (const step of steps) {
    if (step.do === 'earn') {
      const by = pick(boxes, step.box);
      const draft = earn(by, pick(phones, step.phone), step.amount);
      sales.push({ box: by, draft, undone: false, left: step.amount });
      tell(by, draft);
    } else if ('of' in step) {
      const sale = sales[step.of];
      if (!sale || sale.undone) continue;
      const isRefund = step.do === 'refund';
      if (isRefund && step.amount > sale.left) continue;
      if (step.do === 'undo' && sale.left < ((sale.draft as { bill: { totalMinor: number } }).bill.totalMinor ?? 0))
        continue;
      if (isRefund) sale.left -= step.amount;
      else sale.undone = true;
      tell(
        sale.box,
        isRefund ? refund(sale.draft, step.amount) : step.do === 'undo' ? undo(sale.draft) : reverse(sale.draft),
      );
    } else {
      const by = pick(boxes, step.box);
      const member = pick(phones, step.phone);
      const draft =
        step.do === 'spend'
          ? spend(by, member, 100_000, Math.ceil(step.amount / 1000))
          : deduct(by, member, keyed(step.amount));
      tell(by, draft);
      if (step.end !== 'open') tell(by, step.end === 'complete' ? complete(draft) : reverse(draft));
    }
  }
  return written;
}

/** Sends in the order given, in batches of one box each; what is told to come later comes again until nothing changes. */
async function deliver(order: readonly Written[], batch: number): Promise<void> {
  let waiting = [...order];
  for (let round = 0; waiting.length > 0 && round < 50; round++) {
    const next: Written[] = [];
    while (waiting.length > 0) {
      const by = pick(waiting, 0).box;
      const taken = waiting.filter((one) => one.box === by).slice(0, batch);
      waiting = waiting.filter((one) => !taken.includes(one));
      const { answers } = await by.send(...taken.map((one) => one.record));
      next.push(...taken.filter((_, index) => answers[index]?.outcome === 'later'));
    }
    if (next.length === order.length) throw new Error('nothing was taken');
    waiting = next;
  }
  if (waiting.length > 0) throw new Error('it never comes to rest');
}

async function outcome({ world, phones }: Cast): Promise<unknown> {
  const members = await Promise.all(phones.map(({ memberCode }) => world.host.members.byCode(memberCode)));
  return members.map((member) => [member?.points, member?.pointsOwed, member?.pointsReserved, member?.earnedPoints]);
}

/** A shuffle by keys that fast-check draws and shrinks. */
const shuffled = <T>(list: readonly T[], keys: readonly number[]): readonly T[] =>
  list
    .map((item, index) => ({ item, key: keys[index % Math.max(1, keys.length)] ?? 0, index }))
    .sort((a, b) => a.key - b.key || a.index - b.index)
    .map(({ item }) => item);

void t.test('earns, voids, refunds and reversals: the same balances in every order of delivery', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 3, arbitrary: earning }, { weight: 2, arbitrary: undoing }), {
        minLength: 1,
        maxLength: 14,
      }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      async (steps, keys, batch) => {
        const [straight, mixed] = [await openCast(), await openCast()];
        try {
          for (const { box, record } of write(straight, steps)) await box.send(record);
          const written = write(mixed, steps);
          await deliver(shuffled([...written, ...written.filter((_, index) => index % 3 === 0)], keys), batch);
          t.same(await outcome(mixed), await outcome(straight));
          t.same((await mixed.world.host.verifyLedger()).problems, []);
        } finally {
          await straight.world.close();
          await mixed.world.close();
        }
      },
    ),
    { numRuns: 40 },
  );
});

void t.test(
  'everything at once: it adds up, nothing is negative, a repeated record gets its answer and no effect',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            { weight: 2, arbitrary: earning },
            { weight: 2, arbitrary: undoing },
            { weight: 2, arbitrary: paying },
          ),
          {
            minLength: 1,
            maxLength: 20,
          },
        ),
        fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 10 }),
        async (steps, keys, batch) => {
          const cast = await openCast();
          try {
            const written = write(cast, steps);
            await deliver(shuffled(written, keys), batch);
            cast.world.clock.nowMs += 700_000;
            await cast.world.host.expire();
            const report = await cast.world.host.verifyLedger();
            const again = await Promise.all(written.map(({ box, record }) => box.send(record)));
            t.notOk(
              again.some(({ answers }) => said(answers[0]).startsWith('host.')),
              'every record has its final answer',
            );
            t.same(await cast.world.host.verifyLedger(), report, 'and moves nothing again');
            t.same(report.problems, []);
            t.notOk(report.totals['member/reserved points'], 'nothing stays reserved');
            t.notOk(report.totals['coupon/reserved CNY']);
          } finally {
            await cast.world.close();
          }
        },
      ),
      { numRuns: 40 },
    );
  },
);
