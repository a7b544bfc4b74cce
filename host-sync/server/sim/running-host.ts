/**
 * A whole host on a temporary folder for tests: a clock and a schedule that the test turns, and its administration socket.
 * For tests only.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { Client } from 'undici';
import { nativeClock } from '../../../terminal/kernel/native.js';
import { monotonicMs, wallMs } from '../../../terminal/kernel/units.js';
import type { RunningHost, StartOptions } from '../start.js';
import { startHost } from '../start.js';
import type { Answer } from './enrolled-terminal.js';
import { EnrolledTerminal } from './enrolled-terminal.js';

export interface Turning {
  /** Added to the real time. */
  offsetMs: number;
  readonly waiting: Set<() => void>;
}

export interface TestHost {
  readonly folder: string;
  readonly dataFolder: string;
  readonly running: RunningHost;
  readonly authority: string;
  readonly log: string[];
  readonly turning: Turning;
  admin(command: string, input?: unknown): Promise<Answer>;
  /** The result of a command that must succeed. */
  run<T>(command: string, input?: unknown): Promise<T>;
  enrol(name?: string): Promise<EnrolledTerminal>;
  /** Runs everything that waits for its time now. */
  tick(): void;
  stop(): Promise<void>;
}

/** A port that is free now, for a listener that takes no 0. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Starts a host on a free port. `test.teardown` stops it and removes its folder. */
export async function openTestHost(
  test: { teardown(run: () => unknown): void },
  more: Partial<StartOptions> = {},
  folder = mkdtempSync(path.join(tmpdir(), 'shouli-host-')),
): Promise<TestHost> {
  const dataFolder = path.join(folder, 'host');
  const turning: Turning = { offsetMs: 0, waiting: new Set() };
  const log: string[] = [];
  const running = await startHost({
    port: 0,
    dataFolder,
    realm: 'real',
    clock: {
      monotonicMs: () => monotonicMs(nativeClock.monotonicMs() + turning.offsetMs),
      wallMs: () => wallMs(nativeClock.wallMs() + turning.offsetMs),
    },
    schedule: (_delayMs, run) => {
      turning.waiting.add(run);
      return () => turning.waiting.delete(run);
    },
    logger: pino({ level: 'debug' }, { write: (line: string) => log.push(line) }),
    ...more,
  });
  const client = new Client('http://localhost', { socketPath: running.adminSocket });
  const admin = async (command: string, input: unknown = {}): Promise<Answer> => {
    const response = await client.request({
      method: 'POST',
      path: `/v1/${command}`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    });
    return { status: response.statusCode, body: await response.body.json(), headers: response.headers };
  };
  const run = async <T>(command: string, input: unknown = {}): Promise<T> => {
    const answer = await admin(command, input);
    if (answer.status !== 200) throw new Error(`${command}: ${JSON.stringify(answer.body)}`);
    return (answer.body as { result: T }).result;
  };
  const authority = readFileSync(path.join(dataFolder, 'keys', 'authority.cert.pem'), 'utf8');
  const stop = async (): Promise<void> => {
    await client.destroy();
    await running.stop();
  };
  test.teardown(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    dataFolder,
    running,
    authority,
    log,
    turning,
    admin,
    run,
    enrol: async (name = 'till') => {
      const { code } = await run<{ code: string }>('enrolment.draw', { name });
      return EnrolledTerminal.enrol(running.port, authority, code);
    },
    tick: () => {
      const due = [...turning.waiting];
      turning.waiting.clear();
      for (const task of due) task();
    },
    stop,
  };
}
