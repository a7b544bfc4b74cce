/**
 * Shows that strangers' requests become few alarms, however many come and from however many addresses. Time is given.
 */
import t from 'tap';
import { monotonicMs } from '../../../terminal/kernel/units.js';
import { AlarmDamper, alarmsPerWindowMax, alarmWindowMs } from './alarm-damper.js';

t.test('one of a kind in a window, so many in all, and again in the next window', (t) => {
  const damper = new AlarmDamper();
  const due = (count: number, key: (nth: number) => string, atMs: number): number =>
    Array.from({ length: count }, (_, nth) => damper.isDue(key(nth), monotonicMs(atMs))).filter(Boolean).length;
  t.equal(
    due(1_000, () => 'a', 5),
    1,
  );
  t.equal(
    due(10_000, (nth) => `b${nth}`, 5 + alarmWindowMs - 1),
    alarmsPerWindowMax - 1,
  );
  t.equal(
    due(2, (nth) => ['a', 'c'][nth] ?? '', 5 + alarmWindowMs),
    2,
  );
  t.end();
});
