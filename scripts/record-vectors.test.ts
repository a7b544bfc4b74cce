/**
 * Shows that what the box records today plays again: sessions recorded anew by scripts/record-vectors.ts, over real
 * pseudo-terminals, give the same on their stages, and the program says which names it knows.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { decodeRecording } from '../drivers/contract/recording.js';
import { play, recorded } from '../drivers/vectors/stages/play.js';
import { PROJECT_ROOT } from './lib/source-files.js';

/** Those that take least time; between them a line that is only written to, one that is read, and a link. */
const names = ['serial-scanner', 'serial-display', 'serial-relay', 'serial-module'];
const program = fileURLToPath(new URL('./record-vectors.js', import.meta.url));
const run = (...words: readonly string[]) => spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' });

t.test('a session recorded now plays again', async (t) => {
  const folder = t.testdir({});
  const made = run('--into', folder, ...names);
  t.equal(made.status, 0, made.stderr);
  for (const name of names) {
    const read = decodeRecording(new Uint8Array(readFileSync(path.join(folder, `${name}.rec`))));
    if (!read.ok) throw new Error(read.error.detail);
    t.same(await play(read.value), recorded(read.value), name);
  }
});

t.test('every recording of drivers/vectors is one that it makes', async (t) => {
  const refused = run('no-such-device');
  t.equal(refused.status, 2);
  const known = refused.stderr.trim().split('there are: ')[1]?.split(', ').sort();
  const kept = readdirSync(path.join(PROJECT_ROOT, 'drivers', 'vectors')).filter((name) => name.endsWith('.rec'));
  t.same(kept.map((name) => path.basename(name, '.rec')).sort(), known);
});
