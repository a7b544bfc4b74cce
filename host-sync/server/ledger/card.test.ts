// Card-held coupons on a real store: C7(a), tearing as the host sees it, corrections, site keys, and records in any order.
// The card is a model of two slots that takes what a box writes; the test tears it by not writing or not telling.
import t from 'tap';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { transactionIdBytes } from '../../protocol/record.js';
import { Card, credit, debit, issueCard as issue, siteDebit, writeOf } from '../sim/cards.js';
import { complete, refund, reverse, undo } from '../sim/sales.js';
import { inWorld, keyed, type LooseDraft, must, newId, Phone, said, type World } from '../sim/world.js';

async function books(world: World, card: Card) {
  const view = await world.host.coupons.byCode(card.code);
  return { onCard: view?.balanceMinor, held: view?.reservedMinor, due: view?.correctionMinor };
}

inWorld(
  t,
  'C7(a): 100.00 off a 300.00 card: 200.00 is written into the other slot and posted on completion',
  async (t, { world, box }) => {
    const card = await issue(world);
    const cake = debit(box, card, 10_000);
    const { answer, session, reservedForMs } = await box.ask(cake);
    t.match(answer, {
      outcome: 'accepted',
      coveredMinor: 10_000,
      balances: { couponMinor: 20_000, couponCode: card.code },
    });
    t.ok(session);
    t.equal(reservedForMs, null, 'a card’s debit ends by what the card shows, not by a clock');
    const write = writeOf(answer);
    t.equal(write.slot, 1);
    card.write(write);
    t.match(card.current, { balanceMinor: 20_000, counter: 2, lastKind: 'debit', lastAmountMinor: 10_000 });
    t.equal(said(await box.tell(complete(cake))), 'accepted');
    t.same(await books(world, card), { onCard: 20_000, held: 0, due: 0 });
    t.equal(said((await box.ask(debit(box, card, 20_001))).answer), 'coupon.balanceTooLow');
    t.match((await box.ask(debit(box, card, 20_000))).answer, { coveredMinor: 20_000 });
  },
);

inWorld(
  t,
  'fault 47, torn before the write: the card’s next record tells, nothing is lost',
  async (t, { world, box }) => {
    const card = await issue(world);
    const torn = debit(box, card, 10_000);
    await box.ask(torn);
    await box.tell(complete(torn, 'cardUnknown'));
    t.same(await books(world, card), { onCard: 20_000, held: 10_000, due: 0 });
    const next = await box.ask(debit(box, card, 5_000));
    card.write(writeOf(next.answer));
    t.equal(card.current.balanceMinor, 25_000);
    t.same(await books(world, card), { onCard: 25_000, held: 5_000, due: 0 });
  },
);

inWorld(
  t,
  'fault 47, torn after the write and given up: the next online write gives it back',
  async (t, { world, box }) => {
    const card = await issue(world);
    const torn = debit(box, card, 10_000);
    card.write(writeOf((await box.ask(torn)).answer));
    await box.tell(complete(torn, 'cardUnknown'));
    const seen = debit(box, card, 1_000);
    const first = await box.ask(seen);
    t.match(first.answer, { outcome: 'accepted', notices: ['card.correction'], balances: { couponMinor: 29_000 } });
    card.write(writeOf(first.answer));
    t.equal(card.current.balanceMinor, 29_000);
    await box.tell(complete(seen));
    t.same(await books(world, card), { onCard: 29_000, held: 0, due: 0 });
  },
);

inWorld(t, 'the completion may come after the card was seen again, or never before it', async (t, { world, box }) => {
  const card = await issue(world);
  const other = await world.box('other');
  const first = debit(box, card, 10_000);
  card.write(writeOf((await box.ask(first)).answer));
  const second = debit(other, card, 2_000);
  card.write(writeOf((await other.ask(second)).answer));
  t.same(await books(world, card), { onCard: 18_000, held: 12_000, due: 0 });
  await other.tell(complete(second));
  await box.tell(complete(first));
  t.same(await books(world, card), { onCard: 18_000, held: 0, due: 0 });
});

inWorld(
  t,
  'a debit that the card did not show, but the box confirms later: taken from the mirror and alarmed',
  async (t, { world, box }) => {
    const card = await issue(world);
    const first = debit(box, card, 10_000);
    const write = writeOf((await box.ask(first)).answer);
    t.equal(said((await box.ask(debit(box, card, 99_999))).answer), 'coupon.balanceTooLow');
    t.same(await books(world, card), { onCard: 30_000, held: 0, due: 0 }, 'seen without the write');
    card.write(write);
    t.match(await box.tell(complete(first)), { outcome: 'accepted', notices: ['coupon.late'] });
    t.same(await books(world, card), { onCard: 20_000, held: 0, due: 0 });
    t.match((await world.host.alarms()).rows, [{ code: 'card.contradiction' }]);
    t.match((await box.ask(debit(box, card, 20_000))).answer, { outcome: 'accepted' });
  },
);

inWorld(t, 'void without the card: due to it, written by a credit or by the next debit', async (t, { world, box }) => {
  const card = await issue(world);
  const sale = debit(box, card, 10_000);
  card.write(writeOf((await box.ask(sale)).answer));
  await box.tell(complete(sale));
  t.match(await box.tell(undo(sale)), { outcome: 'accepted', coveredMinor: 10_000 });
  t.same(await books(world, card), { onCard: 20_000, held: 0, due: 10_000 });
  const back = credit(box, card, sale, 10_000);
  const { answer } = await box.ask(back);
  card.write(writeOf(answer));
  t.match(card.current, { balanceMinor: 30_000, lastKind: 'credit', lastAmountMinor: 10_000 });
  await box.tell(complete(back));
  t.same(await books(world, card), { onCard: 30_000, held: 0, due: 0 });
  t.equal(said((await box.ask(credit(box, card, sale, 10_000))).answer), 'original.notVoidable');
});

inWorld(
  t,
  'a credit refunds by itself; torn, the card’s record tells; reversed, the refund is undone',
  async (t, { world, box }) => {
    const card = await issue(world);
    const sale = debit(box, card, 10_000);
    card.write(writeOf((await box.ask(sale)).answer));
    await box.tell(complete(sale));
    const lost = credit(box, card, sale, 4_000);
    card.write(writeOf((await box.ask(lost)).answer));
    await box.tell(complete(lost, 'cardUnknown'));
    const none = credit(box, card, sale, 1_000);
    await box.ask(none);
    t.same(await books(world, card), { onCard: 24_000, held: 0, due: 1_000 });
    await box.tell(reverse(none, 'cardNotWritten'));
    t.same(await books(world, card), { onCard: 24_000, held: 0, due: 0 });
    t.equal(said((await box.ask(credit(box, card, sale, 6_001))).answer), 'refund.tooLarge');
    t.equal(said(await box.tell(refund(sale, 6_000))), 'accepted');
    t.same(await books(world, card), { onCard: 24_000, held: 0, due: 6_000 });
  },
);

inWorld(t, 'site keys: offline debits in any order of arrival balance, without risk', async (t, { world, box }) => {
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
    [2, 0, 1],
  ]) {
    const card = await issue(world);
    const boxes = [box, await world.box(), await world.box()];
    const made = [];
    for (const [index, each] of boxes.entries())
      made.push({ box: each, draft: await siteDebit(world, each, card, 1_000 * (index + 1)) });
    for (const index of order) {
      const { box: from, draft } = made[index] ?? { box, draft: made[0]?.draft };
      t.equal(said(await from.tell(draft as LooseDraft)), 'accepted');
      t.equal(said(await from.tell(complete(draft as LooseDraft))), 'accepted');
    }
    t.same(await books(world, card), { onCard: 24_000, held: 0, due: 0 }, order.join(' '));
    t.match((await box.ask(debit(box, card, 24_000))).answer, { outcome: 'accepted' }, 'the card is whole to the host');
  }
  t.notOk((await world.host.verifyLedger()).totals['risk/CNY CNY'], 'nothing is borne by the merchant');
});

inWorld(
  t,
  'a debit torn offline and told after the next one, which the card did take: that one stands, and nothing is borne',
  async (t, { world, box }) => {
    for (const end of ['cardUnknown', 'silence'] as const) {
      const card = await issue(world);
      const torn = new Card(
        card.code,
        new Phone('card', card.phone.keyId, card.phone.key, world.random),
        card.slots[0],
      );
      const offline = await world.box();
      const lost = await siteDebit(world, offline, torn, 7_000);
      card.phone.counter = 100;
      const paid = debit(box, card, 28_000);
      card.write(writeOf((await box.ask(paid)).answer));
      t.equal(said(await offline.tell(lost)), 'accepted');
      if (end === 'cardUnknown') await offline.tell(complete(lost, end));
      t.match(await box.tell(complete(paid)), { outcome: 'accepted', notices: ['coupon.late'] });
      t.same(await books(world, card), { onCard: 2_000, held: 0, due: 0 }, end);
      t.match((await box.ask(debit(box, card, 2_000))).answer, { outcome: 'accepted' }, 'the card goes on');
    }
    t.notOk((await world.host.verifyLedger()).totals['risk/CNY CNY'], 'nothing is borne by the merchant');
  },
);

inWorld(
  t,
  'fault 1: a copied card pays twice offline: the second is the merchant’s risk, alarmed',
  async (t, { world, box }) => {
    const card = await issue(world);
    const copy = new Card(card.code, new Phone('card', card.phone.keyId, card.phone.key, world.random), card.slots[0]);
    copy.phone.counter = 100;
    const other = await world.box('other');
    const first = await siteDebit(world, box, card, 10_000);
    await box.tell(first);
    await box.tell(complete(first));
    const second = await siteDebit(world, other, copy, 7_000);
    t.match(await other.tell(second), { outcome: 'accepted', coveredMinor: 7_000, notices: ['coupon.late'] });
    t.match(await other.tell(complete(second)), { outcome: 'accepted', notices: ['coupon.late', 'coupon.risk'] });
    t.match((await world.host.verifyLedger()).totals, { 'risk/CNY CNY': 7_000, 'terminal/redeemed CNY': 17_000 });
    t.match((await world.host.alarms()).rows, [{ code: 'card.conflict' }]);
  },
);

inWorld(
  t,
  'a site-key debit that was not written is reversed, and one that is not certain waits for the card',
  async (t, { world, box }) => {
    const card = await issue(world);
    const before = card.slots[1];
    const failed = await siteDebit(world, box, card, 10_000);
    card.slots[1] = before;
    await box.tell(failed);
    await box.tell(reverse(failed, 'cardNotWritten'));
    t.same(await books(world, card), { onCard: 30_000, held: 0, due: 0 });
    const unsure = await siteDebit(world, box, card, 4_000);
    await box.tell(unsure);
    await box.tell(complete(unsure, 'cardUnknown'));
    t.same(await books(world, card), { onCard: 26_000, held: 4_000, due: 0 });
    const seen = await box.ask(debit(box, card, 1_000));
    t.match(seen.answer, { balances: { couponMinor: 29_000 } }, 'it was written, and comes back with this write');
  },
);

inWorld(
  t,
  'refused: an old record, a changed one, another card’s, a host-held coupon’s card, an expired one',
  async (t, { world, box }) => {
    const card = await issue(world);
    const old = card.hex;
    const sale = debit(box, card, 10_000);
    card.write(writeOf((await box.ask(sale)).answer));
    await box.tell(complete(sale));
    t.equal(said((await box.ask({ ...debit(box, card, 100), slots: old })).answer), 'card.recordStale');
    const changed = hex(card.hex);
    changed[96 + 22] = 0xff;
    t.equal(
      said((await box.ask({ ...debit(box, card, 100), slots: toHex(changed) })).answer),
      'card.recordStale',
      'the older slot is whole',
    );
    changed[22] = 0xff;
    t.equal(said((await box.ask({ ...debit(box, card, 100), slots: toHex(changed) })).answer), 'card.recordInvalid');
    const another = await issue(world);
    t.equal(said((await box.ask({ ...debit(box, card, 100), slots: another.hex })).answer), 'card.recordInvalid');
    const short = await issue(world, { expiresAtMs: world.clock.nowMs + 5_000 });
    world.clock.nowMs += 6_000;
    t.equal(said((await box.ask(debit(box, short, 100))).answer), 'coupon.expired');
    const cakes = await issue(world, { limitCategory: 'bakery' });
    t.equal(said((await box.ask(debit(box, cakes, 100))).answer), 'coupon.notForProduct');
    t.ok((await world.host.alarms()).rows.every((alarm) => alarm.code === 'card.recordStale'));
    const byCode = {
      kind: 'couponDeduct',
      reference: null,
      bill: keyed(100),
      credential: { method: 'couponCode', code: card.code },
      couponCode: null,
      partial: false,
    } as const;
    t.equal(said((await box.ask(byCode)).answer), 'coupon.wrongHolder', 'only one holder, ever');
  },
);

inWorld(t, 'a session for reading the card is given without using the tap up', async (t, { world, box }) => {
  const card = await issue(world);
  const sale = debit(box, card, 10_000);
  if (sale.credential.method !== 'tap') throw new Error('a tap');
  const { method: _method, ...tap } = sale.credential;
  const context = toHex(
    concat(
      transactionIdBytes(sale.transactionId ?? newId()),
      hex(box.terminalId.slice(2)),
      Uint8Array.of(0x44),
      hex('000000002710'),
      Buffer.from('CNY'),
      new Uint8Array(8),
    ),
  );
  const opened = must(await world.host.openSession(box.terminalId, { ...tap, context }));
  t.match(opened, { outcome: 'granted' });
  const asked = await box.ask(sale);
  t.equal(said(asked.answer), 'accepted');
  t.same(opened.outcome === 'granted' && opened.session, asked.session);
  t.match(
    must(await world.host.openSession(box.terminalId, { ...tap, context })),
    { outcome: 'granted' },
    'the same transaction may read again',
  );
  const other = await world.box('other');
  t.match(must(await world.host.openSession(other.terminalId, { ...tap, context })), { code: 'credential.wrongProof' });
});

inWorld(
  t,
  'a debit that the card was seen without, and took after all, takes what was due along',
  async (t, { world, box }) => {
    const card = await issue(world);
    const lost = debit(box, card, 1_000);
    card.write(writeOf((await box.ask(lost)).answer));
    await box.tell(complete(lost, 'cardUnknown'));
    const late = debit(box, card, 5_000);
    const seenBefore = box.record(late);
    const paying = debit(box, card, 2_000);
    card.write(writeOf((await box.ask(paying)).answer));
    t.equal(card.current.balanceMinor, 28_000, 'what the lost one took is back');
    t.equal(said((await box.send(seenBefore)).answers[0]), 'accepted', 'it shows the card as it was before the write');
    await box.tell(reverse(late));
    await box.tell(complete(paying));
    t.same(await books(world, card), { onCard: 28_000, held: 0, due: 0 });
    t.match((await box.ask(debit(box, card, 28_000))).answer, { outcome: 'accepted' }, 'the card still pays');
  },
);

inWorld(
  t,
  'a refund without a final word never rides on another write: reversed, it is gone; tried again, it is made once',
  async (t, { world, box }) => {
    const card = await issue(world);
    const other = await world.box('other');
    const sale = debit(box, card, 10_000);
    card.write(writeOf((await box.ask(sale)).answer));
    await box.tell(complete(sale));
    const unheard = credit(box, card, sale, 4_000);
    await box.ask(unheard);
    const elsewhere = debit(other, card, 1_000);
    card.write(writeOf((await other.ask(elsewhere)).answer));
    await other.tell(complete(elsewhere));
    t.equal(card.current.balanceMinor, 19_000, 'the clerk was told that nothing was refunded');
    t.equal(said(await box.tell(reverse(unheard))), 'accepted');
    t.same(await books(world, card), { onCard: 19_000, held: 0, due: 0 });
    const again = credit(box, card, sale, 10_000);
    card.write(writeOf((await box.ask(again)).answer));
    await box.tell(complete(again));
    t.same(await books(world, card), { onCard: 29_000, held: 0, due: 0 });
    t.notOk((await world.host.verifyLedger()).totals['risk/CNY CNY']);
  },
);

inWorld(t, 'a part given back, the card lost at it, and tried again: given once', async (t, { world, box }) => {
  for (const isWritten of [true, false]) {
    const card = await issue(world);
    const sale = debit(box, card, 10_000);
    card.write(writeOf((await box.ask(sale)).answer));
    await box.tell(complete(sale));
    const lost = credit(box, card, sale, 4_000);
    const write = writeOf((await box.ask(lost)).answer);
    if (isWritten) card.write(write);
    await box.tell(complete(lost, 'cardUnknown'));
    const again = credit(box, card, sale, 4_000);
    const { answer } = await box.ask(again);
    t.equal(said(answer), isWritten ? 'refund.tooLarge' : 'accepted');
    if (answer.outcome === 'accepted') {
      card.write(answer.write);
      await box.tell(complete(again));
    }
    t.equal(card.current.balanceMinor, 24_000);
    t.same(await books(world, card), { onCard: 24_000, held: 0, due: 0 });
  }
});

inWorld(t, 'site keys: a tap torn away before its write is worth nothing to anybody', async (t, { world, box }) => {
  const card = await issue(world);
  const tellAll = async (...drafts: readonly LooseDraft[]): Promise<void> => {
    for (const draft of drafts) t.equal(said(await box.tell(draft)), 'accepted');
  };
  const before = card.slots[1];
  const torn = await siteDebit(world, box, card, 10_000);
  card.slots[1] = before;
  const paid = await siteDebit(world, box, card, 2_000);
  const other = await world.box('other');
  const online = debit(other, card, 1_000);
  card.write(writeOf((await other.ask(online)).answer));
  await other.tell(complete(online));
  await tellAll(torn, complete(torn, 'cardUnknown'), paid, complete(paid));
  t.same(await books(world, card), { onCard: 27_000, held: 0, due: 0 }, 'nothing was taken, so nothing comes back');
  t.notOk((await world.host.verifyLedger()).totals['risk/CNY CNY']);
});

inWorld(t, 'a lost write that only a later reading shows comes back to the member', async (t, { world, box }) => {
  const card = await issue(world);
  const lost = debit(box, card, 2_000);
  card.write(writeOf((await box.ask(lost)).answer));
  const offline = [await siteDebit(world, box, card, 3_000), await siteDebit(world, box, card, 4_000)];
  const other = await world.box('other');
  const online = debit(other, card, 1_000);
  card.write(writeOf((await other.ask(online)).answer));
  await other.tell(complete(online));
  await box.tell(complete(lost, 'cardUnknown'));
  for (const draft of offline) {
    await box.tell(draft);
    await box.tell(complete(draft));
  }
  t.same(await books(world, card), { onCard: 20_000, held: 0, due: 2_000 });
  t.notOk((await world.host.verifyLedger()).totals['risk/CNY CNY']);
});
