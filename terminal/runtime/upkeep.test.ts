/**
 * Shows that upkeep goes on by itself, waits while a sale is open, and that a full disk in a quiet moment does not end the
 * box (fault 51). Time is the test's.
 */
import t from 'tap';
import { TerminalError } from '../kernel/errors.js';
import { HandSchedule } from '../sim/port-double.js';
import { startUpkeep, upkeepEveryMs } from './upkeep.js';

t.test('fault 51: rounds go on behind a full disk, not through a sale, and end when told', async (t) => {
  const hand = new HandSchedule();
  let busy = true;
  let failure: Error | null = null;
  let slices = 0;
  const stop = startUpkeep({
    schedule: hand.schedule,
    isBusy: () => busy,
    maintain: () => {
      if (failure) throw failure;
      slices++;
    },
  });
  hand.pass(upkeepEveryMs);
  t.equal(slices, 0, 'a sale is open');
  busy = false;
  hand.pass(upkeepEveryMs);
  t.equal(slices, 1);
  failure = new TerminalError('store.full', 'SQLITE_FULL');
  hand.pass(upkeepEveryMs);
  failure = null;
  hand.pass(upkeepEveryMs);
  t.equal(slices, 2, 'back by itself');
  failure = new Error('a bug');
  t.throws(() => hand.pass(upkeepEveryMs), { message: 'a bug' }, 'a bug is not hidden');
  failure = null;
  stop();
  hand.pass(upkeepEveryMs);
  t.equal(slices, 2);
});
