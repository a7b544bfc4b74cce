/**
 * scripts/replay: a day of real receipts through the shipped box to the host, and the reconciliation of every line.
 * Prints and sets the exit status; run.ts replays.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import cliProgress from 'cli-progress';
import { Command } from 'commander';
import { formatAmount } from '../terminal/kernel/units.js';
import { table } from './host/output.js';
import { integerBetween } from './host/parse.js';
import { PROJECT_ROOT } from './lib/source-files.js';
import type { PlayedLine } from './replay-parts/play.js';
import { type Check, summary } from './replay-parts/reconcile.js';
import { type Replay, replay } from './replay-parts/run.js';

interface Words {
  readonly file: string;
  readonly day?: string;
  readonly invoices?: number;
  readonly lines?: boolean;
  readonly json?: boolean;
}

const currency = 'GBP';
const fileDefault = path.resolve(PROJECT_ROOT, '..', 'shared', 'data', 'online-retail-2010-12_2011-02.csv.gz');

const isRight = ({ found, wanted }: Check): boolean => found === wanted;
const lineOf = ({ line, outcome, code, reference }: PlayedLine) => ({
  row: line.row,
  invoice: line.invoice,
  stockCode: line.code,
  quantity: line.quantity,
  unitPriceMinor: line.unitPriceMinor,
  customer: line.customer,
  outcome,
  code,
  reference,
});

function printJson({ date, invoices, members, day, checks }: Replay): void {
  const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
  for (const line of day.lines) say({ line: lineOf(line) });
  for (const row of summary(day.lines)) say({ summary: row });
  for (const check of checks)
    say({ check: { ...check, found: Number(check.found), wanted: Number(check.wanted), ok: isRight(check) } });
  say({ date, invoices, members, lines: day.lines.length, currency, ok: checks.every(isRight) });
}

function printText({ date, invoices, members, day, checks }: Replay, isLong: boolean): void {
  const shown = isLong ? day.lines : day.lines.filter(({ outcome }) => outcome === 'refused');
  const rows = shown.map(({ line, outcome, code, reference }) => ({
    row: line.row,
    reference,
    'stock code': line.code,
    pieces: line.quantity,
    price: formatAmount(line.unitPriceMinor, currency),
    customer: line.customer,
    outcome: code ?? outcome,
  }));
  const text = [
    `${date}: ${day.lines.length} lines of ${invoices} invoices, ${members} members, ${currency}`,
    '',
    isLong ? 'Every line:' : 'Lines refused (all lines: --lines):',
    table(rows),
    '',
    table(
      summary(day.lines).map(({ group, outcome, code, lines, worthMinor }) => ({
        lines: `${lines}`,
        group,
        outcome,
        code,
        [`worth ${currency}`]: formatAmount(worthMinor, currency),
      })),
    ),
    '',
    ...checks.map((check) => {
      const { what, found, wanted } = check;
      return `${isRight(check) ? '✓' : '✗'} ${what}: ${found}${isRight(check) ? '' : `, expected ${wanted}`}`;
    }),
    '',
    checks.every(isRight)
      ? 'Every line is accounted for; file, till, journal and host agree.'
      : `${checks.filter((check) => !isRight(check)).length} figure(s) differ.`,
  ];
  console.log(text.join('\n'));
}

async function main(): Promise<number> {
  const program = new Command('scripts/replay')
    .description(
      'Feeds a day of real receipts to a box and a host of its own as a till does, and reconciles every line.\n' +
        'Known customers are members and earn; the others buy without. A return is refunded where the same customer\n' +
        'bought the same stock code earlier that day and enough pieces are left, else the box refuses it.',
    )
    .option('--file <file>', 'the retail file, CSV or gzipped CSV', fileDefault)
    .option('--day <YYYY-MM-DD>', 'the day (default: the first of the file)')
    .option('--invoices <count>', 'only the first so many invoices', integerBetween(1, 100_000))
    .option('--lines', 'print every line, not only the refused ones')
    .option('--json', 'JSON lines: each line, summary, check, and the end; amounts in minor units')
    .addHelpText('after', '\nExit status: 0 it reconciles, 1 something differs, 2 it could not be replayed.')
    .parse();
  const words = program.opts<Words>();
  const file = path.resolve(words.file);
  if (!existsSync(file)) {
    console.log(`skipped: the retail file is not there (${path.relative(process.cwd(), file)})`);
    return process.env['CI'] === 'true' ? 1 : 0;
  }
  const bar = new cliProgress.SingleBar(
    {
      format: '{doing} [{bar}] {value}/{total}',
      stream: process.stderr,
      clearOnComplete: true,
      noTTYOutput: true,
      notTTYSchedule: 15_000,
    },
    cliProgress.Presets.legacy,
  );
  bar.start(1, 0, { doing: 'host and box' });
  let result: Replay;
  try {
    result = await replay({
      file,
      day: words.day ?? null,
      invoices: words.invoices ?? null,
      progress: (doing, done, total) => {
        bar.setTotal(total);
        bar.update(done, { doing });
      },
    });
  } finally {
    bar.stop();
  }
  if (words.json) printJson(result);
  else printText(result, words.lines ?? false);
  return result.checks.every(isRight) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`replay: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
