/**
 * Benches of a whole process: how long the shipped terminal takes to be ready and what it holds in memory when idle,
 * beside bare Node, started in turn. Must not sell.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { credentialsFileName } from '../../host-sync/client/credentials.js';
import { builtFolder, terminalNodeFlags } from '../start-parts/process.js';
import { fillBacklog } from './backlog.js';
import { startHost } from './box.js';
import { type Figure, median } from './figure.js';

/** Long enough for what a start leaves behind to be collected or not. */
export const idleMs = 3_000;
/** How often it is looked whether the box is enrolled, and how often at most. */
const enrolLookMs = 100;
const enrolLooksMax = 600;
/** Starts with each backlog. */
const backlogRounds = 3;

interface Started {
  readonly child: ChildProcess;
  readonly readyMs: number;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function start(script: string, words: readonly string[], flags: readonly string[] = []): Promise<Started> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...flags, path.join(builtFolder, script), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${script} ended before it was ready`);
  });
  if (child.stdout) await Promise.race([once(child.stdout, 'data'), ended]);
  ended.catch(() => {});
  return { child, readyMs: performance.now() - startedAt };
}

const startTerminal = (words: readonly string[]): Promise<Started> =>
  start('scripts/terminal.js', words, terminalNodeFlags);

export async function end({ child }: Started): Promise<void> {
  if (child.exitCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Resident memory of a process, MB; NaN when it is gone. */
function residentMb(pid: number): number {
  try {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes) / 1_024;
  } catch {
    return Number.NaN;
  }
}
/** A box's driver children: each an `out/drivers/<name>/child.js`. */
export function childrenOf(pid: number): readonly { readonly pid: number; readonly name: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const parent = /PPid:\s+(\d+)/.exec(readFileSync(`/proc/${entry}/status`, 'utf8'))?.[1];
      if (Number(parent) !== pid) return [];
      const words = readFileSync(`/proc/${entry}/cmdline`, 'utf8').split('\0');
      const script = words.find((word) => word.endsWith('/child.js'));
      return script === undefined ? [] : [{ pid: Number(entry), name: path.basename(path.dirname(script)) }];
    } catch {
      return [];
    }
  });
}

/** Configurations of the terminal that are started. */
const configs = {
  /** What the box is without any device, till or technician. */
  core: '[readers]\nenabled = false\n[scanners]\npaths = ["/dev/null/none"]\n[localApi]\nenabled = false\n[console]\nsocket = false\n',
  /** With the till's interface and the console, still without devices. */
  noDevices: '[readers]\nenabled = false\n[scanners]\npaths = ["/dev/null/none"]\n',
  shipped: '',
};
type ConfigName = keyof typeof configs;

/** An enrolled box of the real realm, so that nothing simulated is started, and its host. */
async function enrolled(folder: string) {
  const host = await startHost(folder, 'real');
  for (const [name, text] of Object.entries(configs)) writeFileSync(path.join(folder, `${name}.toml`), text);
  const words = (config: ConfigName): readonly string[] => [
    ...['--data', folder, '--config', path.join(folder, `${config}.toml`)],
    ...['--bootstrap', path.join(folder, 'bootstrap.json'), '--local-api-port', '0'],
  ];
  const first = await startTerminal(words('core'));
  for (let looks = 0; !existsSync(path.join(folder, 'keys', credentialsFileName)); looks++) {
    if (looks === enrolLooksMax) throw new Error('the box was not enrolled');
    await pause(enrolLookMs);
  }
  await end(first);
  return { host, words };
}

/** Time from the start of the process to its ready line. */
export async function benchColdStart(folder: string, rounds: number): Promise<readonly Figure[]> {
  const { host, words } = await enrolled(folder);
  const taken = { bare: [] as number[], core: [] as number[], noDevices: [] as number[], shipped: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    for (const name of ['bare', 'core', 'noDevices', 'shipped'] as const) {
      const started =
        name === 'bare' ? await start('scripts/bench/bare-child.js', []) : await startTerminal(words(name));
      if (round >= 0) taken[name].push(started.readyMs);
      await end(started);
    }
  }
  await host.stop();
  const limit = { what: 'bare Node', value: median(taken.bare) };
  const figure = (what: string, values: readonly number[], goal: Figure['goal']): Figure => ({
    ...{ bench: 'cold-start', what, value: median(values), unit: 'ms', limit, goal },
  });
  return [
    figure('ready: store, machine, sync client; no devices, till or console', taken.core, { rule: 'atMost', ratio: 2 }),
    figure('ready with local API and console, no devices', taken.noDevices, null),
    figure('ready as shipped, first look for devices included', taken.shipped, null),
  ];
}

const backlogs = { small: 1_000, large: 1_000_000 } as const;

/** What a terminal without network holds in memory with a small and with a large backlog. The host is stopped for good. */
async function backlogFigure(folder: string, memberCode: string, words: readonly string[]): Promise<Figure> {
  const heldMb = async (from: number, to: number): Promise<number> => {
    fillBacklog(folder, memberCode, from, to - from);
    const taken: number[] = [];
    for (let round = 0; round < backlogRounds; round++) {
      const started = await startTerminal(words);
      await pause(idleMs);
      taken.push(residentMb(started.child.pid ?? 0));
      await end(started);
    }
    return median(taken);
  };
  const small = await heldMb(0, backlogs.small);
  const large = await heldMb(backlogs.small, backlogs.large);
  return {
    ...{ bench: 'memory', what: `without network, ${backlogs.large} records queued`, value: large, unit: 'MB' },
    ...{ limit: { what: `${backlogs.small} queued`, value: small }, goal: { rule: 'atMost', ratio: 1.1 } },
  };
}

/** What an idle terminal as shipped holds, its children and the host listed apart. */
export async function benchMemory(folder: string, rounds: number): Promise<readonly Figure[]> {
  const { host, words } = await enrolled(folder);
  const taken = { bare: [] as number[], core: [] as number[], shipped: [] as number[] };
  const children = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const name of ['bare', 'core', 'shipped'] as const) {
      const started =
        name === 'bare' ? await start('scripts/bench/bare-child.js', []) : await startTerminal(words(name));
      await pause(idleMs);
      const pid = started.child.pid ?? 0;
      taken[name].push(residentMb(pid));
      for (const child of name === 'shipped' ? childrenOf(pid) : [])
        children.set(child.name, [...(children.get(child.name) ?? []), residentMb(child.pid)]);
      await end(started);
    }
  }
  const hostMb = residentMb(host.child.pid ?? 0);
  await host.stop();
  const queued = await backlogFigure(folder, host.memberCode, words('core'));
  const limit = { what: 'bare Node', value: median(taken.bare) };
  const figure = (what: string, value: number, goal: Figure['goal'] = null): Figure => ({
    ...{ bench: 'memory', what, value, unit: 'MB', limit: goal === null ? null : limit, goal },
  });
  return [
    figure('idle terminal as shipped, main process', median(taken.shipped), { rule: 'atMost', ratio: 1.75 }),
    figure('idle terminal without devices, till and console', median(taken.core)),
    ...[...children].map(([name, values]) => figure(`its child: ${name}`, median(values))),
    figure('the embedded host, apart', hostMb),
    queued,
  ];
}
