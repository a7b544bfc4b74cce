/**
 * Shows what cancel means in every phase that a box can be caught in, and what a time-out does: nothing happened, a
 * reversal is queued, or too late. The exchange is held at the phase wanted; the clock is moved by hand.
 */
import t, { type Test } from 'tap';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import type { ServiceCommand } from './port.js';

const earn = { service: 'pointsEarn' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;
const card = { service: 'couponCard' } as const;

interface Phase {
  readonly name: string;
  readonly command: ServiceCommand;
  /** Brings the sale there and leaves it there. */
  readonly reach: (box: BoxDouble) => Promise<void>;
  readonly cancel: string;
  readonly records: readonly string[];
}

const holdCommand = (name: Parameters<BoxDouble['reader']['holdAt']>[0]) => async (box: BoxDouble) => {
  const held = box.reader.holdAt(name);
  box.reader.tap(box.host.phone('1380', 30_000));
  await held.reached;
};
const holdHost = (count: (box: BoxDouble) => number) => async (box: BoxDouble) => {
  box.host.hold();
  box.reader.tap(box.host.phone('1380', 30_000));
  await until('the question', () => count(box) === 1);
};
const tear = async (box: BoxDouble): Promise<void> => {
  const phone = box.host.phone('1380', 30_000);
  phone.tearAt({ at: 'writeSlot', moment: 'before', bytes: null });
  box.reader.tap(phone);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
};
const reachReadBack = async (box: BoxDouble): Promise<void> => {
  const write = box.reader.holdAt('writeSlot');
  box.reader.tap(box.host.phone('1380', 30_000));
  await write.reached;
  const read = box.reader.holdAt('readRecords');
  write.release();
  await read.reached;
};

const cancelled = 'sale.cancelled';
const tooLate = 'sale.tooLate';
const phases: readonly Phase[] = [
  { name: 'awaitingCredential', command: earn, reach: async () => {}, cancel: cancelled, records: [] },
  { name: 'presenting', command: earn, reach: holdCommand('present'), cancel: cancelled, records: [] },
  {
    name: 'openingSession, by the host',
    command: card,
    reach: holdHost((box) => box.host.sessionsAsked.length),
    cancel: cancelled,
    records: [],
  },
  { name: 'openingSession, by the phone', command: card, reach: holdCommand('mutual'), cancel: cancelled, records: [] },
  { name: 'readingCard', command: card, reach: holdCommand('readRecords'), cancel: cancelled, records: [] },
  {
    name: 'awaitingAuthorisation',
    command: spend,
    reach: holdHost((box) => box.host.asked.length),
    cancel: cancelled,
    records: ['pointsSpend', 'reversal'],
  },
  { name: 'writingCard', command: card, reach: holdCommand('writeSlot'), cancel: tooLate, records: ['cardDebit'] },
  { name: 'readingBack', command: card, reach: reachReadBack, cancel: tooLate, records: ['cardDebit'] },
  {
    name: 'awaitingCardAgain',
    command: card,
    reach: tear,
    cancel: 'card.unknown',
    records: ['cardDebit', 'completion'],
  },
  {
    name: 'awaitingBalance',
    command: earn,
    reach: holdHost((box) => box.host.asked.length),
    cancel: tooLate,
    records: ['pointsEarn', 'consumption'],
  },
];

async function at(t: Test, { command, reach }: Phase): Promise<BoxDouble> {
  const box = await openBox(t);
  await box.start(command, { reference: 'X' });
  await reach(box);
  return box;
}

for (const phase of phases) {
  t.test(`cancel in ${phase.name}`, async (t) => {
    const box = await at(t, phase);
    const answer = await box.terminal.cancelSale('X');
    const code = answer.ok ? (answer.value.outcome as { code?: string } | null)?.code : answer.error.code;
    t.equal(code, phase.cancel);
    t.same(box.kinds, phase.records);
    if (phase.cancel === tooLate) {
      t.match(box.terminal.status().sale, { reference: 'X', outcome: null }, 'it goes on');
      return;
    }
    t.equal(box.terminal.status().sale, null);
    t.equal(box.reader.signals.at(-1), 'refused');
    t.match(await box.terminal.cancelSale('X'), { ok: false, error: { code: tooLate } });
    t.match(await box.start(earn, { reference: 'Y' }), { phase: 'waiting' }, 'the next sale begins');
    t.same(box.crashes, []);
  });
}

t.test('a cancel while the intent is being stored becomes a reversal once it is', async (t) => {
  const box = await openBox(t);
  box.onEffect = (effect) => {
    if (effect.type === 'persist' && effect.sale.commit === 'intent') void box.terminal.cancelSale('X');
  };
  await box.start(spend, { reference: 'X' });
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended('X')).outcome, { result: 'refused', code: cancelled });
  t.same(box.kinds, ['pointsSpend', 'reversal']);
  t.match(box.records.at(-1), { reason: 'cancelled' });
  t.same(box.host.asked, [], 'the host was not asked to take it');
});

t.test('what arrives after a cancel changes nothing, and a sale that is not open is not cancelled', async (t) => {
  const box = await openBox(t);
  const release = box.host.hold();
  const { transactionId } = await box.start(spend, { reference: 'X' });
  const phone = box.host.phone('1380');
  box.reader.tap(phone);
  await until('the question', () => box.host.asked.length === 1);
  const answer = await box.terminal.cancelSale(transactionId);
  t.match(answer, { ok: true, value: { outcome: { code: cancelled } } });
  t.notMatch(answer.ok && answer.value.receipt.join('\n'), /COPY/, 'the answer has the first receipt');
  const next = await box.start(earn, { reference: 'Y' });
  release();
  await until('the late answer', () => box.store.saleByReference('X')?.answer);
  t.match(box.terminal.sale('X')?.outcome, { result: 'refused', code: cancelled }, 'a late yes stays reversed');
  t.match(box.terminal.status().sale, { transactionId: next.transactionId, phase: 'waiting' });
  t.match(await box.terminal.cancelSale('X'), { ok: false, error: { code: tooLate } });
  t.match(await box.terminal.cancelSale('nothing'), { ok: false, error: { code: 'sale.unknown' } });
  t.match(box.terminal.status().sale, { reference: 'Y' }, 'the open sale is another');
});

t.test('time-outs end a sale that waits, and let one that works go on', async (t) => {
  const waiting = await at(t, phases[0] as Phase);
  waiting.time.advance(59_999);
  t.equal(waiting.terminal.status().sale?.phase, 'waiting');
  waiting.time.advance(1);
  t.match((await waiting.ended('X')).outcome, { result: 'refused', code: 'sale.timedOut' });
  t.same(waiting.kinds, []);

  for (const phase of phases.slice(1, 5)) {
    const box = await openBox(t);
    await box.start(phase.command, { reference: 'X' });
    box.time.advance(59_000);
    await phase.reach(box);
    box.time.advance(1_000);
    t.match((await box.ended('X')).outcome, { result: 'refused', code: 'sale.timedOut' }, phase.name);
    t.same(box.kinds, [], phase.name);
  }

  const torn = await at(t, phases.find(({ name }) => name === 'awaitingCardAgain') as Phase);
  torn.time.advance(29_999);
  t.equal(torn.terminal.status().sale?.phase, 'waiting');
  torn.time.advance(1);
  const { outcome, receipt } = await torn.ended('X');
  t.match(outcome, { result: 'unknown', code: 'card.unknown' });
  t.match(receipt.join('\n'), /NOT CONFIRMED/);
  t.match(torn.records.at(-1), { kind: 'completion', outcome: 'cardUnknown' });
});

t.test('the timer of a sale that ended does not end the next', async (t) => {
  const box = await openBox(t);
  await box.start(earn, { reference: 'X' });
  box.time.advance(59_000);
  await box.terminal.cancelSale('X');
  await box.start(earn, { reference: 'Y' });
  box.time.advance(59_999);
  t.equal(box.terminal.sale('Y')?.phase, 'waiting');
  box.time.advance(1);
  t.match(box.terminal.sale('Y')?.outcome, { code: 'sale.timedOut' });
});
