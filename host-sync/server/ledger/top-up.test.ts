// Top-ups of host-held coupons on a real store: who is meant, the merchant's limits, every end of what is held, and the void,
// which pays the whole back or nothing. Drives the host's terminal-facing calls.
import t from 'tap';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import type { Credential, RecordOf } from '../../protocol/record.js';
import { complete, deduct, reverse, undo } from '../sim/sales.js';
import { type Box, inWorld, keyed, type LooseDraft, must, newId, said, signerOf, type World } from '../sim/world.js';
import { riskBorne } from './accounts.js';

const topUp = (
  credential: Credential | ((transactionId: RecordOf<'topUp'>['transactionId']) => Credential),
  amountMinor: number,
  coupon: string | null = null,
): LooseDraft => {
  const transactionId = newId();
  return {
    kind: 'topUp',
    transactionId,
    reference: null,
    credential: typeof credential === 'function' ? credential(transactionId) : credential,
    coupon,
    currency: 'CNY',
    amountMinor,
  };
};
const payBack = (of: LooseDraft, amountMinor: number): LooseDraft => ({
  kind: 'topUpVoid',
  transactionId: newId(),
  reference: null,
  original: of.transactionId ?? newId(),
  amountMinor,
});

async function opened(world: World, amountMinor = 10_000) {
  const phone = await world.phone('13800138000');
  const issue = async () =>
    must(
      await world.host.coupons.issue({
        ...{ holder: 'host', memberCode: phone.memberCode, currency: 'CNY', amountMinor, expiresAtMs: null },
      }),
    ).code;
  const code = await issue();
  const left = async () => {
    const view = await world.host.coupons.byCode(code);
    return [view?.balanceMinor, view?.reservedMinor];
  };
  /** What the terminal's till took and paid back by the books. */
  const till = async (box: Box) =>
    world.store.read(
      (need) => {
        for (const what of ['funded', 'paidBack']) need.get('account', `terminal/${box.terminalId}/${what}/CNY`);
      },
      (facts) =>
        ['funded', 'paidBack'].map(
          (what) => facts.get('account', `terminal/${box.terminalId}/${what}/CNY`)?.balance ?? 0,
        ),
    );
  const member: Credential = { method: 'memberCode', code: phone.memberCode };
  return { phone, issue, code, left, till, member };
}

inWorld(
  t,
  'paid in once: held until the box confirms it, then there, however often it is said',
  async (t, { world, box }) => {
    const { code, left, member, till } = await opened(world);
    const asked = box.record(topUp(member, 5_000));
    const first = must(await world.host.authorise(box.terminalId, { record: asked, newestSeen: [] }));
    t.match(first.answer, {
      outcome: 'accepted',
      coveredMinor: 5_000,
      balances: { couponMinor: 15_000, couponCode: null, currency: 'CNY' },
    });
    t.same(await left(), [10_000, 5_000]);
    const again = must(await world.host.authorise(box.terminalId, { record: asked, newestSeen: [] }));
    t.same(again.answer, first.answer, 'the same bytes get the same answer');
    t.same(await left(), [10_000, 5_000]);
    t.equal(
      said((await box.ask(deduct(box, { code }, keyed(10_001)))).answer),
      'coupon.balanceTooLow',
      'not spendable yet',
    );
    const original = JSON.parse(asked.body) as LooseDraft;
    t.equal(said(await box.tell(complete(original))), 'accepted');
    t.equal(said(await box.tell(complete(original))), 'accepted');
    t.same(await left(), [15_000, 0]);
    t.same(await till(box), [5_000, 0]);
    t.match((await box.ask(deduct(box, { code }, keyed(15_000)))).answer, { coveredMinor: 15_000 });
  },
);

inWorld(
  t,
  'which coupon: the only one, the one shown, the one named; else the refusal lists them',
  async (t, { world, box }) => {
    const { code, issue, member, phone } = await opened(world);
    const tap = (id: RecordOf<'topUp'>['transactionId']): Credential => phone.tap(box, id, 'topUp', 1_000);
    t.match((await box.ask(topUp(tap, 1_000))).answer, { outcome: 'accepted', balances: { couponCode: code } });
    const second = await issue();
    const { answer } = await box.ask(topUp(member, 1_000));
    t.match(answer, {
      outcome: 'refused',
      code: 'coupon.ambiguous',
      balances: { couponMinor: null, couponCode: null },
    });
    const detail = answer.outcome === 'refused' ? answer.detail : '';
    t.ok(detail.includes(code.slice(-4)) && detail.includes(second.slice(-4)));
    t.notOk(detail.includes('SLC'), 'a code would bear its coupon');
    for (const named of [second, second.slice(-4)])
      t.match((await box.ask(topUp(member, 1_000, named))).answer, { outcome: 'accepted' }, named);
    t.match((await box.ask(topUp({ method: 'couponCode', code: second }, 1_000))).answer, {
      balances: { couponCode: second },
    });
    t.equal(said((await box.ask(topUp({ method: 'couponCode', code: second }, 1_000, code))).answer), 'coupon.unknown');
    const other = await world.phone('13800138001');
    const foreign: Credential = { method: 'memberCode', code: other.memberCode };
    t.equal(said((await box.ask(topUp(foreign, 1_000, code))).answer), 'coupon.unknown', 'of another member');
    t.equal(said((await box.ask(topUp(foreign, 1_000))).answer), 'coupon.unknown', 'a member without one');
  },
);

inWorld(
  t,
  'what is refused: off, too much, nobody’s, on a card, expired, another currency',
  async (t, { world, box }) => {
    const { left, member } = await opened(world);
    const ask = async (draft: LooseDraft) => said((await box.ask(draft)).answer);
    t.equal(await ask(topUp(member, 100_001)), 'coupon.noTopUp', 'more than one top-up pays in');
    must(await world.host.rules.setPolicy({ topUpMaxMinor: amountMinorMax, topUpBalanceMaxMinor: 12_000 }));
    t.equal(await ask(topUp(member, 2_001)), 'coupon.noTopUp', 'more than a coupon holds');
    const held = topUp(member, 1_500);
    t.equal(await ask(held), 'accepted');
    t.equal(await ask(topUp(member, 501)), 'coupon.noTopUp', 'what is held counts');
    t.equal(await ask(topUp(member, 500)), 'accepted');
    must(await world.host.rules.setPolicy({ topUpMaxMinor: 0 }));
    t.equal(await ask(topUp(member, 1)), 'coupon.noTopUp');
    must(await world.host.rules.setPolicy({ topUpMaxMinor: 5_000, topUpBalanceMaxMinor: 50_000 }));
    t.equal(await ask({ ...topUp(member, 1), currency: 'EUR' } as LooseDraft), 'coupon.noTopUp');
    const bearer = must(
      await world.host.coupons.issue({
        ...{ holder: 'host', memberCode: null, currency: 'CNY', amountMinor: 100, expiresAtMs: null },
      }),
    ).code;
    t.equal(await ask(topUp({ method: 'couponCode', code: bearer }, 1)), 'coupon.noTopUp');
    const card = must(
      await world.host.coupons.issue({
        ...{ holder: 'card', memberCode: null, currency: 'CNY', amountMinor: 100, expiresAtMs: null },
      }),
    ).code;
    t.equal(await ask(topUp({ method: 'couponCode', code: card }, 1)), 'coupon.wrongHolder');
    const ended = must(
      await world.host.coupons.issue({
        ...{
          holder: 'host',
          memberCode: null,
          currency: 'CNY',
          amountMinor: 100,
          expiresAtMs: world.clock.nowMs + 1_000,
        },
        ...(member.method === 'memberCode' && { memberCode: member.code }),
      }),
    ).code;
    world.clock.nowMs += 1_001;
    t.equal(await ask(topUp(member, 1, ended)), 'coupon.expired', 'a top-up lengthens no life');
    t.equal(await ask(topUp(member, 1)), 'accepted', 'nor is an expired coupon one of several');
    t.same(await left(), [10_000, 2_001], 'nothing else moved');
  },
);

inWorld(
  t,
  'fault 18: no answer, reversed first, in either order; a late completion is refused',
  async (t, { world, box }) => {
    const { left, member, till } = await opened(world);
    const seen = topUp(member, 5_000);
    await box.ask(seen);
    t.equal(said(await box.tell(reverse(seen))), 'accepted');
    t.same(
      [await left(), await till(box)],
      [
        [10_000, 0],
        [0, 0],
      ],
    );
    t.equal(said(await box.tell(complete(seen))), 'record.reversed');
    const overtaken = topUp(member, 5_000);
    t.equal(said(await box.tell(reverse(overtaken))), 'accepted');
    t.equal(said(await box.tell(overtaken)), 'record.reversed');
    t.same(
      [await left(), await till(box)],
      [
        [10_000, 0],
        [0, 0],
      ],
    );
  },
);

inWorld(t, 'a box that says so late still has the money: the coupon gets its value', async (t, { world, box }) => {
  const { left, member, till } = await opened(world);
  const late = topUp(member, 5_000);
  await box.ask(late);
  world.clock.nowMs += 11 * 60_000;
  await world.host.expire();
  t.same(
    [await left(), await till(box)],
    [
      [10_000, 0],
      [0, 0],
    ],
    'held for ten minutes',
  );
  t.match(await box.tell(complete(late)), { outcome: 'accepted', notices: ['coupon.late'] });
  t.same(
    [await left(), await till(box)],
    [
      [15_000, 0],
      [5_000, 0],
    ],
  );
});

inWorld(t, 'the void pays all back, once, also before the completion has come', async (t, { world, box }) => {
  const { left, member, till } = await opened(world);
  const paidIn = topUp(member, 5_000);
  await box.ask(paidIn);
  t.equal(said((await box.ask(payBack(paidIn, 5_001))).answer), 'refund.tooLarge', 'fault 16: larger');
  const back = payBack(paidIn, 5_000);
  t.match((await box.ask(back)).answer, {
    outcome: 'accepted',
    coveredMinor: 5_000,
    balances: { couponMinor: 10_000 },
  });
  t.equal(said((await box.ask(payBack(paidIn, 5_000))).answer), 'original.notVoidable', 'fault 16: twice');
  t.equal(said(await box.tell(complete(paidIn))), 'accepted');
  t.equal(said(await box.tell(complete(back))), 'accepted');
  t.same(
    [await left(), await till(box)],
    [
      [10_000, 0],
      [5_000, 5_000],
    ],
  );
  t.equal(said((await box.ask(payBack(paidIn, 5_000))).answer), 'original.notVoidable');
  t.equal(said(await box.tell(undo(paidIn))), 'original.notVoidable', 'a plain void does not undo a top-up');
});

inWorld(t, 'a void that the coupon does not cover is refused whole', async (t, { world, box }) => {
  const { code, left, member, till } = await opened(world);
  const paidIn = topUp(member, 5_000);
  await box.ask(paidIn);
  await box.tell(complete(paidIn));
  const bought = deduct(box, { code }, keyed(10_001));
  await box.ask(bought);
  t.match((await box.ask(payBack(paidIn, 5_000))).answer, {
    outcome: 'refused',
    code: 'coupon.topUpSpent',
    balances: { couponMinor: 4_999 },
  });
  await box.tell(complete(bought));
  t.same(
    [await left(), await till(box)],
    [
      [4_999, 0],
      [5_000, 0],
    ],
  );
  t.equal(said((await box.ask(topUp(member, 1))).answer), 'accepted');
});

inWorld(
  t,
  'a void without an answer is reversed: the top-up stands, and can be voided again',
  async (t, { world, box }) => {
    const { left, member, till } = await opened(world);
    const paidIn = topUp(member, 5_000);
    await box.ask(paidIn);
    await box.tell(complete(paidIn));
    const silent = payBack(paidIn, 5_000);
    await box.ask(silent);
    t.same(await left(), [10_000, 5_000]);
    t.equal(said(await box.tell(reverse(silent))), 'accepted');
    t.equal(said(await box.tell(complete(silent))), 'record.reversed');
    t.same(
      [await left(), await till(box)],
      [
        [15_000, 0],
        [5_000, 0],
      ],
    );
    const slow = payBack(paidIn, 5_000);
    await box.ask(slow);
    world.clock.nowMs += 11 * 60_000;
    await world.host.expire();
    t.same(await left(), [15_000, 0]);
    t.match(await box.tell(complete(slow)), { outcome: 'accepted', notices: ['coupon.late'] });
    t.same(
      [await left(), await till(box)],
      [
        [10_000, 0],
        [5_000, 5_000],
      ],
    );
  },
);

inWorld(t, 'an empty coupon is topped up and pays again', async (t, { world, box }) => {
  const { code, left, member, phone } = await opened(world);
  const all = deduct(box, { code }, keyed(10_000));
  await box.ask(all);
  await box.tell(complete(all));
  const paidIn = topUp(member, 5_000);
  t.equal(said((await box.ask(paidIn)).answer), 'accepted');
  await box.tell(complete(paidIn));
  t.same(await left(), [5_000, 0]);
  t.match((await box.ask(deduct(box, phone, keyed(5_000)))).answer, { coveredMinor: 5_000 }, 'found by its member');
});

async function atTwoMerchants(world: World) {
  const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
  must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, keys));
  return world.box('cafe till', 'CAFE');
}

inWorld(t, 'money in one merchant’s drawer is for no coupon of another’s', async (t, { world, box }) => {
  const cafe = await atTwoMerchants(world);
  const { code, left, member, phone, till } = await opened(world);
  const named = code.slice(-4);
  const credentials: readonly Credential[] = [
    member,
    { method: 'couponCode', code },
    { method: 'phoneNumber', number: '13800138000' },
  ];
  for (const credential of credentials)
    for (const coupon of [null, named, code])
      t.equal(said((await cafe.ask(topUp(credential, 1_000, coupon))).answer), 'coupon.unknown', credential.method);
  const tap = (id: RecordOf<'topUp'>['transactionId']): Credential => phone.tap(cafe, id, 'topUp', 1_000);
  t.equal(said((await cafe.ask(topUp(tap, 1_000))).answer), 'coupon.unknown');
  const atCafe = await world.phone('13800138000', 'CAFE');
  const { code: cafes } = must(
    await world.host.coupons.issue({
      ...{ holder: 'host', memberCode: atCafe.memberCode, currency: 'CNY', amountMinor: 500, expiresAtMs: null },
    }),
  );
  t.match(
    (await cafe.ask(topUp(tap, 1_000))).answer,
    { outcome: 'accepted', balances: { couponCode: cafes, couponMinor: 1_500 } },
    'the same person’s coupon of this merchant',
  );
  t.match((await cafe.ask(topUp({ method: 'phoneNumber', number: '13800138000' }, 1_000))).answer, {
    ...{ outcome: 'accepted', balances: { couponMinor: 1_500 } },
  });
  t.same(await left(), [10_000, 0]);
  const here = topUp(member, 2_000);
  await box.ask(here);
  for (const state of ['held', 'confirmed']) {
    t.equal(said((await cafe.ask(payBack(here, 2_000))).answer), 'original.unknown', state);
    t.equal(said(await box.tell(complete(here))), 'accepted');
  }
  t.same(
    [await left(), await till(box)],
    [
      [12_000, 0],
      [2_000, 0],
    ],
  );
});

inWorld(t, 'another till pays back only what its own till has confirmed', async (t, { world, box }) => {
  const { left, member, till } = await opened(world);
  const other = await world.box('other till');
  const paidIn = topUp(member, 2_000);
  await box.ask(paidIn);
  t.equal(said((await other.ask(payBack(paidIn, 2_000))).answer), 'original.notVoidable', 'nobody has the money yet');
  t.same(await left(), [10_000, 2_000]);
  await box.tell(complete(paidIn));
  const paid = payBack(paidIn, 2_000);
  t.equal(said((await other.ask(paid)).answer), 'accepted');
  t.equal(said(await other.tell(complete(paid))), 'accepted');
  t.same(
    [await left(), await till(box), await till(other)],
    [
      [10_000, 0],
      [2_000, 0],
      [0, 2_000],
    ],
  );
});

inWorld(t, 'a top-up reversed while its void holds it leaves nobody more than there was', async (t, { world, box }) => {
  const { code, left, member, till } = await opened(world);
  const paidIn = topUp(member, 2_000);
  await box.ask(paidIn);
  await box.tell(complete(paidIn));
  const spent = deduct(box, { code }, keyed(10_000));
  await box.ask(spent);
  await box.tell(complete(spent));
  const paid = payBack(paidIn, 2_000);
  t.equal(said((await box.ask(paid)).answer), 'accepted');
  t.same(await left(), [0, 2_000]);
  t.equal(said(await box.tell(reverse(paidIn))), 'accepted', 'the box was set back: its clerk gives the money back');
  t.equal(said(await box.tell(reverse(paid))), 'accepted');
  t.same(
    [await left(), await till(box)],
    [
      [0, 0],
      [0, 0],
    ],
  );
  const risk = await world.store.read(
    (need) => need.get('account', riskBorne('CNY').id),
    (facts) => facts.get('account', riskBorne('CNY').id)?.balance ?? 0,
  );
  t.equal(risk, 0, 'what was held pays for it, not the merchant');
});

inWorld(t, 'what a terminal holds of a coupon without the host counts towards its limit', async (t, { world, box }) => {
  const { code, left, member } = await opened(world);
  const { publicKey } = signerOf('ec');
  must(await world.host.terminals.setCertificate(box.terminalId, '00', 0, publicKey));
  must(await world.host.allowances.setPolicy({ pointsMax: 0, couponMinorMax: 4_000, sharePercent: 100 }));
  must(await world.host.requestAllowance(box.terminalId, { reason: 'request', code }));
  t.same(await left(), [6_000, 0], '40.00 are at the terminal');
  must(await world.host.rules.setPolicy({ topUpBalanceMaxMinor: 12_000 }));
  t.equal(said((await box.ask(topUp(member, 2_001))).answer), 'coupon.noTopUp');
  t.equal(said((await box.ask(topUp(member, 2_000))).answer), 'accepted');
});

inWorld(t, 'the void of a top-up of an expired coupon says that it has expired', async (t, { world, box }) => {
  const { member } = await opened(world);
  if (member.method !== 'memberCode') throw new Error('a member code');
  const { code } = must(
    await world.host.coupons.issue({
      ...{ holder: 'host', memberCode: member.code, currency: 'CNY', amountMinor: 100 },
      expiresAtMs: world.clock.nowMs + 1_000,
    }),
  );
  const paidIn = topUp(member, 2_000, code);
  await box.ask(paidIn);
  await box.tell(complete(paidIn));
  world.clock.nowMs += 1_001;
  await world.host.expire();
  t.equal(said((await box.ask(payBack(paidIn, 2_000))).answer), 'coupon.expired');
});
