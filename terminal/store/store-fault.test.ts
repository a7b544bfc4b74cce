/**
 * Shows what the store does when the disk is full or read-only and when the file is damaged, edited or another's: refuse
 * before value moves, end what has begun, stop visibly, and bring out what can be read. By doing each to real files.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { nativeCrypto } from '../kernel/native.js';
import { openTerminalStore, type SqliteStore } from './open.js';
import {
  acceptedAnswer,
  earn,
  fixtureStart,
  fixtureTerminal,
  type Step,
  spendIntent,
  spendOutcome,
} from './sale-fixtures.js';
import { exportSalvage } from './salvage.js';

const put = (store: SqliteStore, { sale, records }: Step) => store.persist(sale, records, fixtureStart);
const open = (file: string) => openTerminalStore({ file, crypto: nativeCrypto });

/** A box with `count` earns, the first ten records answered; closed. */
function filled(file: string, count: number): void {
  const store = open(file);
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  for (let serial = 1; serial <= count; serial++) put(store, earn(serial));
  const first = store.recordsIn('unsent', 10);
  store.settle(
    first.map(({ transactionId }) => ({
      ...{ transactionId, answer: acceptedAnswer(transactionId), knownToSale: false },
    })),
    null,
  );
  for (const action of ['login', 'logout']) {
    store.appendAudit({ atWallMs: fixtureStart, actor: 'technician', action, detail: '' });
  }
  store.close();
}

/** Mounts a small file system of its own, or says why that cannot be had. */
function smallDisk(folder: string): string | null {
  mkdirSync(folder);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', folder], { encoding: 'utf8' });
  return mounted.status === 0
    ? null
    : `no small disk can be mounted here (needs root): ${String(mounted.stderr).trim()}`;
}

/** Takes every block that is left. */
function fillUp(file: string): void {
  const descriptor = openSync(file, 'w');
  const chunk = Buffer.alloc(4_096, 1);
  try {
    for (;;) writeSync(descriptor, chunk);
  } catch {
    closeSync(descriptor);
  }
}

t.test('a full disk, and a read-only one', async (t) => {
  const folder = join(t.testdir(), 'disk');
  const reason = smallDisk(folder);
  if (reason) {
    t.pass('', { skip: reason });
    return;
  }
  try {
    fullThenReadOnly(t, folder);
  } finally {
    spawnSync('umount', ['-l', folder]);
  }
});

function fullThenReadOnly(t: Test, folder: string): void {
  const file = join(folder, 'box.db');
  filled(file, 20);
  let store = open(file);
  put(store, spendIntent(21));
  fillUp(join(folder, 'filler'));
  // The intent's frames may have left a little room in the WAL's last block: the outcome is larger than that.
  put(store, spendOutcome(21, 'accepted'));
  t.match(store.saleByReference('till-1-21'), { sale: { commit: 'ended' } }, 'what had begun is written to its end');
  t.notOk(statSync(`${file}-reserve`, { throwIfNoEntry: false }), 'in the room that the reserve gave up');

  fillUp(join(folder, 'filler-2'));
  const before = store.gauges();
  t.throws(() => put(store, spendIntent(22)), { code: 'store.full' });
  t.throws(() => put(store, earn(23)), { code: 'store.full' });
  t.same(store.gauges(), before);
  t.equal(store.saleByReference('till-1-22'), null);
  t.equal(store.verifyChains(), null);
  store.close();

  store = open(file);
  t.same(store.gauges(), before, 'what was there is safe');
  t.throws(() => put(store, earn(24)), { code: 'store.full' });
  rmSync(join(folder, 'filler'));
  rmSync(join(folder, 'filler-2'));
  put(store, earn(25));
  t.ok(statSync(`${file}-reserve`).size > 0, 'with room again, the reserve stands and sales go on');
  t.equal(store.verifyChains(), null);
  store.close();

  t.equal(spawnSync('mount', ['-o', 'remount,ro', folder]).status, 0);
  t.throws(() => open(file), { code: 'store.failed' }, 'a read-only database stops the box at its start');
}

/** What someone does to the file with sqlite3 while the box is off, and what no edit may get past. */
const edits = [
  ["UPDATE journal SET body = replace(body, '30000', '90000') WHERE number = 7", /journal row 7: body and hash/],
  ['UPDATE journal SET id = zeroblob(16) WHERE number = 140', /journal row 140: body and columns/],
  ["UPDATE journal SET kind = 'reversal' WHERE number = 139", /journal row 139: body and columns/],
  ['UPDATE journal SET sequence = sequence + 1 WHERE number = 8', /journal row 8: sequence/],
  ['DELETE FROM journal WHERE number = 9', /journal row 9 is missing/],
  ['DELETE FROM journal WHERE number = 1', /journal row 1 is missing/],
  ['DELETE FROM journal WHERE number >= 139', /journal row 139 is missing at the end/],
  ['UPDATE journal SET hash = zeroblob(32) WHERE number = 140', /journal row 140: body and hash/],
  ['DELETE FROM outbox WHERE place = (SELECT min(place) FROM outbox)', /neither queued nor answered/],
  ['DELETE FROM outbox', /neither queued nor answered/],
  ['UPDATE outbox SET id = zeroblob(16) WHERE place = (SELECT max(place) FROM outbox)', /queued under another id/],
  ['UPDATE outbox SET place = place + 1000000 WHERE place = (SELECT max(place) FROM outbox)', /neither queued nor/],
  ['INSERT INTO outbox VALUES (99999999, zeroblob(16))', /queue holds records/],
  ["INSERT INTO answer VALUES (30, 0, '{}')", /queued, but answered/],
  ["INSERT INTO answer VALUES (140, 0, '{}')", /counters of queue/],
  ['DELETE FROM answer WHERE number = 3', /neither queued nor answered/],
  ['UPDATE answer SET dead = 1 WHERE number = 3', /counters of queue/],
  ['UPDATE journal SET worth_minor = 5 WHERE number = 20', /worth of the queue/],
  ['UPDATE counters SET unsent = 0', /counters of queue/],
  ['UPDATE counters SET next_sequence = 5', /next sequence/],
  ['UPDATE counters SET last_hash = zeroblob(32)', /last journal row/],
  ["UPDATE chain SET terminal_id = 't-ffffffffffff'", /journal row 1: does not follow/],
  ['DELETE FROM sale WHERE number = 70', /a sale is missing/],
  ['DELETE FROM sale_key WHERE number = 4', /sale 4 is not where its id says/],
  ["UPDATE audit SET detail = 'nothing' WHERE number = 1", /audit row 1 was changed/],
  ['DELETE FROM audit WHERE number = 1', /audit row 1 is missing/],
  ['DELETE FROM audit WHERE number = 2', /audit row 2 is missing at the end/],
] as const;

t.test('rows edited or deleted from outside show', async (t) => {
  const folder = t.testdir();
  const whole = join(folder, 'whole.db');
  filled(whole, 70);
  const clean = open(whole);
  t.equal(clean.verifyChains(), null);
  clean.close();
  for (const [index, [sql, detail]] of edits.entries()) {
    const file = join(folder, `${index}.db`);
    writeFileSync(file, readFileSync(whole));
    const db = new Database(file);
    db.pragma('foreign_keys = OFF');
    const { changes } = db.prepare(sql).run();
    db.close();
    const store = open(file);
    t.match(store.verifyChains(), { code: 'store.chainBroken', detail }, sql);
    t.not(changes, 0);
    store.close();
  }
});

t.test('a damaged file stops the box, stays as it is, and what can be read of it comes out', async (t) => {
  const folder = t.testdir();
  const whole = join(folder, 'whole.db');
  filled(whole, 70);
  const bytes = readFileSync(whole);
  const page = 1_024;
  const damage = (name: string, from: number, to: number): string => {
    const file = join(folder, name);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, from), Buffer.alloc(to - from, 0xa5), bytes.subarray(to)]));
    return file;
  };
  const lines = (file: string) =>
    readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { number: number | null; hash: string | null; body: string });

  const all = exportSalvage(whole, join(folder, 'all.jsonl'));
  t.match(all, { rows: 140, unreadable: 0 });
  const store = open(whole);
  t.same(
    lines(join(folder, 'all.jsonl'))
      .slice(0, 140)
      .reverse()
      .map(({ hash, body }) => ({ hash, body })),
    store.journal(200, null).map(({ hash, body }) => ({ hash, body })),
  );
  store.close();

  const headless = damage('headless.db', 0, page);
  t.throws(() => open(headless), { code: 'store.corrupt' });
  const fingerprint = createHash('sha256').update(readFileSync(headless)).digest('hex');
  const found = exportSalvage(headless, join(folder, 'headless.jsonl'));
  t.equal(found.rows, 0);
  t.ok(found.found > 70, `${found.found} of 140 bodies found in the bytes alone`);
  t.equal(createHash('sha256').update(readFileSync(headless)).digest('hex'), fingerprint);
  for (const { body } of lines(join(folder, 'headless.jsonl'))) JSON.parse(body);

  const middle = Math.floor(bytes.length / page / 2) * page;
  const holed = damage('holed.db', middle, middle + 40 * page);
  let code: string | null = null;
  try {
    const damaged = open(holed);
    code = damaged.verifyChains()?.code ?? null;
    if (code === 'store.corrupt') t.throws(() => put(damaged, earn(71)), { code: 'store.corrupt' });
    damaged.close();
  } catch (cause) {
    code = (cause as { code?: string }).code ?? null;
  }
  t.equal(code, 'store.corrupt');
  const partly = exportSalvage(holed, join(folder, 'holed.jsonl'));
  t.ok(partly.rows + partly.found > 70 && partly.rows + partly.found < 140, JSON.stringify(partly));
  t.throws(() => exportSalvage(holed, join(folder, 'holed.jsonl')), { code: 'store.failed' }, 'overwrites nothing');
  t.throws(() => exportSalvage(join(folder, 'none.db'), join(folder, 'none.jsonl')), { code: 'store.failed' });
});

t.test("a newer version's database and another program's are refused", async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'box.db');
  filled(file, 1);
  const db = new Database(file);
  db.pragma('user_version = 99');
  db.close();
  t.throws(() => open(file), { code: 'store.newer' });
  const other = join(folder, 'other.db');
  const foreign = new Database(other);
  foreign.exec('CREATE TABLE theirs (x)');
  foreign.close();
  t.throws(() => open(other), { code: 'store.corrupt' });
});
