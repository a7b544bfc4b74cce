/**
 * Inside the Bluetooth child: the adapter, what is advertised near it, and the connections, as frames. Must decide nothing:
 * which peers are connected is the box's business, and what cannot be mended here ends this process.
 */
import type { Noble, Peripheral } from '@abandonware/noble';
import { printable } from '../../terminal/kernel/redaction.js';
import type { DeviceError } from '../contract/transport.js';
import { type GattService, memberService, uartService } from '../protocols/gatt-messages/services.js';
import type { LifeFrame } from '../supervised/frame-codec.js';
import { type BleFrame, offers, rssiOffset } from './frames.js';
import { GattPeer } from './gatt-peer.js';

/** Addresses remembered; phones draw a new one every few minutes. */
const peersMax = 256;
/** A peer that advertises all the time is reported this often. */
const reportEveryMs = 200;
/** Some adapters stop scanning without a word. */
const rescanEveryMs = 20_000;
/** Between two tries to take an adapter that is in use or blocked. */
const takeAgainMs = 250;
/** From its reset until an adapter is in service; some load their firmware first. */
const adapterAnswerMs = 10_000;
/** noble keeps every address that it ever heard: with this much memory the process is replaced when no link is open. */
const memoryBytesMax = 200 * 1024 * 1024;

interface Peer {
  readonly number: number;
  readonly peripheral: Peripheral;
  gatt: GattPeer | null;
  reportedAtMs: number;
}

/** Linux's numbers of errors that Node has no word for: their `code` is empty. */
const errno = { tooManyUsers: 87, rfkill: 132 } as const;

/** Why the kernel does not hand an adapter over, as what a technician can do about it, and whether it may by itself later. */
function cannotTake(adapter: string, error: unknown): { readonly reason: DeviceError; readonly isPassing: boolean } {
  const { code = '', errno: number = 0, message = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  const passing = (reason: DeviceError) => ({ reason, isPassing: true });
  const lasting = (reason: DeviceError) => ({ reason, isPassing: false });
  // In use by the kernel's own Bluetooth, or by another program that took it whole.
  if (code === 'EBUSY' || number === errno.tooManyUsers)
    return passing({
      code: 'device.busy',
      detail: `another program has ${adapter} on (hardware.md, Bluetooth, adapter)`,
    });
  if (number === errno.rfkill)
    return passing({ code: 'device.denied', detail: `${adapter} is blocked: sudo rfkill unblock bluetooth` });
  if (code === 'EPERM' || code === 'EACCES')
    return lasting({
      code: 'device.denied',
      detail: `no permission to take ${adapter} (hardware.md, Bluetooth, access)`,
    });
  if (code === 'ENODEV') return lasting({ code: 'device.absent', detail: 'the Bluetooth adapter went away' });
  return lasting({
    code: 'device.failed',
    detail: printable(`${adapter} cannot be opened: ${message.split('\n')[0]}`),
  });
}

export class Radio {
  readonly #peers = new Map<string, Peer>();
  #lastPeer = 0;
  #watched: {
    readonly gattTimeoutMs: number;
    readonly phones: boolean;
    readonly addresses: ReadonlySet<string>;
  } | null = null;
  #isOn = false;
  #connecting = false;

  constructor(
    private readonly noble: Noble,
    private readonly adapter: string,
    private readonly report: (frame: BleFrame | LifeFrame) => void,
    private readonly giveUp: (error: DeviceError) => void,
  ) {
    noble.on('warning', () => {});
    // The first look at the state opens the adapter. A listener for it would too, and then a failure is only a warning.
    this.#take(() => void noble.state);
    noble.on('discover', (peripheral) => this.#heard(peripheral));
    noble.on('stateChange', (state) => this.#stateChanged(state));
    noble._bindings._hci.on('encryptChange', (handle: number, encrypted: number) => this.#secured(handle, encrypted));
    setInterval(() => this.#scan(), rescanEveryMs);
  }

  /** Takes the adapter for this process alone, as soon as the kernel lets it. */
  #take(open: () => void): void {
    try {
      open();
    } catch (error) {
      const { reason, isPassing } = cannotTake(this.adapter, error);
      if (!isPassing) {
        this.giveUp(reason);
        return;
      }
      // Also the kernel itself has it for a moment when it was just plugged in.
      this.report({ type: 'serviceDown', code: reason.code, detail: reason.detail });
      const { _hci: hci } = this.noble._bindings;
      setTimeout(() => {
        hci._socket.removeAllListeners();
        this.#take(() => hci.init());
      }, takeAgainMs);
      return;
    }
    setTimeout(() => {
      if (!this.#isOn)
        this.giveUp({ code: 'device.timedOut', detail: 'the Bluetooth adapter does not answer its reset' });
    }, adapterAnswerMs);
  }

  handle(frame: BleFrame | LifeFrame): void {
    if (frame.type === 'watch') {
      this.#watched = {
        gattTimeoutMs: frame.gattTimeoutMs,
        phones: frame.phones === 1,
        addresses: new Set(frame.addresses.split(' ').filter((address) => address !== '')),
      };
      this.#scan();
    } else if (frame.type === 'connect') void this.#connect(frame.peer, frame.offers);
    else if (frame.type === 'disconnect') void this.#peer(frame.peer)?.gatt?.close();
    else if (frame.type === 'transmit') void this.#transmit(frame.peer, frame.exchange, frame.command);
  }

  #stateChanged(state: string): void {
    if (state === 'poweredOn') {
      if (this.#isOn) return;
      this.#isOn = true;
      // noble asks how much the adapter takes at once only on the shared channel, and sends nothing until it knows.
      this.noble._bindings._hci.readLeBufferSize();
      this.report({ type: 'serviceUp', adapter: this.adapter });
      this.#scan();
    } else if (state === 'unsupported') {
      this.giveUp({ code: 'device.unsupported', detail: 'the Bluetooth adapter has no Low Energy of version 4.0' });
    } else {
      // A socket that was bound to this adapter serves no other one: only a new process does.
      this.giveUp({ code: 'device.absent', detail: `the Bluetooth adapter went away (${printable(state, 20)})` });
    }
  }

  #scan(): void {
    if (!this.#isOn || !this.#watched || this.#connecting) return;
    const isIdle = [...this.#peers.values()].every((peer) => peer.gatt === null);
    if (isIdle && process.memoryUsage.rss() > memoryBytesMax)
      this.giveUp({ code: 'device.failed', detail: 'the Bluetooth library holds too much memory' });
    // All of them, again and again: a peer is to be met the moment it is back, and how near it is changes.
    this.noble.startScanning([], true);
  }

  #heard(peripheral: Peripheral): void {
    const watched = this.#watched;
    if (!watched) return;
    const address = peripheral.address.toLowerCase();
    const { serviceUuids = [], localName = '' } = peripheral.advertisement;
    const found =
      (serviceUuids.includes(uartService.service) ? offers.uart : 0) |
      (watched.phones && serviceUuids.includes(memberService.service) ? offers.member : 0);
    if (found === 0 && !watched.addresses.has(address)) return;
    const peer = this.#peers.get(address) ?? this.#newPeer(address, peripheral);
    const now = performance.now();
    if (!peer || peer.gatt || now - peer.reportedAtMs < reportEveryMs) return;
    peer.reportedAtMs = now;
    const rssi = Math.min(255, Math.max(0, peripheral.rssi + rssiOffset));
    const label = printable(`${address} ${localName}`.trimEnd(), 80);
    this.report({ type: 'peerSeen', peer: peer.number, offers: found, rssi, label });
  }

  #newPeer(address: string, peripheral: Peripheral): Peer | null {
    if (this.#peers.size >= peersMax) {
      const idle = [...this.#peers].find(([, peer]) => peer.gatt === null);
      if (!idle) return null;
      this.#peers.delete(idle[0]);
    }
    const peer: Peer = { number: ++this.#lastPeer, peripheral, gatt: null, reportedAtMs: -reportEveryMs };
    this.#peers.set(address, peer);
    return peer;
  }

  #peer(number: number): Peer | undefined {
    return [...this.#peers.values()].find((peer) => peer.number === number);
  }

  async #connect(number: number, wanted: number): Promise<void> {
    const peer = this.#peer(number);
    const timeoutMs = this.#watched?.gattTimeoutMs;
    const closed = (error: DeviceError): void =>
      this.report({ type: 'peerClosed', peer: number, code: error.code, detail: error.detail });
    if (!peer || timeoutMs === undefined || peer.gatt || this.#connecting) {
      closed({ code: 'device.busy', detail: 'another connection is being made' });
      return;
    }
    const service: GattService = wanted === offers.member ? memberService : uartService;
    const gatt = new GattPeer(peer.peripheral, service, {
      timeoutMs,
      received: (data) => {
        if (service === uartService) this.report({ type: 'received', peer: number, data });
      },
      closed: (error) => {
        peer.gatt = null;
        closed(error);
      },
      stuck: () => this.giveUp({ code: 'device.failed', detail: 'the Bluetooth adapter does not end a link' }),
    });
    peer.gatt = gatt;
    this.#connecting = true;
    // Many adapters refuse to connect while they scan.
    this.noble.stopScanning();
    const opened = await gatt.open();
    this.#connecting = false;
    if (!opened.ok) {
      peer.gatt = null;
      closed(opened.error);
    } else {
      this.report({ type: 'peerOpened', peer: number, mtu: gatt.mtu });
    }
    this.#scan();
  }

  async #transmit(number: number, exchange: number, command: Uint8Array): Promise<void> {
    const gatt = this.#peer(number)?.gatt;
    const outcome = gatt
      ? await gatt.exchange(exchange, command)
      : ({ ok: false, error: { code: 'device.cardRemoved', detail: 'the phone is gone' } } as const);
    if (outcome.ok) this.report({ type: 'answer', exchange, answer: outcome.value });
    else this.report({ type: 'failed', exchange, code: outcome.error.code, detail: outcome.error.detail });
  }

  #secured(handle: number, encrypted: number): void {
    const id = this.noble._bindings?._handles?.[handle];
    const peer = [...this.#peers.values()].find(({ peripheral }) => peripheral.id === id);
    if (peer && encrypted !== 0) this.report({ type: 'peerSecured', peer: peer.number });
  }
}
