/**
 * Module talk: which member's device speaks over an infrared or radio module, and its commands and answers, each command done
 * at most once however often it has to be sent. Must not open the line, nor know what a command means.
 */
import { type Bytes, concat, toHex, uintBE } from '../../terminal/kernel/bytes.js';
import type { Clock } from '../../terminal/kernel/ports.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { durationMs, type MonotonicMs } from '../../terminal/kernel/units.js';
import type { DeviceOrder, Schedule } from '../contract/driver.js';
import type { ApduLink, DeviceError } from '../contract/transport.js';
import {
  encodeFragments,
  type FragmentJoin,
  joinFragment,
  messageBytesMax,
  nothingJoined,
} from '../protocols/gatt-messages/fragments.js';
import {
  emptyStream,
  encodeModuleFrame,
  type ModuleFrame,
  moduleBodyBytesMax,
  readModuleStream,
} from '../protocols/module-frames/module-frame.js';
import { CardLink, type LinkPort } from '../supervised/card-link.js';
import { linkAtr } from '../supervised/link-atr.js';

export interface TalkPort {
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Best effort: what is lost is sent again. */
  readonly write: (bytes: Bytes) => void;
  /** Told before it is carried out, with the answer of the device after it; for recordings. */
  readonly ordered: (order: DeviceOrder) => void;
  readonly answered: (answer: Bytes) => void;
  /** How long so many bytes take on the line, milliseconds. */
  readonly lineMs: (bytes: number) => number;
  readonly presented: (link: ApduLink) => void;
  readonly removed: (linkId: string) => void;
  readonly count: (what: 'noise' | 'repeats' | 'crowded' | 'exchanges') => void;
  /** Unique in this process. */
  readonly nextLinkId: () => string;
}

/** A device says hello every 250 ms: one that is heard twice with nobody else about is taken. */
const aloneForMs = 600;
const twiceAfterMs = 150;
/** Served to its end, a device has to be silent for so long before it is taken again. */
const restMs = 3_000;
/** Not heard for so long while nothing is under way, a device has left. */
const leftAfterMs = 2_000;
const watchEveryMs = 500;
/** What a device may take for an answer before it is asked again; it then says that it is working. */
const answerMs = 400;
/** Sent so often without a sign of life, the device has left. */
const triesMax = 4;
/** Devices kept in mind. */
const devicesMax = 16;

interface Exchange {
  readonly number: number;
  readonly frames: Bytes;
  tries: number;
  cancel: () => void;
}
interface Served {
  readonly session: number;
  readonly link: CardLink;
  heardAtMs: MonotonicMs;
  joining: FragmentJoin;
  exchange: Exchange | null;
  cancelWatch: () => void;
}

export class ModuleTalk {
  #stream = emptyStream;
  /** Devices that said hello: when first and when last. */
  readonly #heard = new Map<number, { readonly firstMs: MonotonicMs; lastMs: MonotonicMs }>();
  readonly #resting = new Map<number, MonotonicMs>();
  #served: Served | null = null;
  #lastExchange = 0;
  readonly #linkPort: LinkPort;

  constructor(private readonly port: TalkPort) {
    this.#linkPort = {
      schedule: port.schedule,
      answerGrace: durationMs(leftAfterMs),
      transmit: (session, command) => this.#transmit(session, command),
      release: (session) => this.#letGo(session, { code: 'device.closed', detail: 'the link was closed' }),
      timedOut: (session) => this.#letGo(session, { code: 'device.closed', detail: 'no answer in time' }),
      stuck: () => {},
    };
  }

  hear(chunk: Bytes): void {
    const { frames, noise, stream } = readModuleStream(this.#stream, chunk);
    this.#stream = stream;
    for (let n = 0; n < noise; n++) this.port.count('noise');
    for (const frame of frames) this.#take(frame);
  }

  /** The line is gone, and whoever spoke over it. */
  left(error: DeviceError): void {
    this.#end(error);
    this.#heard.clear();
    this.#resting.clear();
    this.#stream = emptyStream;
  }

  #take({ body, kind, session }: ModuleFrame): void {
    const now = this.port.clock.monotonicMs();
    const served = this.#served;
    if (served?.session === session) {
      // A module that hears its own box must not keep a device that has left.
      if (kind !== 'command' && kind !== 'bye') served.heardAtMs = now;
      if (kind === 'answer') this.#answered(served, body);
      if (kind === 'working' && served.exchange) this.#await(served, served.exchange, 1);
      return;
    }
    if (kind !== 'hello') return;
    this.#forget(now);
    if (this.#resting.has(session)) this.#resting.set(session, now);
    else if (served) this.port.count('crowded');
    else this.#greet(session, now);
  }

  #greet(session: number, now: MonotonicMs): void {
    const known = this.#heard.get(session);
    if (known) known.lastMs = now;
    else if (this.#heard.size < devicesMax) this.#heard.set(session, { firstMs: now, lastMs: now });
    if (this.#heard.size > 1) this.port.count('crowded');
    else if (known && now - known.firstMs >= twiceAfterMs) this.#present(session, now);
  }

  #forget(now: MonotonicMs): void {
    for (const [session, { lastMs }] of this.#heard) if (now - lastMs > aloneForMs) this.#heard.delete(session);
    for (const [session, atMs] of this.#resting) if (now - atMs > restMs) this.#resting.delete(session);
  }

  #present(session: number, now: MonotonicMs): void {
    this.#heard.clear();
    const link = new CardLink(this.port.nextLinkId(), linkAtr('SER1', uintBE(session, 4)), session, this.#linkPort);
    this.#served = { session, link, heardAtMs: now, joining: nothingJoined, exchange: null, cancelWatch: () => {} };
    this.#watch(this.#served);
    this.port.presented(link);
  }

  #watch(served: Served): void {
    served.cancelWatch = this.port.schedule(watchEveryMs, () => {
      const silentMs = this.port.clock.monotonicMs() - served.heardAtMs;
      if (!served.exchange && silentMs > leftAfterMs)
        this.#end({ code: 'device.cardRemoved', detail: 'not heard any more' });
      else this.#watch(served);
    });
  }

  #transmit(session: number, command: Bytes): number {
    this.#lastExchange = (this.#lastExchange + 1) % 2 ** 32;
    const number = this.#lastExchange;
    const served = this.#served;
    if (served?.session !== session) return number;
    this.port.count('exchanges');
    this.port.ordered({ transmit: toHex(command) });
    if (command.length > messageBytesMax) {
      const error: DeviceError = { code: 'device.failed', detail: `a command over ${messageBytesMax} bytes` };
      this.port.schedule(0, () => served.link.settled(number, err(error)));
      return number;
    }
    const fragments = encodeFragments(number & 0xff, command, moduleBodyBytesMax);
    const frames = concat(...fragments.map((body) => encodeModuleFrame({ kind: 'command', session, body })));
    const exchange: Exchange = { number, frames, tries: 1, cancel: () => {} };
    served.exchange = exchange;
    served.joining = nothingJoined;
    this.#await(served, exchange, 1);
    this.port.write(frames);
    return number;
  }

  /** The same command under the same number: a device that did it already sends its answer again. */
  #await(served: Served, exchange: Exchange, tries: number): void {
    exchange.cancel();
    exchange.tries = tries;
    exchange.cancel = this.port.schedule(answerMs + 2 * this.port.lineMs(exchange.frames.length), () => {
      if (tries >= triesMax) {
        this.#end({ code: 'device.cardRemoved', detail: 'no answer: out of range' });
        return;
      }
      this.port.count('repeats');
      served.joining = nothingJoined;
      this.#await(served, exchange, tries + 1);
      this.port.write(exchange.frames);
    });
  }

  #answered(served: Served, fragment: Bytes): void {
    const { exchange } = served;
    if (!exchange) return;
    const step = joinFragment(served.joining, fragment);
    served.joining = step.ok ? step.value.state : nothingJoined;
    // A sign of life: the rest is on its way.
    this.#await(served, exchange, exchange.tries);
    if (!step.ok || !step.value.message || step.value.message.exchange !== (exchange.number & 0xff)) return;
    exchange.cancel();
    served.exchange = null;
    this.port.answered(step.value.message.bytes);
    served.link.settled(exchange.number, ok(step.value.message.bytes));
  }

  /** Said goodbye to; it has to be silent before it is taken again. */
  #letGo(session: number, error: DeviceError): void {
    if (this.#served?.session !== session) return;
    this.port.ordered({ release: true });
    this.port.write(encodeModuleFrame({ kind: 'bye', session, body: new Uint8Array(0) }));
    if (this.#resting.size < devicesMax) this.#resting.set(session, this.port.clock.monotonicMs());
    this.#end(error);
  }

  #end(error: DeviceError): void {
    const served = this.#served;
    if (!served) return;
    this.#served = null;
    served.cancelWatch();
    served.exchange?.cancel();
    served.link.end(error);
    this.port.removed(served.link.id);
  }
}
