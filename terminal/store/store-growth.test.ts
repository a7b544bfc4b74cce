/**
 * Shows that no statement on a sale's or the queue's path reads a table from end to end, so that cost does not grow with
 * backlog or history. By asking SQLite for the plan of every statement that the store prepares.
 */
import t from 'tap';
import { nativeCrypto } from '../kernel/native.js';
import { openConnection } from './connection.js';
import { createStore } from './open.js';
import { noReserve } from './reserve.js';
import { earn, fixtureStart, fixtureTerminal } from './sale-fixtures.js';

/** Those that may: the check of the chains, which reads everything, and the search for a part of a name. */
const readsAll = [/^SELECT j\.number, j\.chain/, /^SELECT count\(\*\)/, /FROM audit ORDER BY/, /instr\(/];
const emptiesAll = /^DELETE FROM product$/;

t.test('every plan searches by a key or an index', async (t) => {
  const db = openConnection(':memory:');
  const prepared: string[] = [];
  const prepare = db.prepare.bind(db);
  db.prepare = ((sql: string) => {
    prepared.push(sql);
    return prepare(sql);
  }) as typeof db.prepare;
  const store = createStore(db, { crypto: nativeCrypto }, noReserve);
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  for (let serial = 1; serial <= 60; serial++) {
    const { sale, records } = earn(serial);
    store.persist(sale, records, fixtureStart);
  }
  t.ok(prepared.length > 40, 'the statements are seen');
  const before = prepared.length;
  store.nextUnsent(10, new Set());
  store.gauges();
  store.sales(10, null);
  t.equal(prepared.length, before, 'all are prepared once, at the start');

  const plansOf = (sql: string): readonly string[] =>
    (prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...(sql.match(/\?/g) ?? []).map(() => 1)) as { detail: string }[]).map(
      ({ detail }) => detail,
    );
  // The table of chains has a row for each epoch, so a handful: it may be read whole.
  const scans = (sql: string) => plansOf(sql).filter((plan) => /^SCAN (?!chain$)/.test(plan));
  let exempt = 0;
  for (const sql of prepared) {
    if (emptiesAll.test(sql)) continue;
    if (readsAll.some((pattern) => pattern.test(sql))) {
      exempt += 1;
      t.not(scans(sql).length, 0, 'an exemption that is not needed is taken away');
      continue;
    }
    t.same(scans(sql), [], sql.replaceAll(/\s+/g, ' ').slice(0, 100));
    t.notOk(
      plansOf(sql).some((plan) => plan.includes('TEMP B-TREE')),
      'nothing is sorted',
    );
  }
  t.equal(exempt, 6);
  t.not(scans('SELECT * FROM journal WHERE kind = ?').length, 0, 'a scan would be seen');
  store.close();
});
