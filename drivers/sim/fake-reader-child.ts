/**
 * Stands in for the PC/SC child process: real frames through the real codec, and readers and cards that a test moves.
 * Must not be imported by anything but tests and scripts.
 */
import { type Bytes, concat } from '../../terminal/kernel/bytes.js';
import { assert } from '../../terminal/kernel/result.js';
import { type Frame, readerFrames } from '../pcsc/frames.js';
import type { ChildPipe } from '../supervised/spawn-child.js';

/** One command in, its answer out; an empty answer means that the card left. A promise that never settles is a stuck card. */
export type Respond = (command: Bytes) => Bytes | Promise<Bytes>;

export class FakeReaderChild implements ChildPipe {
  readonly pid = null;
  /** Frames that the box sent. */
  readonly received: Frame[] = [];
  /** A frozen child is alive and says nothing. */
  frozen = false;
  killed = false;
  #ended = false;
  #onData: (chunk: Bytes) => void = () => {};
  #onEnded: (how: string) => void = () => {};
  readonly #reader = readerFrames.stream();
  readonly #cards = new Map<number, Respond>();

  /** Says what a child says that found pcscd and these readers. */
  comeUp(readerNames: readonly string[], firstReader = 1): void {
    this.send({ type: 'hello', version: readerFrames.version });
    this.send({ type: 'serviceUp' });
    readerNames.forEach((name, index) => {
      this.send({ type: 'readerAdded', reader: firstReader + index, name });
    });
    this.send({ type: 'looked' });
  }

  send(frame: Frame): void {
    this.sendRaw(readerFrames.encode(frame));
  }
  sendRaw(bytes: Bytes): void {
    if (!this.#ended) this.#onData(bytes);
  }

  present(
    reader: number,
    card: number,
    respond: Respond,
    atr: Bytes = new Uint8Array([0x3b, 0x80, 0x80, 0x01, 0x01]),
  ): void {
    this.#cards.set(card, respond);
    this.send({ type: 'cardPresented', reader, card, atr });
  }
  remove(reader: number, card: number): void {
    this.#cards.delete(card);
    this.send({ type: 'cardRemoved', reader, card });
  }

  /** The process ends by itself. */
  end(how = 'ended with status 1'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnded(how);
  }

  write(bytes: Bytes): void {
    const frames = this.#reader.push(bytes);
    assert(frames.ok, 'the box writes frames');
    for (const frame of frames.value) {
      this.received.push(frame);
      if (!this.frozen) this.#handle(frame);
    }
  }
  onData(listener: (chunk: Bytes) => void): void {
    this.#onData = listener;
  }
  onEnded(listener: (how: string) => void): void {
    this.#onEnded = listener;
  }
  kill(): void {
    this.killed = true;
    queueMicrotask(() => this.end('ended by SIGKILL'));
  }

  #handle(frame: Frame): void {
    if (frame.type === 'ping') this.send({ type: 'pong', nonce: frame.nonce });
    else if (frame.type === 'transmit') void this.#transmit(frame.card, frame.exchange, frame.command);
  }

  async #transmit(card: number, exchange: number, command: Bytes): Promise<void> {
    const respond = this.#cards.get(card);
    const answer = respond ? await respond(command) : new Uint8Array(0);
    if (answer.length < 2) this.send({ type: 'failed', exchange, code: 'device.cardRemoved', detail: 'the card left' });
    else this.send({ type: 'answer', exchange, answer });
  }
}

/** A card that sends every command back with 90 00. */
export const echoing: Respond = (command) => concat(command, new Uint8Array([0x90, 0x00]));
