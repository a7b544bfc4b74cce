/**
 * Registry: the drivers that the configuration asks for, in start order. One plain array; a new bus is one more row.
 */
import { existsSync, realpathSync } from 'node:fs';
import type { Clock, Random } from '../terminal/kernel/ports.js';
import { BleDriver, type BleOptions } from './ble/ble-driver.js';
import type { Driver, Schedule, UnclaimedDevice } from './contract/driver.js';
import type { HidScannerOptions, KeypadOptions, StripeReaderOptions } from './hid/device-rules.js';
import { openHidTransport } from './hid/hid-transport.js';
import { lookAtHidraw } from './hid/hidraw-sysfs.js';
import { silenceInputs } from './hid/key-inputs.js';
import { PadLines } from './hid/pad-lines.js';
import { HidScannerDriver, KeypadDriver, StripeReaderDriver } from './hid/scanner-driver.js';
import type { PcscOptions } from './pcsc/options.js';
import { PcscDriver } from './pcsc/pcsc-driver.js';
import { lookAtUsbReaders } from './pcsc/usb-readers.js';
import type { TextEncode } from './protocols/escpos/print-job.js';
import { KeySerials } from './protocols/pin-pad/key-serials.js';
import type { PadModelName } from './protocols/pin-pad/pad-models.js';
import type { VasMode } from './protocols/vas/session.js';
import { CustomerDisplayDriver, type DisplayOptions } from './serial/display-driver.js';
import { namedLines } from './serial/line-driver.js';
import { ModemDriver, type ModemOptions, type ModemSpool } from './serial/modem-driver.js';
import { ModuleDriver, type ModuleOptions } from './serial/module-driver.js';
import { PinPadDriver } from './serial/pin-pad-driver.js';
import { type PrinterOptions, ReceiptPrinterDriver } from './serial/printer-driver.js';
import { RelayDriver, type RelayOptions } from './serial/relay-driver.js';
import { type ScannerOptions, SerialScannerDriver } from './serial/scanner-driver.js';
import { openSerialTransport } from './serial/serial-transport.js';
import { openTcpTransport } from './serial/tcp-transport.js';
import { lookAtLines } from './serial/tty-sysfs.js';
import { unclaimedDevices } from './unclaimed.js';

interface PinPadOptions {
  /** Serial lines. */
  readonly paths: readonly string[];
  readonly baud: number;
  /** On HID, each `vendor:product:serial`. */
  readonly devices: readonly string[];
  readonly model: PadModelName;
}

export interface DriverSettings {
  readonly readers: PcscOptions;
  /** What iPhones are told by readers that can tell them. */
  readonly wallet: { readonly passTypeIds: readonly string[]; readonly passMode: VasMode };
  readonly scanners: ScannerOptions;
  readonly hidScanners: HidScannerOptions;
  readonly stripeReaders: StripeReaderOptions;
  readonly keypads: KeypadOptions;
  readonly printers: PrinterOptions;
  readonly displays: DisplayOptions;
  readonly modules: ModuleOptions;
  readonly pinPads: PinPadOptions;
  readonly modems: Pick<ModemOptions, 'paths' | 'baud'>;
  readonly relays: RelayOptions;
  readonly bluetooth: BleOptions;
}

/** A pseudo-terminal is never a cable: what comes over it is simulated. */
function isPseudoTerminal(path: string): boolean {
  try {
    return realpathSync(path).startsWith('/dev/pts/');
  } catch {
    return false;
  }
}

export function createDrivers(
  settings: DriverSettings,
  shell: {
    readonly clock: Clock;
    readonly schedule: Schedule;
    readonly random: Random;
    /** What modems carry messages for. */
    readonly messages: Pick<ModemOptions, 'ownNumber' | 'homePrefix'> & { readonly openSpool: () => ModemSpool };
  },
): readonly Driver[] {
  const { clock, schedule, messages } = shell;
  const hid = { clock, schedule, look: lookAtHidraw, open: openHidTransport, silence: silenceInputs };
  const writing = { clock, schedule, loadEncode: loadGb18030 };
  return [
    new PcscDriver({
      clock,
      schedule,
      options: settings.readers,
      polling: settings.wallet.passTypeIds.length > 0 ? settings.wallet.passMode : null,
    }),
    new SerialScannerDriver(settings.scanners, {
      clock,
      schedule,
      open: openSerialTransport,
      look: lookAtLines,
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    // A PIN pad may show other interfaces: whatever is keyed on it, no other driver is to hear.
    new HidScannerDriver(
      {
        ...settings.hidScanners,
        ignoredDevices: [...settings.hidScanners.ignoredDevices, ...settings.pinPads.devices],
      },
      hid,
    ),
    new StripeReaderDriver({ ...settings.stripeReaders, ignoredDevices: settings.pinPads.devices }, hid),
    new KeypadDriver(settings.keypads, hid),
    new ReceiptPrinterDriver('serial', settings.printers, {
      ...writing,
      open: (path) => openSerialTransport(path, settings.printers.baud),
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    new ReceiptPrinterDriver('tcp', settings.printers, {
      ...writing,
      open: openTcpTransport,
      // Whether it is there, opening it shows.
      exists: () => true,
      isSimulated: () => false,
    }),
    new CustomerDisplayDriver(settings.displays, {
      ...writing,
      open: (path) => openSerialTransport(path, settings.displays.baud),
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    new ModuleDriver(settings.modules, {
      ...{ clock, schedule },
      open: (path) => openSerialTransport(path, settings.modules.baud),
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    ...pinPadDrivers(settings.pinPads, shell),
    new ModemDriver(
      { ...settings.modems, ...messages },
      {
        clock,
        schedule,
        openSpool: messages.openSpool,
        open: (path) => openSerialTransport(path, settings.modems.baud),
        exists: existsSync,
        isSimulated: isPseudoTerminal,
      },
    ),
    new RelayDriver(settings.relays, {
      ...{ clock, schedule },
      open: (path) => openSerialTransport(path, settings.relays.baud),
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    new BleDriver({ clock, schedule, options: settings.bluetooth }),
  ];
}

/** Serial and HID: one memory of key serial numbers, since a key is used once whatever cable it is used over. */
function pinPadDrivers(
  { baud, devices, model, paths }: PinPadOptions,
  { clock, random, schedule }: Pick<Parameters<typeof createDrivers>[1], 'clock' | 'random' | 'schedule'>,
): readonly Driver[] {
  const shared = { clock, random, schedule, keySerials: new KeySerials() };
  const lines = namedLines(paths);
  const reports = new PadLines(devices, { look: lookAtHidraw, open: openHidTransport });
  return [
    new PinPadDriver('serial', model, {
      ...shared,
      wanted: () => lines,
      open: (path) => openSerialTransport(path, baud),
      exists: existsSync,
      isSimulated: isPseudoTerminal,
    }),
    new PinPadDriver('hid', model, {
      ...shared,
      wanted: () => reports.wanted(),
      open: (path) => reports.open(path),
      exists: (path) => path !== '',
      isSimulated: () => false,
    }),
  ];
}

/** Loaded when Chinese is first printed or shown: a box without printer and display does not hold its tables. */
async function loadGb18030(): Promise<TextEncode> {
  const { default: iconv } = await import('iconv-lite');
  return (text) => new Uint8Array(iconv.encode(text, 'gb18030'));
}

/** What is plugged in and no driver of `createDrivers` has, given the identities of those that one has. */
export function lookForUnclaimed(
  settings: DriverSettings & { readonly console: { readonly serialPath: string } },
  claimed: readonly string[],
): readonly UnclaimedDevice[] {
  const { scanners, hidScanners, stripeReaders, printers, displays, modules, pinPads, modems, relays, console } =
    settings;
  const others = [printers, displays, modules, pinPads, modems, relays].flatMap(({ paths }) => paths);
  return unclaimedDevices(
    {
      scannerPaths: scanners.paths,
      ignoredScannerPaths: scanners.ignoredPaths,
      ...{ hidScanners, stripeReaders },
      pinPads: pinPads.devices,
      otherPaths: [console.serialPath, ...others].filter((path) => path !== ''),
    },
    { lines: lookAtLines, hidDevices: lookAtHidraw, usbReaders: lookAtUsbReaders, resolve: deviceFile },
    claimed,
  );
}

function deviceFile(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
