/**
 * Shows that each commit point is exactly one flush, and that a failed flush is never acknowledged. By counting the
 * flushes of a persisting process with strace at two lengths (what start and end cost falls out of the difference), with
 * synchronous=NORMAL as the control that must show fewer; and by making one flush fail.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { nativeCrypto } from '../kernel/native.js';
import { openTerminalStore } from './open.js';
import { earn } from './sale-fixtures.js';

const run = promisify(execFile);
const child = join(dirname(fileURLToPath(import.meta.url)), 'sim', 'persist-child.js');
const works = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;
const options = works ? {} : { skip: 'strace is missing or may not trace here: flushes were not counted' };
const flushCalls = 'trace=fsync,fdatasync,sync_file_range,msync';

async function flushesOf(folder: string, flow: string, count: number, synchronous: string): Promise<number> {
  const name = `${flow}-${count}-${synchronous}`;
  const log = join(folder, `${name}.strace`);
  const traced = [process.execPath, child, join(folder, `${name}.db`), flow, String(count), synchronous];
  await run('strace', ['-f', '-o', log, '-e', flushCalls, ...traced]);
  return readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => /\b(fsync|fdatasync)\(/.test(line)).length;
}

t.test('flushes per commit point', options, async (t) => {
  const folder = t.testdir();
  const rows = [
    { flow: 'earn', commits: 1 },
    { flow: 'spend', commits: 2 },
    { flow: 'card', commits: 3 },
    { flow: 'settle', commits: 1 },
  ];
  for (const { flow, commits } of rows) {
    const [few, many] = [await flushesOf(folder, flow, 10, 'full'), await flushesOf(folder, flow, 30, 'full')];
    t.equal(many - few, 20 * commits, `${flow}: ${commits} a sale, and ${few - 10 * commits} for start and end`);
  }
  const [few, many] = [await flushesOf(folder, 'earn', 10, 'normal'), await flushesOf(folder, 'earn', 30, 'normal')];
  t.equal(many - few, 0, 'NORMAL would not flush at all between checkpoints, and this test would see it');
});

t.test('a flush that fails is not acknowledged, and nothing is after it', options, async (t) => {
  const file = join(t.testdir(), 'box.db');
  // The 30th: well behind those of the start, so that sales were acknowledged before.
  const inject = ['-e', flushCalls, '-e', 'inject=fsync,fdatasync:error=EIO:when=30'];
  const traced = [process.execPath, child, file, 'untilRefused'];
  const { stdout } = await run('strace', ['-f', '-o', '/dev/null', ...inject, ...traced]);
  const said = stdout.trim().split('\n');
  const acknowledged = said.filter((line) => line.startsWith('ended'));
  t.ok(acknowledged.length > 10, `${acknowledged.length} before it`);
  t.same(
    said.slice(acknowledged.length),
    Array(4).fill('refused store.failed'),
    'the flush failed once, yet every later persist is refused too',
  );
  const store = openTerminalStore({ file, crypto: nativeCrypto });
  t.equal(store.verifyChains(), null);
  for (const line of acknowledged) {
    const { transaction } = earn(Number(line.split(' ')[1])).sale.request.ids;
    if (!store.saleByTransaction(transaction)) t.fail(`${line} was acknowledged and is lost`);
  }
  const beyond = store.sales(200, null).length - acknowledged.length;
  t.ok(beyond === 0 || beyond === 1, 'of the rest at most the one whose flush failed is there');
  store.close();
});
