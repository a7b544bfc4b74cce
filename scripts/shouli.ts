#!/usr/bin/env node
/**
 * The `shouli` command: one name for every command of the product. Runs the right program and passes its exit code on.
 */
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { PhoneControl } from '../drivers/sim/phone/control.js';
import { builtFolder } from './start-parts/process.js';
import { productVersion } from './start-parts/version.js';

const programs = [
  {
    name: 'start',
    script: 'scripts/start.js',
    text: 'host and terminal on this machine, with a simulated set where nothing is plugged in',
  },
  { name: 'terminal', script: 'scripts/terminal.js', text: 'the terminal alone (as a service)' },
  { name: 'host-server', script: 'host-sync/server/main.js', text: 'the host alone (as a service)' },
  {
    name: 'host',
    script: 'scripts/host.js',
    text: 'administer the host: members, coupons, catalogue, rules, terminals',
  },
  { name: 'console', script: 'scripts/console.js', text: 'technician console of the running terminal' },
  { name: 'backup', script: 'scripts/backup.js', text: 'backup and restore of host and box, while they run' },
  { name: 'phone', script: 'scripts/phone.js', text: 'a simulated phone' },
  { name: 'replay', script: 'scripts/replay.js', text: 'feeds a day of real receipts through the box' },
  { name: 'bench', script: 'scripts/bench.js', text: 'measures the box against the limits of this machine' },
] as const;

/** How long the phone is held when no sale wants it, in milliseconds. */
const holdMs = 15_000;

const dataDefault = process.env.SHOULI_DATA ?? path.join('data', 'current');

/** Runs one of the programs in the foreground; signals reach it by the terminal. */
async function run(script: string, words: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [path.join(builtFolder, script), ...words], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

/** The simulated phone is held to the reader until it got its result. */
async function tap({
  data,
  until,
}: {
  readonly data: string;
  readonly until: 'presented' | 'result' | 'removed';
}): Promise<void> {
  let left = (): void => {};
  const gone = new Promise<void>((resolve) => {
    left = resolve;
  });
  const phone = await PhoneControl.open(path.join(data, 'set', 'phone.sock'), ({ event }) => {
    if (event === 'leftField') left();
  }).catch(() => null);
  if (!phone) {
    console.error('no simulated phone is here: start it with scripts/start, or name its data folder with --data');
    process.exitCode = 3;
    return;
  }
  await phone.request({ do: 'follow' });
  await phone.request({ do: 'tap', until });
  const timer = setTimeout(() => void phone.request({ do: 'remove' }), holdMs);
  await gone;
  clearTimeout(timer);
  const { results, useCounter } = await phone.request({ do: 'show' });
  phone.close();
  const last = results.at(-1);
  console.log(
    `taps proved: ${useCounter}${last ? `; last result: ${last.outcome}, points ${last.points ?? '?'}, coupon ${last.couponMinor ?? '?'} (minor units)` : ''}`,
  );
}

async function main(): Promise<void> {
  const [first, ...rest] = process.argv.slice(2);
  const chosen = programs.find(({ name }) => name === first);
  if (chosen) return run(chosen.script, rest);
  const program = new Command('shouli')
    .description('Shouli 受理: an open acceptance terminal')
    .version(productVersion());
  for (const { name, text } of programs) program.command(name).description(text);
  program
    .command('tap')
    .description('simulated set: hold the phone to the reader')
    .option('--data <folder>', 'data folder of the box', dataDefault)
    .option('--until <what>', 'presented, result or removed', 'result')
    .action(tap);
  program
    .command('scan <code>')
    .description('simulated set: scan a code')
    .option('--data <folder>', 'data folder of the box', dataDefault)
    .action((code: string, { data }: { readonly data: string }) =>
      appendFileSync(path.join(data, 'set', 'scanner'), `${code}\r\n`),
    );
  await program.parseAsync();
}

await main();
