/**
 * The line between box and host: a TCP relay that can be cut, and that can lose the host's next answer after the host has
 * acted. It moves ciphertext and reads nothing.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Most connections at once; the box keeps a handful. */
const connectionsMax = 64;

export class HostLine {
  readonly #pairs = new Set<{ readonly box: Socket; readonly host: Socket }>();
  #isCut = false;
  /** Set while an answer is to be lost. */
  #lost: (() => void) | null = null;

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

  /**
   * The next request on a connection that stands already reaches the host, and its answer goes nowhere: the connection
   * breaks instead. Resolves at that moment, before the box can know.
   */
  loseNextAnswer(): Promise<void> {
    const asked = new Set<Socket>();
    return new Promise((resolve) => {
      this.#lost = resolve;
      for (const { box, host } of this.#pairs) {
        box.on('data', () => asked.add(host));
        host.prependListener('data', () => {
          if (!this.#lost || !asked.has(host)) return;
          box.destroy();
          host.destroy();
          this.#lost();
          this.#lost = null;
        });
      }
    });
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
    const pair = { box, host };
    this.#pairs.add(pair);
    const end = (): void => {
      this.#pairs.delete(pair);
      box.destroy();
      host.destroy();
    };
    for (const socket of [box, host]) {
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', end);
    }
    box.on('data', (bytes) => host.write(bytes));
    host.on('data', (bytes) => box.destroyed || box.write(bytes));
  }
}
