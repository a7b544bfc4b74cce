/**
 * A simulated SMS centre: SMPP 3.4 over TCP, written from the specification without a line of the host's codec. Misbehaves on
 * request. For tests and scripts.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface Submitted {
  readonly from: string;
  readonly to: string;
  readonly esmClass: number;
  readonly coding: number;
  readonly message: Buffer;
}

/** What it does otherwise than a good centre. */
export interface CentreMood {
  /** Statuses of the next submissions, in order; then all is well. `silence`: no answer; `hangUp`: the line is cut instead. */
  readonly submits: (number | 'silence' | 'hangUp')[];
  /** Answers nothing at all. */
  mute: boolean;
  /** Sends every byte by itself. */
  drip: boolean;
  refuseBind: number;
}

const alphabet = new Map<number, string>();
for (const [at, character] of [...'@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ'].entries()) alphabet.set(at, character);
for (let code = 0x20; code < 0x7b; code++)
  if (code !== 0x24 && code !== 0x40) alphabet.set(code, String.fromCharCode(code));

export class SimulatedMessageCentre {
  readonly mood: CentreMood = { submits: [], mute: false, drip: false, refuseBind: 0 };
  readonly submitted: Submitted[] = [];
  readonly binds: { readonly systemId: string; readonly password: string; readonly type: string }[] = [];
  /** Command ids as they came. */
  readonly heard: number[] = [];
  /** Submissions that wait for an answer at once, at most. */
  widest = 0;
  held: (() => void)[] = [];
  holding = false;
  #line: Socket | null = null;
  #open = 0;
  #sequence = 1_000;
  #waiting = Buffer.alloc(0);
  readonly #answers = new Map<number, (status: number) => void>();
  #server: Server | null = null;

  constructor(private readonly account = { systemId: 'shop', password: 'secret77' }) {}

  async listen(port = 0): Promise<number> {
    this.#server = createServer((socket) => {
      this.#line = socket;
      this.#open = 0;
      this.#waiting = Buffer.alloc(0);
      socket.on('error', () => {});
      socket.on('data', (chunk) => this.#hear(socket, chunk));
    }).listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.hangUp();
    this.#server?.close();
    if (this.#server) await once(this.#server, 'close');
  }
  hangUp(): void {
    this.#line?.destroy();
  }
  /** Bytes as they are. */
  raw(bytes: Buffer): void {
    this.#line?.write(bytes);
  }
  /** Answers what was held back. */
  release(): void {
    for (const answer of this.held.splice(0)) answer();
  }

  /** Delivers a message to the host. @returns the status that it answers with */
  deliver(message: {
    from: string;
    to: string;
    text: string | Buffer;
    coding?: number;
    esmClass?: number;
    international?: boolean;
    options?: Buffer;
  }): Promise<number> {
    const { text, coding = 0, esmClass = 0, international = false, options = Buffer.alloc(0) } = message;
    const data = typeof text === 'string' ? Buffer.from(text, 'latin1') : text;
    const zero = '\0';
    const body = Buffer.concat([
      Buffer.from([0, international ? 1 : 0, 1]),
      Buffer.from(message.from + zero),
      Buffer.from([0, 1]),
      Buffer.from(message.to + zero),
      Buffer.from([esmClass, 0, 0, 0, 0, 0, 0, coding, 0, data.length]),
      data,
      options,
    ]);
    const sequence = this.#sequence++;
    return new Promise((resolve) => {
      this.#answers.set(sequence, resolve);
      this.#say(this.#line, 5, 0, sequence, body);
    });
  }
  /** Asks whether the host is there. */
  enquire(): Promise<number> {
    const sequence = this.#sequence++;
    return new Promise((resolve) => {
      this.#answers.set(sequence, resolve);
      this.#say(this.#line, 0x15, 0, sequence, Buffer.alloc(0));
    });
  }

  #say(line: Socket | null, command: number, status: number, sequence: number, body: Buffer): void {
    const head = Buffer.alloc(16);
    head.writeUInt32BE(16 + body.length, 0);
    head.writeUInt32BE(command, 4);
    head.writeUInt32BE(status, 8);
    head.writeUInt32BE(sequence, 12);
    const unit = Buffer.concat([head, body]);
    if (!this.mood.drip) line?.write(unit);
    else for (const byte of unit) line?.write(Buffer.from([byte]));
  }

  #hear(line: Socket, chunk: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    while (this.#waiting.length >= 16 && this.#waiting.length >= this.#waiting.readUInt32BE(0)) {
      const length = this.#waiting.readUInt32BE(0);
      const unit = this.#waiting.subarray(0, length);
      this.#waiting = this.#waiting.subarray(length);
      this.#take(line, unit.readUInt32BE(4), unit.readUInt32BE(8), unit.readUInt32BE(12), unit.subarray(16));
    }
  }

  #take(line: Socket, command: number, status: number, sequence: number, body: Buffer): void {
    this.heard.push(command);
    if (command >= 0x80000000) {
      this.#answers.get(sequence)?.(status);
      this.#answers.delete(sequence);
    } else if (this.mood.mute) {
      // Says nothing.
    } else if (command === 9) this.#bind(line, sequence, body);
    else if (command === 4) this.#submit(line, sequence, body);
    else this.#say(line, command + 0x80000000, 0, sequence, Buffer.alloc(0));
  }

  #bind(line: Socket, sequence: number, body: Buffer): void {
    const [systemId = '', password = '', type = ''] = body.toString('latin1').split('\0');
    this.binds.push({ systemId, password, type });
    const isKnown = systemId === this.account.systemId && password === this.account.password;
    const status = this.mood.refuseBind || (isKnown ? 0 : 0x0e);
    this.#say(line, 0x80000009, status, sequence, Buffer.from('centre\0'));
  }

  #submit(line: Socket, sequence: number, body: Buffer): void {
    let at = body.indexOf(0) + 3;
    const text = (): string => {
      const end = body.indexOf(0, at);
      const value = body.toString('latin1', at, end);
      at = end + 1;
      return value;
    };
    const from = text();
    at += 2;
    const to = text();
    const esmClass = body[at] ?? 0;
    at += 3;
    text();
    text();
    const coding = body[at + 2] ?? 0;
    const length = body[at + 4] ?? 0;
    const message = body.subarray(at + 5, at + 5 + length);
    if (at + 5 + length !== body.length) throw new Error('submit_sm: lengths do not agree');
    const mood = this.mood.submits.shift() ?? 0;
    if (mood === 'hangUp') line.destroy();
    if (mood !== 'hangUp' && mood !== 'silence') {
      this.widest = Math.max(this.widest, ++this.#open);
      const answer = (): void => {
        this.#open--;
        this.#say(line, 0x80000004, mood, sequence, mood === 0 ? Buffer.from(`id${sequence}\0`) : Buffer.alloc(0));
      };
      if (this.holding) this.held.push(answer);
      else answer();
    }
    if (mood === 0 || mood === 'silence' || mood === 'hangUp')
      this.submitted.push({ from, to, esmClass, coding, message });
  }
}

/** What a phone shows of submissions in order, parts joined. Characters of ASCII and UCS-2 only. */
export function shownBy(submissions: readonly Submitted[]): string {
  return submissions
    .map(({ esmClass, coding, message }) => {
      const data = esmClass & 0x40 ? message.subarray(1 + (message[0] ?? 0)) : message;
      return coding === 8
        ? new TextDecoder('utf-16be').decode(data)
        : [...data].map((septet) => alphabet.get(septet) ?? '?').join('');
    })
    .join('');
}
