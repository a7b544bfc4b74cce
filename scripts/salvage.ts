/**
 * Salvage: saves the records that a damaged database of a stopped box still holds: `shouli salvage FILE`.
 * Must not change the database; what the file holds and how it is found is terminal/store/salvage.ts's.
 */
import path from 'node:path';
import { Command } from 'commander';
import { errorTable, TerminalError } from '../terminal/kernel/errors.js';
import { exportSalvage } from '../terminal/store/salvage.js';
import { boxFolderOf, CommandFailure, dataFolderDefault } from './host/admin-client.js';
import { createOutput, fields } from './host/output.js';

interface SalvageOptions {
  readonly data: string;
  readonly json?: boolean;
}

const database = 'terminal.db';

function salvage(file: string, { data, json }: SalvageOptions): void {
  const target = path.resolve(file);
  const salvaged = { file: target, ...exportSalvage(path.join(boxFolderOf(data), database), target) };
  createOutput(json ?? false).show(salvaged, () => fields(salvaged));
}

/** The command of scripts/salvage. Ends 0: saved (0 records too), 1: refused. */
export function salvageProgram(): Command {
  return new Command('salvage')
    .description(
      'Saves the records of a damaged database as text, one JSON object a line. Stop the box first; its database stays as it is.',
    )
    .argument('<file>', 'where to write; must not exist yet')
    .option('--data <folder>', 'data folder of the box', dataFolderDefault)
    .option('--json', 'print the counts as one JSON value')
    .action((file: string, options: SalvageOptions) => {
      try {
        salvage(file, options);
      } catch (error) {
        if (!(error instanceof TerminalError || error instanceof CommandFailure)) throw error;
        const text = error instanceof TerminalError ? `${errorTable[error.code].en} ${error.detail}` : error.advice;
        process.stderr.write(`${error.code}: ${text}\n`);
        process.exitCode = 1;
      }
    });
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename)
  await salvageProgram().parseAsync();
