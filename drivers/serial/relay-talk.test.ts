/**
 * Shows that one asking is one pulse at most, and that the relay is off again whatever befalls a write, the line or the box. How:
 * a board written from the makers' pages behind the driver's ports, and a clock that moves when told.
 */
import t from 'tap';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { DeviceSupervisor } from '../../terminal/runtime/device-supervisor.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { ManualTime } from '../sim/manual-time.js';
import { SimulatedRelayBoard } from '../sim/relay-board.js';
import { RelayDriver, type RelayOptions } from './relay-driver.js';

const options: RelayOptions = { paths: [], baud: 9_600, board: 'lcus', channel: 1, pulseMs: 500 };
const onceOnAndOff = ['1 on', '1 off'];

type Fault = 'refuse' | 'half' | 'hang' | 'pull';

/** A board behind the driver's ports, and a clock that moves when told. */
function openFeigned(more: Partial<RelayOptions> = {}) {
  const time = new ManualTime();
  const board = new SimulatedRelayBoard(more.board ?? 'lcus');
  const line = {
    isThere: true,
    /** What befalls the writes to come, one each; then they succeed. */
    faults: [] as (Fault | 'none')[],
    opened: 0,
    closes: 0,
    writes: [] as string[],
    closed: (_error: DeviceError): void => {},
  };
  const open = async (): Promise<Result<ByteTransport, DeviceError>> => {
    line.opened += 1;
    return ok({
      write: async (bytes) => {
        line.writes.push(Buffer.from(bytes).toString('hex'));
        const fault = line.faults.shift() ?? 'none';
        if (fault === 'refuse') return err({ code: 'device.failed', detail: 'cannot be written' });
        if (fault === 'hang') return new Promise(() => {});
        board.feed(fault === 'half' ? bytes.subarray(0, 2) : bytes);
        if (fault === 'half') return err({ code: 'device.failed', detail: 'broke off' });
        if (fault === 'pull') line.closed({ code: 'device.closed', detail: 'pulled' });
        return ok(undefined);
      },
      onData: () => {},
      onClosed: (listener) => {
        line.closed = listener;
      },
      close: async () => {
        line.closes += 1;
      },
    });
  };
  const driver = new RelayDriver(
    { ...options, paths: ['/gate'], ...more },
    { ...{ open, exists: () => line.isThere }, ...time, isSimulated: () => false },
  );
  const settle = async () => {
    for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    ...{ board, driver, line, settle, time },
    start: async () => {
      await driver.start(() => {});
      await settle();
    },
    pass: async (ms: number) => {
      await settle();
      for (let left = ms; left > 0; left -= 250) {
        time.advance(Math.min(250, left));
        await settle();
      }
    },
    /** As after the power cut of the box: the board keeps what it was told. */
    again: () =>
      new RelayDriver(
        { ...options, paths: ['/gate'], ...more },
        { ...{ open, exists: () => true }, ...time, isSimulated: () => false },
      ),
  };
}

for (const board of ['lcus', 'kmtronic'] as const)
  t.test(`${board}: on for as long as told, on the relay that was told`, async (t) => {
    const rig = openFeigned({ board, channel: 3, pulseMs: 700 });
    await rig.start();
    t.equal(rig.line.writes.length, 1, 'off at the opening');
    const pulsing = rig.driver.pulse(null);
    await rig.settle();
    t.same(rig.board.history, ['3 on']);
    rig.time.advance(699);
    await rig.settle();
    t.same(rig.board.history, ['3 on']);
    rig.time.advance(1);
    t.same(await pulsing, { switched: 'sent', device: 'relay-1' });
    t.same([rig.board.history, rig.board.unknown], [['3 on', '3 off'], []]);
    await rig.driver.stop();
  });

t.test('asked again while it is on: refused, not longer, not a second time; afterwards it is', async (t) => {
  const { board, driver, pass, start } = openFeigned();
  await start();
  const first = driver.pulse(null);
  const busy = { switched: 'nothing', device: 'relay-1', error: { code: 'device.busy' } };
  t.match(await driver.pulse(null), busy, 'before it is on');
  await pass(250);
  t.match(await driver.pulse('relay-1'), busy, 'while it is on');
  await pass(250);
  t.match(await first, { switched: 'sent' });
  await pass(5_000);
  t.same(board.history, onceOnAndOff);
  const second = driver.pulse(null);
  await pass(500);
  t.match(await second, { switched: 'sent' });
  t.same(board.history, [...onceOnAndOff, ...onceOnAndOff]);
  t.match(driver.statuses()[0]?.counters, { pulses: 2, unsure: 0 });
  await driver.stop();
});

for (const [fault, becomes, code] of [
  ['refuse', [], 'device.failed'],
  ['half', [], 'device.failed'],
  ['hang', [], 'device.timedOut'],
  ['pull', onceOnAndOff, 'device.closed'],
] as const)
  t.test(`on: ${fault}: nobody knows, off goes out, and it is not switched on again`, async (t) => {
    const { board, driver, line, pass, start } = openFeigned();
    await start();
    line.faults.push(fault);
    const pulsing = driver.pulse(null);
    await pass(1_000);
    t.match(await pulsing, { switched: 'unknown', device: 'relay-1', error: { code } });
    await pass(5_000);
    t.same([board.history, board.relays[0]], [becomes, false]);
    t.match(driver.statuses(), [{ state: 'ready', error: null, counters: { opened: 2, unsure: 1, pulses: 0 } }]);
    const next = driver.pulse(null);
    await pass(500);
    t.match(await next, { switched: 'sent' }, 'the next sale’s pulse is whole');
    t.same(board.history, [...becomes, ...onceOnAndOff]);
    await driver.stop();
  });

for (const fault of ['refuse', 'hang'] as const)
  t.test(`off: ${fault}, again and again: the line is opened anew until it takes off`, async (t) => {
    const { board, driver, line, pass, start } = openFeigned();
    await start();
    line.faults.push('none', ...new Array<Fault>(20).fill(fault));
    const pulsing = driver.pulse(null);
    await pass(3_000);
    t.match(await pulsing, { switched: 'unknown', error: { code: /device\.(failed|timedOut)/ } });
    t.equal(board.relays[0], true);
    const meanwhile = driver.pulse(null);
    line.faults.length = 0;
    await pass(5_000);
    t.match(await meanwhile, { switched: 'nothing' }, 'no second time meanwhile');
    t.same(board.history, onceOnAndOff);
    t.match(driver.statuses(), [{ state: 'ready', error: null }]);
    t.equal(line.writes.filter((bytes) => bytes === 'a00101a2').length, 1);
    await driver.stop();
  });

t.test('at the opening off cannot be written: failing with its reason, no pulse, and tried again', async (t) => {
  const { board, driver, line, pass, settle, start } = openFeigned();
  line.faults.push('refuse', 'refuse');
  await start();
  t.match(driver.statuses(), [{ state: 'failing', error: { code: 'device.failed' } }]);
  t.match(await driver.pulse(null), { switched: 'nothing', error: { code: 'device.failed' } });
  await pass(1_000);
  t.match(driver.statuses(), [{ state: 'ready', error: null }]);
  t.equal(line.opened, 2);
  // Asked at the very moment of an opening that fails.
  driver.serve('/gate', false);
  await settle();
  driver.serve('/gate', true);
  line.faults.push('hang');
  await pass(1_000);
  const pulsing = driver.pulse(null);
  await pass(1_000);
  t.match(await pulsing, { switched: 'nothing', error: { code: 'device.timedOut' } });
  await pass(3_000);
  t.match(driver.statuses(), [{ state: 'ready', error: null, counters: { unsure: 0 } }]);
  t.same(board.history, []);
  await driver.stop();
});

t.test(
  'a line let go by order says off, waits for it a moment only, and is opened again after it is closed',
  async (t) => {
    const { board, driver, line, pass, start } = openFeigned({ pulseMs: 5_000 });
    await start();
    const pulsing = driver.pulse(null);
    await pass(750);
    line.faults.push('hang');
    driver.serve('/gate', false);
    t.match(await pulsing, { switched: 'unknown' });
    driver.serve('/gate', true);
    await pass(250);
    t.same([line.closes, line.opened], [0, 1], 'not by the look that comes before that');
    await pass(250);
    t.equal(line.closes, 1);
    await pass(1_000);
    t.same([line.opened, board.history], [2, onceOnAndOff]);
    await driver.stop();
  },
);

t.test('a relay that is left on is switched off also on a line that is held, and held from the start', async (t) => {
  for (const fault of ['refuse', 'pull'] as const) {
    const { again, board, driver, line, pass, start } = openFeigned();
    await start();
    // On is taken, off is not: at its time, as the last word on the line, and once more.
    line.faults = fault === 'refuse' ? ['none', 'refuse', 'refuse', 'refuse'] : ['pull'];
    const pulse = driver.pulse(null);
    await pass(250);
    if (fault === 'pull') line.isThere = false;
    await pass(500);
    driver.serve('/gate', false);
    t.equal(board.relays[0], true, `${fault}: on as it is disabled`);
    line.isThere = true;
    await pass(2_000);
    t.equal(board.relays[0], false, 'off within two looks');
    t.match(driver.statuses(), [{ state: 'disabled' }]);
    const { opened } = line;
    await pass(10_000);
    t.equal(line.opened, opened, 'and left alone from then on');
    t.equal(line.closes, opened, 'nothing stays open');
    t.match(await pulse, { switched: 'unknown' });
    await driver.stop();
    board.feed(Uint8Array.of(0xa0, 1, 1, 0xa2));
    const next = again();
    next.serve('/gate', false);
    await next.start(() => {});
    await pass(1_500);
    t.equal(board.relays[0], false, 'also by a box that starts with it disabled');
    t.match(next.statuses(), [{ state: 'disabled' }]);
    await next.stop();
  }
});

t.test('the supervisor’s pauses do not keep a relay on: off is tried once a second', async (t) => {
  const { board, driver, line, pass, time } = openFeigned();
  const supervisor = new DeviceSupervisor({ ...{ drivers: [driver], disabled: [], ...time }, onEvent: () => {} });
  await supervisor.start();
  await pass(250);
  // On is taken; off is refused a dozen times, which the supervisor answers with pauses of up to half a minute.
  line.faults = ['none', ...Array.from({ length: 12 }, () => 'refuse' as const)];
  void driver.pulse(null);
  await pass(1_000);
  t.equal(board.relays[0], true);
  await pass(13_000);
  t.equal(line.faults.length, 0, 'all were tried');
  await pass(1_250);
  t.equal(board.relays[0], false);
  await supervisor.stop();
});

t.test('the box dies while the relay is on: off at the next opening, and nothing is switched on again', async (t) => {
  const { again, board, driver, pass, settle, start } = openFeigned();
  await start();
  void driver.pulse(null);
  await settle();
  t.equal(board.relays[0], true);
  const next = again();
  await next.start(() => {});
  await settle();
  t.same(board.history, onceOnAndOff);
  t.match(next.statuses()[0]?.counters, { pulses: 0, unsure: 0 });
  await next.stop();
  await pass(500);
  t.same(board.history, onceOnAndOff);
});

t.test('under the supervisor a board that comes and goes is never switched on twice for one asking', async (t) => {
  const { board, driver, line, settle, time } = openFeigned();
  const supervisor = new DeviceSupervisor({ ...{ drivers: [driver], disabled: [], ...time }, onEvent: () => {} });
  await supervisor.start();
  await settle();
  const ends: string[] = [];
  for (let round = 0; round < 12; round++) {
    void driver.pulse(null).then((end) => ends.push(end?.switched ?? 'none'));
    await settle();
    line.isThere = false;
    line.closed({ code: 'device.closed', detail: 'pulled' });
    await settle();
    line.isThere = true;
    for (let step = 0; step < 8; step++) {
      time.advance(250);
      await settle();
    }
  }
  const asked = ends.filter((end) => end === 'unknown').length;
  t.equal(ends.length, 12);
  t.ok(asked >= 5 && asked < 12, 'damped in the end: a flapping board is left alone');
  t.equal(board.history.filter((change) => change === '1 on').length, asked);
  for (let step = 0; step < 80; step++) {
    time.advance(250);
    await settle();
  }
  t.match(supervisor.statuses(), [{ state: 'ready', error: null }]);
  t.equal(board.relays[0], false);
  t.equal(board.history.filter((change) => change === '1 on').length, asked, 'nothing is made up for');
  await supervisor.stop();
});

t.test('no board, one of another name, one that is away', async (t) => {
  const none = openFeigned({ paths: [] });
  await none.start();
  t.equal(await none.driver.pulse(null), null);
  const { board, driver, line, pass, start } = openFeigned();
  line.isThere = false;
  await start();
  t.match(await driver.pulse('relay-2'), { switched: 'nothing', device: 'relay-2', error: { code: 'device.absent' } });
  t.match(await driver.pulse(null), { switched: 'nothing', device: 'relay-1', error: { code: 'device.absent' } });
  line.isThere = true;
  await pass(2_000);
  t.match(driver.statuses(), [{ state: 'ready' }]);
  t.same(board.history, [], 'what was not switched is not made up for');
  await driver.stop();
});
