/**
 * Shows that a box killed at any moment has everything it acknowledged, and nothing by halves: journal, queue, sales and
 * chain agree. By killing a persisting process with SIGKILL 20 times, each after another number of acknowledged commits,
 * and looking at the same database after each.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { nativeCrypto } from '../kernel/native.js';
import { openTerminalStore, type SqliteStore } from './open.js';
import { earn } from './sale-fixtures.js';

const child = join(dirname(fileURLToPath(import.meta.url)), 'sim', 'persist-child.js');
const rounds = 20;

/** Runs the child until it has acknowledged `commits`, kills it, and gives all that it had said by then. */
async function runAndKill(file: string, commits: number): Promise<readonly string[]> {
  const running = spawn(process.execPath, [child, file, 'loop'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(running, 'exit');
  const said: string[] = [];
  const lines = createInterface({ input: running.stdout });
  lines.on('line', (line) => {
    said.push(line);
    if (said.length === commits) running.kill('SIGKILL');
  });
  const closed = once(lines, 'close');
  const [, signal] = await exited;
  await closed;
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${signal}`);
  return said;
}

const stage = { intent: 0, written: 1, ended: 2 } as const;

/** Is each acknowledged commit there? Takes `ended 12`, `settled 1.7`. */
function missing(store: SqliteStore, acknowledged: readonly string[]): readonly string[] {
  return acknowledged.filter((line) => {
    const [what = '', which = ''] = line.split(' ');
    if (what === 'settled') {
      const [epoch, sequence] = which.split('.').map(Number);
      return store.journal(1, { epoch: Number(epoch), sequence: Number(sequence) + 1 })[0]?.state !== 'settled';
    }
    const row = store.saleByTransaction(earn(Number(which)).sale.request.ids.transaction);
    return !row || stage[row.sale.commit] < stage[what as keyof typeof stage];
  });
}

t.test('20 kills', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const acknowledged: string[] = [];
  let unfinished = 0;
  for (let round = 0; round < rounds; round++) {
    // Spread over the flows' commits, filings (each 50 accepts) and checkpoints.
    const said = await runAndKill(file, 1 + ((round * 37) % 90));
    acknowledged.push(...said);
    const store = openTerminalStore({ file, crypto: nativeCrypto });
    const fault = store.verifyChains();
    if (fault) t.fail(`round ${round}: ${fault.detail}`);
    const lost = missing(store, round === rounds - 1 ? acknowledged : said);
    if (lost.length > 0) t.same(lost, [], `round ${round}`);
    if (store.unfinishedSale()) unfinished += 1;
    const gauges = store.gauges();
    const journalled = gauges.nextSequence - 1;
    const settled = new Set(acknowledged.filter((line) => line.startsWith('settled'))).size;
    // A settlement of 5 records may have been committed without having been said.
    const between = journalled - gauges.unsent - settled;
    if (between < 0 || between > 5 * (round + 1)) t.fail(`round ${round}: ${between} settled records unaccounted for`);
    store.close();
  }
  t.ok(acknowledged.length > 500, `${acknowledged.length} commits were acknowledged and are there`);
  t.comment(`${unfinished} of ${rounds} kills fell between a sale's intent and its outcome`);

  const store = openTerminalStore({ file, crypto: nativeCrypto });
  t.same(missing(store, ['ended 999999', 'settled 1.999999']).length, 2, 'what is not there would be missed');
  for (const { sale, answer } of store.sales(200, null)) {
    const kinds = sale.request.service.name === 'pointsEarn' ? 'earn' : 'spend';
    if (sale.commit !== 'ended' && store.unfinishedSale()?.request.ids.transaction !== sale.request.ids.transaction) {
      t.fail(`${kinds} ${sale.request.reference} neither ended nor open`);
    }
    if (answer && answer.transactionId !== sale.request.ids.transaction) t.fail('an answer at the wrong sale');
  }
  store.close();
});
