/**
 * npm run simulate: many terminals, members and a host on one virtual clock, by seeds, on the shipped code, with faults.
 * Prints what was covered, and for a seed that fails a shrunk trace. Must not simulate; terminal/sim/simulator does.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { table } from '../terminal/core/transition.js';
import { faultKinds } from '../terminal/sim/simulator/faults.js';
import type { Outcome } from '../terminal/sim/simulator/world.js';
import { integerBetween } from './host/parse.js';
import { startProgress } from './lib/progress.js';
import { PROJECT_ROOT } from './lib/source-files.js';
import { findDefect } from './simulate/defect-run.js';
import { defects } from './simulate/defects.js';
import { shrink } from './simulate/shrink.js';

interface Words {
  readonly seed: number;
  readonly seeds?: number;
  readonly minutes?: number;
  readonly events: number;
  readonly json?: boolean;
  readonly defects?: boolean;
}

/** Below so many seeds a kind of fault may be missing by chance. */
const coverageSeeds = 100;
/** Of the pairs that the acceptance table handles, so many must be met by a long run. */
const pairsCoveredMin = 0.8;
const handledPairs = Object.entries(table).flatMap(([phase, row]) =>
  Object.entries(row).flatMap(([event, cell]) => (typeof cell === 'function' ? [`${phase} ${event}`] : [])),
);
/** Most failing seeds before the run stops. */
const failuresMax = 5;
/** Checked steps a minute of wall time to reach on two processors. */
const stepsGoal = 10_000_000;
const childFile = path.join(path.dirname(fileURLToPath(import.meta.url)), 'simulate', 'seeds-child.js');

interface Sum {
  seeds: number;
  events: number;
  sales: number;
  accepted: number;
  readonly faults: Map<string, number>;
  readonly pairs: Set<string>;
  readonly authorities: Map<string, number>;
  shared: number;
  settlements: number;
  readonly failed: Outcome[];
}

function add(sum: Sum, outcome: Outcome): void {
  sum.seeds += 1;
  sum.events += outcome.events;
  sum.sales += outcome.sales;
  sum.accepted += outcome.accepted;
  for (const [kind, count] of Object.entries(outcome.faults)) sum.faults.set(kind, (sum.faults.get(kind) ?? 0) + count);
  for (const pair of outcome.pairs) sum.pairs.add(pair);
  for (const [who, count] of Object.entries(outcome.authorities))
    sum.authorities.set(who, (sum.authorities.get(who) ?? 0) + count);
  sum.shared += outcome.shared.spends;
  sum.settlements += outcome.shared.settlements;
  if (outcome.problem !== null) sum.failed.push(outcome);
}

const children = new Set<ChildProcess>();

/** One process that works off seeds until `next` has none. */
function work(next: () => number | null, events: number, done: (outcome: Outcome) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [childFile], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.add(child);
    const ask = (): void => {
      const seed = next();
      if (seed === null) child.stdin.end();
      else child.stdin.write(`${seed} ${events}\n`);
    };
    createInterface({ input: child.stdout }).on('line', (line) => {
      done(JSON.parse(line) as Outcome);
      ask();
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      children.delete(child);
      if (code === 0 || signal !== null) resolve();
      else reject(new Error(`a simulating process ended with ${code}`));
    });
    ask();
  });
}

const commit = (): string =>
  spawnSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: PROJECT_ROOT, encoding: 'utf8' }).stdout?.trim() ||
  'unknown';

async function tell(failed: Outcome, words: Words): Promise<void> {
  const small = await shrink(failed, words.events);
  const { outcome } = small;
  const again = `npm run simulate -- --seed ${failed.seed} --events ${words.events}`;
  if (words.json) {
    const { problem, trace } = outcome;
    console.log(JSON.stringify({ seed: failed.seed, commit: commit(), problem, without: small.without, trace, again }));
    return;
  }
  console.log(`\nseed ${failed.seed}, commit ${commit()}: ${failed.problem}`);
  console.log(`shrunk to ${small.events} events without ${small.without.join(', ') || 'leaving out any fault'}:`);
  console.log(outcome.trace.slice(-80).join('\n'));
  console.log(`${outcome.problem?.split('\n')[0]}\nagain: ${again}`);
}

function report(sum: Sum, elapsedMs: number, words: Words): boolean {
  const missing = faultKinds.filter((kind) => !sum.faults.has(kind));
  const unmet = handledPairs.filter((pair) => !sum.pairs.has(pair));
  const met = handledPairs.length - unmet.length;
  const isShared = sum.shared > 0 && sum.settlements > 0;
  const isWide = missing.length === 0 && isShared && met >= handledPairs.length * pairsCoveredMin;
  const isCovered = sum.seeds < coverageSeeds || isWide;
  const stepsPerMinute = Math.round((60_000 * sum.events) / elapsedMs);
  const clean = sum.failed.length === 0 && isCovered;
  const { accepted, events, sales, seeds } = sum;
  if (words.json) {
    const faults = Object.fromEntries(sum.faults);
    const authorities = Object.fromEntries(sum.authorities);
    const { shared, settlements } = sum;
    const counts = {
      seeds,
      events,
      sales,
      accepted,
      authorities,
      shared,
      settlements,
      faults,
      missing,
      stepsPerMinute,
    };
    console.log(JSON.stringify({ ...counts, pairs: sum.pairs.size, handled: handledPairs.length, unmet, ok: clean }));
    return clean;
  }
  console.log(`${seeds} seeds, ${events} events, ${sales} sales announced, ${accepted} of them accepted`);
  console.log(`faults: ${[...sum.faults].map(([kind, count]) => `${kind} ${count}`).join(', ')}`);
  console.log(`decided by: ${[...sum.authorities].map(([who, count]) => `${who} ${count}`).join(', ')}`);
  console.log(`between merchants: ${sum.shared} spends paid by a partner, ${sum.settlements} settlements`);
  console.log(
    `(phase, event) pairs met: ${sum.pairs.size}; of ${handledPairs.length} that the table handles ${met}, not ${unmet.join(', ') || 'one'}`,
  );
  if (missing.length > 0) console.log(`${isCovered ? 'not met by chance' : 'NOT COVERED'}: ${missing.join(', ')}`);
  const goal = `goal ${stepsGoal} on two processors: ${stepsPerMinute >= stepsGoal ? 'met' : 'MISSED'}`;
  console.log(`${stepsPerMinute} checked steps a minute; ${goal}`);
  console.log(clean ? 'clean' : `${sum.failed.length} seed(s) failed`);
  return clean;
}

/** Which seed finds each defect, and by what. @returns 0 when all are found */
async function showDefects(json: boolean): Promise<number> {
  const waiting = [...defects];
  let missed = 0;
  const one = async (): Promise<void> => {
    for (let defect = waiting.shift(); defect; defect = waiting.shift()) {
      const { problem, seed } = await findDefect(defect);
      const [by = ''] = (problem ?? '').split('\n');
      if (seed === null) missed += 1;
      const found = seed === null ? `NOT FOUND in ${defect.seeds} seeds` : `seed ${seed} of ${defect.seeds}`;
      console.log(
        json
          ? JSON.stringify({ defect: defect.name, file: defect.file, seed, within: defect.seeds, by })
          : `${defect.name} (${defect.file}): ${found}${by ? `: ${by.slice(0, 160)}` : ''}`,
      );
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, one));
  if (!json) console.log(`${defects.length - missed} of ${defects.length} defects found`);
  return missed === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const words = new Command('npm run simulate --')
    .description(
      'Runs the shipped terminal and host on a virtual clock with faults, and checks that value moves exactly once.',
    )
    .option('--seed <n>', 'the first seed', integerBetween(0, 0xffffffff), 1)
    .option('--seeds <k>', 'how many seeds; default 1, with --minutes as many as fit', integerBetween(1, 10_000_000))
    .option('--minutes <m>', 'stop after so many minutes of wall time', integerBetween(1, 10_000))
    .option('--events <n>', 'events with faults in one seed', integerBetween(10, 1_000_000), 2_000)
    .option('--json', 'JSON lines')
    .option('--defects', 'instead: put one known mistake after the other into a copy of the code, and see each found')
    .parse()
    .opts<Words>();
  if (words.defects) return showDefects(words.json ?? false);
  const seeds = words.seeds ?? (words.minutes === undefined ? 1 : Number.POSITIVE_INFINITY);
  const startedAt = performance.now();
  const endAt = words.minutes === undefined ? Number.POSITIVE_INFINITY : startedAt + words.minutes * 60_000;
  const sum: Sum = {
    seeds: 0,
    events: 0,
    sales: 0,
    accepted: 0,
    faults: new Map(),
    pairs: new Set(),
    authorities: new Map(),
    shared: 0,
    settlements: 0,
    failed: [],
  };
  let given = 0;
  const next = (): number | null => {
    if (given >= seeds || performance.now() > endAt || sum.failed.length >= failuresMax) return null;
    given += 1;
    return words.seed + given - 1;
  };
  const progress = startProgress('simulate');
  process.on('SIGINT', () => {
    for (const child of children) child.kill();
  });
  const done = (outcome: Outcome): void => {
    add(sum, outcome);
    progress.note(`${sum.seeds} seeds, ${sum.failed.length} failed`);
  };
  const jobs = Math.min(availableParallelism(), seeds);
  await Promise.all(Array.from({ length: jobs }, () => work(next, words.events, done)));
  const elapsedMs = performance.now() - startedAt;
  progress.done('done');
  for (const failed of sum.failed) await tell(failed, words);
  return report(sum, elapsedMs, words) ? 0 : 1;
}

process.exitCode = await main();
