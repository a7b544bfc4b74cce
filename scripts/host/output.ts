/**
 * How the command line shows results: aligned tables for people, one JSON value for programs.
 * Must not talk to the host. Everything from outside passes `printable` on its way to a screen.
 */
import stringWidth from 'string-width';
import { printable } from '../../terminal/kernel/redaction.js';

export interface Output {
  /** One result. `human` is used without --json. */
  show(value: unknown, human: () => string): void;
  /** A remark that is not the result; on standard error. */
  note(text: string): void;
}

export const createOutput = (json: boolean): Output => ({
  show: (value, human) => process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${human()}\n`),
  note: (text) => process.stderr.write(`${text}\n`),
});

const cellOf = (value: unknown, lengthMax = 60): string => {
  if (value === null || value === undefined) return '-';
  return printable(typeof value === 'object' ? JSON.stringify(value) : String(value), lengthMax);
};

/** Columns by title; Chinese characters count two wide. */
export function table(rows: readonly Readonly<Record<string, unknown>>[], empty = 'none'): string {
  const [first] = rows;
  if (!first) return empty;
  const titles = Object.keys(first);
  const cells = [titles, ...rows.map((row) => titles.map((title) => cellOf(row[title])))];
  const widths = titles.map((_title, column) => Math.max(...cells.map((row) => stringWidth(row[column] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - stringWidth(cell)))
      .join('  ')
      .trimEnd();
  return cells.map(line).join('\n');
}

/** Name and value, one line each. */
export function fields(values: Readonly<Record<string, unknown>>): string {
  const width = Math.max(...Object.keys(values).map((name) => stringWidth(name)));
  return Object.entries(values)
    .map(([name, value]) => `${name}${' '.repeat(width - stringWidth(name))}  ${cellOf(value, 400)}`)
    .join('\n');
}

/** A time as people read it: local date and time to the second; `-` for none. */
export function time(wallMs: number | null): string {
  if (wallMs === null) return '-';
  const at = new Date(wallMs);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
