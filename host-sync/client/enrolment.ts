/**
 * Enrolment and renewal: how the box gets its certificate from the host, once by a code, later by the old certificate.
 * Must not send anything before the host has proven to be the one the operator named, and never logs code or key.
 */

import { hex } from '../../terminal/kernel/bytes.js';
import type { ErrorCode } from '../../terminal/kernel/errors.js';
import type { Random } from '../../terminal/kernel/ports.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { enrolRequestSchema, enrolResponseSchema, paths } from '../protocol/sync.js';
import { drawKeyAndRequest } from './certificate-request.js';
import { type Credentials, loadCredentials, type SealOptions, storeCredentials } from './credentials.js';
import { exchange, nativeSchedule, type Schedule } from './exchange.js';
import type { HostPort } from './host-port.js';
import { answerBytesMax, httpsOrigin, openPool } from './http.js';
import { fetchPinnedAuthority, readCertificate, readFingerprint } from './trust.js';

export const enrolmentDeadlineMs = 20_000;

export interface EnrolmentFailure {
  readonly code: ErrorCode;
  readonly detail: string;
}

export interface EnrolOptions extends SealOptions {
  readonly hostOrigin: string;
  /** The one-time code, `XXXX-XXXX-XXXX-XXXX`. Secret. */
  readonly code: string;
  /** How the host is known: its authority itself, or that certificate's SHA-256 in hex. There is no third way. */
  readonly trust: { readonly authorityPem: string } | { readonly fingerprint: string };
  readonly realm: 'real' | 'simulated';
  /** The keys folder; made where absent. */
  readonly folder: string;
  /** Common name asked for; the host decides. */
  readonly name?: string;
  readonly random: Random;
  readonly schedule?: Schedule;
  /** For each of the at most two exchanges with the host. */
  readonly deadlineMs?: number;
}

export interface Enrolment {
  readonly terminalId: string;
  readonly epoch: number;
}

const fail = (code: ErrorCode, detail: string): Result<never, EnrolmentFailure> => err({ code, detail });

async function resolveAuthority(
  options: EnrolOptions,
  origin: string,
  schedule: Schedule,
  deadlineMs: number,
): Promise<Result<string, EnrolmentFailure>> {
  if ('authorityPem' in options.trust) {
    const { authorityPem } = options.trust;
    return readCertificate(authorityPem)?.ca
      ? ok(authorityPem)
      : fail('config.invalid', 'the authority file is not the certificate of an authority');
  }
  const fingerprint = readFingerprint(options.trust.fingerprint);
  if (!fingerprint) return fail('config.invalid', 'the fingerprint must be 64 hex digits (SHA-256)');
  return fetchPinnedAuthority(origin, fingerprint, deadlineMs, schedule);
}

/**
 * Enrols the box: draws a key, asks the host for a certificate with the code, and stores everything at once. Where it
 * is enrolled already, nothing is sent and the stored identity is returned, so that it may be run again. A code is used
 * up by the host before its answer arrives: when that answer is lost, a new code must be drawn.
 * @returns the identity, or `config.invalid` · `enrolment.*` · `record.wrongRealm` · `host.*` · `store.failed`
 */
export async function enrol(options: EnrolOptions): Promise<Result<Enrolment, EnrolmentFailure>> {
  const { realm, folder, random } = options;
  const schedule = options.schedule ?? nativeSchedule;
  const deadlineMs = options.deadlineMs ?? enrolmentDeadlineMs;
  const known = loadCredentials(folder, options);
  if (!known.ok) return known;
  if (known.value) {
    if (known.value.realm !== realm)
      return fail('record.wrongRealm', `this folder is enrolled as ${known.value.realm}`);
    return ok({ terminalId: known.value.terminalId, epoch: known.value.epoch });
  }
  const origin = httpsOrigin(options.hostOrigin);
  if (!origin) return fail('config.invalid', 'the host must be given as https://name or https://name:port');
  if (!enrolRequestSchema.shape.code.safeParse(options.code).success)
    return fail('enrolment.codeWrong', 'a code has four groups of four characters, like 7K2M-…');
  const authority = await resolveAuthority(options, origin, schedule, deadlineMs);
  if (!authority.ok) return fail(authority.error.code, authority.error.detail);

  const { keyPem, requestPem } = await drawKeyAndRequest(options.name ?? 'shouli');
  const host = openPool({
    origin,
    authorityPem: authority.value,
    identity: null,
    connectTimeoutMs: deadlineMs,
    headersTimeoutMs: deadlineMs,
    bodyTimeoutMs: deadlineMs,
  });
  const body = { code: options.code, request: requestPem, realm };
  const request = {
    method: 'POST',
    path: paths.enrol,
    body,
    schema: enrolResponseSchema,
    deadlineMs,
    responseBytesMax: answerBytesMax,
  } as const;
  const answer = await exchange(host.pool, request, schedule);
  await host.destroy();
  if (!answer.ok) return fail(answer.error.code, answer.error.detail);

  const { terminalId, epoch, certificate, authority: authorityPem, siteKey } = answer.value;
  const tls = { keyPem, certificatePem: certificate, authorityPem };
  const stored = storeCredentials(
    folder,
    { terminalId, epoch, realm, hostOrigin: origin, tls, siteKey: siteKey === null ? null : hex(siteKey) },
    random,
    options,
  );
  if (stored.ok) return ok({ terminalId, epoch });
  return stored.error.code === 'store.failed' ? stored : fail('host.answerInvalid', stored.error.detail);
}

/** True when less than a third of the certificate's life is left, or none. A clock before its beginning proves nothing: false. */
export function renewalDue(
  credentials: Pick<Credentials, 'startsAtWallMs' | 'endsAtWallMs'>,
  nowWallMs: number,
): boolean {
  const { startsAtWallMs, endsAtWallMs } = credentials;
  return nowWallMs >= startsAtWallMs && endsAtWallMs - nowWallMs < (endsAtWallMs - startsAtWallMs) / 3;
}

export interface RenewOptions extends SealOptions {
  readonly credentials: Credentials;
  readonly folder: string;
  readonly host: Pick<HostPort, 'renew'>;
  readonly random: Random;
}

/**
 * Gets a new certificate for a new key, over the old certificate, also when that has expired. The stored ones stay until
 * the new ones are whole on the disk; then the caller gives them to the connection (`replaceCredentials`).
 * @returns the new credentials, or `host.*` · `enrolment.*` · `store.failed`; the old ones then still stand
 */
export async function renew(options: RenewOptions): Promise<Result<Credentials, EnrolmentFailure>> {
  const { credentials, folder, host, random } = options;
  const { keyPem, requestPem } = await drawKeyAndRequest(credentials.terminalId);
  const answer = await host.renew(requestPem);
  if (!answer.ok) return fail(answer.error.code, answer.error.detail);
  const tls = { keyPem, certificatePem: answer.value.certificate, authorityPem: answer.value.authority };
  // A site key that cannot be unsealed here stays in the file no longer: it is lost on this machine either way.
  const stored = storeCredentials(folder, { ...credentials, tls }, random, options);
  if (stored.ok) return stored;
  return stored.error.code === 'store.failed' ? stored : fail('host.answerInvalid', stored.error.detail);
}
