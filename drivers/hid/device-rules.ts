/**
 * Which HID devices may be opened, and how they are named. Pure; the one place that decides it: nothing is opened that
 * can type, that does not declare itself a bar code scanner, or that the configuration leaves out.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import { hidFingerprint } from '../fingerprints.js';
import { hidRole, layoutWithAim, layoutWithoutAim, type ScanLayout } from '../protocols/hid-pos/scan-layout.js';
import type { HidDevice } from './hidraw-sysfs.js';

export interface HidScannerOptions {
  readonly enabled: boolean;
  readonly devices: readonly string[];
  readonly ignoredDevices: readonly string[];
  readonly idleGapMs: number;
}

export type HidVerdict =
  | { readonly verdict: 'scanner'; readonly layout: ScanLayout }
  /** A scanner that nobody here can read. */
  | { readonly verdict: 'unsupported' }
  /** Never opened. `maker` is set where it may be a scanner in keyboard mode. */
  | { readonly verdict: 'keyboard'; readonly maker: string | null }
  | { readonly verdict: 'ignored' };

type HidIdentity = Pick<HidDevice, 'vendorId' | 'productId' | 'serial'>;

/** `vendor:product:serial`, or `vendor:product` where the device has no serial number. */
export function identityOf({ vendorId, productId, serial }: HidIdentity): string {
  return serial === '' ? `${vendorId}:${productId}` : `${vendorId}:${productId}:${serial}`;
}

/** Does an identity or a configured `vendor:product[:serial]` mean this device? Hex digits of any case; a serial exactly. */
export function isMeant(pattern: string, device: HidIdentity): boolean {
  const [vendorId = '', productId = '', ...serial] = pattern.split(':');
  return (
    vendorId.toLowerCase() === device.vendorId &&
    productId.toLowerCase() === device.productId &&
    (serial.length === 0 || serial.join(':') === device.serial)
  );
}

export function judgeDevice(
  device: HidDevice,
  { devices, ignoredDevices }: Pick<HidScannerOptions, 'devices' | 'ignoredDevices'>,
): HidVerdict {
  const maker = hidFingerprint(device.vendorId);
  const usual = maker?.scanReport === 'withoutAim' ? layoutWithoutAim : layoutWithAim;
  const role = hidRole(device.descriptor, usual);
  if (role.role === 'keyboard') return { verdict: 'keyboard', maker: maker?.maker ?? null };
  if (role.role === 'other' || ignoredDevices.some((pattern) => isMeant(pattern, device)))
    return { verdict: 'ignored' };
  if (devices.length > 0 && !devices.some((pattern) => isMeant(pattern, device))) return { verdict: 'ignored' };
  return role.role === 'scanner' ? { verdict: 'scanner', layout: role.layout } : { verdict: 'unsupported' };
}

/** What a technician sees of a device; printable. */
export function describeDevice(device: HidDevice): string {
  return printable(`${device.name || 'HID device'} (${identityOf(device)})`);
}
