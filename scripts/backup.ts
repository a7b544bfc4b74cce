/**
 * Backup and restore of host and box, one command each: `node out/scripts/backup.js backup host FILE`.
 * Must not hold the archive's form (archive.ts) or know what is in it.
 */
import path from 'node:path';
import { Command } from 'commander';
import { errorTable, isErrorCode, TerminalError } from '../terminal/kernel/errors.js';
import { boxFolderOf, CommandFailure, dataFolderDefault, hostFolderOf, openAdminClient } from './host/admin-client.js';
import { createOutput, fields, time } from './host/output.js';
import type { Tools } from './host/tools.js';
import { startProgress } from './lib/progress.js';
import { openRecoveryKey, readRecoveryKey } from './recovery-key.js';

interface RootOptions {
  readonly data: string;
  readonly recoveryKey?: string;
  readonly json?: boolean;
  readonly replace?: boolean;
}

const keyFileOf = ({ data, recoveryKey }: Pick<RootOptions, 'data' | 'recoveryKey'>): string =>
  path.resolve(recoveryKey ?? path.join(data, 'recovery.key'));
const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

/** Runs a step that moves bytes with a live count on standard error. */
async function withProgress<T>(title: string, step: (onBytes: (count: number) => void) => Promise<T>): Promise<T> {
  const progress = startProgress(title);
  let bytes = 0;
  try {
    const result = await step((count) => {
      bytes += count;
      progress.note(megabytes(bytes));
    });
    progress.done(megabytes(bytes));
    return result;
  } catch (error) {
    progress.done('failed');
    throw error;
  }
}

const keyAdvice = (file: string): string =>
  `A recovery key was drawn: ${file}\nKeep a copy of it away from this machine. Without it no backup can be opened; with it anybody can.`;

/** The database engine is loaded when it is needed: `--help` and every other host command start without it. */
const hostBackup = () => import('./backup/host-backup.js');
const boxBackup = () => import('./backup/box-backup.js');

async function backup(kind: 'host' | 'box', file: string, options: RootOptions): Promise<void> {
  const output = createOutput(options.json ?? false);
  const target = path.resolve(file);
  const keyFile = keyFileOf(options);
  if (keyFile === target) throw new CommandFailure('input.malformed', 'the backup may not overwrite its recovery key');
  const folder = kind === 'host' ? hostFolderOf(options.data) : boxFolderOf(options.data);
  const client = openAdminClient(folder);
  try {
    // Nothing is drawn for a backup that cannot be made.
    if (kind === 'host') await client.call('status');
    const { key, drawn } = openRecoveryKey(keyFile);
    const made = await withProgress(
      `backup of the ${kind}`,
      async (onBytes): Promise<{ readonly files: number; readonly realm?: string }> =>
        kind === 'host'
          ? (await hostBackup()).backupHost(client.call, folder, target, key, onBytes)
          : (await boxBackup()).backupBox(folder, target, key, onBytes),
    );
    if (drawn) output.note(keyAdvice(keyFile));
    output.show({ file: target, recoveryKey: keyFile, recoveryKeyDrawn: drawn, ...made }, () =>
      fields({ file: target, recoveryKey: keyFile, ...made }),
    );
  } finally {
    await client.close();
  }
}

async function restore(kind: 'host' | 'box', file: string, options: RootOptions): Promise<void> {
  const output = createOutput(options.json ?? false);
  const key = readRecoveryKey(keyFileOf(options));
  const folder = kind === 'host' ? hostFolderOf(options.data) : boxFolderOf(options.data);
  const run = kind === 'host' ? (await hostBackup()).restoreHost : (await boxBackup()).restoreBox;
  const restored = await withProgress(`restore of the ${kind}`, (onBytes) =>
    run(path.resolve(file), folder, key, { replace: options.replace ?? false, onBytes }),
  );
  output.show({ folder, ...restored }, () =>
    fields({ folder, backupMadeAt: time(restored.madeAtMs), keptOld: restored.kept }),
  );
}

async function reporting(json: boolean, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const isOurs = error instanceof CommandFailure || error instanceof TerminalError;
    const code = isOurs ? error.code : 'host.refused';
    const detail =
      error instanceof CommandFailure
        ? error.advice
        : error instanceof TerminalError
          ? error.detail
          : (error as Error).message;
    const meaning = isOurs && isErrorCode(code) ? `${errorTable[code].en} ` : '';
    process.stderr.write(json ? `${JSON.stringify({ code, detail })}\n` : `${code}: ${meaning}${detail}\n`);
    process.exitCode = code === 'host.notRunning' ? 3 : 1;
  }
}

/** `host backup FILE`: the same as `backup host FILE`, for people who are already at the host's command line. */
export function backupCommand(_tools: Tools, root: Command): Command {
  return new Command('backup')
    .arguments('<file>')
    .description('archive the running host, encrypted under a recovery key')
    .option(
      '--recovery-key <file>',
      'recovery key (default: recovery.key in the data folder; drawn at the first backup)',
    )
    .action((file: string, options: Pick<RootOptions, 'recoveryKey'>) => {
      const { data, json } = root.opts<RootOptions>();
      return reporting(json ?? false, () => backup('host', file, { ...options, data, ...(json ? { json } : {}) }));
    });
}

/** The command tree of scripts/backup. */
export function backupProgram(): Command {
  const program = new Command('backup')
    .description(
      'Backs up and restores the embedded host and the box. The archive is encrypted; its recovery key is a file of its own.',
    )
    .showHelpAfterError('(--help shows how)');
  const actions = { backup, restore } as const;
  for (const verb of ['backup', 'restore'] as const) {
    const command = new Command(verb).description(
      verb === 'backup' ? 'of a running system' : 'into a stopped one; what was there is kept beside it',
    );
    for (const kind of ['host', 'box'] as const) {
      const leaf = new Command(kind)
        .arguments('<file>')
        .option('--data <folder>', 'data folder (the host lives in its host/)', dataFolderDefault)
        .option('--recovery-key <file>', 'recovery key (default: recovery.key in the data folder)')
        .option('--json', 'print one JSON value');
      if (verb === 'restore') leaf.option('--replace', 'the folder may hold data: keep it aside');
      leaf.action((file: string, options: RootOptions) =>
        reporting(options.json ?? false, () => actions[verb](kind, file, options)),
      );
      command.addCommand(leaf);
    }
    program.addCommand(command);
  }
  return program;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename)
  await backupProgram().parseAsync();
