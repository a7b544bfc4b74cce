/**
 * The bench's box and host as processes: enrols the box once, then measures it alone, with or without slow flushes.
 * Must not judge what it gets.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pointsMax } from '../../terminal/kernel/units.js';
import { openAdminClient } from '../host/admin-client.js';
import { PROJECT_ROOT } from '../lib/source-files.js';
import { builtFolder, startProcess, terminalNodeFlags } from '../start-parts/process.js';
import type { TapMethodRun } from './tap-methods.js';

/** An accept through the shipped runtime, or a raw limit beside it. */
export type AcceptRun =
  | 'plain'
  | 'code'
  | 'screenCode'
  | 'phoneNumber'
  | TapMethodRun
  | 'flush'
  | 'threeStatements'
  | 'oneRow';
/** Sends what is queued: to the last record; until the first was answered. */
export type DrainRun = 'drain' | 'beginDrain';
export interface BoxOrder {
  readonly run: AcceptRun | DrainRun;
  readonly count: number;
}
export interface BoxReport {
  readonly samplesMs: readonly number[];
  readonly elapsedMs: number;
  readonly bytes: number;
  /** Null without a compiler. */
  readonly flushes: number | null;
  readonly unsentBefore: number;
  readonly unsentAfter: number;
}
export interface MeasuredBox {
  run(order: BoxOrder): Promise<BoxReport>;
  stop(): Promise<void>;
}

const memberOfBench = { phone: '13800000000', name: 'bench' };
const rulesLooksMax = 1_200;
const lookEveryMs = 50;

/** Builds the counting and delaying preload. @returns its file, or null where there is no compiler */
export function buildShim(folder: string): string | null {
  const shim = path.join(folder, 'flush-shim.so');
  const source = path.join(PROJECT_ROOT, 'scripts', 'bench', 'flush-shim.c');
  if (!existsSync(source)) return null;
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', shim, source, '-ldl'], { stdio: 'ignore' });
    return shim;
  } catch {
    return null;
  }
}

export const newFolder = (): string => mkdtempSync(path.join(tmpdir(), 'shouli-bench-'));
export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });

/** Runs a bench in a folder of its own, which goes with it. */
export async function inFolder<T>(bench: (folder: string) => Promise<T>): Promise<T> {
  const folder = newFolder();
  try {
    return await bench(folder);
  } finally {
    removeFolder(folder);
  }
}

/** A host in `folder/host` that enrols one box by `folder/bootstrap.json`. */
export async function startHost(folder: string, realm: 'real' | 'simulated', { port = 0, env = process.env } = {}) {
  const words = ['--data-folder', path.join(folder, 'host'), '--realm', realm, '--port', String(port)];
  const bootstrap = ['--bootstrap-enrolment', path.join(folder, 'bootstrap.json')];
  const log = path.join(folder, 'host.log');
  const script = 'host-sync/server/main.js';
  const host = await startProcess<{ readonly port: number }>('host', script, [...words, ...bootstrap], log, [], env);
  // One member earns here as often as a shop's members do in years: what is measured is the accept, not its limit.
  const admin = openAdminClient(path.join(folder, 'host'));
  await admin.call('offline.setLimits', { earnCountPerDay: 1_000_000, earnPointsPerDay: pointsMax });
  // The number again gives the member again.
  const { memberCode } = await admin.call<{ readonly memberCode: string }>('member.enlist', memberOfBench);
  admin.close();
  return { ...host, memberCode };
}

/** Environment of a process whose flushes are counted in `counter` and each delayed. */
export function preloaded(shim: string | null, counter: string, flushDelayUs: number): NodeJS.ProcessEnv {
  writeFileSync(counter, Buffer.alloc(8));
  if (!shim) return process.env;
  const flags = { SHOULI_BENCH_FLUSHES: counter, SHOULI_BENCH_FLUSH_DELAY_US: String(flushDelayUs) };
  return { ...process.env, LD_PRELOAD: shim, ...flags };
}

/** Starts the measured box. @param shim null: flushes are as they are and are not counted */
export async function startBox(
  folder: string,
  memberCode: string,
  shim: string | null,
  flushDelayUs: number,
): Promise<MeasuredBox> {
  const child = fork(
    path.join(builtFolder, 'scripts/bench/box-child.js'),
    [folder, path.join(folder, 'bootstrap.json'), memberCode],
    {
      env: preloaded(shim, path.join(folder, 'flushes'), flushDelayUs),
      execArgv: [...terminalNodeFlags],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  const ended = once(child, 'exit');
  await answerOf(child);
  for (let looks = 0; !(await ask<boolean>(child, 'rules')); looks++) {
    if (looks === rulesLooksMax) throw new Error('the box got no rules');
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return {
    run: (order) => ask<BoxReport>(child, order),
    stop: async () => {
      child.send('stop');
      await ended;
    },
  };
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (): void => reject(new Error('the measured box ended'));
    child.once('exit', onExit);
    child.once('message', (answer: T & { readonly error?: string }) => {
      child.off('exit', onExit);
      if (answer.error === undefined) resolve(answer);
      else reject(new Error(answer.error));
    });
  });
}
function ask<T>(child: ChildProcess, order: BoxOrder | 'rules' | 'stop'): Promise<T> {
  const answer = answerOf<T>(child);
  child.send(order);
  return answer;
}
