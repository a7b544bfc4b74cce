/**
 * Shows the HID scanner driver on the real path: sysfs, libudev's view, the unmodified node-hid and a hidraw file, with
 * devices plugged in and out and a keyboard beside them. How: the file runs itself again under umockdev-run, which gives
 * that process a /sys and /dev of its own; reports come over a pseudo-terminal that stands for the device file.
 */
import { closeSync, constants, existsSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type Bytes, concat, hex } from '../../terminal/kernel/bytes.js';
import { nativeClock, nativeCrypto, nativeRandom } from '../../terminal/kernel/native.js';
import { ok } from '../../terminal/kernel/result.js';
import { type Checks, driverConformance } from '../contract/conformance.js';
import type { DeviceEvent, Driver } from '../contract/driver.js';
import {
  keyboardDescriptor,
  scannerDescriptor,
  scanReport,
  scanReports,
} from '../protocols/hid-pos/hid-pos-fixtures.js';
import { magTekDescriptor, magTekReport, testCard } from '../protocols/magnetic-stripe/stripe-fixtures.js';
import { KeySerials } from '../protocols/pin-pad/key-serials.js';
import { padDescriptor } from '../protocols/pin-pad/pad-fixtures.js';
import { PinPadDriver } from '../serial/pin-pad-driver.js';
import { type FeignedDevice, FeignedInput, isUnderUmockdev, umockdevRun, umockdevWords } from '../sim/feigned-hid.js';
import { padOnReports, padReportBytes } from '../sim/pin-pad.js';
import { hidScannerOptionsDefault } from './device-rules.js';
import { openHidTransport, type ReportTransport } from './hid-transport.js';
import { lookAtHidraw } from './hidraw-sysfs.js';
import { PadLines } from './pad-lines.js';
import { HidScannerDriver, KeypadDriver, StripeReaderDriver } from './scanner-driver.js';

const waitMaxMs = 10_000;

const scanner: FeignedDevice = { name: 'hidraw0', hidName: '0003:0C2E:0B87.0001', descriptor: scannerDescriptor };
const stripe: FeignedDevice = {
  name: 'hidraw2',
  hidName: '0003:0801:0002.0003',
  descriptor: magTekDescriptor,
};
const pinPad: FeignedDevice = { name: 'hidraw3', hidName: '0003:0C2E:0F00.0004', descriptor: padDescriptor };
const keyboard: FeignedDevice = { name: 'hidraw1', hidName: '0003:0C2E:0B61.0002', descriptor: keyboardDescriptor };

/** Outside: runs this file again with feigned devices. */
function runFeigned(): void {
  if (!existsSync(umockdevRun)) {
    t.test('under umockdev', { skip: 'umockdev-run is missing: apt-get install umockdev' }, () => {});
    return;
  }
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-hid-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const words = umockdevWords(folder, [scanner, keyboard, stripe, pinPad], [fileURLToPath(import.meta.url)]);
  t.spawn(umockdevRun, words, {}, 'under umockdev');
}

async function until(what: string, holds: () => unknown): Promise<void> {
  const deadline = Date.now() + waitMaxMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${waitMaxMs} ms`);
    await wait(5);
  }
}

/** @returns bytes read; 0: nothing is there now */
function readWhatIsThere(file: number, into: Uint8Array): number {
  try {
    return readSync(file, into);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}

async function openFeignedRig(device: FeignedInput) {
  let reads = 0;
  /** The shipped transport, counting what it read. */
  const openCounted = async (file: string) => {
    const opened = await openHidTransport(file);
    if (!opened.ok) return opened;
    const transport: ReportTransport = {
      ...opened.value,
      onReport: (listener) =>
        opened.value.onReport((report) => {
          reads += 1;
          listener(report);
        }),
    };
    return ok(transport);
  };
  await device.plug();
  const driver = new HidScannerDriver(
    { ...hidScannerOptionsDefault, idleGapMs: 2_000 },
    {
      look: lookAtHidraw,
      silence: () => ok(undefined),
      open: openCounted,
      clock: nativeClock,
      schedule: (delayMs, run) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
    },
  );
  return {
    driver,
    scan: async (code: string) => device.report(scanReport(code)),
    /** One report, read before the next is sent: a pseudo-terminal would join them, hidraw does not. */
    send: async (report: Bytes) => {
      const before = reads;
      device.report(report);
      await until('the report', () => reads > before);
    },
    plug: { pullOut: () => device.pull(), putBack: () => device.plug() },
    close: () => device.pull(),
  };
}

/** Inside: /sys and /dev are umockdev's. */
function testFeigned(): void {
  const device = new FeignedInput(scanner);
  // One for each device: it numbers the lives of its device.
  const inputs = {
    stripe: new FeignedInput(stripe),
    keypad: new FeignedInput(keyboard),
    pinPad: new FeignedInput(pinPad),
  };
  const openRig = () => openFeignedRig(device);
  const addOns = () => process.report.getReport() as { readonly sharedObjects: readonly string[] };
  const isLoaded = () => addOns().sharedObjects.some((file) => /HID/.test(file));

  t.test('a keyboard alone: seen, never opened, and node-hid is not even loaded', async (t) => {
    const { driver, close } = await openRig();
    await close();
    const events: DeviceEvent[] = [];
    await driver.start((event) => events.push(event));
    t.same([driver.statuses(), events], [[], []]);
    t.equal(lookAtHidraw().length, 3, 'although it is there, with a stripe reader and a PIN pad');
    await driver.stop();
    t.notOk(isLoaded());
  });

  driverConformance(t, ['scan', 'plug'], openRig);

  const schedule = (delayMs: number, run: () => void) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  };
  const ports = {
    look: lookAtHidraw,
    silence: () => ok(undefined),
    open: openHidTransport,
    clock: nativeClock,
    schedule,
  };
  const padSetup = { clock: nativeClock, schedule, random: nativeRandom, keySerials: new KeySerials() };
  const padDriver = (): Driver => {
    const lines = new PadLines(['0c2e:0f00:S1'], { look: lookAtHidraw, open: openHidTransport });
    return new PinPadDriver('hid', 'generic', {
      ...padSetup,
      ...{ wanted: () => lines.wanted(), open: (file) => lines.open(file) },
      ...{ exists: (file) => file !== '', isSimulated: () => true },
    });
  };
  for (const [name, input, make] of [
    ['stripe reader', inputs.stripe, () => new StripeReaderDriver({ enabled: true, devices: [] }, ports)],
    ['keypad', inputs.keypad, () => new KeypadDriver({ devices: ['0c2e:0b61:S1'], gapMs: 10_000 }, ports)],
    ['PIN pad', inputs.pinPad, padDriver],
  ] as const)
    t.test(`${name}: the conformance suite`, async (t) => {
      driverConformance(t as unknown as Checks, ['plug'], async () => {
        await input.plug();
        return {
          driver: make(),
          plug: { pullOut: () => input.pull(), putBack: () => input.plug() },
          close: () => input.pull(),
        };
      });
    });

  t.test('the library’s error, long scans, and a scan torn by the pull', async (t) => {
    const { driver, send, close } = await openRig();
    const events: DeviceEvent[] = [];
    await driver.start((event) => events.push(event));
    t.ok(isLoaded(), 'the library is loaded now');
    const codes = () => events.flatMap((event) => (event.type === 'codeScanned' ? [event.code] : []));
    const states = () =>
      events.flatMap((event) =>
        event.type === 'deviceStateChanged' && event.status.device === 'hid-scanner-1' ? [event.status] : [],
      );
    const long = '0123456789'.repeat(20);
    for (const report of scanReports(long)) await send(report);
    t.same(codes(), [long]);
    await send(scanReport('HALF', { isContinued: true }));
    await device.pull();
    await until('absent', () => states().at(-1)?.state === 'absent');
    t.ok(states().some(({ error }) => error?.code === 'device.closed'));
    await device.plug();
    await until('ready', () => states().at(-1)?.state === 'ready');
    await send(scanReport('GOOD'));
    t.same(codes(), [long, 'GOOD']);
    t.same(states().at(-1)?.counters, { codes: 1, dropped: 1, opened: 2, reports: 5 });
    await driver.stop();
    await close();
  });

  t.test('a stripe reader on the same path: whole swipes of a long report, out and back', async (t) => {
    const reader = inputs.stripe;
    await reader.plug();
    const events: DeviceEvent[] = [];
    const driver = new StripeReaderDriver(
      { enabled: true, devices: [] },
      {
        ...{ look: lookAtHidraw, silence: () => ok(undefined), open: openHidTransport, clock: nativeClock },
        schedule: (delayMs, run) => {
          const timer = setTimeout(run, delayMs);
          return () => clearTimeout(timer);
        },
      },
    );
    await driver.start((event) => events.push(event));
    const swipes = () => events.filter(({ type }) => type === 'stripeRead');
    const row = () => driver.statuses()[0];
    t.match([driver.statuses().length, row()?.identity], [1, '0801:0002:S1'], 'the scanner beside it is not its own');
    reader.report(magTekReport());
    await until('a swipe', () => swipes().length === 1);
    await reader.pull();
    await until('absent', () => row()?.state === 'absent');
    await reader.plug();
    await until('ready', () => row()?.state === 'ready');
    reader.report(magTekReport());
    await until('another swipe', () => swipes().length === 2);
    t.match(swipes()[1], { tracks: [testCard.track1, testCard.track2, null] });
    await driver.stop();
    await reader.pull();
  });

  t.test('a PIN pad on the same path: reports written and read, out and back', async (t) => {
    const device = inputs.pinPad;
    let reads = 0;
    const schedule = (delayMs: number, run: () => void) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    };
    /** The shipped transport, counting what it read. */
    const open = async (file: string) => {
      const opened = await openHidTransport(file);
      if (!opened.ok) return opened;
      const { value } = opened;
      return ok({
        ...value,
        onReport: (listener: (report: Bytes) => void) =>
          value.onReport((report) => {
            reads += 1;
            listener(report);
          }),
      });
    };
    const setup = {
      ...{ crypto: nativeCrypto, random: nativeRandom, schedule },
      ...{ initialKey: new Uint8Array(16).fill(7), initialKeyId: hex('1234567890123456') },
    };
    /** Plugs a pad in at the far end of the device file. Each report is read before the next is sent, as above. */
    const plugIn = async (counter: number) => {
      await device.plug();
      let sending = Promise.resolve();
      const { pad, take } = padOnReports({ ...setup, counter }, (report) => {
        sending = sending.then(async () => {
          const before = reads;
          device.report(report);
          await until('the report', () => reads > before);
        });
      });
      const file = openSync(device.cable, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
      const chunk = new Uint8Array(1_024);
      let waiting: Bytes = new Uint8Array(0);
      // Looked at again and again, so that no thread reads the far end while the near one is taken away.
      const beat = setInterval(() => {
        waiting = concat(waiting, chunk.subarray(0, readWhatIsThere(file, chunk)));
        // A pseudo-terminal keeps no report apart from the next; hidraw does.
        for (; waiting.length > padReportBytes; waiting = waiting.subarray(1 + padReportBytes))
          take(waiting.subarray(0, 1 + padReportBytes));
      }, 2);
      const leave = () => {
        clearInterval(beat);
        pad.switchOff();
        closeSync(file);
      };
      return { pad, leave };
    };
    let far = await plugIn(0);
    const lines = new PadLines(['0c2e:0f00:S1'], { look: lookAtHidraw, open });
    const driver = new PinPadDriver('hid', 'generic', {
      ...{ clock: nativeClock, schedule, random: nativeRandom, keySerials: new KeySerials() },
      ...{ wanted: () => lines.wanted(), open: (file) => lines.open(file) },
      ...{ exists: (file) => file !== '', isSimulated: () => true },
    });
    await driver.start(() => {});
    const row = () => driver.statuses()[0];
    const ask = () => driver.askPin({ device: null, pan: '5413330089090014', timeoutS: 20 });
    t.match(row(), { device: 'hid-pinpad-1', state: 'ready', identity: '0c2e:0f00:S1' });
    far.pad.pin = '2580';
    const end = await ask();
    t.match(end, { result: 'entered', keySerialNumber: { length: 12 }, pinBlock: { length: 16 } });
    t.ok(reads >= 3, 'that it asks, and a block in two reports');
    far.pad.pin = null;
    const torn = ask();
    await until('the prompt', () => far.pad.prompt);
    far.leave();
    await device.pull();
    t.match(await torn, { result: 'unknown', error: { code: 'device.closed' } });
    far = await plugIn(far.pad.counter);
    await until('ready', () => row()?.state === 'ready');
    far.pad.pin = '2580';
    t.match(await ask(), { result: 'entered' });
    await driver.stop();
    far.leave();
    await device.pull();
  });

  t.test('closed in the same moment as opened: no late error', async (t) => {
    const { close } = await openRig();
    const opened = await openHidTransport('/dev/hidraw0');
    if (!opened.ok) throw new Error(opened.error.detail);
    opened.value.onReport(() => t.fail('a report after close'));
    opened.value.onClosed(() => t.fail('an error after close'));
    await Promise.all([opened.value.close(), opened.value.close()]);
    await close();
    const absent = await openHidTransport('/dev/hidraw0');
    t.equal(!absent.ok && absent.error.code, 'device.absent');
  });
}

if (!isUnderUmockdev()) runFeigned();
else testFeigned();
