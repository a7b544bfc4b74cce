/**
 * The terminal as a process: reads the configuration, starts terminal/main.ts, says when it is ready, and ends cleanly.
 * `node out/scripts/terminal.js --help`; scripts/start runs it beside the embedded host.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { errorTable, TerminalError } from '../terminal/kernel/errors.js';
import { startTerminal } from '../terminal/main.js';
import { productVersion } from './start-parts/version.js';

interface TerminalArguments {
  readonly data: string;
  readonly config?: string;
  readonly simulated?: boolean;
  readonly bootstrap?: string;
  readonly embeddedHostPort?: string;
  readonly localApiPort?: string;
  readonly scanner?: string;
  readonly printer?: string;
  readonly display?: string;
  readonly relay?: string;
}

/** The configuration of a data folder, or every problem on stderr and exit 2. */
function readConfig(file: string): Config {
  const loaded = loadConfig(existsSync(file) ? readFileSync(file, 'utf8') : '');
  if (loaded.ok) return loaded.value;
  process.stderr.write(`${file}: ${loaded.error.length} problem(s)\n`);
  for (const { path: at, value, problem } of loaded.error)
    process.stderr.write(`  ${at}${value ? ` = ${value}` : ''}: ${problem}\n`);
  process.exit(2);
}

/** A simulated box uses the virtual reader and the pseudo-terminal that were made for it, whatever else is configured. */
function simulatedConfig(
  config: Config,
  { display, printer, relay, scanner }: Pick<TerminalArguments, 'scanner' | 'printer' | 'display' | 'relay'>,
): Config {
  return {
    ...config,
    readers: { ...config.readers, enabled: true, virtualReaders: true, names: ['Virtual PCD'], ignoredNames: [] },
    scanners: { ...config.scanners, paths: scanner ? [scanner] : [], ignoredPaths: [] },
    modules: { ...config.modules, paths: [] },
    modems: { ...config.modems, paths: [] },
    relays: { ...config.relays, paths: relay ? [relay] : [], board: 'lcus', opensOn: 'sales' },
    pinPads: { ...config.pinPads, paths: [], devices: [] },
    displays: { ...config.displays, paths: display ? [display] : [], chinese: true },
    printers: { ...config.printers, paths: printer ? [printer] : [], addresses: [], cut: true, answers: true },
    hidScanners: { ...config.hidScanners, enabled: false },
    stripeReaders: { ...config.stripeReaders, enabled: false },
    keypads: { ...config.keypads, devices: [] },
  };
}

async function main(): Promise<void> {
  const program = new Command('terminal')
    .description('The acceptance terminal on one data folder. Prints one JSON line when it is ready.')
    .requiredOption('--data <folder>', 'data folder of the box')
    .option('--config <file>', 'configuration (default: shouli.toml in the data folder)')
    .option('--simulated', 'a simulated box: virtual reader and scanner, a ledger of its own')
    .option('--scanner <path>', 'the simulated scanner’s line')
    .option('--printer <path>', 'the simulated receipt printer’s line')
    .option('--display <path>', 'the simulated customer’s display’s line')
    .option('--relay <path>', 'the simulated relay board’s line')
    .option('--bootstrap <file>', 'code and authority that the embedded host left for the first enrolment')
    .option('--embedded-host-port <port>', 'the host beside this box on loopback, whatever sync.hostUrl says')
    .option('--local-api-port <port>', 'instead of the configured one')
    .parse();
  const words = program.opts<TerminalArguments>();
  const dataFolder = path.resolve(words.data);
  const read = readConfig(words.config ?? path.join(dataFolder, 'shouli.toml'));
  const chosen = words.simulated ? simulatedConfig(read, words) : read;
  const config = {
    ...chosen,
    ...(words.localApiPort ? { localApi: { ...chosen.localApi, port: Number(words.localApiPort) } } : {}),
    ...(words.embeddedHostPort
      ? { sync: { ...chosen.sync, hostUrl: `https://localhost:${words.embeddedHostPort}` } }
      : {}),
  };
  const running = await startTerminal({
    dataFolder,
    config,
    simulated: words.simulated ?? false,
    ...(words.simulated && { simulatedMaker: (await import('../drivers/sim/tag/chip-maker.js')).simulatedMaker }),
    version: productVersion(),
    bootstrapFile: words.bootstrap ?? '',
    crashed: (error) => {
      process.stderr.write(
        `terminal: a bug stopped the box; it recovers at the next start\n${error instanceof Error ? error.stack : String(error)}\n`,
      );
      process.exit(70);
    },
  });
  const end = (): void => {
    running.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  process.stdout.write(
    `${JSON.stringify({ ready: true, localApi: running.localApi, consoleSocket: running.consoleSocket, firstPin: running.firstPin })}\n`,
  );
}

try {
  await main();
} catch (error) {
  if (!(error instanceof TerminalError)) throw error;
  process.stderr.write(`terminal: ${error.code}: ${errorTable[error.code].en} ${error.detail}\n`);
  process.exit(1);
}
