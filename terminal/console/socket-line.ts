/**
 * Socket line: the console on a Unix socket that only the box's own user may open. Accepts, bounds and closes sessions.
 * Must not know what is said on them, but for the first line that says which kind of client came.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { TerminalError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import type { Dialogue } from './dialogue.js';
import { PipedSession } from './piped-session.js';
import { type Schedule, Session } from './session.js';
import { say } from './texts.js';

/** Consoles open at once over the socket. */
export const socketSessionsMax = 4;
/** Longest path of a Unix socket on Linux (sun_path without its NUL). */
const socketPathBytesMax = 107;
/** A first line longer than this is not one; the rest of the client is a plain terminal. */
const helloLengthMax = 256;

/**
 * What scripts/console says first: which mode, and how wide its terminal is. Any other first byte: a plain terminal
 * (socat, screen) at 80 columns.
 */
export const helloSchema = z.strictObject({
  console: z.literal(1),
  mode: z.enum(['terminal', 'piped']),
  columns: z.int().min(20).max(500).optional(),
});

export interface SocketLineParts {
  readonly file: string;
  readonly dialogue: () => Dialogue;
  readonly schedule: Schedule;
  readonly idleMs: number;
  readonly onBug: (error: unknown) => void;
}

export interface OpenLine {
  close(): Promise<void>;
}

/** True when something answers on the socket file. */
function answers(file: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(file);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Takes away the socket of a box that died. Throws where another box is alive or the path is no socket. */
async function clearPath(file: string): Promise<void> {
  if (Buffer.byteLength(file) > socketPathBytesMax) {
    throw new TerminalError(
      'config.invalid',
      `the console socket's path is longer than ${socketPathBytesMax} bytes; use a shorter data folder`,
    );
  }
  let found: ReturnType<typeof lstatSync>;
  try {
    found = lstatSync(file);
  } catch {
    return;
  }
  if (!found.isSocket()) throw new TerminalError('config.invalid', `${file} is in the way and is not a socket`);
  if (await answers(file)) throw new TerminalError('device.busy', `another box serves ${file}`);
  unlinkSync(file);
}

function listen(server: Server, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(new TerminalError('device.failed', `console socket: ${error.message}`)));
    server.once('listening', resolve);
    // The socket must never exist with wider rights, not even until chmod: binding happens inside this call.
    const before = process.umask(0o177);
    try {
      server.listen(file);
    } finally {
      process.umask(before);
    }
  });
}

interface AnySession {
  close(why: 'lineLost' | 'closing'): void;
}

/** Reads the first bytes of a client and starts the session it asks for. */
function serve(socket: Socket, parts: SocketLineParts, started: (session: AnySession) => void): void {
  const { dialogue, schedule, idleMs, onBug } = parts;
  const cancelHello = schedule(idleMs, () => socket.destroy());
  let head = Buffer.alloc(0);
  const terminal = (columns: number | undefined, rest: Buffer): void => {
    const session = new Session({
      stream: socket,
      dialogue: dialogue(),
      schedule,
      idleMs,
      afterLogout: 'end',
      onBug,
      ...(columns === undefined ? {} : { columns }),
    });
    started(session);
    session.begin();
    if (rest.length > 0) socket.emit('data', rest);
  };
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(0x0a);
    if (head[0] === 0x7b && end < 0 && head.length <= helloLengthMax) return;
    socket.off('data', onData);
    cancelHello();
    const json =
      end < 0 ? null : parseJson(head.subarray(0, end).toString('utf8'), { lengthMax: helloLengthMax, depthMax: 1 });
    const hello = json?.ok ? helloSchema.safeParse(json.value) : null;
    const rest = hello?.success ? head.subarray(end + 1) : Buffer.alloc(0);
    if (!hello?.success || hello.data.mode === 'terminal') {
      terminal(hello?.data?.columns, rest);
      return;
    }
    const session = new PipedSession({ stream: socket, dialogue: dialogue(), schedule, idleMs, onBug });
    started(session);
    session.begin(rest);
  };
  socket.on('data', onData);
  socket.once('close', cancelHello);
}

/**
 * Opens the console socket with mode 0600 and serves at most `socketSessionsMax` sessions on it.
 * @throws TerminalError config.invalid (path), device.busy (another box), device.failed
 */
export async function openSocketLine(parts: SocketLineParts): Promise<OpenLine> {
  await clearPath(parts.file);
  const sessions = new Map<Socket, AnySession | null>();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (sessions.size >= socketSessionsMax) {
      socket.end(`${say('en', 'session.tooMany')} ${say('zh', 'session.tooMany')}\r\n`);
      socket.destroySoon();
      return;
    }
    sessions.set(socket, null);
    socket.once('close', () => {
      sessions.get(socket)?.close('lineLost');
      sessions.delete(socket);
    });
    serve(socket, parts, (session) => sessions.set(socket, session));
  });
  await listen(server, parts.file);
  chmodSync(parts.file, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        for (const [socket, session] of sessions) {
          session?.close('closing');
          socket.end();
          socket.destroySoon();
        }
        server.close(() => resolve());
      }),
  };
}
