// Shows that a log is appended to, readable by its owner only, and turned over before it grows without end. Real files in
// a folder of its own.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'tap';
import { openLogFile } from './log-file.js';

test('a log is kept, appended to and turned over', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-log-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'host.log');
  const first = openLogFile(file, 10);
  first.write('one\n');
  first.close();
  const second = openLogFile(file, 10);
  second.write('two three\n');
  t.equal(readFileSync(file, 'utf8'), 'one\ntwo three\n', 'a second start goes on where the first ended');
  second.write('four\n');
  second.write('五\n');
  second.close();
  second.write('after the end');
  t.equal(readFileSync(file, 'utf8'), 'four\n五\n');
  t.equal(readFileSync(`${file}.1`, 'utf8'), 'one\ntwo three\n');
  t.same(readdirSync(folder).sort(), ['host.log', 'host.log.1'], 'two files and no more');
  t.equal(statSync(file).mode & 0o777, 0o600);
});
