/**
 * Which HID devices may be opened, how they are read and how they are named. Pure; the one place that decides it: nothing
 * is opened that does not declare itself a bar code scanner or that the configuration leaves out, and nothing that can
 * type unless the configuration names that very device.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import { hidFingerprint, magTekVendorId } from '../fingerprints.js';
import { keyReportLayout } from '../protocols/hid-keyboard/key-report.js';
import type { KeyboardLayout } from '../protocols/hid-keyboard/layouts.js';
import type { TypingRules } from '../protocols/hid-keyboard/typed-code.js';
import { hidRole, layoutWithAim, layoutWithoutAim } from '../protocols/hid-pos/scan-layout.js';
import { stripeLayout } from '../protocols/magnetic-stripe/stripe-report.js';
import type { HidDevice } from './hidraw-sysfs.js';
import { hidOptions } from './options.js';
import { keyboardReader, keypadReader, posReader, type ReportReader, stripeReader } from './report-reader.js';

export interface HidScannerOptions {
  readonly enabled: boolean;
  readonly devices: readonly string[];
  readonly ignoredDevices: readonly string[];
  readonly idleGapMs: number;
  readonly keyboards: readonly string[];
  readonly keyboardLayout: KeyboardLayout;
  readonly keyboardEnd: TypingRules['end'];
  readonly keyboardGapMs: number;
  readonly keyboardPrefixes: readonly string[];
  readonly keyboardSuffixes: readonly string[];
}

export interface StripeReaderOptions {
  readonly enabled: boolean;
  readonly devices: readonly string[];
  /** Never opened: interfaces of PIN pads. */
  readonly ignoredDevices?: readonly string[];
}
export interface KeypadOptions {
  readonly devices: readonly string[];
  readonly gapMs: number;
}

export const hidScannerOptionsDefault = Object.fromEntries(
  hidOptions.map((option) => [option.key, option.default]),
) as unknown as HidScannerOptions;

/** How a scanner's reports are read. */
export interface Reading {
  readonly reader: () => ReportReader;
  readonly gapMs: number;
  /** Its keys have to be taken from the rest of the system before it is opened. */
  readonly types: boolean;
}

export type HidVerdict =
  | { readonly verdict: 'served'; readonly reading: Reading }
  /** One that nobody here can read. */
  | { readonly verdict: 'unsupported' }
  /** Never opened. `maker` is set where it may be a scanner in keyboard mode. */
  | { readonly verdict: 'keyboard'; readonly maker: string | null }
  | { readonly verdict: 'ignored' };

type HidIdentity = Pick<HidDevice, 'vendorId' | 'productId' | 'serial'>;

/** `vendor:product:serial`, or `vendor:product` where the device has no serial number. */
export function identityOf({ vendorId, productId, serial }: HidIdentity): string {
  return serial === '' ? `${vendorId}:${productId}` : `${vendorId}:${productId}:${serial}`;
}

/** What the supervisor knows a device by: the identity, or with the socket where there is no serial number. Printable. */
export const supervisedIdentity = (device: HidIdentity & Pick<HidDevice, 'socket'>): string =>
  printable(device.serial === '' ? `${identityOf(device)}@${device.socket}` : identityOf(device));

/** Does an identity or a configured `vendor:product[:serial]` mean this device? Hex digits of any case; a serial exactly. */
export function isMeant(pattern: string, device: HidIdentity): boolean {
  const [vendorId = '', productId = '', ...serial] = pattern.split(':');
  return (
    vendorId.toLowerCase() === device.vendorId &&
    productId.toLowerCase() === device.productId &&
    (serial.length === 0 || serial.join(':') === device.serial)
  );
}

export function judgeDevice(device: HidDevice, options: HidScannerOptions): HidVerdict {
  const { devices, ignoredDevices } = options;
  const maker = hidFingerprint(device.vendorId);
  const usual = maker?.scanReport === 'withoutAim' ? layoutWithoutAim : layoutWithAim;
  const role = hidRole(device.descriptor, usual);
  const isIgnored = ignoredDevices.some((pattern) => isMeant(pattern, device));
  if (role.role === 'keyboard') {
    const isNamed = options.keyboards.some((pattern) => isMeant(pattern, device));
    return isNamed && !isIgnored
      ? judgeKeyboard(device, options)
      : { verdict: 'keyboard', maker: maker?.maker ?? null };
  }
  if (role.role === 'other' || isIgnored) return { verdict: 'ignored' };
  if (devices.length > 0 && !devices.some((pattern) => isMeant(pattern, device))) return { verdict: 'ignored' };
  if (role.role !== 'scanner') return { verdict: 'unsupported' };
  const { layout } = role;
  return { verdict: 'served', reading: { reader: () => posReader(layout), gapMs: options.idleGapMs, types: false } };
}

/** A keyboard that the configuration names. One of its interfaces may have other keys: volume, calculator. */
function judgeKeyboard(device: HidDevice, options: HidScannerOptions): HidVerdict {
  const layout = keyReportLayout(device.descriptor);
  if (!layout) return { verdict: 'unsupported' };
  const rules = { layout: options.keyboardLayout, end: options.keyboardEnd };
  const around = { prefixes: options.keyboardPrefixes, suffixes: options.keyboardSuffixes };
  return {
    verdict: 'served',
    reading: { reader: () => keyboardReader(layout, rules, around), gapMs: options.keyboardGapMs, types: true },
  };
}

/** A stripe reader says what it is; one that also types is none. */
export function judgeStripeReader(device: HidDevice, { devices, ignoredDevices }: StripeReaderOptions): HidVerdict {
  const layout = stripeLayout(device.descriptor, device.vendorId === magTekVendorId);
  const types = hidRole(device.descriptor, layoutWithAim).role === 'keyboard';
  const isWanted = devices.length === 0 || devices.some((pattern) => isMeant(pattern, device));
  const isIgnored = ignoredDevices?.some((pattern) => isMeant(pattern, device)) ?? false;
  if (!layout || types || !isWanted || isIgnored) return { verdict: 'ignored' };
  return { verdict: 'served', reading: { reader: () => stripeReader(layout), gapMs: 0, types: false } };
}

/** A keypad is a keyboard: only one that the configuration names is taken from the rest of the system. */
export function judgeKeypad(device: HidDevice, { devices, gapMs }: KeypadOptions): HidVerdict {
  if (!devices.some((pattern) => isMeant(pattern, device))) return { verdict: 'ignored' };
  const layout = keyReportLayout(device.descriptor);
  if (!layout) return { verdict: 'unsupported' };
  return { verdict: 'served', reading: { reader: () => keypadReader(layout), gapMs, types: true } };
}

/** What a technician sees of a device; printable. */
export function describeDevice(device: HidDevice): string {
  return printable(`${device.name || 'HID device'} (${identityOf(device)})`);
}
