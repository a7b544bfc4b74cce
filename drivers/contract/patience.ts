/**
 * Patience: waits for all that was begun at once, but not for a device that hangs. Must not know what was begun.
 */
import type { Schedule } from './driver.js';

/** Resolves when all of them have ended, or after `mostMs`. They are not to reject. */
export async function withPatience(all: readonly Promise<void>[], mostMs: number, schedule: Schedule): Promise<void> {
  if (all.length === 0) return;
  await new Promise<void>((resolve) => {
    const cancel = schedule(mostMs, resolve);
    void Promise.all(all).then(() => {
      cancel();
      resolve();
    });
  });
}
