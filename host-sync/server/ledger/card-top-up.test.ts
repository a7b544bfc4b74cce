// Top-ups of card-held coupons on a real store: money that is paid in reaches the card once or goes back, wherever card, box
// and host lose each other, and so does its void. The card is a model of two slots that takes what a box writes; the test
// tears it by not writing or not telling, and counts drawer, card and ledger to the minor unit after each ending.
import t from 'tap';
import {
  type Card,
  cardBooks,
  debit,
  drawerBooks,
  issueCard as issue,
  siteDebit,
  topUpCard,
  visit,
  voidTopUp,
  writeOf,
} from '../sim/cards.js';
import { complete, reverse, undo } from '../sim/sales.js';
import { type Box, inWorld, type LooseDraft, must, said } from '../sim/world.js';

const issuedMinor = 30_000;

/** Topped up, written and told. */
async function paidIn(box: Box, card: Card, amountMinor: number): Promise<LooseDraft> {
  const draft = topUpCard(box, card, amountMinor);
  card.write(writeOf((await box.ask(draft)).answer));
  await box.tell(complete(draft));
  return draft;
}

inWorld(
  t,
  'paid in, written, posted once; voided, taken from the card and paid back once',
  async (t, { world, box }) => {
    const card = await issue(world);
    const draft = topUpCard(box, card, 5_000);
    const { answer, reservedForMs } = await box.ask(draft);
    t.match(answer, { outcome: 'accepted', coveredMinor: 5_000, balances: { couponMinor: 35_000 } });
    t.equal(reservedForMs, null);
    card.write(writeOf(answer));
    t.match(card.current, { balanceMinor: 35_000, counter: 2, lastKind: 'credit', lastAmountMinor: 5_000 });
    for (const _ of [1, 2]) t.equal(said(await box.tell(complete(draft))), 'accepted');
    t.same(
      [await cardBooks(world, card), await drawerBooks(world, box)],
      [{ onCard: 35_000, held: 0, due: 0 }, [5_000, 0, 0]],
    );
    t.equal(said((await box.ask(voidTopUp(box, card, draft, 4_999))).answer), 'refund.tooLarge', 'whole or not at all');
    t.equal(said(await box.tell(undo(draft))), 'original.notVoidable', 'a plain void does not undo a top-up');
    const back = voidTopUp(box, card, draft, 5_000);
    const voided = await box.ask(back);
    t.match(voided.answer, { outcome: 'accepted', coveredMinor: 5_000, balances: { couponMinor: 30_000 } });
    card.write(writeOf(voided.answer));
    t.match(card.current, { balanceMinor: 30_000, lastKind: 'debit', lastAmountMinor: 5_000 });
    for (const _ of [1, 2]) t.equal(said(await box.tell(complete(back))), 'accepted');
    t.same(
      [await cardBooks(world, card), await drawerBooks(world, box)],
      [{ onCard: 30_000, held: 0, due: 0 }, [5_000, 5_000, 0]],
    );
    t.equal(said((await box.ask(voidTopUp(box, card, draft, 5_000))).answer), 'original.notVoidable', 'once');
    t.match((await box.ask(debit(box, card, 30_000))).answer, { outcome: 'accepted' });
  },
);

/** Was the record written, what did the box say of it, and when: before or after the card was seen at another box? */
const endings = (['written', 'torn'] as const).flatMap((write) =>
  (['accepted', 'cardUnknown', 'reversal'] as const).flatMap((word) =>
    // A box accepts only what the card has confirmed under their session's MAC.
    write === 'torn' && word === 'accepted' ? [] : (['first', 'after'] as const).map((told) => ({ write, word, told })),
  ),
);
const sayIt = (draft: LooseDraft, word: (typeof endings)[number]['word']): LooseDraft =>
  word === 'reversal' ? reverse(draft) : complete(draft, word);

for (const { write, word, told } of endings) {
  // A box that reverses has written nothing, unless it was set back since.
  const isSetBack = write === 'written' && word === 'reversal';
  inWorld(t, `a top-up ${write}, told ${word} ${told}: drawer and card agree`, async (t, { world, box }) => {
    const card = await issue(world);
    const other = await world.box('other');
    const draft = topUpCard(box, card, 5_000);
    const { answer } = await box.ask(draft);
    if (write === 'written') card.write(writeOf(answer));
    if (told === 'first') t.equal(said(await box.tell(sayIt(draft, word))), 'accepted');
    await visit(other, card);
    if (told === 'after') t.equal(said(await box.tell(sayIt(draft, word))), 'accepted');
    for (const _ of [1, 2]) await visit(other, card);
    const [takenMinor = 0, paidBackMinor, riskMinor = 0] = await drawerBooks(world, box);
    const known = await cardBooks(world, card);
    t.match(known, { held: 0, due: 0 }, 'nothing is left in the air');
    t.equal(known.onCard, card.current.balanceMinor);
    t.equal(takenMinor, word === 'reversal' ? 0 : 5_000, 'the drawer has what its box says');
    t.equal(paidBackMinor, 0);
    const givenMinor = card.current.balanceMinor - issuedMinor + 3;
    t.equal(givenMinor, isSetBack ? 5_000 : takenMinor, 'the member has it on the card');
    t.equal(riskMinor, givenMinor - takenMinor, 'a box that was set back gave the money back: the merchant bears it');
  });

  inWorld(t, `a void ${write}, told ${word} ${told}: paid back or still on the card`, async (t, { world, box }) => {
    const card = await issue(world);
    const other = await world.box('other');
    const draft = await paidIn(box, card, 5_000);
    const back = voidTopUp(box, card, draft, 5_000);
    const { answer } = await box.ask(back);
    t.equal(said((await box.ask(undo(draft))).answer), 'original.notVoidable');
    if (write === 'written') card.write(writeOf(answer));
    if (told === 'first') t.equal(said(await box.tell(sayIt(back, word))), 'accepted');
    await visit(other, card);
    if (told === 'after') t.equal(said(await box.tell(sayIt(back, word))), 'accepted');
    for (const _ of [1, 2]) await visit(other, card);
    const [takenMinor, paidBackMinor = 0, riskMinor] = await drawerBooks(world, box);
    const known = await cardBooks(world, card);
    t.match(known, { held: 0, due: 0 });
    t.equal(takenMinor, 5_000);
    t.equal(paidBackMinor, word === 'accepted' ? 5_000 : 0, 'paid back where the box says so');
    t.equal(known.onCard, card.current.balanceMinor);
    t.equal(card.current.balanceMinor, issuedMinor + 5_000 - 3 - paidBackMinor);
    t.equal(riskMinor, 0);
    const again = voidTopUp(box, card, draft, 5_000);
    t.equal(said((await box.ask(again)).answer), word === 'accepted' ? 'original.notVoidable' : 'accepted');
  });
}

inWorld(
  t,
  'a top-up without a final word rides on no other write: reversed, it is gone; lost, it is there once',
  async (t, { world, box }) => {
    for (const word of ['reversal', 'cardUnknown'] as const) {
      const card = await issue(world);
      const draft = topUpCard(box, card, 5_000);
      await box.ask(draft);
      t.match(await cardBooks(world, card), { due: 5_000 });
      const next = debit(box, card, 1_000);
      const paying = await box.ask(next);
      t.match(paying.answer, { balances: { couponMinor: 29_000 }, notices: [] }, 'not along with another');
      await box.tell(sayIt(draft, word));
      card.write(writeOf(paying.answer));
      await box.tell(complete(next));
      await visit(box, card);
      t.equal(card.current.balanceMinor, 28_999 + (word === 'cardUnknown' ? 5_000 : 0));
    }
    t.same(await drawerBooks(world, box), [5_000, 0, 0]);
  },
);

inWorld(t, 'a card lost at its top-up: voided before it ever reached the card', async (t, { world, box }) => {
  // On the card less than was paid in: a part of the void comes out of what is due.
  const card = await issue(world, { amountMinor: 2_000 });
  const draft = topUpCard(box, card, 5_000);
  await box.ask(draft);
  await box.tell(complete(draft, 'cardUnknown'));
  const back = voidTopUp(box, card, draft, 5_000);
  const { answer } = await box.ask(back);
  t.match(answer, { coveredMinor: 5_000, balances: { couponMinor: 2_000 } });
  t.same(await cardBooks(world, card), { onCard: 0, held: 2_000, due: 5_000 });
  const early = card.slots;
  t.same(early[1], new Uint8Array(96), 'the void is the first write');
  card.write(writeOf(answer));
  await box.tell(complete(back));
  t.same(await cardBooks(world, card), { onCard: 2_000, held: 0, due: 0 });
  t.same(await drawerBooks(world, box), [5_000, 5_000, 0]);

  const torn = topUpCard(box, card, 5_000);
  await box.ask(torn);
  await box.tell(complete(torn, 'cardUnknown'));
  const lost = voidTopUp(box, card, torn, 5_000);
  card.write(writeOf((await box.ask(lost)).answer));
  await box.tell(complete(lost, 'cardUnknown'));
  await visit(box, card);
  t.equal(card.current.balanceMinor, 6_999, 'a void that lost the card too: the top-up stands, and is on the card');
  t.same(await cardBooks(world, card), { onCard: 6_999, held: 0, due: 0 });
  t.same(await drawerBooks(world, box), [10_000, 5_000, 0]);
});

inWorld(t, 'spent: the void is refused whole, with what there is', async (t, { world, box }) => {
  const card = await issue(world, { amountMinor: 1_000 });
  const draft = await paidIn(box, card, 5_000);
  const sale = debit(box, card, 1_001);
  card.write(writeOf((await box.ask(sale)).answer));
  await box.tell(complete(sale));
  t.match((await box.ask(voidTopUp(box, card, draft, 5_000))).answer, {
    ...{ outcome: 'refused', code: 'coupon.topUpSpent', balances: { couponMinor: 4_999 } },
  });
  t.same(await cardBooks(world, card), { onCard: 4_999, held: 0, due: 0 });
  // What is due to the card counts as well.
  await box.tell(undo(sale));
  t.match((await box.ask(voidTopUp(box, card, draft, 5_000))).answer, { outcome: 'accepted', coveredMinor: 5_000 });
});

inWorld(t, 'spent without the host, told later: the void still takes only what is there', async (t, { world, box }) => {
  const card = await issue(world, { amountMinor: 1_000 });
  const draft = await paidIn(box, card, 5_000);
  const offline = await world.box('offline');
  const bought = await siteDebit(world, offline, card, 3_000);
  t.equal(said((await box.ask(voidTopUp(box, card, draft, 5_000))).answer), 'coupon.topUpSpent');
  t.equal(said(await offline.tell(bought)), 'accepted');
  t.equal(said(await offline.tell(complete(bought))), 'accepted');
  t.same(await cardBooks(world, card), { onCard: 3_000, held: 0, due: 0 });
});

inWorld(
  t,
  'told only when the card has gone on: due once its box says so, or gone by a reversal',
  async (t, { world, box }) => {
    for (const word of ['cardUnknown', 'reversal'] as const) {
      const card = await issue(world);
      const other = await world.box('other');
      const draft = topUpCard(box, card, 5_000);
      const asked = box.record(draft);
      await visit(other, card);
      t.equal(said((await box.send(asked)).answers[0]), 'accepted', 'in a batch: nobody waits for a write');
      await visit(other, card);
      t.equal(card.current.balanceMinor, issuedMinor - 2, 'not along with another before its box has spoken');
      t.equal(said(await box.tell(sayIt(draft, word))), 'accepted');
      await visit(other, card);
      await visit(other, card);
      t.equal(card.current.balanceMinor, issuedMinor - 4 + (word === 'cardUnknown' ? 5_000 : 0), word);
      t.same(await cardBooks(world, card), { onCard: card.current.balanceMinor, held: 0, due: 0 });
    }
    t.same(await drawerBooks(world, box), [5_000, 0, 0]);
    const card = await issue(world);
    const late = topUpCard(box, card, 5_000);
    await visit(await world.box('third'), card);
    t.equal(said((await box.ask(late)).answer), 'card.recordStale', 'a box that waits gives the money back');
    t.same(await drawerBooks(world, box), [5_000, 0, 0]);
  },
);

inWorld(
  t,
  'refused: none, too much, too full, blocked, expired, another card, another currency',
  async (t, { world, box }) => {
    const card = await issue(world);
    const ask = async (draft: LooseDraft) => said((await box.ask(draft)).answer);
    t.equal(await ask(topUpCard(box, card, 100_001)), 'coupon.noTopUp');
    must(await world.host.rules.setPolicy({ topUpBalanceMaxMinor: 32_000 }));
    t.equal(await ask(topUpCard(box, card, 2_001)), 'coupon.noTopUp', 'more than a coupon holds');
    const lost = topUpCard(box, card, 1_500);
    t.equal(await ask(lost), 'accepted');
    await box.tell(complete(lost, 'cardUnknown'));
    t.equal(await ask(topUpCard(box, card, 501)), 'coupon.noTopUp', 'what is due to the card counts');
    t.equal(await ask(topUpCard(box, card, 500)), 'accepted');
    must(await world.host.rules.setPolicy({ topUpMaxMinor: 0 }));
    t.equal(await ask(topUpCard(box, card, 1)), 'coupon.noTopUp');
    must(await world.host.rules.setPolicy({ topUpMaxMinor: 5_000, topUpBalanceMaxMinor: 50_000 }));
    t.equal(await ask({ ...topUpCard(box, card, 1), currency: 'EUR' } as LooseDraft), 'credential.wrongProof');
    const another = await issue(world);
    const draft = await paidIn(box, card, 1_000);
    t.equal(await ask(voidTopUp(box, another, draft, 1_000)), 'original.unknown', 'its own card has to be there');
    const bought = debit(box, card, 100);
    card.write(writeOf((await box.ask(bought)).answer));
    t.equal(await ask(voidTopUp(box, card, bought, 100)), 'original.notVoidable');
    const byCode = { ...topUpCard(box, card, 1), credential: { method: 'couponCode', code: card.code } } as LooseDraft;
    t.equal(await ask(byCode), 'credential.tooWeak');
    const short = await issue(world, { expiresAtMs: world.clock.nowMs + 5_000 });
    const paid = await paidIn(box, short, 1_000);
    world.clock.nowMs += 6_000;
    t.equal(await ask(topUpCard(box, short, 1)), 'coupon.expired');
    t.equal(await ask(voidTopUp(box, short, paid, 1_000)), 'coupon.expired', 'not that it was spent');
    must(await world.host.coupons.setState(card.code, 'blocked'));
    t.equal(await ask(topUpCard(box, card, 1)), 'credential.blocked');
    t.equal(await ask(voidTopUp(box, card, draft, 1_000)), 'credential.blocked');
  },
);

inWorld(
  t,
  'a void elsewhere: at another till once it is confirmed, at another merchant never',
  async (t, { world, box }) => {
    const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
    must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, keys));
    const cafe = await world.box('cafe till', 'CAFE');
    const other = await world.box('other till');
    const card = await issue(world);
    t.equal(said((await cafe.ask(topUpCard(cafe, card, 1_000))).answer), 'coupon.unknown');
    const draft = topUpCard(box, card, 1_000);
    card.write(writeOf((await box.ask(draft)).answer));
    t.equal(said((await other.ask(voidTopUp(other, card, draft, 1_000))).answer), 'original.notVoidable');
    await box.tell(complete(draft));
    t.equal(said((await cafe.ask(voidTopUp(cafe, card, draft, 1_000))).answer), 'original.unknown');
    const back = voidTopUp(other, card, draft, 1_000);
    card.write(writeOf((await other.ask(back)).answer));
    await other.tell(complete(back));
    t.same(
      [await drawerBooks(world, box), await drawerBooks(world, other)],
      [
        [1_000, 0, 0],
        [0, 1_000, 0],
      ],
    );
    t.same(await cardBooks(world, card), { onCard: issuedMinor, held: 0, due: 0 });
  },
);

inWorld(t, 'its own box voids a top-up before its word on it has come', async (t, { world, box }) => {
  for (const write of ['written', 'torn'] as const) {
    const card = await issue(world);
    const draft = topUpCard(box, card, 1_000);
    const { answer } = await box.ask(draft);
    if (write === 'written') card.write(writeOf(answer));
    const back = voidTopUp(box, card, draft, 1_000);
    const voided = await box.ask(back);
    t.match(voided.answer, { outcome: 'accepted', balances: { couponMinor: issuedMinor } }, write);
    card.write(writeOf(voided.answer));
    await box.tell(complete(draft, write === 'written' ? 'accepted' : 'cardUnknown'));
    await box.tell(complete(back));
    t.same(await cardBooks(world, card), { onCard: issuedMinor, held: 0, due: 0 });
    t.equal(card.current.balanceMinor, issuedMinor);
  }
  t.same(await drawerBooks(world, box), [2_000, 2_000, 0]);
});

inWorld(
  t,
  'a lost card is taken over with what was paid in for it, once the box has said so',
  async (t, { world, box }) => {
    const { memberCode } = must(
      await world.host.members.register({
        ...{ phone: '13800138000', name: 'Li' },
        ...{ keyId: new Uint8Array(8).fill(7), key: new Uint8Array(16).fill(7) },
      }),
    );
    const card = await issue(world, { memberCode });
    const draft = topUpCard(box, card, 1_000);
    await box.ask(draft);
    must(await world.host.coupons.setState(card.code, 'blocked'));
    t.match(await world.host.coupons.takeOver(card.code), { ok: false, error: { code: 'sale.busy' } });
    await box.tell(complete(draft, 'cardUnknown'));
    t.match(await world.host.coupons.takeOver(card.code), { ok: true, value: { amountMinor: issuedMinor + 1_000 } });
    t.same(await drawerBooks(world, box), [1_000, 0, 0]);
  },
);
