/**
 * Sync status: the sync state as people and the sale see it. Pure. Must decide nothing.
 */
import type { SyncState, SyncStatus } from './sync-state.js';

/** The state as people see it at `nowMonotonicMs`. */
export function statusOf(state: SyncState, nowMonotonicMs: number): SyncStatus {
  if (state.phase === 'offline' || state.phase === 'notEnrolled')
    return { state: state.phase, lastContactWallMs: null, lastError: null, nextAttemptInMs: null };
  const { contact, holds, lastContactWallMs, lastError } = state.memory;
  const waiting = state.phase === 'idle' || state.phase === 'backingOff';
  const working = contact === 'succeeded' ? 'online' : 'offline';
  const held = holds.at(-1);
  return {
    state: state.phase === 'sending' && contact !== 'failed' ? 'sending' : working,
    lastContactWallMs,
    // A host that answers and yet takes some records only later is worth telling, too.
    lastError: lastError ?? (held ? { code: held.code, detail: `${holds.length} waiting to be sent again` } : null),
    nextAttemptInMs: waiting ? Math.max(0, state.wakeAtMonotonicMs - nowMonotonicMs) : null,
  };
}

/**
 * May the host be asked? Not after a contact that failed. Before the first contact has ended nothing speaks against it: a
 * sale in the first moment after a start asks, with its deadline, instead of being refused.
 */
export const reachableIn = (state: SyncState): boolean =>
  state.phase !== 'offline' && state.phase !== 'notEnrolled' && state.memory.contact !== 'failed';
