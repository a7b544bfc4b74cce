/**
 * Freshness of pass answers: nothing in a VAS answer binds it to this tap, so it counts once and only near its time.
 * Pure: the memory is a value. Must not decrypt anything.
 */

export interface FreshnessPolicy {
  /** How old or how far ahead, by the phone's clock, an answer may be. 1,000…86,400,000 ms. */
  readonly windowMs: number;
  /** Most answers remembered, 1 or more. */
  readonly usedMax: number;
}
export const freshnessDefault: FreshnessPolicy = { windowMs: 120_000, usedMax: 1_024 };

/** What was used. `digest` names an answer (SHA-256, hex), `atMs` is the answer's own time. */
export interface UsedAnswers {
  /** In the order of their times. */
  readonly used: readonly { readonly digest: string; readonly atMs: number }[];
  /** Answers up to this time are refused: some of that age had to be forgotten while they could still come again. */
  readonly floorMs: number;
}
export const noUsedAnswers: UsedAnswers = { used: [], floorMs: Number.NEGATIVE_INFINITY };

export type Freshness =
  | { readonly fresh: true; readonly memory: UsedAnswers }
  | { readonly fresh: false; readonly code: 'pass.outOfTime' | 'credential.replayed' };

/** Is this time near enough to `nowMs`? */
export const isInTime = (atMs: number, nowMs: number, windowMs: number): boolean => Math.abs(nowMs - atMs) <= windowMs;

/** May this answer be used now? When it may, it is in the memory that comes back; keep that. */
export function judgeFreshness(
  memory: UsedAnswers,
  answer: { readonly digest: string; readonly atMs: number },
  nowMs: number,
  policy: FreshnessPolicy = freshnessDefault,
): Freshness {
  if (memory.used.some(({ digest }) => digest === answer.digest)) return { fresh: false, code: 'credential.replayed' };
  if (!isInTime(answer.atMs, nowMs, policy.windowMs)) return { fresh: false, code: 'pass.outOfTime' };
  if (answer.atMs <= memory.floorMs) return { fresh: false, code: 'credential.replayed' };
  const used = [...memory.used, answer].sort((a, b) => a.atMs - b.atMs);
  // What is forgotten leaves its time behind as the floor. So a clock set back brings nothing old back either.
  const forgotten = used.splice(0, Math.max(0, used.length - policy.usedMax));
  const floorMs = forgotten.reduce((floor, { atMs }) => Math.max(floor, atMs), memory.floorMs);
  return { fresh: true, memory: { used, floorMs } };
}
