/**
 * The Bluetooth adapters of this computer, as the kernel lists them, and which of them is the box's. One is known by its USB
 * vendor, product and serial number; hci0 is only where it is now. Must not open one.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { printable } from '../../terminal/kernel/redaction.js';

/** An adapter that is not on USB, such as a Pi's own. */
export const onBoard = 'onBoard';

export interface Adapter {
  /** hci0, hci1 …: another one after each replug. */
  readonly name: string;
  /** `vendor:product`, each of four hex digits, `vendor:product:serial` where it has one, or onBoard. */
  readonly identity: string;
}

function attribute(folder: string, name: string): string {
  try {
    return readFileSync(path.join(folder, name), 'utf8').trim();
  } catch {
    return '';
  }
}

function identityOf(folder: string): string {
  let usbDevice: string;
  try {
    // What it hangs on is an interface of its USB device.
    usbDevice = path.dirname(realpathSync(path.join(folder, 'device')));
  } catch {
    return onBoard;
  }
  const ids = [attribute(usbDevice, 'idVendor'), attribute(usbDevice, 'idProduct'), attribute(usbDevice, 'serial')];
  if (ids[0] === '' || ids[1] === '') return onBoard;
  return printable(ids.filter((id) => id !== '').join(':'), 80);
}

/** Those in `folder` (/sys/class/bluetooth), in the kernel's order; none where it cannot be read. */
export function adaptersIn(folder: string): readonly Adapter[] {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  // Links within a connection (hci0:64) are listed beside them.
  return names
    .filter((name) => /^hci[0-9]+$/.test(name))
    .sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)))
    .map((name) => ({ name, identity: identityOf(path.join(folder, name)) }));
}

/** @param configured an identity, `vendor:product` for any serial number, or nothing for the first; hex digits of any case */
export function chosenAdapter(folder: string, configured: string): Adapter | null {
  const ids = 'vvvv:pppp'.length;
  const wanted = configured === onBoard ? onBoard : configured.slice(0, ids).toLowerCase() + configured.slice(ids);
  const isWanted = ({ identity }: Adapter): boolean =>
    wanted === '' || identity === wanted || (wanted.length === ids && identity.startsWith(`${wanted}:`));
  return adaptersIn(folder).find(isWanted) ?? null;
}
