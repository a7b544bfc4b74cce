/**
 * Starts the PC/SC child as a real process with one pipe, and nothing else of ours: no standard streams, no environment
 * but what libpcsclite and libuv read. Must not interpret a byte.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Bytes } from '../../terminal/kernel/bytes.js';

/** The child as its supervisor sees it. Listeners are set before the next turn of the loop. */
export interface ChildPipe {
  readonly pid: number | null;
  write(bytes: Bytes): void;
  onData(listener: (chunk: Bytes) => void): void;
  /** Called once, after the last byte: the process is gone, or never came to be. */
  onEnded(listener: (how: string) => void): void;
  /** SIGKILL: a child that is stuck in native code hears nothing else. */
  kill(): void;
}

export type SpawnChild = () => ChildPipe;

/** Blocking calls of all readers share libuv's pool; two each for four readers. */
const threadPoolSize = 8;
/** util-linux; makes the kernel end the child with its parent even while native code spins and reads no pipe. */
const setprivPath = '/usr/bin/setpriv';

/** The child's entry, beside this file. */
export const childPathDefault = fileURLToPath(new URL('./child.js', import.meta.url));

export function spawnChild(childPath: string = childPathDefault): ChildPipe {
  const node = [process.execPath, childPath] as const;
  const [command, ...words] = existsSync(setprivPath) ? [setprivPath, '--pdeathsig', 'KILL', '--', ...node] : node;
  const child = spawn(command, words, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: childEnvironment(),
    cwd: '/',
  });
  const pipe = child.stdio[3] as Duplex | null | undefined;
  // A write to a child that has just died fails here; its end is reported below.
  pipe?.on('error', () => {});
  return {
    pid: child.pid ?? null,
    write: (bytes) => {
      pipe?.write(bytes);
    },
    onData: (listener) => {
      pipe?.on('data', listener);
    },
    onEnded: (listener) => {
      let told = false;
      const tell = (how: string): void => {
        if (!told) listener(how);
        told = true;
      };
      child.once('error', (error) => tell(`could not be started: ${error.message}`));
      child.once('close', (code, signal) => tell(signal ? `ended by ${signal}` : `ended with status ${code}`));
    },
    kill: () => {
      child.kill('SIGKILL');
    },
  };
}

function childEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { UV_THREADPOOL_SIZE: String(threadPoolSize) };
  for (const name of ['PATH', 'LD_LIBRARY_PATH', 'PCSCLITE_CSOCK_NAME']) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
