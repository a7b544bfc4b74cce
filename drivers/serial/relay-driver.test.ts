/**
 * Shows that the shipped relay driver passes the conformance suite over the real serial library, and that there the relay is on
 * once for one asking, and off again after a stop, a pulled cable and a kill. How: a board written from the makers' pages on a
 * pseudo-terminal, and a process that is killed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { driverConformance } from '../contract/conformance.js';
import { openPtyPair, type PtyPair } from '../sim/pty.js';
import { relayBoardOnPty, SimulatedRelayBoard } from '../sim/relay-board.js';
import { RelayDriver, type RelayOptions } from './relay-driver.js';
import { openSerialTransport } from './serial-transport.js';

const options: RelayOptions = { paths: [], baud: 9_600, board: 'lcus', channel: 1, pulseMs: 500 };
const onceOnAndOff = ['1 on', '1 off'];

/** Waits for what a real line takes a moment for. */
async function seen(what: string, condition: () => boolean): Promise<void> {
  const endAt = Date.now() + 8_000;
  while (!condition()) {
    if (Date.now() > endAt) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function openRig(more: Partial<RelayOptions> = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-relay-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  // With a supply of its own: its relays stay as they are when the cable is pulled.
  const board = new SimulatedRelayBoard();
  let pair = await openPtyPair(...paths);
  let far = relayBoardOnPty(pair.device, board);
  const settings = { ...options, pulseMs: 50, ...more, paths: [pair.line] };
  const driver = new RelayDriver(settings, {
    open: (line) => openSerialTransport(line, 9_600),
    exists: existsSync,
    isSimulated: () => true,
    clock: nativeClock,
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  });
  const pullOut = async () => {
    await far.close();
    await pair.close();
  };
  return {
    driver,
    board,
    line: pair.line,
    /** What the line's lasting name leads to. */
    place: () => readlinkSync(pair.line),
    plug: {
      pullOut,
      putBack: async () => {
        pair = await openPtyPair(...paths);
        far = relayBoardOnPty(pair.device, board);
      },
    },
    close: pullOut,
  };
}

driverConformance(t, ['plug'], openRig);

t.test('a pulse over a real line: on, and off by itself', async (t) => {
  const { board, close, driver } = await openRig();
  await driver.start(() => {});
  t.same(await driver.pulse(null), { switched: 'sent', device: 'relay-1' });
  await seen('off', () => board.history.length === 2);
  t.same([board.history, board.unknown], [onceOnAndOff, []]);
  t.match(driver.statuses(), [{ state: 'ready', error: null, simulated: true, counters: { pulses: 1, unsure: 0 } }]);
  await driver.stop();
  await close();
});

t.test('the cable is pulled while the relay is on; the board comes back under another name and is off', async (t) => {
  const { board, close, driver, place, plug } = await openRig({ pulseMs: 10_000 });
  await driver.start(() => {});
  const pulsing = driver.pulse(null);
  await seen('on', () => board.relays[0] === true);
  const before = place();
  await plug.pullOut();
  t.match(await pulsing, { switched: 'unknown', device: 'relay-1', error: { code: 'device.closed' } });
  t.equal(board.relays[0], true, 'nobody could tell it');
  // The system hands the old name out to others meanwhile.
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-relay-'));
  const others: PtyPair[] = [];
  while (!existsSync(before))
    others.push(await openPtyPair(path.join(folder, `${others.length}a`), path.join(folder, `${others.length}b`)));
  await plug.putBack();
  t.not(place(), before);
  await seen('off', () => board.relays[0] === false);
  await seen('ready', () => driver.statuses()[0]?.state === 'ready');
  t.same(board.history, onceOnAndOff, 'and not on again');
  t.match(driver.statuses(), [{ device: 'relay-1', counters: { pulses: 0, unsure: 1, opened: 2 } }]);
  await driver.stop();
  for (const pair of others) await pair.close();
  await close();
});

for (const [how, letGo] of [
  ['stopped', (driver: RelayDriver, _identity: string) => driver.stop()],
  ['taken out of service', async (driver: RelayDriver, identity: string) => driver.serve(identity, false)],
] as const)
  t.test(`${how} while the relay is on: off goes out before the line is closed`, async (t) => {
    const { board, close, driver } = await openRig({ pulseMs: 10_000 });
    await driver.start(() => {});
    const pulsing = driver.pulse(null);
    await seen('on', () => board.relays[0] === true);
    await letGo(driver, driver.statuses()[0]?.identity ?? '');
    t.match(await pulsing, { switched: 'unknown', error: { code: 'device.closed' } });
    await seen('off', () => board.relays[0] === false);
    t.same(board.history, onceOnAndOff);
    t.match(await driver.pulse(null), { switched: 'nothing' });
    await driver.stop();
    await close();
  });

t.test('a process killed while the relay is on: the next one switches off, and not on again', async (t) => {
  const { board, close, driver, line } = await openRig();
  const from = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const program = `
    import { existsSync } from 'node:fs';
    import { nativeClock } from ${from('../../terminal/kernel/native.js')};
    import { RelayDriver } from ${from('./relay-driver.js')};
    import { openSerialTransport } from ${from('./serial-transport.js')};
    const schedule = (ms, run) => { const timer = setTimeout(run, ms); return () => clearTimeout(timer); };
    const open = (path) => openSerialTransport(path, 9600);
    const settings = { paths: [process.argv[1]], baud: 9600, board: 'lcus', channel: 1, pulseMs: 10000 };
    const driver = new RelayDriver(settings, { open, exists: existsSync, isSimulated: () => true, clock: nativeClock, schedule });
    await driver.start(() => {});
    await driver.pulse(null);`;
  const doomed = spawn(process.execPath, ['--input-type=module', '-e', program, line], { stdio: 'ignore' });
  t.teardown(() => doomed.kill('SIGKILL'));
  await seen('on', () => board.relays[0] === true);
  doomed.kill('SIGKILL');
  await once(doomed, 'exit');
  t.equal(board.relays[0], true, 'nobody told it');
  await driver.start(() => {});
  await seen('off', () => board.relays[0] === false);
  t.same([board.history, board.unknown], [onceOnAndOff, []]);
  await driver.stop();
  await close();
});
