/**
 * HID in a real kernel: scanners in HID POS mode, and keyboards.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { type HidScannerOptions, hidScannerOptionsDefault } from '../../../drivers/hid/device-rules.js';
import { openHidTransport } from '../../../drivers/hid/hid-transport.js';
import { lookAtHidraw } from '../../../drivers/hid/hidraw-sysfs.js';
import { silenceInputs } from '../../../drivers/hid/key-inputs.js';
import { HidScannerDriver } from '../../../drivers/hid/scanner-driver.js';
import { enterReport, released, typeReports } from '../../../drivers/protocols/hid-keyboard/keyboard-fixtures.js';
import {
  keyboardDescriptor,
  scannerDescriptor,
  scanReport,
} from '../../../drivers/protocols/hid-pos/hid-pos-fixtures.js';
import { unclaimedDevices } from '../../../drivers/unclaimed.js';
import { check, DriverWatch, type Scenario, shell, until } from './scenario.js';
import { UhidDevice } from './uhid.js';

const scannerSetup = {
  name: 'Feigned scanner',
  vendorId: 0x0c2e,
  productId: 0x0b87,
  serial: 'S1',
  descriptor: scannerDescriptor,
};
const driverWith = (options: Partial<HidScannerOptions> = {}) =>
  new HidScannerDriver(
    { ...hidScannerOptionsDefault, idleGapMs: 500, keyboardGapMs: 2_000, ...options },
    { ...shell, look: lookAtHidraw, open: openHidTransport, silence: silenceInputs },
  );
const burst = 1_000;
const typedCodes = 20;

/** The evdev file that the kernel made of a HID device; null: none yet, or the device is just coming. */
function evdevOf(vendorId: string): string | null {
  const hidraw = lookAtHidraw().find((device) => device.vendorId === vendorId);
  if (!hidraw) return null;
  const inputs = `/sys/class/hidraw/${path.basename(hidraw.path)}/device/input`;
  try {
    const names = readdirSync(inputs).flatMap((input) => readdirSync(path.join(inputs, input)));
    const event = names.find((name) => /^event[0-9]+$/.test(name));
    return event && existsSync(`/dev/input/${event}`) ? `/dev/input/${event}` : null;
  } catch {
    return null;
  }
}

/** What everybody else hears of a HID device: bytes of its evdev file. */
function openEars(vendorId: string): { heard(): number; close(): void } | null {
  const event = evdevOf(vendorId);
  if (event === null) return null;
  const file = openSync(event, constants.O_RDONLY | constants.O_NONBLOCK);
  return {
    heard: () => {
      try {
        return readSync(file, Buffer.alloc(4_096));
      } catch {
        // EAGAIN: nothing.
        return 0;
      }
    },
    close: () => closeSync(file),
  };
}

const udevRule =
  'ACTION=="add", SUBSYSTEM=="input", KERNEL=="input*", ATTRS{idVendor}=="0627", ATTRS{idProduct}=="0001", ATTR{inhibited}="1"\n';

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
      const listed = await until('the keyboard', () => {
        const found = unclaimedDevices(
          {
            ...{ scannerPaths: [], ignoredScannerPaths: [], pinPads: [], otherPaths: [] },
            ...{ hidScanners: hidScannerOptionsDefault, stripeReaders: { enabled: true, devices: [] } },
          },
          { lines: () => [], hidDevices: lookAtHidraw, usbReaders: () => [], resolve: (name) => name },
          [],
        );
        return found.some(({ productId }) => productId === '0b61') && found;
      });
      check(watch.codes().length === 0 && watch.row('hid-scanner-1') === undefined, 'the keyboard was taken');
      rig.note(listed.map(({ why, configuration }) => `${why} ${configuration.join(' ')}`).join('; '));
      await watch.driver.stop();
      keyboard.destroy();
    },
  },
  {
    name: 'scanner in keyboard mode: its keys reach the box and nothing else',
    run: async (rig) => {
      const keyboard = new UhidDevice({ ...scannerSetup, productId: 0x0b61, descriptor: keyboardDescriptor });
      const ears = await until('its evdev file', () => openEars('0c2e'));
      const type = (text: string): void => {
        for (const report of [...typeReports('us', text), enterReport, released]) keyboard.report(report);
      };
      type('heard');
      await until('keys in evdev before it is taken', () => ears.heard() > 0);
      const watch = new DriverWatch(driverWith({ keyboards: ['0c2e:0b61:S1'] }));
      await watch.start();
      await watch.state('hid-scanner-1', 'ready');
      while (ears.heard() > 0);
      for (let number = 0; number < typedCodes; number++) {
        type(`CODE-${number}`);
        await until('the code', () => watch.codes().length === number + 1);
      }
      check(
        watch.codes().every((code, index) => code === `CODE-${index}`),
        'a code was changed or swapped',
      );
      check(ears.heard() === 0, 'keys reached evdev');
      rig.note(`${typedCodes} of ${typedCodes} codes by hidraw, no byte by evdev`);
      await watch.driver.stop();
      ears.close();
      keyboard.destroy();
    },
  },
  {
    name: 'USB keyboard: silenced by the udev rule of hardware.md before anybody opens it, pulled out and put back',
    run: async (rig) => {
      mkdirSync('/run/udev/rules.d', { recursive: true });
      writeFileSync('/run/udev/rules.d/60-shouli-keyboard.rules', udevRule);
      execFileSync('udevadm', ['control', '--reload']);
      const plug = () =>
        rig.host.ask({ ask: 'plug', driver: 'usb-kbd', id: 'keys', words: { bus: 'xhci.0', port: '2' } });
      const inhibited = (): string | null => {
        const hidraw = lookAtHidraw().find(({ vendorId }) => vendorId === '0627');
        if (!hidraw) return null;
        const inputs = `/sys/class/hidraw/${path.basename(hidraw.path)}/device/input`;
        const input = existsSync(inputs) ? readdirSync(inputs)[0] : undefined;
        return input === undefined ? null : readFileSync(path.join(inputs, input, 'inhibited'), 'utf8').trim();
      };
      await plug();
      await until('the rule', () => inhibited() === '1');
      const ears = await until('its evdev file', () => openEars('0627'));
      const watch = new DriverWatch(driverWith({ keyboards: ['0627:0001'], keyboardGapMs: 2_000 }));
      await watch.start();
      await watch.state('hid-scanner-1', 'ready');
      rig.note(watch.row('hid-scanner-1')?.description ?? '');
      await rig.host.ask({ ask: 'type', keys: ['6', '9', 'shift-a', 'b', 'ret'] });
      await until('the code', () => watch.codes()[0]);
      check(watch.codes()[0] === '69Ab', `typed 69Ab, read ${watch.codes()[0]}`);
      check(ears.heard() === 0, 'keys reached evdev');
      ears.close();
      await rig.host.ask({ ask: 'unplug', id: 'keys' });
      await watch.state('hid-scanner-1', 'absent');
      const backMs = await rig.measured(async () => {
        await plug();
        await watch.state('hid-scanner-1', 'ready');
      });
      rig.note(`in service ${backMs} ms after replug`);
      await rig.host.ask({ ask: 'type', keys: ['1', 'ret'] });
      await until('a code after the replug', () => watch.codes()[1] === '1');
      await watch.driver.stop();
      await rig.host.ask({ ask: 'unplug', id: 'keys' });
    },
  },
];
