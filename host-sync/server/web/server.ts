/**
 * The member's pages over HTTP: the page's own files and six calls for it. A session is a cookie that scripts cannot read.
 * Must not show a stranger whether a number is a member's, and must not serve another site's page.
 */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import rateLimit from '@fastify/rate-limit';
import { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify';
import { z } from 'zod';
import { ProblemError, schemaProblem, useProblems } from '../http/problem.js';
import { useStrictJson } from '../http/strict-json.js';
import type { MessagePort, Schedule } from '../messages/port.js';
import type { MemberPages } from '../service/types.js';

export interface MemberPagesOptions {
  readonly pages: MemberPages;
  readonly messages: Pick<MessagePort, 'send'>;
  readonly schedule: Schedule;
  readonly logger: FastifyBaseLogger;
  /** Names by which browsers may call, besides localhost and 127.0.0.1. */
  readonly hostNames: readonly string[];
  /** Certificate chain and key in PEM; null: plain HTTP, for this machine or behind a proxy that ends TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  /** The browser's side is TLS, here or at the proxy: cookies are marked so. */
  readonly secure: boolean;
}

export interface MemberPagesServer {
  listen(port: number, address: string): Promise<number>;
  close(): Promise<void>;
}

/** No answer to a login comes sooner: what it cost inside must not show. */
export const loginAnswerMs = 400;
/** Codes being drawn and sent at one time; more are refused. */
const drawsMax = 64;
const bodyBytesMax = 1_024;
const cookieName = 'shouli';
const notLoggedIn = (): ProblemError => new ProblemError('access.denied', 'log in first');

/** The page's files by path; they lie beside this file once built. */
const files = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
  '/service-worker.js': { file: 'service-worker.js', type: 'text/javascript; charset=utf-8' },
  '/manifest.webmanifest': { file: 'manifest.json', type: 'application/manifest+json' },
  '/icon.svg': { file: 'icon.svg', type: 'image/svg+xml' },
} as const;

const headers = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

const phoneSchema = z.string().regex(/^\+?[0-9]{5,20}$/);
const codeRequestSchema = z.strictObject({ phone: phoneSchema });
const sessionRequestSchema = z.strictObject({ phone: phoneSchema, code: z.string().regex(/^[0-9]{6}$/) });

function parse<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw schemaProblem(parsed.error);
  return parsed.data;
}

/** The session's token; null where there is none or it has not the form of one. */
function tokenOf(request: FastifyRequest): string | null {
  const found = /(?:^|; ?)shouli=([0-9a-f]{64})(?:;|$)/.exec(request.headers.cookie ?? '');
  return found?.[1] ?? null;
}

/** `name` of `name:port`, also of `[::1]:port`. */
const hostNameOf = (authority: string): string => authority.replace(/:[0-9]+$/, '').toLowerCase();

/**
 * Refuses a name that is not ours (DNS rebinding) and a request that another site's page makes (CSRF): what changes
 * something must come from a page of the very host it was sent to.
 */
function checkOrigin(request: FastifyRequest, names: ReadonlySet<string>): void {
  const authority = request.headers.host ?? '';
  if (!names.has(hostNameOf(authority))) throw new ProblemError('access.denied', 'not a name of this host');
  if (request.method === 'GET' || request.method === 'HEAD') return;
  const { origin } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const isOwn = origin !== undefined && URL.canParse(origin) && new URL(origin).host === authority;
  if (!isOwn || (site !== undefined && site !== 'same-origin'))
    throw new ProblemError('access.denied', 'not from a page of this host');
}

export async function createMemberPagesServer(options: MemberPagesOptions): Promise<MemberPagesServer> {
  const { pages, messages, schedule, logger, tls } = options;
  const server = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    // A proxy on this machine says whose request it hands on; from elsewhere nobody is believed.
    trustProxy: ['127.0.0.1', '::1'],
    bodyLimit: bodyBytesMax,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 10_000,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    ...(tls ? { https: { key: tls.key, cert: tls.certificate, minVersion: 'TLSv1.2' as const } } : {}),
  }) as unknown as FastifyInstance;
  server.server.maxConnections = 512;
  const names = new Set(['localhost', '127.0.0.1', '[::1]', ...options.hostNames.map((name) => name.toLowerCase())]);
  useStrictJson(server);
  useProblems(server);
  await server.register(rateLimit, { global: false, cache: 4_096 });
  const perAddress = server.createRateLimit({ max: 20, timeWindow: 60_000 });
  const limitLogin = async (request: FastifyRequest): Promise<void> => {
    const count = await perAddress(request);
    if (!count.isAllowed && count.isExceeded) throw new ProblemError('access.rateLimited', '', count.ttl);
  };
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(headers);
    checkOrigin(request, names);
  });

  const folder = path.join(import.meta.dirname, 'page');
  for (const [url, { file, type }] of Object.entries(files)) {
    const content = readFileSync(path.join(folder, file));
    // Asked again each time (a changed page is there at once); offline the service worker has its copy.
    server.get(url, async (_request, reply) => reply.type(type).header('cache-control', 'no-cache').send(content));
  }
  addCalls(server, options, limitLogin, drawer(options, messages, logger), schedule);
  return {
    listen: async (port, host) => {
      await server.listen({ port, host });
      return (server.server.address() as AddressInfo).port;
    },
    close: () => server.close(),
  };

  function addCalls(
    app: FastifyInstance,
    { secure }: MemberPagesOptions,
    limit: (request: FastifyRequest) => Promise<void>,
    draw: (phone: string) => void,
    wait: Schedule,
  ): void {
    const cookie = (value: string, seconds: number): string =>
      `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? '; Secure' : ''}`;
    app.addHook('onSend', async (request, reply) => {
      if (request.url.startsWith('/v1/')) reply.header('cache-control', 'no-store');
    });
    app.post('/v1/code', { onRequest: limit }, async (request, reply) => {
      draw(parse(codeRequestSchema, request.body).phone);
      return reply.code(202).send({});
    });
    app.post('/v1/session', { onRequest: limit }, async (request, reply) => {
      const { phone, code } = parse(sessionRequestSchema, request.body);
      const due = new Promise<void>((resolve) => void wait(loginAnswerMs, resolve));
      const opened = await pages.open(phone, code);
      await due;
      if (!opened.ok) throw new ProblemError(opened.error.code, '');
      const { token, ...shown } = opened.value;
      reply.header('set-cookie', cookie(token, 30 * 86_400));
      return shown;
    });
    app.delete('/v1/session', async (request, reply) => {
      const token = tokenOf(request);
      if (token !== null) await pages.close(token);
      return reply.header('set-cookie', cookie('', 0)).code(204).send();
    });
    app.get('/v1/overview', async (request) => {
      const token = tokenOf(request);
      const memberCodes = token === null ? null : await pages.membersOf(token);
      if (!memberCodes) throw notLoggedIn();
      const overviews = await Promise.all(memberCodes.map((memberCode) => pages.overview(memberCode)));
      return { memberships: overviews.filter((overview) => overview !== null) };
    });
    app.post('/v1/codes', { onRequest: limit }, async (request) => {
      parse(z.strictObject({}), request.body);
      const token = tokenOf(request);
      const codes = token === null ? null : await pages.moreCodes(token);
      if (!codes) throw notLoggedIn();
      return { codes };
    });
  }
}

/** Draws and sends codes behind the answer, so that its time says nothing of the number. */
function drawer(
  { pages }: MemberPagesOptions,
  messages: Pick<MessagePort, 'send'>,
  logger: FastifyBaseLogger,
): (phone: string) => void {
  let open = 0;
  return (phone) => {
    if (open >= drawsMax) throw new ProblemError('access.rateLimited', '', 10_000);
    open++;
    const work = async (): Promise<void> => {
      const drawn = await pages.drawCode(phone);
      if (!drawn) return;
      const text = `【${drawn.merchant}】验证码 ${drawn.code}，5 分钟内有效。Code ${drawn.code}, valid for 5 minutes.`;
      await messages.send({ to: drawn.to, text });
    };
    work()
      .catch((error: unknown) => logger.error({ err: error }, 'a login code was not sent'))
      .finally(() => {
        open--;
      });
  };
}
