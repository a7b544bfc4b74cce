/**
 * Dialogue: what the console asks and how it takes each answer, from the PIN to the last command, on any kind of line.
 * Must not know keys, echo or sockets; a PIN passes through it and is never printed.
 */
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import type { Currency } from '../kernel/units.js';
import type { TerminalPort } from '../runtime/port.js';
import type { Output } from './command-context.js';
import { runCommand } from './commands.js';
import { type Language, parseLine } from './grammar.js';
import { isWeakPin, type Login } from './login.js';
import { say } from './texts.js';
import { durationText, refusalLines } from './views.js';

export const languageSetting = 'console.language';

/** What is wanted next. A secret is neither echoed nor remembered. */
export interface Ask {
  readonly kind: 'secret' | 'command';
  readonly prompt: string;
}

export interface Turn {
  /** Null: done; else the refusal that was printed. */
  readonly code: ErrorCode | null;
  /** The technician logged out. */
  readonly ended: boolean;
  /** A wrong PIN: the line pauses and forgets what was typed ahead. */
  readonly penalty: boolean;
}

export interface DialogueParts {
  readonly port: TerminalPort;
  readonly login: Login;
  readonly currency: () => Currency;
  readonly languageDefault: Language;
  readonly where: 'serial' | 'socket';
}

type State =
  | { readonly at: 'login' }
  | { readonly at: 'currentPin' }
  /** `current` is held only until the new one is set. */
  | { readonly at: 'newPin'; readonly current: string; readonly forced: boolean }
  | { readonly at: 'newPinAgain'; readonly current: string; readonly next: string; readonly forced: boolean }
  | { readonly at: 'ready' };

const done: Turn = { code: null, ended: false, penalty: false };

export class Dialogue {
  readonly #parts: DialogueParts;
  #state: State = { at: 'login' };
  #language: Language;

  constructor(parts: DialogueParts) {
    this.#parts = parts;
    const stored = parts.port.setting(languageSetting);
    this.#language = stored === 'en' || stored === 'zh' ? stored : parts.languageDefault;
  }

  get language(): Language {
    return this.#language;
  }
  get loggedIn(): boolean {
    return this.#state.at !== 'login';
  }
  get actor(): string {
    return `console:${this.#parts.where}`;
  }

  greeting(): readonly string[] {
    const { version, simulated } = this.#parts.port.status();
    return [
      `Shouli ${printable(version, 20)}  ${this.#boxName()}${simulated ? `  ${say(this.#language, 'simulated')}` : ''}`,
    ];
  }

  ask(): Ask {
    const language = this.#language;
    switch (this.#state.at) {
      case 'login':
        return { kind: 'secret', prompt: say(language, 'pin.ask') };
      case 'currentPin':
        return { kind: 'secret', prompt: say(language, 'pin.askCurrent') };
      case 'newPin':
        return { kind: 'secret', prompt: say(language, 'pin.askNew') };
      case 'newPinAgain':
        return { kind: 'secret', prompt: say(language, 'pin.askAgain') };
      case 'ready':
        return { kind: 'command', prompt: `${this.#boxName()}> ` };
    }
  }

  /** Takes the answer to `ask()`. Operational failures are printed; anything else thrown is a bug. */
  async enter(text: string, output: Output): Promise<Turn> {
    try {
      const state = this.#state;
      switch (state.at) {
        case 'login':
        case 'currentPin':
          return await this.#enterPin(text, state.at, output);
        case 'newPin':
          return this.#enterNewPin(text, state, output);
        case 'newPinAgain':
          return await this.#enterNewPinAgain(text, state, output);
        case 'ready':
          return await this.#enterCommand(text, output);
      }
    } catch (error) {
      if (!(error instanceof TerminalError)) throw error;
      output.print(refusalLines(error.code, error.detail));
      return { ...done, code: error.code };
    }
  }

  /** Ctrl-C at a question: back to the prompt, or to the log-in where the change of the first PIN is due. */
  dismiss(): void {
    const state = this.#state;
    if (state.at === 'currentPin') this.#state = { at: 'ready' };
    else if (state.at === 'newPin' || state.at === 'newPinAgain')
      this.#state = state.forced ? { at: 'login' } : { at: 'ready' };
  }

  /** Ends the log-in, whatever is being asked. `why` goes to the audit chain; storage trouble does not keep anyone in. */
  logOut(why: 'asked' | 'idle' | 'lineLost' | 'closing'): void {
    const was = this.loggedIn;
    this.#state = { at: 'login' };
    if (!was) return;
    try {
      this.#parts.port.recordAudit(this.actor, 'console.logout', why);
    } catch (error) {
      if (!(error instanceof TerminalError)) throw error;
    }
  }

  #boxName(): string {
    return printable(this.#parts.port.status().terminalId ?? 'shouli', 32);
  }

  #refuse(output: Output, code: ErrorCode, detail = ''): Turn {
    output.print(refusalLines(code, detail));
    return { ...done, code };
  }

  async #enterPin(pin: string, at: 'login' | 'currentPin', output: Output): Promise<Turn> {
    if (pin === '') return done;
    const answer = await this.#parts.login.attempt(pin, this.actor);
    if (answer.result === 'refused') {
      this.#state = at === 'login' ? { at: 'login' } : { at: 'ready' };
      const detail = answer.code === 'access.locked' ? durationText(answer.remainingMs + 999) : '';
      return { ...this.#refuse(output, answer.code, detail), penalty: true };
    }
    if (at === 'currentPin') this.#state = { at: 'newPin', current: pin, forced: false };
    else if (answer.mustChange) {
      this.#state = { at: 'newPin', current: pin, forced: true };
      return this.#refuse(output, 'access.pinMustChange');
    } else {
      this.#state = { at: 'ready' };
      output.print([say(this.#language, 'session.welcome')]);
    }
    return done;
  }

  #enterNewPin(next: string, state: Extract<State, { at: 'newPin' }>, output: Output): Turn {
    if (isWeakPin(next) || next === state.current) return this.#refuse(output, 'access.pinWeak');
    this.#state = { at: 'newPinAgain', current: state.current, next, forced: state.forced };
    return done;
  }

  async #enterNewPinAgain(again: string, state: Extract<State, { at: 'newPinAgain' }>, output: Output): Promise<Turn> {
    if (again !== state.next) {
      this.#state = { at: 'newPin', current: state.current, forced: state.forced };
      output.print([say(this.#language, 'pin.differ')]);
      return { ...done, code: 'input.malformed' };
    }
    const refused = await this.#parts.login.change(state.current, state.next, this.actor);
    if (refused) return this.#refuse(output, refused);
    this.#state = { at: 'ready' };
    output.print([say(this.#language, 'pin.changed')]);
    return done;
  }

  async #enterCommand(line: string, output: Output): Promise<Turn> {
    const { port } = this.#parts;
    const currency = this.#parts.currency();
    const parsed = parseLine(line, currency);
    if (!parsed.ok) return this.#refuse(output, parsed.error.code, parsed.error.detail);
    const command = parsed.value;
    if (!command) return done;
    switch (command.name) {
      case 'logout':
        this.logOut('asked');
        output.print([say(this.#language, 'session.bye')]);
        return { ...done, ended: true };
      case 'set-pin':
        this.#state = { at: 'currentPin' };
        return done;
      case 'language':
        this.#language = command.language;
        port.setSetting(languageSetting, command.language);
        output.print([say(this.#language, 'language.set')]);
        return done;
      default: {
        const context = { port, currency, language: this.#language, actor: this.actor };
        return { ...done, code: await runCommand(command, context, output) };
      }
    }
  }
}
