// Allowances at the host, on a real store: a slice is moved once, spent by its terminal alone, and comes back once, by a signed
// release or a person's write-off. Faults 1, 3 and 58: two boxes offline, repeated records, any order. Boxes sign with real keys.
import t, { type Test } from 'tap';
import { localKey } from '../../../drivers/protocols/member/proof.js';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { releaseBytes } from '../../protocol/record.js';
import { type Allowance, allowanceBytes } from '../../protocol/sync.js';
import { earn, spend, undo } from '../sim/sales.js';
import {
  type Box,
  hostSigner,
  inWorld,
  keyed,
  must,
  newId,
  type Phone,
  said,
  signerOf,
  startMs,
  type World,
} from '../sim/world.js';
import { blockRow } from './block.js';
import { put } from './facts.js';

const signer = signerOf('rsa');
const policy = { pointsMax: 1_000, couponMinorMax: 10_000, sharePercent: 100 };
type Member = Phone & { readonly memberCode: string };

async function certified(world: World, box: Box): Promise<void> {
  must(await world.host.terminals.setCertificate(box.terminalId, '00', 0, signer.publicKey));
  must(await world.host.allowances.setPolicy(policy));
}

/** The one allowance that this box holds now. */
async function held(world: World, box: Box): Promise<Allowance> {
  const { allowances } = must(await world.host.directives(box.terminalId, null));
  const [allowance] = allowances;
  if (!allowance || allowances.length > 1) throw new Error(`${allowances.length} allowances`);
  return allowance;
}

async function granted(world: World, box: Box, phone: Member, points = 500): Promise<Allowance> {
  await certified(world, box);
  await box.tell(earn(box, phone, points * 100));
  must(await world.host.requestAllowance(box.terminalId, { reason: 'request', code: phone.memberCode }));
  return held(world, box);
}

const pointsOf = async (world: World, phone: Member): Promise<number> =>
  (await world.host.members.byCode(phone.memberCode))?.points ?? -1;
const offlineSpend = (box: Box, phone: Phone, allowanceId: TransactionId, points: number) => ({
  ...spend(box, phone, points, points),
  offline: { by: 'allowance', allowanceId, coveredMinor: points } as const,
});
const release = (box: Box, id: TransactionId, remaining: number, by = signer) => ({
  kind: 'allowanceRelease' as const,
  allowanceId: id,
  remaining,
  reason: 'expired' as const,
  signature: toHex(by.sign(releaseBytes(box.terminalId, id, remaining))),
});
const sound = async (t: Test, world: World): Promise<void> => {
  t.same((await world.host.verifyLedger()).problems, []);
};
const alarmsOf = async (world: World): Promise<readonly string[]> =>
  (await world.host.alarms()).rows.map(({ code }) => code);

inWorld(t, 'granted, spent offline, released: every point once', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const slice = await granted(world, box, phone);
  t.match(slice, { memberCode: phone.memberCode, holds: { unit: 'points', points: 500 }, terminalId: box.terminalId });
  t.ok(nativeCrypto.verifySignature(hostSigner.publicKey, allowanceBytes(slice), hex(slice.signature)), 'signed');
  t.same(
    slice.keys,
    [
      {
        keyId: toHex(phone.keyId),
        localKey: toHex(localKey(nativeCrypto, phone.key, hex(box.terminalId.slice(2)))),
      },
    ],
    'with the key as this terminal alone can use it',
  );
  t.equal(await pointsOf(world, phone), 0, 'it is at the terminal now');
  const again = must(await world.host.requestAllowance(box.terminalId, { reason: 'request', code: phone.memberCode }));
  t.same(again, { granted: 0, refusedBecause: null }, 'one at a time');
  const sale = offlineSpend(box, phone, slice.id, 200);
  const told = box.record(sale);
  const [first] = (await box.send(told)).answers;
  const [second] = (await box.send({ ...told, attempt: 2 })).answers;
  t.match(first, { outcome: 'accepted', pointsPosted: 200, coveredMinor: 200, notices: [] });
  t.same(second, first, 'fault 3: the same answer, one effect');
  t.equal(said(await box.tell(release(box, slice.id, 300))), 'accepted');
  t.equal(await pointsOf(world, phone), 300);
  t.match(await box.tell(release(box, slice.id, 300)), { outcome: 'accepted', notices: ['allowance.ended'] });
  t.equal(await pointsOf(world, phone), 300, 'a second release brings nothing');
  t.equal(said(await box.tell(undo(sale))), 'accepted');
  t.equal(await pointsOf(world, phone), 500, 'a void gives back what it paid');
  t.same((await world.host.risk()).borne, {});
  await sound(t, world);
});

inWorld(t, 'a release may overtake the spends it knows of', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const slice = await granted(world, box, phone);
  const late = box.record(offlineSpend(box, phone, slice.id, 200));
  t.equal(said(await box.tell(release(box, slice.id, 300))), 'accepted');
  t.equal(await pointsOf(world, phone), 300);
  t.match((await box.send(late)).answers, [{ outcome: 'accepted', notices: [] }]);
  t.equal(await pointsOf(world, phone), 300);
  t.same((await world.host.risk()).borne, {});
  await sound(t, world);
});

inWorld(
  t,
  'fault 1: two boxes offline cannot spend the same; a third party cannot release',
  async (t, { world, box }) => {
    const phone = await world.phone('13800000000');
    const slice = await granted(world, box, phone);
    const other = await world.box('other');
    await certified(world, other);
    t.same(must(await world.host.requestAllowance(other.terminalId, { reason: 'request', code: phone.memberCode })), {
      granted: 0,
      refusedBecause: null,
    });
    t.match(
      await other.tell(offlineSpend(other, phone, slice.id, 500)),
      { outcome: 'accepted', notices: ['points.risk'] },
      "what another terminal spends of it is the merchant's risk, never the slice",
    );
    t.same((await world.host.risk()).borne, { points: 500 });
    t.ok((await alarmsOf(world)).includes('risk.allowance'));
    const forger = signerOf('rsa');
    t.match(await box.tell(release(box, slice.id, 500, forger)), { code: 'allowance.wrongSignature' });
    t.match(await other.tell(release(other, slice.id, 500)), { code: 'allowance.unknown' });
    t.match(await box.tell(offlineSpend(box, phone, slice.id, 500)), { outcome: 'accepted', notices: [] });
    await sound(t, world);
  },
);

inWorld(t, 'a write-off brings the rest back once; late spends are risk', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const slice = await granted(world, box, phone);
  const late = box.record(offlineSpend(box, phone, slice.id, 200));
  t.same(must(await world.host.allowances.writeOff(slice.id, 'ann')), { returned: 500, unit: 'points' });
  t.same(must(await world.host.allowances.writeOff(slice.id, 'ann')), { returned: 500, unit: 'points' });
  t.equal(await pointsOf(world, phone), 500);
  t.match((await box.send(late)).answers, [{ outcome: 'accepted', notices: ['points.risk'] }]);
  t.equal(await pointsOf(world, phone), 500, 'the member keeps what came back');
  t.same((await world.host.risk()).borne, { points: 200 });
  t.match(await box.tell(release(box, slice.id, 300)), { outcome: 'accepted', notices: ['allowance.ended'] });
  t.equal(await pointsOf(world, phone), 500);
  await sound(t, world);
});

inWorld(t, 'time alone brings nothing back; a recall asks for it', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const slice = await granted(world, box, phone);
  world.clock.nowMs = slice.expiresAtMs + 1;
  await world.host.expire();
  t.equal(await pointsOf(world, phone), 0);
  const before = must(await world.host.directives(box.terminalId, null)).version;
  must(await world.host.allowances.recall(slice.id));
  const after = must(await world.host.directives(box.terminalId, null));
  t.same(after.allowances, []);
  t.ok(after.version > before, 'and the box hears of it');
  t.equal(await pointsOf(world, phone), 0);
  await box.tell(release(box, slice.id, 500));
  t.equal(await pointsOf(world, phone), 500);
});

inWorld(t, 'a coupon: its slice, its risk on a floor limit, and its void', async (t, { world, box }) => {
  await certified(world, box);
  const phone = await world.phone('13800000000');
  const wish = { holder: 'host', memberCode: phone.memberCode, currency: 'CNY', amountMinor: 8_000 } as const;
  const { code } = must(await world.host.coupons.issue({ ...wish, expiresAtMs: null }));
  must(await world.host.requestAllowance(box.terminalId, { reason: 'checkIn', code }));
  const slice = await held(world, box);
  t.match(slice.holds, { unit: 'money', amountMinor: 8_000, couponCode: code });
  const credential = { method: 'couponCode', code } as const;
  const deduct = (offline: object, coveredMinor: number) => ({
    ...{
      transactionId: newId(),
      kind: 'couponDeduct' as const,
      reference: null,
      bill: keyed(coveredMinor),
      credential,
    },
    ...{ couponCode: code, partial: false, offline: { coveredMinor, ...offline } as never },
  });
  t.match(await box.tell(deduct({ by: 'allowance', allowanceId: slice.id }, 5_000)), {
    coveredMinor: 5_000,
    notices: [],
  });
  const other = await world.box('other');
  const overspent = deduct({ by: 'floor' }, 2_000);
  t.match(await other.tell(overspent), { outcome: 'accepted', coveredMinor: 2_000, notices: ['coupon.risk'] });
  t.same((await world.host.risk()).borne, { CNY: 2_000 }, 'nothing is at home: the overspend is named');
  t.equal(said(await other.tell(undo(overspent))), 'accepted');
  t.same((await world.host.risk()).borne, {}, 'a void gives the risk back first');
  await box.tell(release(box, slice.id, 3_000));
  t.match(await world.host.coupons.byCode(code), { balanceMinor: 3_000 });
  t.match(await other.tell(deduct({ by: 'floor' }, 2_000)), { outcome: 'accepted', notices: [] });
  t.match(await world.host.coupons.byCode(code), { balanceMinor: 1_000 });
  await sound(t, world);
});

inWorld(t, 'a wrong proof moves nothing and stays visible; points on a floor limit', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const slice = await granted(world, box, phone);
  const thief = await world.phone('13900000000');
  const forged = { ...offlineSpend(box, phone, slice.id, 100), transactionId: newId() };
  const wrong = {
    ...forged,
    credential: { ...thief.tap(box, forged.transactionId, 'spend', 100, 100), keyId: toHex(phone.keyId) },
  };
  t.match(await box.tell(wrong), { code: 'credential.wrongProof' });
  t.match((await world.host.deadLetters.list('open')).rows, [{ code: 'credential.wrongProof', worthPoints: 100 }]);
  await box.tell(earn(box, thief, 5_000));
  const floor = { ...spend(box, thief, 80, 80), offline: { by: 'floor', coveredMinor: 80 } as const };
  t.match(await box.tell(floor), { outcome: 'accepted', notices: ['points.risk'], balances: { points: 0 } });
  t.same((await world.host.risk()).borne, { points: 30 }, '50 were there');
  await box.tell(undo(floor));
  t.equal(await pointsOf(world, thief), 50);
  await sound(t, world);
});

inWorld(t, 'members who usually come are given slices by themselves', async (t, { world, box }) => {
  await certified(world, box);
  must(await world.host.allowances.setPolicy({ usualVisitsMin: 3, usualDays: 30, sharePercent: 50 }));
  const usual = await world.phone('13800000000');
  const rare = await world.phone('13900000000');
  for (const [phone, visits] of [
    [usual, 3],
    [rare, 2],
  ] as const)
    for (let visit = 0; visit < visits; visit++) {
      const sale = { ...earn(box, phone, 10_000) };
      await box.tell(sale);
      await box.tell({
        ...{
          kind: 'consumption',
          sale: sale.transactionId ?? newId(),
          businessId: toHex(phone.keyId),
          amountMinor: 10_000,
        },
        ...{ currency: 'CNY', category: 'food', location: 'l', merchant: 'm' },
      });
    }
  t.equal(await world.host.allowances.offer(), 1);
  t.match(await held(world, box), { memberCode: usual.memberCode, holds: { points: 150 } }, 'half of 300');
  t.equal(await world.host.allowances.offer(), 0);
  t.match((await world.host.allowances.list(box.terminalId)).rows, [{ held: 150, state: 'open' }]);
});

inWorld(t, 'blocked keys and coupons reach every box', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const before = must(await world.host.directivesVersion(box.terminalId));
  let rung = 0;
  const stop = world.host.onDirectives(() => {
    rung += 1;
  });
  must(await world.host.members.setKeyState(toHex(phone.keyId), 'blocked'));
  stop();
  t.equal(rung, 1, 'the bell rings');
  const after = must(await world.host.directives(box.terminalId, null));
  t.ok(after.version > before);
  t.same(after.blocked, [toHex(phone.keyId)]);
});

inWorld(
  t,
  'more blocked keys than a box takes: the newest are told, and the merchant sees how many',
  async (t, { world, box }) => {
    const { host, clock, store } = world;
    const told = async () => must(await host.directives(box.terminalId, null)).blocked;
    const keys = await Promise.all(['13800000000', '13800000001'].map(async (number) => await world.phone(number)));
    const [first = '', second = ''] = keys.map(({ keyId }) => toHex(keyId));
    const card = must(
      await host.coupons.issue({
        holder: 'card',
        memberCode: null,
        currency: 'CNY',
        amountMinor: 5,
        expiresAtMs: null,
      }),
    ).code;
    must(await host.members.setKeyState(first, 'blocked'));
    clock.nowMs += 1;
    must(await host.coupons.setState(card, 'blocked'));
    t.same(await told(), [card, first], 'the newest first');
    // Ids of other keys sort before and behind these: their order says nothing.
    for (let page = 0; page < 10; page++)
      await store.transact(
        () => undefined,
        (facts) =>
          facts.write(
            Array.from({ length: 1_000 }, (_, at) => {
              const n = page * 1_000 + at;
              return put(
                'block',
                blockRow(`${n % 2 === 0 ? '00' : 'ff'}${String(n).padStart(14, '0')}`, startMs + 1_000 + n),
              );
            }),
          ),
      );
    clock.nowMs += 100_000;
    must(await host.members.setKeyState(second, 'blocked'));
    t.match(await host.gauges(), { blocked: 10_000 });
    const full = await told();
    t.equal(full.length, 10_000);
    t.equal(full[0], second);
    t.notOk(full.includes(first), 'the oldest have left');
    must(await host.members.setKeyState(first, 'active'));
    clock.nowMs += 1;
    must(await host.members.setKeyState(first, 'blocked'));
    t.same((await told()).slice(0, 2), [first, second], 'blocked once more, it is the newest');
    must(await host.members.setKeyState(second, 'active'));
    must(await host.coupons.setState(card, 'active'));
    t.same((await told())[0], first);
    t.notOk((await told()).includes(second));
  },
);
