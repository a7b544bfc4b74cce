/**
 * Smart card readers on the USB bus, whether pcscd has them or not: reads sysfs only. Says which driver of the kernel holds
 * one, because such a reader never reaches pcscd.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { printable } from '../../terminal/kernel/redaction.js';

export interface UsbReader {
  readonly vendorId: string;
  readonly productId: string;
  readonly serial: string;
  readonly name: string;
  /** The USB interface that it is plugged in at (1-1.2:1.0). */
  readonly socket: string;
  /** The kernel's own driver that holds it; null: none, or usbfs, which is how pcscd opens it. */
  readonly kernelDriver: string | null;
}

/** USB class of smart card readers (CCID). */
const smartCardClass = '0b';
/** ACS makes readers and nothing else, some of a vendor class. Other makers' ids would catch headsets and cameras. */
const readerVendors = ['072f'];
const interfacesMax = 256;

/** Readers in the order of their sockets. Empty where the kernel shows no USB bus. */
export function lookAtUsbReaders(folder = '/sys/bus/usb/devices'): readonly UsbReader[] {
  let sockets: readonly string[];
  try {
    sockets = readdirSync(folder).sort();
  } catch {
    return [];
  }
  return sockets
    .filter((socket) => /^[0-9]+-[0-9.]+:[0-9]+\.[0-9]+$/.test(socket))
    .slice(0, interfacesMax)
    .flatMap((socket) => {
      const device = path.join(folder, socket.split(':')[0] ?? socket);
      const vendorId = attribute(device, 'idVendor').toLowerCase();
      const isReader =
        attribute(path.join(folder, socket), 'bInterfaceClass') === smartCardClass || readerVendors.includes(vendorId);
      if (!isReader || !/^[0-9a-f]{4}$/.test(vendorId)) return [];
      const name = `${attribute(device, 'manufacturer')} ${attribute(device, 'product')}`.trim();
      const productId = attribute(device, 'idProduct').toLowerCase();
      const kernelDriver = driverOf(path.join(folder, socket));
      return [{ vendorId, productId, serial: attribute(device, 'serial'), name, socket, kernelDriver }];
    });
}

function attribute(folder: string, name: string): string {
  try {
    return printable(readFileSync(path.join(folder, name), 'utf8').trim(), 80);
  } catch {
    return '';
  }
}

function driverOf(folder: string): string | null {
  try {
    const driver = path.basename(readlinkSync(path.join(folder, 'driver')));
    return driver === 'usbfs' ? null : driver;
  } catch {
    return null;
  }
}
