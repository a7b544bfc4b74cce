/**
 * Is a real reader or scanner there? Looks at the USB bus and the configuration; opens nothing.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../../config/schema.js';
import { describeDevice, judgeDevice } from '../../drivers/hid/device-rules.js';
import { lookAtHidraw } from '../../drivers/hid/hidraw-sysfs.js';
import { discoverScanners } from '../../drivers/serial/serial-transport.js';

const usbFolder = '/sys/bus/usb/devices';
/** USB class of smart card readers (CCID). */
const smartCardClass = '0b';
/** ACS makes readers and nothing else, some of a vendor class. Other makers' ids would catch headsets and cameras. */
const readerVendors = ['072f'];

function attribute(device: string, name: string): string {
  try {
    return readFileSync(`${usbFolder}/${device}/${name}`, 'utf8').trim();
  } catch {
    return '';
  }
}

function usbReader(): string | null {
  let devices: string[];
  try {
    devices = readdirSync(usbFolder);
  } catch {
    return null;
  }
  const found = devices.find(
    (device) =>
      attribute(device, 'bInterfaceClass') === smartCardClass || readerVendors.includes(attribute(device, 'idVendor')),
  );
  if (!found) return null;
  const product = attribute(found, 'product') || attribute(found.split(':')[0] ?? found, 'product');
  return product || 'smart card reader';
}

/** What is plugged in or configured, in words; null: nothing, so that the simulated set may start. */
export async function realDevices(config: Config): Promise<string | null> {
  const { bluetooth, readers, scanners, hidScanners } = config;
  if (readers.names.length > 0) return `configured readers: ${readers.names.join(', ')}`;
  if (scanners.paths.length > 0) return `configured scanners: ${scanners.paths.join(', ')}`;
  const hidNamed = [...hidScanners.devices, ...hidScanners.keyboards];
  if (hidScanners.enabled && hidNamed.length > 0) return `configured scanners: ${hidNamed.join(', ')}`;
  if (bluetooth.scanners.length > 0) return `configured scanners: ${bluetooth.scanners.join(', ')}`;
  if (bluetooth.phones) return 'phones over Bluetooth, by configuration';
  const reader = usbReader();
  if (reader) return `reader: ${reader}`;
  const [scanner] = await discoverScanners();
  if (scanner) return `scanner: ${scanner}`;
  const hidScanner = hidScanners.enabled
    ? lookAtHidraw().find((device) => judgeDevice(device, hidScanners).verdict === 'scanner')
    : undefined;
  return hidScanner ? `scanner: ${describeDevice(hidScanner)}` : null;
}
