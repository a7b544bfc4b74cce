/**
 * Orders: what a driver was told of its devices by identity: which it is to leave alone, and who listens in. Kept here so
 * that every driver keeps them alike, also for devices that it has not seen yet. Must act on nothing itself.
 */
import { type Bytes, utf8 } from '../../terminal/kernel/bytes.js';
import type { ByteSink, DeviceOrder, PassedMoment } from './driver.js';

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
  passed(identity: string, what: 'in' | 'out', bytes: Bytes): void {
    this.#sinks.get(identity)?.(what, bytes);
  }
  line(identity: string, what: 'opened' | 'closed'): void {
    this.#sinks.get(identity)?.(what, new Uint8Array(0));
  }

  /** Before an order is carried out. What it says is made into text only where somebody listens in. */
  ordered(identity: string, order: () => DeviceOrder): void {
    this.#say(identity, 'order', order);
  }
  /** What became of an order, or what else the driver made of the bytes and gave to others than the sales. */
  ended(identity: string, end: () => unknown): void {
    this.#say(identity, 'end', end);
  }
  /** To be called once somebody has begun to listen. */
  about(identity: string, settings: () => unknown): void {
    this.#say(identity, 'about', settings);
  }

  #say(identity: string, what: PassedMoment, value: () => unknown): void {
    this.#sinks.get(identity)?.(what, utf8(JSON.stringify(value())));
  }
}
