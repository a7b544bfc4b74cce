/**
 * Shows content over the air on a whole host and the simulated phone, through files: a package made, sent, lost in parts, asked for,
 * reminded of, given up, resumed after days and over a restart; changes damped; an erasure; a host restored behind its phones;
 * and a lost phone whose member goes on with another, card balance included.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { cmac } from '../../../drivers/sim/phone/phone-crypto.js';
import { hex } from '../../../terminal/kernel/bytes.js';
import { encodeMessageFile } from '../../spool/message-file.js';
import type { CouponView, MemberView } from '../host.js';
import { folderOf, type MessagedPhone, newPhone, settle, talk, waiting } from '../sim/messaged-phone.js';
import { openTestHost, type TestHost } from '../sim/running-host.js';
import { type PackageView, remindAfterMs, sendingsMax } from './refresh.js';

t.setTimeout(180_000);
const number = '13800000001';
const merchantNumber = '10690000';
const hourMs = 3_600_000;

const textOf = (host: TestHost, file: string): string => readFileSync(path.join(folderOf(host, 'out'), file), 'utf8');
/** Files of package parts that wait for the phone, by part. */
const partsOut = (host: TestHost): readonly (readonly [number, string])[] =>
  waiting(host, 'out').flatMap((file) => {
    const part = /SHOULI1 PKG \S+ \d+ (\d+)\//.exec(textOf(host, file))?.[1];
    return part ? [[Number(part), file] as const] : [];
  });

const lose = (host: TestHost, lost: (part: number) => boolean): void => {
  for (const [part, file] of partsOut(host)) if (lost(part)) rmSync(path.join(folderOf(host, 'out'), file));
};

async function joined(host: TestHost): Promise<MessagedPhone> {
  const held = newPhone(number);
  // Where credentials are given a phone gets its first package by itself: credentials.test.ts.
  await host.run('policy.set', { credentialDays: 0 });
  await host.run('member.register', { phone: number, name: '张三' });
  await talk(host, held);
  return held;
}
const issue = (host: TestHost, amountMinor: number, holder = 'host') =>
  host.run<{ code: string }>('coupon.issue', { holder, member: number, currency: 'CNY', amountMinor });
const packageOf = (host: TestHost) => host.run<PackageView | null>('member.package', { who: number });
const memberOf = ({ memory }: MessagedPhone) => memory.state.memberships[0] ?? null;
const contentOf = ({ memory }: MessagedPhone) => memory.state.packages[0]?.content;

t.test('a package is made, sent, shown and confirmed; its texts are not logged', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  const { code } = await issue(host, 30_000);
  await issue(host, 5_000);
  await host.run('offer.publish', {
    title: '半价',
    text: '周一半价。'.repeat(40),
    expiresAtMs: Date.now() + 86_400_000,
  });
  await talk(host, held);
  t.equal(await packageOf(host), null, 'a merchant that gives no credentials: no member gets one before somebody asks');
  const sent = await host.run<PackageView>('member.refresh', { who: number });
  t.match(sent, { version: 1, kind: 'full', state: 'sent', waiting: 0, messages: sent.parts, haveVersion: 0 });
  t.same(
    partsOut(host).map(([part]) => part),
    Array.from({ length: sent.parts }, (_, at) => at + 1),
    'in order, one message each',
  );
  await talk(host, held);
  t.match(await packageOf(host), { state: 'confirmed', haveVersion: 1, messages: sent.parts });
  t.match(contentOf(held), { merchantName: 'Shouli', rules: { currency: 'CNY', earnPoints: 1 } });
  t.same(
    contentOf(held)
      ?.coupons.map(({ balanceMinor }) => balanceMinor)
      .sort(),
    [30_000, 5_000],
  );
  t.ok(contentOf(held)?.coupons.some((coupon) => coupon.code === code));
  t.match(contentOf(held)?.offers, [{ title: '半价', text: /…$/ }], 'a long text is cut');
  t.notMatch(host.log.join(''), /SHOULI1/);
  host.turning.offsetMs += 400 * hourMs;
  await talk(host, held);
  t.match(await packageOf(host), { messages: sent.parts, reminders: 0 }, 'what is confirmed costs nothing more');
});

t.test('parts that are lost are asked for, and only they are sent again', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  for (let n = 1; n <= 6; n++) await issue(host, n * 1_000);
  await talk(host, held);
  const { parts } = await host.run<PackageView>('member.refresh', { who: number });
  t.ok(parts >= 5);
  lose(host, (part) => part === 2 || part === 4);
  await talk(host, held);
  t.match(await packageOf(host), { state: 'confirmed', messages: parts + 2 });
  t.equal(contentOf(held)?.coupons.length, 6);
});

t.test('the last part lost, then everything for days and over a restart: reminders resume it', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await issue(host, 1_000);
  await talk(host, held);
  const { parts } = await host.run<PackageView>('member.refresh', { who: number });
  lose(host, (part) => part === parts || part === 1);
  await talk(host, held);
  t.equal(held.memory.state.packages[0]?.version, 0);
  host.turning.offsetMs += hourMs - 60_000;
  await settle(host);
  t.same(partsOut(host), [], 'not before its hour');
  await host.stop();
  const again = await openTestHost(t, {}, host.folder);
  again.turning.offsetMs = host.turning.offsetMs + 60_000;
  await settle(again);
  t.same(
    partsOut(again).map(([part]) => part),
    [parts],
    'the last part asks',
  );
  lose(again, () => true);
  again.turning.offsetMs += 6 * hourMs;
  await settle(again);
  lose(again, () => true);
  again.turning.offsetMs += 24 * hourMs;
  await talk(again, held);
  t.match(await packageOf(again), { state: 'confirmed', version: 1, messages: parts + 3 + 1, reminders: 0 });
  t.equal(contentOf(held)?.coupons.length, 1);
});

t.test('a host that stops between the store and its messages sends them at its start', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await host.run('member.refreshAll');
  await host.stop();
  t.same(partsOut(host), [], 'what is due was not sent yet');
  const again = await openTestHost(t, {}, host.folder);
  await talk(again, held);
  t.match(await packageOf(again), { state: 'confirmed', haveVersion: 1 });
});

t.test('a phone that says nothing is given up; one that asks without end too', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  const { parts } = await host.run<PackageView>('member.refresh', { who: number });
  for (const waitMs of [...remindAfterMs, 1_000 * hourMs, 1_000 * hourMs]) {
    lose(host, () => true);
    host.turning.offsetMs += waitMs;
    await settle(host);
  }
  const silent = await packageOf(host);
  t.match(silent, { state: 'stalled', messages: parts + remindAfterMs.length });
  await host.run('member.refresh', { who: number });
  // The first part never comes through.
  for (let round = 0; round < 40; round++) {
    lose(host, (part) => part === 1);
    held.phone.handleMessages(folderOf(host, 'out'), folderOf(host, 'in'));
    await settle(host);
    host.turning.offsetMs += hourMs;
  }
  const bounded = await packageOf(host);
  t.match(bounded, { version: 2 });
  t.ok((bounded?.messages ?? 99) <= sendingsMax * parts + remindAfterMs.length);
  t.equal(bounded?.state, 'stalled');
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  t.match(await packageOf(host), { version: 3, state: 'confirmed' });
});

t.test('changes are gathered into one package, at most one an hour; the same content is not sent again', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const { code } = await issue(host, 1_000);
  await issue(host, 2_000);
  await host.run('coupon.block', { code });
  await talk(host, held);
  t.match(await packageOf(host), { version: 1 }, 'not at once');
  host.turning.offsetMs += 31 * 60_000;
  await talk(host, held);
  t.match(await packageOf(host), { version: 1 }, 'the hour is not over');
  host.turning.offsetMs += 30 * 60_000;
  await talk(host, held);
  t.match(await packageOf(host), { version: 2, state: 'confirmed', dueAtMs: null });
  t.match(contentOf(held)?.coupons, [{ balanceMinor: 2_000 }], 'without the blocked one');
  t.match(await host.run('member.refreshAll'), { members: 1 });
  await talk(host, held);
  t.match(await packageOf(host), { version: 2, state: 'confirmed' });
  await host.run('rules.set', {
    currency: 'CNY',
    earnPoints: 2,
    earnPerMinor: 100,
    spendMinor: 100,
    spendPerPoints: 100,
    couponPartial: false,
  });
  await host.run('member.refreshAll');
  await talk(host, held);
  t.match(await packageOf(host), { version: 3, state: 'confirmed' });
  t.match(contentOf(held)?.rules, { earnPoints: 2 });
});

t.test('answers that are not the phone’s count for nothing', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await host.run('member.refresh', { who: number });
  const stranger = newPhone(number);
  const forged = `SHOULI1 HAVE SHOULI 1 ${'A'.repeat(22)}`;
  for (const [name, from, text] of [
    ['forged', number, forged],
    ['other', '13900000002', forged],
    ['merchant', number, forged.replace(' SHOULI ', ' OTHER ')],
    ['cut', number, forged.slice(0, -1)],
  ] as const)
    writeFileSync(
      path.join(folderOf(host, 'in'), `${name}.sms`),
      encodeMessageFile({ from, to: merchantNumber, text }),
    );
  await settle(host);
  t.match(await packageOf(host), { state: 'sent', haveVersion: 0 });
  t.same([...waiting(host, 'bad')].sort(), ['cut.sms', 'forged.sms', 'merchant.sms', 'other.sms']);
  t.equal(stranger.memory.state.packages.length, 0);
  await talk(host, held);
  t.match(await packageOf(host), { state: 'confirmed' });
});

t.test('a host behind its phone, restored from a backup, goes on above what the phone has', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const [entry] = held.memory.state.packages;
  held.memory.save({ ...held.memory.state, packages: entry ? [{ ...entry, version: 9 }] : [] });
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  host.turning.offsetMs += hourMs;
  await talk(host, held);
  t.match(await packageOf(host), { version: 10, state: 'confirmed', haveVersion: 10 });
});

t.test(
  'an erasure: not over money, confirmed, the key is blocked, and a new registration fills the phone again',
  async (t) => {
    const host = await openTestHost(t);
    const held = await joined(host);
    await issue(host, 1_000);
    const { code } = await issue(host, 20_000, 'card');
    await host.run('member.refresh', { who: number });
    await talk(host, held);
    t.ok(memberOf(held)?.card);
    t.match(await host.admin('member.erase', { who: number }), { body: { code: 'coupon.wrongHolder' } });
    await host.run('coupon.block', { code });
    t.match(await host.run('member.erase', { who: number }), { kind: 'erase', version: 2, state: 'sent' });
    await host.run('member.refreshAll');
    await settle(host);
    t.match(await packageOf(host), { kind: 'erase', version: 2 }, 'nothing automatic takes it back');
    await talk(host, held);
    t.equal(memberOf(held), null);
    t.match(await packageOf(host), { kind: 'erase', state: 'confirmed', haveVersion: 2 });
    t.match(await host.run<MemberView>('member.show', { who: number }), { keys: [{ state: 'blocked' }] });
    t.match(await host.admin('member.refresh', { who: number }), { body: { code: 'credential.unknown' } });
    await host.run('member.register', { phone: number, name: '张三' });
    await talk(host, held);
    t.match(await packageOf(host), { kind: 'full', version: 3, state: 'confirmed' });
    t.match(contentOf(held)?.coupons, [{ balanceMinor: 1_000 }]);
  },
);

t.test('a phone with money that the host knows nothing of keeps it and says so', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  const { code } = await issue(host, 20_000, 'card');
  await talk(host, held);
  await host.run('coupon.block', { code });
  const member = memberOf(held);
  if (member?.card) {
    const other = { ...member, card: { ...member.card, keyId: '00000000000000ff' } };
    held.memory.save({ ...held.memory.state, memberships: [other] });
  }
  await host.run('member.erase', { who: number });
  await talk(host, held);
  t.match(await packageOf(host), { kind: 'erase', state: 'kept' });
  t.ok(memberOf(held));
});

t.test(
  'P1: a lost phone, blocked with its card in one act; the next one gets coupons, and what the card held',
  async (t) => {
    const host = await openTestHost(t);
    const lost = await joined(host);
    const { code } = await issue(host, 1_000);
    const card = await issue(host, 20_000, 'card');
    await talk(host, lost);
    const session = await host.run<MemberView>('member.show', { who: number });
    const newNumber = '13800000099';
    await host.run('member.enlist', { phone: '13700000000', name: '李四' });
    t.match(await host.admin('member.lost', { who: number, number: '13700000000' }), {
      body: { code: 'record.conflict' },
    });
    t.match(
      await host.run<MemberView>('member.show', { who: number }),
      { keys: [{ state: 'active' }] },
      'refused whole',
    );
    const said = await host.run<{ keys: string[]; coupons: string[] }>('member.lost', {
      who: number,
      number: newNumber,
    });
    t.same(
      said.keys,
      session.keys.map(({ keyId }) => keyId),
    );
    t.same(said.coupons, [card.code]);
    t.match(await host.run<CouponView>('coupon.show', { code: card.code }), { state: 'blocked', balanceMinor: 20_000 });
    t.match(await host.run<CouponView>('coupon.show', { code }), { state: 'active' });
    const next = newPhone(newNumber);
    await talk(host, next);
    const member = await host.run<MemberView>('member.show', { who: newNumber });
    t.equal(member.memberCode, session.memberCode, 'the same member');
    t.same(new Set(member.keys.map(({ state }) => state)), new Set(['blocked', 'active']));
    t.match(contentOf(next)?.coupons, [{ code, balanceMinor: 1_000 }], 'coupons come by themselves');
    const taken = await host.run<{ code: string; amountMinor: number }>('coupon.takeOver', { code: card.code });
    t.equal(taken.amountMinor, 20_000);
    t.match(await host.run<CouponView>('coupon.show', { code: taken.code }), { holder: 'host', balanceMinor: 20_000 });
    t.match(await host.admin('coupon.takeOver', { code: card.code }), { body: { code: 'coupon.balanceTooLow' } });
    t.match(await host.admin('coupon.block', { code: card.code, state: 'active' }), {
      body: { code: 'access.denied' },
    });
    t.match(await host.admin('coupon.takeOver', { code }), { body: { code: 'coupon.wrongHolder' } });
    t.match(await host.run('verify'), { ledger: { problems: [] }, store: [] });
    await talk(host, next);
    t.ok(memberOf(next)?.coupons.some((coupon) => coupon.code === taken.code));
  },
);

t.test('a member of another merchant: its coupons, card, content and erasure reach that membership', async (t) => {
  const host = await openTestHost(t);
  await host.run('merchant.add', { id: 'CAFE', name: 'Café', location: 'Street 2' });
  const held = newPhone(number);
  for (const merchant of ['CAFE', null]) await host.run('member.register', { phone: number, name: '张三', merchant });
  await talk(host, held);
  const rows = (await host.run<{ rows: { id: string; merchantId: string }[] }>('member.list', {})).rows;
  const atCafe = rows.find(({ merchantId }) => merchantId === 'CAFE')?.id ?? '';
  const ofCafe = () => held.memory.state.memberships.find(({ merchantId }) => merchantId === 'CAFE');
  const request = { member: atCafe, currency: 'CNY', amountMinor: 2_000 };
  const { code } = await host.run<{ code: string }>('coupon.issue', { ...request, holder: 'host' });
  const card = await host.run<{ code: string }>('coupon.issue', { ...request, holder: 'card' });
  t.same(await talk(host, held), ['couponKept', 'cardIssued'], 'under the name and key of its merchant');
  t.ok(ofCafe()?.card, 'a card is issued once: sealed for another membership its money would be lost');
  await host.run('member.refresh', { who: atCafe });
  await talk(host, held);
  t.match(await host.run('member.package', { who: atCafe }), { state: 'confirmed' });
  const shown = held.memory.state.packages.find(({ merchantId }) => merchantId === 'CAFE')?.content;
  t.match(shown, { merchantName: 'Café', coupons: [{ code }] });
  await host.run('coupon.block', { code: card.code });
  await host.run('member.erase', { who: atCafe });
  await talk(host, held);
  t.match(
    held.memory.state.memberships.map(({ merchantId }) => merchantId),
    ['SHOULI'],
  );
  t.match(await host.run<MemberView>('member.show', { who: atCafe }), { keys: [{ state: 'blocked' }] });
});

t.test('a phone that claims versions nobody made brings neither the host nor its bill to an end', async (t) => {
  const host = await openTestHost(t);
  const held = await joined(host);
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const { parts } = (await packageOf(host)) ?? { parts: 0 };
  const member = memberOf(held);
  const claim = async (version: number, name: string): Promise<void> => {
    const covered = `SHOULI1 HAVE ${member?.merchantId} ${version}`;
    const mac = cmac(hex(member?.memberKey ?? ''), 0x48, Buffer.from(covered));
    const text = `${covered} ${Buffer.from(mac).toString('base64url')}`;
    writeFileSync(
      path.join(folderOf(host, 'in'), `${name}.sms`),
      encodeMessageFile({ from: number, to: merchantNumber, text }),
    );
    await settle(host);
  };
  await claim(0xffffffff, 'last');
  t.match(await packageOf(host), { version: 1, state: 'confirmed' }, 'no host has made so many');
  const before = partsOut(host).length;
  for (let n = 2; n < 12; n++) await claim(n * 2, `claim-${n}`);
  t.equal(partsOut(host).length, before, 'not one package for each claim');
  host.turning.offsetMs += 2 * hourMs;
  await settle(host);
  t.equal(partsOut(host).length, before + parts, 'one, when its hour has passed');
});
