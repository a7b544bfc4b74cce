/**
 * Gathering: requests that wait at the same moment share one transaction, and so one flush.
 * Must not decide anything about a record; a group that fails as a whole is tried again one by one.
 */
import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { Collector, Plan, WorkingSet } from '../ledger/facts.js';
import type { HostStore } from '../storage/port.js';

export interface Work<T> {
  readonly plan: (need: Collector) => void;
  readonly decide: (facts: WorkingSet) => T;
  /** How much of a group it fills. */
  readonly weight: number;
}
/** Most requests and most records in one transaction, and most requests that may wait. */
export const groupWorksMax = 64;
export const groupWeightMax = 2_000;
export const waitingWorksMax = 1_024;

interface Waiting {
  readonly work: Work<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface Gatherer {
  /** Resolves when the work's transaction is durable. Rejects with `host.busy` where too many wait, or as the store does. */
  submit<T>(work: Work<T>): Promise<T>;
}

export function createGatherer(store: HostStore, soon: (task: () => void) => void): Gatherer {
  let waiting: Waiting[] = [];
  let isScheduled = false;
  const schedule = (): void => {
    if (isScheduled || waiting.length === 0) return;
    isScheduled = true;
    soon(() => void drain());
  };
  const takeGroup = (): readonly Waiting[] => {
    let weight = 0;
    let taken = 0;
    while (taken < waiting.length && taken < groupWorksMax) {
      weight += waiting[taken]?.work.weight ?? 0;
      if (taken > 0 && weight > groupWeightMax) break;
      taken++;
    }
    const group = waiting.slice(0, taken);
    waiting = waiting.slice(taken);
    return group;
  };
  const run = async (group: readonly Waiting[]): Promise<void> => {
    const plan: Plan = (need) => {
      for (const { work } of group) work.plan(need);
    };
    try {
      const results = await store.transact(plan, (facts) => group.map(({ work }) => work.decide(facts)));
      for (const [index, { resolve }] of group.entries()) resolve(results[index]);
    } catch (error) {
      if (group.length > 1) for (const one of group) await run([one]);
      else group[0]?.reject(error);
    }
  };
  const drain = async (): Promise<void> => {
    await run(takeGroup());
    isScheduled = false;
    schedule();
  };
  return {
    submit: <T>(work: Work<T>) =>
      new Promise<T>((resolve, reject) => {
        if (waiting.length >= waitingWorksMax) {
          reject(new TerminalError('host.busy', `${waitingWorksMax} requests wait`));
          return;
        }
        waiting.push({ work, resolve: resolve as (value: unknown) => void, reject });
        schedule();
      }),
  };
}
