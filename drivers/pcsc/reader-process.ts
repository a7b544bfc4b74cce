/**
 * How the PC/SC child is started: its entry, its threads, and what libpcsclite reads from the environment.
 */
import { fileURLToPath } from 'node:url';
import { type ChildPipe, spawnChild } from '../supervised/spawn-child.js';

/** Blocking calls of all readers share libuv's pool; two each for four readers. */
const threadPoolSize = 8;
const entryDefault = fileURLToPath(new URL('./child.js', import.meta.url));

/** @param entry another child, for tests and benchmarks */
export function spawnReaderChild(entry: string = entryDefault): ChildPipe {
  return spawnChild({
    entry,
    environment: { UV_THREADPOOL_SIZE: String(threadPoolSize) },
    environmentNames: ['PCSCLITE_CSOCK_NAME'],
  });
}
