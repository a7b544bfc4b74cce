/**
 * Is a real reader or scanner there? Looks at the USB bus and the configuration; opens nothing.
 */
import type { Config } from '../../config/schema.js';
import { serialFingerprint } from '../../drivers/fingerprints.js';
import { describeDevice, judgeDevice } from '../../drivers/hid/device-rules.js';
import { lookAtHidraw } from '../../drivers/hid/hidraw-sysfs.js';
import { lookAtUsbReaders } from '../../drivers/pcsc/usb-readers.js';
import { lookAtLines } from '../../drivers/serial/tty-sysfs.js';

/** What is plugged in or configured, in words; null: nothing, so that the simulated set may start. */
export async function realDevices(config: Config): Promise<string | null> {
  const { bluetooth, readers, scanners, hidScanners } = config;
  if (readers.names.length > 0) return `configured readers: ${readers.names.join(', ')}`;
  if (scanners.paths.length > 0) return `configured scanners: ${scanners.paths.join(', ')}`;
  const hidNamed = [...hidScanners.devices, ...hidScanners.keyboards];
  if (hidScanners.enabled && hidNamed.length > 0) return `configured scanners: ${hidNamed.join(', ')}`;
  if (bluetooth.scanners.length > 0) return `configured scanners: ${bluetooth.scanners.join(', ')}`;
  if (bluetooth.phones) return 'phones over Bluetooth, by configuration';
  const [reader] = lookAtUsbReaders();
  if (reader) return `reader: ${reader.name || 'smart card reader'}`;
  const scanner = lookAtLines().find(({ vendorId, productId }) => serialFingerprint(vendorId, productId));
  if (scanner) return `scanner: ${scanner.lastingPath ?? scanner.path}`;
  const hidScanner = hidScanners.enabled
    ? lookAtHidraw().find((device) => judgeDevice(device, hidScanners).verdict === 'served')
    : undefined;
  return hidScanner ? `scanner: ${describeDevice(hidScanner)}` : null;
}
