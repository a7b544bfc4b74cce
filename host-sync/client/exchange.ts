/**
 * Exchange: one JSON request and its answer over an undici dispatcher, with a deadline, bounded in size, checked by a
 * schema, every failure typed. Must not retry, choose credentials or log anything of a request or an answer.
 */
import type { Dispatcher } from 'undici';
import type { z } from 'zod';
import { decodeUtf8 } from '../../terminal/kernel/bytes.js';
import { type ErrorCode, isErrorCode } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { type Problem, problemSchema } from '../protocol/sync.js';
import { type HostFailure, type HostResult, retryAfterMaxMs } from './host-port.js';

/** Most bytes of a refusal's body that are read. */
export const problemBytesMax = 16_384;
const depthMax = 8;
const detailLengthMax = 300;

/** Starts after a delay in milliseconds; gives back how to cancel it. */
export type Schedule = (delayMs: number, run: () => void) => () => void;
export const nativeSchedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

export interface ExchangeRequest<T> {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly path: string;
  /** Sent as JSON; absent with GET. */
  readonly body?: unknown;
  readonly schema: z.ZodType<T>;
  /** From now to the last byte of the answer. */
  readonly deadlineMs: number;
  readonly responseBytesMax: number;
}

class DeadlinePassed extends Error {}

export const failure = (code: ErrorCode, detail: string, more: Partial<HostFailure> = {}): HostFailure => ({
  code,
  detail: printable(detail, detailLengthMax),
  httpStatus: null,
  retryAfterMs: null,
  ...more,
});

/** No connection came about, so nothing can have been sent. */
const unconnectedCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EAI_NODATA',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'UND_ERR_CONNECT_TIMEOUT',
]);
/** OpenSSL's verdicts on a chain, as Node names them, beside everything that starts with ERR_TLS_, ERR_SSL_, CERT_ or CRL_. */
const distrustCodes: ReadonlySet<string> = new Set([
  'EPROTO',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'UNABLE_TO_DECRYPT_CERT_SIGNATURE',
  'UNABLE_TO_GET_CRL',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'HOSTNAME_MISMATCH',
  'PATH_LENGTH_EXCEEDED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]);
/** Alerts by which the host turns down *our* certificate. */
const turnedDown = /ALERT_(BAD_CERT|CERTIFICATE|UNSUPPORTED_CERT|UNKNOWN_CA|ACCESS_DENIED)/;

/** Names what went wrong on the way. Takes whatever undici or TLS threw. */
export function transportFailure(error: unknown): HostFailure {
  if (error instanceof DeadlinePassed) return failure('host.noAnswer', 'no answer within the deadline');
  const { code, message } = error as { code?: unknown; message?: unknown };
  const name = typeof code === 'string' ? code : '';
  const detail = `${name} ${typeof message === 'string' ? message : ''}`.trim();
  if (unconnectedCodes.has(name)) return failure('host.unreachable', detail);
  if (turnedDown.test(name)) return failure('host.refused', detail);
  if (distrustCodes.has(name) || /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_)/.test(name)) return failure('host.untrusted', detail);
  if (name === 'UND_ERR_HEADERS_OVERFLOW' || name.startsWith('HPE_')) return failure('host.answerInvalid', detail);
  return failure('host.noAnswer', detail);
}

/** The whole body, or null when it is longer than allowed; leaving early closes its connection. */
async function readBounded(body: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function parseBody<T>(bytes: Uint8Array, schema: z.ZodType<T>, lengthMax: number): HostResult<T> {
  const text = decodeUtf8(bytes);
  if (!text.ok) return err(failure('host.answerInvalid', text.error.detail));
  const json = parseJson(text.value, { lengthMax, depthMax });
  if (!json.ok) return err(failure('host.answerInvalid', json.error.detail));
  const parsed = schema.safeParse(json.value);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  // Where it is wrong, never what was there: an answer may hold session keys.
  return err(failure('host.answerInvalid', `${issue?.path.join('.') ?? ''}: ${issue?.code ?? 'does not fit'}`));
}

/** `Retry-After` in seconds (RFC 9110 §10.2.3); its date form is not used by this protocol. */
function retryAfterMs(header: string | string[] | undefined): number | null {
  const match = typeof header === 'string' ? /^[0-9]{1,7}$/.exec(header.trim()) : null;
  return match ? Math.min(retryAfterMaxMs, Number(match[0]) * 1000) : null;
}

function refusal(status: number, headers: Dispatcher.ResponseData['headers'], bytes: Uint8Array | null): HostFailure {
  const parsed: HostResult<Problem> | null = bytes && parseBody(bytes, problemSchema, problemBytesMax);
  const more = { httpStatus: status, retryAfterMs: retryAfterMs(headers['retry-after']) };
  if (parsed?.ok) {
    const { code, detail } = parsed.value;
    return isErrorCode(code)
      ? failure(code, detail, more)
      : failure('host.refused', `HTTP ${status} ${code}: ${detail}`, more);
  }
  return failure(status === 429 || status === 503 ? 'host.busy' : 'host.refused', `HTTP ${status}`, more);
}

async function ask<T>(
  dispatcher: Dispatcher,
  request: ExchangeRequest<T>,
  signal: AbortSignal,
): Promise<HostResult<T>> {
  const response = await dispatcher.request({
    method: request.method,
    path: request.path,
    signal,
    headers: { accept: 'application/json', ...(request.body !== undefined && { 'content-type': 'application/json' }) },
    ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
  });
  const accepted = response.statusCode === 200 || response.statusCode === 201;
  const bytesMax = accepted ? request.responseBytesMax : problemBytesMax;
  const bytes = await readBounded(response.body, bytesMax);
  if (!accepted) return err(refusal(response.statusCode, response.headers, bytes));
  if (!bytes) return err(failure('host.answerInvalid', `answer over ${bytesMax} bytes`));
  return parseBody(bytes, request.schema, bytesMax);
}

/**
 * Sends one request and reads its answer.
 * @returns the checked answer, or a HostFailure; resolves at `deadlineMs` at the latest and never throws for the network
 */
export async function exchange<T>(
  dispatcher: Dispatcher,
  request: ExchangeRequest<T>,
  schedule: Schedule,
): Promise<HostResult<T>> {
  const controller = new AbortController();
  let cancelDeadline: () => void = () => {};
  // The signal alone is not enough: undici heeds it only once a connection has come about.
  const deadline = new Promise<never>((_resolve, reject) => {
    cancelDeadline = schedule(request.deadlineMs, () => {
      const reason = new DeadlinePassed();
      controller.abort(reason);
      reject(reason);
    });
  });
  try {
    return await Promise.race([ask(dispatcher, request, controller.signal), deadline]);
  } catch (error) {
    return err(transportFailure(controller.signal.aborted ? controller.signal.reason : error));
  } finally {
    cancelDeadline();
  }
}
