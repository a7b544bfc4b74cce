/**
 * How the Bluetooth child is started: its entry and where it looks for adapters.
 */
import { fileURLToPath } from 'node:url';
import { type ChildPipe, type ChildSetup, spawnChild } from '../supervised/spawn-child.js';

const entry = fileURLToPath(new URL('./child.js', import.meta.url));

/** @param changes for tests: another list of adapters, a module loaded first */
export function spawnBluetoothChild(changes: Partial<ChildSetup> = {}): ChildPipe {
  return spawnChild({ entry, ...changes });
}
