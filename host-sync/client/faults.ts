/**
 * Faults: what a failed request says about host and records, and how long to wait. Pure. Must not decide what happens next.
 */
import type { HostFailure } from './host-port.js';
import type { SyncLimits } from './sync-state.js';

/** What a failed batch says about its records, and so what to do with them. */
export type Fault =
  /** The host was not reached, is busy, or refuses this box: the records are not to blame. */
  | 'unrelated'
  /** The host could not read the request (HTTP 400, 413): one record may be to blame. */
  | 'unreadable'
  /** The host broke over it, answered nonsense, or finds a record foreign: one record may be to blame, or the host. */
  | 'broken';

/** Judges a failed batch. */
export function faultOf(failure: HostFailure): Fault {
  const status = failure.httpStatus;
  if (status === 400 || status === 413) return 'unreadable';
  if (status === 422 || failure.code === 'host.answerInvalid' || failure.code === 'record.foreign') return 'broken';
  return status !== null && status >= 500 && status !== 503 ? 'broken' : 'unrelated';
}

/** The host was there and able, and said no. */
export const reached = ({ httpStatus }: HostFailure): boolean =>
  httpStatus !== null && httpStatus < 500 && httpStatus !== 429;

/** The ceiling of the wait after so many consecutive failures (≥ 1), in milliseconds. */
export function backOffCeilingMs(failures: number, limits: SyncLimits): number {
  return Math.min(limits.backOffMaxMs, limits.backOffMinMs * 2 ** Math.min(failures - 1, 30));
}
