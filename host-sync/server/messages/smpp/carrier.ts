/**
 * SMPP carrier: takes messages between the spool and a message centre, connecting again whenever the line is lost.
 * A message whose fate is unknown is never sent again. Must not log numbers or texts, and keeps the password to itself.
 */
import { createHash } from 'node:crypto';
import { type Delivery, encodeSubmit } from '../../../../drivers/protocols/smpp/bodies.js';
import { commandIds, statuses } from '../../../../drivers/protocols/smpp/pdu.js';
import { type SmsPart, splitText } from '../../../../drivers/protocols/sms/parts.js';
import type { MessageFile } from '../../../spool/message-file.js';
import type { MessageSpool, SendEnd } from '../../../spool/message-spool.js';
import type { Schedule } from '../port.js';
import { type CentreConnection, type RequestEnd, SmppSession } from './session.js';

export interface SmppCarrierOptions {
  readonly spool: Pick<MessageSpool, 'claim' | 'giveBack' | 'settle' | 'receive'>;
  /** Connects to the centre, within some seconds; rejects where it cannot. */
  readonly connect: () => Promise<CentreConnection>;
  readonly who: { readonly systemId: string; readonly password: string; readonly systemType: string };
  readonly ownNumber: string;
  /** What international numbers begin with where members are written without it (`+86`); empty: numbers stay as they are. */
  readonly homePrefix: string;
  /** Messages under way at once, 1…50. */
  readonly window: number;
  readonly lookEveryMs: number;
  readonly schedule: Schedule;
  /** Told what a technician wants to know; no number, no text, no secret. */
  readonly report: (event: string, facts: Readonly<Record<string, string | number>>) => void;
}

/** Wait before connecting again: doubled from the first to the last with each failure. */
export const retryFirstMs = 1_000;
export const retryLastMs = 60_000;
/** Wait after the centre had no room, and how often one part is tried. */
export const throttledMs = 5_000;
export const throttledTriesMax = 60;
const certainlyNotTaken: readonly number[] = [statuses.throttled, statuses.queueFull];

export class SmppCarrier {
  readonly counters = { sent: 0, unsure: 0, unsent: 0, received: 0, repeated: 0, refused: 0, throttled: 0, bound: 0 };
  #session: SmppSession | null = null;
  #isBound = false;
  #stopped = false;
  #failures = 0;
  #cancelRetry: () => void = () => {};
  #cancelLook: () => void = () => {};
  readonly #sending = new Set<Promise<void>>();
  /** What waits for a bound session, a pause's end, or the stop. */
  readonly #wakers = new Set<() => void>();

  constructor(private readonly options: SmppCarrierOptions) {}

  start(): void {
    void this.#connect();
    this.#look();
  }

  /** Lets what is under way finish, at most as long as an answer is waited for, unbinds and ends. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    this.#cancelLook();
    this.#wake();
    await Promise.all(this.#sending);
    if (this.#isBound) await this.#session?.unbind();
    else this.#session?.end('stopped');
  }

  async #connect(): Promise<void> {
    let connection: CentreConnection;
    try {
      connection = await this.options.connect();
    } catch (error) {
      this.#lost(`cannot connect: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
      return;
    }
    if (this.#stopped) {
      connection.close();
      return;
    }
    const session = new SmppSession(connection, {
      schedule: this.options.schedule,
      deliver: (delivery) => this.#receive(delivery),
      ended: (why) => this.#lost(why),
    });
    this.#session = session;
    const status = await session.bind(this.options.who);
    // The line may have gone in the same moment in which its answer came.
    if (status === null || this.#session !== session) return;
    if (status !== statuses.ok) {
      session.end(`bind refused with status ${status}`);
      return;
    }
    this.#failures = 0;
    this.#isBound = true;
    this.counters.bound++;
    this.options.report('bound', {});
    this.#wake();
    this.#pump();
  }

  #lost(why: string): void {
    this.#session = null;
    this.#isBound = false;
    if (this.#stopped) return;
    const delayMs = Math.min(retryLastMs, retryFirstMs * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    this.options.report('lost', { why, retryMs: delayMs });
    this.#cancelRetry = this.options.schedule(delayMs, () => {
      void this.#connect();
    });
  }

  #look(): void {
    this.#cancelLook = this.options.schedule(this.options.lookEveryMs, () => {
      this.#pump();
      if (!this.#stopped) this.#look();
    });
  }

  /** Takes messages up while there is room; a spool that cannot be read is tried at the next look. */
  #pump(): void {
    while (this.#isBound && !this.#stopped && this.#sending.size < this.options.window) {
      let message: MessageFile | null = null;
      try {
        message = this.options.spool.claim();
      } catch {
        this.options.report('spool', { why: 'cannot be read' });
      }
      if (!message) return;
      const sending = this.#send(message)
        .catch(() => this.options.report('spool', { why: 'cannot be written' }))
        .finally(() => {
          this.#sending.delete(sending);
          this.#pump();
        });
      this.#sending.add(sending);
    }
  }

  async #send(message: MessageFile): Promise<void> {
    const { spool } = this.options;
    const parts = splitText(message.text, createHash('sha256').update(message.id).digest()[0] ?? 0);
    if (!parts.ok) return this.#settle(message.id, 'unsent', parts.error.code);
    for (const [i, part] of parts.value.entries()) {
      const end = await this.#sendPart(message.to, part);
      if (end.end === 'answered' && end.status === statuses.ok) continue;
      if (end.end === 'unasked' && i === 0) return spool.giveBack(message.id);
      const where = `part ${i + 1} of ${parts.value.length}`;
      if (end.end === 'answered') return this.#settle(message.id, 'unsent', `status ${end.status} for ${where}`);
      return this.#settle(message.id, 'unsure', `no answer for ${where}`);
    }
    this.#settle(message.id, 'sent', '');
  }

  /** Sends one part, waiting for the line and for room at the centre. `unasked` only when the carrier stops. */
  async #sendPart(to: string, part: SmsPart): Promise<RequestEnd> {
    const body = encodeSubmit(this.options.ownNumber, to, part);
    let refusals = 0;
    for (;;) {
      if (this.#stopped) return { end: 'unasked' };
      const session = this.#isBound ? this.#session : null;
      if (!session) {
        await this.#pause(null);
        continue;
      }
      const end = await session.request(commandIds.submit, body);
      const isFull = end.end === 'answered' && certainlyNotTaken.includes(end.status);
      if (isFull && ++refusals < throttledTriesMax) {
        this.counters.throttled++;
        await this.#pause(throttledMs);
      } else if (end.end !== 'unasked') return end;
    }
  }

  /** Waits so long, or until the line is bound, and no longer than until the stop. */
  #pause(delayMs: number | null): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#wakers.delete(end);
        resolve();
      };
      const cancel = delayMs === null ? () => {} : this.options.schedule(delayMs, end);
      this.#wakers.add(end);
    });
  }
  #wake(): void {
    for (const waker of [...this.#wakers]) waker();
  }

  #settle(id: string, end: SendEnd, reason: string): void {
    this.options.spool.settle(id, end, reason);
    this.counters[end]++;
    if (end !== 'sent') this.options.report(end, { id, reason });
  }

  #receive({ from, to, isReceipt, place, text }: Delivery): number {
    if (isReceipt) return statuses.ok;
    const end = this.options.spool.receive({ from: this.#asWritten(from), to: this.#asOwn(to), place, text });
    if (end === 'full') return statuses.queueFull;
    if (end === 'unfit') {
      this.counters.refused++;
      this.options.report('refused', {});
      return statuses.rejected;
    }
    this.counters[end === 'stored' ? 'received' : 'repeated']++;
    return statuses.ok;
  }

  /** The merchant's number as the host has it, however the centre writes it. */
  #asOwn(number: string): string {
    const { ownNumber } = this.options;
    return this.#asWritten(number) === this.#asWritten(ownNumber) ? ownNumber : this.#asWritten(number);
  }

  /** The number as members and merchant are written at this host. */
  #asWritten(number: string): string {
    const { homePrefix } = this.options;
    return homePrefix !== '' && number.startsWith(homePrefix) ? number.slice(homePrefix.length) : number;
  }
}
