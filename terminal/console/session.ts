/**
 * Session: the dialogue on a terminal at the other end of any byte stream: prompts, line editing and history by
 * node:readline, PIN masked, idle log-out. Must not know what a command does or where the stream comes from.
 */
import { createInterface, type Interface } from 'node:readline';
import { type Duplex, Readable, Writable } from 'node:stream';
import type { Output } from './command-context.js';
import type { Ask, Dialogue } from './dialogue.js';
import { lineLengthMax } from './grammar.js';
import { backspace, ctrlC, ctrlD, KeyFilter } from './key-filter.js';
import { emptySecret, type SecretEntry, secretKey } from './secret-entry.js';
import { screenColumns } from './table.js';
import { say } from './texts.js';
import { refusalLines, safeLine } from './views.js';

/** Starts after a delay; gives back how to cancel it. */
export type Schedule = (delayMs: number, run: () => void) => () => void;

export interface SessionParts {
  readonly stream: Duplex;
  readonly dialogue: Dialogue;
  readonly schedule: Schedule;
  readonly idleMs: number;
  /** After log-out: begin again at the PIN (a serial line stays), or end (a socket closes). */
  readonly afterLogout: 'begin' | 'end';
  readonly columns?: number;
  /** A bug in a command; the session goes on, its owner decides. */
  readonly onBug: (error: unknown) => void;
}

/** Characters typed ahead while a command runs; more are dropped. */
const typedAheadMax = 1_024;
const historyLengthMax = 50;
/** Above this many unsent bytes a follower's lines are skipped. */
const outputWaitingMax = 16_384;
/** Above this many unsent bytes keys are dropped: what a line asks for faster than it takes the answers must not pile up. */
const unsentBytesMax = 65_536;
const penaltyMs = 1_000;
const bell = '\u0007';

/** readline's input: keys are handed over one at a time, synchronously, so that nothing runs ahead of a command. */
class KeySource extends Readable {
  override _read(): void {}
  feed(key: string): void {
    this.emit('data', Buffer.from(key));
  }
}

export class Session {
  readonly #parts: SessionParts;
  readonly #filter = new KeyFilter();
  readonly #source = new KeySource();
  readonly #screen: Writable & { columns?: number };
  #editor: Interface | null = null;
  #history: string[] = [];
  #secret: SecretEntry | null = null;
  #busy = false;
  #ahead: string[] = [];
  #stop: AbortController | null = null;
  #cancelIdle: () => void = () => undefined;
  #cancelPenalty: () => void = () => undefined;
  #closed = false;
  /** Rises with each log-out: a command of an earlier one prints and asks no more. */
  #login = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { stream } = parts;
    this.#screen = new Writable({
      write: (chunk: Uint8Array, _encoding, callback) => {
        if (!this.#closed && stream.writable) stream.write(chunk);
        callback();
      },
    });
    this.#screen.columns = parts.columns ?? screenColumns;
    stream.on('data', this.#onData);
  }

  /** Greets and asks for the PIN. */
  begin(): void {
    this.#write(`\r\n${this.#parts.dialogue.greeting().map(safeLine).join('\r\n')}\r\n`);
    this.#restartIdle();
    this.#askNext();
  }

  /** Logs out and lets the stream go; the caller closes it. Safe to call twice. */
  close(why: 'lineLost' | 'closing'): void {
    if (this.#closed) return;
    if (why === 'closing') this.#write(`\r\n${say(this.#parts.dialogue.language, 'session.closing')}\r\n`);
    this.#closed = true;
    this.#parts.stream.off('data', this.#onData);
    this.#cancelIdle();
    this.#cancelPenalty();
    this.#stop?.abort();
    this.#dropEditor();
    this.#secret = null;
    this.#parts.dialogue.logOut(why);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#restartIdle();
    for (const key of this.#filter.keys(chunk)) {
      if (this.#closed) return;
      if (this.#parts.stream.writableLength > unsentBytesMax) this.#stop?.abort();
      else if (!this.#busy) this.#key(key);
      else if (this.#stop) this.#stop.abort();
      else if (key === ctrlC) this.#ahead = [];
      else if (this.#ahead.length < typedAheadMax) this.#ahead.push(key);
    }
  };

  #write(text: string): void {
    if (!this.#closed && this.#parts.stream.writable) this.#parts.stream.write(text);
  }

  #key(key: string): void {
    if (this.#secret) this.#secretKey(this.#secret, key);
    else if (this.#editor) this.#editorKey(this.#editor, key);
  }

  #secretKey(entry: SecretEntry, key: string): void {
    const step = secretKey(entry, key);
    switch (step.step) {
      case 'more':
        this.#secret = step.entry;
        this.#write(step.show);
        return;
      case 'entered':
        this.#write('\r\n');
        this.#submit(step.text);
        return;
      case 'dismissed':
        this.#write('^C\r\n');
        this.#parts.dialogue.dismiss();
        this.#askNext();
        return;
      case 'leave':
        this.#leave('asked');
    }
  }

  #editorKey(editor: Interface, key: string): void {
    if (key === ctrlC) {
      this.#write('^C\r\n');
      this.#dropEditor();
      this.#askNext();
    } else if (key === ctrlD && editor.line === '') this.#leave('asked');
    else if (key >= ' ' && editor.line.length >= lineLengthMax && key !== backspace) this.#write(bell);
    else this.#source.feed(key);
  }

  #askNext(): void {
    if (this.#closed) return;
    const ask = this.#parts.dialogue.ask();
    if (ask.kind === 'secret') {
      this.#dropEditor();
      this.#secret = emptySecret;
      this.#write(safeLine(ask.prompt));
    } else {
      this.#secret = null;
      this.#prompt(ask);
    }
    this.#busy = false;
    const ahead = this.#ahead;
    this.#ahead = [];
    for (const key of ahead) {
      if (this.#busy) this.#ahead.push(key);
      else this.#key(key);
    }
  }

  #prompt(ask: Ask): void {
    const editor =
      this.#editor ??
      createInterface({
        input: this.#source,
        output: this.#screen,
        terminal: true,
        history: [...this.#history],
        historySize: historyLengthMax,
        removeHistoryDuplicates: true,
      });
    if (!this.#editor) {
      this.#editor = editor;
      editor.on('line', (line) => this.#submit(line));
      editor.on('history', (history) => {
        this.#history = [...history];
      });
      // Without a listener readline would stop the whole process.
      editor.on('SIGTSTP', () => undefined);
      editor.on('SIGINT', () => undefined);
    }
    editor.setPrompt(safeLine(ask.prompt));
    editor.prompt();
  }

  #dropEditor(): void {
    this.#editor?.close();
    this.#editor = null;
  }

  #submit(text: string): void {
    const login = this.#login;
    this.#secret = null;
    this.#busy = true;
    this.#run(text, login).catch((error: unknown) => {
      this.#parts.onBug(error);
      if (this.#closed || login !== this.#login) return;
      this.#stop = null;
      this.#print(refusalLines('box.failed'));
      this.#askNext();
    });
  }

  async #run(text: string, login: number): Promise<void> {
    const output: Output = {
      print: (lines) => {
        if (login === this.#login) this.#print(lines);
      },
      ready: () => this.#parts.stream.writableLength < outputWaitingMax,
      untilKey: () => {
        this.#stop ??= new AbortController();
        if (this.#closed || this.#ahead.length > 0) this.#stop.abort();
        return this.#stop.signal;
      },
    };
    const turn = await this.#parts.dialogue.enter(text, output);
    if (this.#closed || login !== this.#login) return;
    this.#stop = null;
    if (turn.ended) this.#afterLogout();
    else if (turn.penalty) {
      this.#ahead = [];
      this.#cancelPenalty = this.#parts.schedule(penaltyMs, () => {
        this.#ahead = [];
        this.#askNext();
      });
    } else this.#askNext();
  }

  #print(lines: readonly string[]): void {
    for (const line of lines) this.#write(`${safeLine(line)}\r\n`);
  }

  #leave(why: 'asked' | 'idle'): void {
    const { dialogue } = this.#parts;
    const wasIn = dialogue.loggedIn;
    dialogue.logOut(why);
    this.#write('\r\n');
    if (wasIn || why === 'idle') this.#print([say(dialogue.language, why === 'idle' ? 'session.idle' : 'session.bye')]);
    this.#afterLogout();
  }

  #afterLogout(): void {
    this.#login++;
    this.#stop?.abort();
    this.#stop = null;
    this.#cancelPenalty();
    this.#dropEditor();
    this.#secret = null;
    this.#history = [];
    this.#ahead = [];
    if (this.#parts.afterLogout === 'begin') this.begin();
    else this.#parts.stream.end();
  }

  #restartIdle(): void {
    this.#cancelIdle();
    this.#cancelIdle = this.#parts.schedule(this.#parts.idleMs, () => this.#onIdle());
  }

  #onIdle(): void {
    const { dialogue, afterLogout } = this.#parts;
    // A serial line nobody is logged in on just stays at its question.
    if (!dialogue.loggedIn && afterLogout === 'begin') return;
    this.#leave('idle');
  }
}
