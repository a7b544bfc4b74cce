/**
 * Orders: what a driver was told of its devices by identity: which it is to leave alone, and who listens in. Kept here so
 * that every driver keeps them alike, also for devices that it has not seen yet. Must act on nothing itself.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { ByteDirection, ByteSink } from './driver.js';

export class DeviceOrders {
  readonly #held = new Set<string>();
  readonly #sinks = new Map<string, ByteSink>();

  /** @returns whether that changed anything */
  serve(identity: string, inService: boolean): boolean {
    if (inService) return this.#held.delete(identity);
    const isNews = !this.#held.has(identity);
    this.#held.add(identity);
    return isNews;
  }
  isHeld(identity: string): boolean {
    return this.#held.has(identity);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    if (sink) this.#sinks.set(identity, sink);
    else this.#sinks.delete(identity);
  }
  /** To be called for every piece, in order, before it is acted upon. */
  passed(identity: string, direction: ByteDirection, bytes: Bytes): void {
    this.#sinks.get(identity)?.(direction, bytes);
  }
}
