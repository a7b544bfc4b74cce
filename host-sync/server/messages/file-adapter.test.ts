/** Shows that messages as files are read in the order of sending, also within one millisecond and after a clock that was set back. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { wallMs } from '../../../terminal/kernel/units.js';
import { openFileMessages } from './file-adapter.js';

t.test('the names sort in the order of sending, whatever the clock says', async (t) => {
  const folder = t.testdir();
  let nowMs = 1_790_000_000_000;
  const messages = openFileMessages({
    folder,
    ownNumber: '10690000',
    schedule: () => () => {},
    lookEveryMs: 1_000,
    clock: { wallMs: () => wallMs(nowMs) },
  });
  const sent: string[] = [];
  for (const stepMs of [...Array<number>(12).fill(0), -60_000, 0, 30_000, 31_000, 0]) {
    nowMs += stepMs;
    sent.push(`text ${sent.length}`);
    await messages.send({ to: '13800000001', text: sent.at(-1) ?? '' });
  }
  const out = path.join(folder, 'out');
  const read = readdirSync(out)
    .sort()
    .map((name) => /text \d+/.exec(readFileSync(path.join(out, name), 'utf8'))?.[0]);
  t.same(read, sent);
});
