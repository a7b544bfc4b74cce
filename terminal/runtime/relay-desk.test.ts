/**
 * Shows that a sale opens the gate once and only behind its last commit, that what the gate's relay does never touches the sale,
 * and that no restart opens it. How: the shipped terminal, store and relay driver, over a simulated board behind the driver's
 * ports, with a clock moved by hand; the power goes where the test throws.
 */
import { join } from 'node:path';
import t from 'tap';
import type { ByteTransport, DeviceError } from '../../drivers/contract/transport.js';
import { RelayDriver } from '../../drivers/serial/relay-driver.js';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import { SimulatedRelayBoard } from '../../drivers/sim/relay-board.js';
import type { RelayRule } from '../core/relay-rule.js';
import { TerminalError } from '../kernel/errors.js';
import { err, ok } from '../kernel/result.js';
import type { AmountMinor, Points } from '../kernel/units.js';
import { BoxDouble, openBox, until } from '../sim/box-double.js';
import type { TrialSight } from './port.js';

const pulseMs = 500;
const plain = { service: 'plainSale' } as const;
const card = { service: 'couponCard' } as const;
const tenYuan = { purchase: { amountMinor: 1_000 as AmountMinor } };
const onceOnAndOff = ['1 on', '1 off'];

/** A gate's board, and a driver for it as a box has one after each start. */
function newGate() {
  const time = new ManualTime();
  const board = new SimulatedRelayBoard();
  const line = { refuses: false, closed: (_error: DeviceError): void => {}, isThere: true };
  const transport: ByteTransport = {
    write: async (bytes) => {
      if (line.refuses) return err({ code: 'device.failed', detail: 'cannot be written' });
      board.feed(bytes);
      return ok(undefined);
    },
    onData: () => {},
    onClosed: (listener) => {
      line.closed = listener;
    },
    close: async () => {},
  };
  const relay = (opensOn: RelayRule) => ({
    opensOn,
    driver: new RelayDriver(
      { paths: ['/gate'], baud: 9_600, board: 'lcus', channel: 1, pulseMs },
      { ...{ open: async () => ok(transport), exists: () => line.isThere }, ...time, isSimulated: () => false },
    ),
  });
  /** Everything that is due within so long, each step given time to act. */
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 250) {
      for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
      time.advance(Math.min(250, left));
    }
    for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { time, board, line, relay, pass };
}

const relayNotes = (box: BoxDouble) =>
  box.terminal
    .audit(20)
    .filter(({ action }) => action.startsWith('relay.'))
    .map(({ actor, action, detail }) => `${actor} ${action} ${detail}`);

t.test('a sale opens once, behind its last commit; its undoing does not, nor does one that was refused', async (t) => {
  const { board, pass, relay, time } = newGate();
  const box = await openBox(t, { time, relay: relay('sales') });
  await pass(1);
  const commits: (string | null)[] = [];
  box.onEffect = (effect) => {
    if (effect.type === 'persist') t.same(board.history, [], `nothing before ${effect.sale.commit} is stored`);
    if (effect.type === 'announce') commits.push(box.store.sales(1, null)[0]?.sale.commit ?? null);
  };
  const spent = await box.start({ service: 'pointsSpend', points: 5_000 as Points }, { reference: 'S-1' });
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(spent.transactionId)).outcome, { result: 'accepted' });
  await pass(pulseMs);
  t.same([board.history, commits], [onceOnAndOff, ['ended']]);
  box.onEffect = () => {};
  t.match((await box.terminal.saleEnded('S-1', 1))?.outcome, { result: 'accepted' }, 'asked for again');
  await box.start({ service: 'pointsSpend', points: 5_000 as Points }, { reference: 'S-1' });
  await pass(pulseMs);
  t.same(board.history, onceOnAndOff, 'the same reference is the same sale');

  const undone = await box.start({ service: 'void', original: 'S-1' });
  t.match((await box.ended(undone.transactionId)).outcome, { result: 'accepted' });
  const refused = await box.start({ service: 'pointsEarn' });
  await box.terminal.cancelSale(refused.transactionId);
  t.match((await box.ended(refused.transactionId)).outcome, { result: 'refused' });
  box.persistFails = 'store.full';
  t.match((await box.start(plain)).outcome, { result: 'refused', code: 'store.full' });
  await pass(pulseMs);
  t.same([board.history, relayNotes(box), box.crashes], [onceOnAndOff, [], []]);
  await box.terminal.stop();
});

t.test('a drawer opens for a refund too; never is never', async (t) => {
  for (const [rule, pulses] of [
    ['accepted', 2],
    ['never', 0],
  ] as const) {
    const { board, pass, relay, time } = newGate();
    const box = await openBox(t, { time, relay: relay(rule) });
    await pass(1);
    await box.start(plain, { reference: 'P-1' });
    await pass(pulseMs);
    const undone = await box.start({ service: 'void', original: 'P-1' });
    t.match((await box.ended(undone.transactionId)).outcome, { result: 'accepted' });
    await pass(pulseMs);
    t.equal(board.history.filter((change) => change === '1 on').length, pulses, rule);
    await box.terminal.stop();
  }
});

t.test('what was not switched for sure is written down, and the sale stands', async (t) => {
  const { board, line, pass, relay, time } = newGate();
  const box = await openBox(t, { time, relay: relay('sales') });
  await pass(1);
  const first = await box.start(plain);
  await pass(250);
  t.equal(board.relays[0], true);
  const second = await box.start(plain);
  t.match([first, second], [{ outcome: { result: 'accepted' } }, { outcome: { result: 'accepted' } }]);
  await pass(250);
  t.match(relayNotes(box), [new RegExp(`^relay-1 relay.nothing ${second.transactionId} device.busy`)]);

  line.refuses = true;
  const third = await box.start(plain);
  await pass(250);
  t.match(relayNotes(box)[0], new RegExp(`^relay-1 relay.unknown ${third.transactionId} device.failed`));
  line.refuses = false;
  line.isThere = false;
  await pass(2_000);
  const fourth = await box.start(plain);
  await pass(250);
  t.match(relayNotes(box)[0], new RegExp(`^relay-1 relay.nothing ${fourth.transactionId} device\\.`));

  box.store.appendAudit = () => {
    throw new TerminalError('store.full', 'the test says so');
  };
  t.match(await box.start(plain), { outcome: { result: 'accepted' } });
  line.isThere = true;
  await pass(5_000);
  t.same([board.history, box.crashes], [onceOnAndOff, []], 'and a board that is back opens for nobody');
  await box.terminal.stop();
});

for (const [where, isThere] of [
  ['between the last commit and the relay', (type: string) => type === 'announce'],
  ['before the last commit', (type: string, commit: string) => type === 'persist' && commit === 'ended'],
] as const)
  t.test(`the power goes ${where}: no restart opens`, async (t) => {
    const file = join(t.testdir(), 'box.db');
    const { board, pass, relay, time } = newGate();
    const box = await openBox(t, { file, time, relay: relay('sales') });
    await pass(1);
    const phone = box.host.phone('1380', 30_000);
    box.onEffect = (effect) => {
      if (isThere(effect.type, effect.type === 'persist' ? effect.sale.commit : '')) throw new Error('power');
    };
    const { transactionId } = await box.start(card, tenYuan);
    box.reader.tap(phone);
    await until('the power cut', () => box.crashes.length > 0);
    box.close();
    const next = await openBox(t, { file, time, relay: relay('sales') });
    await pass(5_000);
    t.match(next.terminal.sale(transactionId), { outcome: { result: 'accepted' } });
    t.same(board.history, [], 'nobody may be standing there any more');
    const note = `relay relay.nothing ${transactionId} sale.interrupted it ended after a restart`;
    t.same(relayNotes(next), where === 'before the last commit' ? [note] : []);
    const after = await next.start(plain);
    t.match(after.outcome, { result: 'accepted' });
    await pass(pulseMs);
    t.same(board.history, onceOnAndOff, 'the next sale opens');
    await next.terminal.stop();
  });

t.test('the box dies while the relay is on: off at the next start, and not on again', async (t) => {
  const file = join(t.testdir(), 'box.db');
  const { board, pass, relay, time } = newGate();
  const box = await openBox(t, { file, time, relay: relay('sales') });
  await pass(1);
  await box.start(plain);
  await pass(1);
  t.equal(board.relays[0], true);
  box.close();
  const next = new BoxDouble({ file, relay: relay('sales') });
  await next.terminal.start();
  await until('off', () => board.relays[0] === false);
  t.same([board.history, relayNotes(next)], [onceOnAndOff, []]);
  await next.terminal.stop();
  next.close();
});

t.test('a trial switches it on, says what became of it, and is over', async (t) => {
  const { board, pass, relay, time } = newGate();
  const box = await openBox(t, { time, relay: relay('never') });
  await pass(1);
  const seen: TrialSight[] = [];
  const trial = box.terminal.deviceDesk.tryOut('relay-1', 30_000, (sight) => seen.push(sight));
  if (!trial.ok) throw new Error(trial.error.code);
  t.equal(trial.value.wants, 'pulse');
  await pass(pulseMs);
  t.equal(await trial.value.ended, 'done');
  t.same(seen, [{ type: 'pulse', end: { switched: 'sent', device: 'relay-1' } }]);
  t.same(board.history, onceOnAndOff);
  await box.terminal.stop();
});
