/**
 * A smart card at the other end of QEMU's ccid-card-passthru: the vscard protocol over its socket (libcacard,
 * vscard_common.h): type, reader id and length as 32-bit big-endian integers, then the payload.
 */
import { connect, type Socket } from 'node:net';
import { type Bytes, concat, hex, readUintBE, uintBE } from '../../terminal/kernel/bytes.js';

const type = { init: 1, error: 2, readerAdd: 3, atr: 5, cardRemove: 6, apdu: 7 } as const;
const headerBytes = 12;
/** Contactless by PC/SC part 3: 3B 8n 80 01, historical bytes "SHOULI", check byte. */
const atr = hex('3b86800153484f554c4903');

/** Null: the card never answers. */
export type CardDouble = (command: Bytes) => Bytes | null;

export class CardSocket {
  #socket: Socket | null = null;
  #pending: Bytes = new Uint8Array(0);
  card: CardDouble = (command) => concat(command, hex('9000'));
  /** Commands seen so far. */
  commands = 0;

  constructor(private readonly socketPath: string) {}

  /** The device behind the socket has just been added. */
  async attach(): Promise<void> {
    this.detach();
    const socket = connect(this.socketPath);
    this.#socket = socket;
    this.#pending = new Uint8Array(0);
    socket.on('error', () => {});
    socket.on('data', (chunk) => this.#received(chunk));
    await new Promise((resolve) => socket.once('connect', resolve));
    this.#send(type.init, concat(new TextEncoder().encode('VSCD'), uintBE(2, 4), uintBE(0, 4)));
    this.#send(type.readerAdd, new TextEncoder().encode('rig\0'));
  }
  detach(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }
  insert(): void {
    this.#send(type.atr, atr);
  }
  remove(): void {
    this.#send(type.cardRemove, new Uint8Array(0));
  }

  #send(kind: number, payload: Bytes): void {
    this.#socket?.write(concat(uintBE(kind, 4), uintBE(0, 4), uintBE(payload.length, 4), payload));
  }

  #received(chunk: Bytes): void {
    this.#pending = concat(this.#pending, chunk);
    while (this.#pending.length >= headerBytes) {
      const kind = readUintBE(this.#pending.subarray(0, 4));
      const length = readUintBE(this.#pending.subarray(8, 12));
      if (this.#pending.length < headerBytes + length) return;
      const payload = this.#pending.slice(headerBytes, headerBytes + length);
      this.#pending = this.#pending.slice(headerBytes + length);
      if (kind !== type.apdu) continue;
      this.commands++;
      const answer = this.card(payload);
      if (answer) this.#send(type.apdu, answer);
    }
  }
}
