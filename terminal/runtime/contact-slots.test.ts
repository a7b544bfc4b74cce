/**
 * Shows that a bank card in a contact slot is read when somebody asks, within its time, and never otherwise: it starts no tap,
 * disturbs no sale, and one that is torn out or swapped gives nothing of itself. With the shipped terminal, a slot double with the
 * simulated bank card, and a clock moved by hand.
 */
import t from 'tap';
import { debitCard, SimulatedBankCard } from '../../drivers/sim/bank-card.js';
import type { Bytes } from '../kernel/bytes.js';
import { openBox, until } from '../sim/box-double.js';
import type { FieldPhone } from '../sim/reader-double.js';
import type { TrialSight } from './port.js';

const masked = '629221******1346';
const other = { ...debitCard, number: '6250941006528599' };
const card = (application = debitCard): SimulatedBankCard => new SimulatedBankCard({ applications: [application] });
type Answer = (command: Bytes) => ReturnType<FieldPhone['respond']>;
/** A card that answers otherwise. */
const answering = (simulated: SimulatedBankCard, respond: Answer): FieldPhone => ({
  ...{ atr: simulated.atr, respond: respond as FieldPhone['respond'] },
  ...{ entered: () => simulated.entered(), left: () => simulated.left() },
});
/** Torn out at its nth command. */
function torn(nth: number, simulated = card()): FieldPhone {
  let seen = 0;
  return answering(simulated, (command) => (++seen === nth ? 'tear' : simulated.respond(command)));
}
const openSlot = (t: { teardown(run: () => void): void }) => openBox(t, { slot: true });
type Box = Awaited<ReturnType<typeof openSlot>>;
async function read(box: Box, timeoutMs = 1_000): Promise<string> {
  const result = await box.terminal.bankCards.readBankCard(timeoutMs);
  return result.ok ? result.value.number.masked() : result.error.code;
}

t.test('a card that lies there, one that is put in, and none', async (t) => {
  const box = await openSlot(t);
  const lying = box.reader.insert(card());
  t.equal(await read(box), masked);
  t.equal(await read(box), masked, 'and once more');
  box.reader.remove(lying);
  const waiting = read(box, 30_000);
  box.time.advance(29_999);
  t.equal(await read(box), 'device.busy', 'one reading at a time');
  box.reader.insert(card(other));
  t.equal(await waiting, '625094******8599');
  box.reader.remove('link-2');
  const nobody = read(box, 30_000);
  box.time.advance(30_000);
  t.equal(await nobody, 'chip.notInserted');
  const stopped = read(box, 30_000);
  await box.terminal.stop();
  t.equal(await stopped, 'chip.notInserted', 'the box stops: nobody waits on');
  t.equal(await read(await openBox(t)), 'device.absent', 'a box without a slot');
});

t.test(
  'torn out at each command: nothing is handed over, and the card that came meanwhile is not read in its place',
  async (t) => {
    const box = await openSlot(t);
    const whole = card();
    whole.respond(new Uint8Array(0));
    box.reader.insert(whole);
    await read(box);
    const commands = whole.commands.length - 1;
    t.ok(commands > 10);
    for (let nth = 1; nth <= commands; nth++) {
      const simulated = card();
      const swapped = answering(simulated, (command) => {
        if (simulated.commands.length < nth - 1) return simulated.respond(command);
        box.reader.remove(box.reader.links.at(-1)?.id ?? '');
        box.reader.insert(card(other));
        return simulated.respond(command);
      });
      for (const link of box.reader.links.filter((each) => !each.gone)) box.reader.remove(link.id);
      box.reader.insert(torn(nth));
      t.equal(await read(box), 'device.cardRemoved', `torn at ${nth}`);
      box.reader.insert(swapped);
      t.equal(await read(box), 'device.cardRemoved', `swapped at ${nth}`);
      t.equal(await read(box), '625094******8599', 'the next reading is of the other card');
    }
  },
);

t.test('a card that is silent or slow ends in its time, and has to be put in again', async (t) => {
  const box = await openSlot(t);
  box.reader.insert(answering(card(), () => new Promise(() => {})));
  const silent = read(box);
  await until('it is asked', () => box.reader.commands.length > 0);
  box.time.advance(5_000);
  t.equal(await silent, 'device.timedOut');
  t.ok(box.reader.links[0]?.closed);
  const again = read(box, 1_000);
  box.time.advance(1_000);
  t.equal(await again, 'chip.notInserted', 'the dead link is not used again');
  const simulated = card();
  const slow = answering(
    simulated,
    (command) => new Promise((resolve) => box.time.schedule(1_500, () => resolve(simulated.respond(command)))),
  );
  box.reader.insert(slow);
  const reading = read(box);
  let isOver = false;
  void reading.then(() => {
    isOver = true;
  });
  for (let step = 0; step < 12 && !isOver; step++) {
    await until('its answer is awaited', () => isOver || box.time.pending > 1);
    box.time.advance(1_500);
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(await reading, 'device.timedOut', 'a card may be slow for 12 s');
  t.ok(simulated.commands.length < 9);
});

t.test('an open sale does not hear of the slot, and a sale does not take the card in it', async (t) => {
  const box = await openSlot(t);
  const sale = await box.start({ service: 'pointsEarn' });
  const before = { ...box.terminal.sale(sale.transactionId) };
  const bank = card();
  const link = box.reader.insert(bank);
  t.same(bank.commands, [], 'nothing is sent to it');
  t.match(box.terminal.sale(sale.transactionId), before);
  t.equal(await read(box), masked, 'it may be read meanwhile');
  t.match(box.terminal.sale(sale.transactionId), before);
  box.reader.remove(link);
  t.match(box.terminal.sale(sale.transactionId), before);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(sale.transactionId)).outcome, { result: 'accepted' });

  const lying = card();
  box.reader.insert(lying);
  const next = await box.start({ service: 'pointsEarn' });
  await new Promise((resolve) => setImmediate(resolve));
  t.same(lying.commands, [], 'a card that lies there is no phone');
  t.match(box.terminal.sale(next.transactionId), { phase: 'waiting' });
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(next.transactionId)).outcome, { result: 'accepted' });
  t.same(box.crashes, []);
});

t.test('a trial of the slot shows scheme, label, masked number and expiry, or why not', async (t) => {
  const box = await openSlot(t);
  const seen: TrialSight[] = [];
  const trial = box.terminal.deviceDesk.tryOut('slot-1', 30_000, (sight) => seen.push(sight));
  if (!trial.ok) throw new Error(trial.error.code);
  t.equal(trial.value.wants, 'bankCard');
  const link = box.reader.insert(card());
  await until('the card is seen', () => seen.length === 1);
  box.reader.remove(link);
  t.same(seen, [
    {
      ...{ type: 'bankCard', scheme: 'unionPay', label: 'UnionPay Debit' },
      ...{ number: masked, hasLuhnDigit: true, expiry: '3012' },
    },
    { type: 'cardGone' },
  ]);
  box.reader.insert(torn(9));
  await until('the reason is seen', () => seen.length === 4);
  t.same(seen.slice(2), [{ type: 'cardGone' }, { type: 'unread', code: 'device.cardRemoved' }]);
  box.reader.insert(new SimulatedBankCard({ applications: [{ ...debitCard, refuses: 'blocked' }] }));
  await until('it is blocked', () => seen.length === 5);
  t.same(seen[4], { type: 'unread', code: 'chip.blocked' });
  trial.value.stop();

  const lying: TrialSight[] = [];
  box.reader.remove('link-3');
  box.reader.insert(card());
  const second = box.terminal.deviceDesk.tryOut('slot-1', 30_000, (sight) => lying.push(sight));
  t.ok(second.ok);
  await until('the card that lies there is read', () => lying.length === 1);
  t.match(lying, [{ type: 'bankCard', number: masked }]);
});

t.test('a trial of a reader says that a card of the wrong kind came', async (t) => {
  const box = await openSlot(t);
  const seen: TrialSight[] = [];
  const wrong = { code: 'device.wrongSlot', detail: 'a card with contacts came' } as const;
  const sight = { type: 'unread', code: 'device.wrongSlot' };
  const first = box.terminal.deviceDesk.tryOut('reader-1', 30_000, (each) => seen.push(each));
  if (!first.ok) throw new Error(first.error.code);
  box.reader.remark({ code: 'device.failed', detail: 'another remark' });
  t.same(seen, []);
  box.reader.remark(wrong);
  t.same(seen, [sight]);
  first.value.stop();
  box.terminal.deviceDesk.tryOut('reader-1', 30_000, (each) => seen.push(each));
  t.equal(seen.length, 1, 'not ahead of what the caller says');
  await new Promise((resolve) => setImmediate(resolve));
  t.same(seen, [sight, sight], 'what still stands is said at once');
});

t.test('a sale that begins ends the trial; what is read then is shown to nobody', async (t) => {
  const box = await openSlot(t);
  const trial = box.terminal.deviceDesk.tryOut('slot-1', 30_000, () => t.fail('the sale has begun'));
  if (!trial.ok) throw new Error(trial.error.code);
  const bank = card();
  box.reader.insert(bank);
  await box.start({ service: 'pointsEarn' });
  t.equal(await trial.value.ended, 'sale');
  await until('the reading is over', () => bank.commands.at(-1) === '00b20214');
  t.match(box.terminal.deviceDesk.record('slot-1', '/nonexistent/slot.rec'), { error: { code: 'device.notRecorded' } });
});
