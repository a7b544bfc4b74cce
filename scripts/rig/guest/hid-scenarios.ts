/**
 * HID in a real kernel: scanners in HID POS mode, and keyboards.
 */
import { openHidTransport } from '../../../drivers/hid/hid-transport.js';
import { lookAtHidraw } from '../../../drivers/hid/hidraw-sysfs.js';
import { HidScannerDriver } from '../../../drivers/hid/scanner-driver.js';
import {
  keyboardDescriptor,
  scannerDescriptor,
  scanReport,
} from '../../../drivers/protocols/hid-pos/hid-pos-fixtures.js';
import { check, DriverWatch, type Scenario, shell, until } from './scenario.js';
import { UhidDevice } from './uhid.js';

const scannerSetup = {
  name: 'Feigned scanner',
  vendorId: 0x0c2e,
  productId: 0x0b87,
  serial: 'S1',
  descriptor: scannerDescriptor,
};
const driverWith = () =>
  new HidScannerDriver(
    { enabled: true, devices: [], ignoredDevices: [], idleGapMs: 500 },
    { ...shell, look: lookAtHidraw, open: openHidTransport },
  );
const burst = 1_000;

export const hidScenarios: readonly Scenario[] = [
  {
    name: 'HID POS scanner: the kernel’s hidraw, a burst, pulled out and put back',
    run: async (rig) => {
      const watch = new DriverWatch(driverWith());
      let scanner = new UhidDevice(scannerSetup);
      await watch.start();
      await watch.state('hid-scanner-1', 'ready');
      for (let number = 0; number < burst; number++) {
        scanner.report(scanReport(`CODE${number}`));
        // hidraw holds 64 reports: a reader that is never let run loses the rest, as with any scanner.
        if (number % 16 === 15) await until('the codes', () => watch.codes().length >= number - 16);
      }
      await until('the burst', () => watch.codes().length === burst);
      check(
        watch.codes().every((code, index) => code === `CODE${index}`),
        'a code was changed or swapped',
      );
      rig.note(`${burst} of ${burst} reports, in order`);
      scanner.destroy();
      await watch.state('hid-scanner-1', 'absent');
      const backMs = await rig.measured(async () => {
        scanner = new UhidDevice(scannerSetup);
        await watch.state('hid-scanner-1', 'ready');
      });
      rig.note(`in service ${backMs} ms after replug`);
      scanner.report(scanReport('AGAIN'));
      await until('a code after the replug', () => watch.codes().at(-1) === 'AGAIN');
      await watch.driver.stop();
      scanner.destroy();
    },
  },
  {
    name: 'a strange keyboard is listed and never opened',
    run: async (rig) => {
      const watch = new DriverWatch(driverWith());
      const keyboard = new UhidDevice({ ...scannerSetup, productId: 0x0b61, descriptor: keyboardDescriptor });
      await watch.start();
      await watch.state('hid-ignored', 'disabled');
      check(watch.codes().length === 0 && watch.row('hid-scanner-1') === undefined, 'the keyboard was taken');
      rig.note(watch.row('hid-ignored')?.error?.detail ?? '');
      await watch.driver.stop();
      keyboard.destroy();
    },
  },
];
