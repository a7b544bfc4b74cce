/**
 * Unclaimed devices: what is plugged in and no driver has, with what it says of itself and the lines of the configuration
 * that would claim it. Pure over the looks that it is given; opens nothing.
 */

import { printable } from '../terminal/kernel/redaction.js';
import type { UnclaimedDevice } from './contract/driver.js';
import {
  type HidScannerOptions,
  hidScannerOptionsDefault,
  identityOf,
  isMeant,
  judgeDevice,
  judgeStripeReader,
  type StripeReaderOptions,
  supervisedIdentity,
} from './hid/device-rules.js';
import type { HidDevice } from './hid/hidraw-sysfs.js';
import { padClaim } from './hid/pad-lines.js';
import type { UsbReader } from './pcsc/usb-readers.js';
import { decodeReportDescriptor } from './protocols/hid-pos/report-descriptor.js';
import { identityOfLine, type UsbLine } from './serial/tty-sysfs.js';

export interface UnclaimedLooks {
  readonly lines: () => readonly UsbLine[];
  readonly hidDevices: () => readonly HidDevice[];
  readonly usbReaders: () => readonly UsbReader[];
  /** The device file that a path leads to; the path itself where it leads nowhere. */
  readonly resolve: (path: string) => string;
}

export interface UnclaimedSettings {
  readonly scannerPaths: readonly string[];
  readonly ignoredScannerPaths: readonly string[];
  /** PIN pads on HID. */
  readonly pinPads: readonly string[];
  readonly hidScanners: Pick<HidScannerOptions, 'enabled' | 'devices' | 'ignoredDevices' | 'keyboards'>;
  readonly stripeReaders: Pick<StripeReaderOptions, 'enabled' | 'devices'>;
  /** Lines that something else has: printers, the technician's console. */
  readonly otherPaths: readonly string[];
}

/** @param claimed identities of devices that drivers have; those of serial lines may be paths */
export function unclaimedDevices(
  settings: UnclaimedSettings,
  looks: UnclaimedLooks,
  claimed: readonly string[],
): readonly UnclaimedDevice[] {
  return [
    ...unclaimedReaders(looks.usbReaders(), claimed),
    ...unclaimedLines(settings, looks, claimed),
    ...unclaimedHid(settings, looks.hidDevices(), claimed),
  ];
}

/** Sections whose `paths` name serial lines of devices that are no scanner. */
const otherLineSections = ['printers', 'displays', 'modules', 'pinPads', 'modems', 'relays'];

/** A list of texts in TOML, one a line; JSON's escapes are TOML's. */
const tomlList = (key: string, values: readonly string[]): readonly string[] => [
  `${key} = [`,
  ...values.map((value) => `  ${JSON.stringify(value)},`),
  ']',
];

function unclaimedLines(
  { scannerPaths, ignoredScannerPaths, otherPaths }: UnclaimedSettings,
  looks: UnclaimedLooks,
  claimed: readonly string[],
): readonly UnclaimedDevice[] {
  const lines = looks.lines();
  const taken = new Set([...claimed, ...otherPaths].filter((name) => name.startsWith('/')).map(looks.resolve));
  const isRecognised = (line: UsbLine): boolean => claimed.includes(printable(identityOfLine(line)));
  const lasting = (line: UsbLine): string => line.lastingPath ?? line.path;
  // Once one line is named, only named ones are opened: scanners found by themselves have to be named with it.
  const found = lines.filter((line) => isRecognised(line) && !taken.has(line.path)).map(lasting);
  const kept = scannerPaths.length > 0 ? scannerPaths : found;
  return lines
    .filter((line) => !isRecognised(line) && !taken.has(line.path))
    .map((line) => ({
      line,
      ignored: ignoredScannerPaths.filter((name) => ![line.path, lasting(line)].includes(name)),
    }))
    .map(({ line, ignored }) => ({
      ...{ bus: 'serial', usage: null, place: lasting(line) },
      why:
        ignored.length < ignoredScannerPaths.length
          ? 'ignored by the configuration'
          : 'a serial line may be anything; it is opened when named',
      ...{ vendorId: line.vendorId, productId: line.productId, serial: line.serial, name: line.name },
      configuration: [
        ...['[scanners]', ...tomlList('paths', [...new Set([...kept, lasting(line)])])],
        ...(ignored.length < ignoredScannerPaths.length ? tomlList('ignoredPaths', ignored) : []),
        '# no scanner? Not these lines, but its path in the `paths` of what it is:',
        `# ${otherLineSections.map((section) => `[${section}]`).join(' ')}`,
      ],
    }));
}

function unclaimedHid(
  settings: UnclaimedSettings,
  devices: readonly HidDevice[],
  claimed: readonly string[],
): readonly UnclaimedDevice[] {
  return devices
    .filter((device) => !claimed.includes(supervisedIdentity(device)))
    .map((device) => {
      const { vendorId, productId } = device;
      const [why, configuration] = hidReason(device, settings);
      return {
        ...{ bus: 'hid', vendorId, productId, serial: printable(device.serial, 80), name: printable(device.name, 80) },
        ...{ usage: usageOf(device), place: device.path, why, configuration },
      };
    });
}

function hidReason(
  device: HidDevice,
  { pinPads, hidScanners: { enabled, devices, ignoredDevices, keyboards }, stripeReaders }: UnclaimedSettings,
): readonly [why: string, configuration: readonly string[]] {
  const bare = hidScannerOptionsDefault;
  const { verdict, ...judged } = judgeDevice(device, bare);
  const identity = printable(identityOf(device));
  const section = ['[hidScanners]', ...(enabled ? [] : ['enabled = true'])];
  if (verdict === 'keyboard') {
    const maker = 'maker' in judged ? judged.maker : null;
    const lines = [...section, ...tomlList('keyboards', [...keyboards, identity])];
    const keypad = ['# a numeric keypad? Not these lines, but its ids in the `devices` of [keypads]'];
    return maker === null
      ? [
          'it types: never opened. Claim it only if it is a scanner or a keypad: a keyboard falls silent (hardware.md)',
          [...lines, ...keypad],
        ]
      : [`this ${maker} scanner types: better switch it to HID POS or serial mode (hardware.md)`, lines];
  }
  const pad = verdict === 'ignored' ? padClaim(device) : null;
  if (pad !== null)
    return [
      'vendor-defined: may be anything. Claim it only if it is a PIN pad of docs/protocols/pin-pad.md',
      ['[pinPads]', ...tomlList('devices', [...pinPads, pad])],
    ];
  if (judgeStripeReader(device, { enabled: true, devices: [] }).verdict === 'served')
    return [
      'not among the configured stripe readers',
      [
        ...['[stripeReaders]', ...(stripeReaders.enabled ? [] : ['enabled = true'])],
        ...tomlList('devices', [...stripeReaders.devices, identity]),
      ],
    ];
  if (verdict === 'ignored') return ['no driver here reads this kind of device', []];
  const others = ignoredDevices.filter((pattern) => !isMeant(pattern, device));
  const lines = [...section, ...tomlList('devices', [...devices, identity])];
  return ignoredDevices.length === others.length
    ? ['not among the configured scanners', lines]
    : ['ignored by the configuration', [...lines, ...tomlList('ignoredDevices', others)]];
}

/** Page and usage of the first application, in hex; null where the descriptor cannot be read. */
function usageOf({ descriptor }: HidDevice): string | null {
  const read = decodeReportDescriptor(descriptor);
  const first = read.ok ? read.value.applications[0] : undefined;
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return first ? `${two(first.page)}:${two(first.usage)}` : null;
}

/** Readers count as claimed once pcscd shows any: its names do not say which socket a reader is in. */
function unclaimedReaders(readers: readonly UsbReader[], claimed: readonly string[]): readonly UnclaimedDevice[] {
  return readers
    .filter(
      ({ name, kernelDriver }) => kernelDriver !== null || !claimed.some((identity) => sharesWord(identity, name)),
    )
    .map(({ vendorId, productId, serial, name, socket, kernelDriver }) => ({
      ...{ bus: 'pcsc', vendorId, productId, serial, name, usage: null, place: socket, configuration: [] },
      why: kernelDriver
        ? `the kernel's ${kernelDriver} has it, so pcscd cannot: keep that module away (scripts/provision, hardware.md)`
        : 'pcscd does not show it: is pcscd running, does libccid know it?',
    }));
}

/** Model names: `ACR122U` in both `ACS ACR122U` and pcscd's `ACS ACR122U PICC Interface 00`. */
function sharesWord(identity: string, name: string): boolean {
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word.length >= 4 && /[0-9]/.test(word));
  return words.some((word) => identity.includes(word));
}
