/**
 * The host process: reads the command line, starts the host, prints one line when it is ready, ends on SIGTERM.
 * Must hold nothing else: start.ts starts.
 */
import path from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { errorTable, TerminalError } from '../../terminal/kernel/errors.js';
import { hostOptions } from './options.js';
import { type HostRow, type StartOptions, startHost } from './start.js';

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function integerReader(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return value;
  };
}

/** One flag for each row of hostOptions: `--listen-address`. Lists are separated by commas. */
function optionOf(row: HostRow): Option {
  const option = new Option(`--${kebab(row.key)} <value>`, row.help);
  if (row.type === 'integer') option.argParser(integerReader(row.min, row.max));
  if (row.type === 'choice') option.choices(row.choices);
  if (row.type === 'list') option.argParser((text: string) => text.split(',').filter((part) => part !== ''));
  return option;
}

function describeFailure(error: unknown): string {
  if (error instanceof TerminalError && error.code === 'store.corrupt')
    return `store.corrupt: the host’s database is damaged (${error.detail}): restore a backup with shouli restore host FILE`;
  if (error instanceof TerminalError) return `${error.code}: ${error.detail || errorTable[error.code].en}`;
  const { code = '', message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'the port is taken: another host runs, or choose --port';
  return message;
}

/** The command line. Prints one JSON line when ready; ends with 0 after SIGTERM or SIGINT, 1 when it cannot start. */
async function main(words: readonly string[]): Promise<void> {
  const program = new Command('host')
    .description('The host: accounts, coupons, catalogue and the terminals’ interface, on one data folder.')
    .requiredOption('--data-folder <folder>', 'where database, keys and messages live')
    .addOption(
      new Option('--realm <realm>', 'real sales or simulated ones; a folder is one or the other for life')
        .choices(['real', 'simulated'])
        .default('real'),
    )
    .option(
      '--bootstrap-enrolment <file>',
      'write a one-time enrolment code, good for 15 minutes, to this file (0600)',
    );
  for (const row of hostOptions) program.addOption(optionOf(row));
  program.parse(words, { from: 'user' });
  const { dataFolder, ...rest } = program.opts<StartOptions>();
  try {
    const running = await startHost({ ...rest, dataFolder: path.resolve(dataFolder) });
    const end = (): void => {
      running.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    };
    process.once('SIGTERM', end);
    process.once('SIGINT', end);
    process.stdout.write(
      `${JSON.stringify({ ready: true, port: running.port, pagesPort: running.pagesPort, adminSocket: running.adminSocket })}\n`,
    );
  } catch (error) {
    process.stderr.write(`host: ${describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename)
  await main(process.argv.slice(2));
