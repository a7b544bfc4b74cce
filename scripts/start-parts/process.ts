/**
 * One child process that says when it is ready by a line of JSON, and is ended with its output in a log file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Longest a process may take until it is ready, in milliseconds. */
const readyTimeoutMs = 60_000;
/** How long it may take to end by itself before it is killed. */
const endTimeoutMs = 5_000;

export interface Running<Ready> {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ready: Ready;
  /** Resolves when the process has ended for whatever reason. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

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
): Promise<Running<Ready>> {
  const child = spawn(process.execPath, [path.join(builtFolder, script), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4_000);
    log.write(text);
  });
  const ended = once(child, 'exit').then(() => {
    log.end();
  });
  const ready = await firstLine(child, log, ended, () => complaints, name);
  return {
    name,
    child,
    ended,
    ready: JSON.parse(ready) as Ready,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

function firstLine(
  child: ChildProcess,
  log: WriteStream,
  ended: Promise<void>,
  complaints: () => string,
  name: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${name} was not ready in ${readyTimeoutMs / 1000} s\n${complaints()}`));
    }, readyTimeoutMs);
    void ended.then(() => {
      clearTimeout(timer);
      reject(new Error(`${name} ended before it was ready\n${complaints()}`));
    });
    if (!child.stdout) return;
    let isFirst = true;
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!isFirst) {
        if (log.writable) log.write(`${line}\n`);
        return;
      }
      isFirst = false;
      clearTimeout(timer);
      resolve(line);
    });
  });
}
