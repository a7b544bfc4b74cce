/**
 * PIN pad talk: the conversation with one open pad: one entry at a time, called until the pad says that it asks, then waited for
 * as long as the pad waits. Must not open the line, and must not log or keep a card number, a block or a key serial number.
 */
import { type Bytes, toHex } from '../../terminal/kernel/bytes.js';
import type { Random } from '../../terminal/kernel/ports.js';
import { assert } from '../../terminal/kernel/result.js';
import type { PinAsked, PinEnd, Schedule } from '../contract/driver.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import type { KeySerials } from '../protocols/pin-pad/key-serials.js';
import { encodePadFrame, PadFrameReader } from '../protocols/pin-pad/pad-frame.js';
import type { EntryName, PadAnswer, PadEnd, PadModel } from '../protocols/pin-pad/pad-models.js';

/** How long a pad has to answer what it answers at once, and how often it is told. */
export const answerTimeoutMs = 2_000;
export const triesMax = 3;
/** How much later than its own time-out a pad may say so. */
export const marginMs = 5_000;
const entryNameBytes = 8;
/** Entries that have ended and whose answers may come yet. */
const namesMax = 16;

type WithoutDevice<T> = T extends unknown ? Omit<T, 'device'> : never;
export type EntryEnd = WithoutDevice<PinEnd>;
/** noise: frames that were cut or wrong. strange: whole ones that this model does not send. late: of another entry. */
export type PadCount = 'noise' | 'strange' | 'late';

export interface PadTalkPorts {
  readonly write: ByteTransport['write'];
  readonly schedule: Schedule;
  readonly random: Random;
  readonly model: PadModel;
  readonly keySerials: KeySerials;
  readonly count: (what: PadCount) => void;
}

interface Entry {
  readonly name: EntryName;
  readonly waitMs: number;
  stage: 'calling' | 'keying' | 'cancelling';
  heardStrange: boolean;
  cancelTimer: () => void;
  readonly resolve: (end: EntryEnd) => void;
}

const failed = (code: DeviceError['code'], detail: string): EntryEnd => ({ result: 'failed', error: { code, detail } });
const unknown = (code: DeviceError['code'], detail: string): EntryEnd => ({
  result: 'unknown',
  error: { code, detail },
});

export class PadTalk {
  readonly #reader = new PadFrameReader();
  #entry: Entry | null = null;
  /** Names of the newest entries. */
  readonly #drawn: EntryName[] = [];

  constructor(private readonly ports: PadTalkPorts) {}

  /** Bytes from the pad. They are wiped: who wants them has copied them. */
  hear(chunk: Bytes): void {
    const dropped = this.#reader.push(chunk, (body) => {
      const answer = this.ports.model.answer(body);
      if (answer.ok) this.#answered(answer.value);
      else {
        this.ports.count('strange');
        if (this.#entry) this.#entry.heardStrange = true;
      }
    });
    for (let i = 0; i < dropped; i++) this.ports.count('noise');
    chunk.fill(0);
  }

  /** The line is gone or about to be closed; nothing is written any more. */
  left(): void {
    if (this.#entry) this.#end(this.#entry, unknown('device.closed', 'the pad went away'));
    this.#reader.forget();
  }

  get isBusy(): boolean {
    return this.#entry !== null;
  }

  /** `pan` and `timeoutS` as PinAsked has them; not while it is busy, nor once the line is gone. Never rejects. */
  ask({ pan, timeoutS }: Pick<PinAsked, 'pan' | 'timeoutS'>): Promise<EntryEnd> {
    assert(!this.#entry, 'one entry at a time');
    return new Promise((resolve) => {
      // Drawn, not counted: an answer to an entry of an earlier run is not taken for one of this.
      const name = toHex(this.ports.random.bytes(entryNameBytes));
      this.#drawn.push(name);
      if (this.#drawn.length > namesMax) this.#drawn.shift();
      const waitMs = timeoutS * 1_000 + marginMs;
      const entry: Entry = { name, waitMs, stage: 'calling', heardStrange: false, cancelTimer: () => {}, resolve };
      this.#entry = entry;
      this.#tell(entry, encodePadFrame(this.ports.model.ask(name, pan, timeoutS)), 1);
    });
  }

  cancel(): void {
    const entry = this.#entry;
    if (!entry || entry.stage === 'cancelling') return;
    entry.stage = 'cancelling';
    this.#tell(entry, this.#cancelFrame(entry), 1);
  }

  /** Says it again and again until the pad answers: it knows the entry by its name, and begins it once. */
  #tell(entry: Entry, frame: Bytes, tries: number): void {
    entry.cancelTimer();
    entry.cancelTimer = this.ports.schedule(answerTimeoutMs, () => {
      if (tries < triesMax) this.#tell(entry, frame, tries + 1);
      else if (entry.heardStrange)
        this.#giveUp(entry, unknown('device.unsupported', 'its answers are not those of pinPads.model'));
      else this.#giveUp(entry, unknown('device.timedOut', 'the pad does not answer'));
    });
    void this.ports.write(frame).then((written) => {
      if (!written.ok) this.#giveUp(entry, { result: 'unknown', error: written.error });
    });
  }

  #answered(answer: PadAnswer): void {
    const entry = this.#entry;
    if (answer.says === 'started') {
      // One that is only being called hears of it at the next try.
      if (entry && entry.stage !== 'calling') this.#end(entry, unknown('device.closed', 'the pad started anew'));
      return;
    }
    if (answer.entry !== entry?.name) this.#late(answer);
    else if (answer.says === 'ended') this.#ended(entry, answer.end);
    else if (entry.stage === 'calling') {
      entry.stage = 'keying';
      entry.cancelTimer();
      entry.cancelTimer = this.ports.schedule(entry.waitMs, () =>
        this.#giveUp(entry, unknown('device.timedOut', 'the pad did not say what became of the entry')),
      );
    }
  }

  /** Of an entry that has ended: the key is used up, the block is nobody's. What was never asked for tells nothing of any key. */
  #late(answer: Exclude<PadAnswer, { says: 'started' }>): void {
    this.ports.count('late');
    if (answer.says !== 'ended' || answer.end.result !== 'entered') return;
    if (this.#drawn.includes(answer.entry)) this.ports.keySerials.take(answer.end.keySerialNumber);
    wipe(answer.end);
  }

  #ended(entry: Entry, end: PadEnd): void {
    const isCancelled = entry.stage === 'cancelling';
    switch (end.result) {
      case 'entered':
        this.#end(entry, this.#entered(end, isCancelled));
        return;
      case 'notUnderWay':
        this.#end(entry, isCancelled ? { result: 'cancelled' } : unknown('device.failed', 'the pad lost the entry'));
        return;
      case 'refused':
        this.#end(entry, failed('device.unsupported', 'the pad takes no such card number or time'));
        return;
      default:
        this.#end(entry, { result: isCancelled && end.result === 'timedOut' ? 'cancelled' : end.result });
    }
  }

  #entered(end: PadEnd & { readonly result: 'entered' }, isCancelled: boolean): EntryEnd {
    const verdict = this.ports.keySerials.take(end.keySerialNumber);
    if (verdict === 'fresh' && !isCancelled) return end;
    wipe(end);
    if (verdict === 'reused') return failed('device.keyReused', 'the key serial number did not rise');
    if (verdict === 'unfit') return failed('device.failed', 'the key serial number cannot be one');
    return { result: 'cancelled' };
  }

  /** Nobody waits for it any more; a pad that still asks is told to stop, once. */
  #giveUp(entry: Entry, end: EntryEnd): void {
    void this.ports.write(this.#cancelFrame(entry));
    this.#end(entry, end);
  }

  #end(entry: Entry, end: EntryEnd): void {
    if (this.#entry !== entry) return;
    entry.cancelTimer();
    this.#entry = null;
    entry.resolve(end);
  }

  #cancelFrame({ name }: Entry): Bytes {
    return encodePadFrame(this.ports.model.cancel(name));
  }
}

function wipe({ keySerialNumber, pinBlock }: PadEnd & { readonly result: 'entered' }): void {
  keySerialNumber.fill(0);
  pinBlock.fill(0);
}
