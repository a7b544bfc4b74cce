/**
 * The line between box and host: a TCP relay that can be cut, and that can lose an answer, swallow it in silence, or bring
 * a request so late that others overtake it. It moves ciphertext and reads nothing.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Most connections at once; the box keeps a handful. */
const connectionsMax = 64;
/** The host answers a handshake's first bytes, and then its last: from there on what the box sends are requests (RFC 8446 §2). */
const handshakeAnswers = 2;
/** Longer than the host makes a box wait for new directives, which is the longest that it takes to answer. */
const patienceMs = 60_000;

/**
 * lostAnswer: the host has acted, its answer goes nowhere and the connection breaks. silence: the same, and nothing breaks.
 * lateRequest: the request waits on its way until it is let go, whatever the box does meanwhile.
 */
export type Trouble = 'lostAnswer' | 'silence' | 'lateRequest';
export const troubles: readonly Trouble[] = ['lostAnswer', 'silence', 'lateRequest'];

interface Pair {
  readonly box: Socket;
  readonly host: Socket;
  /** The box has asked and the host has not begun to answer. */
  asking: boolean;
  /** Answers that the host has begun. */
  answers: number;
  silent: boolean;
  /** Bytes of the box that wait on their way; null: none do. */
  late: Buffer[] | null;
}

interface Plan {
  readonly trouble: Trouble;
  /** Connections that stood when it was made. */
  readonly pairs: ReadonlySet<Pair>;
  /** Requests that still pass. */
  passing: number;
  readonly happened: () => void;
}

export class HostLine {
  readonly #pairs = new Set<Pair>();
  #isCut = false;
  #plan: Plan | null = null;

  private constructor(
    private readonly server: Server,
    private readonly hostPort: number,
  ) {
    server.maxConnections = connectionsMax;
    server.on('connection', (box) => this.#join(box));
  }

  /** Listens on a free port of loopback. */
  static async open(hostPort: number): Promise<HostLine> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HostLine(server, hostPort);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Nothing gets through, and what is open breaks. */
  cut(): void {
    this.#isCut = true;
    this.#breakAll();
  }
  mend(): void {
    this.#isCut = false;
  }

  /** Happens to the nth request from now (1: the next) over connections that stand already; resolves at that moment. */
  plan(trouble: Trouble, nth: number): Promise<void> {
    return new Promise((happened) => {
      const standing = [...this.#pairs].filter(({ answers }) => answers >= handshakeAnswers);
      this.#plan = { trouble, pairs: new Set(standing), passing: nth - 1, happened };
    });
  }

  /** Lets late requests go, and waits until the host has answered or hung up; nobody hears the answers. Rejects when it does neither. */
  async letGo(): Promise<void> {
    this.#plan = null;
    for (const pair of [...this.#pairs]) {
      const { late, host } = pair;
      if (!late) continue;
      const over = new Promise<void>((resolve, reject) => {
        const mute = (): void => reject(new Error(`the host was silent for ${patienceMs / 1000} s to a late request`));
        const timer = setTimeout(mute, patienceMs);
        const end = (): void => {
          clearTimeout(timer);
          resolve();
        };
        for (const event of ['data', 'close']) host.once(event, end);
      });
      pair.late = null;
      host.write(Buffer.concat(late));
      await over;
      pair.box.destroy();
      host.destroy();
    }
  }

  async close(): Promise<void> {
    this.#breakAll();
    this.server.close();
    await once(this.server, 'close');
  }

  #breakAll(): void {
    for (const { box, host } of this.#pairs) {
      box.destroy();
      host.destroy();
    }
  }

  #join(box: Socket): void {
    if (this.#isCut) {
      box.destroy();
      return;
    }
    const host = connect(this.hostPort, '127.0.0.1');
    const pair: Pair = { box, host, asking: false, answers: 0, silent: false, late: null };
    this.#pairs.add(pair);
    const end = (): void => {
      box.destroy();
      // What is late arrives all the same when the box has given up.
      if (pair.late && !host.destroyed) return;
      this.#pairs.delete(pair);
      host.destroy();
    };
    for (const socket of [box, host]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    box.on('data', (bytes) => this.#fromBox(pair, bytes));
    host.on('data', (bytes) => this.#fromHost(pair, bytes));
  }

  #fromBox(pair: Pair, bytes: Buffer): void {
    const plan = this.#plan;
    const isDue = plan?.pairs.has(pair) === true && !pair.asking && plan.passing === 0;
    if (isDue && plan.trouble === 'lateRequest') {
      pair.late = [];
      this.#plan = null;
      plan.happened();
    }
    pair.asking = true;
    if (pair.late) pair.late.push(bytes);
    else pair.host.write(bytes);
  }

  #fromHost(pair: Pair, bytes: Buffer): void {
    const plan = this.#plan;
    if (plan?.pairs.has(pair) === true && pair.asking) {
      if (plan.passing > 0) plan.passing -= 1;
      else if (plan.trouble !== 'lateRequest') {
        this.#plan = null;
        pair.silent = true;
        plan.happened();
        if (plan.trouble === 'lostAnswer') pair.box.destroy();
      }
    }
    if (pair.asking) pair.answers += 1;
    pair.asking = false;
    if (!pair.silent && !pair.box.destroyed) pair.box.write(bytes);
  }
}
