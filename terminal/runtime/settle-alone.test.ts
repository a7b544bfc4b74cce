/**
 * Shows that a restarted box has the reversal of its interrupted spend in the outbox before anything can be sent, and
 * leaves to the later start what needs host or card. How: the first life ends while the host is asked.
 */
import { join } from 'node:path';
import t from 'tap';
import type { AmountMinor, Points } from '../kernel/units.js';
import { BoxDouble, openBox, until } from '../sim/box-double.js';
import { restoredSetting } from '../store/backup.js';

/** A database whose last sale ended at its intent. */
async function interrupted(file: string, t: Parameters<typeof openBox>[0], command: 'pointsSpend' | 'couponCard') {
  const box = await openBox(t, { file });
  const phone = box.host.phone('1380', 30_000);
  box.host.decide = () => null;
  await box.start(command === 'pointsSpend' ? { service: command, points: 5_000 as Points } : { service: command }, {
    purchase: { amountMinor: 10_000 as AmountMinor },
  });
  box.reader.tap(phone);
  await until('the question to the host', () => box.host.asked.length === 1);
  box.close();
}

t.test('the reversal stands before the first contact, ahead of what it reverses', async (t) => {
  const file = join(t.testdir(), 'box.db');
  await interrupted(file, t, 'pointsSpend');
  const box = new BoxDouble({ file });
  t.equal(box.store.unfinishedSale()?.commit, 'intent');
  box.terminal.settleAlone();
  t.equal(box.store.unfinishedSale(), null);
  t.same(
    box.store.nextUnsent(10, new Set()).map(({ kind }) => kind),
    ['reversal', 'pointsSpend'],
  );
  box.terminal.settleAlone();
  await box.terminal.start();
  t.same(box.crashes, []);
  t.equal(box.store.unsentCount(), 2, 'once');
  box.store.close();
});

t.test('a card’s intent waits for host and card, a restored database for its epoch', async (t) => {
  const file = join(t.testdir(), 'card.db');
  await interrupted(file, t, 'couponCard');
  const box = new BoxDouble({ file });
  box.terminal.settleAlone();
  t.equal(box.store.unfinishedSale()?.commit, 'intent');
  box.store.close();

  const other = join(t.testdir(), 'spend.db');
  await interrupted(other, t, 'pointsSpend');
  const restored = new BoxDouble({ file: other });
  restored.store.setSetting(restoredSetting, '1');
  restored.terminal.settleAlone();
  t.equal(restored.store.unfinishedSale()?.commit, 'intent');
  restored.store.close();
});
