// Identity, order and quarantine on a real store: faults 4–7, 27, 29, 58, 60, and bodies that nobody can read.
// Boxes chain their records; the test delays, repeats, forges and restores them.
import t from 'tap';
import { utf8 } from '../../../terminal/kernel/bytes.js';
import type { Envelope } from '../../protocol/sync.js';
import { complete, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { type Box, inWorld, keyed, must, newId, openWorld, said, type World } from '../sim/world.js';
import { put } from './facts.js';
import { untoldWaitMs } from './waiting.js';

const plain = (totalMinor = 100) => ({ kind: 'plainSale', reference: null, bill: keyed(totalMinor) }) as const;
const codes = async (world: World) => (await world.host.alarms()).rows.map((alarm) => alarm.code).sort();
const idIn = (record: Envelope): string => JSON.parse(record.body).transactionId;
const answersOf = async (box: Box, ...records: readonly Envelope[]) => (await box.send(...records)).answers.map(said);

inWorld(
  t,
  'fault 4: the same id with another body is refused, alarmed, and the first stands',
  async (t, { world, box }) => {
    const id = newId();
    t.equal(said(await box.tell({ ...plain(), transactionId: id })), 'accepted');
    const other = box.record({ ...plain(200), transactionId: id });
    const first = await box.send(other);
    t.equal(said(first.answers[0]), 'record.conflict');
    t.equal(first.watermark.sequence, 2, 'the place is taken, the chain goes on');
    t.same((await box.send(other)).answers, first.answers, 'again the same');
    t.same(await codes(world), ['record.conflict']);
    t.match((await world.host.deadLetters.list('open')).rows, [{ code: 'record.conflict', worthMinor: 200 }]);
  },
);

inWorld(
  t,
  'order is free: spans merge, the watermark is contiguous, hashes are checked where they meet',
  async (t, { box }) => {
    const records = Array.from({ length: 6 }, () => box.record(plain()));
    const [a, b, c, d, e, f] = records as [(typeof records)[0], ...typeof records];
    if (!b || !c || !d || !e || !f) throw new Error('six records');
    t.equal((await box.send(d)).watermark.sequence, 0);
    t.equal((await box.send(f, b)).watermark.sequence, 0);
    t.equal((await box.send(a)).watermark.sequence, 2);
    t.equal((await box.send(e, c)).watermark.sequence, 6);
  },
);

inWorld(
  t,
  'fault 5: two boxes with one identity: the first fork quarantines, nothing is lost, a person releases',
  async (t, { world, box }) => {
    const copy = box.clone();
    await box.tell(plain());
    const forked = copy.record(plain(200));
    t.same(await answersOf(copy, forked), ['host.quarantined']);
    t.same(await answersOf(box, box.record(plain())), ['host.quarantined'], 'nobody knows which of the two is true');
    t.equal((await world.host.terminals.get(box.terminalId))?.state, 'quarantined');
    t.equal((await world.host.terminals.get(box.terminalId))?.quarantinedCount, 2);
    t.same(await answersOf(copy, forked), ['host.quarantined']);
    t.equal((await world.host.terminals.get(box.terminalId))?.quarantinedCount, 2, 'held once');
    await copy.raise('forked');
    t.same(await answersOf(copy, copy.record(plain())), ['host.quarantined'], 'a new epoch alone frees nobody');
    t.match(await world.host.terminals.releaseQuarantine(box.terminalId, 'owner'), {
      value: { accepted: 2, refused: 1 },
    });
    t.same(await answersOf(copy, forked), ['record.chainBroken'], 'told for good');
    t.match((await world.host.deadLetters.list('open')).rows, [{ code: 'record.chainBroken', worthMinor: 200 }]);
    t.equal((await world.host.terminals.get(box.terminalId))?.quarantinedCount, 0);
    t.ok((await codes(world)).includes('terminal.quarantined'));
  },
);

inWorld(t, 'a person may let the sales of a copy count: applied once, without a place', async (t, { world, box }) => {
  const copy = box.clone();
  await box.tell(plain());
  const forked = copy.record(plain(200));
  await copy.send(forked);
  const released = await world.host.terminals.releaseQuarantine(box.terminalId, 'owner', 'applyForks');
  t.match(released, { value: { accepted: 1, refused: 0 } });
  t.same(await answersOf(copy, forked), ['accepted'], 'and the same answer again');
  t.same((await world.host.deadLetters.list('open')).rows, []);
  const late = copy.record(plain(300));
  t.same(await answersOf(copy, late), ['host.quarantined'], 'what follows the fork in the closed epoch waits');
  t.equal((await world.host.terminals.get(box.terminalId))?.state, 'active', 'and holds up nobody');
  const envelopes = [forked, late];
  const taken = await world.host.terminals.takeIn(box.terminalId, envelopes, 'owner');
  t.same(taken.ok && taken.value.map(said), ['accepted', 'accepted'], 'until a person brings it');
  t.equal((await world.host.terminals.get(box.terminalId))?.quarantinedCount, 0);
  t.match(await world.host.terminals.takeIn('t-000000000000', envelopes, 'owner'), {
    error: { code: 'access.denied' },
  });
});

inWorld(t, 'a hash that does not follow breaks the chain', async (t, { box }) => {
  await box.tell(plain());
  const record = box.record(plain());
  t.same(await answersOf(box, { ...record, previousHash: '00'.repeat(32) }), ['host.quarantined']);
});

t.test('fault 6: the host restored from a backup takes everything again, once', async (t) => {
  const folder = t.testdir();
  const world = await openWorld({ path: `${folder}/host.sqlite` });
  t.teardown(() => world.close());
  const box = await world.box();
  const phone = await world.phone('13800000000');
  const before = box.record(earn(box, phone, 10_000));
  await box.send(before);
  await world.host.backup(`${folder}/backup.sqlite`);
  const sale = earn(box, phone, 20_000);
  const after = box.record(sale);
  await box.send(after);
  await box.raise('regressed');
  const newest = box.record(undo(sale));
  await box.send(newest);

  const restored = await openWorld({ path: `${folder}/backup.sqlite`, seed: 99 });
  t.teardown(() => restored.close());
  const again = await restored.host.intake(box.terminalId, { records: [newest, after, before], newestSeen: [] });
  t.same(again.ok && again.value.answers.map(said), ['accepted', 'accepted', 'accepted']);
  t.match(await restored.host.members.byCode(phone.memberCode), { points: 100, pointsOwed: 0 });
  t.ok((await restored.host.alarms()).rows.some((alarm) => alarm.code === 'chain.epochAhead'));
  t.same(await restored.host.checkStore(), []);
});

t.test('fault 6: a host that lost what it had answered takes nothing, says so, and then takes all', async (t) => {
  const folder = t.testdir();
  const world = await openWorld({ path: `${folder}/host.sqlite` });
  t.teardown(() => world.close());
  const box = await world.box();
  const [first, lost, next] = [box.record(plain()), box.record(plain()), box.record(plain())];
  const { watermark: early } = await box.send(first);
  t.match(early, { recordsHeld: 1, wentBack: false });
  await world.host.backup(`${folder}/backup.sqlite`);
  const { watermark: late } = await box.send(lost);
  t.match(late, { recordsHeld: 2, newest: idIn(lost), wentBack: false });

  const restored = await openWorld({ path: `${folder}/backup.sqlite`, seed: 99 });
  t.teardown(() => restored.close());
  const seen = (newest: typeof early.newest) => (newest === null ? [] : [newest]);
  const send = async (newestSeen: typeof early.newest, ...records: readonly Envelope[]) =>
    must(await restored.host.intake(box.terminalId, { records: [...records], newestSeen: seen(newestSeen) }));
  t.match(await send(late.newest), { answers: [], watermark: { newest: idIn(first), wentBack: true } });
  t.match(await send(early.newest), { answers: [], watermark: { wentBack: false } }, 'a box with nothing to send');
  const told = await send(late.newest, next);
  t.same(told.answers.map(said), ['host.busy'], 'it may build on what is lost');
  t.match(told.watermark, { sequence: 1, recordsHeld: 1, newest: idIn(first), wentBack: true });
  const asked = must(
    await restored.host.authorise(box.terminalId, {
      record: next,
      newestSeen: [...seen(early.newest), ...seen(late.newest)],
    }),
  );
  t.equal(said(asked.answer), 'host.busy');
  t.match((await restored.host.alarms()).rows, [{ code: 'ledger.wentBack' }]);
  const again = await send(told.watermark.newest, first, lost, next);
  t.same(again.answers.map(said), ['accepted', 'accepted', 'accepted']);
  t.match(again.watermark, { sequence: 3, recordsHeld: 3, newest: idIn(next), wentBack: false });
  t.same(await restored.host.checkStore(), []);
});

inWorld(
  t,
  'fault 7: a box restored from an old snapshot is refused, and comes back with a new epoch',
  async (t, { world, box }) => {
    await box.tell(plain());
    const snapshot = box.clone();
    await box.tell(plain());
    t.same(await answersOf(snapshot, snapshot.record(plain(300))), ['host.quarantined']);
    await world.host.terminals.releaseQuarantine(box.terminalId, 'owner');
    t.equal((await world.host.terminals.get(box.terminalId))?.epoch, 2, 'the epoch of the fork is closed');
    await snapshot.raise('regressed');
    const answer = await snapshot.send(snapshot.record(plain()));
    t.same(answer.answers.map(said), ['accepted']);
    t.match(answer.watermark, { epoch: 3, sequence: 1 });
    world.clock.nowMs += 3 * 86_400_000;
    t.same(await answersOf(box, box.record(plain())), ['host.quarantined'], 'the old epoch goes on: a copy lives');
  },
);

inWorld(t, 'fault 27: records of another terminal are refused whole and alarmed', async (t, { world, box }) => {
  const other = await world.box('other');
  const answer = await world.host.intake(box.terminalId, {
    records: [box.record(plain()), other.record(plain())],
    newestSeen: [],
  });
  t.match(answer, { ok: false, error: { code: 'record.foreign' } });
  await world.host.intake(box.terminalId, { records: [other.record(plain())], newestSeen: [] });
  t.match((await world.host.alarms()).rows, [{ code: 'record.foreign', count: 2 }]);
  t.equal((await box.send(box.record(plain()))).watermark.sequence, 0, 'its first record was not taken either');
  t.match(await world.host.intake('t-000000000000', { records: [other.record(plain())], newestSeen: [] }), {
    error: { code: 'record.foreign' },
  });
});

inWorld(t, 'fault 29: a revoked terminal’s records are held, and may still be judged', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  await world.host.terminals.revoke(box.terminalId, 'stolen');
  t.same(await answersOf(box, box.record(earn(box, phone, 10_000))), ['host.quarantined']);
  t.match(await world.host.members.byCode(phone.memberCode), { points: 0 });
  await world.host.terminals.releaseQuarantine(box.terminalId, 'owner');
  t.match(await world.host.members.byCode(phone.memberCode), { points: 100 });
  t.equal((await world.host.terminals.get(box.terminalId))?.state, 'revoked');
});

inWorld(
  t,
  'fault 60: one bad record goes alone; its place is found by its fields or by its hash',
  async (t, { world, box }) => {
    const good = box.record(plain());
    box.sequence++;
    const odd = box.seal(
      utf8(
        JSON.stringify({
          version: 9,
          transactionId: newId(),
          terminalId: box.terminalId,
          epoch: 1,
          sequence: box.sequence,
        }),
      ),
    );
    box.sequence++;
    const garbage = box.seal(utf8('{"what": is this'));
    box.sequence++;
    const more = box.seal(utf8('['));
    const last = box.record(plain());
    const response = await box.send(last, more, good, garbage, odd);
    t.same(response.answers.map(said), [
      'accepted',
      'record.malformed',
      'accepted',
      'record.malformed',
      'record.malformed',
    ]);
    t.equal(response.watermark.sequence, 5);
    t.same((await box.send(garbage)).answers, [response.answers[3]]);
    box.sequence++;
    const alone = box.seal(utf8('not JSON'));
    t.same(await answersOf(box, alone), ['record.malformed'], 'behind the record whose hash it follows');
    t.equal((await world.host.deadLetters.list('open')).rows.length, 4);
    const [letter] = (await world.host.deadLetters.list('open')).rows;
    t.match(await world.host.deadLetters.settle(letter?.id ?? '', 'owner', 'looked at the box'), { ok: true });
    t.match(await world.host.deadLetters.settle(letter?.id ?? '', 'owner', 'again'), { ok: false });
    t.equal((await world.host.deadLetters.list('settled')).rows.length, 1);
  },
);

inWorld(
  t,
  'fault 58: what refers to a record that is still on its way waits for it; a stranger’s is refused',
  async (t, { world, box }) => {
    const phone = await world.phone('13800000000');
    const sale = earn(box, phone, 10_000);
    const [first, second, third] = [box.record(sale), box.record(refund(sale, 4_000)), box.record(complete(sale))];
    t.same(await answersOf(box, third, second), ['host.busy', 'host.busy']);
    t.same(
      await answersOf(box, third, second, first),
      ['accepted', 'accepted', 'accepted'],
      'in one batch the order is the box’s own',
    );
    t.match(await world.host.members.byCode(phone.memberCode), { points: 60 });
    t.equal(said(await box.tell({ kind: 'void', reference: null, original: newId() })), 'original.unknown');
  },
);

inWorld(t, 'realms never mix', async (t, { world, box }) => {
  t.equal(said(await box.tell({ ...plain(), simulated: true })), 'record.wrongRealm');
  t.equal((await world.host.deadLetters.list('open')).rows.length, 1);
});

inWorld(t, 'fault 14, 15: negative and oversized values never reach the ledger', async (t, { box }) => {
  const phone = { tap: () => ({ method: 'memberCode', code: 'SLM0000000000000' }) } as never;
  for (const points of [-1, 1.5, 2 ** 53, 1e308])
    t.equal(said(await box.tell(earn(box, phone, 100, { points }))), 'record.malformed', String(points));
  t.equal(said((await box.ask(spend(box, phone, 100, -5))).answer), 'record.malformed');
});

inWorld(t, 'consumption: one per sale, listed three ways, months counted as they come', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const keyId = Buffer.from(phone.keyId).toString('hex');
  const sale = newId();
  const consumption = (of: typeof sale, businessId: string | null, amountMinor: number) =>
    ({
      kind: 'consumption',
      sale: of,
      businessId,
      amountMinor,
      currency: 'CNY',
      category: 'dining',
      location: 'here',
      merchant: 'm',
    }) as const;
  t.equal(said(await box.tell(consumption(sale, keyId, 5_000))), 'accepted');
  t.match(await box.tell(consumption(sale, keyId, 5_000)), { notices: ['consumption.known'] });
  await box.tell(consumption(newId(), phone.memberCode, 2_000));
  await box.tell(consumption(newId(), null, 9_000));
  await box.tell({ ...consumption(newId(), keyId, 1_000), atWallMs: world.clock.nowMs - 40 * 86_400_000 });
  const list = async (by: Parameters<typeof world.host.consumption.list>[0], limit?: number) =>
    (await world.host.consumption.list(by, limit ? { limit } : {})).rows.map((row) => row.amountMinor);
  t.same(await list({ memberCode: phone.memberCode }), [5_000, 2_000, 1_000]);
  t.same(await list({ businessId: keyId }), [5_000, 1_000]);
  t.same(await list({ terminalId: box.terminalId }), [5_000, 2_000, 9_000, 1_000]);
  const page = await world.host.consumption.list({ terminalId: box.terminalId }, { limit: 3 });
  t.same(
    (await world.host.consumption.list({ terminalId: box.terminalId }, { cursor: page.next })).rows.map(
      (row) => row.amountMinor,
    ),
    [1_000],
  );
  t.match((await world.host.consumption.months(phone.memberCode)).rows, [
    { month: '2026-01', count: 1, amountMinor: 1_000 },
    { month: '2026-03', count: 2, amountMinor: 7_000 },
  ]);
});

inWorld(t, 'fault 60: a record the ledger cannot bear goes alone and stays visible', async (t, { world, box }) => {
  const [sick, well] = [await world.phone('13800000000'), await world.phone('13800000001')];
  const id = Buffer.from(sick.keyId).toString('hex');
  await world.store.transact(
    (need) => void need.get('memberKey', id),
    (facts) => {
      const key = facts.get('memberKey', id);
      if (key) facts.write([put('memberKey', { ...key, wrapped: key.wrapped.slice(0, 5) })]);
    },
  );
  const records = [earn(box, sick, 10_000), earn(box, well, 10_000)].map((draft) => box.record(draft));
  const response = await box.send(...records);
  t.same(response.answers.map(said), ['record.malformed', 'accepted']);
  t.equal(response.watermark.sequence, 2);
  t.match((await world.host.deadLetters.list('open')).rows, [
    { kind: 'pointsEarn', worthMinor: 10_000, worthPoints: 100 },
  ]);
  t.match(await world.host.members.byCode(well.memberCode), { points: 100 });
  t.same(await codes(world), ['record.poisoned']);
});

inWorld(t, 'a reversal goes before what it undoes, also within one batch', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const sale = spend(box, phone, 10_000, 100);
  t.same(await answersOf(box, box.record(sale), box.record(reverse(sale))), ['record.reversed', 'accepted']);
  t.same((await world.host.deadLetters.list('open')).rows, [], 'nothing was given, so nobody has to look');
  t.equal((await box.send(box.record(plain()))).watermark.sequence, 3);
});

inWorld(
  t,
  'a refusal that the box never heard, of a sale it had accepted, is a dead letter',
  async (t, { world, box }) => {
    const stranger = await world.phone('13800000000');
    stranger.key.fill(0);
    const [bonus, paid] = [earn(box, stranger, 10_000), spend(box, stranger, 10_000, 100)].map((draft) =>
      box.record(draft),
    );
    for (const record of [bonus, paid])
      t.equal(
        said(must(await world.host.authorise(box.terminalId, { record: record as Envelope, newestSeen: [] })).answer),
        'credential.wrongProof',
      );
    t.same((await world.host.deadLetters.list('open')).rows, [], 'the box that hears it shows it to its clerk');
    for (let times = 0; times < 2; times++)
      t.same(await answersOf(box, bonus as Envelope, paid as Envelope), [
        'credential.wrongProof',
        'credential.wrongProof',
      ]);
    t.match((await world.host.deadLetters.list('open')).rows, [
      { kind: 'pointsEarn', code: 'credential.wrongProof', worthPoints: 100 },
    ]);
    t.equal((await world.host.deadLetters.list('open')).rows.length, 1, 'the spend was reversed: it gave nothing');
  },
);

/** How many of these records the host remembers as waiting. */
const waitingOf = (world: World, ...records: readonly Envelope[]): Promise<number> =>
  world.store.transact(
    (need) => {
      for (const record of records) need.get('waiting', idIn(record));
    },
    (facts) => records.filter((record) => facts.get('waiting', idIn(record)) !== undefined).length,
  );

inWorld(
  t,
  'what undoes a record that never comes waits for three days of the host, then is a dead letter; the rest goes on',
  async (t, { world, box }) => {
    const phone = await world.phone('13800000000');
    const [buried, torn] = [earn(box, phone, 10_000), spend(box, phone, 10_000, 100)];
    box.record(buried);
    box.record(torn);
    // A clock that is wrong, or in doubt, neither shortens nor lengthens it.
    const waiting = [
      box.record(undo(buried)),
      box.record({ ...refund(buried, 100), atWallMs: 4_000_000_000_000 }),
      box.record({ ...complete(torn), atWallMs: 1_000, clockDoubtful: true }),
    ];
    const busy = waiting.map(() => 'host.busy');
    t.same(await answersOf(box, ...waiting), busy);
    t.equal(await waitingOf(world, ...waiting), 3);
    world.clock.nowMs += untoldWaitMs - 1;
    t.same(await answersOf(box, ...waiting, box.record(plain())), [...busy, 'accepted']);
    world.clock.nowMs += 1;
    t.same(
      await answersOf(box, ...waiting),
      waiting.map(() => 'original.unknown'),
    );
    t.same((await world.host.deadLetters.list('open')).rows.map(({ kind }) => kind).sort(), [
      'completion',
      'refund',
      'void',
    ]);
    t.equal(await waitingOf(world, ...waiting), 0, 'nothing of it is left');
    world.clock.nowMs += 86_400_000;
    t.same(
      await answersOf(box, ...waiting),
      waiting.map(() => 'original.unknown'),
    );
    const fresh = plain();
    const [sale, late] = [box.record({ ...fresh, transactionId: newId() }), box.record(plain())];
    const undone = box.record(undo(JSON.parse(sale.body)));
    t.same(await answersOf(box, undone, late), ['host.busy', 'accepted'], 'the gap ends no other wait');
    t.same(await answersOf(box, sale, undone), ['accepted', 'accepted']);
  },
);

inWorld(t, 'a box that was off for weeks: an undo may overtake what it undoes', async (t, { world, box }) => {
  const phone = await world.phone('13800000000');
  const sale = earn(box, phone, 10_000);
  const [original, undone] = [box.record(sale), box.record(undo(sale))];
  world.clock.nowMs += 10 * untoldWaitMs;
  t.same(await answersOf(box, undone), ['host.busy']);
  t.same(await answersOf(box, original), ['accepted']);
  t.same(await answersOf(box, undone), ['accepted']);
  t.equal(await waitingOf(world, undone), 0);
  t.match(await world.host.members.byCode(phone.memberCode), { points: 0 });
  t.same((await world.host.deadLetters.list('open')).rows, []);
});

inWorld(t, 'a body that hides its place behind a record that never comes', async (t, { world, box }) => {
  box.record(plain());
  const hidden = box.seal(utf8('not a record'));
  box.sequence++;
  t.same(await answersOf(box, hidden), ['host.busy']);
  t.same(await answersOf(box, box.record(plain())), ['accepted']);
  world.clock.nowMs += untoldWaitMs;
  t.same(await answersOf(box, hidden), ['record.malformed']);
  t.same(await answersOf(box, hidden), ['record.malformed'], 'and again the same');
  t.same(await codes(world), ['record.malformed']);
  t.match((await world.host.deadLetters.list('open')).rows, [{ code: 'record.malformed' }]);
});
