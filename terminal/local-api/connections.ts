/**
 * Connections of the local API: a bound on open sockets under which the paired till stays served: when full, the socket
 * that has waited longest without the token makes room. Must not read requests; it is told which socket bore the token.
 */
import type { Socket } from 'node:net';

/** Sockets at once. */
export const connectionsMax = 64;

export class Connections {
  /** In the order in which they came. */
  readonly #strangers = new Set<Socket>();
  readonly #paired = new Set<Socket>();

  /** A connection came. Where the paired till holds every place, it is closed unread. */
  admit(socket: Socket): void {
    if (this.#strangers.size + this.#paired.size >= connectionsMax) {
      const [oldest] = this.#strangers;
      (oldest ?? socket).destroy();
      if (!oldest) return;
      this.#strangers.delete(oldest);
    }
    this.#strangers.add(socket);
    socket.once('close', () => {
      this.#strangers.delete(socket);
      this.#paired.delete(socket);
    });
  }

  /** A request on this socket bore the pairing token: from now on it makes no room. */
  pair(socket: Socket): void {
    if (this.#strangers.delete(socket)) this.#paired.add(socket);
  }
}
