/**
 * One queue in a process of its own: the shipped store or a peer made durable, filled with a backlog, then measured round by
 * round as its parent asks. queue-child <contender> <folder> <backlog>; orders come as lines, answers go as JSON lines.
 * Must not judge.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { ClassicLevel } from 'classic-level';
import { better, defineQueue } from 'plainjob';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { wallMs } from '../../terminal/kernel/units.js';
import { openConnection } from '../../terminal/store/connection.js';
import { createStore, openTerminalStore } from '../../terminal/store/open.js';
import { noReserve } from '../../terminal/store/reserve.js';
import { acceptedAnswer, earn, fixtureStart, fixtureTerminal } from '../../terminal/store/sale-fixtures.js';
import { openRawLimits } from './raw-limits.js';

/** Records claimed and acknowledged at once. */
const pageSize = 200;
const seedAtOnce = 10_000;
const body = JSON.stringify({ record: 'x'.repeat(303) });

interface Contender {
  /** Each record enqueued durably by itself; then claimed and acknowledged, by the page where the queue can. */
  cycle(): void | Promise<void>;
  /** Of the store alone: what its parts cost now, each some times, in microseconds. */
  parts?(): Readonly<Record<string, readonly number[]>>;
}

const timedUs = (times: number, run: (index: number) => void): readonly number[] =>
  Array.from({ length: times }, (_, index) => {
    const startedAt = performance.now();
    run(index);
    return (performance.now() - startedAt) * 1_000;
  });

function store(folder: string, backlog: number): Contender {
  const file = path.join(folder, 'terminal.db');
  let serial = 0;
  // The backlog in large transactions: nobody waits for its flushes.
  const connection = openConnection(file);
  const seeding = createStore(connection, { crypto: nativeCrypto }, noReserve);
  seeding.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  for (let seeded = 0; seeded < backlog; ) {
    connection.transaction(() => {
      for (let n = 0; n < seedAtOnce && seeded < backlog; n++, seeded++) {
        const { records, sale } = earn(++serial, null);
        // Of an earn's two records the second is sent long after all earns: one a sale makes the backlog as long as it says.
        seeding.persist(sale, records.slice(0, 1), fixtureStart);
      }
    })();
  }
  seeding.close();
  const held = new Set<never>();
  const open = () => openTerminalStore({ file, crypto: nativeCrypto });
  let live = open();
  const accept = (): void => {
    const { records, sale } = earn(++serial, null);
    live.persist(sale, records.slice(0, 1), fixtureStart);
  };
  const settle = (): void =>
    live.settle(
      live.nextUnsent(pageSize, held).map(({ transactionId }) => ({
        transactionId,
        answer: acceptedAnswer(transactionId),
        knownToSale: false,
      })),
      null,
    );
  return {
    cycle: () => {
      for (let n = 0; n < pageSize; n++) accept();
      settle();
    },
    parts: () => {
      const next = timedUs(200, () => live.nextUnsent(pageSize, held));
      const gauge = timedUs(200, () => live.gauges());
      const accepts = timedUs(2_000, (index) => {
        accept();
        // As the runtime does between sales; its slices are stalls too.
        if (index % 50 === 49) live.maintain(wallMs(fixtureStart + serial), false);
      });
      // Fewer than came in, so that the backlog stays what it is said to be.
      const acknowledge = timedUs(5, settle);
      const start = timedUs(5, () => {
        live.close();
        live = open();
      });
      return { next, acknowledge, gauge, start, accept: accepts };
    },
  };
}

/** What a queue on SQLite can do at most: one insert a commit, a page by a cursor, its deletion in one commit. */
function cursor(folder: string, backlog: number): Contender {
  const db = new Database(path.join(folder, 'cursor.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE queue (number INTEGER PRIMARY KEY, body TEXT NOT NULL)');
  const add = db.prepare('INSERT INTO queue (body) VALUES (?)');
  const page = db.prepare('SELECT number, body FROM queue WHERE number > ? ORDER BY number LIMIT ?');
  const remove = db.prepare('DELETE FROM queue WHERE number = ?');
  db.transaction(() => {
    for (let n = 0; n < backlog; n++) add.run(body);
  })();
  let at = 0;
  return {
    cycle: () => {
      for (let n = 0; n < pageSize; n++) add.run(body);
      const rows = page.all(at, pageSize) as { number: number }[];
      at = rows.at(-1)?.number ?? at;
      db.transaction(() => {
        for (const { number } of rows) remove.run(number);
      }).immediate();
    },
  };
}

/** What the disk allows: a flush for each record and nothing else. */
function flush(folder: string): Contender {
  const raw = openRawLimits(folder);
  return {
    cycle: () => {
      for (let n = 0; n < pageSize; n++) raw.flush();
    },
  };
}

/** plainjob sets synchronous to NORMAL itself: FULL is forced behind it. */
function plainjob(folder: string, backlog: number): Contender {
  const db = new Database(path.join(folder, 'plainjob.db'));
  const quiet = (): void => {};
  const queue = defineQueue({
    connection: better(db),
    logger: { error: quiet, warn: quiet, info: quiet, debug: quiet },
    serializer: (data) => data as string,
  });
  db.pragma('synchronous = FULL');
  for (let n = 0; n < backlog; n += seedAtOnce)
    queue.addMany(
      'record',
      Array.from({ length: Math.min(seedAtOnce, backlog - n) }, () => body),
    );
  return {
    cycle: () => {
      for (let n = 0; n < pageSize; n++) queue.add('record', body);
      for (let n = 0; n < pageSize; n++) {
        const job = queue.getAndMarkJobAsProcessing('record');
        if (job) queue.markJobAsDone(job.id);
      }
    },
  };
}

/** LevelDB with every write flushed; a page is removed in one batch. */
async function level(folder: string, backlog: number): Promise<Contender> {
  const db = new ClassicLevel<string, string>(path.join(folder, 'level'));
  await db.open();
  let tail = 0;
  const key = (number: number): string => String(number).padStart(12, '0');
  for (let n = 0; n < backlog; n += seedAtOnce) {
    const batch = db.batch();
    for (let m = 0; m < Math.min(seedAtOnce, backlog - n); m++) batch.put(key(tail++), body);
    await batch.write();
  }
  return {
    cycle: async () => {
      for (let n = 0; n < pageSize; n++) await db.put(key(tail++), body, { sync: true });
      const keys: string[] = [];
      for await (const [found] of db.iterator({ limit: pageSize })) keys.push(found);
      await db.batch(
        keys.map((found) => ({ type: 'del' as const, key: found })),
        { sync: true },
      );
    },
  };
}

const contenders = { store, cursor, plainjob, level, flush } as const;
export type ContenderName = keyof typeof contenders;
export interface QueueReport {
  readonly cycles: number;
  readonly elapsedMs: number;
  readonly flushes: number | null;
  readonly parts: Readonly<Record<string, readonly number[]>> | null;
  readonly residentMb: number;
}

const flushesNow = (): number | null => {
  const file = process.env['SHOULI_BENCH_FLUSHES'];
  return file && existsSync(file) ? Number(readFileSync(file).readBigUInt64LE()) : null;
};

const [name = 'store', folder = '.', backlog = '0'] = process.argv.slice(2);
const contender = await contenders[name as ContenderName](folder, Number(backlog));
process.stdout.write('{"ready":true}\n');
for await (const order of createInterface({ input: process.stdin })) {
  const before = flushesNow();
  const startedAt = performance.now();
  let cycles = 0;
  if (order === 'cycle') {
    await contender.cycle();
    cycles = pageSize;
  }
  const elapsedMs = performance.now() - startedAt;
  const after = flushesNow();
  const parts = order === 'parts' ? (contender.parts?.() ?? null) : null;
  const report: QueueReport = {
    cycles,
    elapsedMs,
    flushes: before === null || after === null ? null : after - before,
    parts,
    residentMb: process.memoryUsage.rss() / 2 ** 20,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
process.exit(0);
