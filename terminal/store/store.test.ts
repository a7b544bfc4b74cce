/**
 * Shows what the store keeps of sales, records, answers, settings, audit, directives and identity, and that a reopened
 * database says the same. By persisting sales of every flow on real files and reading them back through the port.
 */

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { bodyDigest, chainHash, genesisHash } from '../../host-sync/protocol/record.js';
import { offlineLimitsDefault } from '../../host-sync/protocol/sync.js';
import type { PersistedSale } from '../core/sale.js';
import { toHex, utf8 } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import { nativeCrypto } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import type { AmountMinor, Points, WallMs } from '../kernel/units.js';
import { markRestored, restoredSetting } from './backup.js';
import { openTerminalStore, type SqliteStore } from './open.js';
import {
  acceptedAnswer,
  cardKeyId,
  earn,
  fixtureStart,
  fixtureTerminal,
  plainSale,
  refusedAnswer,
  request,
  type Step,
  siteDebit,
  spendIntent,
  spendOutcome,
  undo,
} from './sale-fixtures.js';

const nobody = new Set<never>();
const put = (store: SqliteStore, ...steps: readonly Step[]) => {
  for (const { sale, records } of steps) store.persist(sale, records, fixtureStart);
};

function opened(file: string): SqliteStore {
  const store = openTerminalStore({ file, crypto: nativeCrypto });
  if (!store.identity()) store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  return store;
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the fixture has fewer parts than that');
  return value;
}

/** Everything that the port can say of history, for comparing before and after. */
const seen = (store: SqliteStore) => ({
  gauges: store.gauges(),
  sales: store.sales(200, null),
  journal: store.journal(200, null),
  unsent: store.recordsIn('unsent', 200),
  dead: store.recordsIn('dead', 200),
  next: store.nextUnsent(500, nobody).map(({ attempts: _, ...record }) => record),
  open: store.unfinishedSale(),
  identity: store.identity(),
});

t.test('a commit point stores records, queue, sale and counters together, chained as the protocol says', async (t) => {
  const store = opened(':memory:');
  put(store, earn(1), spendIntent(2));
  t.match(store.unfinishedSale(), { commit: 'intent' });
  t.match(store.gauges(), { unsent: 3, unsentWorthMinor: 500, unsentPoints: 800, dead: 0, nextSequence: 4 });
  put(store, spendOutcome(2, 'accepted'));
  t.equal(store.unfinishedSale(), null);
  t.equal(store.saleByReference('till-1-2')?.sale.commit, 'ended');
  t.match(store.gauges(), { unsent: 5, unsentWorthMinor: 1_000, unsentPoints: 1_300, nextSequence: 6 });

  const entries = [...store.journal(200, null)].reverse();
  t.same(
    entries.map(({ sequence, kind }) => [sequence, kind]),
    [
      [1, 'pointsEarn'],
      [2, 'consumption'],
      [3, 'pointsSpend'],
      [4, 'completion'],
      [5, 'consumption'],
    ],
  );
  let previous = genesisHash(nativeCrypto, fixtureTerminal, 1);
  for (const entry of entries) {
    t.equal(entry.previousHash, toHex(previous));
    previous = chainHash(nativeCrypto, previous, bodyDigest(nativeCrypto, utf8(entry.body)));
    t.equal(entry.hash, toHex(previous));
    t.match(JSON.parse(entry.body), {
      terminalId: fixtureTerminal,
      epoch: 1,
      sequence: entry.sequence,
      transactionId: entry.transactionId,
    });
  }
  t.equal(store.verifyChains(), null);
  t.same(store.journal(2, { epoch: 1, sequence: 4 }), [...entries].reverse().slice(2, 4), 'pages go on below a place');
  t.same(store.journal(2, { epoch: 9, sequence: 4 }), [], 'an epoch that never was');
  store.close();
});

t.test('sending order is reversals, value, records; by sequence within each, whether filed or not', async (t) => {
  const store = opened(':memory:');
  // 60 earns are 120 records: more than one filing takes, so that both places are read.
  for (let serial = 1; serial <= 60; serial++) put(store, earn(serial));
  put(store, spendIntent(61), spendOutcome(61, 'refused'));
  const bare = plainSale(62);
  put(store, bare, undo(63, bare, null, 'accepted'), undo(64, earn(1), 100, 'accepted'), earn(65));
  const all = store.nextUnsent(500, nobody);
  const last = ['plainSale', 'void', 'refund', 'consumption'];
  const classOf = (kind: string) => (kind === 'reversal' ? 0 : last.includes(kind) ? 2 : 1);
  t.equal(all.length, 127);
  t.same(
    all.slice(-4).map(({ kind }) => kind),
    last,
    'an undo goes behind what it undoes',
  );
  t.same(
    all.map(({ sequence }) => sequence),
    [...all]
      .sort((a, b) => classOf(a.kind) - classOf(b.kind) || a.sequence - b.sequence)
      .map(({ sequence }) => sequence),
  );
  t.equal(all[0]?.kind, 'reversal');
  const holdings: Readonly<Record<string, (index: number) => boolean>> = {
    ...{ 'the first two': (index) => index < 2, 'the first of each class and more': (index) => index < 70 },
    ...{ 'every third': (index) => index % 3 === 0, 'one in the middle': (index) => index === 30 },
    ...{ 'all but the last': (index) => index < 126, all: () => true },
  };
  for (const [which, isHeld] of Object.entries(holdings)) {
    const held = new Set(all.filter((_, index) => isHeld(index)).map(({ transactionId }) => transactionId));
    for (const limit of [1, 10, 100, 200])
      t.same(
        store.nextUnsent(limit, held).map(({ sequence }) => sequence),
        all
          .filter((_, index) => !isHeld(index))
          .slice(0, limit)
          .map(({ sequence }) => sequence),
        `held: ${which}; others take their place up to ${limit}`,
      );
  }
  const attempts = (): number | undefined => store.nextUnsent(3, nobody)[2]?.attempts;
  const before = attempts() ?? Number.NaN;
  t.equal(attempts(), before + 1, 'attempts count how often it was handed out');
  t.same(
    store.recordsIn('unsent', 5).map(({ sequence }) => sequence),
    [1, 2, 3, 4, 5],
  );
  t.equal(store.gauges().oldestUnsentWallMs, fixtureStart);
  store.close();
});

t.test(
  'answers: accepted settles, refused becomes a dead letter unless the sale knew it, repeats change nothing',
  async (t) => {
    const file = join(t.testdir(), 'box.db');
    let store = opened(file);
    for (let serial = 1; serial <= 51; serial++) put(store, earn(serial));
    const queue = store.recordsIn('unsent', 200);
    const idAt = (index: number) => must(queue[index]).transactionId;
    const [filed, recent, refused, known] = [idAt(0), idAt(100), idAt(2), idAt(4)];
    const answers = [
      { transactionId: filed, answer: acceptedAnswer(filed), knownToSale: false },
      { transactionId: recent, answer: acceptedAnswer(recent), knownToSale: false },
      { transactionId: refused, answer: refusedAnswer(refused), knownToSale: false },
      { transactionId: known, answer: refusedAnswer(known), knownToSale: true },
    ];
    store.settle([...answers, ...answers], null);
    store.settle(answers, null);
    for (const reopened of [false, true]) {
      if (reopened) {
        store.close();
        store = opened(file);
      }
      t.match(store.gauges(), { unsent: 98, unsentPoints: 47 * 300, dead: 1 });
      t.equal(store.unsentCount(), 98);
      t.match(store.saleByTransaction(filed), { answer: acceptedAnswer(filed) });
      t.match(store.saleByTransaction(recent), { answer: acceptedAnswer(recent) });
      t.same(store.recordsIn('dead', 10), [{ ...queue[2], state: 'dead', answer: refusedAnswer(refused) }]);
      t.match(store.saleByTransaction(known)?.answer, { outcome: 'refused' });
      for (const id of [filed, recent, refused, known]) t.equal(store.unsentByTransaction(id), null);
      t.match(store.unsentByTransaction(idAt(6)), { kind: 'pointsEarn', attempts: 0 });
      t.equal(store.verifyChains(), null);
    }
    store.close();
  },
);

t.test('a reopened database says what it said before, at every point of a filing', async (t) => {
  const file = join(t.testdir(), 'box.db');
  for (let serial = 1; serial <= 110; serial++) {
    let store = opened(file);
    put(store, ...(serial % 5 === 0 ? [spendIntent(serial), spendOutcome(serial, 'refused')] : [earn(serial)]));
    if (serial === 110) put(store, spendIntent(111));
    if (serial % 11 !== 0) {
      store.close();
      continue;
    }
    const before = seen(store);
    store.close();
    store = opened(file);
    t.same(seen(store), before);
    t.equal(store.saleByReference('till-1-3')?.sale.request.reference, 'till-1-3');
    t.equal(store.verifyChains(), null);
    store.close();
  }
  t.equal(statSync(file).mode & 0o777, 0o600, 'only the box reads it');
});

t.test('voids and refunds count on their original only when they ended accepted', async (t) => {
  const store = opened(':memory:');
  const first = earn(1);
  const { transaction } = first.sale.request.ids;
  put(
    store,
    first,
    undo(2, first, 4_000, 'accepted'),
    undo(3, first, 1_000, 'refused'),
    undo(4, first, 250, 'accepted'),
  );
  t.match(store.saleByTransaction(transaction), { refundedMinor: 4_250, voided: false });
  put(store, undo(5, first, null, 'refused'));
  t.match(store.saleByTransaction(transaction), { voided: false });
  const before = store.gauges();
  put(store, undo(6, first, null, 'accepted'));
  t.match(store.saleByTransaction(transaction), { refundedMinor: 4_250, voided: true });
  t.equal(store.gauges().unsentPoints - before.unsentPoints, 300, 'a void is worth what its original is');
  t.same(
    store.sales(2, transaction).map(({ sale }) => sale.request.ids.transaction),
    [],
    'nothing before the first',
  );
  t.equal(store.sales(200, null).length, 6);
  store.close();
});

t.test(
  'what a card paid under the site key counts from the intent on, by UTC day, and is released when refused',
  async (t) => {
    const store = opened(':memory:');
    const spent = (day: number) => store.siteSpentMinor(cardKeyId, (fixtureStart + day * 86_400_000) as WallMs);
    const [intent, ...rest] = siteDebit(1, 2_000, 'accepted');
    put(store, must(intent));
    t.equal(spent(0), 2_000);
    put(store, ...rest);
    t.equal(spent(0), 2_000, 'counted once');
    put(store, ...siteDebit(2, 700, 'unknown'));
    t.equal(spent(0), 2_700, 'a card that may have paid counts');
    const [begun, , refused] = siteDebit(3, 5_000, 'refused');
    put(store, must(begun));
    t.equal(spent(0), 7_700);
    store.persist(must(refused).sale, must(refused).records, (fixtureStart + 86_400_000) as WallMs);
    t.equal(spent(0), 2_700, 'given back on the day it was counted');
    t.equal(spent(1), 0);
    t.equal(spent(-1), 2_700, 'a day before the latest trusted one is read as that one');
    t.equal(store.siteSpentMinor('ffffffffffffffff', fixtureStart), 0);
    t.equal(store.siteSpentMinor('ffffffffffffffff', null), 0);
    for (const { sale, records } of siteDebit(4, 300, 'accepted'))
      store.persist(sale, records, (fixtureStart - 86_400_000) as WallMs);
    t.equal(spent(0), 3_000, 'and is counted as that one');
    t.equal(store.siteSpentMinor(cardKeyId, null), 3_000, 'setting the clock begins no new day');
    store.close();
  },
);

t.test(
  'what cannot be: a second open sale, a sale after its end, records before enrolment, a body too long',
  async (t) => {
    const store = openTerminalStore({ file: ':memory:', crypto: nativeCrypto });
    t.throws(() => put(store, earn(1)), { message: /enrolled/ });
    store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
    put(store, earn(1), spendIntent(2));
    const before = seen(store);
    t.throws(() => put(store, spendIntent(3)), { message: /one sale is open/ });
    t.throws(() => put(store, earn(1)), { message: /ended/ });
    const long = earn(4);
    const [record] = long.records;
    if (record?.kind !== 'pointsEarn') throw new Error('an earn begins with its earn');
    const lines = Array.from({ length: 500 }, () => ({ ...record.bill.lines[0], name: '字'.repeat(120) }));
    const bill = { ...record.bill, lines } as typeof record.bill;
    t.throws(() => store.persist(long.sale, [{ ...record, bill }], fixtureStart), { code: 'input.tooLong' });
    t.same(seen(store), before, 'and nothing of them was written');
    t.equal(store.verifyChains(), null);
    store.close();
  },
);

t.test('a refusal of a sale that ended refused here is no dead letter: nothing was given on it', async (t) => {
  const store = opened(':memory:');
  put(store, spendIntent(1), spendOutcome(1, 'refused'), spendIntent(2), spendOutcome(2, 'accepted'), earn(3));
  for (const { transactionId, kind } of store.nextUnsent(500, nobody))
    if (kind === 'pointsSpend' || kind === 'pointsEarn')
      store.settle([{ transactionId, answer: refusedAnswer(transactionId), knownToSale: false }], null);
  t.same(
    store.recordsIn('dead', 10).map((entry) => entry.kind),
    ['pointsSpend', 'pointsEarn'],
    'what the member was told to be accepted is for a person to settle',
  );
  t.equal(store.verifyChains(), null);
  store.close();
});

t.test('what a restored host lost is queued again, filed or not, with the gauges and across a reopening', async (t) => {
  const file = join(t.testdir(), 'box.db');
  let store = opened(file);
  put(store, ...Array.from({ length: 60 }, (_, serial) => earn(serial + 1)));
  t.same(store.newestSeen(), [], 'nothing is answered yet');
  const before = store.nextUnsent(500, nobody).map(({ attempts: _, ...record }) => record);
  const gauges = store.gauges();
  const newest = store.nextUnsent(1, nobody)[0]?.transactionId ?? null;
  const settleAll = () =>
    store.settle(
      store.nextUnsent(500, nobody).map(({ transactionId, sequence }) => ({
        transactionId,
        answer: sequence === 7 ? refusedAnswer(transactionId) : acceptedAnswer(transactionId),
        knownToSale: false,
      })),
      { newest, named: [] },
    );
  settleAll();
  t.same(store.newestSeen(), [newest]);
  store.requeueAbove({ epoch: 1, sequence: 5, newest: null });
  t.same(store.newestSeen(), [], 'the restored host is the measure now');
  t.equal(store.gauges().dead, 0, 'its refusal is void');
  t.equal(store.verifyChains(), null, 'queue, answers and gauges agree');
  const queued = seen(store);
  t.same(
    queued.next.map(({ sequence }) => sequence).sort((a, b) => a - b),
    Array.from({ length: 115 }, (_, index) => index + 6),
  );
  store.close();
  store = opened(file);
  t.same(seen(store), queued);
  store.requeueAbove({ epoch: 1, sequence: 0, newest: null });
  t.same(
    store.nextUnsent(500, nobody).map(({ attempts: _, ...record }) => record),
    before,
    'the same bytes, in the same order',
  );
  t.same(store.gauges(), gauges);
  settleAll();
  t.equal(store.verifyChains(), null);
  store.close();
});

t.test('more answers than are read at once are all taken back', async (t) => {
  const store = opened(':memory:');
  put(store, ...Array.from({ length: 505 }, (_, serial) => earn(serial + 1)));
  const all = store.nextUnsent(2_000, nobody).map(({ transactionId }) => transactionId);
  store.settle(
    all.map((transactionId) => ({ transactionId, answer: acceptedAnswer(transactionId), knownToSale: false })),
    null,
  );
  t.equal(store.unsentCount(), 0);
  store.requeueAbove({ epoch: 1, sequence: 0, newest: null });
  t.same(
    store.nextUnsent(2_000, nobody).map(({ transactionId }) => transactionId),
    all,
  );
  t.equal(store.verifyChains(), null, 'queue, answers and gauges agree');
  store.close();
});

t.test('what the host was seen to hold is kept with the answers that said so, until one that covers it', async (t) => {
  const file = join(t.testdir(), 'box.db');
  let store = opened(file);
  put(store, earn(1), earn(2));
  const [first, second, third, fourth] = store.nextUnsent(500, nobody).map(({ transactionId }) => transactionId);
  const settle = (id: TransactionId | undefined, named: readonly TransactionId[]) => {
    if (!id) throw new Error('too few records');
    const settled = [{ transactionId: id, answer: acceptedAnswer(id), knownToSale: false }];
    store.settle(settled, { newest: id, named });
  };
  settle(second, []);
  settle(first, []);
  t.same(store.newestSeen(), [second, first], 'of two requests under way at once neither named what the other brought');
  store.close();
  store = opened(file);
  const both = store.newestSeen();
  t.same(both, [second, first]);
  settle(third, both.slice(0, 1));
  t.same(store.newestSeen(), [first, third]);
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 2 });
  settle(fourth, store.newestSeen());
  t.same(store.newestSeen(), [fourth], 'a new epoch is of the same terminal');
  put(store, earn(3));
  store.requeueAbove({ epoch: 2, sequence: 0, newest: first ?? null });
  t.equal(store.unsentCount(), 6, 'of two epochs all goes again: nothing says how much of the first is held');
  t.same(store.newestSeen(), [first]);
  store.setIdentity({ terminalId: 't-00000000beef', epoch: 1 });
  t.same(store.newestSeen(), [], 'another terminal, of which the host holds nothing');
  store.close();
});

t.test('a new epoch begins a new chain, keeps what is unsent, and takes the mark of a restore away', async (t) => {
  const dir = t.testdir();
  const file = join(dir, 'box.db');
  const copy = join(dir, 'copy.db');
  const store = opened(file);
  put(store, earn(1), spendIntent(2));
  const copied = store.backup(copy);
  put(store, spendOutcome(2, 'accepted'));
  await copied;
  const before = seen(store);
  store.close();
  t.equal(statSync(copy).mode & 0o777, 0o600);

  const whole = opened(copy);
  t.equal(whole.verifyChains(), null);
  t.ok(whole.saleByReference('till-1-2'));
  whole.close();

  markRestored(copy, fixtureStart);
  const restored = opened(copy);
  t.equal(restored.setting(restoredSetting), String(fixtureStart));
  t.throws(() => restored.setIdentity({ terminalId: fixtureTerminal, epoch: 0 }), TerminalError);
  restored.setIdentity({ terminalId: fixtureTerminal, epoch: 2 });
  t.equal(restored.setting(restoredSetting), null);
  const unsent = restored.gauges().unsent;
  put(restored, earn(9));
  t.match(restored.journal(2, null)[1], {
    epoch: 2,
    sequence: 1,
    previousHash: toHex(genesisHash(nativeCrypto, fixtureTerminal, 2)),
  });
  t.equal(restored.gauges().unsent, unsent + 2);
  t.match(restored.nextUnsent(1, nobody), [{ epoch: 1, sequence: 1 }]);
  t.equal(restored.verifyChains(), null);
  t.throws(() => restored.setIdentity({ terminalId: fixtureTerminal, epoch: 1 }), { code: 'record.chainBroken' });
  restored.close();

  const original = opened(file);
  t.same(seen(original), before, 'the source of a backup is as it was');
  original.close();
  t.throws(() => markRestored(join(dir, 'none.db'), fixtureStart), { code: 'store.failed' });
});

t.test('directives, products by code and by name, settings, audit', async (t) => {
  const file = join(t.testdir(), 'box.db');
  let store = opened(file);
  const product = (code: string, name: string) => ({ code, name, priceMinor: 1_200, category: 'food' });
  const directives = {
    version: 4,
    merchant: 'm',
    location: 'l',
    merchants: ['M1', 'M2'],
    rules: request(1, { name: 'plainSale' }, null).terms.rules,
    offline: offlineLimitsDefault,
    catalogueVersion: 9,
    credentialKey: `02${'ab'.repeat(32)}`,
  };
  const none = { blocked: [], allowances: [] };
  const whole = (...products: ReturnType<typeof product>[]) => ({ since: 0, products, gone: [] });
  t.equal(store.directives(), null);
  store.setDirectives({
    ...directives,
    ...none,
    catalogue: whole(
      product('1', '黑森林蛋糕'),
      product('2', 'Cake'),
      product('3', 'ＣＡＫＥ large'),
      product('4', 'Tea'),
    ),
  });
  store.setDirectives({ ...directives, version: 5, ...none, catalogue: null });
  t.same(store.directives(), { ...directives, version: 5 });
  t.same(store.productByCode('2'), product('2', 'Cake'));
  t.equal(store.productByCode("2' OR '1'='1"), null);
  const named = (name: string, limit = 10) => store.productsByName(name, limit).map(({ code }) => code);
  t.same(named('Cake'), ['2'], 'an exact name wins');
  t.same(named('cake').sort(), ['2', '3'], 'else all that contain it, full-width and case alike');
  t.same(named('cake', 1).length, 1);
  t.same(named('蛋糕'), ['1']);
  t.same(named('%'), []);
  t.throws(() =>
    store.setDirectives({ ...directives, ...none, catalogue: whole(product('1', 'a'), product('1', 'b')) }),
  );
  t.same(named('Tea'), ['4'], 'a catalogue that cannot be stored leaves the old one');
  const changes = { since: 9, products: [product('5', 'Bun'), product('2', 'Cake two')], gone: ['4'] };
  t.notOk(
    store.setDirectives({ ...directives, ...none, catalogue: { ...changes, since: 8 } }),
    'changes of another version',
  );
  t.ok(store.setDirectives({ ...directives, ...none, catalogueVersion: 10, catalogue: changes }));
  t.same([named('Tea'), named('Bun'), named('Cake two'), named('蛋糕')], [[], ['5'], ['2'], ['1']], 'the rest stands');
  store.setDirectives({ ...directives, ...none, catalogue: whole(product('7', 'New')) });
  t.same([named('Tea'), named('New')], [[], ['7']]);

  store.setSetting('console.pin', 'hash');
  store.setSetting('gone', 'x');
  store.setSetting('gone', null);
  t.throws(() => store.setSetting('long', 'x'.repeat(4_097)), { code: 'input.tooLong' });
  t.throws(() => store.setSetting('n'.repeat(65), 'x'), { code: 'input.tooLong' });
  for (const action of ['login', 'backup']) {
    store.appendAudit({
      atWallMs: fixtureStart,
      actor: 'technician',
      action,
      detail: `half \ud800 ${'x'.repeat(2_000)}`,
    });
  }
  store.close();
  store = opened(file);
  t.equal(store.setting('console.pin'), 'hash');
  t.equal(store.setting('gone'), null);
  t.same(
    store.audit(10).map(({ number, action, detail }) => [number, action, detail.length]),
    [
      [2, 'backup', 1_000],
      [1, 'login', 1_000],
    ],
  );
  t.equal(store.verifyChains(), null);
  store.close();
});

t.test(
  'purge takes old settled history in slices, keeps the chain anchored, and stops at what is not settled',
  async (t) => {
    const file = join(t.testdir(), 'box.db');
    const day = 86_400_000;
    const open = () =>
      openTerminalStore({ file, crypto: nativeCrypto, retention: { retainMs: 30 * day, retainRecords: 10 } });
    let store = open();
    store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
    for (let serial = 1; serial <= 400; serial++) put(store, earn(serial));
    const settle = (count: number) =>
      store.settle(
        store
          .recordsIn('unsent', 200)
          .slice(0, count)
          .map(({ transactionId }) => ({
            ...{ transactionId, answer: acceptedAnswer(transactionId), knownToSale: false },
          })),
        null,
      );
    for (let batch = 0; batch < 3; batch++) settle(200);
    const later = (fixtureStart + 31 * day) as WallMs;
    t.match(store.maintain(later, true), { purgedRecords: 0 }, 'not by a clock in doubt');
    t.match(store.maintain((fixtureStart + 29 * day) as WallMs, false), { purgedRecords: 0 }, 'not before its time');
    t.match(store.maintain(later, false), { purgedRecords: 200, purgedSales: 100 });
    t.equal(store.verifyChains(), null);
    store.close();
    store = open();
    t.equal(store.verifyChains(), null);
    while (store.maintain(later, false).purgedRecords > 0);
    t.equal(store.saleByReference('till-1-300'), null);
    t.ok(store.saleByReference('till-1-301'), 'an unsent record and its sale stay');
    t.equal(store.gauges().unsent, 200);
    t.equal(store.journal(200, null).length, 200);
    settle(200);
    while (store.maintain(later, false).purgedRecords > 0);
    t.ok(store.journal(200, null).length >= 10, 'the newest stay whatever the clock says');
    put(store, earn(401));
    t.equal(store.verifyChains(), null);
    store.close();
  },
);

const dayMs = 86_400_000;
const subject = 'a1a2a3a4a5a6a7a8';
/** An earn without the host on that day after the fixture's start, by a clock that was trusted or not. */
function earnedOn(store: SqliteStore, serial: number, day: number, clockDoubtful: boolean): void {
  const atWallMs = (fixtureStart + day * dayMs) as WallMs;
  const { sale, records } = earn(serial, null);
  if (sale.commit !== 'ended') throw new Error('an earn ends in its only commit');
  const offline = {
    subject,
    kind: 'earn',
    points: 10 as Points,
    minor: 0 as AmountMinor,
    allowanceId: null,
    amount: 0,
  };
  const stamped = records.map((record) => ({ ...record, atWallMs, clockDoubtful }));
  store.persist({ ...sale, offline } as PersistedSale, stamped, atWallMs);
}
const earnsOn = (store: SqliteStore, day: number | null): number =>
  store.offlineUsage(subject, day === null ? null : ((fixtureStart + day * dayMs) as WallMs)).earns;

t.test('the latest trusted time goes ahead with the records, and back with a new epoch alone', (t) => {
  const file = join(t.testdir(), 'box.db');
  let store = opened(file);
  const trustedDay = () => (store.trustedWallMs() - fixtureStart) / dayMs;
  t.equal(store.trustedWallMs(), 0, 'none was stored');
  earnedOn(store, 1, 5, false);
  t.equal(trustedDay(), 5);
  earnedOn(store, 2, -13, true);
  earnedOn(store, 3, 400, true);
  t.equal(trustedDay(), 5, 'a clock in doubt moves it neither way');
  t.equal(earnsOn(store, 5), 2, 'what was given by a clock set back counts on the latest trusted day');
  t.equal(earnsOn(store, -13), 2, 'and no day comes again');
  earnedOn(store, 4, 4, false);
  t.equal(trustedDay(), 5);
  store.close();
  store = opened(file);
  t.equal(trustedDay(), 5, 'it survives the process');
  store.maintain((fixtureStart + 6 * dayMs) as WallMs, false);
  t.equal(trustedDay(), 5, 'a quiet call writes nothing');
  store.maintain((fixtureStart + 50 * dayMs) as WallMs, false);
  t.equal(trustedDay(), 50, 'counters went by that clock: an earlier one may not miss them');
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 2 });
  t.equal(store.trustedWallMs(), 0);
  store.close();
  t.end();
});

t.test('the counters of old days go, though no record is old enough', (t) => {
  const store = opened(':memory:');
  for (let day = 0; day < 60; day++) {
    earnedOn(store, day + 1, day, false);
    for (const { sale, records } of siteDebit(100 + day, 100, 'accepted'))
      store.persist(sale, records, (fixtureStart + day * dayMs) as WallMs);
    const now = (fixtureStart + day * dayMs) as WallMs;
    t.match(store.maintain(now, false), { purgedRecords: 0, purgedSales: 0 });
  }
  t.equal(earnsOn(store, 59), 1);
  t.equal(earnsOn(store, null), 8, 'today and the seven days before');
  t.equal(store.siteSpentMinor(cardKeyId, null), 800);
  const muchLater = (fixtureStart + 99 * dayMs) as WallMs;
  store.maintain(muchLater, true);
  t.equal(earnsOn(store, null), 8, 'a clock in doubt removes nothing');
  store.maintain(muchLater, false);
  t.equal(earnsOn(store, null), 0);
  t.equal(store.siteSpentMinor(cardKeyId, null), 0);
  t.equal(store.journal(200, null).length, 180, 'the records stay');
  store.close();
  t.end();
});

t.test('two processes never share a database, and another version or program is told apart', async (t) => {
  const dir = t.testdir({ 'text.db': 'this is not a database, but long enough to be taken for one '.repeat(20) });
  const file = join(dir, 'box.db');
  const store = opened(file);
  t.throws(() => openTerminalStore({ file, crypto: nativeCrypto }), { code: 'store.failed' });
  store.close();
  t.throws(() => openTerminalStore({ file: join(dir, 'text.db'), crypto: nativeCrypto }), { code: 'store.corrupt' });
  t.equal(readFileSync(join(dir, 'text.db'), 'utf8').startsWith('this is not'), true, 'and is left as it was');
  t.throws(() => openTerminalStore({ file: join(dir, 'no', 'box.db'), crypto: nativeCrypto }), {
    code: 'store.failed',
  });
});
