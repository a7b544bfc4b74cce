/**
 * Server: the local API on 127.0.0.1 and nowhere else: limits, strict JSON, checks in their order, problems.
 * Must not hold a route; routes.ts has them.
 */
import type { AddressInfo, Socket } from 'node:net';
import fastifyRateLimit from '@fastify/rate-limit';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors, validatorCompiler } from 'fastify-type-provider-zod';
import { decodeUtf8 } from '../kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import type { Random } from '../kernel/ports.js';
import type { TerminalPort } from '../runtime/port.js';
import { Connections } from './connections.js';
import { EventStreams, type Schedule } from './event-stream.js';
import { guard } from './guard.js';
import { pairTill } from './pairing.js';
import { type CheckIssue, issueCode, problemBody, Refused } from './problem.js';
import { addRoutes } from './routes.js';

export const bodyBytesMax = 65_536;
const bodyDepthMax = 8;
/** Longer than the longest wait and the heartbeat. */
const silenceMostMs = 120_000;

export interface ServerLimits {
  /** A request's head, then its whole, must have come within these. */
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly checkingIntervalMs: number;
  /** Requests a second from this machine. */
  readonly requestsPerSecondMax: number;
}
export const serverLimitsDefault: ServerLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  checkingIntervalMs: 1_000,
  requestsPerSecondMax: 200,
};

export interface LocalApiParts {
  readonly port: TerminalPort;
  readonly random: Random;
  readonly schedule: Schedule;
  /** TCP port on 127.0.0.1; 0 lets the system choose one. */
  readonly listenPort: number;
  /** Web origins whose pages may call, like https://till.example; others are refused. */
  readonly allowedOrigins: readonly string[];
  /** Where the pairing token is written once, mode 0600, for whoever sets up the till. */
  readonly tokenFile: string;
  /** A bug met while a call was served, after the till was answered box.failed. Absent: thrown, which ends the process. */
  readonly onBug?: (error: unknown) => void;
  readonly limits?: ServerLimits;
}

export interface RunningLocalApi {
  /** TCP port on 127.0.0.1. */
  readonly port: number;
  readonly tokenFile: string;
  /** Ends followers and waiting calls and closes; resolves when the port is free. */
  close(): Promise<void>;
}

const throwOutside = (error: unknown): void => {
  setImmediate(() => {
    throw error;
  });
};

/** Bytes to JSON by the kernel's strict rules. */
function readBody(bytes: Buffer): unknown {
  const text = decodeUtf8(bytes);
  if (!text.ok) throw new Refused(text.error.code, text.error.detail);
  const json = parseJson(text.value, { lengthMax: bodyBytesMax, depthMax: bodyDepthMax });
  if (!json.ok) throw new Refused(json.error.code, `${json.error.detail} at ${json.error.offset}`);
  return json.value;
}

const problem = (reply: FastifyReply, status: number, code: ErrorCode, detail = ''): FastifyReply =>
  reply.code(status).header('content-type', 'application/json; charset=utf-8').send(problemBody(code, detail));

/** The library's own refusals, by its codes. */
const libraryRefusals: Readonly<Record<string, readonly [status: number, code: ErrorCode, detail: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'input.tooLong', `a body has at most ${bodyBytesMax} bytes`],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'input.unsupported', 'send application/json'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'input.malformed', 'the body is empty'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [400, 'input.malformed', 'the body is not as long as it says'],
  FST_ERR_BAD_URL: [404, 'request.notFound', ''],
  FST_ERR_MAX_PARAM_LENGTH: [414, 'input.tooLong', ''],
};

function answerError(
  error: FastifyError | Refused | TerminalError,
  request: FastifyRequest,
  reply: FastifyReply,
  onBug: (error: unknown) => void,
) {
  if (error instanceof Refused) {
    if (error.status === 429) reply.header('retry-after', '60');
    if (error.status === 401) reply.header('www-authenticate', 'Bearer');
    return problem(reply, error.status, error.code, error.detail);
  }
  if (error instanceof TerminalError) return problem(reply, 503, error.code, error.detail);
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issue: CheckIssue | undefined = error.validation[0];
    const where = error.validationContext ?? 'request';
    // A path that cannot name a sale names none; only who wants to make one is told why.
    if (where === 'params' && request.method !== 'PUT') return problem(reply, 404, 'sale.unknown');
    const code = issue ? issueCode(issue) : 'input.malformed';
    return problem(reply, 400, code, `${where}${issue?.instancePath ?? ''}: ${issue?.message ?? ''}`);
  }
  const refusal = libraryRefusals[error.code];
  if (refusal) return problem(reply, ...refusal);
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return problem(reply, error.statusCode, 'input.malformed');
  }
  onBug(error);
  return problem(reply, 500, 'box.failed');
}

/** The whole server, not yet listening; OpenAPI and tests use it so. */
export async function buildLocalApi(
  parts: Omit<LocalApiParts, 'listenPort' | 'tokenFile' | 'random'>,
  /** Runs before the routes are added: what must see them come. */
  before: (app: FastifyInstance) => Promise<void> = async () => undefined,
): Promise<{ readonly app: FastifyInstance; readonly streams: EventStreams }> {
  const limits = parts.limits ?? serverLimitsDefault;
  const onBug = parts.onBug ?? throwOutside;
  const app = fastify({
    bodyLimit: bodyBytesMax,
    connectionTimeout: silenceMostMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: 30_000,
    maxRequestsPerSocket: 10_000,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200 },
    http: {
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: limits.checkingIntervalMs,
      maxHeaderSize: 8_192,
    },
    frameworkErrors: (error, request, reply) => {
      answerError(error, request as unknown as FastifyRequest, reply as unknown as FastifyReply, onBug);
    },
    clientErrorHandler: (_error, socket) => {
      if (!socket.writable) {
        socket.destroy();
        return;
      }
      const body = JSON.stringify(problemBody('input.malformed'));
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
      );
      // The other side may keep its half open for as long as it likes; its place is needed.
      socket.destroySoon();
    },
  });
  const connections = new Connections();
  app.server.on('connection', (socket: Socket) => connections.admit(socket));
  app.setValidatorCompiler(validatorCompiler);
  // Bodies are made field by field in wire.ts and typed by the schemas; checking them again would only add a way to fail.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      // Clients that name the type on every request send it without a body too; where one is due, its schema says so.
      done(null, body.length === 0 ? undefined : readBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  app.setErrorHandler((error: FastifyError, request, reply) => answerError(error, request, reply, onBug));
  app.setNotFoundHandler((_request, reply) => problem(reply, 404, 'request.notFound'));
  guard(app, parts, (socket) => connections.pair(socket));
  await before(app);
  await app.register(fastifyRateLimit, {
    max: limits.requestsPerSecondMax,
    timeWindow: 1_000,
    errorResponseBuilder: () => new Refused('access.rateLimited'),
  });
  const streams = new EventStreams(parts.port, parts.schedule);
  addRoutes(app, { port: parts.port, streams });
  return { app, streams };
}

/**
 * Serves the local API on 127.0.0.1, having drawn the pairing token where there is none.
 * @throws TerminalError device.busy when the TCP port is taken, device.denied when it may not be opened, store.*
 */
export async function startLocalApi(parts: LocalApiParts): Promise<RunningLocalApi> {
  const { listenPort, tokenFile } = parts;
  pairTill(parts.port, parts.random, tokenFile);
  const { app, streams } = await buildLocalApi(parts);
  try {
    await app.listen({ host: '127.0.0.1', port: listenPort });
  } catch (error) {
    await app.close();
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE')
      throw new TerminalError('device.busy', `TCP port ${listenPort} of the local API is taken`);
    if (code === 'EACCES') throw new TerminalError('device.denied', `TCP port ${listenPort} of the local API`);
    throw error;
  }
  return {
    port: (app.server.address() as AddressInfo).port,
    tokenFile,
    close: async () => {
      streams.closeAll();
      await app.close();
    },
  };
}
