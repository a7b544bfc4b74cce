/**
 * HCI packets on a byte stream (UART transport "H4", Bluetooth Core 5.4, Vol 4, Part A): one type byte, then a packet that
 * tells its length. Must not be imported by anything but tests and scripts.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';

export const packetType = { command: 1, data: 2, event: 4 } as const;

/** Length of the packet whose type and header these bytes begin with; null: too few to tell. */
function lengthOf(bytes: Bytes): number | null {
  const type = bytes[0];
  if (type === packetType.command) return bytes.length < 4 ? null : 4 + (bytes[3] ?? 0);
  if (type === packetType.event) return bytes.length < 3 ? null : 3 + (bytes[2] ?? 0);
  if (type === packetType.data) return bytes.length < 5 ? null : 5 + (bytes[3] ?? 0) + 256 * (bytes[4] ?? 0);
  throw new Error(`no HCI packet begins with ${type}`);
}

/** Gives whole packets, however the stream was split. */
export class H4Cutter {
  #pending: Bytes = new Uint8Array(0);
  push(chunk: Bytes): readonly Bytes[] {
    this.#pending = concat(this.#pending, chunk);
    const packets: Bytes[] = [];
    while (this.#pending.length > 0) {
      const length = lengthOf(this.#pending);
      if (length === null || length > this.#pending.length) break;
      packets.push(this.#pending.slice(0, length));
      this.#pending = this.#pending.slice(length);
    }
    return packets;
  }
}
