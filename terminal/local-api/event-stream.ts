/**
 * Event stream: the box's events as server-sent events (WHATWG HTML §9.2) for followers that come back.
 * Bounded in followers and in bytes that wait for each: one that does not read is cut and never holds up the box.
 */
import type { ServerResponse } from 'node:http';
import type { NumberedEvent, TerminalPort } from '../runtime/port.js';
import { eventBody } from './wire.js';

export type Schedule = (delayMs: number, run: () => void) => () => void;

/** Followers at once. */
export const followersMax = 8;
/** Bytes that may wait for one follower. */
export const waitingBytesMax = 262_144;
export const heartbeatMs = 15_000;

/** `<boot>:<number>` as Last-Event-ID brings it back; null when it is not one of ours. */
export function parseEventId(text: string): { readonly boot: string; readonly number: number } | null {
  const match = /^([0-9A-Za-z_-]{1,64}):([0-9]{1,15})$/.exec(text);
  return match?.[1] && match[2] ? { boot: match[1], number: Number.parseInt(match[2], 10) } : null;
}

const frame = ({ boot, number, event }: NumberedEvent): string =>
  `id: ${boot}:${number}\nevent: ${event.type}\ndata: ${JSON.stringify(eventBody(event))}\n\n`;
const resetFrame = 'event: reset\ndata: {}\n\n';

export class EventStreams {
  readonly #port: Pick<TerminalPort, 'follow'>;
  readonly #schedule: Schedule;
  readonly #open = new Set<() => void>();

  constructor(port: Pick<TerminalPort, 'follow'>, schedule: Schedule) {
    this.#port = port;
    this.#schedule = schedule;
  }

  get full(): boolean {
    return this.#open.size >= followersMax;
  }

  /**
   * Serves one follower until it goes. `lastEventId`: what the request's header said; absent: from now on; what is gone
   * or not ours: first a reset. What is to be sent again is sent whole or, when it is too much, as a reset.
   */
  open(response: ServerResponse, lastEventId: string | undefined): void {
    let cancelHeartbeat: () => void = () => undefined;
    let stopFollowing: () => void = () => undefined;
    const end = (): void => {
      this.#open.delete(end);
      cancelHeartbeat();
      stopFollowing();
      response.destroy();
    };
    const send = (text: string): void => {
      if (text === '' || !this.#open.has(end)) return;
      if (response.writableLength + Buffer.byteLength(text) > waitingBytesMax) end();
      else response.write(text);
    };
    const beat = (): void => {
      cancelHeartbeat = this.#schedule(heartbeatMs, () => {
        send(': still here\n\n');
        if (this.#open.has(end)) beat();
      });
    };
    this.#open.add(end);
    response.on('close', end);
    send('retry: 2000\n: following\n\n');

    const after = lastEventId === undefined ? null : parseEventId(lastEventId);
    if (lastEventId !== undefined && after === null) send(resetFrame);
    let again: string[] | null = [];
    stopFollowing = this.#port.follow(after, (numbered) => {
      const text = numbered ? frame(numbered) : resetFrame;
      if (again) again.push(text);
      else send(text);
    });
    // follow() hands over what is to be sent again before it returns.
    const missed = again.join('');
    again = null;
    send(Buffer.byteLength(missed) > waitingBytesMax / 2 ? resetFrame : missed);
    if (this.#open.has(end)) beat();
    else stopFollowing();
  }

  closeAll(): void {
    for (const end of [...this.#open]) end();
  }
}
