/**
 * A pseudo-terminal pair through socat: what a driver opens as a serial line, and the other end for a simulated device.
 * Must not be imported by anything but tests and scripts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';

export interface PtyPair {
  /** The end that the driver opens. */
  readonly line: string;
  /** The end of the simulated device. */
  readonly device: string;
  /** Takes the line away, as a pulled cable does. */
  close(): Promise<void>;
}

/** Of util-linux, which every Debian has. */
const setprivPath = '/usr/bin/setpriv';
/** How long socat may take to bring both ends up. */
const readyTimeoutMs = 5_000;

/** Opens a pair at these two paths, which must be free. Rejects where socat is missing. */
export async function openPtyPair(line: string, device: string): Promise<PtyPair> {
  for (const path of [line, device]) rmSync(path, { force: true });
  // The kernel ends it with us, so that a killed starter leaves no line behind.
  const socat: ChildProcess = spawn(
    setprivPath,
    ['--pdeathsig', 'TERM', '--', 'socat', `pty,rawer,echo=0,link=${line}`, `pty,rawer,echo=0,link=${device}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const failed = once(socat, 'exit').then(() => {
    throw new Error('socat ended; install it with: apt-get install socat');
  });
  await Promise.race([failed, bothThere(line, device), once(socat, 'error').then(([error]) => Promise.reject(error))]);
  failed.catch(() => {});
  return {
    line,
    device,
    close: async () => {
      if (socat.exitCode === null) {
        const gone = once(socat, 'exit');
        socat.kill();
        await gone;
      }
    },
  };
}

async function bothThere(line: string, device: string): Promise<void> {
  const endAt = Date.now() + readyTimeoutMs;
  while (!existsSync(line) || !existsSync(device)) {
    if (Date.now() > endAt) throw new Error('socat did not make the pseudo-terminals in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
