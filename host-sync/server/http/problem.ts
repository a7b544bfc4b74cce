/**
 * Problems: how a refused request is answered, `{code, detail}` with a status, and nothing else of what went wrong inside.
 * Must never carry a stack, a path or a value from the request.
 */
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import { printable } from '../../../terminal/kernel/redaction.js';
import { statusOf } from './contract.js';

const detailLengthMax = 300;

/** A refusal with a code, thrown by handlers and turned into an answer below. `retryAfterMs` becomes Retry-After. */
export class ProblemError extends Error {
  constructor(
    readonly code: string,
    readonly detail: string,
    readonly retryAfterMs: number | null = null,
  ) {
    super(code);
    this.name = 'ProblemError';
  }
}

/** The first thing a schema objects to: where, and what was expected. Values are never repeated. */
export function schemaProblem(error: z.ZodError): ProblemError {
  const issue = error.issues[0];
  const where = issue?.path.map(String).join('.') || 'body';
  return new ProblemError('input.malformed', `${where}: ${issue?.message ?? 'does not fit'}`);
}

function toProblem(error: FastifyError | ProblemError | Error): {
  readonly problem: ProblemError;
  readonly isFault: boolean;
} {
  if (error instanceof ProblemError) return { problem: error, isFault: false };
  if (error instanceof TerminalError) return { problem: new ProblemError(error.code, '', 1_000), isFault: true };
  const { code = '', statusCode = 500 } = error as FastifyError;
  if (statusCode === 413)
    return { problem: new ProblemError('input.tooLong', 'the body is too large'), isFault: false };
  if (statusCode === 415)
    return { problem: new ProblemError('input.unsupported', 'application/json wanted'), isFault: false };
  if (statusCode === 429) return { problem: new ProblemError('access.rateLimited', '', 60_000), isFault: false };
  if (statusCode >= 400 && statusCode < 500)
    return { problem: new ProblemError('input.malformed', code.startsWith('FST_') ? code : ''), isFault: false };
  return { problem: new ProblemError('host.storeFailed', '', 1_000), isFault: true };
}

function send(reply: FastifyReply, problem: ProblemError): FastifyReply {
  if (problem.retryAfterMs !== null) reply.header('retry-after', String(Math.ceil(problem.retryAfterMs / 1000)));
  return reply
    .code(statusOf(problem.code))
    .send({ code: problem.code, detail: printable(problem.detail, detailLengthMax) });
}

/** Every error of the server becomes a problem; a fault of our own is logged with its stack and answered without. */
export function useProblems(server: FastifyInstance): void {
  server.setErrorHandler((error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
    const { problem, isFault } = toProblem(error);
    if (isFault) request.log.error({ err: error, url: request.routeOptions.url }, 'request failed');
    else request.log.info({ problem: problem.code, url: request.routeOptions.url }, 'request refused');
    return send(reply, problem);
  });
  server.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: 'input.unsupported', detail: 'no such resource' }),
  );
}
