/**
 * HID devices made from user space through the kernel's uhid: the kernel's HID stack, hidraw and input layers are the real
 * ones, only USB is missing (linux/uhid.h). Must not be imported by anything but the rig's guest.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { type Bytes, utf8 } from '../../../terminal/kernel/bytes.js';

const event = { destroy: 1, create2: 11, input2: 12 } as const;
const usbBus = 3;
const createBytes = 4 + 128 + 64 + 64 + 2 + 2 + 4 + 4 + 4 + 4 + 4_096;

export interface UhidSetup {
  readonly name: string;
  readonly vendorId: number;
  readonly productId: number;
  readonly serial: string;
  readonly descriptor: Bytes;
}

export class UhidDevice {
  readonly #file: number;
  constructor(setup: UhidSetup) {
    this.#file = openSync('/dev/uhid', 'r+');
    const create = Buffer.alloc(createBytes);
    create.writeUInt32LE(event.create2, 0);
    create.set(utf8(setup.name), 4);
    create.set(utf8('usb-rig/input0'), 4 + 128);
    create.set(utf8(setup.serial), 4 + 128 + 64);
    const at = 4 + 128 + 64 + 64;
    create.writeUInt16LE(setup.descriptor.length, at);
    create.writeUInt16LE(usbBus, at + 2);
    create.writeUInt32LE(setup.vendorId, at + 4);
    create.writeUInt32LE(setup.productId, at + 8);
    create.set(setup.descriptor, at + 20);
    writeSync(this.#file, create);
  }

  report(report: Bytes): void {
    const input = Buffer.alloc(4 + 2 + 4_096);
    input.writeUInt32LE(event.input2, 0);
    input.writeUInt16LE(report.length, 4);
    input.set(report, 6);
    writeSync(this.#file, input);
  }

  /** Pulls it out. */
  destroy(): void {
    const destroy = Buffer.alloc(4);
    destroy.writeUInt32LE(event.destroy, 0);
    writeSync(this.#file, destroy);
    closeSync(this.#file);
  }
}
