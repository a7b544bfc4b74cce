/**
 * The Bluetooth driver in the box: scanners and phones as device events, out of the frames of a supervised child process.
 * Decides which peers are connected and when again. Must not load noble, decide anything about a sale, or put a byte of an
 * exchange into an event, a status or a log.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { Clock } from '../../terminal/kernel/ports.js';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { durationMs, type MonotonicMs } from '../../terminal/kernel/units.js';
import type { ByteSink, DeviceEvent, DeviceStatus, Driver, Schedule, UnclaimedDevice } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import type { DeviceError } from '../contract/transport.js';
import { emptyLine, endOfGap, readScanLine, type ScanLineState } from '../protocols/scan-line/scan-line.js';
import { nothingAround, scannedText } from '../protocols/scan-line/scanned-text.js';
import { CardLink, type LinkPort } from '../supervised/card-link.js';
import type { LifeFrame } from '../supervised/frame-codec.js';
import { linkAtr } from '../supervised/link-atr.js';
import type { SpawnChild } from '../supervised/spawn-child.js';
import { SupervisedProcess } from '../supervised/supervised-process.js';
import { BleDevice } from './ble-device.js';
import { adaptersFolder, spawnBluetoothChild } from './bluetooth-process.js';
import { type BleFrame, bleFrames, offers, rssiOffset } from './frames.js';
import { NearPhones } from './near-phones.js';

/** Scanners served at once. */
export const bleScannersMax = 8;
/** Start does not wait longer for the adapter. */
const firstLookMs = 3_000;
/** A scanner that failed and is served again counts as there for so long, heard or not. */
const expectedMs = 30_000;
/** Scanners that nobody configured: how many are kept in mind, and for how long after they were last heard. */
const strangersMax = 16;
const strangerLeftAfterMs = 60_000;

export interface BleOptions {
  readonly scanners: readonly string[];
  /** `vendor:product[:serial]` or onBoard; empty: the first. */
  readonly adapter: string;
  readonly phones: boolean;
  readonly phoneRssiMin: number;
  readonly idleGapMs: number;
  readonly gattTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly restartDelayMaxMs: number;
}

export interface BleDriverSetup {
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly options: BleOptions;
  /** Starts the child; the real one by default. */
  readonly spawn?: SpawnChild;
}

interface Scanner {
  readonly address: string;
  readonly row: BleDevice;
  read: ScanLineState;
  cancelGap: () => void;
  /** Of the wait for one that failed before. */
  cancelWait: () => void;
}

export class BleDriver implements Driver {
  readonly name = 'ble';
  readonly bus = 'ble';
  readonly #orders = new DeviceOrders();
  readonly #process: SupervisedProcess<BleFrame>;
  readonly #service: BleDevice;
  readonly #scanners: readonly Scanner[];
  readonly #phone: BleDevice | null;
  readonly #near: NearPhones;
  readonly #strangers = new Map<string, { readonly name: string; readonly atMs: MonotonicMs }>();
  readonly #linkPort: LinkPort;
  #link: CardLink | null = null;
  #phoneLabel = '';
  #connecting: number | null = null;
  #emit: ((event: DeviceEvent) => void) | null = null;
  #firstLookOver: () => void = () => {};
  #lastExchange = 0;
  #lastLink = 0;

  constructor(private readonly setup: BleDriverSetup) {
    const { clock, options, schedule } = setup;
    this.#service = new BleDevice('ble', null, 'Bluetooth adapter', clock);
    this.#scanners = options.scanners.slice(0, bleScannersMax).map((address, index) => ({
      address: address.toLowerCase(),
      row: new BleDevice(`ble-scanner-${index + 1}`, address.toLowerCase(), printable(address.toLowerCase()), clock),
      read: emptyLine,
      cancelGap: () => {},
      cancelWait: () => {},
    }));
    this.#phone = options.phones ? new BleDevice('ble-phone', 'phones', 'phones over Bluetooth', clock) : null;
    this.#near = new NearPhones(options.phoneRssiMin);
    this.#process = new SupervisedProcess<BleFrame>({
      name: 'Bluetooth process',
      codec: bleFrames,
      spawn: setup.spawn ?? (() => spawnBluetoothChild({ words: [adaptersFolder, options.adapter] })),
      clock,
      schedule,
      heartbeat: durationMs(options.heartbeatMs),
      restartDelayMax: durationMs(options.restartDelayMaxMs),
      onFrame: (frame) => this.#received(frame),
      onEnded: (error) => this.#down(error),
    });
    this.#linkPort = {
      schedule,
      answerGrace: durationMs(options.gattTimeoutMs),
      transmit: (peer, command) => this.#transmit(peer, command),
      release: (peer) => this.#process.send({ type: 'disconnect', peer }),
      timedOut: (peer) => {
        this.#phone?.count('timeouts');
        this.#process.send({ type: 'disconnect', peer });
      },
      stuck: () => this.#process.condemn('a phone could not be let go'),
    };
  }

  start(emit: (event: DeviceEvent) => void): Promise<void> {
    // Nobody asked for Bluetooth: no process, no library, no row.
    if (!this.#isWanted || this.#emit) return Promise.resolve();
    this.#emit = emit;
    this.#become(this.#service, 'opening');
    return new Promise((resolve) => {
      const cancel = this.setup.schedule(firstLookMs, () => this.#firstLookOver());
      this.#firstLookOver = () => {
        cancel();
        resolve();
      };
      this.#process.start();
      this.#watch();
    });
  }

  statuses(): readonly DeviceStatus[] {
    return this.#isWanted ? this.#rows().map((row) => row.status()) : [];
  }

  unclaimed(): readonly UnclaimedDevice[] {
    const { options } = this.setup;
    this.#forgetStrangers();
    const room = options.scanners.length < bleScannersMax;
    return [...this.#strangers].map(([address, { name }]) => ({
      ...{ bus: 'ble', vendorId: '', productId: '', serial: '', name, usage: null, place: address },
      why: room
        ? 'it says that it is a scanner, as anybody can: connected when named'
        : `${bleScannersMax} scanners are configured, and there cannot be more`,
      configuration: room ? ['[bluetooth]', `scanners = ${JSON.stringify([...options.scanners, address])}`] : [],
    }));
  }

  serve(identity: string, inService: boolean): void {
    if (!this.#orders.serve(identity, inService)) return;
    const row = this.#rows().find((each) => each.identity === identity);
    if (!row) return;
    const { peer } = row;
    if (!inService && peer !== null) {
      this.#process.send({ type: 'disconnect', peer });
      this.#closed(peer, { code: 'device.closed', detail: 'taken out of service' });
    }
    if (inService) row.rested();
    this.#rest(row);
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.#orders.listenIn(identity, sink);
    this.#orders.about(identity, () => ({ idleGapMs: this.setup.options.idleGapMs }));
  }

  signal(): void {
    // A phone is told by the result of its exchange; scanners have no light or sound that the box may use.
  }

  async stop(): Promise<void> {
    this.#emit = null;
    this.#firstLookOver();
    this.#down({ code: 'device.closed', detail: 'the driver was stopped' });
    await this.#process.stop();
  }

  get #isWanted(): boolean {
    return this.#scanners.length > 0 || this.#phone !== null;
  }
  #rows(): readonly BleDevice[] {
    return [this.#service, ...this.#scanners.map(({ row }) => row), ...(this.#phone ? [this.#phone] : [])];
  }

  #isHeld(row: BleDevice): boolean {
    return row.identity !== null && this.#orders.isHeld(row.identity);
  }

  /** The state of a row that is not connected, while the adapter is there or not. */
  #rest(row: BleDevice): void {
    if (this.#isHeld(row)) this.#become(row, 'disabled');
    else if (this.#service.state !== 'ready') this.#become(row, 'absent', noAdapter);
    else if (row === this.#phone) this.#become(row, 'ready');
    else if (row.hasFailed) this.#expect(row);
    else this.#become(row, 'absent', notHeard);
  }

  /** Were it called absent at once, its failures would be forgotten, and it would be called without end and hold up the others. */
  #expect(row: BleDevice): void {
    this.#become(row, 'opening');
    const scanner = this.#scanners.find((known) => known.row === row);
    if (!scanner) return;
    scanner.cancelWait();
    scanner.cancelWait = this.setup.schedule(expectedMs, () => {
      if (row.peer !== null || row.state !== 'opening') return;
      row.hasFailed = false;
      this.#rest(row);
    });
  }

  #passed(row: BleDevice | null, direction: 'in' | 'out', data: Bytes): void {
    if (row?.identity) this.#orders.passed(row.identity, direction, data);
  }

  #watch(): void {
    this.#process.send({
      type: 'watch',
      gattTimeoutMs: this.setup.options.gattTimeoutMs,
      phones: this.#phone ? 1 : 0,
      addresses: this.#scanners.map(({ address }) => address).join(' '),
    });
  }

  #received(frame: BleFrame | LifeFrame): void {
    switch (frame.type) {
      case 'serviceUp':
        this.#watch();
        this.#service.description = `Bluetooth adapter ${printable(frame.adapter, 100)}`;
        this.#become(this.#service, 'ready');
        if (this.#phone) this.#rest(this.#phone);
        for (const { row } of this.#scanners) this.#rest(row);
        this.#firstLookOver();
        break;
      case 'serviceDown':
        this.#down({ code: frame.code, detail: frame.detail });
        break;
      case 'peerSeen':
        this.#seen(frame.peer, frame.offers, frame.rssi - rssiOffset, frame.label);
        break;
      case 'peerOpened':
        this.#opened(frame.peer, frame.mtu);
        break;
      case 'peerSecured':
        this.#secured(frame.peer);
        break;
      case 'peerClosed':
        this.#closed(frame.peer, { code: frame.code, detail: frame.detail });
        break;
      case 'received':
        this.#read(frame.peer, frame.data);
        break;
      case 'answer':
        this.#settled(frame.exchange, ok(frame.answer));
        break;
      case 'failed':
        this.#settled(frame.exchange, err({ code: frame.code, detail: frame.detail }));
        break;
      default:
        // A command to the child, come back: only a broken child does that, and its heartbeat will tell.
        break;
    }
  }

  /** The adapter or the process is gone, and every link with it. */
  #down(error: DeviceError): void {
    this.#connecting = null;
    this.#near.clear();
    this.#strangers.clear();
    this.#endLink({ code: 'device.closed', detail: error.detail });
    const isAway = ['device.absent', 'device.closed', 'device.driverMissing'].includes(error.code);
    for (const scanner of this.#scanners) {
      this.#dropHalf(scanner);
      scanner.cancelWait();
      scanner.row.hasFailed = false;
      if (scanner.row.peer !== null) scanner.row.closed();
    }
    if (this.#phone && this.#phone.peer !== null) this.#phone.closed();
    // What fails here is the adapter; whether its devices are there is not known.
    for (const row of this.#rows()) this.#become(row, row === this.#service && !isAway ? 'failing' : 'absent', error);
    this.#firstLookOver();
  }

  #seen(peer: number, offered: number, rssi: number, label: string): void {
    const address = label.split(' ')[0] ?? '';
    const scanner = this.#scanners.find((known) => known.address === address);
    if (scanner) {
      scanner.row.description = label;
      if (this.#connecting === null && scanner.row.mayConnect && !this.#isHeld(scanner.row))
        this.#connect(scanner.row, peer, offers.uart);
      return;
    }
    if ((offered & offers.uart) !== 0) this.#noteStranger(address, label.slice(address.length + 1));
    if ((offered & offers.member) === 0 || !this.#phone || this.#isHeld(this.#phone)) return;
    const now = this.setup.clock.monotonicMs();
    this.#near.heard(peer, rssi, now);
    const candidates = this.#near.candidates(now);
    if (candidates.length > 1) this.#phone.count('crowded');
    if (candidates.length !== 1 || candidates[0] !== peer) return;
    if (this.#connecting !== null || !this.#phone.mayConnect) return;
    this.#phoneLabel = label;
    this.#connect(this.#phone, peer, offers.member);
  }

  /** Named for the technician, never connected. */
  #noteStranger(address: string, name: string): void {
    this.#forgetStrangers();
    if (this.#strangers.size >= strangersMax && !this.#strangers.has(address)) return;
    this.#strangers.set(address, { name: printable(name, 80), atMs: this.setup.clock.monotonicMs() });
  }

  #forgetStrangers(): void {
    const now = this.setup.clock.monotonicMs();
    for (const [address, { atMs }] of this.#strangers)
      if (now - atMs > strangerLeftAfterMs) this.#strangers.delete(address);
  }

  #connect(row: BleDevice, peer: number, wanted: number): void {
    row.peer = peer;
    this.#connecting = peer;
    if (row !== this.#phone) this.#become(row, 'opening');
    this.#process.send({ type: 'connect', peer, offers: wanted });
  }

  #opened(peer: number, mtu: number): void {
    if (this.#connecting === peer) this.#connecting = null;
    const row = this.#rowOf(peer);
    if (!row) {
      this.#process.send({ type: 'disconnect', peer });
      return;
    }
    row.opened();
    row.counters['mtu'] = mtu;
    row.counters['encrypted'] ??= 0;
    if (row !== this.#phone) {
      this.#become(row, 'ready');
      return;
    }
    this.#link = new CardLink(
      `ble-${this.#process.starts}-${++this.#lastLink}`,
      linkAtr('BLE1', addressBytes(this.#phoneLabel)),
      peer,
      this.#linkPort,
    );
    this.#tell({ type: 'cardPresented', device: row.device, link: this.#link });
  }

  #secured(peer: number): void {
    const row = this.#rowOf(peer);
    if (!row) return;
    row.counters['encrypted'] = 1;
    this.#tell({ type: 'deviceStateChanged', status: row.status() });
  }

  #closed(peer: number, error: DeviceError): void {
    if (this.#connecting === peer) this.#connecting = null;
    const row = this.#rowOf(peer);
    if (!row) return;
    row.counters['encrypted'] = 0;
    if (row !== this.#phone) {
      const scanner = this.#scanners.find((known) => known.row === row);
      if (scanner) this.#dropHalf(scanner);
      row.closed();
      row.hasFailed = isAboutDevice(error);
      this.#become(row, isAboutDevice(error) ? 'failing' : 'absent', error);
      return;
    }
    const wasServed = this.#link?.isReleased === true;
    row.closed();
    this.#near.lost(peer);
    if (wasServed) {
      row.rested();
      this.#near.served(peer, this.setup.clock.monotonicMs());
    }
    this.#endLink({ code: 'device.cardRemoved', detail: error.detail });
  }

  #endLink(error: DeviceError): void {
    const link = this.#link;
    if (!link) return;
    this.#link = null;
    link.end(error);
    this.#tell({ type: 'cardRemoved', device: 'ble-phone', linkId: link.id });
  }

  #transmit(peer: number, command: Bytes): number {
    this.#lastExchange = (this.#lastExchange + 1) % 2 ** 32;
    this.#phone?.count('exchanges');
    this.#passed(this.#phone, 'out', command);
    this.#process.send({ type: 'transmit', peer, exchange: this.#lastExchange, command });
    return this.#lastExchange;
  }

  #settled(exchange: number, outcome: Result<Bytes, DeviceError>): void {
    if (outcome.ok) this.#passed(this.#phone, 'in', outcome.value);
    this.#link?.settled(exchange, outcome);
  }

  #read(peer: number, data: Bytes): void {
    const scanner = this.#scanners.find(({ row }) => row.peer === peer);
    if (!scanner) return;
    this.#passed(scanner.row, 'in', data);
    scanner.cancelGap();
    const step = readScanLine(scanner.read, data);
    scanner.read = step.state;
    scanner.row.count('dropped', step.dropped);
    for (const text of step.codes) {
      const scanned = scannedText(text, nothingAround);
      if (!scanned) continue;
      scanner.row.count('codes');
      this.#tell({ type: 'codeScanned', device: scanner.row.device, ...scanned });
    }
    if (step.state.partial === '' && !step.state.spoilt) return;
    scanner.cancelGap = this.setup.schedule(this.setup.options.idleGapMs, () => this.#dropHalf(scanner));
  }

  #dropHalf(scanner: Scanner): void {
    scanner.cancelGap();
    const gap = endOfGap(scanner.read);
    scanner.read = gap.state;
    if (gap.dropped > 0) scanner.row.count('dropped', gap.dropped);
  }

  #rowOf(peer: number): BleDevice | null {
    return this.#rows().find((row) => row.peer === peer) ?? null;
  }

  #become(row: BleDevice, ...[state, error]: Parameters<BleDevice['become']>): void {
    if (row.become(state, error)) this.#tell({ type: 'deviceStateChanged', status: row.status() });
  }

  #tell(event: DeviceEvent): void {
    this.#emit?.(event);
  }
}

const noAdapter: DeviceError = { code: 'device.absent', detail: 'no Bluetooth adapter is in service' };
const notHeard: DeviceError = { code: 'device.absent', detail: 'not heard yet: switched off, asleep or out of range' };

/** A lost link says nothing about the device; a missing service or a refused pairing does. */
const isAboutDevice = ({ code }: DeviceError): boolean =>
  code === 'device.unsupported' || code === 'device.denied' || code === 'device.timedOut';

/** The phone's address, which it draws anew every few minutes. */
function addressBytes(label: string): Bytes {
  const pairs = (label.split(' ')[0] ?? '').split(':').map((pair) => Number.parseInt(pair, 16) & 0xff);
  return Uint8Array.from([...pairs, 0, 0, 0, 0, 0, 0].slice(0, 6));
}
