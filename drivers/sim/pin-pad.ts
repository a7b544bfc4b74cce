/**
 * A simulated PIN pad with AES DUKPT: bytes in, bytes out, as over a cable, or in HID reports. Written from docs/protocols/pin-pad.md,
 * without a line of the driver's codec. The one place where a clear PIN exists, given by the test that holds it.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import type { Crypto, Random } from '../../terminal/kernel/ports.js';
import type { Schedule } from '../contract/driver.js';
import { keySerialNumber, nextCounter, transactionKey, workingKey } from '../protocols/dukpt/dukpt.js';
import { encodePinBlock4 } from '../protocols/pinblock/pinblock.js';

export interface SimulatedPadSetup {
  readonly crypto: Pick<Crypto, 'aesCbcEncrypt'>;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly initialKey: Uint8Array;
  /** 8 bytes. */
  readonly initialKeyId: Uint8Array;
  /** The last counter used; kept by who starts the pad anew: no counter is used twice. */
  readonly counter: number;
}

/** What a test may do to it. */
export interface PadMood {
  /** Hears nothing and says nothing: it hangs. */
  mute: boolean;
  /** Speaks like a pad of another maker. */
  foreign: boolean;
  /** Its counter stands still. */
  stuckCounter: boolean;
  /** What the cable makes of each frame that it sends. */
  cable: (frame: Uint8Array) => Uint8Array;
}

interface Prompt {
  readonly entry: string;
  readonly pan: string;
  readonly seconds: number;
  readonly cancelTimer: () => void;
}

/** Entries that it remembers to have ended. */
const endedMax = 16;
const bytesMax = 300;

export class SimulatedPinPad {
  readonly mood: PadMood = { mute: false, foreign: false, stuckCounter: false, cable: (frame) => frame };
  /** What the member keys as soon as it is asked, Enter included; null: nothing yet. */
  pin: string | null = null;
  /** Commands as they came, fields joined by blanks. */
  readonly heard: string[] = [];
  #prompt: Prompt | null = null;
  #ended: string[] = [];
  #bytes: number[] = [];
  #counter: number;

  constructor(
    private readonly setup: SimulatedPadSetup,
    private readonly send: (frame: Uint8Array) => void,
  ) {
    this.#counter = setup.counter;
  }
  get counter(): number {
    return this.#counter;
  }
  /** What the member reads, where it is asked for a PIN. */
  get prompt(): { readonly pan: string; readonly seconds: number } | null {
    return this.#prompt;
  }

  feed(chunk: Uint8Array): void {
    if (this.mood.mute) return;
    for (const byte of chunk) {
      this.#bytes.push(byte);
      if (this.#bytes.length > bytesMax) this.#bytes = [];
      const begin = this.#bytes.indexOf(2);
      const end = this.#bytes.indexOf(3, begin);
      if (begin < 0) this.#bytes = [];
      else if (end > begin && this.#bytes.length === end + 2) {
        const checked = this.#bytes.slice(begin + 1, end + 1).reduce((sum, each) => sum ^ each, 0);
        const text = String.fromCharCode(...this.#bytes.slice(begin + 1, end));
        this.#bytes = [];
        if (checked === byte) this.#take(text);
      }
    }
  }

  /** The member keys a PIN and Enter. */
  key(pin: string): void {
    const prompt = this.#prompt;
    if (!prompt) return;
    const counter = this.mood.stuckCounter && this.#counter > 0 ? this.#counter : nextCounter(this.#counter);
    if (counter === null) {
      this.#end('03');
      return;
    }
    // Counted before it is used: a key of this counter never comes back.
    this.#counter = counter;
    const { crypto, initialKey, initialKeyId, random } = this.setup;
    const transaction = transactionKey(crypto, initialKey, initialKeyId, counter);
    const key = workingKey(crypto, transaction, 'pin', initialKeyId, counter);
    const block = encodePinBlock4(crypto, key, pin, prompt.pan, random.bytes(8));
    this.#end('00', upperHex(keySerialNumber(initialKeyId, counter)), upperHex(block));
  }
  pressCancel(): void {
    this.#end('01');
  }
  /** Its power is gone for good: it says nothing any more. */
  switchOff(): void {
    this.#forget();
    this.mood.mute = true;
  }
  /** Its power went and came: it knows its counter and nothing else. */
  restart(): void {
    this.#forget();
    this.#say('PU');
  }
  #forget(): void {
    this.#prompt?.cancelTimer();
    this.#prompt = null;
    this.#ended = [];
    this.#bytes = [];
  }

  #take(text: string): void {
    const fields = text.split('\x1c');
    const [command, entry = '', pan = '', seconds = ''] = fields;
    this.heard.push(fields.join(' '));
    if (this.mood.foreign) this.#say('71', '0');
    else if (command === 'PC') this.#callOff(entry);
    else if (command === 'PE') this.#ask(entry, pan, seconds);
  }

  #callOff(entry: string): void {
    if (this.#prompt?.entry === entry) this.#end('01');
    else this.#say('PE', entry, '04');
  }

  #ask(entry: string, pan: string, seconds: string): void {
    if (!/^[0-9]{8,19}$/.test(pan) || !/^[0-9]{1,3}$/.test(seconds) || Number(seconds) < 5 || Number(seconds) > 255) {
      this.#say('PE', entry, '05');
      return;
    }
    if (this.#ended.includes(entry)) {
      this.#say('PE', entry, '04');
      return;
    }
    if (this.#prompt?.entry !== entry) {
      // Another entry: the digits of the one before are forgotten, nothing is said of it.
      this.#prompt?.cancelTimer();
      const cancelTimer = this.setup.schedule(Number(seconds) * 1_000, () => this.#end('02'));
      this.#prompt = { entry, pan, seconds: Number(seconds), cancelTimer };
    }
    this.#say('PA', entry);
    if (this.pin !== null) this.key(this.pin);
  }

  #end(...outcome: readonly string[]): void {
    const prompt = this.#prompt;
    if (!prompt) return;
    prompt.cancelTimer();
    this.#prompt = null;
    this.#ended = [...this.#ended, prompt.entry].slice(-endedMax);
    this.#say('PE', prompt.entry, ...outcome);
  }

  #say(...fields: readonly string[]): void {
    if (this.mood.mute) return;
    const body = [...Buffer.from(fields.join('\x1c'), 'latin1'), 3];
    this.send(this.mood.cable(Uint8Array.from([2, ...body, body.reduce((sum, byte) => sum ^ byte, 0)])));
  }
}

const upperHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').toUpperCase();

/** A simulated pad at the far end of a line that somebody opens. */
export interface AttachedPad {
  readonly pad: SimulatedPinPad;
  close(): void;
}

/** Attaches it to the device's end of a pseudo-terminal. */
export function padOnPty(device: string, setup: SimulatedPadSetup): AttachedPad {
  const file = openSync(device, constants.O_RDWR | constants.O_NOCTTY);
  const stream = new ReadStream(file);
  const pad = new SimulatedPinPad(setup, (frame) => void writeSync(file, frame));
  stream.on('data', (chunk: Buffer) => pad.feed(chunk));
  stream.on('error', () => {});
  return {
    pad,
    close: () => {
      pad.switchOff();
      stream.destroy();
    },
  };
}

/** Bytes of a report of the simulated HID pad each way, without an id. */
export const padReportBytes = 64;

/** A simulated pad in HID reports. `take` is given each report as the box wrote it, id byte 0 first. */
export function padOnReports(
  setup: SimulatedPadSetup,
  sendReport: (report: Uint8Array) => void,
): { readonly pad: SimulatedPinPad; take(report: Uint8Array): void } {
  const room = padReportBytes - 1;
  const pad = new SimulatedPinPad(setup, (frame) => {
    for (let at = 0; at < frame.length; at += room) {
      const report = new Uint8Array(padReportBytes);
      const part = frame.subarray(at, at + room);
      report[0] = part.length;
      report.set(part, 1);
      sendReport(report);
    }
  });
  return {
    pad,
    take: (report) => {
      if (report.length !== 1 + padReportBytes || report[0] !== 0)
        throw new Error(`a report of ${report.length} bytes`);
      pad.feed(report.subarray(2, 2 + (report[1] ?? 0)));
    },
  };
}
