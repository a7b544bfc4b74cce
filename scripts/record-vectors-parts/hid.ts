/**
 * Sessions of HID devices that umockdev feigns: the unmodified node-hid on a device file, sysfs and all. Made inside a process
 * under umockdev-run; record-vectors.ts starts it.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { DeviceEvent, Driver } from '../../drivers/contract/driver.js';
import { openHidTransport } from '../../drivers/hid/hid-transport.js';
import { lookAtHidraw } from '../../drivers/hid/hidraw-sysfs.js';
import { HidScannerDriver, KeypadDriver } from '../../drivers/hid/scanner-driver.js';
import { enterReport, released, typeReports } from '../../drivers/protocols/hid-keyboard/keyboard-fixtures.js';
import {
  keyboardDescriptor,
  scannerDescriptor,
  scanReport,
  scanReports,
} from '../../drivers/protocols/hid-pos/hid-pos-fixtures.js';
import { magTekDescriptor, magTekReport } from '../../drivers/protocols/magnetic-stripe/stripe-fixtures.js';
import { padDescriptor } from '../../drivers/protocols/pin-pad/pad-fixtures.js';
import { type FeignedDevice, FeignedInput } from '../../drivers/sim/feigned-hid.js';
import { padOnReports, padReportBytes } from '../../drivers/sim/pin-pad.js';
import { type Bytes, concat } from '../../terminal/kernel/bytes.js';
import { ok } from '../../terminal/kernel/result.js';
import { configOf } from '../bench/shipped-drivers.js';
import { shell, until } from '../rig/guest/scenario.js';
import { entries, padSetup } from './lines.js';
import { shipped, type Vector } from './session.js';

export const feigned = {
  scanner: { name: 'hidraw0', hidName: '0003:0C2E:0B87.0001', descriptor: scannerDescriptor },
  keyboard: { name: 'hidraw1', hidName: '0003:0C2E:0B61.0002', descriptor: keyboardDescriptor },
  stripe: { name: 'hidraw2', hidName: '0003:0801:0002.0003', descriptor: magTekDescriptor },
  keypad: { name: 'hidraw4', hidName: '0003:0C2E:0B62.0005', descriptor: keyboardDescriptor },
  pinPad: { name: 'hidraw3', hidName: '0003:0C2E:0F00.0004', descriptor: padDescriptor },
} as const satisfies Readonly<Record<string, FeignedDevice>>;

const underUmockdev = 'feigned under umockdev, unmodified node-hid 3.4.0, Debian 12.';
/** Between two reports of a pad, whose driver counts none. */
const betweenReportsMs = 40;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
/** Each is read before the next is sent: a pseudo-terminal joins reports that follow too closely; hidraw does not. */
async function report(device: FeignedInput, driver: Driver, ...reports: readonly Bytes[]): Promise<void> {
  const read = () => driver.statuses()[0]?.counters['reports'] ?? 0;
  for (const each of reports) {
    const before = read();
    device.report(each);
    await until('the report', () => read() > before);
  }
}

async function plugged(device: FeignedInput, use: () => Promise<void>): Promise<void> {
  await device.plug();
  await use().finally(() => device.pull());
}

/** The far end of a pad's device file. */
function padAt(device: FeignedInput) {
  let sending = Promise.resolve();
  const { pad, take } = padOnReports(padSetup(100), (each) => {
    sending = sending.then(async () => {
      device.report(each);
      await pause(betweenReportsMs);
    });
  });
  const file = openSync(device.cable, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const chunk = new Uint8Array(1_024);
  let waiting: Bytes = new Uint8Array(0);
  const read = (): number => {
    try {
      return readSync(file, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  };
  const beat = setInterval(() => {
    waiting = concat(waiting, chunk.subarray(0, read()));
    for (; waiting.length > padReportBytes; waiting = waiting.subarray(1 + padReportBytes))
      take(waiting.subarray(0, 1 + padReportBytes));
  }, 2);
  return {
    pad,
    leave: () => {
      clearInterval(beat);
      pad.switchOff();
      closeSync(file);
    },
  };
}

const long = '0123456789'.repeat(15);
const come =
  (type: DeviceEvent['type'], device: FeignedInput, driver: Driver, reports: readonly Bytes[]) =>
  async (seen: { come(type: DeviceEvent['type'], count: number): Promise<void> }, count = 1) => {
    await report(device, driver, ...reports);
    await seen.come(type, count);
  };

/** Devices are feigned for one process; a session plugs its own in and pulls it out. */
export const hidVectors: readonly Vector[] = [
  {
    name: 'hid-scanner',
    remark: [
      'One code in several reports, half a code and silence (dropped after the idle gap), one whole code: a scanner in',
      `HID POS mode, ${underUmockdev} The descriptor is that of drivers/protocols/hid-pos.`,
    ],
    make: (keep) => {
      const device = new FeignedInput(feigned.scanner);
      const driver = shipped('hid-scanner', '[hidScanners]\nenabled = true\n');
      return plugged(device, () =>
        keep(driver, 'hid-scanner-1', async (seen) => {
          await come('codeScanned', device, driver, scanReports(long))(seen);
          await report(device, driver, scanReport('HALF', { isContinued: true }));
          await pause(1_000);
          await come('codeScanned', device, driver, [scanReport('GOOD')])(seen, 2);
        }),
      );
    },
  },
  {
    name: 'hid-keyboard',
    remark: [
      'A product’s code, a member’s (a test code): a scanner that types as a US keyboard, named by the configuration,',
      underUmockdev,
    ],
    make: (keep) => {
      const device = new FeignedInput(feigned.keyboard);
      const typed = (text: string) => [...typeReports('us', text), enterReport, released];
      // umockdev has no input layer to be silenced.
      const driver = new HidScannerDriver(configOf('[hidScanners]\nkeyboards = ["0c2e:0b61:S1"]\n').hidScanners, {
        ...{ ...shell, look: lookAtHidraw, open: openHidTransport, silence: () => ok(undefined) },
      });
      return plugged(device, () =>
        keep(driver, 'hid-scanner-1', async (seen) => {
          await come('codeScanned', device, driver, typed('6901234567892'))(seen);
          await come('codeScanned', device, driver, typed('SLM1234567890128'))(seen, 2);
        }),
      );
    },
  },
  {
    name: 'hid-stripe',
    remark: ['A test card’s swipe, one that cannot be read, another: a MagTek-like reader', underUmockdev],
    make: (keep) => {
      const device = new FeignedInput(feigned.stripe);
      const driver = shipped('hid-stripe', '[stripeReaders]\nenabled = true\n');
      return plugged(device, () =>
        keep(driver, 'hid-stripe-1', async (seen) => {
          await come('stripeRead', device, driver, [magTekReport()])(seen);
          await report(device, driver, magTekReport(['%E?', ';E?', ''], [1, 1, 0]));
          await come('stripeRead', device, driver, [magTekReport()])(seen, 2);
        }),
      );
    },
  },
  {
    name: 'hid-keypad',
    remark: [
      'A number, one with a letter in it that is dropped, a number: a keyboard that the configuration names as a keypad,',
      underUmockdev,
    ],
    make: (keep) => {
      const device = new FeignedInput(feigned.keypad);
      const number = (text: string) => [...typeReports('us', text), enterReport];
      // umockdev has no input layer to be silenced.
      const driver = new KeypadDriver(configOf('[keypads]\ndevices = ["0c2e:0b62:S1"]\n').keypads, {
        ...{ ...shell, look: lookAtHidraw, open: openHidTransport, silence: () => ok(undefined) },
      });
      return plugged(device, () =>
        keep(driver, 'hid-keypad-1', async (seen) => {
          await come('numberKeyed', device, driver, number('13800138000'))(seen);
          await report(device, driver, ...number('12a'));
          await come('numberKeyed', device, driver, number('42'))(seen, 2);
        }),
      );
    },
  },
  {
    name: 'hid-pinpad',
    remark: [
      'The same entries as of the serial pad; the bytes are those of the line that drivers/hid/pad-lines.ts makes of its',
      `reports: simulated pad of the generic model, ${underUmockdev}`,
    ],
    make: (keep) => {
      const device = new FeignedInput(feigned.pinPad);
      return plugged(device, async () => {
        const far = padAt(device);
        const driver = shipped('hid-pinpad', '[pinPads]\ndevices = ["0c2e:0f00:S1"]\n');
        await keep(driver, 'hid-pinpad-1', () => entries(driver, 'hid-pinpad-1', far.pad)).finally(far.leave);
      });
    },
  },
];
