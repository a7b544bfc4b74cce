/**
 * Command context: what every command is given: the box, the line that it prints on, and how it refuses.
 */
import type { ErrorCode } from '../kernel/errors.js';
import type { Currency } from '../kernel/units.js';
import type { TerminalPort } from '../runtime/port.js';
import type { Language } from './grammar.js';
import { refusalLines } from './views.js';

/** Where a command prints and how a person stops it. */
export interface Output {
  print(lines: readonly string[]): void;
  /** False while the line cannot take more: what is only nice to see is then left out. */
  ready(): boolean;
  /** From now on any key (or the line's end) stops the command. */
  untilKey(): AbortSignal;
}

export interface CommandContext {
  readonly port: TerminalPort;
  readonly currency: Currency;
  readonly language: Language;
  /** Who is at the line, for the audit chain. */
  readonly actor: string;
}

/** Null: done. Else the refusal, already printed. */
export type CommandResult = ErrorCode | null;

export function refuse(output: Output, code: ErrorCode, detail = ''): ErrorCode {
  output.print(refusalLines(code, detail));
  return code;
}

/** Resolves with null when the signal says stop. */
export function aborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
