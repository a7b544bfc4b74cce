/**
 * Benches of the queue: cycles a second beside peers that were made durable and a bare cursor, each in a process of its own
 * and in turn; and what a backlog costs. Must not measure in this process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { builtFolder } from '../start-parts/process.js';
import { type Figure, median, quantile } from './figure.js';
import type { ContenderName, QueueReport } from './queue-child.js';

const peers = { plainjob: 'plainjob, FULL forced', level: 'LevelDB, every write flushed' } as const;
const stallGoalMs = 20;

class QueueProcess {
  readonly #lines: AsyncIterator<string>;
  private constructor(private readonly child: ChildProcess) {
    if (!child.stdout) throw new Error('no output');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Filled with its backlog when it resolves. */
  static async start(folder: string, name: ContenderName, backlog: number, shim: string | null): Promise<QueueProcess> {
    const own = path.join(folder, `${name}-${backlog}`);
    mkdirSync(own, { recursive: true });
    const counter = path.join(own, 'flushes');
    writeFileSync(counter, Buffer.alloc(8));
    const script = path.join(builtFolder, 'scripts/bench/queue-child.js');
    const child = spawn(process.execPath, [script, name, own, String(backlog)], {
      env: { ...process.env, ...(shim ? { LD_PRELOAD: shim, SHOULI_BENCH_FLUSHES: counter } : {}) },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const started = new QueueProcess(child);
    await started.#answer();
    return started;
  }

  async ask(order: 'cycle' | 'parts' | 'idle'): Promise<QueueReport> {
    this.child.stdin?.write(`${order}\n`);
    return JSON.parse(await this.#answer()) as QueueReport;
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.stdin?.end();
    await ended;
  }

  async #answer(): Promise<string> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error('a measured queue ended');
    return value;
  }
}

const perSecond = (reports: readonly QueueReport[]): number =>
  median(reports.map(({ cycles, elapsedMs }) => (1_000 * cycles) / elapsedMs));
const flushesEach = (reports: readonly QueueReport[]): number =>
  median(reports.map(({ cycles, flushes }) => (flushes ?? Number.NaN) / cycles));

async function cycleFigures(
  folder: string,
  shim: string | null,
  backlog: number,
  rounds: number,
): Promise<readonly Figure[]> {
  const names = ['store', 'cursor', 'plainjob', 'level', 'flush'] as const;
  const taken = new Map<ContenderName, QueueReport[]>(names.map((name) => [name, []]));
  const running: [ContenderName, QueueProcess][] = [];
  for (const name of names) running.push([name, await QueueProcess.start(folder, name, backlog, shim)]);
  for (let round = -1; round < rounds; round++)
    for (const [name, queue] of running) {
      const report = await queue.ask('cycle');
      if (round >= 0) taken.get(name)?.push(report);
    }
  for (const [, queue] of running) await queue.stop();
  const of = (name: ContenderName): readonly QueueReport[] => taken.get(name) ?? [];
  const behind = `, ${backlog} in the backlog`;
  const own = perSecond(of('store'));
  const best = Math.max(perSecond(of('plainjob')), perSecond(of('level')));
  const what = `enqueue → claim → acknowledge${behind}`;
  const cycles = { bench: 'queue', what, value: own, unit: '/s' };
  const line = (name: keyof typeof peers): Figure => ({
    ...{ bench: 'queue', unit: '/s', limit: null, goal: null, value: perSecond(of(name)) },
    what: `${peers[name]}: the same${behind} (${flushesEach(of(name)).toFixed(2)} flushes a cycle)`,
  });
  /** How far above the best peer anything can come here that flushes each record by itself. */
  const bound = (name: ContenderName, what: string): Figure => ({
    ...{ bench: 'queue', what: `${what}${behind}`, value: perSecond(of(name)), unit: '/s' },
    ...{ limit: { what: 'best durable peer', value: best }, goal: null },
  });
  return [
    {
      ...cycles,
      limit: { what: 'best durable peer', value: best },
      goal: { rule: 'atLeast', ratio: 2 },
    },
    {
      ...cycles,
      limit: { what: 'bare batched cursor', value: perSecond(of('cursor')) },
      goal: { rule: 'atLeast', ratio: 0.8 },
    },
    line('plainjob'),
    line('level'),
    bound('cursor', 'bare batched cursor'),
    bound('flush', 'a bare flush for each record and nothing else'),
    {
      ...{ bench: 'queue', unit: 'flushes', value: flushesEach(of('store')), what: `flushes a cycle${behind}` },
      limit: { what: 'commit points', value: 1 },
      goal: { rule: 'atMost', ratio: 1.1 },
    },
  ];
}

const partNames = {
  next: 'next page of 200',
  acknowledge: 'acknowledge a page of 200',
  gauge: 'gauge',
  start: 'opening the store',
  accept: 'accept',
} as const;

/** What each part costs with a large backlog beside a small one, and what memory it takes. */
async function growthFigures(folder: string, large: number): Promise<readonly Figure[]> {
  const small = 1_000;
  const few = await QueueProcess.start(folder, 'store', small, null);
  const many = await QueueProcess.start(folder, 'store', large, null);
  await few.ask('parts');
  await many.ask('parts');
  const reports = { few: await few.ask('parts'), many: await many.ask('parts') };
  await few.stop();
  await many.stop();
  // Memory of a process that found the backlog there: what filled it is not counted.
  const samples = (which: keyof typeof reports, part: string): readonly number[] => reports[which].parts?.[part] ?? [];
  const figures = Object.entries(partNames).map(
    ([part, what]): Figure => ({
      ...{ bench: 'growth', what: `${what}, ${large} in the backlog, p50`, value: median(samples('many', part)) },
      ...{ unit: 'µs', limit: { what: `with ${small}`, value: median(samples('few', part)) } },
      goal: { rule: 'atMost', ratio: 1.5 },
    }),
  );
  return [
    ...figures,
    {
      ...{
        bench: 'growth',
        what: `longest accept, purge and checkpoints among them, ${large} in the backlog`,
        unit: 'ms',
      },
      ...{ value: quantile(samples('many', 'accept'), 1) / 1_000, limit: null },
      goal: { rule: 'below', bound: stallGoalMs, says: `≤ ${stallGoalMs} ms` },
    },
  ];
}

export async function benchQueue(folder: string, shim: string | null): Promise<readonly Figure[]> {
  return [...(await cycleFigures(folder, shim, 0, 15)), ...(await cycleFigures(folder, shim, 100_000, 15))];
}
export const benchGrowth = (folder: string): Promise<readonly Figure[]> => growthFigures(folder, 1_000_000);
