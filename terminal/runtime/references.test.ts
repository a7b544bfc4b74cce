/**
 * Shows that a till's reference names one sale for good, open, ended and after a restart; that two starts at once make one
 * sale; and that waiting and following end with the sale. With the shipped terminal over a database file that is reopened.
 */
import { join } from 'node:path';
import t from 'tap';
import type { AmountMinor, Points } from '../kernel/units.js';
import { directives, openBox, until } from '../sim/box-double.js';
import { ringEventsMax } from './event-ring.js';
import type { TerminalEvent } from './port.js';

const earn = { service: 'pointsEarn' } as const;
const plain = { service: 'plainSale' } as const;
const amount = (amountMinor: number) => ({ purchase: { amountMinor: amountMinor as AmountMinor } });

t.test('what the host sets for all boxes is in force with the next sale, over the box’s own', async (t) => {
  const box = await openBox(t);
  const configuration = { receiptFoot: ['谢谢惠顾'], credentialTimeoutMs: 2_000, category: 'dining' };
  box.store.setDirectives({ ...directives, version: directives.version + 1, configuration });
  await box.start(earn, { reference: 'C-1' });
  box.time.advance(1_999);
  t.equal(box.terminal.sale('C-1')?.phase, 'waiting');
  box.time.advance(1);
  const ended = await box.ended('C-1');
  t.match(ended.outcome, { result: 'refused', code: 'sale.timedOut' });
  t.match(ended.receipt.at(-1), /^ *谢谢惠顾$/);
  const sold = await box.start(plain, { reference: 'C-2' });
  t.match(sold.outcome, { result: 'accepted' });
  t.match(box.terminal.journal(1, null)[0]?.body, /"category":"dining"/);
  t.match(box.terminal.sale('C-2')?.receipt.at(-2), /谢谢惠顾/, 'on the copy too, above its mark');
});

t.test('the same reference is the same sale: open, ended, and after a restart', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const box = await openBox(t, { file });
  const first = await box.start(earn, { reference: 'A-1' });
  const again = await box.start(earn, { reference: 'A-1' });
  t.same(again, first, 'open');
  t.match(await box.refused(earn, { reference: 'A-1', ...amount(30_001) }), { code: 'sale.referenceConflict' });
  t.match(await box.refused(plain, { reference: 'A-1' }), { code: 'sale.referenceConflict' });
  t.match(await box.start(earn, { reference: 'A-1', clerk: 'ben' }), { clerk: 'ann' }, 'another clerk may ask');

  box.reader.tap(box.host.phone('1380'));
  const ended = await box.ended('A-1');
  const { receipt: _first, ...course } = ended;
  t.match(await box.start(earn, { reference: 'A-1' }), course, 'ended');
  t.match(await box.refused(earn, { reference: 'A-1', ...amount(1) }), { code: 'sale.referenceConflict' });
  t.equal(box.terminal.sales(10, null).length, 1);
  box.close();

  const later = await openBox(t, { file });
  t.match(await later.start(earn, { reference: 'A-1' }), course, 'after a restart');
  t.match(await later.refused(plain, { reference: 'A-1' }), { code: 'sale.referenceConflict' });
  t.match(later.terminal.sale(first.transactionId), { reference: 'A-1' }, 'found by its id as well');
  t.equal(later.terminal.status().sale, null, 'and nothing was started');
});

t.test(
  'a sale that a restart interrupted keeps its reference and ends reversed, without a second receipt',
  async (t) => {
    const file = join(t.testdir(), 'box.db');
    const box = await openBox(t, { file });
    const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;
    const release = box.host.hold();
    const { transactionId } = await box.start(spend, { reference: 'A-2' });
    box.reader.tap(box.host.phone('1380'));
    await until('the question', () => box.host.asked.length === 1);
    const memory = box.terminal.sale('A-2');
    box.close();

    const later = await openBox(t, { file });
    t.match(memory, { transactionId, phase: 'working' });
    t.match(await later.start(spend, { reference: 'A-2' }), {
      transactionId,
      phase: 'ended',
      outcome: { result: 'refused', code: 'sale.interrupted' },
    });
    t.same(later.kinds, ['pointsSpend', 'reversal']);
    release();
  },
);

t.test('two starts at once: under one reference one sale, under two the second finds the box busy', async (t) => {
  const box = await openBox(t);
  const same = box.command(earn, { reference: 'B-1' });
  const [one, two] = await Promise.all([box.terminal.startSale(same), box.terminal.startSale(same)]);
  t.ok(one?.ok);
  t.same(two, one);
  const third = await box.terminal.startSale(box.command(earn, { reference: 'B-2' }));
  t.same(third, { ok: false, error: { code: 'sale.busy', detail: '' } });
  t.match(await box.refused(plain), { code: 'sale.busy' });
  await box.terminal.cancelSale('B-1');
  t.match(await box.start(earn, { reference: 'B-2' }), { phase: 'waiting' }, 'a busy box has forgotten nothing');
});

t.test('saleEnded waits for the end, or so long; followers get every event once and resume', async (t) => {
  const box = await openBox(t);
  const { transactionId } = await box.start(earn, { reference: 'C-1' });
  const inTime = box.terminal.saleEnded('C-1', 5_000);
  box.time.advance(5_000);
  t.match(await inTime, { phase: 'waiting' }, 'the view at that moment');
  const byEnd = box.terminal.saleEnded(transactionId, 50_000);
  box.reader.tap(box.host.phone('1380'));
  const view = await byEnd;
  t.equal(view?.phase, 'ended');
  t.notMatch(view?.receipt.join('\n'), /COPY/, 'the one receipt that is none');
  t.match(await box.terminal.saleEnded('C-1', 1), { phase: 'ended' });
  t.equal(await box.terminal.saleEnded('no such', 1), null);

  const [first] = box.events;
  t.ok(first);
  if (!first) return;
  const seen: (TerminalEvent | null)[] = [];
  const stop = box.terminal.follow({ boot: first.boot, number: first.number }, (event) =>
    seen.push(event?.event ?? null),
  );
  t.same(
    seen,
    box.events.slice(1).map(({ event }) => event),
    'from where the follower was',
  );
  stop();
  const gone: unknown[] = [];
  box.terminal.follow({ boot: 'another', number: 1 }, (event) => gone.push(event))();
  t.same(gone, [null], 'events of another start are said to be gone');
  const before = seen.length;
  for (let each = 0; each < ringEventsMax; each++) box.terminal.syncChanged();
  t.equal(seen.length, before, 'stopped');
  box.terminal.follow({ boot: first.boot, number: first.number }, (event) => gone.push(event))();
  t.same(gone, [null, null], 'and so are those that have fallen out of the ring');
});

t.test('what nobody needs to know makes no event, so that noise does not push events out of the ring', async (t) => {
  const box = await openBox(t);
  await box.start({ service: 'couponCard' });
  const { length } = box.events;
  for (let scan = 0; scan < 100; scan++) box.reader.scan('SLM1234567890128');
  t.equal(box.events.length, length, 'a code that this sale has no use for');
  for (let each = 0; each < 100; each++) box.reader.remove(`nobody-${each}`);
  t.equal(box.events.length, length, 'a card that was not there');
});
