/**
 * What HID devices are there: reads sysfs only, so that a box without any pays for one look at an empty folder and never
 * loads native code. Opens no device; says nothing about what a device is for.
 */
import { closeSync, type Dir, opendirSync, openSync, readlinkSync, readSync } from 'node:fs';
import path from 'node:path';
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { descriptorBytesMax } from '../protocols/hid-pos/report-descriptor.js';

export interface HidDevice {
  /** The device file, /dev/hidraw0. */
  readonly path: string;
  /** The kernel's name for this connection (0003:0C2E:0B87.0004): another one each time a device is plugged in. */
  readonly instance: string;
  /** Four lower-case hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  /** Empty where the device has none. As the device says it: not to be trusted, not printable. */
  readonly serial: string;
  readonly name: string;
  /** Where it is plugged in (usb-0000:00:14.0-2/input0); empty where the kernel does not say. */
  readonly socket: string;
  readonly descriptor: Bytes;
}

const sysfsFolder = '/sys/class/hidraw';
/** The kernel has no more (HIDRAW_MAX_DEVICES). */
const devicesMax = 64;
const ueventBytesMax = 4_096;

/** HID devices in the order of their names. Empty where the kernel has no hidraw. What vanishes during the look is left out. */
export function lookAtHidraw(folder: string = sysfsFolder): readonly HidDevice[] {
  return deviceNames(folder).flatMap((name) => {
    const device = readDevice(folder, name);
    return device ? [device] : [];
  });
}

function deviceNames(folder: string): readonly string[] {
  let opened: Dir | null = null;
  const names: string[] = [];
  try {
    opened = opendirSync(folder);
    for (let entry = opened.readSync(); entry !== null && names.length < devicesMax; entry = opened.readSync())
      if (/^hidraw[0-9]{1,4}$/.test(entry.name)) names.push(entry.name);
  } catch {
    // No hidraw in this kernel, or the folder vanished: no devices.
  } finally {
    opened?.closeSync();
  }
  return names.sort();
}

function readDevice(folder: string, name: string): HidDevice | null {
  const device = path.join(folder, name, 'device');
  try {
    const instance = path.basename(readlinkSync(device));
    const says = readUevent(new TextDecoder().decode(readUpTo(path.join(device, 'uevent'), ueventBytesMax)));
    const ids = /^[0-9A-F]{4}:[0-9A-F]{4}([0-9A-F]{4}):[0-9A-F]{4}([0-9A-F]{4})$/i.exec(says.get('HID_ID') ?? '');
    if (!ids?.[1] || !ids[2]) return null;
    return {
      path: path.join('/dev', name),
      instance,
      vendorId: ids[1].toLowerCase(),
      productId: ids[2].toLowerCase(),
      serial: says.get('HID_UNIQ') ?? '',
      name: says.get('HID_NAME') ?? '',
      socket: says.get('HID_PHYS') ?? '',
      descriptor: readUpTo(path.join(device, 'report_descriptor'), descriptorBytesMax),
    };
  } catch {
    return null;
  }
}

/** Lines KEY=value. The first of a key holds: what a device says of itself comes after what the kernel says of it. */
function readUevent(text: string): ReadonlyMap<string, string> {
  const says = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    const key = line.slice(0, Math.max(at, 0));
    if (at > 0 && !says.has(key)) says.set(key, line.slice(at + 1));
  }
  return says;
}

/** The first bytes of a file, at most so many. */
function readUpTo(file: string, bytesMax: number): Bytes {
  const bytes = new Uint8Array(bytesMax);
  const opened = openSync(file, 'r');
  try {
    let length = 0;
    while (length < bytesMax) {
      const read = readSync(opened, bytes, length, bytesMax - length, null);
      if (read === 0) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } finally {
    closeSync(opened);
  }
}
