/**
 * Shrinks a failing seed: leaves out every kind of fault without which it still fails, then cuts it short.
 * Must not change what a seed means.
 */
import { type FaultKind, faultKinds } from '../../terminal/sim/simulator/faults.js';
import { type Outcome, simulate } from '../../terminal/sim/simulator/world.js';

const shortest = 50;

export interface Shrunk {
  readonly outcome: Outcome;
  readonly events: number;
  /** Kinds of faults that are not needed for it. */
  readonly without: readonly FaultKind[];
}

/** @param failed a run with a problem, and after how many events its healing began */
export async function shrink(failed: Outcome, events: number): Promise<Shrunk> {
  let best: Shrunk = { outcome: failed, events, without: [] };
  const attempt = async (tryEvents: number, without: readonly FaultKind[]): Promise<boolean> => {
    const outcome = await simulate({ seed: failed.seed, events: tryEvents, without: new Set(without) });
    if (outcome.problem !== null) best = { outcome, events: tryEvents, without };
    return outcome.problem !== null;
  };
  for (const kind of faultKinds)
    if (failed.faults[kind] !== undefined) await attempt(best.events, [...best.without, kind]);
  for (let half = Math.floor(best.events / 2); half >= shortest; half = Math.floor(half / 2))
    if (!(await attempt(half, best.without))) break;
  return best;
}
