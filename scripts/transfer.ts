/**
 * Transfer: a lost, broken or replaced box's history comes to its replacement or to the host: `shouli transfer …`.
 * Must not hold the file's form (transfer/transfer-file.ts) or decide about a record. Procedure: docs/replacing-a-box.md.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { hostLayout } from '../host-sync/server/backup.js';
import { ensurePrivateFolder, writePrivateFile } from '../host-sync/server/pki/key-files.js';
import { errorTable, isErrorCode, TerminalError } from '../terminal/kernel/errors.js';
import { boxFolderOf, CommandFailure, dataFolderDefault, hostFolderOf, openAdminClient } from './host/admin-client.js';
import { createOutput, fields } from './host/output.js';
import { startProgress } from './lib/progress.js';
import { type Exported, exportBox, importBox, reenrolBox, resumeBox } from './transfer/box.js';
import { isSalvaged, recordsOf, salvagedRecords, type TakenIn, takeIn } from './transfer/take-in.js';
import {
  databaseName,
  openTransferKey,
  readTransfer,
  readTransferKey,
  transferRequest,
} from './transfer/transfer-file.js';

interface Options {
  readonly data: string;
  readonly json?: boolean;
  readonly host?: boolean;
  readonly confirm?: string;
  readonly all?: boolean;
}

const megabytes = (bytes: number): string => `${(bytes / 1_000_000).toFixed(1)} MB`;

async function withProgress<T>(
  title: string,
  unit: (count: number) => string,
  step: (onCount: (count: number) => void) => Promise<T>,
): Promise<T> {
  const progress = startProgress(title);
  let last = '';
  try {
    const result = await step((count) => {
      last = unit(count);
      progress.note(last);
    });
    progress.done(last);
    return result;
  } catch (error) {
    progress.done('failed');
    throw error;
  }
}

/** Adds up what is told in portions. */
const summing = (onSum: (sum: number) => void): ((count: number) => void) => {
  let sum = 0;
  return (count) => {
    sum += count;
    onSum(sum);
  };
};

const queueFields = ({ terminalId, epoch, gauges }: Exported) => ({
  ...{ terminalId, epoch, unsent: gauges.unsent, unsentWorthMinor: gauges.unsentWorthMinor },
  ...{ unsentPoints: gauges.unsentPoints, deadLetters: gauges.dead },
});

function request(file: string, { data, json, host }: Options): void {
  const keys = path.join(host ? hostFolderOf(data) : boxFolderOf(data), 'keys');
  ensurePrivateFolder(keys);
  const { text, fingerprint } = transferRequest(openTransferKey(keys));
  const target = path.resolve(file);
  writePrivateFile(target, text);
  createOutput(json ?? false).show(
    { file: target, fingerprint },
    () => `${fields({ file: target, fingerprint })}\nTake it to the old box, and compare the fingerprint there.`,
  );
}

async function exportTo(requestFile: string, file: string, { data, json, confirm }: Options): Promise<void> {
  const target = path.resolve(file);
  const exported = await withProgress('export', megabytes, (onSum) =>
    exportBox(boxFolderOf(data), path.resolve(requestFile), target, {
      confirm: confirm ?? null,
      onBytes: summing(onSum),
    }),
  );
  const shown = { file: target, ...queueFields(exported) };
  createOutput(json ?? false).show(
    shown,
    () => `${fields(shown)}\nThis box sells nothing any more. (transfer resume takes that back.)`,
  );
}

async function reenrol({ data, json }: Options): Promise<void> {
  const done = await reenrolBox(boxFolderOf(data));
  createOutput(json ?? false).show(
    done,
    () =>
      `${fields({ ...done })}\nDraw a code at the host (host enrol-code --replaces ${done.terminalId}), give it to the box, and start it.`,
  );
}

async function resume({ data, json }: Options): Promise<void> {
  const resumed = await resumeBox(boxFolderOf(data));
  createOutput(json ?? false).show({ resumed }, () =>
    resumed
      ? 'This box may sell again. If its place was given to another box, the host stops it at the next contact.'
      : 'Nothing to take back: this box had not been exported.',
  );
}

async function importFrom(file: string, { data, json }: Options): Promise<void> {
  const { kept, ...imported } = await withProgress('import', megabytes, (onSum) =>
    importBox(boxFolderOf(data), path.resolve(file), summing(onSum)),
  );
  const shown = { ...queueFields(imported), keptOld: kept };
  createOutput(json ?? false).show(
    shown,
    () => `${fields(shown)}\nStart the box: it begins a new epoch and sends what was unsent (console: sync watch).`,
  );
}

/** The records of a file that was made for this host, or of salvage, as the host's word on them. */
async function takeInFrom(file: string, { data, json, all }: Options): Promise<void> {
  const source = path.resolve(file);
  const folder = hostFolderOf(data);
  const client = openAdminClient(folder);
  const by = userInfo().username.slice(0, 32);
  try {
    await client.call('status');
    const taken = await withProgress(
      'take in',
      (count) => `${count} records`,
      (onRecords) =>
        isSalvaged(source)
          ? takeInSalvaged(source, { call: client.call, by, onRecords })
          : takeInTransfer(source, folder, { call: client.call, by, onRecords, everything: all ?? false }),
    );
    createOutput(json ?? false).show(taken, () => taken.map((one) => fields({ ...one })).join('\n\n') || 'no records');
  } finally {
    await client.close();
  }
}

interface TakeInParts {
  readonly call: ReturnType<typeof openAdminClient>['call'];
  readonly by: string;
  readonly onRecords: (count: number) => void;
}

async function takeInTransfer(
  source: string,
  folder: string,
  parts: TakeInParts & { readonly everything: boolean },
): Promise<readonly TakenIn[]> {
  const keys = path.join(folder, hostLayout.keys);
  const key = readTransferKey(keys);
  if (!key)
    throw new CommandFailure('config.invalid', 'this host has asked for nothing: transfer request --host first');
  const authorityPem = readFileSync(path.join(keys, 'authority.cert.pem'), 'utf8');
  const work = path.join(folder, `transfer.restoring-${randomBytes(6).toString('hex')}`);
  try {
    const { terminalId } = await readTransfer(source, work, { key, authorityPem }, () => {});
    const records = recordsOf(path.join(work, databaseName), parts.everything);
    return [await takeIn(parts.call, terminalId, records, parts)];
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Salvage reads whatever lies in the file: records of each terminal go to the host under that one's name. */
async function takeInSalvaged(source: string, parts: TakeInParts): Promise<readonly TakenIn[]> {
  const terminals = new Set<string>();
  for await (const { terminalId } of salvagedRecords(source)) terminals.add(terminalId);
  const taken: TakenIn[] = [];
  for (const terminalId of terminals) {
    const own = async function* () {
      for await (const record of salvagedRecords(source)) if (record.terminalId === terminalId) yield record.envelope;
    };
    taken.push(await takeIn(parts.call, terminalId, own(), parts));
  }
  return taken;
}

async function reporting(json: boolean, run: () => void | Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const isOurs = error instanceof CommandFailure || error instanceof TerminalError;
    const code = isOurs ? error.code : 'store.failed';
    const detail =
      error instanceof CommandFailure
        ? error.advice
        : error instanceof TerminalError
          ? error.detail
          : (error as Error).message;
    const meaning = isErrorCode(code) ? `${errorTable[code].en} ` : '';
    process.stderr.write(json ? `${JSON.stringify({ code, detail })}\n` : `${code}: ${meaning}${detail}\n`);
    process.exitCode = code === 'host.notRunning' ? 3 : 1;
  }
}

/** The command tree of scripts/transfer. Ends 0: done, 1: refused, 3: the host is not running. */
export function transferProgram(): Command {
  const program = new Command('transfer')
    .description('Moves the history of a lost, broken or replaced box to its replacement, or to the host.')
    .showHelpAfterError('(--help shows how)');
  const add = (usage: string, text: string): Command =>
    program
      .command(usage)
      .description(text)
      .option('--data <folder>', 'data folder of the box (or of the host)', dataFolderDefault)
      .option('--json', 'print one JSON value');
  add('request <file>', 'at the new box: who may read the export')
    .option('--host', 'the host itself takes the records in')
    .action((file: string, options: Options) => reporting(options.json ?? false, () => request(file, options)));
  add('export <request> <file>', 'at the stopped old box: its history, signed by it and encrypted to the request')
    .option('--confirm <fingerprint>', 'of the request, as the screen showed it where it was made')
    .action((requestFile: string, file: string, options: Options) =>
      reporting(options.json ?? false, () => exportTo(requestFile, file, options)),
    );
  add('resume', 'at the stopped old box: take the export back').action((options: Options) =>
    reporting(options.json ?? false, () => resume(options)),
  );
  add('reenrol', 'at a stopped box that was copied: a new key in its own place, its history kept').action(
    (options: Options) => reporting(options.json ?? false, () => reenrol(options)),
  );
  add('import <file>', 'at the stopped new box, enrolled in the place of the old one').action(
    (file: string, options: Options) => reporting(options.json ?? false, () => importFrom(file, options)),
  );
  add('take-in <file>', 'at the host: the records of an export made for it, or of a salvage file')
    .option('--all', 'also those that had an answer (the host was restored from a backup)')
    .action((file: string, options: Options) => reporting(options.json ?? false, () => takeInFrom(file, options)));
  return program;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename)
  await transferProgram().parseAsync();
