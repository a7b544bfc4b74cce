/**
 * Shows that the simulator finds what it is for: each defect, put into a copy of the shipped code, makes a seed fail within the
 * stated number; and that a defect whose text is gone from the source is told, not skipped.
 */
import { availableParallelism } from 'node:os';
import t from 'tap';
import { findDefect, patched } from './defect-run.js';
import { defects } from './defects.js';

t.test('a patch fits once or is told', (t) => {
  const defect = { name: 'x', file: 'x.ts', find: 'a', replace: '$&b', seeds: 1 };
  t.equal(patched('cac', defect), 'c$&bc');
  t.throws(() => patched('aa', defect), /2 times/);
  t.throws(() => patched('', defect), /0 times/);
  t.equal(new Set(defects.map(({ name }) => name)).size, defects.length);
  t.ok(defects.length >= 20);
  t.end();
});

t.test('each defect is found', async (t) => {
  const waiting = [...defects];
  const work = async (): Promise<void> => {
    for (let defect = waiting.shift(); defect; defect = waiting.shift()) {
      const { problem, seed, tried } = await findDefect(defect);
      t.ok(seed !== null, `${defect.name}: seed ${seed} of ${tried} (${problem?.split('\n')[0]?.slice(0, 120)})`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
});
