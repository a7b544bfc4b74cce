/**
 * Shows that the shipped display driver passes the conformance suite over the real serial library and a pseudo-terminal, and
 * that a display shows the newest text, also one that is slow, comes late or was away. How: a display written from the
 * command lists alone, and lines whose writes end when the test says so.
 */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import iconv from 'iconv-lite';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { driverConformance } from '../contract/conformance.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { displayOnPty, SimulatedLineDisplay } from '../sim/line-display.js';
import { ManualTime } from '../sim/manual-time.js';
import { openPtyPair } from '../sim/pty.js';
import { CustomerDisplayDriver } from './display-driver.js';
import { openSerialTransport } from './serial-transport.js';

const loadEncode = async () => (text: string) => new Uint8Array(iconv.encode(text, 'gb18030'));
const options = { paths: [], baud: 9_600, commands: 'cd5220', chinese: true } as const;

async function openRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-display-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let shown: readonly string[] = [];
  const take = (lines: readonly string[]): void => {
    shown = lines;
  };
  let pair = await openPtyPair(...paths);
  let far = displayOnPty(pair.device, take);
  const driver = new CustomerDisplayDriver(
    { ...options, paths: [pair.line] },
    {
      loadEncode,
      open: (line) => openSerialTransport(line, 9_600),
      exists: existsSync,
      isSimulated: () => true,
      clock: nativeClock,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
    },
  );
  const pullOut = async () => {
    await far.close();
    await pair.close();
  };
  return {
    driver,
    async until(lines: readonly [string, string]) {
      const endAt = Date.now() + 8_000;
      while (shown.join('|') !== lines.join('|') && Date.now() < endAt)
        await new Promise((resolve) => setTimeout(resolve, 10));
      return shown;
    },
    plug: {
      pullOut,
      putBack: async () => {
        pair = await openPtyPair(...paths);
        far = displayOnPty(pair.device, take);
      },
    },
    close: pullOut,
  };
}

driverConformance(t, ['plug'], openRig);

t.test('a display that was away shows what was told meanwhile', async (t) => {
  const rig = await openRig();
  await rig.driver.start(() => {});
  rig.driver.display.show(['好味道餐厅', '欢迎光临 WELCOME']);
  t.same(await rig.until(['好味道餐厅', '欢迎光临 WELCOME']), ['好味道餐厅', '欢迎光临 WELCOME']);
  await rig.plug.pullOut();
  rig.driver.display.show(['TOTAL         300.00', '请出示手机 TAP PHONE']);
  await rig.plug.putBack();
  const newest = ['TOTAL         300.00', '请出示手机 TAP PHONE'] as const;
  t.same(await rig.until(newest), newest);
  await rig.driver.stop();
  await rig.close();
});

t.test('a slow line skips what was in between; one that cannot be written to says so, and is well again', async (t) => {
  const time = new ManualTime();
  const display = new SimulatedLineDisplay();
  const waiting: ((written: Result<void, DeviceError>) => void)[] = [];
  const transport: ByteTransport = {
    write: (bytes) => {
      display.feed(bytes);
      return new Promise((resolve) => waiting.push(resolve));
    },
    onData: () => {},
    onClosed: () => {},
    close: async () => {},
  };
  const driver = new CustomerDisplayDriver(
    { ...options, paths: ['/a'], chinese: false },
    { ...{ loadEncode, open: async () => ok(transport), exists: () => true }, ...time, isSimulated: () => false },
  );
  const settle = async (how: Result<void, DeviceError> = ok(undefined)) => {
    for (const end of waiting.splice(0)) end(how);
    for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  await driver.start(() => {});
  await settle();
  await settle();
  for (let number = 0; number < 100; number++) driver.display.show([`${number}`, '']);
  t.same(display.lines, ['0', ''], 'the first is on its way');
  await settle();
  t.same(display.lines, ['99', '']);
  await settle(err({ code: 'device.failed', detail: 'broken' }));
  t.match(driver.statuses(), [{ error: { code: 'device.failed' }, counters: { shown: 2 } }]);
  driver.display.show(['积分 é', 'ok']);
  await settle();
  t.same(display.lines, ['?? ?', 'ok'], 'without Chinese characters');
  await settle();
  t.match(driver.statuses(), [{ state: 'ready', error: null, counters: { shown: 3 } }]);
  await driver.stop();
});
