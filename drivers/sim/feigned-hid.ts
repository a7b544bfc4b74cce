/**
 * HID devices in a /sys and /dev that umockdev feigns for one process: plugged in and out, with reports over a pseudo-terminal
 * that stands for the device file. A pseudo-terminal joins reports that follow too closely, which hidraw does not.
 * Must not be imported by anything but tests and scripts.
 */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type Bytes, toHex } from '../../terminal/kernel/bytes.js';
import { openPtyPair, type PtyPair } from './pty.js';

/** Debian's umockdev. */
export const umockdevRun = '/usr/bin/umockdev-run';
const socketFolder = '/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0';

export interface FeignedDevice {
  /** Of the device file: hidraw0. */
  readonly name: string;
  /** The kernel's name: bus, vendor, product and connection, as 0003:0C2E:0B87.0001. */
  readonly hidName: string;
  /** Report descriptor. */
  readonly descriptor: Bytes;
}

/** A device in the format of umockdev-record; its ioctls in the one of umockdev-record -i. */
function describe({ name, hidName, descriptor }: FeignedDevice, number: number): string {
  const [bus = '', vendor = '', product = ''] = hidName.split(/[:.]/);
  return [
    `P: ${socketFolder}/${hidName}`,
    'E: SUBSYSTEM=hid',
    `E: HID_ID=${bus}:0000${vendor}:0000${product}`,
    'E: HID_NAME=Feigned device',
    'E: HID_PHYS=usb-0000:00:14.0-2/input0',
    'E: HID_UNIQ=S1',
    `H: report_descriptor=${toHex(descriptor).toUpperCase()}`,
    '',
    `P: ${socketFolder}/${hidName}/hidraw/${name}`,
    `N: ${name}`,
    'E: SUBSYSTEM=hidraw',
    `E: DEVNAME=/dev/${name}`,
    'E: MAJOR=244',
    `E: MINOR=${number}`,
    `A: dev=244:${number}`,
    `L: device=../../../${hidName}`,
    '',
    '',
  ].join('\n');
}
function ioctls({ name, descriptor }: FeignedDevice): string {
  const length = descriptor.length.toString(16).padStart(4, '0');
  return `@DEV /dev/${name}\nHIDIOCGRDESCSIZE 0 ${length.slice(2)}${length.slice(0, 2)}0000\n`;
}

/**
 * What umockdev-run is given so that `node <script>` sees these devices. Writes their descriptions to `folder`, which has to
 * stay for as long as it runs.
 */
export function umockdevWords(folder: string, devices: readonly FeignedDevice[], script: readonly string[]): string[] {
  const words = devices.flatMap((device, number) => {
    const file = path.join(folder, device.name);
    writeFileSync(`${file}.umockdev`, describe(device, number));
    writeFileSync(`${file}.ioctl`, ioctls(device));
    return ['-d', `${file}.umockdev`, '-i', `/dev/${device.name}=${file}.ioctl`];
  });
  // A test runner's channel does not pass umockdev-run.
  return [...words, '--', 'env', '-u', 'NODE_CHANNEL_FD', process.execPath, ...script];
}

const feignedRoot = (): string => process.env['UMOCKDEV_DIR'] ?? '';
export const isUnderUmockdev = (): boolean => feignedRoot() !== '';

/**
 * Takes a device out of the feigned /sys and /dev and puts it back, as another connection of the same device. Only in a
 * process under umockdev-run.
 */
export class FeignedInput {
  readonly #root = feignedRoot();
  readonly #link: string;
  readonly #device: string;
  readonly #folder = path.join(this.#root, 'sys', socketFolder);
  #connections = 0;
  #pair: PtyPair | null = null;

  constructor(private readonly is: FeignedDevice) {
    this.#link = path.join(this.#root, 'sys/class/hidraw', is.name);
    this.#device = path.join(this.#root, 'dev', is.name);
  }

  async plug(): Promise<void> {
    this.#connections += 1;
    const hidName = `${this.is.hidName.split('.')[0]}.01${this.#connections}`;
    const from = path.join(this.#folder, this.is.hidName);
    const to = path.join(this.#folder, hidName);
    mkdirSync(path.join(to, 'hidraw', this.is.name), { recursive: true });
    for (const file of ['uevent', 'report_descriptor'])
      writeFileSync(path.join(to, file), readFileSync(path.join(from, file)));
    symlinkSync(`../../../${hidName}`, path.join(to, 'hidraw', this.is.name, 'device'));
    rmSync(this.#device, { force: true });
    this.#pair = await openPtyPair(this.#device, path.join(this.#root, `cable-${this.is.name}`));
    rmSync(this.#link, { force: true });
    symlinkSync(path.relative(path.dirname(this.#link), path.join(to, 'hidraw', this.is.name)), this.#link);
  }
  /** The device file goes first, as in the kernel: the reader sees an error before sysfs forgets the device. */
  async pull(): Promise<void> {
    await this.#pair?.close();
    this.#pair = null;
    rmSync(this.#link, { force: true });
    rmSync(this.#device, { force: true });
  }
  report(report: Bytes): void {
    if (this.#pair) writeFileSync(this.#pair.device, report);
  }
  /** The other end of what stands for its device file. */
  get cable(): string {
    if (!this.#pair) throw new Error('not plugged in');
    return this.#pair.device;
  }
}
