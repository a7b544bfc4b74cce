/**
 * One child process that says when it is ready by a line of JSON, and is ended with its output in a log file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type LogFile, openLogFile } from './log-file.js';

/** Longest a process may take until it is ready, in milliseconds. */
const readyTimeoutMs = 60_000;
/** How long it may take to end by itself before it is killed. */
const endTimeoutMs = 5_000;
/** How long the last words of a process that ended are waited for. */
const lastWordsMs = 1_000;
/** Of util-linux, which every Debian has: the kernel ends the child with us, so that a killed start leaves none behind. */
const setprivPath = '/usr/bin/setpriv';

export interface Running<Ready> {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ready: Ready;
  /** Resolves when the process has ended for whatever reason: `exit 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

/** A start leaves little behind in a small nursery: a tenth less memory for as long as the box runs. A smaller one drains slower. */
export const terminalNodeFlags: readonly string[] = ['--max-semi-space-size=4'];
/** A serial device that takes no bytes holds a thread of libuv's pool while it is waited for; files and names need others. */
export const terminalEnvironment: NodeJS.ProcessEnv = { UV_THREADPOOL_SIZE: '16' };

/** Folder of the built program (`out`). */
export const builtFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..');

/**
 * Starts `node <script>` (relative to the built program) and waits for its first line of JSON.
 * Rejects with what it wrote to stderr when it ends before. All further output goes to `logFile`.
 */
export async function startProcess<Ready>(
  name: string,
  script: string,
  words: readonly string[],
  logFile: string,
  nodeFlags: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Running<Ready>> {
  const command = [process.execPath, ...nodeFlags, path.join(builtFolder, script), ...words];
  if (existsSync(setprivPath)) command.unshift(setprivPath, '--pdeathsig', 'TERM', '--');
  const [program = process.execPath, ...rest] = command;
  // A group of its own: Ctrl-C reaches only the starter, which ends its processes in order.
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, env });
  const log = openLogFile(logFile);
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4_000);
    log.write(text);
  });
  const ended = once(child, 'exit').then(([code, signal]) => (signal === null ? `exit ${code}` : String(signal)));
  child.once('close', () => log.close());
  const ready = await firstLine(child, log, ended, () => complaints, name);
  return {
    name,
    child,
    ended,
    ready: JSON.parse(ready) as Ready,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function firstLine(
  child: ChildProcess,
  log: LogFile,
  ended: Promise<string>,
  complaints: () => string,
  name: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${name} was not ready in ${readyTimeoutMs / 1000} s\n${complaints()}`));
    }, readyTimeoutMs);
    void ended.then((how) => {
      clearTimeout(timer);
      const tell = (): void => reject(new Error(complaints().trim() || `${name} ended before it was ready (${how})`));
      child.once('close', tell);
      // Its own children may hold its output open for longer.
      setTimeout(tell, lastWordsMs);
    });
    if (!child.stdout) return;
    let isFirst = true;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!isFirst) {
        log.write(`${line}\n`);
        return;
      }
      isFirst = false;
      clearTimeout(timer);
      resolve(line);
    });
  });
}
