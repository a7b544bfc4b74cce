/**
 * Shows that the shipped scanner driver passes the conformance suite over the real serialport library and a
 * pseudo-terminal, that a pulled line comes back by itself, and that half a code before a pull is never used.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent } from '../contract/driver.js';
import { nothingAround } from '../protocols/scan-line/scanned-text.js';
import { openPtyPair, type PtyPair } from '../sim/pty.js';
import { SerialScannerDriver } from './scanner-driver.js';
import { openSerialTransport } from './serial-transport.js';

async function openRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-scanner-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let pair: PtyPair = await openPtyPair(...paths);
  const driver = new SerialScannerDriver(
    { paths: [pair.line], ignoredPaths: [], baud: 9_600, idleGapMs: 100, ...nothingAround },
    {
      open: openSerialTransport,
      look: () => [],
      exists: existsSync,
      clock: nativeClock,
      isSimulated: () => true,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
    },
  );
  return {
    driver,
    line: pair.line,
    type: (text: string) => writeFileSync(pair.device, text),
    scan: async (code: string) => writeFileSync(pair.device, `${code}\r\n`),
    plug: {
      pullOut: () => pair.close(),
      putBack: async () => {
        pair = await openPtyPair(...paths);
      },
    },
    close: () => pair.close(),
  };
}

driverConformance(t, ['scan', 'plug'], openRig);

t.test('half a code before the cable is pulled is not part of the next', async (t) => {
  const rig = await openRig();
  const events: DeviceEvent[] = [];
  const waiting = new Set<() => void>();
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (holds()) resolve();
        else waiting.add(look);
      };
      look();
    });
  await rig.driver.start((event) => {
    events.push(event);
    const looks = [...waiting];
    waiting.clear();
    for (const look of looks) look();
  });
  const states = () => events.flatMap((event) => (event.type === 'deviceStateChanged' ? [event.status.state] : []));
  rig.type('12345');
  await rig.plug.pullOut();
  await until(() => states().at(-1) === 'absent');
  await rig.plug.putBack();
  await until(() => states().at(-1) === 'ready');
  await rig.scan('GOOD');
  await until(() => events.some((event) => event.type === 'codeScanned'));
  t.same(
    events.flatMap((event) => (event.type === 'codeScanned' ? [event.code] : [])),
    ['GOOD'],
  );
  await rig.driver.stop();
  await rig.close();
});

t.test('a line that another program holds is busy, and served once it is free', async (t) => {
  const rig = await openRig();
  const holder = await openSerialTransport(rig.line, 9_600);
  if (!holder.ok) throw new Error(holder.error.detail);
  t.match(await openSerialTransport(rig.line, 9_600), { ok: false, error: { code: 'device.busy' } });
  await rig.driver.start(() => {});
  t.match(rig.driver.statuses(), [{ state: 'failing', error: { code: 'device.busy' } }]);
  await holder.value.close();
  const deadline = Date.now() + 5_000;
  while (rig.driver.statuses()[0]?.state !== 'ready' && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.match(rig.driver.statuses(), [{ state: 'ready', error: null }]);
  await rig.driver.stop();
  await rig.close();
});

t.test('without udevadm: lines are looked for and served all the same, and the process lives', async (t) => {
  const rig = await openRig();
  const from = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const program = `
    import { nativeClock, nativeRandom } from ${from('../../terminal/kernel/native.js')};
    import { createDrivers, lookForUnclaimed } from ${from('../registry.js')};
    const schedule = (ms, run) => { const timer = setTimeout(run, ms); return () => clearTimeout(timer); };
    const settings = (paths) => ({
      readers: { enabled: false }, wallet: { passTypeIds: [] }, hidScanners: { enabled: false, devices: [], ignoredDevices: [], keyboards: [] },
      bluetooth: { scanners: [], phones: false }, stripeReaders: { enabled: false, devices: [] }, keypads: { devices: [], gapMs: 1000 },
      scanners: { paths, ignoredPaths: [], baud: 9600, idleGapMs: 100 }, console: { serialPath: '' },
      printers: { paths: [], addresses: [] }, displays: { paths: [] }, modules: { paths: [] }, modems: { paths: [] },
      relays: { paths: [], board: 'lcus', channel: 1 },
      pinPads: { paths: [], baud: 9600, devices: [], model: 'generic' },
    });
    for (const paths of [[], [process.argv[1]]]) {
      const drivers = createDrivers(settings(paths), { clock: nativeClock, random: nativeRandom, schedule, messages: {} });
      for (const driver of drivers) await driver.start(() => {});
      lookForUnclaimed(settings(paths), []);
      console.log(drivers.flatMap((driver) => driver.statuses()).filter(({ bus }) => bus === 'serial').map(({ state }) => state).join());
      for (const driver of drivers) await driver.stop();
    }`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program, rig.line], {
    encoding: 'utf8',
    env: { PATH: '/nonexistent' },
  });
  t.same([run.status, run.stdout], [0, '\nready\n'], run.stderr);
  await rig.close();
});
