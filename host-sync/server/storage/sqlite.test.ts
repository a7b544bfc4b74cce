// The SQLite engine: the contract of every store, its own settings and schema, backups under load, and SIGKILL in mid-batch.
// The kill test runs a host as a child process and kills it without warning at moments that differ each round.
import { spawn } from 'node:child_process';
import { chmodSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import t from 'tap';
import { put } from '../ledger/facts.js';
import { tables } from '../ledger/tables.js';
import { earn } from '../sim/sales.js';
import { storeContract } from '../sim/store-contract.js';
import { openWorld } from '../sim/world.js';
import { openSqliteStore } from './sqlite.js';
import { applicationId, migrations } from './sqlite-migrations.js';

void t.test('contract, in memory', async (t) => storeContract(t, { open: async () => openSqliteStore(':memory:') }));
void t.test('contract, on a file', async (t) => {
  let files = 0;
  const folder = t.testdir();
  storeContract(t, { open: async () => openSqliteStore(`${folder}/${files++}.sqlite`) });
});

void t.test('the schema has the tables, columns and lookups of the definition, and nothing else', async (t) => {
  const path = `${t.testdir()}/host.sqlite`;
  await openSqliteStore(path).close();
  const db = new Database(path, { readonly: true });
  t.teardown(() => db.close());
  const inFile = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").pluck().all();
  t.same(inFile, Object.keys(tables).sort());
  for (const [name, table] of Object.entries(tables)) {
    const info = db.pragma(`table_info(${name})`) as { name: string; type: string; notnull: number; pk: number }[];
    const kinds = { text: 'TEXT', integer: 'INTEGER', bytes: 'BLOB' };
    t.same(
      info.map((column) => [column.name, column.type, column.notnull === 0, column.pk === 1]),
      Object.entries(table.columns).map(([column, { kind, nullable }]) => [
        column,
        kinds[kind],
        nullable,
        column === 'id',
      ]),
      name,
    );
    for (const lookup of table.lookups) {
      const plan = db.prepare(`EXPLAIN QUERY PLAN SELECT * FROM "${name}" WHERE "${lookup}" = ?`).all('x') as {
        detail: string;
      }[];
      t.match(plan[0]?.detail, /USING (COVERING )?INDEX/, `${name} by ${lookup} does not scan`);
    }
  }
  t.equal(db.pragma('user_version', { simple: true }), migrations.length);
});

void t.test('a database of schema nine keeps its rows, and takes what later schemas allow', async (t) => {
  const path = `${t.testdir()}/host.sqlite`;
  const old = new Database(path);
  old.pragma('foreign_keys = ON');
  for (const sql of migrations.slice(0, 9)) old.exec(sql);
  old.pragma(`application_id = ${applicationId}`);
  old.pragma('user_version = 9');
  old.exec(`
    INSERT INTO terminal (id, name, state, reason, epoch, epochRaisedAtMs, enrolledAtMs, quarantinedCount)
      VALUES ('T-1', 'till', 'active', '', 1, 0, 0, 0);
    INSERT INTO member VALUES ('SLM1', '13800000000', 'Li', 40, 1);
    INSERT INTO memberKey (id, memberId, state, wrapped, registeredAtMs) VALUES ('k', 'SLM1', 'active', x'01', 1);
    INSERT INTO memberKey (id, memberId, state, blockedAtMs, wrapped, registeredAtMs)
      VALUES ('lost', 'SLM1', 'blocked', 1772337600000, x'01', 1);
    INSERT INTO coupon (id, holder, cardKeyId, currency, initialMinor, state, cardCounter, issuedAtMs)
      VALUES ('SLC2', 'card', 'c', 'CNY', 100, 'blocked', 0, 7);
    INSERT INTO coupon (id, holder, memberId, currency, initialMinor, state, cardCounter, issuedAtMs)
      VALUES ('SLC1', 'host', 'SLM1', 'CNY', 100, 'active', 0, 1);
    INSERT INTO sale VALUES ('s1', 'pointsEarn', 'T-1', 'SLM1', NULL, 'CNY', 4000, 40, 1, 10000, 0, 0, NULL, 0, 'accepted', 7, 1, NULL, 2, NULL, 0, 11);
    INSERT INTO sale VALUES ('s2', 'cardCredit', 'T-1', NULL, 'SLC1', 'CNY', 300, 0, NULL, 10000, 200, 5, 's1', 3, 'reserved', 0, 0, 99, 0, 6, 1, 12);
  `);
  const before = old.prepare('SELECT * FROM sale ORDER BY id').all();
  old.close();
  await openSqliteStore(path).close();
  const db = new Database(path);
  t.teardown(() => db.close());
  const added = { partnerMemberId: null, agreementId: null, partnerPoints: 0, partnerShare: 0, topUpOf: null };
  t.same(
    db.prepare('SELECT * FROM sale ORDER BY id').all(),
    before.map((row) => ({ ...(row as object), ...added })),
  );
  t.match(db.prepare('SELECT * FROM member').all(), [{ id: 'SLM1', phone: '13800000000', merchantId: '' }]);
  t.match(db.prepare('SELECT * FROM terminal').all(), [{ id: 'T-1', merchantId: '' }]);
  t.match(db.prepare("SELECT * FROM coupon WHERE state = 'active'").all(), [{ id: 'SLC1', memberId: 'SLM1' }]);
  t.same(db.prepare('SELECT * FROM block ORDER BY id').all(), [
    { id: '000000000000007/SLC2', subject: 'SLC2' },
    { id: '001772337600000/lost', subject: 'lost' },
  ]);
  t.same([db.pragma('foreign_key_check'), db.pragma('integrity_check', { simple: true })], [[], 'ok']);
  const due = db.prepare('EXPLAIN QUERY PLAN SELECT * FROM sale WHERE expiresAtMs <= 5').all();
  t.match(due, [{ detail: /saleByExpiry/ }]);
  const copy = (set: string) => () => {
    db.exec(`UPDATE sale SET ${set} WHERE id = 's1'`);
  };
  t.doesNotThrow(copy("kind = 'topUpVoid'"));
  t.doesNotThrow(copy("kind = 'cardTopUpVoid'"));
  for (const wrong of [
    "kind = 'gift'",
    "state = 'lost'",
    'refundedMinor = totalMinor + 1',
    'riskMinor = -1',
    'partnerShare = points + 1',
  ])
    t.throws(copy(wrong), { code: 'SQLITE_CONSTRAINT_CHECK' }, wrong);
  db.pragma('foreign_keys = ON');
  t.throws(copy("partnerMemberId = 'nobody'"), { code: 'SQLITE_CONSTRAINT_FOREIGNKEY' });
  const member = (id: string, merchantId: string) => () =>
    db.prepare('INSERT INTO member VALUES (?, ?, ?, 0, 1, ?)').run(id, '13800000000', 'Li', merchantId);
  t.throws(member('SLM2', ''), { code: 'SQLITE_CONSTRAINT_UNIQUE' }, 'one membership of a number at a merchant');
  t.doesNotThrow(member('SLM3', 'CAFE'));
});

void t.test('opening: private file, full synchrony, a newer or a foreign file is refused', async (t) => {
  const folder = t.testdir();
  const path = `${folder}/host.sqlite`;
  const store = openSqliteStore(path);
  await store.transact(
    () => undefined,
    (facts) => facts.write([put('setting', { id: 'a', value: '1' })]),
  );
  t.equal(statSync(path).mode & 0o077, 0, 'nobody else reads it');
  await store.close();
  const db = new Database(path);
  db.pragma(`user_version = ${migrations.length + 1}`);
  db.close();
  t.throws(() => openSqliteStore(path), { code: 'store.newer' });
  writeFileSync(`${folder}/text`, 'this is no database, but it is long enough to be looked at'.repeat(40));
  t.throws(() => openSqliteStore(`${folder}/text`), { code: 'store.corrupt' });
  const foreign = new Database(`${folder}/foreign`);
  foreign.pragma('user_version = 1');
  foreign.close();
  t.throws(() => openSqliteStore(`${folder}/foreign`), { code: 'store.corrupt' });
  t.throws(() => openSqliteStore(`${folder}/no/such/folder`));
});

void t.test('the database itself refuses a negative balance, a changed entry and a second holder', async (t) => {
  const path = `${t.testdir()}/host.sqlite`;
  const world = await openWorld({ path });
  const box = await world.box();
  await box.tell(earn(box, await world.phone('13800000000'), 10_000));
  await world.host.coupons.issue({
    holder: 'host',
    memberCode: null,
    currency: 'CNY',
    amountMinor: 1,
    expiresAtMs: null,
  });
  await world.close();
  const db = new Database(path);
  t.teardown(() => db.close());
  for (const sql of [
    'UPDATE account SET balance = -1',
    'UPDATE line SET amount = 5',
    'DELETE FROM line',
    "UPDATE entry SET cause = 'x'",
    'DELETE FROM entry',
    "UPDATE coupon SET holder = 'card', cardKeyId = 'x'",
    "UPDATE sale SET state = 'odd'",
    'UPDATE sale SET refundedMinor = totalMinor + 1',
    "UPDATE account SET balance = 'many'",
  ])
    t.throws(() => db.exec(sql), { code: /^SQLITE_CONSTRAINT/ }, sql);
  db.exec("UPDATE account SET balance = balance + 1 WHERE id LIKE 'member/%/points'");
  const again = await openWorld({ path });
  t.teardown(() => again.close());
  t.match(
    await again.host.checkStore(),
    [/stands at 101 after 1 lines, its lines give 100/],
    'what the constraints cannot see, the recount does',
  );
});

void t.test('a backup of a running host is whole, private, and never overwrites', async (t) => {
  const folder = t.testdir();
  const world = await openWorld({ path: `${folder}/host.sqlite` });
  t.teardown(() => world.close());
  const box = await world.box();
  const phone = await world.phone('13800000000');
  await box.tell(earn(box, phone, 10_000));
  const backup = world.host.backup(`${folder}/backup.sqlite`);
  const meanwhile = box.tell(earn(box, phone, 10_000));
  await Promise.all([backup, meanwhile]);
  await t.rejects(world.host.backup(`${folder}/backup.sqlite`), { code: 'store.failed' });
  t.equal(statSync(`${folder}/backup.sqlite`).mode & 0o077, 0);
  chmodSync(`${folder}/backup.sqlite`, 0o600);
  const copy = await openWorld({ path: `${folder}/backup.sqlite` });
  t.teardown(() => copy.close());
  t.same(await copy.host.checkStore(), []);
  const member = await copy.host.members.byCode(phone.memberCode);
  t.ok(member && [100, 200].includes(member.points), `all or nothing of the second: ${member?.points}`);
  t.notOk(readdirSync(folder).some((name) => name.endsWith('.part')));
});

/** Rounds of the kill test and how many batches each lets through before it kills at once. */
const killRounds = [0, 1, 2, 5];
void t.test('SIGKILL in mid-batch: answered batches are there, no batch is there in part', async (t) => {
  const path = `${t.testdir()}/host.sqlite`;
  const child = fileURLToPath(new URL('../sim/kill-child.js', import.meta.url));
  let promised = 0;
  for (const [round, batches] of killRounds.entries()) {
    const host = spawn(process.execPath, [child, path, String(round * 1000 + 1)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => host.on('exit', (_code, signal) => resolve(signal)));
    let answered = 0;
    for await (const line of createInterface({ input: host.stdout })) {
      if (line.startsWith('batch')) answered++;
      if (answered < batches) continue;
      // Not before the next batch is on its way: a moment that differs with the machine's own pace.
      setImmediate(() => host.kill('SIGKILL'));
    }
    t.equal(await ended, 'SIGKILL');
    promised += answered;
    const world = await openWorld({ path, seed: 900_000 + round });
    t.same(await world.host.checkStore(), []);
    const points = (await world.host.members.byPhone('13800000000'))?.points ?? 0;
    t.equal(points % 50, 0, 'whole batches only');
    t.ok(points >= promised * 50, `${points} points for ${promised} answered batches`);
    promised = points / 50;
    await world.close();
  }
});
