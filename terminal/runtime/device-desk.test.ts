/**
 * Shows what a technician may do with devices of the whole box: disable one in mid-sale, try one out without a sale hearing of
 * it, record one. With the shipped terminal and store, a reader double, and a clock moved by hand.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import iconv from 'iconv-lite';
import t from 'tap';
import type { PinAsked, PinEnd } from '../../drivers/contract/driver.js';
import { decodeRecording, recordingBytesMax } from '../../drivers/contract/recording.js';
import { KeySerials } from '../../drivers/protocols/pin-pad/key-serials.js';
import { CustomerDisplayDriver } from '../../drivers/serial/display-driver.js';
import { namedLines } from '../../drivers/serial/line-driver.js';
import { PinPadDriver } from '../../drivers/serial/pin-pad-driver.js';
import { SimulatedLineDisplay } from '../../drivers/sim/line-display.js';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import { SimulatedPinPad } from '../../drivers/sim/pin-pad.js';
import { hex, toHex, utf8 } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import { nativeCrypto, nativeRandom } from '../kernel/native.js';
import { ok } from '../kernel/result.js';
import type { Points } from '../kernel/units.js';
import { openBox, until } from '../sim/box-double.js';
import type { TrialSight } from './port.js';

const earn = { service: 'pointsEarn' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;
const folder = mkdtempSync(path.join(tmpdir(), 'shouli-desk-'));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test(
  'a reader disabled while a phone is read: the sale waits on, another way still ends it, nothing is charged twice',
  async (t) => {
    const box = await openBox(t);
    const sale = await box.start(earn);
    const hold = box.reader.holdAt('select');
    box.reader.tap(box.host.phone('1380'));
    await hold.reached;
    const disabled = box.terminal.deviceDesk.setEnabled('reader-1', false);
    t.match(disabled, { ok: true, value: { state: 'disabled' } });
    hold.release();
    await until('the read is over', () => box.terminal.sale(sale.transactionId)?.phase === 'waiting');
    t.match(box.terminal.sale(sale.transactionId), { phase: 'waiting', outcome: null });
    box.reader.scan('SLM1234567890128');
    t.match((await box.ended(sale.transactionId)).outcome, { result: 'accepted' });
    t.equal(box.kinds.filter((kind) => kind === 'pointsEarn').length, 1);
    t.same(box.crashes, []);
  },
);

t.test('a reader disabled and nothing else done: the sale times out, nothing is charged', async (t) => {
  const box = await openBox(t);
  const sale = await box.start(spend);
  box.terminal.deviceDesk.setEnabled('reader-1', false);
  box.time.advance(60_000);
  t.match((await box.ended(sale.transactionId)).outcome, { result: 'refused', code: 'sale.timedOut' });
  t.same(box.kinds, []);
});

t.test('disabled is remembered by the store, and undone by enable', async (t) => {
  const file = path.join(folder, 'box.db');
  const box = await openBox(t, { file });
  box.terminal.deviceDesk.setEnabled('reader-1', false);
  await box.terminal.stop();
  box.close();
  const again = await openBox(t, { file });
  t.match(again.terminal.devices(), [{ device: 'reader-1', state: 'disabled' }]);
  t.match(again.terminal.deviceDesk.setEnabled('reader-1', true), { ok: true, value: { state: 'ready' } });
  t.equal(again.store.setting('devices.disabled'), null);
  t.match(again.terminal.deviceDesk.setEnabled('nothing', false), { ok: false, error: { code: 'device.unknown' } });
});

t.test('what cannot be remembered is not done', async (t) => {
  const box = await openBox(t);
  box.store.setSetting = () => {
    throw new TerminalError('store.full', 'the test says so');
  };
  t.throws(() => box.terminal.deviceDesk.setEnabled('reader-1', false), { code: 'store.full' });
  t.match(box.terminal.devices(), [{ state: 'ready' }]);
});

t.test('a trial sees cards and codes, sales do not; a member’s code is not shown; time ends it', async (t) => {
  const box = await openBox(t);
  const seen: TrialSight[] = [];
  const trial = box.terminal.deviceDesk.tryOut('reader-1', 30_000, (sight) => seen.push(sight));
  if (!trial.ok) throw new Error(trial.error.code);
  t.equal(trial.value.wants, 'card');
  const link = box.reader.tap(box.host.phone('1380'));
  box.reader.remove(link);
  t.match(seen, [{ type: 'card', atr: /^3b/ }, { type: 'cardGone' }]);
  t.ok(box.reader.links[0]?.closed, 'the card is let go');
  t.same(box.reader.commands, [], 'and was asked nothing');
  t.match(
    box.terminal.deviceDesk.tryOut('reader-1', 30_000, () => {}),
    { error: { code: 'device.busy' } },
  );
  box.time.advance(30_000);
  t.equal(await trial.value.ended, 'time');
  const sale = await box.start(earn);
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(sale.transactionId)).outcome, { result: 'accepted' }, 'the reader is back with the sales');
});

t.test('a trial says what symbol was read, and its data in the form for people', async (t) => {
  const box = await openBox(t);
  const seen: TrialSight[] = [];
  const trial = box.terminal.deviceDesk.tryOut('reader-1', 30_000, (sight) => seen.push(sight));
  t.ok(trial.ok);
  box.reader.scanSymbol(']C1', '010950600013435210L1\u001d21S', 'reader-1');
  box.reader.scanSymbol(']E0', '4006381333931', 'reader-1');
  t.same(seen, [
    { type: 'code', text: '(01)09506000134352(10)L1(21)S  ]C1' },
    { type: 'code', text: '4006381333931  ]E0' },
  ]);
});

/** The shipped driver, what it gave, and a simulated pad at the other end of its line. */
class WatchedPad extends PinPadDriver {
  readonly ends: (PinEnd | null)[] = [];
  override async askPin(asked: PinAsked): Promise<PinEnd | null> {
    const end = await super.askPin(asked);
    this.ends.push(end);
    return end;
  }
}

async function openPadBox(t: { teardown(run: () => void): void }) {
  const time = new ManualTime();
  let hear = (_chunk: Uint8Array): void => {};
  const pad = new SimulatedPinPad(
    {
      ...{ crypto: nativeCrypto, random: nativeRandom, schedule: time.schedule, counter: 0x2fff },
      ...{ initialKey: new Uint8Array(16).fill(9), initialKeyId: hex('1234567890123456') },
    },
    (frame) => queueMicrotask(() => hear(frame)),
  );
  const lines = namedLines(['/dev/pad']);
  const driver = new WatchedPad('serial', 'generic', {
    ...{ ...time, random: nativeRandom, keySerials: new KeySerials() },
    ...{ wanted: () => lines, exists: () => true, isSimulated: () => true },
    open: async () =>
      ok({
        write: async (bytes) => {
          pad.feed(bytes);
          return ok(undefined);
        },
        onData: (listener) => {
          hear = listener;
        },
        onClosed: () => {},
        close: async () => {},
      }),
  });
  const box = await openBox(t, { time, drivers: [driver] });
  const seen: TrialSight[] = [];
  const tryOut = () => {
    const trial = box.terminal.deviceDesk.tryOut('pinpad-1', 30_000, (sight) => seen.push(sight));
    if (!trial.ok) throw new Error(trial.error.code);
    return trial.value;
  };
  return { box, pad, driver, seen, tryOut, prompted: () => until('the prompt', () => pad.prompt) };
}

t.test('a trial of a PIN pad: what came is named and wiped, and its end is the end of the entry', async (t) => {
  const { box, driver, pad, prompted, seen, tryOut } = await openPadBox(t);
  const trial = tryOut();
  t.equal(trial.wants, 'pin');
  await prompted();
  t.same(pad.prompt?.seconds, 25, 'the pad’s own time is over before the trial’s');
  pad.key('739164');
  t.equal(await trial.ended, 'done');
  t.same(seen, [{ type: 'pin', end: { result: 'entered', keySerialEnd: '3000', blockBytes: 16 } }]);
  const [end] = driver.ends;
  t.same(end?.result === 'entered' && [end.keySerialNumber, end.pinBlock], [new Uint8Array(12), new Uint8Array(16)]);

  const late = tryOut();
  await prompted();
  box.time.advance(25_000);
  t.equal(await late.ended, 'done');
  t.same(seen.at(-1), { type: 'pin', end: { result: 'timedOut' } });

  const stopped = tryOut();
  await prompted();
  stopped.stop();
  t.equal(await stopped.ended, 'stopped');
  await until('the end of the entry', () => driver.ends.length === 3);
  t.equal(pad.prompt, null, 'the member is asked no more');
  t.equal(seen.length, 2, 'and nothing is shown of it');

  const overtaken = tryOut();
  await prompted();
  const sale = await box.start(earn);
  t.equal(await overtaken.ended, 'sale');
  await until('the end of the entry', () => driver.ends.length === 4);
  t.same([pad.prompt, driver.ends.at(-1)?.result], [null, 'cancelled']);
  await box.terminal.cancelSale(sale.transactionId);

  pad.mood.stuckCounter = true;
  const reused = tryOut();
  await prompted();
  pad.key('1234');
  t.equal(await reused.ended, 'done');
  t.same(seen.at(-1), { type: 'pin', end: { result: 'failed', code: 'device.keyReused' } });
  t.match(box.terminal.devices().at(-1), { device: 'pinpad-1', state: 'ready', error: { code: 'device.keyReused' } });
  t.match(box.terminal.deviceDesk.record('pinpad-1', path.join(folder, 'pad.rec')), {
    error: { code: 'device.notRecorded' },
  });
  t.same(box.crashes, []);
  await box.terminal.stop();
});

t.test('a trial of a display fills it, and the display is as before afterwards; a sale has it at once', async (t) => {
  const far = new SimulatedLineDisplay();
  const time = new ManualTime();
  const driver = new CustomerDisplayDriver(
    { paths: ['/dev/display'], baud: 9_600, commands: 'cd5220', chinese: true },
    {
      ...{ ...time, exists: () => true, isSimulated: () => true },
      loadEncode: async () => (text) => new Uint8Array(iconv.encode(text, 'gb18030')),
      open: async () =>
        ok({
          write: async (bytes) => {
            far.feed(bytes);
            return ok(undefined);
          },
          onData: () => {},
          onClosed: () => {},
          close: async () => {},
        }),
    },
  );
  const box = await openBox(t, { time, drivers: [driver] });
  const seen: TrialSight[] = [];
  const tryOut = () => {
    const trial = box.terminal.deviceDesk.tryOut('display-1', 30_000, (sight) => seen.push(sight));
    if (!trial.ok) throw new Error(trial.error.code);
    return trial.value;
  };
  const full = ['显示测试DISPLAY TEST', '01234567890123456789'];
  await until('the display', () => far.lines[0] !== undefined);
  const before = far.lines;
  const trial = tryOut();
  t.equal(trial.wants, 'display');
  await until('the test', () => far.lines[0] === full[0]);
  t.same([far.lines, far.unknown, seen], [full, [], [{ type: 'shown', lines: full }]]);
  trial.stop();
  await until('what it showed before', () => far.lines[0] === before[0]);

  const overtaken = tryOut();
  await until('the test', () => far.lines[0] === full[0]);
  const sale = await box.start(earn);
  t.equal(await overtaken.ended, 'sale');
  await until('the sale', () => far.lines[0] !== full[0] && far.lines[0] !== before[0]);
  await box.terminal.cancelSale(sale.transactionId);
  t.same(box.crashes, []);
});

t.test('a sale ends a trial and has the device; while one is open there is no trial', async (t) => {
  const box = await openBox(t);
  const trial = box.terminal.deviceDesk.tryOut('reader-1', 30_000, () => t.fail('the sale has it'));
  if (!trial.ok) throw new Error(trial.error.code);
  const sale = await box.start(earn);
  t.equal(await trial.value.ended, 'sale');
  t.match(
    box.terminal.deviceDesk.tryOut('reader-1', 1, () => {}),
    { error: { code: 'sale.busy' } },
  );
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(sale.transactionId)).outcome, { result: 'accepted' });
  trial.value.stop();
});

t.test('a recording holds bytes and events with their times, and is bounded', async (t) => {
  const box = await openBox(t);
  const { deviceDesk: desk } = box.terminal;
  const file = path.join(folder, 'reader.rec');
  t.match(desk.record('reader-1', file), { ok: true });
  t.match(desk.record('reader-1', `${file}2`), { error: { code: 'device.busy' } });
  box.reader.sink?.('out', hex('00A4'));
  box.time.advance(12);
  box.reader.sink?.('in', hex('9000'));
  box.reader.remove(box.reader.tap(box.host.phone('1380')));
  t.match(desk.describe('reader-1'), { value: { driver: 'reader-double', recording: { file, ended: null } } });
  t.match(desk.stopRecording('reader-1'), { file, ended: null });
  t.equal(desk.stopRecording('reader-1'), null);
  t.equal(box.reader.sink, null);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const read = decodeRecording(new Uint8Array(readFileSync(file)));
  if (!read.ok) throw new Error(read.error.detail);
  t.same([read.value.driver, read.value.identity], ['reader-double', 'reader double']);
  t.same(
    read.value.lines.map(({ atMs, moment, bytes }) => `${atMs} ${moment} ${toHex(bytes).slice(0, 4)}`),
    ['0 out 00a4', '12 in 9000', '12 card 3b86', '12 cardGone '],
  );
  t.match(
    desk.record('reader-1', file),
    { error: { code: 'device.recordingFailed' } },
    'never over a file that is there',
  );
  t.match(desk.record('reader-1', '/nonexistent/x'), { error: { code: 'device.recordingFailed' } });

  const full = path.join(folder, 'full.rec');
  desk.record('reader-1', full);
  for (let at = 0; at < 40; at++) box.reader.sink?.('in', utf8('x'.repeat(32_768)));
  t.match(desk.describe('reader-1'), { value: { recording: { ended: /full/ } } });
  t.ok(statSync(full).size <= recordingBytesMax);
  t.ok(decodeRecording(new Uint8Array(readFileSync(full))).ok, 'and whole up to there');
  await box.terminal.stop();
});

t.test('where card numbers or PINs pass, nothing is recorded but on a simulated box', async (t) => {
  const file = path.join(folder, 'slot.rec');
  const real = await openBox(t);
  real.reader.sensitive = true;
  t.match(real.terminal.deviceDesk.record('reader-1', file), { ok: false, error: { code: 'device.notRecorded' } });
  t.throws(() => statSync(file), { code: 'ENOENT' });
  t.equal(real.reader.sink, null, 'and nobody listens');
  const simulated = await openBox(t, { options: { simulated: true } });
  simulated.reader.sensitive = true;
  t.match(simulated.terminal.deviceDesk.record('reader-1', file), { ok: true });
  simulated.terminal.deviceDesk.stopRecording('reader-1');
});
