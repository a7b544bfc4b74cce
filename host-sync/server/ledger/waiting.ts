/**
 * Waiting: since when a record is put off for another that has not come, so that it has an end. The host's clock counts from
 * the first time it was sent: a box may have been off for weeks before, and its own clock may be wrong.
 * Pure. Must not say what is waited for.
 */
import { type Collector, type Facts, put, remove, type Write } from './facts.js';

/** How long a record waits for what has not been told: it may stand at another box, or have been lost on its way. */
export const untoldWaitMs = 3 * 86_400_000;

/** States what the others read; `id` is the record's transaction. */
export const planWait = (need: Collector, id: string): void => void need.get('waiting', id);

/** Has it waited for less than `untoldWaitMs`, or not at all? */
export const mayWait = (facts: Facts, id: string, nowMs: number): boolean =>
  nowMs - (facts.get('waiting', id)?.sinceMs ?? nowMs) < untoldWaitMs;

/** It waits, from now on where it did not before. */
export const beginWait = (facts: Facts, id: string, nowMs: number): readonly Write[] =>
  facts.get('waiting', id) ? [] : [put('waiting', { id, sinceMs: nowMs })];

/** It has its final answer. */
export const endWait = (facts: Facts, id: string): readonly Write[] =>
  facts.get('waiting', id) ? [remove('waiting', id)] : [];
