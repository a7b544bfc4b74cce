/**
 * What the guest may ask of the host, and how that is done: devices plugged in and out, keys, cards and serial bytes.
 */
import { connect, type Socket } from 'node:net';
import { hex } from '../../terminal/kernel/bytes.js';
import { CardSocket } from './card-double.js';
import type { Machine } from './machine.js';

/** One line of JSON each way on the guest's second serial line. */
export type Request =
  | {
      readonly ask: 'plug';
      readonly driver: string;
      readonly id: string;
      readonly words?: Readonly<Record<string, string | boolean>>;
    }
  | { readonly ask: 'unplug'; readonly id: string }
  /** QEMU's names of keys (`a`, `ret`, `shift-a`), each pressed and let go in turn. */
  | { readonly ask: 'type'; readonly keys: readonly string[] }
  | { readonly ask: 'card'; readonly what: 'attach' | 'insert' | 'remove' | 'mute' | 'speak' }
  | { readonly ask: 'serial'; readonly text: string };
export type GuestLine =
  | (Request & { readonly number: number })
  | { readonly begins: string }
  | { readonly note: string }
  | { readonly ends: string; readonly failure: string | null; readonly tookMs: number }
  | { readonly end: true };

/** How long a key is held down, in milliseconds: the guest is slow. */
const keyHoldMs = 20;

export class RequestDesk {
  readonly #card: CardSocket;
  #serial: Socket | null = null;
  constructor(private readonly machine: Machine) {
    this.#card = new CardSocket(machine.cardSocket);
  }

  async serve(request: Request): Promise<void> {
    switch (request.ask) {
      case 'plug':
        await this.machine.command('device_add', { driver: request.driver, id: request.id, ...request.words });
        break;
      case 'unplug': {
        // Adding again before this event fails.
        const gone = this.machine.event('DEVICE_DELETED', ({ device }) => device === request.id);
        await this.machine.command('device_del', { id: request.id });
        await gone;
        break;
      }
      case 'type':
        for (const key of request.keys) {
          const keys = key.split('-').map((data) => ({ type: 'qcode', data }));
          await this.machine.command('send-key', { keys, 'hold-time': keyHoldMs });
          await new Promise((resolve) => setTimeout(resolve, 3 * keyHoldMs));
        }
        break;
      case 'card':
        await this.#cardRequest(request.what);
        break;
      case 'serial':
        this.#serial ??= connect(this.machine.serialSocket).on('error', () => {});
        this.#serial.write(request.text);
        break;
    }
  }

  async #cardRequest(what: 'attach' | 'insert' | 'remove' | 'mute' | 'speak'): Promise<void> {
    if (what === 'attach') await this.#card.attach();
    else if (what === 'insert') this.#card.insert();
    else if (what === 'remove') this.#card.remove();
    else if (what === 'mute') this.#card.card = () => null;
    else this.#card.card = (command) => Uint8Array.from([...command, ...hex('9000')]);
  }

  close(): void {
    this.#card.detach();
    this.#serial?.destroy();
  }
}
