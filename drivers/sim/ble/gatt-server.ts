/**
 * An attribute server for virtual peripherals (Bluetooth Core 5.4, Vol 3, Parts F and G): services, characteristics, their
 * notification switches, and the ways in which it is told to misbehave.
 * Must not be imported by anything but tests and scripts.
 */
import { type Bytes, concat, equalBytes, hex } from '../../../terminal/kernel/bytes.js';
import type { GattService } from '../../protocols/gatt-messages/services.js';

const op = {
  error: 0x01,
  mtuRequest: 0x02,
  mtuResponse: 0x03,
  findInfo: 0x04,
  readByType: 0x08,
  read: 0x0a,
  readByGroup: 0x10,
  write: 0x12,
  notification: 0x1b,
  writeCommand: 0x52,
} as const;
const uuid = { service: u16(0x2800), characteristic: u16(0x2803), switch: u16(0x2902) };
const property = { write: 0x0c, notify: 0x10 } as const;
const attributeNotFound = 0x0a;
const insufficientAuthentication = 0x05;
const requestNotSupported = 0x06;

function u16(value: number): Bytes {
  return Uint8Array.of(value & 0xff, value >> 8);
}
const readU16 = (bytes: Bytes, at: number): number => (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
/** UUIDs travel least significant byte first. */
const uuidBytes = (digits: string): Bytes => hex(digits).reverse();

interface Attribute {
  readonly handle: number;
  readonly type: Bytes;
  value: Bytes;
  readonly groupEnd: number;
}

export interface GattServerSetup {
  readonly services: readonly GattService[];
  /** What it offers as ATT_MTU, 23…517. */
  readonly mtu: number;
  /** A write to a service's toDevice characteristic. */
  readonly written: (service: GattService, value: Bytes) => void;
}

export class GattServer {
  readonly #attributes: Attribute[] = [];
  readonly #valueHandles = new Map<number, GattService>();
  readonly #notifyHandles = new Map<GattService, number>();
  /** Requests that are never answered, by opcode. */
  readonly muteRequests = new Set<number>();
  /** Switching notifications on wants an encrypted link. */
  needsEncryption = false;
  isEncrypted = false;
  #clientMtu = 23;

  constructor(private readonly setup: GattServerSetup) {
    for (const service of setup.services) this.#add(service);
  }

  /** A new link: nothing is subscribed, nothing agreed. */
  reset(): void {
    this.#clientMtu = 23;
    this.isEncrypted = false;
    for (const attribute of this.#attributes) if (equalBytes(attribute.type, uuid.switch)) attribute.value = u16(0);
  }

  /** The longest value in one notification. */
  get valueBytesMax(): number {
    return Math.min(this.setup.mtu, this.#clientMtu) - 3;
  }

  isSubscribed(service: GattService): boolean {
    const handle = (this.#notifyHandles.get(service) ?? 0) + 1;
    return this.#attributes.some((attribute) => attribute.handle === handle && (attribute.value[0] ?? 0) === 1);
  }

  notification(service: GattService, value: Bytes): Bytes {
    return concat(Uint8Array.of(op.notification), u16(this.#notifyHandles.get(service) ?? 0), value);
  }

  /** @returns the answer, or null */
  respond(request: Bytes): Bytes | null {
    const code = request[0] ?? 0;
    if (this.muteRequests.has(code)) return null;
    if (code === op.mtuRequest) {
      this.#clientMtu = Math.max(23, readU16(request, 1));
      return concat(Uint8Array.of(op.mtuResponse), u16(this.setup.mtu));
    }
    if (code === op.readByGroup || code === op.readByType) return this.#readByType(code, request);
    if (code === op.read) return concat(Uint8Array.of(op.read + 1), this.#at(readU16(request, 1))?.value ?? u16(0));
    if (code === op.write || code === op.writeCommand) return this.#write(code, request);
    return code % 2 === 0 && code !== op.writeCommand ? this.#error(code, 0, requestNotSupported) : null;
  }

  #add(service: GattService): void {
    const first = this.#attributes.length + 1;
    const end = first + 5;
    const attribute = (handle: number, type: Bytes, value: Bytes, groupEnd = handle): void => {
      this.#attributes.push({ handle, type, value, groupEnd });
    };
    attribute(first, uuid.service, uuidBytes(service.service), end);
    attribute(
      first + 1,
      uuid.characteristic,
      concat(Uint8Array.of(property.write), u16(first + 2), uuidBytes(service.toDevice)),
    );
    attribute(first + 2, uuidBytes(service.toDevice), new Uint8Array(0));
    attribute(
      first + 3,
      uuid.characteristic,
      concat(Uint8Array.of(property.notify), u16(first + 4), uuidBytes(service.fromDevice)),
    );
    attribute(first + 4, uuidBytes(service.fromDevice), new Uint8Array(0));
    attribute(end, uuid.switch, u16(0));
    this.#valueHandles.set(first + 2, service);
    this.#notifyHandles.set(service, first + 4);
  }

  #at(handle: number): Attribute | undefined {
    return this.#attributes.find((attribute) => attribute.handle === handle);
  }

  #error(code: number, handle: number, reason: number): Bytes {
    return concat(Uint8Array.of(op.error, code), u16(handle), Uint8Array.of(reason));
  }

  /** One attribute an answer: the client asks again behind it. */
  #readByType(code: number, request: Bytes): Bytes {
    const [from, to] = [readU16(request, 1), readU16(request, 3)];
    const type = request.slice(5);
    const found = this.#attributes.find(
      (attribute) => attribute.handle >= from && attribute.handle <= to && equalBytes(attribute.type, type),
    );
    if (!found) return this.#error(code, from, attributeNotFound);
    const head = code === op.readByGroup ? concat(u16(found.handle), u16(found.groupEnd)) : u16(found.handle);
    const entry = concat(head, found.value);
    return concat(Uint8Array.of(code + 1, entry.length), entry);
  }

  #write(code: number, request: Bytes): Bytes | null {
    const handle = readU16(request, 1);
    const attribute = this.#at(handle);
    const answer = code === op.write ? Uint8Array.of(op.write + 1) : null;
    if (!attribute) return code === op.write ? this.#error(code, handle, attributeNotFound) : null;
    if (equalBytes(attribute.type, uuid.switch)) {
      if (this.needsEncryption && !this.isEncrypted) return this.#error(code, handle, insufficientAuthentication);
      attribute.value = request.slice(3);
    }
    const service = this.#valueHandles.get(handle);
    if (service) queueMicrotask(() => this.setup.written(service, request.slice(3)));
    return answer;
  }
}
