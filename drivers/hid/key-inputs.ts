/**
 * Takes a keyboard away from everything but its hidraw file: the kernel's inputs made from it are inhibited (Linux 5.11),
 * so that no key reaches a console, a desktop or another program. Why so: docs/decisions/hid-keyboard.md.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { DeviceError } from '../contract/transport.js';
import type { HidDevice } from './hidraw-sysfs.js';

const sysfsFolder = '/sys/class/hidraw';

/**
 * @returns ok when none of the device's inputs can type; `device.denied` without the right to say so (the udev rule of
 * hardware.md is missing), `device.unsupported` on an older kernel
 */
export function silenceInputs(device: HidDevice, folder: string = sysfsFolder): Result<void, DeviceError> {
  const inputs = path.join(folder, path.basename(device.path), 'device', 'input');
  for (const name of inputNames(inputs)) {
    const file = path.join(inputs, name, 'inhibited');
    try {
      if (readFileSync(file, 'utf8').trim() === '1') continue;
    } catch {
      return err({
        code: 'device.unsupported',
        detail: 'this kernel cannot take a keyboard for one program (needs 5.11)',
      });
    }
    try {
      writeFileSync(file, '1');
      if (readFileSync(file, 'utf8').trim() === '1') continue;
    } catch {
      // Told below.
    }
    return err({
      code: 'device.denied',
      detail: printable(`its keys would reach the console: ${name} has no udev rule`),
    });
  }
  return ok(undefined);
}

/** None where the kernel made no input of it, or it is just going. */
function inputNames(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => /^input[0-9]+$/.test(name));
  } catch {
    return [];
  }
}
