/**
 * Bench of a scan: from the bytes at the far end of the line to the driver's event, beside the bare library on a line of its
 * own. Serial over pseudo-terminals; HID over feigned hidraw files, where umockdev is there.
 */
import { closeSync, writeSync } from 'node:fs';
import { openBesideBare, openFar } from './bare-line.js';
import { type Figure, quantile } from './figure.js';
import { type InTurn, inTurn, medianOfRounds } from './rounds.js';
import { scanCode, startedReporter } from './scan-reporter.js';
import { shippedDriver } from './shipped-drivers.js';
import { startUnderUmockdev } from './under-umockdev.js';

/** What a driver adds to the library: finding the end of the code, checking it, one event. */
const ratioMax = 2;

function figures(what: string, library: string, taken: InTurn): readonly Figure[] {
  const at = (part: number, samples: InTurn['raw']): number => quantile(samples.flat(), part);
  const base = { bench: 'scan', unit: 'µs' } as const;
  return [
    {
      ...{ ...base, what: `${what}, scan to event, p50`, value: medianOfRounds(taken.driver) },
      ...{ limit: { what: `bare ${library}`, value: medianOfRounds(taken.raw) } },
      goal: { rule: 'atMost', ratio: ratioMax },
    },
    {
      ...{ ...base, what: 'the same, p99', value: at(0.99, taken.driver) },
      ...{ limit: { what: `bare ${library}, p99`, value: at(0.99, taken.raw) }, goal: null },
    },
  ];
}

/** Wants pseudo-terminals. */
export async function benchSerialScan(folder: string, rounds: number, count: number): Promise<readonly Figure[]> {
  const { close, farOf, line, port } = await openBesideBare(folder);
  const reporter = await startedReporter(
    shippedDriver('serial-scanner', `[scanners]\npaths = ["${line}"]\n`),
    'scanner-1',
  );
  const bytes = Buffer.from(`${scanCode}\r\n`);
  const far = { driver: openFar(farOf.driver), raw: openFar(farOf.raw) };
  let missing = 0;
  let whole: () => void = () => {};
  port.on('data', (chunk: Buffer) => {
    missing -= chunk.length;
    if (missing <= 0) whole();
  });
  const taken = await inTurn(rounds, count, {
    raw: () =>
      new Promise<void>((resolve) => {
        missing = bytes.length;
        whole = resolve;
        writeSync(far.raw, bytes);
      }),
    driver: () => reporter.code(() => writeSync(far.driver, bytes)),
  });
  await reporter.driver.stop();
  for (const file of Object.values(far)) closeSync(file);
  await close();
  return figures('a serial scanner', 'serialport', taken);
}

/** Wants umockdev. */
export async function benchHidScan(folder: string, rounds: number, count: number): Promise<readonly Figure[]> {
  const words = ['scan', String(rounds), String(count)];
  const { first } = await startUnderUmockdev<InTurn>(folder, 'scripts/bench/hid-child.js', words);
  return figures('a HID POS scanner under umockdev', 'node-hid', first);
}
