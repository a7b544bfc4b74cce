/**
 * Starts a bus's child as a real process with one pipe, and nothing else of ours: no standard streams, no environment but
 * what the child's native libraries read. Must not interpret a byte.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
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

/** util-linux; makes the kernel end the child with its parent even while native code spins and reads no pipe. */
const setprivPath = '/usr/bin/setpriv';

/** Variables that native libraries need to be found. */
const environmentNames = ['PATH', 'LD_LIBRARY_PATH'] as const;

export interface ChildSetup {
  /** The child's entry: an absolute path. */
  readonly entry: string;
  /** Its arguments. */
  readonly words?: readonly string[];
  /** Handed on where they are set, besides those that every child gets. */
  readonly environmentNames?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Node's own options, before the entry. */
  readonly nodeOptions?: readonly string[];
}

export function spawnChild(setup: ChildSetup): ChildPipe {
  const node = [process.execPath, ...(setup.nodeOptions ?? []), setup.entry, ...(setup.words ?? [])];
  const [command = '', ...words] = existsSync(setprivPath) ? [setprivPath, '--pdeathsig', 'KILL', '--', ...node] : node;
  const child = spawn(command, words, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env: childEnvironment(setup),
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

function childEnvironment({ environment = {}, environmentNames: more = [] }: ChildSetup): NodeJS.ProcessEnv {
  const found = [...environmentNames, ...more].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...environment, ...Object.fromEntries(found) };
}
