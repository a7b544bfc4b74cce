/**
 * Upkeep: gives the store its quiet moments, in small slices while no sale is open, for as long as the box runs.
 * Must not end the box: a storage that has no room now, or fails, is told by the sale that needs it.
 */
import type { Schedule } from '../../drivers/contract/driver.js';
import { TerminalError } from '../kernel/errors.js';

/** How often the store is offered a slice. */
export const upkeepEveryMs = 60_000;

export interface UpkeepParts {
  readonly schedule: Schedule;
  /** True while a sale is open: then nothing is done. */
  readonly isBusy: () => boolean;
  /** One slice. May throw a TerminalError (store.full, store.failed, store.corrupt); anything else is a bug and goes up. */
  readonly maintain: () => void;
}

/** Begins the rounds. @returns how to end them */
export function startUpkeep({ schedule, isBusy, maintain }: UpkeepParts): () => void {
  const round = (): void => {
    cancel = schedule(upkeepEveryMs, round);
    try {
      if (!isBusy()) maintain();
    } catch (error) {
      if (!(error instanceof TerminalError)) throw error;
    }
  };
  let cancel = schedule(upkeepEveryMs, round);
  return () => cancel();
}
