/**
 * The technician console's client on the box itself: a terminal in raw mode, lines from a pipe, or one command.
 * Must decide nothing: PIN, commands and their answers are the box's. Ends 0 done, 1 refused, 2 PIN refused, 3 no box.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { z } from 'zod';
import { KeyFilter } from '../terminal/console/key-filter.js';
import { LineSplitter } from '../terminal/console/piped-session.js';
import { emptySecret, secretKey } from '../terminal/console/secret-entry.js';
import { parseJson } from '../terminal/kernel/json.js';
import { boxFolderOf, dataFolderDefault } from './host/admin-client.js';

const exitDone = 0;
const exitRefused = 1;
const exitNoAccess = 2;
const exitNoBox = 3;
/** Ctrl-]: leaves at once, also when the box no longer answers. */
const leaveByte = 0x1d;
/** Longest line of the box: JSON of its longest list. */
const boxLineMax = 4_194_304;

const messageSchema = z.union([
  z.object({ ask: z.object({ kind: z.enum(['secret', 'command']), prompt: z.string() }) }),
  z.object({ text: z.string() }),
  z.object({ end: z.object({ code: z.string().nullable() }) }),
]);

interface Options {
  readonly data: string;
  readonly socket?: string;
  readonly command?: string;
  readonly json?: boolean;
  readonly pinFile?: string;
}

function readOptions(): Options {
  const program = new Command('scripts/console')
    .description('The technician console of the box that runs on this machine.')
    .option('--data <folder>', 'data folder', dataFolderDefault)
    .option('--socket <file>', 'console socket, when it is not <data>/console.sock')
    .option('--command <line>', 'run one command and end')
    .option('--json', 'with --command: print JSON')
    .option('--pin-file <file>', 'read the PIN from the first line of a file')
    .addHelpText(
      'after',
      '\nWithout --command: a terminal, or the lines of standard input (the first is the PIN, without --pin-file).\nCtrl-D logs out, Ctrl-] leaves at once.\nEnds with 0: done, 1: refused, 2: PIN refused, 3: no box is running.',
    );
  return program.parse().opts<Options>();
}

function openSocket(file: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(file);
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
}

const noBoxReason: Readonly<Record<string, string>> = {
  ENOENT:
    'no box is running here (its console socket is not there). Start it with scripts/start, or name its data folder with --data.',
  ECONNREFUSED: 'the box is not running: its console socket is left over. Start it with scripts/start.',
  EACCES: 'this user may not open the console: only the user that runs the box may. Try with sudo -u <that user>.',
};

/**
 * Bytes both ways until the box closes or Ctrl-] is typed; the terminal is left as it was found, whatever happens.
 * `pin`, where there is one, is keyed at the box's first question, once.
 */
function runTerminal(socket: Socket, pin: string | null): Promise<number> {
  const { stdin, stdout } = process;
  return new Promise((resolve) => {
    const restore = (): void => {
      stdin.setRawMode(false);
      stdin.pause();
    };
    const finish = (): void => {
      restore();
      socket.destroy();
      resolve(exitDone);
    };
    process.once('exit', () => stdin.setRawMode(false));
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, finish);
    stdin.setRawMode(true);
    stdin.on('data', (chunk: Buffer) => {
      const leave = chunk.indexOf(leaveByte);
      if (leave < 0) socket.write(chunk);
      else {
        stdout.write('\r\n');
        finish();
      }
    });
    // What the box says first ends with its question.
    if (pin !== null) socket.once('data', () => socket.write(`${pin}\r`));
    let atLineStart = true;
    socket.on('data', (chunk: Buffer) => {
      atLineStart = chunk.at(-1) === 0x0a;
      stdout.write(chunk);
    });
    socket.once('close', () => {
      // A box that ends its session says so in whole lines; one that died left its prompt behind.
      if (!atLineStart) stdout.write('\r\nThe box closed the session; it may be restarting. 连接已断开。\r\n');
      finish();
    });
    socket.on('error', finish);
    socket.write(
      `${JSON.stringify({ console: 1, mode: 'terminal', columns: Math.max(20, Math.min(500, stdout.columns ?? 80)) })}\n`,
    );
  });
}

/** Asks a person at the terminal for a PIN, showing asterisks on standard error. Null: they gave up. */
function askPin(prompt: string): Promise<string | null> {
  const { stdin, stderr } = process;
  const filter = new KeyFilter();
  let entry = emptySecret;
  stderr.write(prompt);
  return new Promise((resolve) => {
    const finish = (pin: string | null): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      resolve(pin);
    };
    const onData = (chunk: Buffer): void => {
      for (const key of filter.keys(chunk)) {
        const step = secretKey(entry, key);
        if (step.step !== 'more') {
          finish(step.step === 'entered' ? step.text : null);
          return;
        }
        entry = step.entry;
        stderr.write(step.show);
      }
    };
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('data', onData);
  });
}

/** Where answers come from when nobody types into the box's own terminal session. Null: there are no more. */
interface Answers {
  secret(prompt: string): Promise<string | null>;
  command(): Promise<string | null>;
}

function readPinFile(file: string): string {
  return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0]?.trim() ?? '';
}

function answersOf(options: Options): Answers {
  const atTerminal = process.stdin.isTTY === true;
  let filePin = options.pinFile === undefined ? null : readPinFile(options.pinFile);
  let command: string | null =
    options.command === undefined ? null : `${options.command}${options.json ? ' --json' : ''}`;
  const usesInput = !atTerminal && (options.command === undefined || options.pinFile === undefined);
  const input = usesInput ? createInterface({ input: process.stdin, terminal: false })[Symbol.asyncIterator]() : null;
  const nextLine = async (): Promise<string | null> => {
    const line = await input?.next();
    return line === undefined || line.done ? null : line.value;
  };
  return {
    secret: async (prompt) => {
      const pin = filePin;
      filePin = null;
      if (pin !== null) return pin;
      return atTerminal ? askPin(prompt) : nextLine();
    },
    command: async () => {
      if (options.command === undefined) return nextLine();
      const line = command;
      command = null;
      return line;
    },
  };
}

/** Answers what the box asks until there are no more answers, and prints what it says. */
async function runPiped(socket: Socket, answers: Answers): Promise<number> {
  const splitter = new LineSplitter(boxLineMax);
  let exitCode = exitDone;
  let loggedIn = false;
  socket.on('error', () => socket.destroy());
  socket.write(`${JSON.stringify({ console: 1, mode: 'piped' })}\n`);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    for (const line of splitter.lines(chunk)) {
      const json = line === null ? null : parseJson(line, { lengthMax: boxLineMax, depthMax: 4 });
      const message = json?.ok ? messageSchema.safeParse(json.value) : null;
      if (!message?.success) {
        process.stderr.write(`${line?.trim().slice(0, 200) || 'the box sent a line that is too long'}\n`);
        return exitRefused;
      }
      if ('text' in message.data) (loggedIn ? process.stdout : process.stderr).write(`${message.data.text}\n`);
      else if ('end' in message.data) {
        const code = message.data.end.code;
        if (code !== null) exitCode = loggedIn ? exitRefused : exitNoAccess;
        if (code === 'access.denied' || code === 'access.locked') return exitNoAccess;
      } else {
        const { kind, prompt } = message.data.ask;
        loggedIn ||= kind === 'command';
        if (kind === 'command' && exitCode === exitNoAccess) exitCode = exitDone;
        const answer = kind === 'secret' ? await answers.secret(prompt) : await answers.command();
        if (answer === null) return loggedIn ? exitCode : exitNoAccess;
        socket.write(`${JSON.stringify({ answer })}\n`);
      }
    }
  }
  return loggedIn ? exitCode : exitNoAccess;
}

async function main(): Promise<number> {
  const options = readOptions();
  const file = options.socket ?? path.join(boxFolderOf(options.data), 'console.sock');
  process.stdout.on('error', () => process.exit(exitDone));
  let socket: Socket;
  try {
    socket = await openSocket(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    process.stderr.write(`console: ${noBoxReason[code] ?? `cannot open ${file}: ${code}`}\n`);
    return exitNoBox;
  }
  if (options.command === undefined && process.stdin.isTTY && process.stdout.isTTY)
    return runTerminal(socket, options.pinFile === undefined ? null : readPinFile(options.pinFile));
  try {
    return await runPiped(socket, answersOf(options));
  } finally {
    socket.destroy();
    process.stdin.unref?.();
  }
}

process.exitCode = await main();
if (!process.stdin.isTTY) process.stdin.destroy();
