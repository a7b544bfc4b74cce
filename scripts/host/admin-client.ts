/**
 * The command line's side of the host's administration socket: one command, one answer, and errors that say what to do.
 * Must not print.
 */
import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'undici';
import { problemSchema } from '../../host-sync/protocol/sync.js';
import { hostLayout } from '../../host-sync/server/backup.js';

/** What a person reads when something cannot be done. `code` is a row of the error table or `host.notRunning`. */
export class CommandFailure extends Error {
  constructor(
    readonly code: string,
    readonly advice: string,
  ) {
    super(`${code}: ${advice}`);
    this.name = 'CommandFailure';
  }
}

export interface AdminClient {
  /** Runs one command of admin/commands.ts. Throws CommandFailure. */
  call<T = unknown>(command: string, input?: Readonly<Record<string, unknown>>): Promise<T>;
  close(): Promise<void>;
}

const answerTimeoutMs = 600_000;

function unreachable(folder: string, error: unknown): CommandFailure {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (code === 'EACCES')
    return new CommandFailure(
      'access.denied',
      'only the user that runs the host may administer it: try with sudo -u <that user>',
    );
  const reason = code === 'ENOENT' ? 'no host runs here' : 'the host is not running';
  return new CommandFailure(
    'host.notRunning',
    `${reason} (${folder}). Start it with scripts/start, or name the data folder with --data.`,
  );
}

/** The default of --data: where scripts/start keeps everything; `current` in it names the folder in use. */
export const dataFolderDefault = process.env['SHOULI_DATA'] ?? 'data';

/** The data folder in use: the one named, or what its `current` points to. */
export function boxFolderOf(data: string): string {
  const current = path.resolve(data, 'current');
  return existsSync(current) ? realpathSync(current) : path.resolve(data);
}

/** The folder of the host inside a data folder. A host's own folder may be named directly too. */
export function hostFolderOf(data: string): string {
  const named = path.resolve(data);
  const isHostItself =
    existsSync(path.join(named, hostLayout.database)) && existsSync(path.join(named, hostLayout.keys));
  return isHostItself ? named : path.join(boxFolderOf(data), 'host');
}

/** Opens the socket of a host's folder lazily. */
export function openAdminClient(folder: string): AdminClient {
  const socketPath = path.join(folder, hostLayout.adminSocket);
  const client = new Client('http://localhost', {
    socketPath,
    headersTimeout: answerTimeoutMs,
    bodyTimeout: answerTimeoutMs,
  });
  return {
    call: async <T>(command: string, input: Readonly<Record<string, unknown>> = {}): Promise<T> => {
      const request = {
        method: 'POST' as const,
        path: `/v1/${command}`,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(input),
      };
      const response = await client.request(request).catch((error: unknown) => {
        throw unreachable(folder, error);
      });
      const answer: unknown = await response.body.json();
      if (response.statusCode === 200) return (answer as { readonly result: T }).result;
      const problem = problemSchema.safeParse(answer);
      if (!problem.success) throw new CommandFailure('host.answerInvalid', `the host answered ${response.statusCode}`);
      throw new CommandFailure(problem.data.code, problem.data.detail);
    },
    close: () => client.close(),
  };
}
