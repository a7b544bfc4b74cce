/**
 * Strict CSV (RFC 4180): reading rows with their line numbers (a row that breaks the form is reported and the next one is
 * read), and writing one.
 * Must not know what the columns mean.
 */
export const cellsMax = 64;
export const cellLengthMax = 4_096;

export interface CsvRow {
  /** Line of the file where the row begins; the first is 1. */
  readonly line: number;
  readonly cells: readonly string[];
}
export interface CsvProblem {
  readonly line: number;
  readonly reason: string;
}

interface Scanned {
  readonly cells: readonly string[];
  readonly next: number;
  readonly lines: number;
  readonly problem: string | null;
}

const isBreak = (text: string, at: number): number => (text.startsWith('\r\n', at) ? 2 : text[at] === '\n' ? 1 : 0);
/** The end of the physical line, where reading goes on after a broken row. */
const afterLine = (text: string, at: number): number => {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
};

/** A quoted cell from its opening quote. `end` is behind the closing one; null: it never closes. */
function quoted(
  text: string,
  start: number,
): { readonly value: string; readonly end: number; readonly lines: number } | null {
  let value = '';
  for (let at = start + 1; ; ) {
    const quote = text.indexOf('"', at);
    if (quote < 0 || quote - start > cellLengthMax * 2) return null;
    value += text.slice(at, quote);
    if (text[quote + 1] !== '"') return { value, end: quote + 1, lines: value.split('\n').length - 1 };
    value += '"';
    at = quote + 2;
  }
}

function scanRow(text: string, start: number): Scanned {
  const cells: string[] = [];
  let lines = 0;
  const broken = (at: number, problem: string): Scanned => {
    const next = afterLine(text, at);
    return { cells, next, lines: text.slice(start, next).split('\n').length - 1, problem };
  };
  for (let at = start; ; ) {
    let value: string;
    if (text[at] === '"') {
      const cell = quoted(text, at);
      if (!cell) return broken(at, 'a quote that does not close');
      value = cell.value;
      at = cell.end;
      lines += cell.lines;
    } else {
      const from = at;
      while (at < text.length && text[at] !== ',' && isBreak(text, at) === 0) {
        if (text[at] === '"') return broken(at, 'a quote inside a cell without quotes');
        at++;
      }
      value = text.slice(from, at);
    }
    if (value.length > cellLengthMax) return broken(at, `a cell longer than ${cellLengthMax} characters`);
    if (cells.length >= cellsMax) return broken(at, `more than ${cellsMax} cells`);
    cells.push(value);
    if (text[at] === ',') {
      at++;
      continue;
    }
    const width = isBreak(text, at);
    if (width === 0 && at < text.length) return broken(at, 'something behind a closing quote');
    return { cells, next: at + width, lines: lines + (width > 0 ? 1 : 0), problem: null };
  }
}

/** Reads a whole file's text. A byte order mark at its start is skipped; empty lines are too. */
export function parseCsv(text: string): { readonly rows: readonly CsvRow[]; readonly problems: readonly CsvProblem[] } {
  const rows: CsvRow[] = [];
  const problems: CsvProblem[] = [];
  let line = 1;
  for (let at = text.startsWith('\ufeff') ? 1 : 0; at < text.length; ) {
    const row = scanRow(text, at);
    if (row.problem !== null) problems.push({ line, reason: row.problem });
    else if (row.cells.length > 1 || row.cells[0] !== '') rows.push({ line, cells: row.cells });
    at = row.next;
    line += Math.max(row.lines, 1);
  }
  return { rows, problems };
}

/** One row without its line break; cells with a comma, quote or break are quoted. */
export const csvLine = (cells: readonly (string | number)[]): string =>
  cells
    .map((cell) => {
      const text = String(cell);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    })
    .join(',');
