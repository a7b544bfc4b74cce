/**
 * Modem talk: the conversation with one open GSM modem: prepares it, lists and deletes what came, sends one part at most once.
 * One command at a time. Must not open the line, and must not log a number or a text.
 */
import { type Bytes, toHex } from '../../terminal/kernel/bytes.js';
import type { Schedule } from '../contract/driver.js';
import type { ByteTransport } from '../contract/transport.js';
import {
  AnswerReader,
  type ConditionText,
  isArrival,
  type ListedMessage,
  meaningOf,
  readCondition,
  readEnd,
  readList,
} from '../protocols/gsm-modem/answers.js';

const answerTimeoutMs = 5_000;
/** The network may take its time to take a message. */
const sendTimeoutMs = 60_000;
/** Lines of one answer kept: a SIM holds at most 255 messages of two lines. */
const answerLinesMax = 600;

/** Echo off, errors by number, PDU mode, arrivals told by +CMTI. */
const preparing = ['ATE0', 'AT+CMEE=1', 'AT+CMGF=0', 'AT+CNMI=2,1,0,0,0'];

type Answer =
  | { readonly end: 'ok' | 'prompt' | 'silence' | 'left'; readonly lines: readonly string[] }
  | { readonly end: 'error'; readonly code: number };

export type PartEnd =
  | { readonly end: 'sent' | 'later' | 'unsure' }
  | { readonly end: 'refused'; readonly code: number };

const ascii = (text: string): Bytes => Uint8Array.from(text, (character) => character.charCodeAt(0));

export class ModemTalk {
  readonly #reader = new AnswerReader();
  #waiting: { lines: string[]; prompt: boolean; done: (answer: Answer) => void } | null = null;
  #isGone = false;

  /** @param arrived called when the modem says that a message has come */
  constructor(
    private readonly write: ByteTransport['write'],
    private readonly schedule: Schedule,
    private readonly arrived: () => void,
  ) {}

  get isGone(): boolean {
    return this.#isGone;
  }

  hear(chunk: Bytes): void {
    for (const said of this.#reader.push(chunk)) {
      const waiting = this.#waiting;
      if (said.kind === 'prompt') {
        if (waiting?.prompt) waiting.done({ end: 'prompt', lines: waiting.lines });
        continue;
      }
      if (isArrival(said.text)) this.arrived();
      else if (waiting) {
        const end = readEnd(said.text);
        if (end) waiting.done(end.ok ? { end: 'ok', lines: waiting.lines } : { end: 'error', code: end.code });
        else if (waiting.lines.length < answerLinesMax) waiting.lines.push(said.text);
      }
    }
  }

  /** The line is gone; what is waited for ends. */
  left(): void {
    this.#isGone = true;
    this.#waiting?.done({ end: 'left', lines: [] });
  }

  /** @returns null when the modem is ready, else what is wrong with it */
  async prepare(): Promise<string | null> {
    // A prompt that an earlier life left open takes this escape and no text.
    void this.write(ascii('\x1b'));
    for (const command of preparing) {
      const answer = await this.#ask(`${command}\r`);
      if (answer.end !== 'ok') return `${command}: ${answer.end === 'error' ? `error ${answer.code}` : 'no answer'}`;
    }
    const pin = await this.#ask('AT+CPIN?\r');
    if (pin.end === 'error') return `SIM: error ${pin.code}`;
    return pin.lines.includes('+CPIN: READY') ? null : 'the SIM wants a PIN: take it off in a phone';
  }

  /** Network and signal (3GPP TS 27.007 7.2, 8.5); null: it did not say. */
  async condition(): Promise<ConditionText | null> {
    const signal = await this.#ask('AT+CSQ\r');
    if (signal.end !== 'ok') return null;
    const network = await this.#ask('AT+CREG?\r');
    return network.end === 'ok' ? readCondition(signal.lines, network.lines) : null;
  }

  /** All messages that lie there; null: it did not say. */
  async list(): Promise<readonly ListedMessage[] | null> {
    const answer = await this.#ask('AT+CMGL=4\r');
    return answer.end === 'ok' ? readList(answer.lines) : null;
  }

  async remove(index: number): Promise<void> {
    await this.#ask(`AT+CMGD=${index}\r`);
  }

  /** Sends one part. later: certainly not sent. unsure: nobody knows. */
  async send(tpdu: { readonly bytes: Bytes; readonly length: number }): Promise<PartEnd> {
    const asked = await this.#ask(`AT+CMGS=${tpdu.length}\r`, true);
    if (asked.end !== 'prompt') {
      void this.write(ascii('\x1b'));
      return { end: 'later' };
    }
    const answer = await this.#ask(`${toHex(tpdu.bytes).toUpperCase()}\x1a`, false, sendTimeoutMs);
    // An OK of its own may be the late one of another command: only with its number was the message taken.
    if (answer.end === 'ok') return { end: answer.lines.some((line) => line.startsWith('+CMGS:')) ? 'sent' : 'unsure' };
    if (answer.end !== 'error') return { end: 'unsure' };
    const meaning = meaningOf(answer.code);
    return meaning === 'refused' ? { end: 'refused', code: answer.code } : { end: meaning };
  }

  #ask(text: string, prompt = false, timeoutMs = answerTimeoutMs): Promise<Answer> {
    if (this.#isGone) return Promise.resolve({ end: 'left', lines: [] });
    return new Promise((resolve) => {
      const done = (answer: Answer): void => {
        cancel();
        this.#waiting = null;
        resolve(answer);
      };
      const cancel = this.schedule(timeoutMs, () => done({ end: 'silence', lines: [] }));
      this.#waiting = { lines: [], prompt, done };
      void this.write(ascii(text));
    });
  }
}
