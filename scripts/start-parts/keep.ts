/**
 * Keeps one process running: started again when it ended, sooner at first and later when it does not stay up, and given
 * up in the end. Must not know what the process does.
 */
import type { Running } from './process.js';

/** Restarts within the window that are tried before the process is given up. */
export const restartsMax = 5;
const restartWindowMs = 60_000;
const pauseFirstMs = 200;

export interface KeepParts<Ready> {
  readonly start: () => Promise<Running<Ready>>;
  /** It ended and is to be started again. */
  readonly onRestart: (name: string, how: string) => void;
  /** It does not stay up; `why` is what it said last. */
  readonly onGivenUp: (name: string, why: string) => void;
  readonly nowMs: () => number;
  /** Resolves after so many milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
}

export interface Kept<Ready> {
  /** The process as it runs now, or as it last ran. */
  readonly running: Running<Ready>;
  stop(): Promise<void>;
}

/** Takes a process that is ready and looks after it until `stop`. */
export function keepRunning<Ready>(first: Running<Ready>, parts: KeepParts<Ready>): Kept<Ready> {
  let running = first;
  let stopping = false;
  let coming: Promise<void> = Promise.resolve();
  const restarts: number[] = [];

  const bringBack = async (how: string): Promise<void> => {
    let why = how;
    while (!stopping) {
      restarts.push(parts.nowMs());
      while (restarts[0] !== undefined && restarts[0] <= parts.nowMs() - restartWindowMs) restarts.shift();
      if (restarts.length > restartsMax) return parts.onGivenUp(first.name, why);
      if (restarts.length > 1) await parts.pause(pauseFirstMs * 2 ** (restarts.length - 2));
      if (stopping) return;
      try {
        running = await parts.start();
        return watch();
      } catch (error) {
        why = error instanceof Error ? error.message : String(error);
      }
    }
  };
  const watch = (): void => {
    void running.ended.then((how) => {
      if (stopping) return;
      parts.onRestart(first.name, how);
      coming = bringBack(how);
    });
  };
  watch();
  return {
    get running() {
      return running;
    },
    stop: async () => {
      stopping = true;
      // One that is just coming up is waited for, so that it is not left behind.
      await coming;
      await running.stop();
    },
  };
}
