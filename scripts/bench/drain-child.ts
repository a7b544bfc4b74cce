/**
 * What a drain is held against, each in a process of its own: the host's bare apply of the same records, without HTTP and
 * without a box; and the naive way, one record a request and a commit on either side. Must not judge.
 *
 * drain-child bare <folder> <member’s code> | naive-server <folder> | naive <folder> <port>; orders come as lines, answers go as JSON lines.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { batchRecordsMax, type Envelope } from '../../host-sync/protocol/sync.js';
import { hostLayout } from '../../host-sync/server/backup.js';
import { createHost } from '../../host-sync/server/host.js';
import { openSqliteStore } from '../../host-sync/server/storage/sqlite.js';
import { openVault } from '../../host-sync/server/vault.js';
import { nativeClock, nativeCrypto, nativeKeyAgreement, nativeRandom } from '../../terminal/kernel/native.js';
import { openTerminalStore } from '../../terminal/store/open.js';
import { boxDatabase, fillBacklog } from './backlog.js';
import type { DrainReport } from './drain.js';

const [what, folder = '.', word = ''] = process.argv.slice(2);
const say = (answer: unknown): boolean => process.stdout.write(`${JSON.stringify(answer)}\n`);

/** Answers each order `<from> <count>` by what it took. */
async function obey(run: (from: number, count: number) => Promise<DrainReport>): Promise<void> {
  say({ ready: true });
  for await (const order of createInterface({ input: process.stdin })) {
    const [from = 0, count = 0] = order.split(' ').map(Number);
    say(await run(from, count));
  }
  process.exit(0);
}

/** The host on its own database, its ledger on; pages of the box's own records are read and settled outside the time. */
async function bare(): Promise<void> {
  const data = path.join(folder, 'host');
  const host = await createHost({
    store: openSqliteStore(path.join(data, hostLayout.database)),
    crypto: nativeCrypto,
    random: nativeRandom,
    clock: nativeClock,
    vault: openVault(path.join(data, hostLayout.keys), nativeKeyAgreement, false),
    realm: 'simulated',
    merchantId: 'SHOULI',
    soon: (task) => void setImmediate(task),
    sign: () => new Uint8Array(),
  });
  await obey(async (from, count) => {
    fillBacklog(folder, word, from, count);
    const box = openTerminalStore({ file: path.join(folder, boxDatabase), crypto: nativeCrypto });
    const terminalId = box.identity()?.terminalId ?? '';
    let elapsedMs = 0;
    let records = 0;
    for (;;) {
      const page = box.nextUnsent(batchRecordsMax, new Set());
      if (page.length === 0) break;
      const envelopes = page.map(
        ({ body, previousHash }): Envelope => ({ body, previousHash, attempt: 1, sentAtWallMs: nativeClock.wallMs() }),
      );
      const startedAt = performance.now();
      const named = box.newestSeen();
      const taken = await host.intake(terminalId, { records: envelopes, newestSeen: [...named] });
      elapsedMs += performance.now() - startedAt;
      if (!taken.ok) throw new Error(taken.error.code);
      const answers = taken.value.answers.map((answer) => {
        if (answer.outcome !== 'accepted') throw new Error(JSON.stringify(answer));
        return { transactionId: answer.transactionId, answer, knownToSale: false };
      });
      box.settle(answers, { newest: taken.value.watermark.newest, named });
      records += page.length;
    }
    box.close();
    return { records, elapsedMs };
  });
}

const openNaive = (name: string): Database.Database => {
  const db = new Database(path.join(folder, name));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  return db;
};
const body = JSON.stringify({ record: 'x'.repeat(303) });

function naiveServer(): void {
  const db = openNaive('naive-host.db');
  db.exec('CREATE TABLE record (id INTEGER PRIMARY KEY, body TEXT NOT NULL)');
  const add = db.prepare('INSERT OR IGNORE INTO record (id, body) VALUES (?, ?)');
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      add.run(Number(request.headers['x-id']), Buffer.concat(parts).toString());
      response.end('{}');
    });
  }).listen(0, '127.0.0.1', () => say({ port: (server.address() as AddressInfo).port }));
  process.stdin.on('end', () => process.exit(0)).resume();
}

async function naive(): Promise<void> {
  const db = openNaive('naive-box.db');
  db.exec('CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0)');
  const add = db.prepare('INSERT INTO queue (body) VALUES (?)');
  const next = db.prepare('SELECT id, body FROM queue WHERE sent = 0 ORDER BY id LIMIT 1');
  const mark = db.prepare('UPDATE queue SET sent = 1 WHERE id = ?');
  await obey(async (_from, count) => {
    db.exec('DELETE FROM queue WHERE sent = 1');
    db.transaction(() => {
      for (let n = 0; n < count; n++) add.run(body);
    })();
    const startedAt = performance.now();
    let records = 0;
    for (;;) {
      const row = next.get() as { readonly id: number; readonly body: string } | undefined;
      if (!row) break;
      const headers = { 'x-id': String(row.id) };
      const answer = await fetch(`http://127.0.0.1:${word}/`, { method: 'POST', body: row.body, headers });
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      await answer.text();
      mark.run(row.id);
      records++;
    }
    return { records, elapsedMs: performance.now() - startedAt };
  });
}

if (what === 'bare') await bare();
else if (what === 'naive') await naive();
else naiveServer();
