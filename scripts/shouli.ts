#!/usr/bin/env node
/**
 * The `shouli` command: one name for every command of the product. Runs the right program and passes its exit code on.
 */
import { spawn } from 'node:child_process';
import { appendFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import { PhoneControl } from '../drivers/sim/phone/control.js';
import type { PhoneView } from '../drivers/sim/phone/phone.js';
import type { PhoneResult } from '../drivers/sim/phone/phone-state.js';
import { printable } from '../terminal/kernel/redaction.js';
import { formatAmount, isCurrency } from '../terminal/kernel/units.js';
import { boxFolderOf, dataFolderDefault } from './host/admin-client.js';
import { builtFolder } from './start-parts/process.js';
import { setPaths } from './start-parts/simulated-set.js';
import { productVersion } from './start-parts/version.js';

interface Program {
  readonly name: string;
  readonly script: string;
  /** Words put before those of the caller. */
  readonly before?: readonly string[];
  readonly usage: string;
  readonly text: string;
}

const programs: readonly Program[] = [
  {
    name: 'start',
    script: 'scripts/start.js',
    usage: '[options]',
    text: 'host and terminal on this machine; a simulated set where nothing is plugged in',
  },
  { name: 'terminal', script: 'scripts/terminal.js', usage: '--data <folder>', text: 'the terminal alone (a service)' },
  {
    name: 'host-server',
    script: 'host-sync/server/main.js',
    usage: '--data-folder <folder>',
    text: 'the host alone (a service)',
  },
  {
    name: 'host',
    script: 'scripts/host.js',
    usage: '<command>',
    text: 'administer the host: members, coupons, catalogue, rules, terminals',
  },
  { name: 'console', script: 'scripts/console.js', usage: '[options]', text: 'technician console of the running box' },
  {
    name: 'backup',
    script: 'scripts/backup.js',
    before: ['backup'],
    usage: 'host|box <file>',
    text: 'archive the host or the box while it runs, encrypted',
  },
  {
    name: 'restore',
    script: 'scripts/backup.js',
    before: ['restore'],
    usage: 'host|box <file>',
    text: 'bring an archive back into a stopped host or box',
  },
  {
    name: 'salvage',
    script: 'scripts/salvage.js',
    usage: '<file>',
    text: 'save the records of a stopped box whose database is damaged',
  },
  {
    name: 'transfer',
    script: 'scripts/transfer.js',
    usage: '<command>',
    text: 'move the history of a lost, broken or replaced box',
  },
  {
    name: 'provision',
    script: 'scripts/provision.js',
    usage: '[options]',
    text: 'prepare this system for a box that runs as a service (as root)',
  },
  { name: 'phone', script: 'scripts/phone.js', usage: '<command>', text: 'a simulated phone of its own' },
  {
    name: 'replay',
    script: 'scripts/replay.js',
    usage: '<file>',
    text: 'feed a day of real receipts through the box',
  },
  { name: 'bench', script: 'scripts/bench.js', usage: '[options]', text: 'measure the box against this machine' },
];

/** How long the phone is held when no sale wants it, in milliseconds. */
const holdMs = 15_000;

const exitNotThere = 3;

/** Runs one of the programs in the foreground; signals reach it by the terminal. */
async function run(script: string, words: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [path.join(builtFolder, script), ...words], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise<number>((resolve) => child.once('exit', (code) => resolve(code ?? 1)));
}

const folderOf = ({ data }: { readonly data: string }): string => boxFolderOf(data);

function noSet(folder: string): void {
  console.error(`no simulated set runs on ${folder}: start it with scripts/start, or name its data folder with --data`);
  process.exitCode = exitNotThere;
}

/** What the phone was told, in words. Null in a field: the box did not say. */
function resultText({ outcome, points, couponMinor, currency, text }: PhoneResult): string {
  const outcomes = { accepted: 'accepted 成功', refused: 'refused 拒绝', unknown: 'unknown 未知' } as const;
  const amount =
    couponMinor === null
      ? ''
      : `coupon balance 余额 ${currency && isCurrency(currency) ? `${formatAmount(couponMinor, currency)} ${currency}` : couponMinor}`;
  const parts = [outcomes[outcome], points === null ? '' : `points balance 积分 ${points}`, amount, printable(text)];
  return parts.filter((part) => part !== '').join('; ');
}

/** How often the phone has proved any of its keys. */
const provedIn = ({ memberships }: PhoneView): number =>
  memberships.reduce((sum, { useCounter }) => sum + useCounter, 0);

/** The simulated phone is held to the reader until it got its result. */
async function tap(options: { readonly data: string; readonly until: 'presented' | 'result' | 'removed' }) {
  const folder = folderOf(options);
  let left = (): void => {};
  const gone = new Promise<void>((resolve) => {
    left = resolve;
  });
  let told: PhoneResult | null = null as PhoneResult | null;
  const phone = await PhoneControl.open(setPaths(folder).phoneControl, (event) => {
    if (event.event === 'result') told = event.result;
    if (event.event === 'leftField') left();
  }).catch(() => null);
  if (!phone) return noSet(folder);
  const before = await phone.request({ do: 'follow' });
  const tapped = await phone.ask({ do: 'tap', until: options.until });
  if (!('ok' in tapped) || !tapped.ok) {
    console.error('the phone is at the reader already: another scripts/shouli tap runs, or one was cut off just now');
    process.exitCode = exitNotThere;
    phone.close();
    return;
  }
  const takeAway = (): void => {
    phone.ask({ do: 'remove' }).then(
      () => process.exit(130),
      () => process.exit(130),
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, takeAway);
  console.log('the phone is at the reader …');
  const timer = setTimeout(() => void phone.request({ do: 'remove' }), holdMs);
  await gone;
  clearTimeout(timer);
  const after = await phone.request({ do: 'show' });
  phone.close();
  const nothing =
    provedIn(after) !== provedIn(before)
      ? 'the phone proved its key and was told no result: scripts/console, then sales, says why'
      : 'nothing happened: start a sale that wants a tap first, and register the phone';
  console.log(told ? `the phone was told: ${resultText(told)}` : nothing);
}

/** The simulated scanner reads a code. */
function scan(code: string, options: { readonly data: string }): void {
  const folder = folderOf(options);
  const { scanner } = setPaths(folder);
  // Writing to what is left of an ended set would make a file where the next scanner's line has to be.
  if (!statSync(scanner, { throwIfNoEntry: false })?.isCharacterDevice()) {
    noSet(folder);
    return;
  }
  appendFileSync(scanner, `${code}\r\n`);
  console.log('scanned; what came of it: scripts/console, then follow or sales');
}

async function main(): Promise<void> {
  const [first, ...rest] = process.argv.slice(2);
  const chosen = programs.find(({ name }) => name === first);
  if (chosen) return run(chosen.script, [...(chosen.before ?? []), ...rest]);
  const program = new Command('scripts/shouli')
    .description('Shouli 受理: an open acceptance terminal. Each command explains itself with --help.')
    .version(productVersion())
    .helpCommand(false);
  for (const { name, usage, text } of programs) program.command(name).usage(usage).description(text);
  program.commandsGroup('Simulated set:');
  program
    .command('tap')
    .description('hold the phone to the reader')
    .option('--data <folder>', 'data folder', dataFolderDefault)
    .addOption(
      new Option('--until <moment>', 'when it is taken away')
        .choices(['presented', 'result', 'removed'])
        .default('result'),
    )
    .action(tap);
  program
    .command('scan <code>')
    .description("scan a code; quote commands: 'SL!EARN'")
    .option('--data <folder>', 'data folder', dataFolderDefault)
    .action(scan);
  await program.parseAsync();
}

await main();
