/**
 * Shows the salvage command on a box whose database cannot be opened any more (fault 51): the records are in the file, the
 * database is as it was, and nothing is written over. The command runs as a process, as people run it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const script = path.join(path.dirname(fileURLToPath(import.meta.url)), 'salvage.js');

t.test('fault 51: what a damaged database holds is saved by one command', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-salvage-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const salvage = (...words: string[]) =>
    spawnSync(process.execPath, [script, ...words, '--data', folder], { encoding: 'utf8' });
  const body = '{"version":1,"terminalId":"t-0123456789ab","kind":"plainSale"}';
  const database = path.join(folder, 'terminal.db');
  writeFileSync(database, Buffer.concat([Buffer.alloc(4_096, 0xa5), Buffer.from(body), Buffer.alloc(500)]));
  const before = readFileSync(database);

  const saved = path.join(folder, 'records.jsonl');
  const run = salvage(saved, '--json');
  t.equal(run.status, 0, run.stderr);
  t.match(JSON.parse(run.stdout), { file: saved, rows: 0, found: 1, unreadable: 0 });
  t.match(JSON.parse(readFileSync(saved, 'utf8')), { number: null, hash: null, body });
  t.equal(statSync(saved).mode & 0o777, 0o600);
  t.same(readFileSync(database), before, 'the database is as it was');

  const again = salvage(saved);
  t.equal(again.status, 1, 'nothing is written over');
  t.match(again.stderr, /^store\.failed: /);
  rmSync(database);
  t.match(salvage(path.join(folder, 'none.jsonl')), { status: 1, stderr: /^store\.failed: / });
  t.end();
});
