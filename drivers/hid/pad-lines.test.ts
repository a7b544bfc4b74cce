/**
 * Shows that a PIN pad on HID is served by the same driver as one on a serial line: the conformance suite, entries that come in
 * several reports, only the very device that is named and never its keyboard, out and back, and reports that are none. How: a pad
 * written from docs/protocols/pin-pad.md alone on a bus of reports, and a clock that moves when told. hid-stack.test.ts shows the
 * same on node-hid.
 */
import t from 'tap';
import { type Bytes, hex, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeCrypto as crypto, nativeRandom } from '../../terminal/kernel/native.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { type Checks, driverConformance } from '../contract/conformance.js';
import { initialKey, transactionKey, workingKey } from '../protocols/dukpt/dukpt.js';
import { keyboardDescriptor } from '../protocols/hid-pos/hid-pos-fixtures.js';
import { KeySerials } from '../protocols/pin-pad/key-serials.js';
import { mixedPadDescriptor, padDescriptor } from '../protocols/pin-pad/pad-fixtures.js';
import { decodePinBlock4 } from '../protocols/pinblock/pinblock.js';
import { PinPadDriver } from '../serial/pin-pad-driver.js';
import { ManualTime } from '../sim/manual-time.js';
import { padOnReports } from '../sim/pin-pad.js';
import { FakeBus } from './hid-fixtures.js';
import { PadLines } from './pad-lines.js';

const initialKeyId = hex('1234567890123456');
const initial = initialKey(crypto, hex('fedcba9876543210f1f1f1f1f1f1f1f1'), initialKeyId);
const pan = '5413330089090014';
const named = ['0C2E:0b87:S1'];

function openRig(devices: readonly string[] = named) {
  const bus = new FakeBus();
  const time = new ManualTime();
  const setup = {
    crypto,
    random: nativeRandom,
    schedule: time.schedule,
    initialKey: initial,
    initialKeyId,
    counter: 0,
  };
  /** What else comes behind a report. */
  const behind = { scan: (_report: Bytes): readonly Bytes[] => [] };
  const far = padOnReports(setup, (report) =>
    queueMicrotask(() => bus.scan('hidraw0', report, ...behind.scan(report))),
  );
  bus.taken = (report) => {
    far.take(report);
    return ok(undefined);
  };
  let looks = 0;
  const look = () => {
    looks += 1;
    return bus.look();
  };
  const lines = new PadLines(devices, { look, open: bus.openDevice });
  const driver = new PinPadDriver('hid', 'generic', {
    ...{ ...time, random: nativeRandom, keySerials: new KeySerials(), wanted: () => lines.wanted() },
    ...{ open: (path) => lines.open(path), exists: (path) => path !== '', isSimulated: () => false },
  });
  const turn = async () => {
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    ...{ bus, time, driver, turn, behind, pad: far.pad, looks: () => looks },
    pass: async (ms: number) => {
      time.advance(ms);
      await turn();
    },
    row: () => driver.statuses()[0],
    ask: () => driver.askPin({ device: null, pan, timeoutS: 30 }),
  };
}

t.test('the conformance suite', async (t) => {
  driverConformance(t as unknown as Checks, ['plug'], async () => {
    const { bus, driver, time } = openRig();
    bus.plug('hidraw0', padDescriptor);
    const beat = setInterval(() => time.advance(1_000), 5);
    return {
      driver,
      plug: {
        pullOut: async () => bus.pull('hidraw0'),
        putBack: async () => bus.plug('hidraw0', padDescriptor),
      },
      close: async () => clearInterval(beat),
    };
  });
});

t.test('an entry in reports of 64 bytes; out and back in mid-entry; a report that is none', async (t) => {
  const { ask, bus, driver, pad, pass, row, turn } = openRig();
  await driver.start(() => {});
  t.match(row(), { device: 'hid-pinpad-1', state: 'absent', identity: '0c2e:0b87:S1' });
  bus.plug('hidraw0', padDescriptor, { name: 'Pad' });
  await pass(1_000);
  t.match(row(), { state: 'ready', sensitive: true, description: 'Pad (0c2e:0b87:S1)' });
  pad.pin = '739164';
  const end = await ask();
  if (end?.result !== 'entered') throw new Error('no PIN');
  const counter = end.keySerialNumber.at(-1) ?? 0;
  const key = workingKey(crypto, transactionKey(crypto, initial, initialKeyId, counter), 'pin', initialKeyId, counter);
  t.match(decodePinBlock4(crypto, key, end.pinBlock, pan), { ok: true, value: '739164' });
  t.match(decodePinBlock4(crypto, key, end.pinBlock, '5500005555555559'), { ok: false }, 'fault 24');
  pad.pin = null;
  const torn = ask();
  await turn();
  t.ok(pad.prompt);
  bus.pull('hidraw0');
  await pass(1_000);
  t.match(await torn, { result: 'unknown', error: { code: 'device.closed' } });
  t.match(row(), { state: 'absent' });
  bus.plug('hidraw0', padDescriptor);
  await pass(1_000);
  pad.pin = '1234';
  t.match(await ask(), { result: 'entered' });
  bus.scan('hidraw0', hex('02'), utf8('x'.repeat(64)), new Uint8Array(64));
  t.match(await ask(), { result: 'entered' }, 'noise between two entries');
  bus.taken = () => err({ code: 'device.closed', detail: 'cannot be written' });
  t.match(await ask(), { result: 'unknown', error: { code: 'device.closed' } });
  await driver.stop();
});

t.test('a report that is none breaks the frame that it stands in', async (t) => {
  const { ask, behind, bus, driver, pad, pass, row, turn } = openRig();
  bus.plug('hidraw0', padDescriptor);
  await driver.start(() => {});
  // A full report is the first of two.
  behind.scan = ([length]) => (length === 63 ? [new Uint8Array(64).fill(0xff)] : []);
  const entry = ask();
  await turn();
  pad.key('1234');
  await turn();
  await pass(40_000);
  t.match(await entry, { result: 'unknown' });
  t.match(row()?.counters, { noise: 1, entered: 0 });
  await driver.stop();
});

t.test('only the very device that is named, and of it nothing that types', async (t) => {
  const { bus, driver, looks, pass } = openRig();
  bus.plug('hidraw1', padDescriptor, { serial: 'S2' });
  bus.plug('hidraw2', padDescriptor, { serial: '' });
  bus.plug('hidraw3', padDescriptor, { productId: '0b88' });
  bus.plug('hidraw4', keyboardDescriptor);
  await driver.start(() => {});
  t.same(bus.opens, []);
  t.match(driver.statuses(), [{ state: 'failing', error: { code: 'device.unsupported' } }], 'its keyboard alone');
  bus.plug('hidraw0', padDescriptor);
  await pass(1_000);
  await pass(1_000);
  t.same(bus.opens, ['/dev/hidraw0']);
  t.match(driver.statuses(), [{ state: 'ready', identity: '0c2e:0b87:S1' }]);
  t.ok(looks() > 0);
  await driver.stop();
  const mixed = openRig();
  mixed.bus.plug('hidraw0', mixedPadDescriptor);
  await mixed.driver.start(() => {});
  t.same(mixed.bus.opens, []);
  await mixed.driver.stop();
  const none = openRig([]);
  none.bus.plug('hidraw0', padDescriptor);
  await none.driver.start(() => {});
  await none.pass(5_000);
  t.same([none.driver.statuses(), none.looks()], [[], 0], 'a box that names none does not even look');
  t.equal(await none.ask(), null);
  await none.driver.stop();
});

t.test('a device that took the pad’s file while it was opened is closed unread', async (t) => {
  const { bus, driver, row } = openRig();
  bus.plug('hidraw0', padDescriptor);
  let isFirst = true;
  bus.duringOpen = () => {
    if (isFirst) bus.plug('hidraw0', keyboardDescriptor, { serial: 'K' });
    isFirst = false;
  };
  await driver.start(() => {});
  const report: Bytes = new Uint8Array(64);
  bus.scan('hidraw0', report);
  t.ok(bus.open.get('/dev/hidraw0')?.closed);
  t.match(row(), { state: 'absent' });
  await driver.stop();
});
