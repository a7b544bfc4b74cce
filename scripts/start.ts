/**
 * scripts/start: the host and the terminal on this machine, with the simulated set where no device is there.
 * Starts processes, tells where things are, restarts what dies, and ends everything on Ctrl-C. Holds no rule of a sale.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { hostLayout } from '../host-sync/server/backup.js';
import { snapshotSocketName } from '../terminal/runtime/snapshot-socket.js';
import { runDemo } from './demo.js';
import { dataFolderDefault } from './host/admin-client.js';
import { type BoxOptions, startBox } from './start-parts/box.js';
import { chooseHere, realmFolder, type Wishes } from './start-parts/choice.js';
import { requireFreePorts } from './start-parts/free-ports.js';
import { StartRefused } from './start-parts/refusal.js';
import { startSimulatedSet } from './start-parts/simulated-set.js';
import { welcome } from './start-parts/welcome.js';

interface StartArguments {
  readonly data: string;
  readonly config?: string;
  readonly demo?: boolean;
  readonly json?: boolean;
  readonly simulated?: boolean;
  readonly real?: boolean;
}

/** The number of the simulated member. */
const simulatedNumber = '13800138000';
/** Where the members' pages are when nobody chose a port. */
const simulatedPagesPort = 8480;
/** How long another simulated set on this machine is waited for. */
const setWaitMs = 5_000;

/** The configuration; an absent file is one with every default, unless somebody named it. */
function readConfig(file: string, isNamed: boolean): Config {
  if (isNamed && !existsSync(file)) throw new StartRefused(`there is no file ${file}`, 2);
  const loaded = loadConfig(existsSync(file) ? readFileSync(file, 'utf8') : '');
  if (loaded.ok) return loaded.value;
  const count = loaded.error.length;
  const lines = loaded.error.map(({ path: at, value, problem }) => `  ${at}${value ? ` = ${value}` : ''}: ${problem}`);
  const advice = `  Mend ${count === 1 ? 'it' : 'them'} and start again; config/reference.md lists every option.`;
  throw new StartRefused([`${file}: ${count} problem${count === 1 ? '' : 's'}`, ...lines, advice].join('\n'), 2);
}

function isAnswering(socketFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketFile);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function requireIdle(dataFolder: string): Promise<void> {
  const sockets = [path.join(dataFolder, snapshotSocketName), path.join(dataFolder, 'host', hostLayout.adminSocket)];
  const answers = await Promise.all(sockets.map(isAnswering));
  if (answers.includes(true))
    throw new StartRefused(
      `a box runs on ${dataFolder} already.\n  Talk to it with scripts/console --data ${dataFolder}, end it with Ctrl-C where it was started, or name another folder with --data.`,
      3,
    );
}

/** `data/current` names the folder in use, so that console and host commands find it without being told. */
function markCurrent(dataRoot: string, dataFolder: string): void {
  const link = path.join(dataRoot, 'current');
  if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === false)
    throw new StartRefused(`${link} is in the way: it has to be a link that scripts/start makes`, 3);
  rmSync(link, { force: true });
  symlinkSync(path.basename(dataFolder), link);
}

/** Writes what happened while everything runs, with the time of day. */
const report = (text: string): void => console.log(`${new Date().toTimeString().slice(0, 8)} ${text}`);

/** Ends what was started, in the reverse order, once. */
class Endings {
  readonly #stops: (() => Promise<void>)[] = [];
  #ending = false;
  get isEnding(): boolean {
    return this.#ending;
  }
  add(stop: () => Promise<void>): void {
    this.#stops.push(stop);
  }
  async end(code: number, words: string): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    if (words) console.log(words);
    for (const stop of this.#stops.reverse()) await stop();
    if (words) console.log('ended');
    process.exit(code);
  }
}

/** A simulated set shows the members' pages too; a real box only where it is asked to. */
const withPages = (config: Config): Config =>
  config.host.pagesPort === 0 ? { ...config, host: { ...config.host, pagesPort: simulatedPagesPort } } : config;

async function run(words: StartArguments, endings: Endings): Promise<void> {
  const wishes: Wishes = { simulated: words.simulated ?? false, real: words.real ?? false };
  const dataRoot = path.resolve(words.data);
  const configFile = path.resolve(words.config ?? path.join(dataRoot, 'shouli.toml'));
  const read = readConfig(configFile, words.config !== undefined);
  const { simulated, devices } = await chooseHere(read, wishes, configFile);
  const config = simulated ? withPages(read) : read;
  const dataFolder = realmFolder(dataRoot, simulated);
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  await requireIdle(dataFolder);
  await requireFreePorts(config, simulated || config.sync.hostUrl === '', configFile);

  const supervision = {
    onRestart: (which: string, how: string) =>
      report(`${which} ended (${how}) and is started again; why: ${which}.log in the data folder`),
    onGivenUp: (which: string, why: string) => {
      console.error(`scripts/start: ${which} does not stay up; ${path.join(dataFolder, `${which}.log`)}\n${why}`);
      void endings.end(1, 'ending …');
    },
  };
  let lines: Pick<BoxOptions, 'scannerLine' | 'printerLine' | 'displayLine' | 'relayLine'> = {
    ...{ scannerLine: null, printerLine: null, displayLine: null, relayLine: null },
  };
  if (simulated) {
    console.log('starting the simulated set …');
    const set = await startSimulatedSet({
      ...supervision,
      dataFolder,
      number: simulatedNumber,
      hostMessages: path.join(dataFolder, 'host', 'messages'),
      waitMs: setWaitMs,
      onWaiting: () => console.log('another simulated set runs on this machine; waiting for it to end …'),
    });
    endings.add(set.stop);
    lines = set;
  }
  if (endings.isEnding) return;
  console.log('starting host and terminal …');
  const box = await startBox({ ...supervision, dataFolder, config, configFile, simulated, ...lines });
  endings.add(box.stop);
  markCurrent(dataRoot, dataFolder);
  const { hostUrl } = config.sync;
  const dataNamed = words.data === dataFolderDefault ? null : words.data;
  console.log(welcome({ box, simulated, number: simulatedNumber, devices, dataFolder, dataNamed, hostUrl }).join('\n'));
}

async function main(): Promise<void> {
  const program = new Command('scripts/start')
    .description(
      'Starts the host and the terminal. Takes the readers and scanners that are configured or plugged in; where there is none, a simulated set (reader, phone, scanner, receipt printer, customer’s display, a gate’s relay) on the same drivers.',
    )
    .option('--data <folder>', 'where everything is kept', dataFolderDefault)
    .option('--config <file>', 'configuration (default: shouli.toml in the data folder)')
    .option('--simulated', 'the simulated set even where devices are plugged in (never where one is configured)')
    .option('--real', 'no simulated set, even where nothing is plugged in yet')
    .option('--demo', 'plays the worked examples on simulated devices, checks them, and ends')
    .option('--json', 'with --demo: one JSON line for each step, amounts in minor units')
    .addHelpText(
      'after',
      `
Examples:
  scripts/start                 first start: sets up whatever is missing, then runs
  scripts/start --demo          about ten seconds, ends with 0 when all is right
  scripts/start --data /srv/box another data folder, with its own shouli.toml

Ends with 0: ended by Ctrl-C or SIGTERM, 1: it does not run, 2: wrong command or
configuration, 3: something has to be done on this machine first.`,
    )
    .parse();
  const words = program.opts<StartArguments>();
  if (words.json && !words.demo) program.error('--json goes with --demo', { exitCode: 2 });
  if (words.demo) {
    process.exitCode = await runDemo({ json: words.json ?? false });
    return;
  }
  const endings = new Endings();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => void endings.end(0, 'ending …'));
  try {
    await run(words, endings);
  } catch (error) {
    if (endings.isEnding) return;
    console.error(`scripts/start: ${error instanceof Error ? error.message : String(error)}`);
    await endings.end(error instanceof StartRefused ? error.exitCode : 1, '');
  }
}

await main();
