/**
 * Shows what trouble does to a box: a full disk refuses before value moves and the box goes on, a failed storage stops it
 * visibly, a flood of events is bounded and counted, and nothing is sold before box and host know each other.
 */
import { join } from 'node:path';
import t from 'tap';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import { nativeCrypto } from '../kernel/native.js';
import type { AmountMinor, Points } from '../kernel/units.js';
import { openBox, until } from '../sim/box-double.js';
import { CardLinks } from './card-links.js';
import { inboxEventsMax, SaleRunner } from './sale-runner.js';
import { WallClock } from './wall-clock.js';

const earn = { service: 'pointsEarn' } as const;
const plain = { service: 'plainSale' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;

t.test('a full disk refuses each sale before value moves, and the box goes on', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  box.persistFails = 'store.full';
  t.match((await box.start(plain)).outcome, { result: 'refused', code: 'store.full' });
  for (const [command, amountMinor] of [
    [earn, 30_000],
    [spend, 30_000],
    [{ service: 'couponCard' }, 10_000],
  ] as const) {
    const { transactionId } = await box.start(command, { purchase: { amountMinor: amountMinor as AmountMinor } });
    box.reader.tap(phone);
    const sale = await box.ended(transactionId);
    t.match(sale.outcome, { result: 'refused', code: 'store.full' }, command.service);
    t.match(sale.receipt.join('\n'), /NOT ACCEPTED/);
    t.equal(box.reader.signals.at(-1), 'refused');
  }
  t.same([box.kinds, box.host.asked, box.terminal.sales(10, null)], [[], [], []]);
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 30_000);
  t.equal(box.terminal.status().stopped, null);
  await box.start(earn, { reference: 'A' });
  t.match(await box.terminal.cancelSale('A'), { ok: true, value: { outcome: { code: 'store.full' } } });

  box.persistFails = null;
  const { transactionId } = await box.start(earn);
  box.reader.tap(phone);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, 'with room again it sells');
});

t.test('a failed storage stops the box where it stands, and only a restart goes on', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const box = await openBox(t, { file });
  const phone = box.host.phone('1380');
  const { transactionId } = await box.start(earn, { reference: 'A' });
  box.persistFails = 'store.failed';
  box.reader.tap(phone);
  await until('the stop', () => box.terminal.status().stopped);
  t.match(box.terminal.status(), { stopped: { code: 'store.failed', detail: /restart/ }, sale: null });
  t.equal(box.reader.signals.at(-1), 'refused', 'nobody holds a phone to a dead box');
  t.same([box.printed, box.host.asked, box.crashes], [[], [], []], 'nothing was said to be accepted');

  box.persistFails = null;
  t.match(await box.refused(plain), { code: 'store.failed' }, 'it does not trust a storage that came back');
  t.match(await box.terminal.cancelSale('A'), { ok: false, error: { code: 'sale.unknown' } });
  box.reader.scan('6901234567892', 'SL!PLAIN');
  box.reader.tap(phone);
  t.same(box.kinds, []);
  t.same(box.crashes, [], 'devices may go on reporting');
  box.close();

  const later = await openBox(t, { file });
  t.equal(later.terminal.sale(transactionId), null, 'nothing of it had happened');
  t.match((await later.start(plain, { reference: 'A' })).outcome, { result: 'accepted' });
});

t.test('a storage that fails when a cancel is to be stored says so', async (t) => {
  const box = await openBox(t);
  await box.start(earn, { reference: 'A' });
  box.persistFails = 'store.corrupt';
  t.match(await box.terminal.cancelSale('A'), { ok: false, error: { code: 'store.corrupt' } });
  const other = await openBox(t);
  other.persistFails = 'store.failed';
  t.match(await other.refused(plain), { code: 'store.failed' });
});

t.test('a storage that fails after the card was written is settled by the restart', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const box = await openBox(t, { file });
  const phone = box.host.phone('1380', 30_000);
  box.onEffect = (effect) => {
    if (effect.type === 'persist' && effect.sale.commit === 'written') box.persistFails = 'store.failed';
  };
  const { transactionId } = await box.start({ service: 'couponCard' });
  box.reader.tap(phone);
  await until('the stop', () => box.terminal.status().stopped);
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 0, 'the card has paid');
  box.close();

  const later = await openBox(t, { file });
  later.host.phone('1380', 30_000);
  await until('the question for the card', () => later.terminal.status().sale?.prompt === 'tapAgain');
  t.match(await later.refused(plain), { code: 'sale.busy' });
  later.reader.tap(phone);
  t.match((await later.ended(transactionId)).outcome, { result: 'accepted', coveredMinor: 30_000 });
  t.same(later.kinds, ['cardDebit', 'completion', 'consumption']);
});

t.test('a thousand cards and codes while the phone is being asked: the sale ends as if nothing had come', async (t) => {
  const box = await openBox(t);
  const held = box.reader.holdAt('present');
  const { transactionId } = await box.start(earn);
  box.reader.tap(box.host.phone('1380'));
  await held.reached;
  const flap = box.host.phone('1381');
  for (let each = 0; each < 500; each++) {
    box.reader.scan('SLM1234567890128');
    box.reader.remove(box.reader.tap(flap));
  }
  held.release();
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  t.match(box.records[0], { credential: { method: 'tap' } });
  t.equal(box.records.length, 2);
  t.same(box.crashes, []);
});

t.test('a card in use is let go when too many come without leaving, and the sale asks again', async (t) => {
  const box = await openBox(t);
  const held = box.reader.holdAt('present');
  await box.start(earn, { reference: 'A' });
  box.reader.tap(box.host.phone('1380'));
  await held.reached;
  for (let each = 0; each < 8; each++) box.reader.tap(box.host.phone(`139${each}`));
  held.release();
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended('A')).outcome, { result: 'accepted' });
});

t.test(
  'the inbox is bounded: what a full one drops is counted, and what effects report is never dropped',
  async (t) => {
    const time = new ManualTime();
    const clock = new WallClock(time.clock, 0);
    const phases: string[] = [];
    const flood = 1_000;
    const box = await openBox(t);
    await box.start(plain);
    const [sale] = box.effects.flatMap((effect) => (effect.type === 'announce' ? [effect.request] : []));
    if (!sale) throw new Error('a sale was announced');
    const links = new CardLinks({
      ...{
        crypto: nativeCrypto,
        clock,
        terminalId: () => 't-0123456789ab',
        merchants: () => ['M1'],
        siteKey: () => null,
        tapOrder: ['application'],
        wallets: null,
        tags: null,
      },
      ...{ siteSpentMinor: () => 0 as AmountMinor, categoryOf: () => null, hostReachable: () => false },
      decider: () => ({ hostReachable: false, offlineOffer: null }),
      ...{ wantsSignature: () => false, cardRefusal: () => null, isBlocked: () => false },
      askSession: async () => null,
    });
    const runner: SaleRunner = new SaleRunner({
      store: {
        persist: () => {
          for (let each = 0; each < flood / 2; each++) {
            runner.deliver({ type: 'codeScanned', code: 'SLM1234567890128', hostReachable: false, offlineOffer: null });
            runner.deliver({ type: 'cardPresented', linkId: `L${each}`, terminalNonce: '00'.repeat(16) });
          }
        },
      },
      ...{ links, clock, schedule: time.schedule, askHost: async () => ({ kind: 'silent' }), recordsQueued: () => {} },
      ...{ prompt: () => {}, announce: () => {}, changed: ({ phase }) => phases.push(phase) },
      crashed: (error) => {
        throw error;
      },
    });
    runner.deliver({ type: 'saleRequested', request: sale });
    t.equal(runner.droppedEvents, flood - inboxEventsMax);
    t.same(phases, ['persistingEnd', 'announcing', 'idle'], 'and the sale has ended');
  },
);

t.test('a driver that reports from within a signal is heard after the step under way', async (t) => {
  const box = await openBox(t);
  let once = true;
  box.reader.onSignal = (signal) => {
    if (signal !== 'idle' || !once) return;
    once = false;
    for (let each = 0; each < 1_000; each++) box.reader.scan('SLM1234567890128');
  };
  const { transactionId } = await box.start(earn);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  t.equal(box.kinds.filter((kind) => kind === 'pointsEarn').length, 1, 'one scan, one action');
});

t.test('before the box knows its host and the host’s rules nothing is sold', async (t) => {
  const box = await openBox(t, { bare: true });
  t.match(await box.refused(plain), { code: 'terminal.notEnrolled' });
  t.match(box.terminal.status(), { stopped: { code: 'terminal.notEnrolled' }, terminalId: null, merchant: null });
  box.reader.scan('6901234567892', 'SL!PLAIN');
  t.equal(box.reader.signals.at(-1), 'refused');
  box.terminal.setWaiting({ code: 'terminal.restored', detail: 'host.unreachable' });
  t.match(await box.refused(plain), { code: 'terminal.restored' });
  box.terminal.setWaiting(null);
  t.match(await box.refused(plain), { code: 'rules.unknown' }, 'enrolled, but without rules to price by');
});
