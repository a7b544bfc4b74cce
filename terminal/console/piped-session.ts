/**
 * Piped session: the dialogue over JSON lines, for scripts/console where there is no terminal: one command, or lines
 * piped in. Server: {"ask":…}, {"text":…}, {"end":…}; client: {"answer":…} to each ask. Must not edit or echo.
 */
import type { Duplex } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { z } from 'zod';
import { parseJson } from '../kernel/json.js';
import type { Output } from './command-context.js';
import type { Dialogue } from './dialogue.js';
import type { Schedule } from './session.js';
import { jsonLine, refusalLines } from './views.js';

/** Longest JSON line from a client, characters. */
export const clientLineMax = 2_048;
/** Answers that wait for their turn; more end the session. */
const answersWaitingMax = 64;
const outputWaitingMax = 262_144;
const penaltyMs = 1_000;

export const clientLineSchema = z.strictObject({ answer: z.string().max(1_024) });

export interface PipedParts {
  readonly stream: Duplex;
  readonly dialogue: Dialogue;
  readonly schedule: Schedule;
  readonly idleMs: number;
  readonly onBug: (error: unknown) => void;
}

/** Splits a stream into lines of at most `lengthMax` characters; a longer one is reported by null. */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';
  constructor(private readonly lengthMax: number) {}

  lines(chunk: Uint8Array): (string | null)[] {
    this.#rest += this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    const found = lines.map((line) => (line.length > this.lengthMax ? null : line));
    if (this.#rest.length > this.lengthMax) {
      this.#rest = '';
      found.push(null);
    }
    return found;
  }
  /** What came after the last line end. */
  rest(): string {
    return this.#rest;
  }
}

export class PipedSession {
  readonly #parts: PipedParts;
  readonly #splitter = new LineSplitter(clientLineMax);
  readonly #waiting: string[] = [];
  readonly #stop = new AbortController();
  #busy = false;
  #closed = false;
  #cancelIdle: () => void = () => undefined;
  #cancelPenalty: () => void = () => undefined;

  constructor(parts: PipedParts) {
    this.#parts = parts;
    parts.stream.on('data', this.#onData);
  }

  begin(first: Uint8Array): void {
    this.#restartIdle();
    this.#ask();
    if (first.length > 0) this.#onData(first);
  }

  /** Logs out and stops what runs. Safe to call twice. */
  close(why: 'lineLost' | 'closing'): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.stream.off('data', this.#onData);
    this.#cancelIdle();
    this.#cancelPenalty();
    this.#stop.abort();
    this.#parts.dialogue.logOut(why);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#restartIdle();
    for (const line of this.#splitter.lines(chunk)) {
      if (this.#closed) return;
      const json = line === null ? null : parseJson(line, { lengthMax: clientLineMax, depthMax: 2 });
      const parsed = json?.ok ? clientLineSchema.safeParse(json.value) : null;
      if (!parsed?.success || this.#waiting.length >= answersWaitingMax) {
        this.#send({ end: { code: 'input.malformed' } });
        this.#finish();
        return;
      }
      this.#waiting.push(parsed.data.answer);
    }
    this.#next();
  };

  #send(message: unknown): void {
    if (!this.#closed && this.#parts.stream.writable) this.#parts.stream.write(`${jsonLine(message)}\n`);
  }

  #finish(): void {
    this.close('lineLost');
    this.#parts.stream.end();
  }

  #ask(): void {
    this.#send({ ask: this.#parts.dialogue.ask() });
    this.#busy = false;
    this.#next();
  }

  #next(): void {
    if (this.#busy || this.#closed) return;
    const answer = this.#waiting.shift();
    if (answer === undefined) return;
    this.#busy = true;
    this.#run(answer).catch((error: unknown) => {
      this.#parts.onBug(error);
      for (const text of refusalLines('box.failed')) this.#send({ text });
      this.#send({ end: { code: 'box.failed' } });
      this.#finish();
    });
  }

  async #run(answer: string): Promise<void> {
    const { dialogue, schedule, stream } = this.#parts;
    const output: Output = {
      print: (lines) => {
        for (const text of lines) this.#send({ text });
      },
      ready: () => stream.writableLength < outputWaitingMax,
      untilKey: () => this.#stop.signal,
    };
    const turn = await dialogue.enter(answer, output);
    if (this.#closed) return;
    this.#send({ end: { code: turn.code } });
    if (turn.ended) this.#finish();
    else if (turn.penalty) this.#cancelPenalty = schedule(penaltyMs, () => this.#ask());
    else this.#ask();
  }

  #restartIdle(): void {
    this.#cancelIdle();
    this.#cancelIdle = this.#parts.schedule(this.#parts.idleMs, () => {
      this.#parts.dialogue.logOut('idle');
      this.#finish();
    });
  }
}
