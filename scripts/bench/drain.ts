/**
 * Benches of the drain: the shipped box's backlog over HTTP into the shipped host, beside the host's bare apply and beside one
 * record a request; and what an accept costs while that goes on. Must not measure in this process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { builtFolder } from '../start-parts/process.js';
import { fillBacklog } from './backlog.js';
import { preloaded, startBox, startHost } from './box.js';
import { type Figure, median, quantile } from './figure.js';

export interface DrainReport {
  readonly records: number;
  readonly elapsedMs: number;
}

class Contender {
  readonly #lines: AsyncIterator<string>;
  private constructor(private readonly child: ChildProcess) {
    if (!child.stdout) throw new Error('no output');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(
    words: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<[Contender, { readonly port?: number }]> {
    const script = path.join(builtFolder, 'scripts/bench/drain-child.js');
    const child = spawn(process.execPath, [script, ...words], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    const contender = new Contender(child);
    return [contender, await contender.#answer<{ readonly port?: number }>()];
  }

  run(from: number, count: number): Promise<DrainReport> {
    this.child.stdin?.write(`${from} ${count}\n`);
    return this.#answer<DrainReport>();
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.stdin?.end();
    await ended;
  }

  async #answer<T>(): Promise<T> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error('a measured process ended');
    return JSON.parse(value) as T;
  }
}

const rate = ({ elapsedMs, records }: DrainReport): number => (1_000 * records) / elapsedMs;
const perSecond = (reports: readonly DrainReport[]): number => median(reports.map(rate));

interface Size {
  readonly rounds: number;
  /** Records a round of box and bare apply, and of the naive way. */
  readonly records: number;
  readonly naiveRecords: number;
}

/** Enrols a box in `folder`, which has its directives then and does not run; the host stopped. @returns the host's port, a member's code */
async function enrolBox(folder: string): Promise<{ readonly port: number; readonly memberCode: string }> {
  const { memberCode, ready, stop } = await startHost(folder, 'simulated');
  await (await startBox(folder, memberCode, null, 0)).stop();
  await stop();
  return { port: ready.port, memberCode };
}

/** Rounds in turn: the box drains, the bare host applies the same, and some records go the naive way. */
async function drainFigures(
  folder: string,
  shim: string | null,
  delayUs: number,
  { naiveRecords, records, rounds }: Size,
  goalRatio: number,
): Promise<readonly Figure[]> {
  mkdirSync(folder);
  const { memberCode, port } = await enrolBox(folder);
  const bareFolder = `${folder}-bare`;
  cpSync(folder, bareFolder, { recursive: true, filter: (from) => !from.endsWith('.sock') });
  const slowed = (name: string) => preloaded(shim, path.join(folder, `flushes-${name}`), delayUs);
  const host = await startHost(folder, 'simulated', { port, env: slowed('host') });
  const [bare] = await Contender.start(['bare', bareFolder, memberCode], slowed('bare'));
  const [naiveServer, served] = await Contender.start(['naive-server', folder], slowed('naive-server'));
  const [naive] = await Contender.start(['naive', folder, String(served.port)], slowed('naive'));
  const taken = { drain: [] as DrainReport[], bare: [] as DrainReport[], naive: [] as DrainReport[] };
  for (let round = 0; round < rounds; round++) {
    const from = round * records;
    fillBacklog(folder, memberCode, from, records);
    const box = await startBox(folder, memberCode, shim, delayUs);
    const report = await box.run({ run: 'drain', count: 1 });
    await box.stop();
    taken.drain.push({ records: report.unsentBefore, elapsedMs: report.elapsedMs });
    taken.bare.push(await bare.run(from, records));
    taken.naive.push(await naive.run(0, naiveRecords));
  }
  for (const each of [naive, naiveServer, bare, host]) await each.stop();
  const suffix = delayUs > 0 ? `, +${delayUs / 1_000} ms a flush` : '';
  const drained = { bench: 'drain', value: perSecond(taken.drain), unit: 'records/s' };
  return [
    {
      ...drained,
      what: `drain of ${records}, box to host over HTTPS${suffix}`,
      limit: { what: 'one record a request', value: perSecond(taken.naive) },
      goal: { rule: 'atLeast', ratio: goalRatio },
    },
    {
      ...drained,
      what: `the same${suffix}`,
      limit: { what: 'the host’s bare apply, ledger on', value: perSecond(taken.bare) },
      goal: { rule: 'atLeast', ratio: 0.8 },
    },
    {
      ...{ bench: 'drain', what: `the host’s bare apply${suffix}`, value: perSecond(taken.bare), unit: 'records/s' },
      limit: { what: 'one record a request', value: perSecond(taken.naive) },
      goal: null,
    },
  ];
}

const acceptSamples = 2_000;
/** More than is drained while the accepts are measured. */
const draining = 100_000;

/** Accepts with a full queue and no host, then the same while the queue drains. */
async function acceptFigures(folder: string): Promise<readonly Figure[]> {
  mkdirSync(folder);
  const { memberCode, port } = await enrolBox(folder);
  fillBacklog(folder, memberCode, 0, draining);
  const box = await startBox(folder, memberCode, null, 0);
  await box.run({ run: 'code', count: 200 });
  const idle = await box.run({ run: 'code', count: acceptSamples });
  const host = await startHost(folder, 'simulated', { port });
  await box.run({ run: 'beginDrain', count: 1 });
  const busy = await box.run({ run: 'code', count: acceptSamples });
  await box.stop();
  await host.stop();
  if (busy.unsentAfter === 0) throw new Error('the queue was empty before the accepts were measured');
  // Each accept queues two records.
  const drained = busy.unsentBefore + 2 * acceptSamples - busy.unsentAfter;
  const p99 = (samples: readonly number[]): number => quantile(samples, 0.99);
  const perSecondOf = (count: number, elapsedMs: number): number => (1_000 * count) / elapsedMs;
  const line = (what: string, value: number, unit: string): Figure => ({
    ...{ bench: 'drain', what, value, unit, limit: null, goal: null },
  });
  return [
    {
      ...{ bench: 'drain', what: 'accept by code while draining, p99', value: p99(busy.samplesMs), unit: 'ms' },
      limit: { what: 'with nothing being sent', value: p99(idle.samplesMs) },
      goal: { rule: 'atMost', ratio: 2 },
    },
    line('accepts while draining', perSecondOf(acceptSamples, busy.elapsedMs), '/s'),
    line('records drained meanwhile', perSecondOf(drained, busy.elapsedMs), 'records/s'),
    line('accepts with nothing being sent', perSecondOf(acceptSamples, idle.elapsedMs), '/s'),
  ];
}

/** @param shim null: slow flushes are not tried */
export async function benchDrain(folder: string, shim: string | null, delayUs: number): Promise<readonly Figure[]> {
  const size = { rounds: 5, records: 20_000, naiveRecords: 1_000 };
  const slowSize = { rounds: 3, records: 20_000, naiveRecords: 100 };
  return [
    ...(await drainFigures(path.join(folder, 'drain'), null, 0, size, 100)),
    ...(shim ? await drainFigures(path.join(folder, 'slow'), shim, delayUs, slowSize, 400) : []),
    ...(await acceptFigures(path.join(folder, 'accept'))),
  ];
}
