/**
 * Help: the command table as text for the screen. Pure.
 */
import { type CommandRow, commandTable } from './command-table.js';
import { fit, pad, screenColumns } from './table.js';

const nameColumns = 10;
const englishColumns = 41;

/** The list of all commands, or one in full. Lines of at most 80 columns. */
export function helpLines(topic: string | null): string[] {
  const row: CommandRow | undefined = commandTable.find((candidate) => candidate.name === topic);
  if (!row)
    return commandTable.map(({ name, en, zh }) =>
      fit(`${pad(name, nameColumns)}${pad(en, englishColumns)}${zh}`, screenColumns),
    );
  return [
    `${row.name} ${row.usage}`.trim(),
    `  ${row.en}`,
    `  ${row.zh}`,
    ...row.more.map((line) => `  ${line}`),
  ].flatMap(wrap);
}

function wrap(line: string): string[] {
  if (line.length <= screenColumns) return [line];
  const at = line.lastIndexOf(' ', screenColumns - 1);
  return at < 10 ? [line] : [line.slice(0, at), ...wrap(`      ${line.slice(at + 1)}`)];
}
