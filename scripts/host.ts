/**
 * The host's command line: administration over the host's own socket. `node out/scripts/host.js --help`.
 * Must not open the database; a host has to be running. Ends 0 done, 1 refused, 3 no host.
 */
import path from 'node:path';
import { Command } from 'commander';
import { errorTable, isErrorCode, TerminalError } from '../terminal/kernel/errors.js';
import { printable } from '../terminal/kernel/redaction.js';
import { backupCommand } from './backup.js';
import { CommandFailure, dataFolderDefault, hostFolderOf, openAdminClient } from './host/admin-client.js';
import { federationCommand, merchantsCommand } from './host/federation-commands.js';
import { couponCommand, memberCommand } from './host/member-commands.js';
import { offerCommand } from './host/offer-commands.js';
import { offlineCommands } from './host/offline-commands.js';
import { createOutput } from './host/output.js';
import { shopCommands } from './host/shop-commands.js';
import { siteCommands } from './host/site-commands.js';
import type { Tools } from './host/tools.js';

interface RootOptions {
  readonly data: string;
  readonly json?: boolean;
}

function describe(error: unknown): { readonly code: string; readonly detail: string } {
  if (error instanceof CommandFailure) return { code: error.code, detail: error.advice };
  if (error instanceof TerminalError) return { code: error.code, detail: error.detail };
  return { code: 'host.refused', detail: (error as Error).message };
}

/** Opens the socket for one command, runs it, reports. Exported for its test. */
export function createTools(root: Command): Tools {
  return {
    run: async (body) => {
      const { data, json = false } = root.opts<RootOptions>();
      const client = openAdminClient(hostFolderOf(data));
      try {
        await body({ ...createOutput(json), call: client.call });
      } catch (error) {
        const { code, detail } = describe(error);
        const meaning = isErrorCode(code) ? `${errorTable[code].en} ` : '';
        process.stderr.write(
          json ? `${JSON.stringify({ code, detail })}\n` : `${code}: ${meaning}${printable(detail, 400)}\n`,
        );
        process.exitCode = code === 'host.notRunning' ? 3 : 1;
      } finally {
        await client.close();
      }
    },
  };
}

/** The whole command tree. */
export function hostProgram(): Command {
  const program = new Command('host')
    .description('Administers the host that runs on this machine.')
    .option('--data <folder>', 'data folder (the host lives in its host/)', dataFolderDefault)
    .option('--json', 'print one JSON value instead of tables')
    .showHelpAfterError('(--help shows how)');
  const tools = createTools(program);
  for (const command of [
    ...siteCommands(tools),
    memberCommand(tools),
    couponCommand(tools),
    offerCommand(tools),
    ...shopCommands(tools),
    ...offlineCommands(tools),
    merchantsCommand(tools),
    federationCommand(tools),
    backupCommand(tools, program),
  ])
    program.addCommand(command);
  return program;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename)
  await hostProgram().parseAsync();
