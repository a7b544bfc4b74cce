/**
 * Drives a simulated phone from another process: JSON lines over a Unix socket, one answer line for each request line.
 * Must not know how the phone works inside; what may be asked is controlRequestSchema.
 */
import { existsSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { z } from 'zod';
import { parseJson } from '../../../terminal/kernel/json.js';
import { instructionNames, type PhoneEvent, type PhoneView, type SimulatedPhone } from './phone.js';

/** Longest request line in characters, and most connections at once. */
const lineCharactersMax = 4_096;
const connectionsMax = 16;

const instructionSchema = z.enum(Object.values(instructionNames));
export const controlRequestSchema = z.discriminatedUnion('do', [
  /** Hold the phone to the reader; it stays until `remove`, a tear, or `until` has happened. */
  z.strictObject({ do: z.literal('tap'), until: z.enum(['presented', 'result', 'removed']).default('removed') }),
  z.strictObject({ do: z.literal('remove') }),
  /** `apdu` is the n-th command of a tap, counted from 1, or a command's name. */
  z.strictObject({
    do: z.literal('tearAt'),
    apdu: z.union([z.int().min(1).max(1_000), instructionSchema]),
    moment: z.enum(['before', 'after']),
    bytes: z.int().min(0).max(96).nullable().default(null),
  }),
  z.strictObject({ do: z.literal('noTear') }),
  z.strictObject({
    do: z.literal('misbehave'),
    wrongKey: z.boolean().optional(),
    replay: z.boolean().optional(),
    wrongCredential: z.boolean().optional(),
    formerCredential: z.boolean().optional(),
    wrongSigner: z.boolean().optional(),
    oversized: z.boolean().optional(),
    chained: z.boolean().optional(),
  }),
  /** Holds out one merchant's membership alone; null: any. */
  z.strictObject({
    do: z.literal('choose'),
    merchantId: z
      .string()
      .regex(/^[0-9A-Za-z]{1,16}$/)
      .nullable(),
  }),
  /** Commands wait, not acted on, until `release`. */
  z.strictObject({ do: z.literal('hold') }),
  z.strictObject({ do: z.literal('release') }),
  /** Handle waiting messages now. */
  z.strictObject({ do: z.literal('messages') }),
  z.strictObject({ do: z.literal('show') }),
  /** From now on this connection also gets a line for each event: `{"event":"command",…}`. */
  z.strictObject({ do: z.literal('follow') }),
  z.strictObject({ do: z.literal('stop') }),
]);
export type ControlRequest = z.input<typeof controlRequestSchema>;
type CheckedRequest = z.output<typeof controlRequestSchema>;

export type ControlAnswer =
  | { readonly ok: true; readonly phone: PhoneView; readonly handled?: readonly unknown[] }
  | { readonly ok: false; readonly error: string };

/** What the control needs of the place where the phone is held. */
export interface PhoneHolder {
  readonly phone: SimulatedPhone;
  tap(until: 'presented' | 'result' | 'removed'): Promise<void>;
  remove(): Promise<void>;
  messages(): readonly unknown[];
  stop(): void;
}

export interface ControlServer {
  /** Sends an event to every connection that follows. */
  tell(event: PhoneEvent): void;
  close(): Promise<void>;
}

async function perform(holder: PhoneHolder, request: CheckedRequest): Promise<readonly unknown[] | null> {
  switch (request.do) {
    case 'tap':
      await holder.tap(request.until);
      return null;
    case 'remove':
      await holder.remove();
      return null;
    case 'tearAt':
      holder.phone.tearAt({ at: request.apdu, moment: request.moment, bytes: request.bytes });
      return null;
    case 'noTear':
      holder.phone.tearAt(null);
      return null;
    case 'misbehave': {
      const { do: _do, ...wishes } = request;
      holder.phone.misbehave(Object.fromEntries(Object.entries(wishes).filter(([, wish]) => wish !== undefined)));
      return null;
    }
    case 'choose':
      holder.phone.choose(request.merchantId);
      return null;
    case 'hold':
      holder.phone.hold();
      return null;
    case 'release':
      holder.phone.release();
      return null;
    case 'messages':
      return holder.messages();
    case 'show':
    case 'follow':
      return null;
    case 'stop':
      holder.stop();
      return null;
  }
}

async function answerTo(holder: PhoneHolder, line: string, follow: () => void): Promise<ControlAnswer> {
  const json = parseJson(line, { lengthMax: lineCharactersMax, depthMax: 4 });
  if (!json.ok) return { ok: false, error: json.error.code };
  const request = controlRequestSchema.safeParse(json.value);
  if (!request.success) return { ok: false, error: z.prettifyError(request.error) };
  if (request.data.do === 'follow') follow();
  try {
    const handled = await perform(holder, request.data);
    return { ok: true, phone: holder.phone.show(), ...(handled ? { handled } : {}) };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Splits a socket's data into lines; a line that grows too long ends the connection. */
function onLines(socket: Socket, take: (line: string) => void): void {
  let pending = '';
  socket.setEncoding('utf8');
  socket.on('data', (chunk: string) => {
    pending += chunk;
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      take(pending.slice(0, end));
      pending = pending.slice(end + 1);
    }
    if (pending.length > lineCharactersMax) socket.destroy();
  });
}

/** Is somebody listening there? A socket file without a listener is left over from a killed process. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((done) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      done(true);
    });
    probe.once('error', () => done(false));
  });
}

/** Listens on a Unix socket. Rejects when another process listens there. */
export async function openControl(path: string, holder: PhoneHolder): Promise<ControlServer> {
  if (existsSync(path)) {
    if (await isAlive(path)) throw new Error(`${path} is in use`);
    rmSync(path);
  }
  const followers = new Set<Socket>();
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      followers.delete(socket);
    });
    let work = Promise.resolve();
    onLines(socket, (line) => {
      work = work.then(async () => {
        const answer = await answerTo(holder, line, () => followers.add(socket));
        if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
      });
    });
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(path, () => listening());
  });
  return {
    tell: (event) => {
      for (const socket of followers) socket.write(`${JSON.stringify(event)}\n`);
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        for (const socket of sockets) socket.end();
      }),
  };
}

/** Another process's end of the socket: asks and waits for the answer; lines that are events go to `onEvent`. */
export class PhoneControl {
  readonly #waiting: { readonly answered: (answer: ControlAnswer) => void; readonly failed: (error: Error) => void }[] =
    [];

  private constructor(
    private readonly socket: Socket,
    onEvent: (event: PhoneEvent) => void,
  ) {
    onLines(socket, (line) => {
      const message = JSON.parse(line) as ControlAnswer | PhoneEvent;
      if ('event' in message) onEvent(message);
      else this.#waiting.shift()?.answered(message);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      for (const { failed } of this.#waiting.splice(0)) failed(new Error('the phone is gone'));
    });
  }

  /** Rejects when nobody listens at `path`. */
  static open(path: string, onEvent: (event: PhoneEvent) => void = () => {}): Promise<PhoneControl> {
    return new Promise((done, failed) => {
      const socket = connect(path);
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        done(new PhoneControl(socket, onEvent));
      });
    });
  }

  ask(request: ControlRequest): Promise<ControlAnswer> {
    if (this.socket.destroyed) return Promise.reject(new Error('the phone is gone'));
    return new Promise((answered, failed) => {
      this.#waiting.push({ answered, failed });
      this.socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Asks, and throws when the phone says no. @returns the phone as it is afterwards */
  async request(request: ControlRequest): Promise<PhoneView> {
    const answer = await this.ask(request);
    if (!answer.ok) throw new Error(answer.error);
    return answer.phone;
  }

  close(): void {
    this.socket.destroy();
  }
}
