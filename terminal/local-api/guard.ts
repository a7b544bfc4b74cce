/**
 * Guard: who may talk to the local API at all: by Host and Origin (a page in a browser may not reach the box through a
 * name it owns), then by the pairing token. Refuses alike whatever was wrong with a token.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TerminalPort } from '../runtime/port.js';
import type { Schedule } from './event-stream.js';
import { bearsToken } from './pairing.js';
import { Refused } from './problem.js';

/** Wrong tokens in one window that are answered as such; more are answered access.rateLimited. */
export const wrongTokensMax = 10;
const windowMs = 60_000;

export interface GuardParts {
  readonly port: Pick<TerminalPort, 'setting' | 'recordAudit'>;
  readonly schedule: Schedule;
  readonly allowedOrigins: readonly string[];
}

const securityHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** True for a Host header that names this machine itself (RFC 9110 §7.2), with any port. */
export function isOwnHost(host: string | undefined): boolean {
  return /^(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?$/i.test(host ?? '');
}

/** Headers that let a page of an allowed origin read the answer (Fetch standard, CORS protocol). */
function allowPage(reply: FastifyReply, origin: string): void {
  reply
    .header('access-control-allow-origin', origin)
    .header('vary', 'Origin')
    .header('cross-origin-resource-policy', 'cross-origin');
}

/** Adds the checks in their order to every request, known address or not. `paired`: told of each socket with the token. */
export function guard(app: FastifyInstance, parts: GuardParts, paired: (socket: Socket) => void): void {
  let wrongInWindow = 0;
  let cancelWindow: () => void = () => undefined;

  const refuseToken = (): never => {
    wrongInWindow = Math.min(wrongInWindow + 1, wrongTokensMax + 1);
    if (wrongInWindow === 1) {
      cancelWindow = parts.schedule(windowMs, () => {
        wrongInWindow = 0;
      });
      // Once a window: each audit entry is a flush, and must not be a way to wear the disk out.
      parts.port.recordAudit('localApi', 'localApi.wrongToken', '');
    }
    throw new Refused(wrongInWindow > wrongTokensMax ? 'access.rateLimited' : 'access.denied');
  };

  app.addHook('onClose', async () => cancelWindow());
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    for (const [name, value] of Object.entries(securityHeaders)) reply.header(name, value);
    if (!isOwnHost(request.headers.host)) throw new Refused('access.denied', 'host', 403);
    const origin = request.headers.origin;
    if (origin !== undefined) {
      if (!parts.allowedOrigins.includes(origin)) throw new Refused('access.denied', 'origin', 403);
      allowPage(reply, origin);
      if (request.method === 'OPTIONS') {
        return reply
          .code(204)
          .header('access-control-allow-methods', 'GET, PUT, DELETE')
          .header('access-control-allow-headers', 'authorization, content-type, last-event-id')
          .header('access-control-allow-private-network', 'true')
          .header('access-control-max-age', '600')
          .send();
      }
    }
    if (!bearsToken(parts.port, request.headers.authorization)) refuseToken();
    paired(request.raw.socket);
    return undefined;
  });
}
