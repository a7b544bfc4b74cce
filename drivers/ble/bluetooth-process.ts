/**
 * How the Bluetooth child is started: its entry, where it looks for adapters, and for which.
 */
import { fileURLToPath } from 'node:url';
import { type ChildPipe, type ChildSetup, spawnChild } from '../supervised/spawn-child.js';

/** Where the kernel lists adapters. */
export const adaptersFolder = '/sys/class/bluetooth';
const entry = fileURLToPath(new URL('./child.js', import.meta.url));

/** @param changes the child's arguments (folder of adapters, name of the adapter); for tests a module loaded first */
export function spawnBluetoothChild(changes: Partial<ChildSetup>): ChildPipe {
  return spawnChild({ entry, ...changes });
}
