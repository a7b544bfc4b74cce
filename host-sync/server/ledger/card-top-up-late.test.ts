// Top-ups of a card that the host learns of late: by a box that was off, by a host that was restored from a backup and has
// forgotten what it authorised, and where nobody can tell whether a write was made. Value is given once for money taken
// once, and the card goes on paying. The tests count card, drawer and ledger after each order of telling.
import t from 'tap';
import type { Envelope } from '../../protocol/sync.js';
import {
  type Card,
  cardBooks,
  credit,
  debit,
  drawerBooks,
  forgotten,
  issueCard as issue,
  siteDebit,
  topUpCard,
  visit,
  voidTopUp,
  writeOf,
} from '../sim/cards.js';
import { complete, reverse } from '../sim/sales.js';
import { type Box, inWorld, type LooseDraft, must, said, type World } from '../sim/world.js';
import { untoldWaitMs } from './waiting.js';

const issuedMinor = 30_000;
const sent = async (box: Box, record: Envelope) => said((await box.send(record)).answers[0]);
/** Debits by site key, one behind the other; three of them leave neither slot at the counter before the first of them. */
async function bought(world: World, box: Box, card: Card, amounts: readonly number[]): Promise<LooseDraft[]> {
  const debits: LooseDraft[] = [];
  for (const amountMinor of amounts) debits.push(await siteDebit(world, box, card, amountMinor));
  return debits;
}
async function toldAll(box: Box, drafts: readonly LooseDraft[]) {
  const answers: string[] = [];
  for (const draft of drafts) answers.push(said(await box.tell(draft)), said(await box.tell(complete(draft))));
  return answers;
}

for (const word of ['accepted', 'cardUnknown'] as const)
  inWorld(t, `forgotten, behind two debits by site key, told ${word}: once on the card`, async (t, { world, box }) => {
    const card = await issue(world);
    const offline = await world.box('offline');
    const other = await world.box('other');
    const draft = topUpCard(box, card, 5_000);
    const record = await forgotten(world, box, card, draft, 5_000);
    const debits = await bought(world, offline, card, [3_000, 3_000]);
    await visit(other, card);
    t.equal(await sent(box, record), 'accepted');
    t.same(
      await cardBooks(world, card),
      { onCard: 28_999, held: 0, due: 0 },
      'nothing is due before its box has spoken',
    );
    t.equal(said(await box.tell(complete(draft, word))), 'accepted');
    await visit(other, card);
    t.same(await toldAll(offline, debits), ['accepted', 'accepted', 'accepted', 'accepted']);
    await visit(other, card);
    t.equal(card.current.balanceMinor, issuedMinor + 5_000 - 6_000 - 3);
    t.same(await cardBooks(world, card), { onCard: card.current.balanceMinor, held: 0, due: 0 });
    t.same(await drawerBooks(world, box), [5_000, 0, 0], 'the merchant bears nothing');
  });

inWorld(
  t,
  'lost, behind three debits by site key, not written: due once their writers are known',
  async (t, { world, box }) => {
    const card = await issue(world);
    const offline = await world.box('offline');
    const other = await world.box('other');
    const draft = topUpCard(box, card, 5_000);
    const record = box.record(draft);
    const debits = await bought(world, offline, card, [2_000, 2_000, 2_000]);
    await visit(other, card);
    t.equal(await sent(box, record), 'accepted');
    t.equal(said(await box.tell(complete(draft, 'cardUnknown'))), 'accepted');
    t.match(await cardBooks(world, card), { due: 0 }, 'it may be behind what was seen');
    await toldAll(offline, debits);
    t.match(await cardBooks(world, card), { due: 5_000 }, 'another wrote its counter');
    await visit(other, card);
    t.equal(card.current.balanceMinor, issuedMinor - 6_000 - 2 + 5_000);
    t.same(await cardBooks(world, card), { onCard: card.current.balanceMinor, held: 0, due: 0 });
    t.same(await drawerBooks(world, box), [5_000, 0, 0]);
  },
);

inWorld(t, 'its own box voids one that may be behind what was seen: paid back once', async (t, { world, box }) => {
  for (const isWritten of [true, false]) {
    const card = await issue(world);
    const offline = await world.box(`offline ${isWritten}`);
    const draft = topUpCard(box, card, 5_000);
    const record = isWritten ? await forgotten(world, box, card, draft, 5_000) : box.record(draft);
    const debits = await bought(world, offline, card, [2_000, 2_000, 2_000]);
    await visit(offline, card);
    t.equal(await sent(box, record), 'accepted');
    const back = voidTopUp(box, card, draft, 5_000);
    card.write(writeOf((await box.ask(back)).answer));
    t.equal(said(await box.tell(complete(back))), 'accepted');
    await toldAll(offline, debits);
    await visit(offline, card);
    t.equal(card.current.balanceMinor, issuedMinor - 6_000 - 2, isWritten ? 'written' : 'not written');
    t.same(await cardBooks(world, card), { onCard: card.current.balanceMinor, held: 0, due: 0 });
    t.same(await drawerBooks(world, box), isWritten ? [5_000, 5_000, 0] : [10_000, 10_000, 0]);
  }
});

inWorld(
  t,
  'a void that nobody can tell was made holds its top-up, until its box or the card says',
  async (t, { world, box }) => {
    for (const word of ['accepted', 'cardUnknown', 'reversal', null] as const) {
      const card = await issue(world);
      const offline = await world.box(`offline ${word}`);
      const other = await world.box(`other ${word}`);
      const [, paidBefore = 0] = await drawerBooks(world, box);
      const draft = topUpCard(box, card, 5_000);
      card.write(writeOf((await box.ask(draft)).answer));
      await box.tell(complete(draft));
      const first = voidTopUp(box, card, draft, 5_000);
      const { answer } = await box.ask(first);
      if (word === 'accepted') card.write(writeOf(answer));
      const debits = await bought(world, offline, card, [1, 1, 1]);
      const again = async () => said((await other.ask(voidTopUp(other, card, draft, 5_000))).answer);
      t.equal(await again(), 'original.notVoidable', 'the first may have been made');
      if (word === null) await toldAll(offline, debits);
      else
        t.equal(said(await box.tell(word === 'reversal' ? reverse(first) : complete(first, word))), 'accepted', word);
      t.equal(
        await again(),
        word === 'accepted' ? 'original.notVoidable' : 'accepted',
        `${word}: it stands or is voided`,
      );
      if (word !== null) await toldAll(offline, debits);
      await visit(other, card);
      const isVoided = word === 'accepted';
      t.equal(card.current.balanceMinor, issuedMinor + 5_000 - 4 - (isVoided ? 5_000 : 0));
      t.same(await cardBooks(world, card), { onCard: card.current.balanceMinor, held: 0, due: 0 });
      t.match(
        await drawerBooks(world, box),
        { 1: paidBefore + (isVoided ? 5_000 : 0), 2: 0 },
        'paid back once at most',
      );
      t.same(await drawerBooks(world, other), [0, 0, 0]);
    }
  },
);

for (const why of ['no top-ups any more', 'blocked', 'limit', 'expired'] as const)
  inWorld(
    t,
    `forgotten, and refused if it were asked now (${why}): what the card has is kept`,
    async (t, { world, box }) => {
      const isExpired = why === 'expired';
      const card = await issue(world, isExpired ? { expiresAtMs: world.clock.nowMs + 5_000 } : {});
      const other = await world.box('other');
      const draft = topUpCard(box, card, 5_000);
      const record = await forgotten(world, box, card, draft, 5_000);
      if (why === 'no top-ups any more') must(await world.host.rules.setPolicy({ topUpMaxMinor: 0 }));
      if (why === 'limit') must(await world.host.rules.setPolicy({ topUpBalanceMaxMinor: 32_000 }));
      if (why === 'blocked') must(await world.host.coupons.setState(card.code, 'blocked'));
      if (isExpired) world.clock.nowMs += 6_000;
      t.equal(await sent(box, record), 'accepted');
      t.same(await drawerBooks(world, box), [0, 0, 0], 'nothing is paid in before its box has spoken');
      t.equal(said(await box.tell(complete(draft))), 'accepted');
      if (why === 'blocked') must(await world.host.coupons.setState(card.code, 'active'));
      t.same(await cardBooks(world, card), { onCard: 35_000, held: 0, due: 0 });
      t.same(await drawerBooks(world, box), [5_000, 0, 0]);
      if (!isExpired) await visit(other, card);
      t.equal(card.current.balanceMinor, isExpired ? 35_000 : 34_999);
    },
  );

inWorld(t, 'refused if it were asked, and reversed: nothing was paid in', async (t, { world, box }) => {
  const card = await issue(world);
  const draft = topUpCard(box, card, 5_000);
  const record = box.record(draft);
  must(await world.host.coupons.setState(card.code, 'blocked'));
  t.equal(await sent(box, record), 'accepted');
  const again = must(await world.host.authorise(box.terminalId, { record, newestSeen: [] }));
  t.match(again.answer, { outcome: 'accepted', write: null }, 'no write for a blocked card');
  t.equal(said(await box.tell(reverse(draft))), 'accepted');
  t.same(
    [await cardBooks(world, card), await drawerBooks(world, box)],
    [{ onCard: 30_000, held: 0, due: 0 }, [0, 0, 0]],
  );
});

inWorld(t, 'two boxes of a restored host: the later write waits for the earlier', async (t, { world, box }) => {
  const second = await world.box('second');
  const third = await world.box('third');
  const card = await issue(world);
  const one = topUpCard(box, card, 5_000);
  const firstRecord = await forgotten(world, box, card, one, 5_000);
  const two = topUpCard(second, card, 2_000);
  const secondRecord = await forgotten(world, second, card, two, 2_000);
  t.equal(await sent(second, secondRecord), 'host.busy', 'more on the card than is known');
  t.equal(await sent(box, firstRecord), 'accepted');
  t.equal(said(await box.tell(complete(one))), 'accepted');
  t.equal(await sent(second, secondRecord), 'accepted');
  t.equal(said(await second.tell(complete(two))), 'accepted');
  await visit(third, card);
  t.equal(card.current.balanceMinor, 36_999);
  t.same(
    [await drawerBooks(world, box), await drawerBooks(world, second)],
    [
      [5_000, 0, 0],
      [2_000, 0, 0],
    ],
  );

  // A purchase and a refund wait likewise; not for ever, and not where a clerk waits for the answer.
  const paid = debit(second, card, 1_000);
  card.write(writeOf((await second.ask(paid)).answer));
  await second.tell(complete(paid));
  const lost = topUpCard(box, card, 5_000);
  await forgotten(world, box, card, lost, 5_000);
  const later = [debit(second, card, 10), credit(second, card, paid, 1_000), topUpCard(second, card, 1_000)];
  const records = later.map((draft) => second.record(draft));
  for (const record of records) t.equal(await sent(second, record), 'host.busy');
  t.equal(said((await third.ask(debit(third, card, 10))).answer), 'card.recordInvalid');
  world.clock.nowMs += untoldWaitMs + 60_000;
  for (const record of records) t.equal(await sent(second, record), 'card.recordInvalid', 'for a person to settle');
});

inWorld(
  t,
  'restored to before a lost top-up was told, which the next write took along: the card goes on',
  async (t, { world, box }) => {
    const second = await world.box('second');
    const third = await world.box('third');
    const card = await issue(world);
    const torn = topUpCard(box, card, 5_000);
    await box.ask(torn);
    const next = topUpCard(second, card, 2_000);
    const record = await forgotten(world, second, card, next, 7_000);
    t.equal(await sent(second, record), 'accepted');
    t.equal(said(await second.tell(complete(next))), 'accepted');
    t.equal(
      said((await third.ask(debit(third, card, 1))).answer),
      'card.recordInvalid',
      'not before the lost one is told',
    );
    t.equal(said(await box.tell(complete(torn, 'cardUnknown'))), 'accepted');
    await visit(third, card);
    t.equal(card.current.balanceMinor, 36_999);
    t.same(await cardBooks(world, card), { onCard: 36_999, held: 0, due: 0 });
    t.same(
      [await drawerBooks(world, box), await drawerBooks(world, second)],
      [
        [5_000, 0, 0],
        [2_000, 0, 0],
      ],
    );
  },
);

inWorld(t, 'reversed stays reversed, whatever its box says of the card afterwards', async (t, { world, box }) => {
  const card = await issue(world);
  const draft = topUpCard(box, card, 5_000);
  await box.ask(draft);
  await box.tell(reverse(draft));
  t.equal(said(await box.tell(complete(draft, 'cardUnknown'))), 'record.reversed');
  t.equal(said((await box.ask(voidTopUp(box, card, draft, 5_000))).answer), 'original.notVoidable');
  const paid = debit(box, card, 1_000);
  card.write(writeOf((await box.ask(paid)).answer));
  await box.tell(complete(paid));
  const back = credit(box, card, paid, 1_000);
  await box.ask(back);
  await box.tell(reverse(back));
  t.equal(said(await box.tell(complete(back, 'cardUnknown'))), 'record.reversed', 'a refund too');
  await visit(box, card);
  t.equal(card.current.balanceMinor, 28_999);
  t.same(
    [await cardBooks(world, card), await drawerBooks(world, box)],
    [{ onCard: 28_999, held: 0, due: 0 }, [0, 0, 0]],
  );
});

inWorld(t, 'a lost card is taken over only when no money of a top-up is in the air', async (t, { world, box }) => {
  const { memberCode } = must(
    await world.host.members.register({
      ...{ phone: '13800138000', name: 'Li' },
      ...{ keyId: new Uint8Array(8).fill(7), key: new Uint8Array(16).fill(7) },
    }),
  );
  const other = await world.box('other');
  const offline = await world.box('offline');
  const card = await issue(world, { memberCode });
  const takeOver = async () => {
    must(await world.host.coupons.setState(card.code, 'blocked'));
    const taken = await world.host.coupons.takeOver(card.code);
    if (!taken.ok) must(await world.host.coupons.setState(card.code, 'active'));
    return taken.ok ? taken.value.amountMinor : taken.error.code;
  };
  const refuted = topUpCard(box, card, 1_000);
  await box.ask(refuted);
  await visit(other, card);
  t.equal(await takeOver(), 'sale.busy', 'seen not to be on the card, and its box has not said how it ended');
  await box.tell(reverse(refuted));
  const doubtful = topUpCard(box, card, 2_000);
  await box.ask(doubtful);
  const debits = await bought(world, offline, card, [1, 1, 2_500]);
  await visit(other, card);
  await box.tell(complete(doubtful, 'cardUnknown'));
  t.equal(await takeOver(), 'sale.busy', 'nobody can tell whether the card has it');
  await toldAll(offline, debits);
  t.equal(await takeOver(), issuedMinor + 2_000 - 2_504);
});
