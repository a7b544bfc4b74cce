/**
 * Host over HTTP: the host port on undici pools with mutual TLS. Must not retry (the reducer decides that), and must
 * not log or keep anything that it carries.
 */

import { Socket } from 'node:net';
import { buildConnector, Pool } from 'undici';
import { err, ok } from '../../terminal/kernel/result.js';
import { inquiryResponseSchema } from '../protocol/inquiry.js';
import { smartTapResponseSchema } from '../protocol/smart-tap.js';
import {
  allowanceResponseSchema,
  authoriseResponseSchema,
  bellResponseSchema,
  directivesSchema,
  epochResponseSchema,
  paths,
  recordsResponseSchema,
  renewResponseSchema,
  sessionResponseSchema,
} from '../protocol/sync.js';
import { type ExchangeRequest, exchange, failure, nativeSchedule, type Schedule } from './exchange.js';
import type { HostPort, HostResult, TlsCredentials } from './host-port.js';

/** Connections at most: two batches, the bell, and room for what a sale or a tap asks, which must not wait behind them. */
export const connectionsMax = 6;
/** Largest answers that are read, in bytes: 200,000 products, 500 answers, and anything else. */
export const directivesBytesMax = 67_108_864;
export const recordsBytesMax = 2_097_152;
export const answerBytesMax = 65_536;
/** Longer than the usual poll, so that a tap finds a warm connection. */
const keepAliveMs = 75_000;

export interface HostHttpOptions {
  /** `https://host[:port]`; nothing else is accepted. */
  readonly origin: string;
  readonly credentials: TlsCredentials;
  /** To the end of the TLS handshake. */
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** Between two pieces of an answer; the whole is bounded by the deadline. */
  readonly bodyTimeoutMs: number;
  /** For everything but authorisation and sessions, whose deadline comes with the call. */
  readonly deadlineMs: number;
  readonly schedule?: Schedule;
}

export interface HostHttp extends HostPort {
  /** After a renewal: new connections use these; requests under way end on the old ones. */
  replaceCredentials(credentials: TlsCredentials): void;
  /** Breaks every connection; requests under way fail with host.noAnswer. */
  close(): Promise<void>;
}

/** The origin of an https URL without path, query or user; null for anything else. */
export function httpsOrigin(text: string): string | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const bare = url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password;
  return url.protocol === 'https:' && bare ? url.origin : null;
}

export interface PoolOptions {
  readonly origin: string;
  readonly authorityPem: string;
  readonly identity: { readonly certificatePem: string; readonly keyPem: string } | null;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
}

export interface HostPool {
  readonly pool: Pool;
  /** Breaks every connection, also those still coming about, which undici alone would wait for. */
  destroy(): Promise<void>;
}

/** A pool that trusts one authority and no other, TLS 1.2 or newer, the host's name checked by Node's own rules. */
export function openPool(options: PoolOptions): HostPool {
  const connector = buildConnector({
    timeout: options.connectTimeoutMs,
    ca: [options.authorityPem],
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // Every connection is verified anew: a resumed session would carry an old verdict.
    maxCachedSessions: 0,
    ...(options.identity && { cert: options.identity.certificatePem, key: options.identity.keyPem }),
  });
  const connecting = new Set<Socket>();
  const pool = new Pool(options.origin, {
    connections: connectionsMax,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    headersTimeout: options.headersTimeoutMs,
    bodyTimeout: options.bodyTimeoutMs,
    connect: (target, callback) => {
      // The connector gives its socket back at once, which its types do not say.
      const socket: unknown = connector(target, (...outcome) => {
        if (socket instanceof Socket) connecting.delete(socket);
        callback(...outcome);
      });
      if (socket instanceof Socket) connecting.add(socket);
    },
  });
  return {
    pool,
    destroy: async () => {
      const destroyed = pool.destroy();
      for (const socket of connecting) socket.destroy(new Error('closed'));
      await destroyed;
    },
  };
}

/** Opens nothing yet: the first request connects. Throws on an origin that is not https: that is a configuration's bug. */
export function createHostHttp(options: HostHttpOptions): HostHttp {
  const origin = httpsOrigin(options.origin);
  if (!origin) throw new TypeError('the host is reached by https:// only');
  const schedule = options.schedule ?? nativeSchedule;
  const open = (credentials: TlsCredentials): HostPool =>
    openPool({ ...options, origin, authorityPem: credentials.authorityPem, identity: credentials });
  let credentials = options.credentials;
  let pool = open(credentials);
  let closed = false;
  const retired = new Set<HostPool>();

  /** Idle connections go at once, busy ones when their request ends, which its deadline bounds. */
  function renewPool(): void {
    const old = pool;
    retired.add(old);
    void old.pool
      .close()
      .then(() => old.destroy())
      .finally(() => retired.delete(old));
    pool = open(credentials);
  }

  async function ask<T>(request: ExchangeRequest<T>): Promise<HostResult<T>> {
    if (closed) return err(failure('host.unreachable', 'closed'));
    const used = pool;
    const result = await exchange(used.pool, request, schedule);
    // A dead route kills every connection of its time: the next request must not wait for each of them in turn.
    if (!result.ok && result.error.code === 'host.noAnswer' && used === pool && !closed) renewPool();
    return result;
  }
  /**
   * For an answer that is of no use after a deadline far shorter than a handshake: the caller is let go at its deadline, and
   * the request goes on behind it, so that the next one finds its connection. One at a time goes on; others break off, alone.
   */
  let goesOn = false;
  async function askBriefly<T>(request: ExchangeRequest<T>): Promise<HostResult<T>> {
    if (closed) return ask(request);
    if (goesOn) return exchange(pool.pool, request, schedule);
    goesOn = true;
    const whole = ask({ ...request, deadlineMs: Math.max(request.deadlineMs, options.connectTimeoutMs) }).finally(
      () => {
        goesOn = false;
      },
    );
    return new Promise((resolve, reject) => {
      const late = failure('host.noAnswer', 'no answer within the deadline');
      const cancel = schedule(request.deadlineMs, () => resolve(err(late)));
      whole.finally(cancel).then(resolve, reject);
    });
  }
  const posted = <T>(
    path: string,
    body: unknown,
    schema: ExchangeRequest<T>['schema'],
    more: Partial<ExchangeRequest<T>> = {},
  ): ExchangeRequest<T> => ({
    ...{ method: 'POST', path, body, schema },
    ...{ deadlineMs: options.deadlineMs, responseBytesMax: answerBytesMax },
    ...more,
  });
  const post = <T>(
    path: string,
    body: unknown,
    schema: ExchangeRequest<T>['schema'],
    more: Partial<ExchangeRequest<T>> = {},
  ) => ask<T>(posted(path, body, schema, more));

  return {
    authorise: (record, newestSeen, deadlineMs) =>
      post(paths.authorise, { record, newestSeen }, authoriseResponseSchema, { deadlineMs }),
    sendRecords: async (records, transactionIds, newestSeen) => {
      const result = await post(paths.records, { records, newestSeen }, recordsResponseSchema, {
        responseBytesMax: recordsBytesMax,
      });
      if (!result.ok) return result;
      const { answers } = result.value;
      const fits =
        answers.length === records.length && answers.every((answer, at) => answer.transactionId === transactionIds[at]);
      return fits ? result : err(failure('host.answerInvalid', 'the answers are not those of the records sent'));
    },
    openSession: (request, deadlineMs) => post(paths.session, request, sessionResponseSchema, { deadlineMs }),
    inquire: (request, deadlineMs) => post(paths.inquiry, request, inquiryResponseSchema, { deadlineMs }),
    signSmartTap: (request, deadlineMs) =>
      askBriefly(posted(paths.smartTap, request, smartTapResponseSchema, { deadlineMs })),
    directives: (catalogueVersion) =>
      ask({
        method: 'GET',
        path: catalogueVersion === null ? paths.directives : `${paths.directives}?catalogueVersion=${catalogueVersion}`,
        schema: directivesSchema,
        deadlineMs: options.deadlineMs,
        responseBytesMax: directivesBytesMax,
      }),
    bell: async (known, waitMs) => {
      const result = await ask({
        method: 'GET',
        path: `${paths.bell}?known=${known}&waitMs=${waitMs}`,
        schema: bellResponseSchema,
        deadlineMs: waitMs + options.deadlineMs,
        responseBytesMax: answerBytesMax,
      });
      return result.ok ? ok(result.value.version) : result;
    },
    requestAllowance: (request) => post(paths.allowances, request, allowanceResponseSchema),
    raiseEpoch: (reason) => post(paths.epoch, { reason }, epochResponseSchema),
    renew: (request) => post(paths.renew, { request }, renewResponseSchema),
    replaceCredentials: (next) => {
      credentials = next;
      if (!closed) renewPool();
    },
    close: async () => {
      closed = true;
      await Promise.all([pool, ...retired].map((each) => each.destroy()));
    },
  };
}
