/**
 * The box with every bus open, for the bench of idle processor time: the shipped startTerminal and drivers, at a feigned HID
 * scanner where umockdev runs it and a Bluetooth controller in software. Must measure nothing: it would wake it.
 *
 * buses-child <JSON of BusesStart>; prints {"pid":…,"open":[device names]} when it is enrolled and all are ready, or do not come.
 */

import { BleDriver } from '../../drivers/ble/ble-driver.js';
import { spawnBluetoothChild } from '../../drivers/ble/bluetooth-process.js';
import { FeignedInput, isUnderUmockdev } from '../../drivers/sim/feigned-hid.js';
import type { ChildSetup } from '../../drivers/supervised/spawn-child.js';
import { startTerminal } from '../../terminal/main.js';
import { shell } from '../rig/guest/scenario.js';
import { configOf, shippedDrivers } from './shipped-drivers.js';
import { endWithStarter, feignedScanners } from './under-umockdev.js';

export interface BusesStart {
  readonly dataFolder: string;
  readonly bootstrapFile: string;
  readonly toml: string;
  /** How the Bluetooth child meets the controller. */
  readonly bluetooth: Partial<ChildSetup>;
  /** Device rows that are to be ready. */
  readonly wanted: readonly string[];
}
export interface BusesOpen {
  readonly pid: number;
  readonly open: readonly string[];
}

const waitMaxMs = 30_000;
const lookEveryMs = 100;

endWithStarter();
const start = JSON.parse(process.argv[2] ?? '') as BusesStart;
if (isUnderUmockdev()) await new FeignedInput(feignedScanners.driver).plug();
const config = configOf(start.toml);
const ble = new BleDriver({
  ...shell,
  options: config.bluetooth,
  spawn: () => spawnBluetoothChild(start.bluetooth),
});
const { terminal } = await startTerminal({
  ...{ config, dataFolder: start.dataFolder, bootstrapFile: start.bootstrapFile, simulated: true, version: 'bench' },
  drivers: shippedDrivers(config).map((driver) => (driver.name === ble.name ? ble : driver)),
  crashed: (error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(70);
  },
});
const open = (): readonly string[] =>
  terminal
    .devices()
    .flatMap(({ device, state }) => (state === 'ready' && start.wanted.includes(device) ? [device] : []));
const isReady = (): boolean =>
  terminal.status().directivesVersion !== null && start.wanted.every((device) => open().includes(device));
const deadline = performance.now() + waitMaxMs;
while (!isReady() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
process.stdout.write(`${JSON.stringify({ pid: process.pid, open: open() } satisfies BusesOpen)}\n`);
