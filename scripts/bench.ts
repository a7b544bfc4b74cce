/**
 * npm run bench: prints what the shipped box costs, each figure with the limit taken in the same run and the goal.
 * A missed goal is printed as missed. Must not measure; scripts/bench/ does.
 */
import { cpus, release, totalmem } from 'node:os';
import { Command, Option } from 'commander';
import { benchAccepts } from './bench/accept.js';
import { buildShim, inFolder, newFolder, removeFolder, startBox, startHost } from './bench/box.js';
import { benchDevices, type DeviceBench, deviceBenches } from './bench/devices.js';
import { benchDrain } from './bench/drain.js';
import { type Figure, judge, line } from './bench/figure.js';
import { benchColdStart, benchMemory } from './bench/idle.js';
import { benchGrowth, benchQueue } from './bench/queue.js';
import { benchWallets } from './bench/wallets.js';
import { startProgress } from './lib/progress.js';

const delayUs = 5_000;
const slowSuffix = `, +${delayUs / 1_000} ms a flush`;
const noCompiler = 'no C compiler (cc): flushes are not counted, and slow flushes are not tried';

const skip = (what: string): void => console.error(`skipped: ${what}`);
type Say = (figures: readonly Figure[]) => void;

/** Accepts on one box as the disk is, then the same with slower flushes. */
async function accepts(say: Say, only: (figure: Figure) => boolean): Promise<void> {
  const folder = newFolder();
  try {
    const shim = buildShim(folder);
    if (!shim) skip(noCompiler);
    const host = await startHost(folder, 'simulated');
    const box = await startBox(folder, host.memberCode, shim, 0);
    // Offline from here on: the box decides by itself, and no answer of a host is in the figures.
    await host.stop();
    say((await benchAccepts(box, 7, 200, '')).filter(only));
    await box.stop();
    if (!shim) return;
    const slow = await startBox(folder, host.memberCode, shim, delayUs);
    say((await benchAccepts(slow, 5, 30, slowSuffix)).filter(only));
    await slow.stop();
  } finally {
    removeFolder(folder);
  }
}

const allDevices = 'devices';
const names = [
  ...['tap', 'accept', 'cost', ...deviceBenches, 'wallets', 'cold-start', 'memory', 'queue', 'growth', 'drain'],
  allDevices,
];

async function main(): Promise<void> {
  const program = new Command('npm run bench --')
    .description('Measures the shipped box beside the raw limits of this machine. Takes some minutes.')
    .addOption(new Option('--only <name>', `one bench; ${allDevices}: ${deviceBenches.join(', ')}`).choices(names))
    .option('--json', 'JSON lines: the machine, then each figure')
    .parse();
  const words = program.opts<{ readonly only?: string; readonly json?: boolean }>();
  const isDevice = (name: string): name is DeviceBench => deviceBenches.some((device) => device === name);
  const isWanted = (name: string): boolean =>
    words.only === undefined || words.only === name || (words.only === allDevices && isDevice(name));
  const machine = {
    node: process.version,
    processors: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
  };
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
  if (words.json) console.log(JSON.stringify({ machine, command }));
  else {
    const { kernel, memoryGb, node, processors } = machine;
    console.log(`Node ${node}, ${processors}, ${memoryGb} GB, Linux ${kernel}\n${command}\n`);
  }
  const figures: Figure[] = [];
  const say: Say = (found) => {
    figures.push(...found);
    for (const figure of found)
      console.log(words.json ? JSON.stringify({ ...figure, ...judge(figure) }) : line(figure));
  };
  const step = async (title: string, run: () => Promise<unknown>): Promise<void> => {
    const progress = startProgress(title);
    await run();
    progress.done('done');
  };
  if (['tap', 'accept', 'cost'].some(isWanted))
    await step('tap, accept, cost', () => accepts(say, ({ bench }) => isWanted(bench)));
  for (const bench of deviceBenches.filter(isWanted)) await step(bench, () => benchDevices(bench, say, skip));
  if (isWanted('wallets')) await step('wallets', async () => say(await benchWallets(500)));
  if (isWanted('cold-start'))
    await step('cold start', async () => say(await inFolder((folder) => benchColdStart(folder, 7))));
  if (isWanted('memory')) await step('memory', async () => say(await inFolder((folder) => benchMemory(folder, 3))));
  if (isWanted('queue'))
    await step('queue', async () => say(await inFolder((folder) => benchQueue(folder, buildShim(folder)))));
  if (isWanted('drain'))
    await step('drain', async () => say(await inFolder((folder) => benchDrain(folder, buildShim(folder), delayUs))));
  if (isWanted('growth')) await step('growth (a million records first)', async () => say(await inFolder(benchGrowth)));
  const judged = figures.map((figure) => judge(figure).isMet);
  const [met, missed] = [true, false].map((wanted) => judged.filter((isMet) => isMet === wanted).length);
  if (words.json) console.log(JSON.stringify({ met, missed }));
  else console.log(`\n${met} goal(s) met, ${missed} missed`);
}

await main();
