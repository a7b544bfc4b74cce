/**
 * Shows that the shipped scanner driver passes the conformance suite over the real serialport library and a
 * pseudo-terminal, that a pulled line comes back by itself, and that half a code before a pull is never used.
 */
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent } from '../contract/driver.js';
import { openPtyPair, type PtyPair } from '../sim/pty.js';
import { SerialScannerDriver } from './scanner-driver.js';
import { openSerialTransport } from './serial-transport.js';

async function openRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-scanner-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let pair: PtyPair = await openPtyPair(...paths);
  const driver = new SerialScannerDriver(
    { paths: [pair.line], ignoredPaths: [], baud: 9_600, idleGapMs: 100 },
    {
      open: openSerialTransport,
      discover: async () => [],
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
