/**
 * Shows that the kernel's own counters become per cent of a core and wake-ups a second: texts as /proc gives them, and this
 * process, which is made to work.
 */
import t from 'tap';
import { readThread, readUsage, usedBetween } from './process-usage.js';

t.test('texts of /proc', (t) => {
  const status = 'Name:\tnode\nvoluntary_ctxt_switches:\t1234\nnonvoluntary_ctxt_switches:\t99\n';
  t.same(readThread('250000000 78093 17\n', status), { cpuMs: 250, wakeups: 1234 });
  t.same(readThread('250000000 78093 17\n', 'Name:\tnode\n').wakeups, Number.NaN, 'unknown is not zero');
  t.same(readThread('', status).cpuMs, Number.NaN);
  t.end();
});

t.test('between two looks', (t) => {
  t.same(usedBetween({ cpuMs: 100, wakeups: 10 }, { cpuMs: 150, wakeups: 40 }, 10_000), { percent: 0.5, wakeups: 3 });
  t.end();
});

t.test('a process that works, and one that is gone', (t) => {
  const before = readUsage(process.pid);
  const until = process.cpuUsage();
  while (process.cpuUsage(until).user < 50_000) {}
  t.ok(readUsage(process.pid).cpuMs - before.cpuMs >= 25, 'at least half of 50 ms of work is seen');
  // Above the kernel's highest process number (2^22).
  t.same(readUsage(2 ** 23), { cpuMs: Number.NaN, wakeups: Number.NaN });
  t.end();
});
