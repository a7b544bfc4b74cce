/**
 * Records the sessions of drivers/vectors anew, by the box's own recorder over the real stacks of this machine: serial lines on
 * pseudo-terminals, PC/SC on vpcd, HID under umockdev, Bluetooth on a controller in software.
 *
 *   node out/scripts/record-vectors.js [--into FOLDER] [NAME...]   all of them without a name, into drivers/vectors by default
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isUnderUmockdev, umockdevRun, umockdevWords } from '../drivers/sim/feigned-hid.js';
import { PROJECT_ROOT } from './lib/source-files.js';
import { feigned, hidVectors } from './record-vectors-parts/hid.js';
import { lineVectors } from './record-vectors-parts/lines.js';
import { linkVectors } from './record-vectors-parts/links.js';
import { keepIn, type Vector } from './record-vectors-parts/session.js';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { into: { type: 'string', default: path.join(PROJECT_ROOT, 'drivers', 'vectors') } },
});
const vectors = [...lineVectors, ...linkVectors, ...hidVectors];
const unknown = positionals.filter((name) => !vectors.some((vector) => vector.name === name));
if (unknown.length > 0) {
  console.error(`no vector ${unknown.join(', ')}; there are: ${vectors.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const wanted = ({ name }: Vector): boolean => positionals.length === 0 || positionals.includes(name);

async function make({ make, name, remark }: Vector): Promise<void> {
  const file = path.join(values.into, `${name}.rec`);
  await make(keepIn(file, remark));
  console.log(file);
}

/** Runs this program again where /sys and /dev are feigned. */
async function underUmockdev(names: readonly string[]): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-record-'));
  const words = umockdevWords(folder, Object.values(feigned), [
    fileURLToPath(import.meta.url),
    '--into',
    values.into,
    ...names,
  ]);
  const [code] = await once(spawn(umockdevRun, words, { stdio: 'inherit' }), 'exit');
  rmSync(folder, { recursive: true });
  if (code !== 0) throw new Error('the sessions under umockdev were not recorded');
}

if (isUnderUmockdev()) for (const vector of hidVectors.filter(wanted)) await make(vector);
else {
  for (const vector of [...lineVectors, ...linkVectors].filter(wanted)) await make(vector);
  const inside = hidVectors.filter(wanted).map(({ name }) => name);
  if (inside.length > 0) await underUmockdev(inside);
}
