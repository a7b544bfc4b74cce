/**
 * Shows that stripe readers and keypads are served like scanners, through the same driver: the conformance suite for both,
 * a swipe whole or counted as lost, a keypad only where it is named and silenced, and that both are sensitive.
 */
import t from 'tap';
import { ok } from '../../terminal/kernel/result.js';
import { type Checks, driverConformance } from '../contract/conformance.js';
import type { DeviceEvent, Driver } from '../contract/driver.js';
import { enterReport, typeReports } from '../protocols/hid-keyboard/keyboard-fixtures.js';
import { keyboardDescriptor, scannerDescriptor } from '../protocols/hid-pos/hid-pos-fixtures.js';
import {
  magTekDescriptor,
  magTekReport,
  standardReport,
  standardStripeDescriptor,
  testCard,
  wholeTracks,
} from '../protocols/magnetic-stripe/stripe-fixtures.js';
import { ManualTime } from '../sim/manual-time.js';
import { FakeBus } from './hid-fixtures.js';
import type { HidPorts } from './input-driver.js';
import { KeypadDriver, StripeReaderDriver } from './scanner-driver.js';

const stripes = { enabled: true, devices: [] };
const keypads = { devices: ['0c2e:0b87:S1'], gapMs: 10_000 };

function openRig(make: (ports: HidPorts) => Driver) {
  const bus = new FakeBus();
  const time = new ManualTime();
  const events: DeviceEvent[] = [];
  const silenced: string[] = [];
  const driver = make({
    ...time,
    look: bus.look,
    open: bus.openDevice,
    silence: ({ path }) => {
      silenced.push(path);
      return ok(undefined);
    },
  });
  return {
    ...{ bus, time, events, silenced, driver },
    start: () => driver.start((event) => events.push(event)),
    said: () => events.filter(({ type }) => type !== 'deviceStateChanged'),
  };
}

for (const [name, make, descriptor] of [
  ['stripe reader', (ports: HidPorts) => new StripeReaderDriver(stripes, ports), standardStripeDescriptor],
  ['keypad', (ports: HidPorts) => new KeypadDriver(keypads, ports), keyboardDescriptor],
] as const)
  t.test(`${name}: the conformance suite`, async (t) => {
    driverConformance(t as unknown as Checks, ['plug'], async () => {
      const { bus, driver, time } = openRig(make);
      bus.plug('hidraw0', descriptor);
      const beat = setInterval(() => time.advance(1_000), 5);
      return {
        driver,
        plug: {
          pullOut: async () => bus.pull('hidraw0'),
          putBack: async () => bus.plug('hidraw0', descriptor),
        },
        close: async () => clearInterval(beat),
      };
    });
  });

t.test('stripe readers: found by what they say, swipes whole or counted as lost, sensitive', async (t) => {
  const { bus, start, said, driver } = openRig((ports) => new StripeReaderDriver(stripes, ports));
  bus.plug('hidraw0', magTekDescriptor, { vendorId: '0801', productId: '0002' });
  bus.plug('hidraw1', standardStripeDescriptor, { serial: 'S2' });
  bus.plug('hidraw2', scannerDescriptor, { serial: 'S3' });
  bus.plug('hidraw3', keyboardDescriptor, { vendorId: '0801', productId: '0001' });
  bus.plug('hidraw4', magTekDescriptor, { serial: 'S4' });
  await start();
  t.same(bus.opens, ['/dev/hidraw0', '/dev/hidraw1'], 'no scanner, no keyboard, no other vendor’s own page');
  bus.scan('hidraw0', magTekReport());
  bus.scan('hidraw1', standardReport(wholeTracks.map((track) => track.replace('4111', '4112').replace('?', '?0'))));
  bus.scan('hidraw1', standardReport());
  const tracks = [testCard.track1, testCard.track2, null];
  t.same(said(), [
    { type: 'stripeRead', device: 'hid-stripe-1', tracks },
    { type: 'stripeRead', device: 'hid-stripe-2', tracks },
  ]);
  t.ok(driver.statuses().every(({ sensitive }) => sensitive));
  t.match(driver.statuses()[1]?.counters, { swipes: 1, dropped: 1, reports: 2 });
  t.notMatch(JSON.stringify(driver.statuses()), /4111|TEST/, 'a row holds nothing of a card');
  await driver.stop();
});

t.test('a stripe that is a PIN pad’s other interface is never opened', async (t) => {
  const { bus, start, driver } = openRig(
    (ports) => new StripeReaderDriver({ ...stripes, ignoredDevices: ['0801:0002'] }, ports),
  );
  bus.plug('hidraw0', magTekDescriptor, { vendorId: '0801', productId: '0002' });
  await start();
  t.same(bus.opens, []);
  await driver.stop();
});

t.test(
  'a keypad: only the one that is named, taken from the rest, numbers only, and forgotten after a while',
  async (t) => {
    const { bus, start, said, silenced, time, driver } = openRig((ports) => new KeypadDriver(keypads, ports));
    bus.plug('hidraw0', keyboardDescriptor);
    bus.plug('hidraw1', keyboardDescriptor, { serial: 'S2' });
    await start();
    t.same([bus.opens, silenced], [['/dev/hidraw0'], ['/dev/hidraw0']], 'no other keyboard is touched');
    const key = (text: string) => bus.scan('hidraw0', ...typeReports('us', text));
    key('13800138000');
    bus.scan('hidraw0', enterReport);
    key('99');
    time.advance(10_000);
    key('12a');
    bus.scan('hidraw0', enterReport);
    key('1'.repeat(21));
    bus.scan('hidraw0', enterReport);
    t.same(said(), [{ type: 'numberKeyed', device: 'hid-keypad-1', digits: '13800138000' }]);
    t.match(driver.statuses()[0], { sensitive: true, counters: { numbers: 1, dropped: 3 } });
    await driver.stop();
  },
);
