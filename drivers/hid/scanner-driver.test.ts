/**
 * Shows that the shipped HID scanner driver passes the conformance suite on a fake transport, opens nothing but allowed
 * scanners, keeps names over a replug, and never uses half a scan. How: descriptors as sysfs gives them, devices that are
 * lists of reports, and a clock that moves when told. hid-stack.test.ts shows the same on node-hid.
 */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import { enterReport, typeReports } from '../protocols/hid-keyboard/keyboard-fixtures.js';
import {
  keyboardAndScannerDescriptor,
  keyboardDescriptor,
  scannerDescriptor,
  scanReport,
  scanReports,
  strangePosDescriptor,
} from '../protocols/hid-pos/hid-pos-fixtures.js';
import { ManualTime } from '../sim/manual-time.js';
import { type HidScannerOptions, hidScannerOptionsDefault, isMeant } from './device-rules.js';
import { FakeBus } from './hid-fixtures.js';
import { openHidTransport } from './hid-transport.js';
import type { HidDevice } from './hidraw-sysfs.js';
import { type HidPorts, hidInputsMax } from './input-driver.js';
import { silenceInputs } from './key-inputs.js';
import { HidScannerDriver } from './scanner-driver.js';

const optionsDefault = hidScannerOptionsDefault;

driverConformance(t, ['scan', 'plug'], async () => {
  const bus = new FakeBus();
  bus.plug('hidraw0', scannerDescriptor);
  const driver = new HidScannerDriver(optionsDefault, {
    look: bus.look,
    silence: () => ok(undefined),
    open: bus.openDevice,
    clock: nativeClock,
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
  });
  return {
    driver,
    scan: async (code) => bus.scan('hidraw0', scanReport(code)),
    plug: {
      pullOut: async () => bus.pull('hidraw0'),
      putBack: async () => bus.plug('hidraw0', scannerDescriptor),
    },
    close: async () => {},
  };
});

/** A driver on a bus and a clock of its own; a second passes with look(). */
function openDriver(options: Partial<HidScannerOptions> = {}, ports: Partial<HidPorts> = {}) {
  const bus = new FakeBus();
  const time = new ManualTime();
  const events: DeviceEvent[] = [];
  const driver = new HidScannerDriver(
    { ...optionsDefault, ...options },
    {
      look: bus.look,
      silence: () => ok(undefined),
      open: bus.openDevice,
      clock: time.clock,
      schedule: time.schedule,
      ...ports,
    },
  );
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    bus,
    time,
    events,
    driver,
    start: () => driver.start((event) => events.push(event)),
    look: async () => {
      time.advance(1_000);
      await settle();
    },
    rows: () => driver.statuses().map(({ device, state, error }) => [device, state, error?.code ?? null]),
    codes: () => events.flatMap((event) => (event.type === 'codeScanned' ? [`${event.device} ${event.code}`] : [])),
    counters: (at = 0) => driver.statuses()[at]?.counters,
  };
}

t.test('keyboards, other devices and what also types are never opened, and are no device of this driver', async (t) => {
  const { bus, start, look, driver, rows } = openDriver();
  bus.plug('hidraw0', keyboardDescriptor, { vendorId: '046d', name: 'Keyboard', serial: '' });
  bus.plug('hidraw1', keyboardAndScannerDescriptor, { vendorId: '1234', serial: '' });
  bus.plug('hidraw2', new Uint8Array([0x05]), { vendorId: '1234' });
  bus.plug('hidraw3', keyboardDescriptor);
  await start();
  await look();
  t.same([rows(), bus.opens], [[], []]);
  await driver.stop();
});

t.test('two of a kind keep their names, by serial number or by socket', async (t) => {
  const { bus, start, look, driver, codes } = openDriver();
  bus.plug('hidraw0', scannerDescriptor, { serial: 'A' });
  bus.plug('hidraw1', scannerDescriptor, { serial: 'B' });
  bus.plug('hidraw2', scannerDescriptor, { serial: '', socket: 'left' });
  bus.plug('hidraw3', scannerDescriptor, { serial: '', socket: 'right' });
  await start();
  for (const name of ['hidraw0', 'hidraw1', 'hidraw2', 'hidraw3']) bus.pull(name);
  await look();
  bus.plug('hidraw0', scannerDescriptor, { serial: '', socket: 'right' });
  bus.plug('hidraw1', scannerDescriptor, { serial: 'B' });
  bus.plug('hidraw2', scannerDescriptor, { serial: '', socket: 'left' });
  bus.plug('hidraw3', scannerDescriptor, { serial: 'A' });
  await look();
  for (const at of [0, 1, 2, 3]) bus.scan(`hidraw${at}`, scanReport(`${at}`));
  t.same(codes(), ['hid-scanner-4 0', 'hid-scanner-2 1', 'hid-scanner-3 2', 'hid-scanner-1 3']);
  t.equal(driver.statuses().length, 4);
  await driver.stop();
});

t.test('the configuration says which; one that is missing is shown as absent', async (t) => {
  const { bus, start, look, driver, rows } = openDriver({
    devices: ['0C2E:0B87', '05e0:1900:Z:9'],
    ignoredDevices: ['0c2e:0b87:BAD'],
  });
  bus.plug('hidraw0', scannerDescriptor, { serial: 'BAD' });
  bus.plug('hidraw1', scannerDescriptor, { serial: 'GOOD' });
  bus.plug('hidraw2', scannerDescriptor, { vendorId: '1eab' });
  await start();
  t.same(bus.opens, ['/dev/hidraw1']);
  t.same(rows(), [
    ['hid-scanner-1', 'ready', null],
    ['hid-scanner-2', 'absent', 'device.absent'],
  ]);
  bus.plug('hidraw3', scannerDescriptor, { vendorId: '05e0', productId: '1900', serial: 'Z:9' });
  await look();
  t.same(rows()[1], ['hid-scanner-2', 'ready', null]);
  t.notOk(isMeant('0c2e', { vendorId: '0c2e', productId: '0b87', serial: '' }), 'a vendor alone means nobody');
  await driver.stop();
});

t.test('switched off: nothing is looked at', async (t) => {
  const { start, driver, time } = openDriver(
    { enabled: false },
    {
      look: () => {
        throw new Error('looked');
      },
    },
  );
  await start();
  t.same([driver.statuses(), time.pending], [[], 0]);
  await driver.stop();
});

t.test('half a scan before the idle gap or a pull is never part of the next', async (t) => {
  const { bus, start, look, driver, time, codes, counters } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  await start();
  const long = 'x'.repeat(100);
  const [first, second] = scanReports(long);
  if (!first || !second) throw new Error('two reports');
  bus.scan('hidraw0', first);
  time.advance(99);
  bus.scan('hidraw0', second);
  t.same(codes(), [`hid-scanner-1 ${long}`]);
  bus.scan('hidraw0', first);
  time.advance(100);
  bus.scan('hidraw0', scanReport('GOOD'));
  bus.scan('hidraw0', first);
  bus.pull('hidraw0');
  await look();
  bus.plug('hidraw0', scannerDescriptor);
  await look();
  bus.scan('hidraw0', scanReport('AGAIN'));
  t.same(codes().slice(1), ['hid-scanner-1 GOOD', 'hid-scanner-1 AGAIN']);
  t.same(counters(), { codes: 3, dropped: 2, opened: 2, reports: 6 });
  await driver.stop();
});

t.test('a read error closes the device, and it is opened again by itself', async (t) => {
  const { bus, start, look, driver, rows, counters } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  await start();
  const before = bus.open.get('/dev/hidraw0');
  before?.fail({ code: 'device.closed', detail: 'could not read' });
  t.same(rows(), [['hid-scanner-1', 'absent', 'device.closed']]);
  t.ok(before?.closed);
  await look();
  t.same([rows(), counters()?.['opened']], [[['hid-scanner-1', 'ready', null]], 2]);
  before?.report(scanReport('LATE'));
  t.equal(counters()?.['codes'], 0, 'a report of the old opening is not taken');
  await driver.stop();
  t.ok(bus.open.get('/dev/hidraw0')?.closed);
});

t.test('refused access is shown until it is granted', async (t) => {
  const { bus, start, look, driver, rows } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  bus.refusal = { code: 'device.denied', detail: 'Permission denied' };
  await start();
  t.same(rows(), [['hid-scanner-1', 'failing', 'device.denied']]);
  bus.refusal = null;
  await look();
  t.same(rows(), [['hid-scanner-1', 'ready', null]]);
  await driver.stop();
});

t.test('held: left alone before and after it was seen, and served again when told', async (t) => {
  const { bus, start, look, driver, rows, codes } = openDriver();
  driver.serve('0c2e:0b87:S1', false);
  bus.plug('hidraw0', scannerDescriptor);
  bus.plug('hidraw1', scannerDescriptor, { serial: '', socket: 'left' });
  await start();
  t.same(bus.opens, ['/dev/hidraw1'], 'only the other one');
  t.same(
    driver.statuses().map(({ identity, state }) => [identity, state]),
    [
      ['0c2e:0b87:S1', 'disabled'],
      ['0c2e:0b87@left', 'ready'],
    ],
  );
  driver.serve('0c2e:0b87:S1', true);
  await look();
  t.same(rows()[0], ['hid-scanner-1', 'ready', null]);
  bus.scan('hidraw0', scanReport('HALF', { isContinued: true }));
  driver.serve('0c2e:0b87:S1', false);
  bus.scan('hidraw0', scanReport('LATE'));
  t.same([codes(), bus.open.get('/dev/hidraw0')?.closed], [[], true]);
  await driver.stop();
});

t.test('who listens in hears the descriptor and the settings, then each report as it came', async (t) => {
  const { bus, start, driver } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  await start();
  const heard: string[] = [];
  driver.listenIn('0c2e:0b87:S1', (direction, bytes) => heard.push(`${direction} ${bytes.length}`));
  bus.scan('hidraw0', scanReport('4006381333931'));
  t.match(heard, [`about ${scannerDescriptor.length}`, /^about [0-9]+$/, 'in 64']);
  t.equal(heard.length, 3);
  await driver.stop();
});

t.test('the library’s error is a string: the device is closed with it, and nothing is thrown', async (t) => {
  const device = Object.assign(new EventEmitter(), { close: async () => {} });
  const opened = await openHidTransport(
    '/dev/hidraw0',
    async () => ({ HIDAsync: { open: async () => device } }) as never,
  );
  t.ok(opened.ok);
  const closed: unknown[] = [];
  if (opened.ok) opened.value.onClosed((error) => closed.push(error));
  device.emit('error', 'could not read from HID device\u001b[2J');
  t.same(closed, [{ code: 'device.closed', detail: 'could not read from HID device␛[2J' }]);
});

t.test('node-hid that cannot be loaded is said so, and the scanner is absent with the reason', async (t) => {
  const opened = await openHidTransport('/dev/hidraw0', () => Promise.reject(new Error('HID.node: no such file')));
  t.match(opened, {
    ok: false,
    error: { code: 'device.driverMissing', detail: /node-hid cannot be loaded: HID.node/ },
  });
  const { bus, start, driver, rows } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  bus.refusal = opened.ok ? null : opened.error;
  await start();
  t.same(rows(), [['hid-scanner-1', 'absent', 'device.driverMissing']]);
  await driver.stop();
});

t.test('a keyboard that took the file of a scanner while it was opened is closed unread', async (t) => {
  const { bus, start, look, driver, rows, codes } = openDriver();
  bus.plug('hidraw0', scannerDescriptor);
  bus.duringOpen = () => bus.plug('hidraw0', keyboardDescriptor);
  await start();
  const opened = bus.open.get('/dev/hidraw0');
  bus.scan('hidraw0', scanReport('TYPED'));
  t.same([opened?.closed, codes()], [true, []]);
  await look();
  t.same(bus.opens, ['/dev/hidraw0'], 'and not tried again');
  t.same(
    rows().map(([device, state]) => [device, state]),
    [['hid-scanner-1', 'absent']],
  );
  await driver.stop();
});

t.test('a scanner of unknown layout is shown and not opened', async (t) => {
  const { bus, start, driver, rows } = openDriver();
  bus.plug('hidraw0', strangePosDescriptor);
  await start();
  t.same([rows(), bus.opens], [[['hid-scanner-1', 'failing', 'device.unsupported']], []]);
  await driver.stop();
});

t.test('a device that hangs while it is opened holds up neither the others nor the stop', async (t) => {
  const time = new ManualTime();
  const bus = new FakeBus();
  const driver = new HidScannerDriver(optionsDefault, {
    look: bus.look,
    silence: () => ok(undefined),
    open: (path) => (path === '/dev/hidraw0' ? new Promise(() => {}) : bus.openDevice(path)),
    clock: time.clock,
    schedule: time.schedule,
  });
  bus.plug('hidraw0', scannerDescriptor, { serial: 'HANGS' });
  bus.plug('hidraw1', scannerDescriptor);
  const starting = driver.start(() => {});
  await new Promise<void>((resolve) => setImmediate(resolve));
  t.same(
    driver.statuses().map(({ state }) => state),
    ['absent', 'ready'],
  );
  time.advance(2_000);
  await starting;
  await driver.stop();
});

t.test('rows are bounded; a new scanner takes the row of one that is gone', async (t) => {
  const { bus, start, look, driver, rows } = openDriver();
  for (let at = 0; at < hidInputsMax + 2; at++) bus.plug(`hidraw${at}`, scannerDescriptor, { serial: `${at}` });
  await start();
  t.equal(rows().length, hidInputsMax);
  t.equal(bus.opens.length, hidInputsMax);
  bus.pull('hidraw3');
  await look();
  t.same(
    [rows().length, rows()[3], bus.opens.at(-1)],
    [hidInputsMax, ['hid-scanner-4', 'ready', null], `/dev/hidraw${hidInputsMax}`],
  );
  await driver.stop();
});

t.test('a scanner in keyboard mode: only the one that is named, and only once nothing else hears it', async (t) => {
  let refusal: DeviceError | null = { code: 'device.denied', detail: 'its keys would reach the console' };
  const silenced: string[] = [];
  const { bus, events, start, look, rows, codes, counters, time, driver } = openDriver(
    { keyboards: ['0c2e:0b61:S1'], keyboardGapMs: 150, keyboardPrefixes: ['~'], keyboardSuffixes: ['#'] },
    {
      silence: (device) => {
        silenced.push(device.path);
        return refusal ? err(refusal) : ok(undefined);
      },
    },
  );
  const scannerKeys = [...typeReports('us', '~]E04006381333931#'), enterReport];
  bus.plug('hidraw0', keyboardDescriptor, { productId: '0b61' });
  bus.plug('hidraw1', keyboardDescriptor, { productId: '0b61', serial: 'S2' });
  bus.plug('hidraw2', keyboardDescriptor, { vendorId: '046d', serial: '' });
  await start();
  t.same(rows()[0], ['hid-scanner-1', 'failing', 'device.denied']);
  t.same(bus.opens, [], 'not opened while its keys reach the console');
  t.ok(
    silenced.every((path) => path === '/dev/hidraw0'),
    'and no other keyboard was touched',
  );
  refusal = null;
  await look();
  t.same(rows()[0], ['hid-scanner-1', 'ready', null]);
  bus.scan('hidraw0', ...scannerKeys);
  t.same(codes(), ['hid-scanner-1 4006381333931']);
  t.match(events.at(-1), { type: 'codeScanned', aim: ']E0' });
  bus.scan('hidraw0', ...typeReports('us', 'HALF'));
  time.advance(150);
  t.match(counters(), { codes: 1, dropped: 1 });
  refusal = { code: 'device.denied', detail: 'somebody gave it back' };
  await look();
  t.same(rows()[0], ['hid-scanner-1', 'failing', 'device.denied']);
  t.same(new Set(bus.opens), new Set(['/dev/hidraw0']));
  await driver.stop();
});

t.test('a keyboard is silenced by what sysfs says, not by what was written', async (t) => {
  const folder = t.testdir({
    hidraw0: { device: { input: { input7: { inhibited: '0\n' }, input8: { inhibited: '1\n' }, other: {} } } },
    hidraw1: { device: { input: { input9: {} } } },
    hidraw2: { device: {} },
  });
  const device = (name: string) => ({ path: `/dev/${name}` }) as HidDevice;
  t.ok(silenceInputs(device('hidraw0'), folder).ok);
  t.equal(readFileSync(`${folder}/hidraw0/device/input/input7/inhibited`, 'utf8').trim(), '1');
  t.match(silenceInputs(device('hidraw1'), folder), { error: { code: 'device.unsupported' } }, 'an old kernel');
  t.ok(silenceInputs(device('hidraw2'), folder).ok, 'nothing types');
});
