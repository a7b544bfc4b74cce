/**
 * What a process uses of the machine, as the kernel counts it: time on a processor and wake-ups, of all its threads. Pure, but
 * for `readUsage`.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface Usage {
  /** Time on a processor since each living thread began, in milliseconds. */
  readonly cpuMs: number;
  /** Times that a thread had waited and went on. */
  readonly wakeups: number;
}

/** @param schedstat /proc/…/schedstat: time on a processor in ns, time waiting for one, slices @param status /proc/…/status */
export function readThread(schedstat: string, status: string): Usage {
  const count = (found: string | undefined): number => (found === undefined ? Number.NaN : Number(found));
  return {
    cpuMs: count(/^(\d+) /.exec(schedstat)?.[1]) / 1e6,
    wakeups: count(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]),
  };
}

/** Of all threads of a process; NaN where it is gone. */
export function readUsage(pid: number): Usage {
  const total = { cpuMs: 0, wakeups: 0 };
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const read = (name: string): string => readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8');
      const { cpuMs, wakeups } = readThread(read('schedstat'), read('status'));
      total.cpuMs += cpuMs;
      total.wakeups += wakeups;
    }
    return total;
  } catch {
    return { cpuMs: Number.NaN, wakeups: Number.NaN };
  }
}

/** Per cent of one core, and wake-ups a second, between two looks that were `elapsedMs` apart. */
export function usedBetween(before: Usage, after: Usage, elapsedMs: number) {
  return {
    percent: (100 * (after.cpuMs - before.cpuMs)) / elapsedMs,
    wakeups: (1_000 * (after.wakeups - before.wakeups)) / elapsedMs,
  };
}
