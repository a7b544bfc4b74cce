/**
 * Shows that every defect still fits the source it is a patch of, and that one whose text is gone is told, not skipped. That
 * the simulator finds each is a stage of its own: npm run simulate -- --defects.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { PROJECT_ROOT } from '../lib/source-files.js';
import { patched } from './defect-run.js';
import { defects } from './defects.js';

t.test('a patch fits once or is told', (t) => {
  const defect = { name: 'x', file: 'x.ts', find: 'a', replace: '$&b', seeds: 1 };
  t.equal(patched('cac', defect), 'c$&bc');
  t.throws(() => patched('aa', defect), /2 times/);
  t.throws(() => patched('', defect), /0 times/);
  t.equal(new Set(defects.map(({ name }) => name)).size, defects.length);
  t.ok(defects.length >= 20);
  for (const defect of defects) {
    const source = readFileSync(path.join(PROJECT_ROOT, defect.file), 'utf8');
    t.not(patched(source, defect), source, defect.name);
  }
  t.end();
});
