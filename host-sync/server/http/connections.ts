/**
 * Connections: a bound on open sockets under which terminals stay served: when full, the longest unproven one makes room.
 * Must not judge certificates; it is told which socket has proven itself.
 */
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Most open sockets. */
  readonly openMax: number;
}
export const connectionLimitsDefault: ConnectionLimits = { openMax: 1_024 };

const endpoint = (socket: Pick<Socket, 'remoteAddress' | 'remotePort'>): string =>
  `${socket.remoteAddress}|${socket.remotePort}`;

/** Keeps the open sockets in the order in which they came. */
export class ConnectionGuard {
  readonly #unproven = new Map<string, Socket>();
  readonly #proven = new Map<string, Socket>();
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

  /** The connection has shown a certificate of a terminal: it is not closed to make room any more. */
  prove(tlsSocket: Pick<Socket, 'remoteAddress' | 'remotePort'>): void {
    const key = endpoint(tlsSocket);
    const socket = this.#unproven.get(key);
    if (!socket) return;
    this.#unproven.delete(key);
    this.#proven.set(key, socket);
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
