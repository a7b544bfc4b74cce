/**
 * Administration's door: a Unix socket that only the host's own user may open; POST /v1/<command> with a JSON object.
 * Must not listen on a network, nor check what a command needs (commands.ts does).
 */
import { chmodSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { type FastifyBaseLogger, fastify, LogController } from 'fastify';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import { ProblemError, schemaProblem, useProblems } from '../http/problem.js';
import { useStrictJson } from '../http/strict-json.js';
import type { Command } from './command.js';

/** sockaddr_un takes 108 bytes with its closing zero (unix(7)). */
export const socketPathBytesMax = 107;
const bodyBytesMax = 4 * 1024 * 1024;

/** Does somebody answer at this socket? A file that nobody listens on was left by a crash. */
export function isSocketAnswering(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Opens the socket, 0600. Throws `config.invalid` when its path is too long or another host answers there.
 * @returns how to close it: requests under way are finished
 */
export async function openAdminSocket(
  file: string,
  commands: readonly Command[],
  logger: FastifyBaseLogger,
): Promise<() => Promise<void>> {
  if (Buffer.byteLength(file) > socketPathBytesMax)
    throw new TerminalError(
      'config.invalid',
      `the path of the data folder is too long for a socket (${socketPathBytesMax} bytes with admin.sock)`,
    );
  if (await isSocketAnswering(file)) throw new TerminalError('config.invalid', 'another host runs on this data folder');
  rmSync(file, { force: true });
  const server = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyBytesMax,
    forceCloseConnections: 'idle',
  });
  useStrictJson(server);
  useProblems(server);
  for (const command of commands) {
    server.post(`/v1/${command.name}`, async (request) => {
      const input = command.input.safeParse(request.body ?? {});
      if (!input.success) throw schemaProblem(input.error);
      const outcome = await command.run(input.data);
      if (!outcome.ok) throw new ProblemError(outcome.error.code, outcome.error.detail);
      return { result: outcome.value ?? null };
    });
  }
  // Between creation and chmod the folder's 0700 keeps others out.
  await server.listen({ path: file });
  chmodSync(file, 0o600);
  return () => server.close();
}
