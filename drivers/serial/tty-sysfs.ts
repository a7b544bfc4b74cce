/**
 * What USB serial lines are there, and what each says of itself: reads sysfs and /dev/serial only, so that no library is
 * loaded and nothing is opened to find out. Says nothing about what a line is for.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { printable } from '../../terminal/kernel/redaction.js';

export interface UsbLine {
  /** The device file of this moment (/dev/ttyACM0); moves with the order of plugging in. */
  readonly path: string;
  /** Its name under /dev/serial/by-id, else by-path, else null: a box without udev. */
  readonly lastingPath: string | null;
  /** Four lower-case hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  /** Empty where the device has none. Printable. */
  readonly serial: string;
  /** Maker and product as the device says them; may be empty. Printable. */
  readonly name: string;
  /** The USB interface that it is plugged in at (1-1.2:1.0). */
  readonly socket: string;
}

const linesMax = 64;
const textMax = 80;
/** From a line's own folder up to its USB device: port, interface, device. */
const stepsUpMax = 4;

/** Vendor, product and serial number, or the socket where there is none; the interface where a device has several lines. */
export function identityOfLine({ vendorId, productId, serial, socket }: UsbLine): string {
  const part = /\.([1-9][0-9]*)$/.exec(socket.split(':')[1] ?? '')?.[1];
  if (serial === '') return `${vendorId}:${productId}@${socket}`;
  return `${vendorId}:${productId}:${serial}${part === undefined ? '' : `#${part}`}`;
}

/** USB lines in the order of their names. What vanishes during the look is left out; no sysfs: none. */
export function lookAtLines(sysfs = '/sys/class/tty', lasting = '/dev/serial'): readonly UsbLine[] {
  const names = namesIn(sysfs)
    .filter((name) => /^tty(USB|ACM)[0-9]{1,4}$/.test(name))
    .slice(0, linesMax);
  if (names.length === 0) return [];
  const lastingPaths = lastingNames(lasting);
  return names.flatMap((name) => {
    const line = readLine(sysfs, name, lastingPaths);
    return line ? [line] : [];
  });
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Device file name (ttyACM0) to its lasting path; by-id wins. */
function lastingNames(folder: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const kind of ['by-path', 'by-id'])
    for (const name of namesIn(path.join(folder, kind)).slice(0, linesMax)) {
      const link = path.join(folder, kind, name);
      try {
        found.set(path.basename(realpathSync(link)), link);
      } catch {
        // It leads nowhere: the line has just gone.
      }
    }
  return found;
}

function readLine(sysfs: string, name: string, lastingPaths: ReadonlyMap<string, string>): UsbLine | null {
  try {
    let folder = realpathSync(path.join(sysfs, name, 'device'));
    let socket = '';
    for (let step = 0; step < stepsUpMax; step++) {
      if (socket === '' && path.basename(folder).includes(':')) socket = path.basename(folder);
      const vendorId = attribute(folder, 'idVendor').toLowerCase();
      const productId = attribute(folder, 'idProduct').toLowerCase();
      if (/^[0-9a-f]{4}$/.test(vendorId) && /^[0-9a-f]{4}$/.test(productId))
        return {
          path: `/dev/${name}`,
          lastingPath: lastingPaths.get(name) ?? null,
          vendorId,
          productId,
          serial: attribute(folder, 'serial'),
          name: `${attribute(folder, 'manufacturer')} ${attribute(folder, 'product')}`.trim(),
          socket,
        };
      folder = path.dirname(folder);
    }
  } catch {
    // It went away while it was looked at.
  }
  return null;
}

function attribute(folder: string, name: string): string {
  try {
    return printable(readFileSync(path.join(folder, name), 'utf8').trim(), textMax);
  } catch {
    return '';
  }
}
