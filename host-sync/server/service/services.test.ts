// Administration: enrolment codes, members and their keys, catalogue versions, directives, realms, grouping, what is stored.
// Runs on a real store; looks into the file where a secret must not be.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { checkDigit } from '../../../drivers/protocols/gs1/check-digits.js';
import { toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../../../terminal/kernel/native.js';
import { codeIsSound } from '../ledger/codes.js';
import { monthOf } from '../ledger/consumption.js';
import { earn } from '../sim/sales.js';
import { inWorld, must, openWorld, said, startMs } from '../sim/world.js';

t.test('codes carry the GS1 check digit', async (t) => {
  t.equal(checkDigit('400638133393'), 1, 'EAN-13 of GS1’s own example');
  t.ok(codeIsSound('SLC4006381333931'));
  t.notOk(codeIsSound('SLC4006381333932'));
});

t.test('months follow the offset, leap days and years', async (t) => {
  for (const at of [
    '2024-02-29T23:59:59Z',
    '2025-12-31T15:59:59Z',
    '2025-12-31T16:00:00Z',
    '1970-01-01T00:00:00Z',
    '2100-03-01T00:00:00Z',
  ])
    t.equal(monthOf(Date.parse(at), 480), new Date(Date.parse(at) + 480 * 60_000).toISOString().slice(0, 7), at);
});

inWorld(t, 'fault 28: an enrolment code works once, ends, and guessing is locked out', async (t, { world }) => {
  const { terminals } = world.host;
  const claim = (code: string, source = 'a') => terminals.claimEnrolmentCode({ code, source, realm: 'real' });
  const { code } = await terminals.drawEnrolmentCode('till');
  t.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
  t.match(await terminals.claimEnrolmentCode({ code, source: 'a', realm: 'simulated' }), {
    error: { code: 'record.wrongRealm' },
  });
  const enrolled = must(await claim(code));
  t.match(enrolled, { name: 'till', epoch: 1, siteKey: null });
  t.match(await claim(code), { error: { code: 'enrolment.codeWrong' } }, 'used');
  const short = await terminals.drawEnrolmentCode('till', 60_000);
  world.clock.nowMs += 60_000;
  t.match(await claim(short.code), { error: { code: 'enrolment.codeWrong' } }, 'too late');
  await claim('AAAA-AAAA-AAAA-AAAA');
  await claim('AAAA-AAAA-AAAA-AAAA');
  t.match(await claim('AAAA-AAAA-AAAA-AAAA'), { error: { code: 'enrolment.locked' } });
  const good = await terminals.drawEnrolmentCode('till');
  t.match(await claim(good.code), { error: { code: 'enrolment.locked' } }, 'locked also for the right one');
  world.clock.nowMs += 15 * 60_000;
  t.match(await claim(good.code), { ok: true });
  await world.host.rules.setPolicy({ siteKeyOnBoxes: true });
  const { code: withKey } = await terminals.drawEnrolmentCode('till');
  t.equal(must(await claim(withKey)).siteKey?.length, 16);
});

inWorld(t, 'a member enlisted without a key is the same member once the phone registers', async (t, { world }) => {
  const { members } = world.host;
  const enlisted = must(await members.enlist({ phone: '13800000000', name: 'Wang Fang' }));
  t.ok(codeIsSound(enlisted.memberCode));
  t.match(enlisted, { phone: '13800000000', name: 'Wang Fang', points: 0, keys: [] });
  t.same(must(await members.enlist({ phone: '13800000000', name: 'another' })), enlisted, 'the number decides');
  t.equal((await world.phone('13800000000')).memberCode, enlisted.memberCode);
  t.equal((await members.byCode(enlisted.memberCode))?.keys.length, 1);
  t.match(await members.enlist({ phone: '138 0000', name: 'x' }), { error: { code: 'input.malformed' } });
  t.match(await members.enlist({ phone: '13800000001', name: 'a\nb' }), { error: { code: 'input.malformed' } });
});

inWorld(
  t,
  'what all boxes are told: set one by one, checked, and part of the directives',
  async (t, { world, box }) => {
    const before = must(await world.host.directivesVersion(box.terminalId));
    const { rules } = world.host;
    must(await rules.setBoxConfiguration({ receiptFoot: ['谢谢惠顾'], category: 'dining' }));
    must(await rules.setBoxConfiguration({ category: null, credentialTimeoutMs: 30_000 }));
    const told = { receiptFoot: ['谢谢惠顾'], credentialTimeoutMs: 30_000 };
    t.same(await rules.boxConfiguration(), told);
    const { version, configuration } = must(await world.host.directives(box.terminalId, null));
    t.same(configuration, told);
    t.equal(version, before + 2, 'and rings for every box');
    t.match(await rules.setBoxConfiguration({ credentialTimeoutMs: 1 }), { error: { code: 'input.outOfRange' } });
    t.match(await rules.setBoxConfiguration({ receiptHead: ['1', '2', '3', '4', '5'] }), { ok: false });
  },
);

inWorld(t, 'one phone number owns several business ids; a key id belongs to one', async (t, { world, box }) => {
  const first = await world.phone('13800000000');
  const second = await world.phone('13800000000');
  t.equal(first.memberCode, second.memberCode);
  t.ok(codeIsSound(first.memberCode));
  const again = { phone: '13800000000', name: 'x', keyId: first.keyId, key: first.key };
  t.match(await world.host.members.register(again), { ok: true }, 'the same registration again');
  t.match(await world.host.members.register({ ...again, key: second.key }), { error: { code: 'record.conflict' } });
  t.match(await world.host.members.register({ ...again, phone: '13900000000' }), {
    error: { code: 'record.conflict' },
  });
  t.match(await world.host.members.register({ ...again, phone: "1'; DROP TABLE member" }), {
    error: { code: 'input.malformed' },
  });
  t.equal(said(await box.tell(earn(box, second, 10_000))), 'accepted');
  t.match(await world.host.members.byPhone('13800000000'), {
    points: 100,
    keys: [{ state: 'active' }, { state: 'active' }],
  });
  t.match(await world.host.members.byKey(toHex(second.keyId)), { memberCode: first.memberCode });
  t.equal(await world.host.members.byPhone('13911111111'), null);
});

inWorld(
  t,
  'directives: a change raises the version, an unchanged catalogue does not travel',
  async (t, { world, box }) => {
    const product = { code: 'A', name: 'a', priceMinor: 1, category: 'c' };
    const first = startMs / 1000;
    const before = must(await world.host.directives(box.terminalId, null));
    t.same(before.catalogue, { since: 0, products: [], gone: [] });
    t.match(await world.host.catalogue.replace([product, { ...product, code: 'B' }]), {
      value: { version: first, changed: 2 },
    });
    t.match(await world.host.catalogue.replace([product, { ...product, code: 'B' }]), {
      value: { version: first, changed: 0 },
    });
    t.match(await world.host.catalogue.replace([product, product]), { ok: false });
    t.match(await world.host.catalogue.replace([{ ...product, priceMinor: 2 }]), {
      value: { version: first + 1, changed: 2 },
    });
    const after = must(await world.host.directives(box.terminalId, first));
    t.same(
      after.catalogue,
      { since: first, products: [{ ...product, priceMinor: 2 }], gone: ['B'] },
      'only what changed',
    );
    t.same(must(await world.host.directives(box.terminalId, 0)).catalogue, {
      since: 0,
      products: [{ ...product, priceMinor: 2 }],
      gone: [],
    });
    t.ok(after.version > before.version);
    t.equal(must(await world.host.directives(box.terminalId, first + 1)).catalogue, null);
    await world.host.rules.setMerchant('面包店', 'Shanghai');
    t.match(must(await world.host.directives(box.terminalId, first + 1)), {
      ...{ merchant: '面包店', version: after.version + 1, merchants: ['SHOULI'] },
    });
    t.match(await world.host.rules.setTiers([{ name: 'x', earnedPointsMin: 5, multiplierBasisPoints: 10_000 }]), {
      ok: false,
    });
    t.match(await world.host.rules.setPolicy({ reservationMs: 1 }), { error: { code: 'input.outOfRange' } });
  },
);

t.test('a host that went back to a backup gives no number again that a box may know from what was lost', async (t) => {
  const folder = t.testdir();
  const world = await openWorld({ path: `${folder}/host.sqlite` });
  t.teardown(() => world.close());
  const cake = (priceMinor: number) => [{ code: 'A', name: 'cake', priceMinor, category: 'c' }];
  const keys = { before: await world.phone('13800000000'), after: await world.phone('13800000001') };
  const box = await world.box();
  for (const id of ['CAFE', 'BAR'])
    must(await world.host.merchants.add({ id, name: id, location: 'l' }, await nativeKeyAgreement.generateKeyPair()));
  must(await world.host.catalogue.replace(cake(100)));
  const saved = must(await world.host.directives(box.terminalId, null));
  await world.host.backup(`${folder}/backup.sqlite`);

  world.clock.nowMs += 60_000;
  must(await world.host.catalogue.replace(cake(200)));
  must(await world.host.members.setKeyState(toHex(keys.before.keyId), 'blocked'));
  must(await world.host.merchants.assign(box.terminalId, 'CAFE'));
  const known = must(await world.host.directives(box.terminalId, saved.catalogueVersion));
  t.match(known.catalogue, { since: saved.catalogueVersion, products: cake(200) });

  const restored = await openWorld({ path: `${folder}/backup.sqlite`, seed: 99 });
  t.teardown(() => restored.close());
  const { host } = restored;
  const versions = [known.version, must(await host.directivesVersion(box.terminalId))];
  t.same(
    must(await host.directives(box.terminalId, known.catalogueVersion)).catalogue?.products,
    cake(100),
    'as it was',
  );
  restored.clock.nowMs = world.clock.nowMs + 60_000;
  must(await host.catalogue.replace(cake(300)));
  versions.push(must(await host.directivesVersion(box.terminalId)));
  must(await host.members.setKeyState(toHex(keys.after.keyId), 'blocked'));
  versions.push(must(await host.directivesVersion(box.terminalId)));
  must(await host.merchants.assign(box.terminalId, 'BAR'));
  const now = must(await host.directives(box.terminalId, known.catalogueVersion));
  t.equal(
    new Set([...versions, now.version]).size,
    5,
    'as many changes as were lost, and none has the number of those',
  );
  t.match(now, { merchant: 'BAR', blocked: [toHex(keys.after.keyId)] });
  t.same(now.catalogue, { since: 0, products: cake(300), gone: [] }, 'the whole: what it holds is of no version here');
  t.match(
    must(await host.directives(box.terminalId, saved.catalogueVersion)).catalogue,
    { since: saved.catalogueVersion, products: cake(300) },
    'what changed, to a box that holds what the backup held',
  );
});

inWorld(
  t,
  'a box that is a hundred versions of the catalogue behind is told what changed, one more the whole',
  async (t, { world, box }) => {
    const products = (priceMinor: number) =>
      ['A', 'B'].map((code) => ({ code, name: code, priceMinor: code === 'A' ? priceMinor : 1, category: 'c' }));
    const versions: number[] = [];
    for (let price = 1; price <= 102; price++) {
      world.clock.nowMs += 86_400_000;
      versions.push(must(await world.host.catalogue.replace(products(price))).version);
    }
    const since = async (version = 0) => must(await world.host.directives(box.terminalId, version)).catalogue;
    t.match(await since(versions[0]), { since: 0, products: [{ code: 'A' }, { code: 'B' }] });
    t.match(await since(versions[1]), { since: versions[1], products: [{ code: 'A', priceMinor: 102 }], gone: [] });
    t.equal((await since(versions[1]))?.products.length, 1);
    t.match(await since((versions[1] ?? 0) + 1), { since: 0 }, 'between two versions there is none');
    t.equal(await since(versions.at(-1)), null);
  },
);

t.test('no rules yet: directives are refused, an earn waits and is not lost', async (t) => {
  const world = await openWorld({ rules: false });
  t.teardown(() => world.close());
  const box = await world.box();
  t.match(await world.host.directives(box.terminalId, null), { error: { code: 'rules.unknown' } });
  const phone = await world.phone('13800000000');
  const record = box.record(earn(box, phone, 10_000));
  t.same((await box.send(record)).answers.map(said), ['host.busy']);
  await world.host.rules.publish({
    currency: 'CNY',
    earnPoints: 1,
    earnPerMinor: 100,
    spendMinor: 1,
    spendPerPoints: 1,
    couponPartial: false,
  });
  t.same((await box.send(record)).answers.map(said), ['accepted']);
});

t.test('a store is of one realm for life, and holds no key or code in clear', async (t) => {
  const path = `${t.testdir()}/host.sqlite`;
  const world = await openWorld({ path });
  const phone = await world.phone('13800000000');
  const { code } = await world.host.terminals.drawEnrolmentCode('till');
  const issued = must(
    await world.host.coupons.issue({
      holder: 'card',
      memberCode: null,
      currency: 'CNY',
      amountMinor: 5,
      expiresAtMs: null,
    }),
  );
  await world.close();
  await t.rejects(openWorld({ path, realm: 'simulated' }), { code: 'record.wrongRealm' });
  const file = readFileSync(path);
  for (const secret of [phone.key, issued.card?.cardKey ?? new Uint8Array(16)]) {
    t.notOk(file.includes(Buffer.from(secret)));
    t.notOk(file.includes(toHex(secret)));
  }
  t.notOk(file.includes(code), 'the code');
  t.ok(file.includes(toHex(nativeCrypto.sha256(Buffer.from(code)))), 'but its hash');
});

inWorld(t, 'concurrent requests share a commit and keep their own answers', async (t, { world }) => {
  const boxes = await Promise.all(Array.from({ length: 10 }, () => world.box()));
  const phone = await world.phone('13800000000');
  let commits = 0;
  const { transact } = world.store;
  world.store.transact = (plan, decide) => {
    commits++;
    return transact.call(world.store, plan, decide) as never;
  };
  const answers = await Promise.all(boxes.map((box, i) => box.tell(earn(box, phone, 100 * (i + 1)))));
  t.same(
    answers.map((answer) => answer.outcome === 'accepted' && answer.pointsPosted),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  );
  t.equal(commits, 1);
});

t.test('a store that fails is told as such', async (t) => {
  const world = await openWorld();
  const box = await world.box();
  const phone = await world.phone('13800000000');
  const record = box.record(earn(box, phone, 10_000));
  await world.close();
  t.match(await world.host.intake(box.terminalId, { records: [record], newestSeen: [] }), {
    error: { code: 'host.storeFailed' },
  });
});
