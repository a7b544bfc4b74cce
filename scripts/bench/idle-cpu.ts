/**
 * Bench of what an idle box with every bus open takes of the processor: main process and driver children, each beside bare Node
 * in the same stretch of time. The devices are feigned by this process, which is not counted.
 */
import { once } from 'node:events';
import path from 'node:path';
import { openBleStack } from '../../drivers/sim/ble/ble-stack.js';
import { VirtualBleScanner } from '../../drivers/sim/ble/peripherals.js';
import { displayOnPty } from '../../drivers/sim/line-display.js';
import { openPtyPair, type PtyPair } from '../../drivers/sim/pty.js';
import { printerOnPort, printerOnPty } from '../../drivers/sim/receipt-printer.js';
import { startHost } from './box.js';
import type { BusesOpen, BusesStart } from './buses-child.js';
import { type Figure, median } from './figure.js';
import { childrenOf, end, idleMs, pause, start } from './idle.js';
import { readUsage, type Usage, usedBetween } from './process-usage.js';
import { feignedScannersToml, startUnderUmockdev, umockdevProblem } from './under-umockdev.js';

/** Of one core, main process and children together: a box on a small board stays cool. */
const percentMax = 2;
const scannerAddress = 'c0:11:22:33:44:55';

/** Devices behind every bus but PC/SC and HID, and the lines of shouli.toml that name them. */
async function feignDevices(folder: string) {
  const open = (name: string): Promise<PtyPair> =>
    openPtyPair(path.join(folder, name), path.join(folder, `${name}-far`));
  const lines = {
    scanners: await open('scanner'),
    printers: await open('printer'),
    displays: await open('display'),
    modules: await open('module'),
  };
  const printer = printerOnPty(lines.printers.device);
  const networkPrinter = await printerOnPort();
  const display = displayOnPty(lines.displays.device);
  const stack = openBleStack();
  const scanner = new VirtualBleScanner(scannerAddress);
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  await stack.plugIn();
  const sections = Object.entries(lines).map(
    ([section, { line }]) =>
      `[${section}]\npaths = ["${line}"]\n${section === 'printers' ? `addresses = ["${networkPrinter.address}"]\n` : ''}`,
  );
  return {
    stack,
    toml: [...sections, `[bluetooth]\nscanners = ["${scannerAddress}"]\nphones = true\n`].join(''),
    close: async () => {
      await stack.close();
      await Promise.all([printer.close(), networkPrinter.close(), display.close()]);
      for (const pair of Object.values(lines)) await pair.close();
    },
  };
}

/** What each of these processes used in one stretch of time. */
async function usedIn(processes: ReadonlyMap<string, number>, stretchMs: number) {
  const look = (): readonly Usage[] => [...processes.values()].map(readUsage);
  const startedAt = performance.now();
  const before = look();
  await pause(stretchMs);
  const after = look();
  const elapsedMs = performance.now() - startedAt;
  const none: Usage = { cpuMs: Number.NaN, wakeups: Number.NaN };
  return [...processes.keys()].map((name, at) => ({
    name,
    ...usedBetween(before[at] ?? none, after[at] ?? none, elapsedMs),
  }));
}

/**
 * Wants pseudo-terminals, and a pcscd for the reader. @param hasReader whether a virtual reader is there
 * @returns per cent of a core and wake-ups a second, medians of the stretches
 */
export async function benchIdleCpu(
  folder: string,
  hasReader: boolean,
  stretches: number,
  stretchMs: number,
): Promise<readonly Figure[]> {
  const stops: (() => Promise<unknown>)[] = [];
  try {
    const host = await startHost(folder, 'simulated');
    stops.push(() => host.stop());
    const devices = await feignDevices(folder);
    stops.push(() => devices.close());
    const hasHid = umockdevProblem() === null;
    const wanted = [
      ...(hasReader ? ['reader-1'] : []),
      ...(hasHid ? ['hid-scanner-1'] : []),
      ...['scanner-1', 'printer-1', 'network-printer-1', 'display-1', 'module-1', 'ble-scanner-1', 'ble-phone'],
    ];
    const order: BusesStart = {
      ...{ dataFolder: folder, bootstrapFile: path.join(folder, 'bootstrap.json'), wanted },
      toml: `${devices.toml}${hasHid ? feignedScannersToml : ''}[readers]\nvirtualReaders = true\n`,
      bluetooth: devices.stack.childSetup,
    };
    const words = [JSON.stringify(order)];
    const { child, first } = await startUnderUmockdev<BusesOpen>(folder, 'scripts/bench/buses-child.js', words);
    stops.push(async () => {
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
    });
    const bare = await start('scripts/bench/bare-child.js', []);
    stops.push(() => end(bare));
    const missing = wanted.filter((device) => !first.open.includes(device));
    if (missing.length > 0) throw new Error(`not ready: ${missing.join(', ')}`);
    const processes = new Map([
      ['bare Node', bare.child.pid ?? 0],
      ['its main process', first.pid],
      ...childrenOf(first.pid).map(({ name, pid }) => [`its child: ${name}`, pid] as const),
    ]);
    await pause(idleMs);
    const taken: Stretch[] = [];
    for (let stretch = 0; stretch < stretches; stretch++) taken.push(await usedIn(processes, stretchMs));
    return figuresOf(taken, wanted.length);
  } finally {
    for (const stop of stops.reverse()) await stop();
  }
}

type Stretch = Awaited<ReturnType<typeof usedIn>>;

function figuresOf(taken: readonly Stretch[], devices: number): readonly Figure[] {
  const of = (name: string, unit: 'percent' | 'wakeups'): number =>
    median(taken.map((stretch) => stretch.find((used) => used.name === name)?.[unit] ?? Number.NaN));
  const [bare = '', ...names] = taken[0]?.map(({ name }) => name) ?? [];
  const figure = (what: string, value: number, unit: 'percent' | 'wakeups', goal: Figure['goal'] = null): Figure => ({
    ...{ bench: 'idle-cpu', what, value, unit: unit === 'percent' ? '% of a core' : 'wake-ups/s', goal },
    limit: { what: bare, value: of(bare, unit) },
  });
  const total = names.reduce((sum, name) => sum + of(name, 'percent'), 0);
  return [
    figure(
      `idle with ${devices} devices open on every bus (HID under umockdev), all processes of the box`,
      total,
      'percent',
      {
        ...{ rule: 'below', bound: percentMax, says: `≤ ${percentMax} %` },
      },
    ),
    ...names.flatMap((name) => [
      figure(name, of(name, 'percent'), 'percent'),
      figure('the same', of(name, 'wakeups'), 'wakeups'),
    ]),
  ];
}
