/**
 * A Bluetooth LE controller in software: HCI commands and data in, events and data out (Bluetooth Core 5.4, Vol 4, Part E),
 * with virtual peripherals in its air. Link loss is one call; removal is closing the stream that it speaks on.
 * Must not know attributes, and must not be imported by anything but tests and scripts.
 */
import { type Bytes, concat, toHex } from '../../../terminal/kernel/bytes.js';
import { H4Cutter, packetType } from './h4.js';

/** What a peripheral may do with its link. */
export interface AirLink {
  send(channel: number, data: Bytes): void;
  /** The peripheral leaves: switched off, out of range (0x08), or of its own will (0x13). */
  drop(reason?: number): void;
}

export interface AirPeripheral {
  /** Six pairs of hex digits with colons. */
  readonly address: string;
  readonly addressType: 'public' | 'random';
  /** At most 31 bytes each (Vol 3, Part C, 11). */
  readonly advertisement: Bytes;
  readonly scanResponse: Bytes;
  /** dBm. */
  readonly rssi: number;
  readonly isAdvertising: boolean;
  /** Advertises, and is asleep when it is called. */
  readonly isDeaf: boolean;
  connected(link: AirLink): void;
  received(channel: number, data: Bytes): void;
  encrypted(): void;
  disconnected(): void;
}

/** The peripherals that a controller can hear; shared by all lives of it. */
export type Air = Set<AirPeripheral>;

const opcode = {
  disconnect: 0x0406,
  readLocalVersion: 0x1001,
  readLocalFeatures: 0x1003,
  readBufferSize: 0x1005,
  readAddress: 0x1009,
  leReadBufferSize: 0x2002,
  leSetScanEnable: 0x200c,
  leCreateConnection: 0x200d,
  leCancelConnection: 0x200e,
  leReadRemoteFeatures: 0x2016,
  leStartEncryption: 0x2019,
} as const;
/** LE only: BR/EDR not supported, LE supported (Vol 2, Part C, 3.3). */
const localFeatures = Uint8Array.of(0, 0, 0, 0, 0x60, 0, 0, 0);
/** The smallest that a controller may have: every longer packet is cut and joined. */
const aclBytesMax = 27;
const advertiseEveryMs = 20;

const u16 = (value: number): Bytes => Uint8Array.of(value & 0xff, value >> 8);
const addressBytes = (address: string): Bytes =>
  Uint8Array.from(address.split(':').map((pair) => Number.parseInt(pair, 16))).reverse();

/** What follows the status in the answer to a command. */
const results: ReadonlyMap<number, Bytes> = new Map([
  // Version 5.0 of everything.
  [opcode.readLocalVersion, Uint8Array.of(9, 0, 0, 9, 2, 0, 0, 0)],
  [opcode.readLocalFeatures, localFeatures],
  [opcode.readBufferSize, concat(u16(aclBytesMax), Uint8Array.of(0), u16(8), u16(0))],
  [opcode.leReadBufferSize, concat(u16(aclBytesMax), Uint8Array.of(8))],
  [opcode.readAddress, addressBytes('00:1b:dc:00:00:01')],
]);

interface Connection {
  readonly handle: number;
  readonly peripheral: AirPeripheral;
  /** A channel's message, until it is whole. */
  pending: Bytes;
}

export class HciController {
  readonly #cutter = new H4Cutter();
  readonly #connections = new Map<number, Connection>();
  readonly #timer: NodeJS.Timeout;
  #wanted: string | null = null;
  #scans = false;
  #lastHandle = 0x3f;

  /** @param send takes whole H4 packets for the host */
  constructor(
    private readonly air: Air,
    private readonly send: (packet: Bytes) => void,
  ) {
    this.#timer = setInterval(() => this.#advertise(), advertiseEveryMs);
  }

  /** Bytes of the host, split anywhere. */
  receive(chunk: Bytes): void {
    for (const packet of this.#cutter.push(chunk)) {
      if (packet[0] === packetType.command) this.#command((packet[1] ?? 0) + 256 * (packet[2] ?? 0), packet.slice(4));
      else if (packet[0] === packetType.data) this.#data(packet);
    }
  }

  /** The controller is pulled out: its peripherals lose their links. */
  close(): void {
    clearInterval(this.#timer);
    for (const { peripheral } of this.#connections.values()) peripheral.disconnected();
    this.#connections.clear();
  }

  #event(code: number, ...parts: readonly Bytes[]): void {
    const body = concat(...parts);
    this.send(concat(Uint8Array.of(packetType.event, code, body.length), body));
  }
  #complete(command: number, ...results: readonly Bytes[]): void {
    this.#event(0x0e, Uint8Array.of(1), u16(command), Uint8Array.of(0), ...results);
  }
  #status(command: number, status = 0): void {
    this.#event(0x0f, Uint8Array.of(status, 1), u16(command));
  }

  #command(command: number, parameters: Bytes): void {
    const handle = (parameters[0] ?? 0) + 256 * (parameters[1] ?? 0);
    if (command === opcode.leSetScanEnable) this.#scans = parameters[0] === 1;
    if (command === opcode.leCreateConnection) {
      this.#wanted = [...parameters.slice(6, 12)]
        .reverse()
        .map((byte) => toHex(Uint8Array.of(byte)))
        .join(':');
      this.#status(command);
    } else if (command === opcode.disconnect) {
      this.#status(command);
      this.#disconnected(handle, 0x16);
    } else if (command === opcode.leReadRemoteFeatures) {
      // A kernel calls a link up only once it has this.
      this.#status(command);
      this.#event(0x3e, Uint8Array.of(0x04, 0), u16(handle), new Uint8Array(8));
    } else if (command === opcode.leStartEncryption) {
      this.#status(command);
      this.#event(0x08, Uint8Array.of(0), u16(handle), Uint8Array.of(1));
      this.#connections.get(handle)?.peripheral.encrypted();
    } else {
      // Whatever else a host wants to set is set.
      this.#complete(command, results.get(command) ?? new Uint8Array(64));
    }
    if (command !== opcode.leCancelConnection || this.#wanted === null) return;
    this.#connectionComplete(0x02, 0, this.#wanted, 'random');
    this.#wanted = null;
  }

  #advertise(): void {
    const busy = new Set([...this.#connections.values()].map(({ peripheral }) => peripheral));
    for (const peripheral of this.air) {
      if (!peripheral.isAdvertising || busy.has(peripheral)) continue;
      if (this.#wanted === peripheral.address) {
        if (!peripheral.isDeaf) this.#connect(peripheral);
      } else if (this.#scans) {
        this.#advertisement(peripheral, 0x00, peripheral.advertisement);
        this.#advertisement(peripheral, 0x04, peripheral.scanResponse);
      }
    }
  }

  #advertisement({ address, addressType, rssi }: AirPeripheral, type: number, data: Bytes): void {
    const kind = Uint8Array.of(0x02, 1, type, addressType === 'random' ? 1 : 0);
    this.#event(0x3e, kind, addressBytes(address), Uint8Array.of(data.length), data, Uint8Array.of(rssi & 0xff));
  }

  #connect(peripheral: AirPeripheral): void {
    this.#wanted = null;
    const handle = ++this.#lastHandle;
    this.#connections.set(handle, { handle, peripheral, pending: new Uint8Array(0) });
    this.#connectionComplete(0, handle, peripheral.address, peripheral.addressType);
    peripheral.connected({
      send: (channel, data) => this.#sendData(handle, channel, data),
      drop: (reason = 0x08) => this.#disconnected(handle, reason),
    });
  }

  #connectionComplete(status: number, handle: number, address: string, addressType: string): void {
    const head = concat(Uint8Array.of(0x01, status), u16(handle), Uint8Array.of(0, addressType === 'random' ? 1 : 0));
    this.#event(0x3e, head, addressBytes(address), u16(6), u16(0), u16(42), Uint8Array.of(0));
  }

  #disconnected(handle: number, reason: number): void {
    const connection = this.#connections.get(handle);
    if (!connection) return;
    this.#connections.delete(handle);
    this.#event(0x05, Uint8Array.of(0), u16(handle), Uint8Array.of(reason));
    connection.peripheral.disconnected();
  }

  #data(packet: Bytes): void {
    const flags = (packet[2] ?? 0) >> 4;
    const handle = (packet[1] ?? 0) + 256 * ((packet[2] ?? 0) & 0x0f);
    this.#event(0x13, Uint8Array.of(1), u16(handle), u16(1));
    const connection = this.#connections.get(handle);
    if (!connection) return;
    const isContinuation = flags % 4 === 1;
    connection.pending = concat(isContinuation ? connection.pending : new Uint8Array(0), packet.slice(5));
    const length = (connection.pending[0] ?? 0) + 256 * (connection.pending[1] ?? 0);
    if (connection.pending.length < 4 + length) return;
    const channel = (connection.pending[2] ?? 0) + 256 * (connection.pending[3] ?? 0);
    connection.peripheral.received(channel, connection.pending.slice(4, 4 + length));
  }

  #sendData(handle: number, channel: number, data: Bytes): void {
    if (!this.#connections.has(handle)) return;
    const message = concat(u16(data.length), u16(channel), data);
    for (let at = 0; at < message.length; at += aclBytesMax) {
      const piece = message.slice(at, at + aclBytesMax);
      const flags = at === 0 ? 2 : 1;
      this.send(concat(Uint8Array.of(packetType.data), u16(handle + (flags << 12)), u16(piece.length), piece));
    }
  }
}
