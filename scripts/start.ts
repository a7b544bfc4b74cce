/**
 * scripts/start: the host and the terminal on this machine, with the simulated set where no device is there.
 * Starts processes, tells where things are, restarts what dies, and ends everything on Ctrl-C. Holds no rule of a sale.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { runDemo } from './demo.js';
import { type Box, startBox } from './start-parts/box.js';
import { realDevices } from './start-parts/plugged-in.js';
import { type SimulatedSet, startSimulatedSet } from './start-parts/simulated-set.js';

interface StartArguments {
  readonly data: string;
  readonly config?: string;
  readonly demo?: boolean;
  readonly json?: boolean;
  readonly simulated?: boolean;
}

/** The number of the simulated member. */
const simulatedNumber = '13800138000';

function readConfig(file: string): Config {
  const loaded = loadConfig(existsSync(file) ? readFileSync(file, 'utf8') : '');
  if (loaded.ok) return loaded.value;
  console.error(`${file}: ${loaded.error.length} problem(s); mend them and start again`);
  for (const { path: at, value, problem } of loaded.error)
    console.error(`  ${at}${value ? ` = ${value}` : ''}: ${problem}`);
  process.exit(2);
}

/** `data/current` names the folder in use, so that console and host commands find it without being told. */
function markCurrent(dataRoot: string, name: string): void {
  const link = path.join(dataRoot, 'current');
  rmSync(link, { force: true });
  symlinkSync(name, link);
}

function tell(box: Box, dataFolder: string, set: SimulatedSet | null, devices: string | null): void {
  const lines = [
    '',
    set
      ? 'SIMULATED 模拟: no reader or scanner is plugged in or configured. These sales are kept apart from real ones.'
      : `Devices: ${devices}`,
    `  host       https://localhost:${box.host.ready.port}   (scripts/shouli host --help)`,
    `  console    scripts/console`,
    ...(box.terminal.ready.localApi
      ? [
          `  local API  http://127.0.0.1:${box.terminal.ready.localApi.port}   token in ${box.terminal.ready.localApi.tokenFile}`,
        ]
      : ['  local API  off (localApi.enabled)']),
    `  data       ${dataFolder}   (logs: host.log, terminal.log)`,
    ...(box.terminal.ready.firstPin
      ? [`  first PIN  ${box.terminal.ready.firstPin}   shown this once; the console asks to change it`]
      : []),
    ...(set
      ? [
          '',
          'Try it:  scripts/shouli host member register 13800138000 --name 王芳   the phone answers by itself',
          '         scripts/console                                then: sale 300 earn',
          '         scripts/shouli tap                             the phone is held to the reader',
          `         scripts/shouli scan SL!EARN                       a scan`,
        ]
      : []),
    '',
    'Ctrl-C ends it; nothing is left half-done.',
  ];
  console.log(lines.join('\n'));
}

async function main(): Promise<void> {
  const program = new Command('scripts/start')
    .description('Starts the host and the terminal. With no configuration and no device it starts a simulated set.')
    .option('--data <folder>', 'where everything is kept', 'data')
    .option('--config <file>', 'configuration (default: shouli.toml in the data folder)')
    .option('--simulated', 'the simulated set even where devices are plugged in (never where one is configured)')
    .option('--demo', 'plays the worked examples on simulated devices, checks them, and ends')
    .option('--json', 'with --demo: one JSON line for each step, amounts in minor units')
    .addHelpText('after', '\nExamples:\n  scripts/start\n  scripts/start --demo\n  scripts/start --demo --json')
    .parse();
  const words = program.opts<StartArguments>();
  if (words.demo) {
    process.exitCode = await runDemo({ json: words.json ?? false });
    return;
  }
  const dataRoot = path.resolve(words.data);
  mkdirSync(dataRoot, { recursive: true, mode: 0o700 });
  const configFile = path.resolve(words.config ?? path.join(dataRoot, 'shouli.toml'));
  const config = readConfig(configFile);
  const devices = await realDevices(config);
  const simulated = devices === null || (words.simulated === true && !devices.startsWith('configured'));
  const name = simulated ? 'simulated' : 'real';
  const dataFolder = path.join(dataRoot, name);
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });

  const stops: (() => Promise<void>)[] = [];
  let ending = false;
  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    for (const stop of stops.reverse()) await stop();
    process.exit(code);
  };
  process.on('SIGINT', () => void end(0));
  process.on('SIGTERM', () => void end(0));
  try {
    let set: SimulatedSet | null = null;
    if (simulated) {
      console.log('starting the simulated reader, phone and scanner …');
      set = await startSimulatedSet({
        dataFolder,
        number: simulatedNumber,
        hostMessages: path.join(dataFolder, 'host', 'messages'),
      });
      stops.push(set.stop);
    }
    console.log('starting host and terminal …');
    const box = await startBox({
      dataFolder,
      config,
      configFile,
      simulated,
      scannerLine: set?.scannerLine ?? null,
      onRestart: (which) => console.log(`${which} ended and is started again; see ${which}.log`),
      onGivenUp: (which) => {
        console.error(`${which} does not stay up; see ${path.join(dataFolder, `${which}.log`)}`);
        void end(1);
      },
    });
    stops.push(box.stop);
    markCurrent(dataRoot, name);
    tell(box, dataFolder, set, devices);
  } catch (error) {
    console.error(`scripts/start: ${error instanceof Error ? error.message : String(error)}`);
    await end(1);
  }
}

await main();
