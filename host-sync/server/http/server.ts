/**
 * The terminals' interface: TLS with client certificates that we judge ourselves, the routes of contract.ts, and their limits.
 * Must not decide about records or members; it asks the host and answers what it said.
 */
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import rateLimit from '@fastify/rate-limit';
import { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify';
import type { Clock } from '../../../terminal/kernel/ports.js';
import type { Authority } from '../pki/authority.js';
import { identifyPeer, type Peer } from '../pki/peer.js';
import { decideAccess } from './access.js';
import { AlarmDamper } from './alarm-damper.js';
import { ConnectionGuard, type ConnectionLimits, connectionLimitsDefault } from './connections.js';
import { type Operation, operations } from './contract.js';
import { createHandlers, type HandlerOptions, type Handlers } from './handlers.js';
import { ProblemError, schemaProblem, useProblems } from './problem.js';
import { useStrictJson } from './strict-json.js';

export interface TerminalServerOptions extends HandlerOptions {
  readonly clock: Clock;
  readonly logger: FastifyBaseLogger;
  readonly limits?: Partial<TerminalServerLimits>;
}

export interface TerminalServerLimits {
  readonly connections: ConnectionLimits;
  /** Enrolment requests a minute, from one address and from all together. */
  readonly enrolPerAddressMax: number;
  readonly enrolTotalMax: number;
  readonly handshakeTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}
export const terminalServerLimitsDefault: TerminalServerLimits = {
  connections: connectionLimitsDefault,
  enrolPerAddressMax: 20,
  enrolTotalMax: 120,
  handshakeTimeoutMs: 5_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 120_000,
};

export interface TerminalServer {
  /** Listens; 0 takes any free port. @returns the port */
  listen(port: number, address: string): Promise<number>;
  /** Takes no new connections, finishes requests under way, closes. */
  close(): Promise<void>;
}

function createFastify(options: TerminalServerOptions, limits: TerminalServerLimits): FastifyInstance {
  return fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: 16_384,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionTimeout: limits.requestTimeoutMs + limits.keepAliveTimeoutMs,
    maxRequestsPerSocket: 0,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    exposeHeadRoutes: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    routerOptions: { maxParamLength: 32 },
    https: {
      key: options.authority.server.keyPem,
      // With the authority: a box that was given its fingerprint finds it here.
      cert: `${options.authority.server.certificatePem}${options.authority.certificatePem}`,
      ca: options.authority.certificatePem,
      // Every certificate gets through the handshake, so that an expired or revoked terminal can be told what to do;
      // identifyPeer judges it afterwards, with node:crypto.
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      handshakeTimeout: limits.handshakeTimeoutMs,
      maxHeaderSize: 8_192,
      headersTimeout: limits.headersTimeoutMs,
      connectionsCheckingInterval: 1_000,
    },
  }) as unknown as FastifyInstance;
}

/** Who is at the other end, worked out once a connection. */
function createPeerReader(authority: Authority): (socket: TLSSocket) => Peer {
  const known = new WeakMap<TLSSocket, Peer>();
  return (socket) => {
    const before = known.get(socket);
    if (before) return before;
    const peer = identifyPeer(socket.getPeerX509Certificate(), authority.certificate);
    known.set(socket, peer);
    return peer;
  };
}

interface RouteParts {
  readonly options: TerminalServerOptions;
  readonly peerOf: (socket: TLSSocket) => Peer;
  readonly handlers: Handlers;
  readonly damper: AlarmDamper;
}

function addRoute(server: FastifyInstance, operation: Operation, parts: RouteParts): void {
  const { options, peerOf, handlers, damper } = parts;
  const terminals = new WeakMap<FastifyRequest, string>();
  const admit = async (request: FastifyRequest): Promise<void> => {
    if (operation.access === 'anyone') return;
    const peer = peerOf(request.raw.socket as TLSSocket);
    const terminal = peer.kind === 'terminal' ? await options.host.terminals.get(peer.terminalId) : null;
    const decision = decideAccess(operation.access, peer, terminal, options.clock.wallMs());
    if (decision.allowed) {
      terminals.set(request, decision.terminalId ?? '');
      return;
    }
    const { alarm } = decision;
    const sameness = `${alarm?.code}/${alarm?.terminalId}/${request.ip}`;
    if (alarm && damper.isDue(sameness, options.clock.monotonicMs()))
      await options.host.alarm(alarm.code, alarm.terminalId, request.ip, decision.detail);
    throw new ProblemError(decision.code, decision.detail);
  };
  server.route({
    method: operation.method,
    url: operation.path,
    ...(operation.bodyBytesMax > 0 ? { bodyLimit: operation.bodyBytesMax } : {}),
    // Before the body is read: a stranger cannot make the host take 16 MB.
    onRequest: admit,
    handler: async (request) => {
      const body = operation.request?.safeParse(request.body);
      if (body && !body.success) throw schemaProblem(body.error);
      const query = operation.query?.safeParse(request.query);
      if (query && !query.success) throw schemaProblem(query.error);
      return handlers[operation.name]({
        terminalId: terminals.get(request) ?? '',
        body: body?.data,
        query: query?.data,
        address: request.ip,
      });
    },
  });
}

/** Counts enrolments before anything is checked, so that guessing costs the same whatever it hits. */
async function addEnrolmentLimits(server: FastifyInstance, limits: TerminalServerLimits): Promise<void> {
  const enrol = operations.find(({ name }) => name === 'enrol')?.path;
  await server.register(rateLimit, { global: false, cache: 4_096 });
  const perAddress = server.createRateLimit({ max: limits.enrolPerAddressMax, timeWindow: 60_000 });
  const total = server.createRateLimit({ max: limits.enrolTotalMax, timeWindow: 60_000, keyGenerator: () => 'all' });
  server.addHook('onRequest', async (request) => {
    if (request.routeOptions.url !== enrol) return;
    const counts = [await perAddress(request), await total(request)];
    for (const count of counts) {
      if (!count.isAllowed && count.isExceeded) throw new ProblemError('access.rateLimited', '', count.ttl);
    }
  });
}

/** Builds the server; it listens when told to. */
export async function createTerminalServer(options: TerminalServerOptions): Promise<TerminalServer> {
  const limits = { ...terminalServerLimitsDefault, ...options.limits };
  const server = createFastify(options, limits);
  const https = server.server as unknown as HttpsServer;
  const guard = new ConnectionGuard(limits.connections);
  const peerOf = createPeerReader(options.authority);
  https.on('connection', (socket) => guard.admit(socket as Socket));
  https.on('secureConnection', (socket) => {
    const peer = peerOf(socket);
    if (peer.kind === 'terminal') guard.prove(socket, peer.terminalId);
  });
  https.on('tlsClientError', (error) => {
    options.logger.debug({ reason: (error as NodeJS.ErrnoException).code ?? 'tls' }, 'handshake failed');
  });
  useStrictJson(server);
  useProblems(server);
  await addEnrolmentLimits(server, limits);
  server.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
  });
  const parts = { options, peerOf, handlers: createHandlers(options), damper: new AlarmDamper() };
  for (const operation of operations) addRoute(server, operation, parts);
  return {
    listen: async (port, host) => {
      await server.listen({ port, host });
      return (https.address() as AddressInfo).port;
    },
    close: async () => {
      guard.dropUnproven();
      await server.close();
    },
  };
}
