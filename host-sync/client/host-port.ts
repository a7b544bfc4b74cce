/**
 * Host port: what the box may ask of its host, and how a request fails. http.ts implements it over mutual TLS;
 * tests and the simulator bring their own. Must not know undici, TLS or retries.
 */

import type { z } from 'zod';
import type { ErrorCode } from '../../terminal/kernel/errors.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { InquiryRequest, InquiryResponse } from '../protocol/inquiry.js';
import type { SmartTapRequest, SmartTapResponse } from '../protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  AuthoriseResponse,
  Directives,
  Envelope,
  epochRequestSchema,
  epochResponseSchema,
  RecordsResponse,
  renewResponseSchema,
  SessionRequest,
  SessionResponse,
} from '../protocol/sync.js';

/** Most milliseconds that a host's `Retry-After` or `later` answer can make the box wait. */
export const retryAfterMaxMs = 3_600_000;

/**
 * Why a request brought no usable answer. Codes:
 * - `host.unreachable`: no connection came about (name, route, refusal, connect time-out); nothing was sent.
 * - `host.noAnswer`: the connection broke or the deadline passed; the host may or may not have seen the request.
 * - `host.untrusted`: the other side did not prove to be the host; nothing was sent.
 * - `host.answerInvalid`: an answer that is too large, not JSON, or not what the protocol says.
 * - any other: the host's own word on the whole request, `host.refused` where it used a code this box does not know.
 * `detail` is printable, at most 300 characters, and repeats nothing of the request.
 */
export interface HostFailure {
  readonly code: ErrorCode;
  readonly detail: string;
  /** The status of a refusal (3xx–5xx); null where no refusal was read. */
  readonly httpStatus: number | null;
  /** From `Retry-After`, 0…retryAfterMaxMs; null without one. */
  readonly retryAfterMs: number | null;
}

export type HostResult<T> = Result<T, HostFailure>;
export type EpochReason = z.infer<typeof epochRequestSchema>['reason'];
export type EpochResponse = z.infer<typeof epochResponseSchema>;
export type RenewResponse = z.infer<typeof renewResponseSchema>;

/** What proves the box to the host, and the host to the box. All PEM. */
export interface TlsCredentials {
  /** The only authority whose certificates this box trusts. */
  readonly authorityPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

/** Every call resolves within its deadline (milliseconds); none throws for anything that the network or host does. */
export interface HostPort {
  /**
   * One record, answered at once. `newestSeen`: OutboxPort.newestSeen. The response holds session keys where a tap was
   * accepted: never log or store it.
   */
  authorise(
    record: Envelope,
    newestSeen: readonly TransactionId[],
    deadlineMs: number,
  ): Promise<HostResult<AuthoriseResponse>>;
  /** 1…batchRecordsMax records. The answers are checked to be one for each record, in order. */
  sendRecords(
    records: readonly Envelope[],
    transactionIds: readonly TransactionId[],
    newestSeen: readonly TransactionId[],
  ): Promise<HostResult<RecordsResponse>>;
  openSession(request: SessionRequest, deadlineMs: number): Promise<HostResult<SessionResponse>>;
  /** The answer may hold session keys: never log or store it. */
  inquire(request: InquiryRequest, deadlineMs: number): Promise<HostResult<InquiryResponse>>;
  /** One session with Google Wallet, while the phone waits. Never log or store the answer. */
  signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<HostResult<SmartTapResponse>>;
  /** `catalogueVersion`: the one the box holds, so that an unchanged catalogue is not sent again; null: none. */
  directives(catalogueVersion: number | null): Promise<HostResult<Directives>>;
  /** Resolves when the directives are another version than `known`, or after about `waitMs`: with the version that holds then. */
  bell(known: number, waitMs: number): Promise<HostResult<number>>;
  requestAllowance(request: AllowanceRequest): Promise<HostResult<AllowanceResponse>>;
  raiseEpoch(reason: EpochReason): Promise<HostResult<EpochResponse>>;
  /** `requestPem`: a PKCS#10 request. */
  renew(requestPem: string): Promise<HostResult<RenewResponse>>;
}
