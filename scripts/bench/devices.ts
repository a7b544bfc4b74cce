/**
 * The benches of devices, in order, each with the tools that it wants: one whose tool is missing is named as skipped.
 */
import { createRequire } from 'node:module';
import { openPcscRig, type PcscRig } from '../../drivers/sim/pcscd.js';
import { benchApdu } from './apdu.js';
import { ptyProblem } from './bare-line.js';
import { inFolder } from './box.js';
import type { Figure } from './figure.js';
import { benchIdleCpu } from './idle-cpu.js';
import { benchLine } from './line-bytes.js';
import {
  benchBleReplug,
  benchCardReturn,
  benchHidReplug,
  benchPcscReplug,
  benchSerialReplug,
  benchTcpReplug,
} from './replug.js';
import { benchHidScan, benchSerialScan } from './scan.js';
import { umockdevProblem } from './under-umockdev.js';

/** Benches of devices, by name. */
export const deviceBenches = ['apdu', 'scan', 'line', 'idle-cpu', 'replug'] as const;
export type DeviceBench = (typeof deviceBenches)[number];

const replugRounds = 7;
const foreignPcscd = 'pcscd runs already and is not the bench’s to stop';

/** What one bench puts in: the tools it wants that are missing, and itself. */
interface Part {
  readonly what: string;
  readonly problem: string | null;
  readonly run: () => Promise<readonly Figure[]>;
}

function nobleProblem(): string | null {
  try {
    createRequire(import.meta.url).resolve('@abandonware/noble');
    return null;
  } catch {
    return 'the optional package @abandonware/noble is not installed';
  }
}

/** pcscd with virtual readers of the bench's own, or why there is none. */
const openReaders = (): Promise<PcscRig | string> =>
  openPcscRig().catch((error: unknown) => (error instanceof Error ? error.message : String(error)));

async function partsOf(bench: DeviceBench, readers: PcscRig | string): Promise<readonly Part[]> {
  const lines = await inFolder(ptyProblem);
  const hid = umockdevProblem() ?? lines;
  const noReader = typeof readers === 'string' ? readers : null;
  const noRestart = typeof readers === 'string' ? readers : readers.owned ? null : foreignPcscd;
  const parts: Readonly<Record<DeviceBench, readonly Part[]>> = {
    apdu: [{ what: 'apdu', problem: null, run: () => benchApdu(7, 500) }],
    scan: [
      { what: 'scan, serial', problem: lines, run: () => inFolder((folder) => benchSerialScan(folder, 7, 300)) },
      { what: 'scan, HID', problem: hid, run: () => inFolder((folder) => benchHidScan(folder, 7, 300)) },
    ],
    line: [{ what: 'line', problem: lines, run: () => inFolder((folder) => benchLine(folder, 7)) }],
    'idle-cpu': [
      // Without a reader or a HID scanner the rest is still worth its figure, which counts its devices.
      { what: 'idle-cpu with a reader', problem: noReader, run: async () => [] },
      { what: 'idle-cpu with a HID scanner', problem: hid, run: async () => [] },
      {
        ...{ what: 'idle-cpu', problem: lines ?? nobleProblem() },
        run: () => inFolder((folder) => benchIdleCpu(folder, noReader === null, 3, 10_000)),
      },
    ],
    replug: [
      ...(typeof readers === 'string' || noRestart !== null
        ? [{ what: 'replug, pcscd', problem: noRestart, run: async () => [] }]
        : [{ what: 'replug, pcscd', problem: null, run: () => benchPcscReplug(readers, replugRounds) }]),
      { what: 'replug, card', problem: noReader, run: () => benchCardReturn(replugRounds) },
      {
        what: 'replug, serial',
        problem: lines,
        run: () => inFolder((folder) => benchSerialReplug(folder, replugRounds)),
      },
      { what: 'replug, tcp', problem: null, run: () => benchTcpReplug(replugRounds) },
      { what: 'replug, HID', problem: hid, run: () => inFolder((folder) => benchHidReplug(folder, replugRounds)) },
      { what: 'replug, Bluetooth', problem: nobleProblem(), run: () => benchBleReplug(replugRounds) },
    ],
  };
  return parts[bench];
}

/**
 * Runs one of them. @param say is given each figure as it comes @param skipped is told what is left out, and why
 */
export async function benchDevices(
  bench: DeviceBench,
  say: (figures: readonly Figure[]) => void,
  skipped: (what: string) => void,
): Promise<void> {
  const readers = bench === 'idle-cpu' || bench === 'replug' ? await openReaders() : 'not wanted';
  try {
    for (const { problem, run, what } of await partsOf(bench, readers)) {
      if (problem === null) say(await run());
      else skipped(`${what}: ${problem}`);
    }
  } finally {
    if (typeof readers !== 'string') await readers.close();
  }
}
