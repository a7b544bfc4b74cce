// Shows that a long step is alive: one line that counts the seconds on a terminal, a line every while elsewhere.
// It writes to stderr only, so that standard output stays what a script asked for.

const REDRAW_EVERY_MS = 200;
const REPEAT_EVERY_MS = 15_000;

export interface Progress {
  /** Replaces the text after the title. */
  note(text: string): void;
  /** Ends the step and leaves one line behind. */
  done(outcome: string): void;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function startProgress(title: string): Progress {
  const startedAt = performance.now();
  const isTerminal = process.stderr.isTTY === true;
  let text = '';
  const line = (): string => `${title}${text === '' ? '' : ` (${text})`}, ${seconds(performance.now() - startedAt)}`;
  const timer = setInterval(
    () => process.stderr.write(isTerminal ? `\r\u001b[K${line()}` : `${line()}\n`),
    isTerminal ? REDRAW_EVERY_MS : REPEAT_EVERY_MS,
  );
  return {
    note: (next) => {
      text = next;
    },
    done: (outcome) => {
      clearInterval(timer);
      process.stderr.write(
        `${isTerminal ? '\r\u001b[K' : ''}${title}: ${outcome}, ${seconds(performance.now() - startedAt)}\n`,
      );
    },
  };
}
