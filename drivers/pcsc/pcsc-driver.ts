/**
 * The PC/SC driver in the box: readers and cards as device events, out of the frames of a supervised child process.
 * Must not load nfc-pcsc, decide anything about a sale, or put a byte of an exchange into an event, a status or a log.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { Clock } from '../../terminal/kernel/ports.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { durationMs } from '../../terminal/kernel/units.js';
import type { ByteSink, DeviceEvent, DeviceStatus, Driver, MemberSignal, Schedule } from '../contract/driver.js';
import { DeviceOrders } from '../contract/orders.js';
import type { DeviceError } from '../contract/transport.js';
import { cardKind } from '../protocols/atr/atr.js';
import type { VasMode } from '../protocols/vas/session.js';
import { CardLink, type LinkPort } from '../supervised/card-link.js';
import type { SpawnChild } from '../supervised/spawn-child.js';
import { SupervisedProcess } from '../supervised/supervised-process.js';
import { type Frame, readerFrames } from './frames.js';
import { type PcscOptions, pcscOptionsDefault } from './options.js';
import { PcscService } from './pcsc-service.js';
import { ReaderDevice } from './reader-device.js';
import { readerModel } from './reader-models.js';
import {
  findReturned,
  identityOfReader,
  isContactless,
  isContactSlot,
  parseReaderName,
  refusalReason,
} from './reader-names.js';
import { spawnReaderChild } from './reader-process.js';
import { pollEveryMs, pollingFrame } from './wallet-polling.js';

/** Readers remembered, plugged in or away. */
const devicesMax = 16;
/** Longest that a reader takes to say how many cards it sees. */
const countCardsMs = durationMs(500);
/** Start does not wait longer for the first look. */
const firstLookMs = 3_000;

export interface PcscDriverSetup {
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Fields left out take their defaults. */
  readonly options?: Partial<PcscOptions>;
  /** What iPhones are told by readers that can tell them, where `options.walletPolling` is on; null: nothing. */
  readonly polling?: VasMode | null;
  /** Starts the child; the real one by default. */
  readonly spawn?: SpawnChild;
}

export class PcscDriver implements Driver {
  readonly name = 'pcsc';
  readonly bus = 'pcsc';
  readonly #options: PcscOptions;
  readonly #process: SupervisedProcess<Frame>;
  readonly #service: PcscService;
  readonly #devices: ReaderDevice[] = [];
  readonly #orders = new DeviceOrders();
  readonly #exchanges = new Map<number, CardLink>();
  readonly #linkPort: LinkPort;
  #emit: ((event: DeviceEvent) => void) | null = null;
  #firstLookOver: () => void = () => {};
  #lastExchange = 0;
  #lastDevice = 0;
  #cancelPoll: () => void = () => {};

  constructor(private readonly setup: PcscDriverSetup) {
    this.#options = { ...pcscOptionsDefault, ...setup.options };
    this.#service = new PcscService(setup.clock, this.#options.enabled);
    this.#process = new SupervisedProcess<Frame>({
      name: 'reader process',
      codec: readerFrames,
      spawn: setup.spawn ?? spawnReaderChild,
      clock: setup.clock,
      schedule: setup.schedule,
      heartbeat: durationMs(this.#options.heartbeatMs),
      restartDelayMax: durationMs(this.#options.restartDelayMaxMs),
      onFrame: (frame) => this.#received(frame),
      onEnded: (error) => this.#processEnded(error),
    });
    this.#linkPort = {
      schedule: setup.schedule,
      answerGrace: durationMs(this.#options.answerGraceMs),
      transmit: (card, command) => this.#transmit(card, command),
      release: (card) => this.#process.send({ type: 'release', card }),
      timedOut: (card) => {
        const device = this.#deviceWithCard(card);
        if (device) device.counters.timeouts++;
      },
      stuck: () => this.#process.condemn('a command is stuck in a reader'),
    };
  }

  /** The child's process id, for the list of processes and for tests; null between two lives. */
  get childPid(): number | null {
    return this.#process.pid;
  }

  start(emit: (event: DeviceEvent) => void): Promise<void> {
    if (!this.#options.enabled || this.#emit) return Promise.resolve();
    this.#emit = emit;
    return new Promise((resolve) => {
      const cancel = this.setup.schedule(firstLookMs, () => this.#firstLookOver());
      this.#firstLookOver = () => {
        cancel();
        resolve();
      };
      this.#process.start();
      if (this.#options.walletPolling && this.setup.polling) this.#pollOften(pollingFrame(this.setup.polling));
    });
  }

  statuses(): readonly DeviceStatus[] {
    return [
      this.#service.status(this.#devices, this.#process.starts),
      ...this.#devices.map((device) => device.status()),
    ];
  }

  serve(identity: string, inService: boolean): void {
    if (!this.#orders.serve(identity, inService)) return;
    const device = this.#devices.find((each) => each.identity === identity);
    if (!device) return;
    if (!inService && device.link) {
      this.#process.send({ type: 'release', card: device.link.card });
      this.#endLink(device, { code: 'device.closed', detail: 'the reader was taken out of service' });
    }
    this.#settleState(device);
    this.#reportService();
  }

  listenIn(identity: string, sink: ByteSink | null): void {
    this.#orders.listenIn(identity, sink);
    const { contactSlots, memberSignals, refuseTwoCards } = this.#options;
    this.#orders.about(identity, () => ({ contactSlots, memberSignals, refuseTwoCards }));
    const device = this.#devices.find((each) => each.identity === identity);
    if (sink && device && device.reader !== null)
      sink('in', readerFrames.encode({ type: 'readerAdded', reader: device.reader, name: device.name.full }));
  }

  signal(signal: MemberSignal): void {
    if (!this.#options.memberSignals) return;
    for (const device of this.#devices) this.#signalOn(device, signal);
  }

  #signalOn(device: ReaderDevice, signal: MemberSignal): void {
    const own = readerModel(device.name.full)?.signals?.[signal];
    if (!own || !isInUse(device)) return;
    const { reader } = device;
    const [command] = own.commands;
    if (own.way === 'escape') this.#send(device, { type: 'escape', reader, commands: own.commands });
    else if (command) this.#send(device, { type: 'show', reader, command });
  }

  /** Fields that lie empty tell iPhones that this is a reader for passes. */
  #pollOften(frame: Bytes): void {
    for (const device of this.#devices) {
      const commands = readerModel(device.name.full)?.polling?.(frame);
      if (commands && isInUse(device) && !device.link)
        this.#process.send({ type: 'escape', reader: device.reader, commands });
    }
    this.#cancelPoll = this.setup.schedule(pollEveryMs, () => this.#pollOften(frame));
  }

  isContactSlot(device: string): boolean {
    return this.#devices.some((each) => each.device === device && each.isSlot);
  }

  async stop(): Promise<void> {
    const gone: DeviceError = { code: 'device.closed', detail: 'the driver was stopped' };
    this.#emit = null;
    this.#cancelPoll();
    this.#firstLookOver();
    this.#allAway(gone);
    await this.#process.stop();
  }

  #send(device: ReaderDevice, frame: Frame): void {
    this.#passed(device, 'out', frame);
    this.#process.send(frame);
  }

  #passed(device: ReaderDevice | null | undefined, direction: 'in' | 'out', frame: Frame): void {
    if (device) this.#orders.passed(device.identity, direction, readerFrames.encode(frame));
  }

  /** Whose frame it is; null: the service's, or of a card that has left. */
  #ownerOf(frame: Frame): ReaderDevice | null | undefined {
    if ('reader' in frame) return this.#deviceOf(frame.reader);
    if (!('exchange' in frame)) return null;
    const link = this.#exchanges.get(frame.exchange);
    return link && this.#deviceWithCard(link.card);
  }

  #received(frame: Frame): void {
    this.#passed(this.#ownerOf(frame), 'in', frame);
    switch (frame.type) {
      case 'serviceUp':
        this.#service.up();
        this.#reportService();
        break;
      case 'serviceDown':
        this.#allAway({ code: 'device.absent', detail: frame.detail });
        this.#service.down(frame);
        this.#reportService();
        this.#firstLookOver();
        break;
      case 'looked':
        this.#service.looked();
        this.#reportService();
        this.#firstLookOver();
        break;
      case 'readerAdded':
        this.#readerAdded(frame.reader, frame.name);
        this.#passed(this.#deviceOf(frame.reader), 'in', frame);
        break;
      case 'readerRemoved':
        this.#readerRemoved(frame.reader);
        break;
      case 'readerFailed':
        this.#readerFailed(frame.reader, { code: frame.code, detail: frame.detail });
        break;
      case 'escapeFailed':
        this.#escapeFailed(frame.reader, frame.detail);
        break;
      case 'cardPresented':
        this.#cardPresented(frame.reader, frame.card, frame.atr);
        break;
      case 'cardRemoved':
        this.#cardRemoved(frame.reader, frame.card);
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

  #processEnded(error: DeviceError): void {
    this.#allAway({ code: 'device.closed', detail: error.detail });
    this.#service.down(error);
    this.#reportService();
  }

  #readerAdded(reader: number, fullName: string): void {
    const name = parseReaderName(fullName);
    const returned = findReturned(
      name,
      this.#devices.filter((device) => device.reader === null),
    );
    const device = returned ?? this.#newDevice(fullName);
    if (!device) return;
    if (returned) device.counters.replugs++;
    device.refusesOwnCommands = null;
    device.passThroughsRefused = 0;
    device.name = name;
    device.isSlot = isContactSlot(name, this.#options);
    device.reader = reader;
    this.#settleState(device);
    this.#reportService();
  }

  #newDevice(fullName: string): ReaderDevice | null {
    if (this.#devices.length >= devicesMax) {
      const away = this.#devices.findIndex((device) => device.reader === null);
      if (away < 0) return null;
      this.#devices.splice(away, 1);
    }
    const name = parseReaderName(fullName);
    const taken = this.#devices.map((each) => each.identity);
    const identity = identityOfReader(name, taken);
    const device = new ReaderDevice(`reader-${++this.#lastDevice}`, identity, name, this.setup.clock);
    this.#devices.push(device);
    return device;
  }

  /** Ready or absent, unless options or orders speak against it. */
  #settleState(device: ReaderDevice, away: DeviceError = unplugged): void {
    const refused = refusalReason(device.name, this.#options);
    if (refused) this.#become(device, 'disabled', { code: 'device.denied', detail: refused });
    else if (device.reader === null) this.#become(device, 'absent', { code: 'device.absent', detail: away.detail });
    else this.#become(device, this.#orders.isHeld(device.identity) ? 'disabled' : 'ready');
  }

  #readerRemoved(reader: number): void {
    const device = this.#deviceOf(reader);
    if (!device) return;
    this.#away(device, unplugged);
    this.#reportService();
  }

  #readerFailed(reader: number, error: DeviceError): void {
    const device = this.#deviceOf(reader);
    if (!device) return;
    device.counters.failures++;
    // A card that cannot be read says nothing about the reader.
    const aboutTheCard = error.code === 'device.cardRemoved' || error.code === 'device.unsupported';
    if (device.state === 'ready' && !aboutTheCard) this.#become(device, 'failing', error);
  }

  #cardPresented(reader: number, card: number, atr: Bytes): void {
    const device = this.#deviceOf(reader);
    if (!device || (device.state !== 'ready' && device.state !== 'failing')) return;
    const kind = cardKind(atr);
    if (device.isSlot ? kind === 'processor' || kind === 'storage' : kind === 'contact') {
      // Nobody gets it: a bank card is not asked what a phone is asked, nor a phone what a bank card is.
      device.counters.wrongSlot++;
      this.#process.send({ type: 'release', card });
      this.#become(device, 'ready', device.isSlot ? fieldCardInSlot : contactCardInField);
      return;
    }
    // A card that can be talked to ends whatever failed before.
    this.#become(device, 'ready');
    device.counters.cards++;
    const link = new CardLink(`pcsc-${this.#process.starts}-${card}`, atr, card, this.#linkPort);
    device.link = link;
    this.#mayPassThrough(device, link);
    if (device.isSlot) {
      this.#tell({ type: 'cardInserted', device: device.device, link });
      return;
    }
    const looking = this.#options.refuseTwoCards ? readerModel(device.name.full)?.cardsInField : undefined;
    if (!looking) this.#tell({ type: 'cardPresented', device: device.device, link });
    else void this.#presentIfAlone(device, link, looking.command, looking.count);
  }

  /** Gives the link its way past the reader, where the model has one and this reader has not refused it too often. */
  #mayPassThrough(device: ReaderDevice, link: CardLink): void {
    const through = readerModel(device.name.full)?.passThrough;
    if (!through || device.isSlot || !device.passesThrough) return;
    link.passThrough = async (command, timeout) => {
      const answer = await link.transmit(through.wrap(command), timeout);
      const opened = answer.ok ? through.open(answer.value) : answer;
      // A reader that refuses by an error of PC/SC, or that falls silent, refuses too; a card that has left says nothing of it.
      const isRefused = answer.ok ? !opened.ok && opened.error.code === 'device.unsupported' : refusesBy(answer.error);
      if (answer.ok || isRefused) device.passThroughsRefused = isRefused ? device.passThroughsRefused + 1 : 0;
      if (!device.passesThrough && device.state === 'ready') this.#become(device, 'ready');
      return opened;
    };
  }

  /** Two cards in one field: neither is taken, since nobody knows which of them was meant. */
  async #presentIfAlone(
    device: ReaderDevice,
    link: CardLink,
    command: Bytes,
    count: (answer: Bytes) => number | null,
  ): Promise<void> {
    const answer = await link.transmit(command, countCardsMs);
    if (device.link !== link) return;
    if (answer.ok && (count(answer.value) ?? 1) < 2) {
      this.#tell({ type: 'cardPresented', device: device.device, link });
      return;
    }
    if (answer.ok) device.counters.twoCards++;
    device.link = null;
    if (this.#options.memberSignals) this.#signalOn(device, answer.ok ? 'refused' : 'tapAgain');
    await link.close();
  }

  #escapeFailed(reader: number, detail: string): void {
    const device = this.#deviceOf(reader);
    if (!device) return;
    device.refusesOwnCommands = `no light, sound or polling: ${detail}; see "Commands of the reader itself" in hardware.md`;
    if (device.state === 'ready') this.#become(device, 'ready');
  }

  #cardRemoved(reader: number, card: number): void {
    const device = this.#deviceOf(reader);
    if (device?.link?.card === card)
      this.#endLink(device, { code: 'device.cardRemoved', detail: 'the card left the reader' });
  }

  #transmit(card: number, command: Bytes): number {
    this.#lastExchange = (this.#lastExchange + 1) % 2 ** 32;
    const device = this.#deviceWithCard(card);
    if (device?.link) {
      device.counters.exchanges++;
      this.#exchanges.set(this.#lastExchange, device.link);
    }
    const frame: Frame = { type: 'transmit', card, exchange: this.#lastExchange, command };
    if (device) this.#send(device, frame);
    else this.#process.send(frame);
    return this.#lastExchange;
  }

  #settled(exchange: number, outcome: Result<Bytes, DeviceError>): void {
    const link = this.#exchanges.get(exchange);
    const device = link && this.#deviceWithCard(link.card);
    if (device && !outcome.ok) device.counters.failures++;
    link?.settled(exchange, outcome);
    this.#exchanges.delete(exchange);
  }

  #allAway(error: DeviceError): void {
    for (const device of this.#devices) if (device.reader !== null) this.#away(device, error);
    this.#exchanges.clear();
  }

  #away(device: ReaderDevice, error: DeviceError): void {
    this.#endLink(device, { code: 'device.closed', detail: error.detail });
    device.reader = null;
    this.#settleState(device, error);
  }

  #endLink(device: ReaderDevice, error: DeviceError): void {
    const link = device.link;
    if (!link) return;
    device.link = null;
    link.end(error);
    this.#tell({ type: 'cardRemoved', device: device.device, linkId: link.id });
  }

  #deviceWithCard(card: number): ReaderDevice | undefined {
    return this.#devices.find((device) => device.link?.card === card);
  }

  #deviceOf(reader: number): ReaderDevice | undefined {
    return this.#devices.find((device) => device.reader === reader);
  }

  #become(device: ReaderDevice, ...[state, error]: Parameters<ReaderDevice['become']>): void {
    if (device.become(state, error)) this.#tell({ type: 'deviceStateChanged', status: device.status() });
  }

  #reportService(): void {
    if (this.#service.hasChanged(this.#devices))
      this.#tell({ type: 'deviceStateChanged', status: this.#service.status(this.#devices, this.#process.starts) });
  }

  #tell(event: DeviceEvent): void {
    this.#emit?.(event);
  }
}

/** Plugged in, served, and a field: what slots for contacts keep for themselves is left alone. */
const isInUse = (device: ReaderDevice): device is ReaderDevice & { reader: number } =>
  device.reader !== null && device.state === 'ready' && !device.isSlot && isContactless(device.name);

const refusesBy = ({ code }: DeviceError): boolean => code === 'device.failed' || code === 'device.timedOut';

const contactCardInField: DeviceError = {
  code: 'device.wrongSlot',
  detail: 'a card with contacts came, and contactSlots does not name this reader',
};
const fieldCardInSlot: DeviceError = {
  code: 'device.wrongSlot',
  detail: 'a contactless card came, and contactSlots names this reader',
};
const unplugged: DeviceError = { code: 'device.absent', detail: 'the reader is not plugged in' };
