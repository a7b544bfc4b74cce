/**
 * Connections: a bound on open sockets under which terminals stay served: when full, the longest unproven one makes room.
 * Must not judge certificates; it is told which socket has proven itself.
 */
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Most open sockets: each terminal keeps one that waits for new directives, and a few that work. */
  readonly openMax: number;
  /** Most of one terminal, so that none can take the places of the others. */
  readonly perTerminalMax: number;
}
export const connectionLimitsDefault: ConnectionLimits = { openMax: 4_096, perTerminalMax: 16 };

const endpoint = (socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string =>
  `${socket.remoteAddress}|${socket.remotePort}`;

/** Keeps the open sockets in the order in which they came. */
export class ConnectionGuard {
  readonly #unproven = new Map<string, Socket>();
  readonly #proven = new Map<string, Socket>();
  /** Of each terminal, in the order in which they came. */
  readonly #ofTerminal = new Map<string, Set<Socket>>();
  #evicted = 0;
  constructor(private readonly limits: ConnectionLimits = connectionLimitsDefault) {}

  /** A raw connection came. When all places are taken by proven ones the new one is closed at once. */
  admit(socket: Socket): void {
    const key = endpoint(socket);
    if (this.open >= this.limits.openMax) {
      const oldest = this.#unproven.entries().next().value;
      this.#evicted++;
      if (!oldest) {
        socket.destroy();
        return;
      }
      this.#unproven.delete(oldest[0]);
      oldest[1].destroy();
    }
    this.#unproven.set(key, socket);
    socket.once('close', () => {
      // The same endpoint may have come again after an eviction: only this socket's own place is given up.
      if (this.#unproven.get(key) === socket) this.#unproven.delete(key);
      if (this.#proven.get(key) === socket) this.#proven.delete(key);
    });
  }

  /**
   * The connection has shown a certificate of this terminal: it is not closed to make room for others any more. Where the
   * terminal has too many, its own oldest goes.
   */
  prove(tlsSocket: Pick<Socket, 'remoteAddress' | 'remotePort'>, terminalId: string): void {
    const key = endpoint(tlsSocket);
    const socket = this.#unproven.get(key);
    if (!socket) return;
    this.#unproven.delete(key);
    this.#proven.set(key, socket);
    const own = this.#ofTerminal.get(terminalId) ?? new Set<Socket>();
    this.#ofTerminal.set(terminalId, own.add(socket));
    socket.once('close', () => {
      own.delete(socket);
      if (own.size === 0 && this.#ofTerminal.get(terminalId) === own) this.#ofTerminal.delete(terminalId);
    });
    const [oldest] = own;
    if (own.size > this.limits.perTerminalMax && oldest) {
      this.#evicted++;
      own.delete(oldest);
      oldest.destroy();
    }
  }

  /** Closes at once whatever has shown no certificate. */
  dropUnproven(): void {
    for (const socket of this.#unproven.values()) socket.destroy();
  }

  get open(): number {
    return this.#unproven.size + this.#proven.size;
  }
  /** How many were closed to make room since the start. */
  get evicted(): number {
    return this.#evicted;
  }
}
