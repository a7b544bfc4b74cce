/**
 * Tables: rows of text as columns that fit a terminal, Chinese counted as two columns. Pure; must not know what is shown.
 */
import stringWidth from 'string-width';
import { printable } from '../kernel/redaction.js';

/** Columns of the smallest terminal a technician comes with. */
export const screenColumns = 80;
const gap = 2;

export interface Column {
  readonly title: string;
  /** Numbers stand right. */
  readonly right?: boolean;
  /** Gives way first when the row is too wide, down to this width. */
  readonly least?: number;
}

/** Cuts text to at most `columns` (≥ 1), an ellipsis in place of what is gone; control characters are made visible. */
export function fit(text: string, columns: number): string {
  const safe = printable(text, 4 * columns + 16);
  if (stringWidth(safe) <= columns) return safe;
  let cut = '';
  let width = 0;
  for (const character of safe) {
    const more = stringWidth(character);
    if (width + more > columns - 1) break;
    cut += character;
    width += more;
  }
  return `${cut}…`;
}

/** Text filled with blanks to `columns`; left or right. */
export function pad(text: string, columns: number, right = false): string {
  const blanks = ' '.repeat(Math.max(0, columns - stringWidth(text)));
  return right ? blanks + text : text + blanks;
}

function columnWidths(columns: readonly Column[], rows: readonly (readonly string[])[], total: number): number[] {
  const widths = columns.map((column, at) =>
    Math.max(stringWidth(column.title), ...rows.map((row) => stringWidth(printable(row[at] ?? '', 4 * total)))),
  );
  let over = widths.reduce((sum, width) => sum + width, 0) + gap * (columns.length - 1) - total;
  while (over > 0) {
    let widest = -1;
    columns.forEach((column, at) => {
      const spare = (widths[at] ?? 0) - (column.least ?? Number.MAX_SAFE_INTEGER);
      if (spare > 0 && (widest < 0 || (widths[at] ?? 0) > (widths[widest] ?? 0))) widest = at;
    });
    if (widest < 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
  return widths;
}

/** Lines of a table with its titles, each at most `total` columns when the columns with `least` can give way enough. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  total = screenColumns,
): string[] {
  const widths = columnWidths(columns, rows, total);
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => pad(fit(cells[at] ?? '', Math.max(1, widths[at] ?? 1)), widths[at] ?? 1, column.right))
      .join(' '.repeat(gap))
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)].map((text) => fit(text, total));
}

/** Text over at most `linesMax` lines of `columns` (≥ 2), broken at blanks where there are some; the last is cut. */
export function wrap(text: string, columns: number, linesMax: number): string[] {
  const lines: string[] = [];
  let rest = printable(text, 4 * columns * linesMax);
  while (lines.length < linesMax - 1 && stringWidth(rest) > columns) {
    let at = 0;
    let width = 0;
    let blank = 0;
    for (const character of rest) {
      width += stringWidth(character);
      if (width > columns) break;
      at += character.length;
      if (character === ' ') blank = at;
    }
    const cut = blank > 0 ? blank : at;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut);
  }
  lines.push(fit(rest, columns));
  return lines;
}
const valueLinesMax = 4;

/** Lines `label  value`, labels padded alike; a long value goes on below itself. */
export function renderPairs(
  pairs: readonly (readonly [label: string, value: string])[],
  total = screenColumns,
): string[] {
  const labelColumns = Math.max(...pairs.map(([label]) => stringWidth(label)));
  return pairs.flatMap(([label, value]) =>
    wrap(value, total - labelColumns - gap, valueLinesMax).map((text, line) =>
      `${pad(line === 0 ? label : '', labelColumns + gap)}${text}`.trimEnd(),
    ),
  );
}
