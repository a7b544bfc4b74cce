/**
 * Page: docs/console.md, made from the command table. Pure; scripts/docs.ts writes it.
 */
import { type CommandRow, commandTable } from './command-table.js';

const cell = (text: string): string => text.replaceAll('|', '\\|');

/** docs/console.md: how to log in, then every command. */
export function consolePage(): string {
  const commands: readonly CommandRow[] = commandTable;
  const list = commands.map((row) => `| \`${cell(`${row.name} ${row.usage}`.trim())}\` | ${row.en} | ${row.zh} |`);
  const more = commands
    .filter((row) => row.more.length > 0)
    .flatMap((row) => ['', `### ${row.name}`, '', '```text', ...row.more, '```']);
  return [
    '# Technician console 维护控制台',
    '',
    '<!-- Generated from terminal/console/command-table.ts by scripts/docs.ts. Do not edit. -->',
    '',
    'Two ways lead to the same console: a serial line (`console.serialPath`, 115200 baud, 8 data bits, no parity, 1 stop bit,',
    'any terminal program, 80 columns by 24 lines, UTF-8) and `scripts/console` on the box itself.',
    '',
    '- The first PIN is drawn when the box first starts and shown once on its start output. It must be changed at the first login.',
    '- A PIN has 6 to 12 digits, not all alike and not in a row. It is asked for, never part of a command.',
    '- After five wrong tries the console locks for 30 seconds, and twice as long with each further wrong try, up to an hour.',
    '  A restart begins a standing lock anew; setting the clock changes nothing. Only a right PIN clears the count.',
    '- A forgotten PIN: create an empty file `reset-pin` in the data folder and restart the box; a new first PIN is drawn.',
    '- Backspace, arrows, Home, End and history (up, down) work. Ctrl-C clears the line, Ctrl-D logs out.',
    '- In `scripts/console` Ctrl-] leaves at once, also when the box no longer answers.',
    '- A line has at most 256 characters. Words with blanks stand in quotes: `sale "birthday cake×1" coupon`.',
    '- Amounts are plain digits with a point: `300.00`. `1,000`, `1e3`, `-5`, `１２` and `1.005` are refused.',
    '- `--json` on a reading command prints one line of JSON with amounts in minor units.',
    '',
    'Without a terminal: `scripts/console --pin-file FILE --command "status --json"` runs one command and ends with 0, or with 1',
    'where it was refused, 2 where the PIN was, 3 where no box is running. Lines piped in are run one after the other.',
    '',
    '## Commands 命令',
    '',
    '| command | what it does | 说明 |',
    '|---|---|---|',
    ...list,
    ...more,
    '',
    '## Refusals 错误代码',
    '',
    'A refusal is shown as its code, what happened and what to do, in English and Chinese. All codes: [errors.md](errors.md).',
    '',
  ].join('\n');
}
