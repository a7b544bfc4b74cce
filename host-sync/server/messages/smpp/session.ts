/**
 * SMPP session: one connection to a message centre as transceiver: bind, requests under way and their answers, keep-alive, end.
 * Must not connect again or know what a message says, and must not put the password into an error.
 */

import { type Delivery, decodeDeliver, encodeBind } from '../../../../drivers/protocols/smpp/bodies.js';
import {
  commandIds,
  encodePdu,
  isResponse,
  type Pdu,
  PduReader,
  responseTo,
  sequenceMax,
  statuses,
} from '../../../../drivers/protocols/smpp/pdu.js';
import type { Bytes } from '../../../../terminal/kernel/bytes.js';
import type { Schedule } from '../port.js';

/** A connection to the centre, as bytes. */
export interface CentreConnection {
  write(bytes: Bytes): void;
  onData(listener: (chunk: Bytes) => void): void;
  onClosed(listener: () => void): void;
  close(): void;
}

/** How long an answer is waited for; with none the connection is given up. */
export const answerWithinMs = 10_000;
/** A line that was silent for so long is asked whether it is there. */
export const keepAliveMs = 30_000;
const nothing: Bytes = new Uint8Array(0);

/** answered: with this status. unknown: asked, and nobody knows what became of it. unasked: certainly never asked. */
export type RequestEnd =
  | { readonly end: 'answered'; readonly status: number; readonly body: Bytes }
  | { readonly end: 'unknown' }
  | { readonly end: 'unasked' };

export interface SessionPorts {
  readonly schedule: Schedule;
  /** Takes a delivery; the status goes back to the centre, and only when this returns. Throws: to be sent again. */
  readonly deliver: (delivery: Delivery) => number;
  /** The session is over, once. */
  readonly ended: (why: string) => void;
}

interface UnderWay {
  readonly command: number;
  readonly done: (end: RequestEnd) => void;
  readonly cancel: () => void;
}

export class SmppSession {
  readonly #reader = new PduReader();
  readonly #underWay = new Map<number, UnderWay>();
  #sequence = 0;
  #isOver = false;
  #heard = true;
  #cancelKeepAlive: () => void = () => {};

  constructor(
    private readonly connection: CentreConnection,
    private readonly ports: SessionPorts,
  ) {
    connection.onData((chunk) => this.#hear(chunk));
    connection.onClosed(() => this.end('the connection was closed'));
    this.#keepAlive();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Binds as transceiver. @returns the centre's status, or null where none came */
  async bind(who: Parameters<typeof encodeBind>[0]): Promise<number | null> {
    const answer = await this.request(commandIds.bindTransceiver, encodeBind(who));
    return answer.end === 'answered' ? answer.status : null;
  }

  /** Asks and waits for the answer, at most answerWithinMs. The caller bounds how many are under way. Never rejects. */
  request(command: number, body: Bytes): Promise<RequestEnd> {
    if (this.#isOver) return Promise.resolve({ end: 'unasked' });
    this.#sequence = this.#sequence === sequenceMax ? 1 : this.#sequence + 1;
    const sequence = this.#sequence;
    return new Promise((done) => {
      const cancel = this.ports.schedule(answerWithinMs, () => this.end('no answer in time'));
      this.#underWay.set(sequence, { command, done, cancel });
      this.connection.write(encodePdu({ command, status: 0, sequence, body }));
    });
  }

  /** Says goodbye and ends; resolves when it is over. */
  async unbind(): Promise<void> {
    await this.request(commandIds.unbind, nothing);
    this.end('unbound');
  }

  /** Ends the session; what was asked and not answered is unknown. Idempotent. */
  end(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelKeepAlive();
    this.connection.close();
    const left = [...this.#underWay.values()];
    this.#underWay.clear();
    for (const { cancel, done } of left) {
      cancel();
      done({ end: 'unknown' });
    }
    this.ports.ended(why);
  }

  #keepAlive(): void {
    this.#cancelKeepAlive = this.ports.schedule(keepAliveMs, () => {
      if (this.#isOver) return;
      if (!this.#heard) void this.request(commandIds.enquireLink, nothing);
      this.#heard = false;
      this.#keepAlive();
    });
  }

  #hear(chunk: Bytes): void {
    if (this.#isOver) return;
    this.#heard = true;
    const units = this.#reader.push(chunk);
    if (!units.ok) {
      this.end(`${units.error.code}: ${units.error.detail}`);
      return;
    }
    for (const unit of units.value) if (!this.#isOver) this.#take(unit);
  }

  #take(unit: Pdu): void {
    if (isResponse(unit.command)) this.#answered(unit);
    else if (unit.command === commandIds.enquireLink) this.#answer(unit, statuses.ok, nothing);
    else if (unit.command === commandIds.deliver) this.#delivered(unit);
    else if (unit.command === commandIds.unbind) {
      this.#answer(unit, statuses.ok, nothing);
      this.end('the centre unbound');
    } else
      this.connection.write(
        encodePdu({ ...unit, command: commandIds.genericNack, status: statuses.invalidCommand, body: nothing }),
      );
  }

  #answered({ command, status, sequence, body }: Pdu): void {
    const asked = this.#underWay.get(sequence);
    if (!asked || (command !== responseTo(asked.command) && command !== commandIds.genericNack)) return;
    this.#underWay.delete(sequence);
    asked.cancel();
    // A refusal as a whole is never a success, whatever its status.
    const said = command === commandIds.genericNack && status === 0 ? statuses.systemError : status;
    asked.done({ end: 'answered', status: said, body });
  }

  #delivered(unit: Pdu): void {
    const delivery = decodeDeliver(unit.body);
    let status: number = statuses.rejected;
    try {
      if (delivery.ok) status = this.ports.deliver(delivery.value);
    } catch {
      status = statuses.temporary;
    }
    this.#answer(unit, status, Uint8Array.of(0));
  }

  #answer({ command, sequence }: Pdu, status: number, body: Bytes): void {
    this.connection.write(encodePdu({ command: responseTo(command), status, sequence, body }));
  }
}
