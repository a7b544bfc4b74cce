/**
 * Starts one of the bench's own processes with feigned HID devices, under umockdev-run, so that it ends with this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { scannerDescriptor } from '../../drivers/protocols/hid-pos/hid-pos-fixtures.js';
import { type FeignedDevice, umockdevRun, umockdevWords } from '../../drivers/sim/feigned-hid.js';
import { builtFolder } from '../start-parts/process.js';

/** Of util-linux, which every Debian has. */
const setprivPath = '/usr/bin/setpriv';

/** The scanner that the driver serves, and one of another product that is left to the bare library. */
export const feignedScanners = {
  driver: { name: 'hidraw0', hidName: '0003:0C2E:0B87.0001', descriptor: scannerDescriptor },
  bare: { name: 'hidraw1', hidName: '0003:0C2E:0B88.0002', descriptor: scannerDescriptor },
} as const satisfies Record<string, FeignedDevice>;
/** Has the driver leave the other one alone. */
export const feignedScannersToml = '[hidScanners]\ndevices = ["0c2e:0b87"]\n';

/** Why there are no feigned HID devices here; null: there can be. */
export const umockdevProblem = (): string | null =>
  existsSync(umockdevRun) ? null : 'umockdev-run is missing: apt-get install umockdev';

/**
 * Starts `node <script> <words>` (relative to the built program) with both scanners described, or without any where umockdev is
 * missing. Its standard input stays open until it is ended or this process is gone. @returns it, and its first line of JSON
 */
export async function startUnderUmockdev<First>(
  folder: string,
  script: string,
  words: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly first: First }> {
  const { bare, driver } = feignedScanners;
  const command = [path.join(builtFolder, script), ...words];
  const whole =
    umockdevProblem() === null
      ? [umockdevRun, ...umockdevWords(folder, [driver, bare], command)]
      : [process.execPath, ...command];
  const child = spawn(setprivPath, ['--pdeathsig', 'TERM', '--', ...whole], { stdio: ['pipe', 'pipe', 'inherit'] });
  const first = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('error', reject);
    child.once('exit', (code, signal) => reject(new Error(`${script} ended with ${signal ?? code}`)));
  });
  return { child, first: JSON.parse(first) as First };
}

/** In such a process: it ends when whoever started it is gone. */
export function endWithStarter(): void {
  process.stdin.resume().once('end', () => process.exit(0));
}
