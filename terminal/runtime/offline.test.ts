// A box without its host: it spends out of allowances that it holds, verifies the tap itself, keeps the count over a power cut,
// stops when it must, and gives the rest back signed. The shipped terminal, store and policy; real local proofs of a phone.
import t from 'tap';
import { localKey } from '../../drivers/protocols/member/proof.js';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import {
  type Allowance,
  allowanceBytes,
  type Directives,
  offlineLimitsDefault,
} from '../../host-sync/protocol/sync.js';
import { hex, toHex } from '../kernel/bytes.js';
import { nativeCrypto } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import { monotonicMs, type Points, wallMs } from '../kernel/units.js';
import { type BoxDouble, openBox, directives as plain, terminalId } from '../sim/box-double.js';
import { drawLocalKeys, drawSigner, simCrypto } from '../sim/simulator/keys.js';
import type { ServiceCommand } from './port.js';
import { WallClock } from './wall-clock.js';

const chance = { bytes: (length: number) => nativeCrypto.sha256(Uint8Array.of(length)).slice(0, length) };
const random = { bytes: (length: number) => (length > 32 ? new Uint8Array(length) : chance.bytes(length)) };
const authority = drawSigner(random);
const spend = { service: 'pointsSpend', points: 200 as Points } as const;
const coupon = 'SLC0000000000017';
const slice = '01890000-0000-7000-8000-000000000001' as TransactionId;
const couponSlice = '01890000-0000-7000-8000-000000000002' as TransactionId;
const purchase = { amountMinor: 5_000 as never };

function signed(allowance: Omit<Allowance, 'signature'>, by = authority): Allowance {
  return { ...allowance, signature: toHex(by.sign(allowanceBytes(allowance))) };
}

/** Gives the box an allowance of 500 points for this phone and one of 80.00 of a coupon. */
function hand(box: BoxDouble, change: Partial<Directives> = {}, expiresInMs = 3_600_000) {
  const [keyId = '', key = new Uint8Array(16)] = box.host.memberKeys()[0] ?? [];
  const local = localKey(nativeCrypto, key, hex(terminalId.slice(2)));
  const now = box.clock.wallMs();
  const times = { grantedAtMs: now, expiresAtMs: now + expiresInMs };
  const allowances = [
    signed({
      ...{ id: slice, terminalId, memberCode: 'SLM0000000000017', ...times, holds: { unit: 'points', points: 500 } },
      keys: [{ keyId, localKey: toHex(local) }],
    }),
    signed({
      ...{ id: couponSlice, terminalId, memberCode: null, ...times, keys: [] },
      holds: {
        ...{ unit: 'money', currency: 'CNY', amountMinor: 8_000, couponCode: coupon },
        ...{ limitCategory: null, limitProducts: null },
      },
    }),
  ];
  const keys = drawLocalKeys(random);
  box.host.proofHolds = (...words) => (words[0] === '' ? null : keys.proofHolds(...words));
  const { allowances: _, ...rest } = plain;
  const taken = keys.take({ ...rest, allowances, ...change } as Directives, terminalId, authority.publicKey);
  box.store.setDirectives(taken.directives);
  return taken;
}

async function away(t: Parameters<typeof openBox>[0], file?: string) {
  const box = await openBox(t, file ? { file } : {});
  const phone = box.host.phone('13800138000');
  box.host.up = false;
  return { box, phone };
}

t.test('points out of an allowance: one commit, the counted rest, the release', async (t) => {
  const { box, phone } = await away(t);
  t.equal(hand(box).rejected, 0);
  const { transactionId } = await box.start(spend, { purchase });
  box.reader.tap(phone);
  const sale = await box.ended(transactionId);
  t.match(sale.outcome, { result: 'accepted', authority: 'allowance', points: 200, coveredMinor: 200, balances: null });
  t.same(box.kinds, ['pointsSpend', 'consumption']);
  t.match(box.records[0], { offline: { by: 'allowance', allowanceId: slice, coveredMinor: 200 } });
  t.equal(box.effects.filter(({ type }) => type === 'persist').length, 1);
  t.match(sale.receipt.join('\n'), /离线额度 allowance/);
  t.match(box.terminal.offline(), { worth: { points: 300, CNY: 8_000 }, allowances: [{ remaining: 300 }, {}] });
  const more = await box.start({ ...spend, points: 400 as Points }, { purchase });
  box.reader.tap(phone);
  t.match((await box.ended(more.transactionId)).outcome, { result: 'refused', code: 'allowance.tooLow' });
  t.ok(box.terminal.giveBackAllowance(slice));
  t.notOk(box.terminal.giveBackAllowance(slice), 'once');
  t.match(box.records.at(-1), { kind: 'allowanceRelease', allowanceId: slice, remaining: 300, reason: 'returned' });
  hand(box, { allowances: [] });
  hand(box);
  t.same(
    box.terminal.offline().allowances.map(({ id }) => id),
    [couponSlice],
    'one that was given back is not spent again, even when a restored host forgets and names it anew',
  );
  t.equal(box.store.verifyChains(), null);
});

t.test('a phone that proves another key is refused; so is a blocked one', async (t) => {
  const { box, phone } = await away(t);
  hand(box);
  phone.misbehave({ wrongKey: true });
  const forged = await box.start(spend, { purchase });
  box.reader.tap(phone);
  t.match((await box.ended(forged.transactionId)).outcome, { result: 'refused', code: 'credential.wrongProof' });
  phone.misbehave({ wrongKey: false });
  hand(box, { blocked: [box.host.memberKeys()[0]?.[0] ?? '', coupon] });
  const blocked = await box.start(spend, { purchase });
  box.reader.tap(phone);
  t.match((await box.ended(blocked.transactionId)).outcome, { result: 'refused', code: 'credential.blocked' });
  const code = await box.start({ service: 'couponHost' }, { purchase, code: coupon });
  t.match((await box.ended(code.transactionId)).outcome, { code: 'credential.blocked' });
  t.same(box.kinds, []);
  box.terminal.upkeep();
  t.match(box.records, [{ kind: 'allowanceRelease', allowanceId: couponSlice, remaining: 8_000, reason: 'blocked' }]);
});

t.test('a coupon by its code; the count survives a power cut', async (t) => {
  const file = `${t.testdir()}/box.db`;
  const { box } = await away(t, file);
  hand(box);
  const first = await box.start({ service: 'couponHost' }, { purchase, code: coupon });
  t.match((await box.ended(first.transactionId)).outcome, {
    authority: 'allowance',
    coveredMinor: 5_000,
    restMinor: 0,
  });
  box.close();
  const again = (await away(t, file)).box;
  const second = await again.start({ service: 'couponHost' }, { purchase, code: coupon });
  t.match((await again.ended(second.transactionId)).outcome, { result: 'refused', code: 'allowance.tooLow' });
  t.match(again.terminal.offline().worth, { CNY: 3_000 });
});

t.test('the end of an allowance: by a clock that is trusted; a doubtful one gives nothing back', async (t) => {
  const { box, phone } = await away(t);
  hand(box);
  box.wallStepMs = 86_400_000;
  t.ok(box.terminal.status().clockDoubtful, 'fault 13: somebody set the clock ahead');
  box.terminal.upkeep();
  t.same(box.kinds, [], 'nothing is given back by that clock');
  const sale = await box.start(spend, { purchase });
  box.reader.tap(phone);
  t.match(
    (await box.ended(sale.transactionId)).outcome,
    { authority: 'allowance' },
    'it is spent by the time that passed',
  );
  box.time.advance(3_600_000);
  const late = await box.start(spend, { purchase });
  box.reader.tap(phone);
  t.match((await box.ended(late.transactionId)).outcome, { result: 'refused', code: 'allowance.tooLow' }, 'fault 12');

  const sound = await away(t);
  hand(sound.box);
  sound.box.time.advance(3_600_000);
  sound.box.terminal.upkeep();
  t.match(sound.box.records, [
    { reason: 'expired', remaining: 500 },
    { reason: 'expired', remaining: 8_000 },
  ]);
});

t.test('a clock set back stays in doubt over restarts and sales, until it is right again: fault 12', async (t) => {
  const file = `${t.testdir()}/box.db`;
  const floors = { floorPerSaleMinor: 5_000, floorPerMemberDayMinor: 5_000, floorPerMemberDayCount: 1 };
  const offline = { ...offlineLimitsDefault, ...floors, floorPerDayMinor: 5_000, earnCountPerDay: 2 };
  /** One life of the box, so many days after the first. */
  const life = async (days: number) => {
    const time = new ManualTime();
    time.advance((20 + days) * 86_400_000);
    const box = await openBox(t, { file, time });
    const phone = box.host.phone('13800138000');
    box.host.up = false;
    if (box.kinds.length === 0) hand(box, { offline }, -86_400_000);
    const asked = async (command: ServiceCommand): Promise<string> => {
      const sale = await box.start(command, { purchase, ...(command.service === 'couponHost' && { code: coupon }) });
      if (command.service === 'pointsEarn' || command.service === 'pointsSpend') box.reader.tap(phone);
      const { outcome } = await box.ended(sale.transactionId);
      return outcome?.result === 'refused' ? outcome.code : (outcome?.result ?? '');
    };
    return { box, asked };
  };
  const earn = { service: 'pointsEarn' } as const;
  const floor = { service: 'couponHost' } as const;
  const first = await life(0);
  t.same(
    [await first.asked(earn), await first.asked(earn), await first.asked(earn)],
    ['accepted', 'accepted', 'offline.limit'],
  );
  t.equal(await first.asked(floor), 'accepted');
  t.equal(await first.asked(spend), 'offline.limit', 'the slice has ended, and the floor limit is reached');
  first.box.close();
  for (const days of [-18, -17, -16]) {
    const { box, asked } = await life(days);
    t.ok(box.terminal.offline().clockDoubtful, `${days} days`);
    t.equal(await asked({ service: 'plainSale' }), 'accepted', 'a sale by it makes it no better');
    t.match(box.records.at(-1), { clockDoubtful: true });
    t.same(
      [await asked(earn), await asked(spend), await asked(floor)],
      ['offline.limit', 'offline.limit', 'offline.limit'],
    );
    box.close();
  }
  const right = await life(1);
  t.notOk(right.box.terminal.offline().clockDoubtful);
  t.equal(await right.asked(earn), 'accepted', 'a new day');
  right.box.close();
});

t.test(
  'what is given by a clock in doubt counts on the latest trusted day, so that upkeep does not forget it',
  async (t) => {
    const file = `${t.testdir()}/box.db`;
    const offline = { ...offlineLimitsDefault, earnCountPerDay: 1 };
    const earned: string[] = [];
    // By turns right and far back; the upkeep of each right life removes what is old.
    for (const days of [0, -18, 0, -18, 0]) {
      const time = new ManualTime();
      time.advance((20 + days) * 86_400_000);
      const box = await openBox(t, { file, time });
      const phone = box.host.phone('13800138000');
      box.host.up = false;
      hand(box, { offline, allowances: [] });
      const plainSale = await box.start({ service: 'plainSale' }, { purchase });
      await box.ended(plainSale.transactionId);
      const { clockDoubtful } = box.terminal.offline();
      t.equal(clockDoubtful, days < 0);
      box.store.maintain(box.clock.wallMs(), clockDoubtful);
      if (days < 0) {
        const sale = await box.start({ service: 'pointsEarn' }, { purchase });
        box.reader.tap(phone);
        earned.push((await box.ended(sale.transactionId)).outcome?.result ?? '');
      }
      box.close();
    }
    t.same(earned, ['accepted', 'refused']);
  },
);

t.test('the last contact that was kept is a time known, too', async (t) => {
  const file = `${t.testdir()}/box.db`;
  const { box } = await away(t, file);
  box.store.setSetting('offline.lastContact', String(box.clock.wallMs() + 86_400_000));
  box.close();
  const again = (await away(t, file)).box;
  t.ok(again.terminal.offline().clockDoubtful, 'no sale was stored, but the host was heard later than this');
});

t.test('floor limits: within them without knowing, counted in the same commit', async (t) => {
  const { box } = await away(t);
  const limits = { ...offlineLimitsDefault, floorPerSaleMinor: 6_000, floorPerMemberDayMinor: 9_000 };
  const floor = { ...limits, floorPerMemberDayCount: 5, floorPerDayMinor: 20_000 };
  hand(box, { offline: floor, allowances: [] });
  const first = await box.start({ service: 'couponHost' }, { purchase, code: coupon });
  const sale = await box.ended(first.transactionId);
  t.match(sale.outcome, { authority: 'floor', coveredMinor: 5_000 });
  t.match(box.records[0], { offline: { by: 'floor', coveredMinor: 5_000 } });
  t.match(sale.receipt.join('\n'), /离线限额 floor limit/);
  const second = await box.start({ service: 'couponHost' }, { purchase, code: coupon });
  t.match((await box.ended(second.transactionId)).outcome, { code: 'offline.limit' });
  t.equal(box.terminal.offline().floorTodayMinor, 5_000);
});

t.test('an allowance that the host did not sign for this terminal is turned away', async (t) => {
  const { box } = await away(t);
  const forger = drawSigner({ bytes: (length) => new Uint8Array(length).fill(7) });
  const base = { id: slice, memberCode: null, grantedAtMs: 0, expiresAtMs: 1, keys: [] };
  const holds = { unit: 'points', points: 5 } as const;
  const good = signed({ ...base, terminalId, holds });
  const wrong = [
    signed({ ...base, terminalId, holds }, forger),
    signed({ ...base, terminalId: 't-ffffffffffff', holds }),
    { ...good, holds: { unit: 'points', points: 6 } as const },
  ];
  t.equal(hand(box, { allowances: wrong }).rejected, 3);
  t.same(box.terminal.offline().allowances, []);
  t.ok(simCrypto.verifySignature(authority.publicKey, allowanceBytes(good), hex(good.signature)));
});

t.test('what the host no longer names, and all of it after a new epoch, goes back', async (t) => {
  const { box, phone } = await away(t);
  hand(box);
  hand(box, { allowances: [] });
  const sale = await box.start(spend, { purchase });
  box.reader.tap(phone);
  t.match((await box.ended(sale.transactionId)).outcome, { result: 'refused', code: 'host.unreachable' });
  box.terminal.upkeep();
  t.match(box.records, [
    { reason: 'recalled', remaining: 500 },
    { reason: 'recalled', remaining: 8_000 },
  ]);
  const other = await away(t);
  hand(other.box);
  other.box.store.setIdentity({ terminalId, epoch: 2 });
  t.match(other.box.terminal.offline().allowances, [{ state: 'recalled' }, { state: 'recalled' }]);
});

t.test('the best known time: the clock, or what has passed since it was last trusted', async (t) => {
  const now = { wall: 1_780_000_000_000, run: 0 };
  const clock = new WallClock({ wallMs: () => wallMs(now.wall), monotonicMs: () => monotonicMs(now.run) }, 0);
  t.equal(clock.bestKnownMs(), now.wall);
  now.run += 5_000;
  now.wall = 1_000;
  t.equal(clock.bestKnownMs(), 1_780_000_005_000);
});
