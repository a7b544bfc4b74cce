/**
 * Virtual Bluetooth LE devices: a barcode scanner with a UART service, and a member's phone with the member service.
 * Each is a peripheral in the air of a HciController. Must not be imported by anything but tests and scripts.
 */
import { createCipheriv, randomBytes } from 'node:crypto';
import { type Bytes, concat, hex, utf8 } from '../../../terminal/kernel/bytes.js';
import {
  encodeFragments,
  type FragmentJoin,
  joinFragment,
  nothingJoined,
} from '../../protocols/gatt-messages/fragments.js';
import { type GattService, memberService, uartService } from '../../protocols/gatt-messages/services.js';
import { GattServer } from './gatt-server.js';
import type { AirLink, AirPeripheral } from './hci-controller.js';

const channel = { attributes: 4, security: 6 } as const;
/** How it answers a pairing request: Just Works (Vol 3, Part H, 2.3.5.2), or not at all kindly. */
export type Pairing = 'accept' | 'refuse';

/** One AES block with everything least significant byte first, as the security manager has it (2.2.1). */
function encryptBlock(key: Bytes, block: Bytes): Bytes {
  const cipher = createCipheriv('aes-128-ecb', Uint8Array.from(key).reverse(), null).setAutoPadding(false);
  return Uint8Array.from(cipher.update(Uint8Array.from(block).reverse())).reverse();
}
const xor = (a: Bytes, b: Bytes): Bytes => a.map((byte, index) => byte ^ (b[index] ?? 0));

class Peripheral implements AirPeripheral {
  readonly addressType = 'random';
  readonly advertisement: Bytes;
  readonly scanResponse: Bytes;
  readonly server: GattServer;
  isAdvertising = false;
  isDeaf = false;
  rssi = -40;
  pairing: Pairing = 'accept';
  /** Links so far. */
  connections = 0;
  protected link: AirLink | null = null;
  #pairingRequest: Bytes = new Uint8Array(0);
  readonly #random: Bytes = new Uint8Array(randomBytes(16));
  /** Of the central, as HciController names itself. */
  readonly #centralAddress = hex('001bdc000001').reverse();

  constructor(
    readonly address: string,
    name: string,
    service: GattService,
    mtu: number,
  ) {
    const uuid = hex(service.service).reverse();
    this.advertisement = concat(Uint8Array.of(2, 0x01, 0x06, 17, 0x07), uuid);
    this.scanResponse = concat(Uint8Array.of(utf8(name).length + 1, 0x09), utf8(name));
    this.server = new GattServer({ services: [service], mtu, written: (_, value) => this.written(value) });
  }

  get isConnected(): boolean {
    return this.link !== null;
  }
  /** Out of range, switched off: the link is lost and nothing is advertised. */
  vanish(): void {
    this.isAdvertising = false;
    this.link?.drop();
  }

  connected(link: AirLink): void {
    this.link = link;
    this.connections++;
    this.server.reset();
  }
  disconnected(): void {
    this.link = null;
  }
  encrypted(): void {
    this.server.isEncrypted = true;
  }
  received(on: number, data: Bytes): void {
    if (on === channel.security) this.#pair(data);
    if (on !== channel.attributes) return;
    const answer = this.server.respond(data);
    if (answer) this.link?.send(channel.attributes, answer);
  }

  /** A value for the service's own characteristic. */
  protected written(_value: Bytes): void {}
  protected notify(service: GattService, value: Bytes): void {
    this.link?.send(channel.attributes, this.server.notification(service, value));
  }

  #pair(data: Bytes): void {
    const send = (...parts: readonly Bytes[]): void => this.link?.send(channel.security, concat(...parts));
    const response = Uint8Array.of(0x02, 0x03, 0x00, 0x01, 0x10, 0x00, 0x01);
    if (data[0] === 0x01 && this.pairing === 'refuse') send(Uint8Array.of(0x05, 0x05));
    else if (data[0] === 0x01) {
      this.#pairingRequest = data;
      send(response);
    } else if (data[0] === 0x03) {
      // c1 (2.2.3): p1 = responder's and initiator's address types, request, response; p2 = addresses.
      const p1 = concat(Uint8Array.of(0x00, 0x01), this.#pairingRequest, response);
      const own = Uint8Array.from(this.address.split(':').map((pair) => Number.parseInt(pair, 16))).reverse();
      const p2 = concat(own, this.#centralAddress, new Uint8Array(4));
      const key = new Uint8Array(16);
      send(Uint8Array.of(0x03), encryptBlock(key, xor(encryptBlock(key, xor(this.#random, p1)), p2)));
    } else if (data[0] === 0x04) send(Uint8Array.of(0x04), this.#random);
  }
}

/** A barcode scanner in Bluetooth LE serial mode. */
export class VirtualBleScanner extends Peripheral {
  constructor(address: string, mtu = 185) {
    super(address, 'Feigned scanner', uartService, mtu);
  }
  get isListenedTo(): boolean {
    return this.isConnected && this.server.isSubscribed(uartService);
  }
  /** Sends these characters as they stand, in as few notifications as they fit. */
  send(text: string): void {
    const bytes = utf8(text);
    for (let at = 0; at < bytes.length; at += this.server.valueBytesMax)
      this.notify(uartService, bytes.slice(at, at + this.server.valueBytesMax));
  }
}

/** One command in, its answer out; 'tear': the phone leaves without answering; a promise that never settles is a mute one. */
export type PhoneAnswers = (command: Bytes) => Bytes | 'tear' | Promise<Bytes | 'tear'>;

/** A member's phone that advertises the member service while its owner wants it to. */
export class VirtualBlePhone extends Peripheral {
  #join: FragmentJoin = nothingJoined;
  constructor(
    address: string,
    private readonly answers: PhoneAnswers,
    mtu = 185,
  ) {
    super(address, 'Phone', memberService, mtu);
  }

  override connected(link: AirLink): void {
    super.connected(link);
    this.#join = nothingJoined;
  }

  protected override written(value: Bytes): void {
    const step = joinFragment(this.#join, value);
    this.#join = step.ok ? step.value.state : nothingJoined;
    if (step.ok && step.value.message) void this.#answer(step.value.message.exchange, step.value.message.bytes);
  }

  async #answer(exchange: number, command: Bytes): Promise<void> {
    const link = this.link;
    const answer = await this.answers(command);
    if (this.link !== link) return;
    if (answer === 'tear') {
      this.vanish();
      return;
    }
    for (const fragment of encodeFragments(exchange, answer, this.server.valueBytesMax))
      this.notify(memberService, fragment);
  }
}
