/**
 * Host commands about terminals and what they sent: enrolment, quarantine, consumption, dead letters, alarms, care.
 * Must hold no rule; the host decides.
 */
import { userInfo } from 'node:os';
import { Command } from 'commander';
import type { LedgerReport, Page } from '../../host-sync/server/host.js';
import { CommandFailure } from './admin-client.js';
import { fields, table, time } from './output.js';
import { integerBetween } from './parse.js';
import type { Tools } from './tools.js';

type Row = Readonly<Record<string, unknown>>;
const more = (page: { readonly next: string | null }): string => (page.next ? `\nmore: --cursor ${page.next}` : '');
const limitOption = ['--limit <rows>', 'at most so many rows', integerBetween(1, 1000), 100] as const;
const cursorOption = ['--cursor <cursor>', 'go on after the last page'] as const;
interface PageOptions {
  readonly limit: number;
  readonly cursor?: string;
}
/** Columns that hold times by their name are shown as times. */
const readable = (row: Row): Row =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) =>
      name.endsWith('Ms') ? [name.slice(0, -2), time(value as number | null)] : [name, value],
    ),
  );
const pageTable = (page: Page<Row>, empty: string, drop: readonly string[] = []): string =>
  table(
    page.rows.map((row) => Object.fromEntries(Object.entries(readable(row)).filter(([name]) => !drop.includes(name)))),
    empty,
  ) + more(page);

function enrolCommand({ run }: Tools): Command {
  return new Command('enrol-code')
    .description('a one-time code for a new terminal; shown once, only its hash is kept')
    .option('--name <name>', 'what the terminal is called', 'terminal')
    .option('--minutes <minutes>', 'how long it is good', integerBetween(1, 10_080), 15)
    .option('--replaces <terminalId>', 'the new box takes the place of this one, whose keys are refused from then on')
    .action((options: { name: string; minutes: number; replaces?: string }) =>
      run(async ({ call, show }) => {
        const drawn = await call<{ code: string; expiresAtMs: number }>('enrolment.draw', { ...options });
        const { authority } = await call<{ authority: string }>('status');
        const value = { code: drawn.code, expiresAtMs: drawn.expiresAtMs, authorityFingerprint: authority };
        show(value, () => fields(readable(value)));
      }),
    );
}

function terminalCommands({ run }: Tools): readonly Command[] {
  const list = new Command('terminals')
    .description('all terminals')
    .option(...limitOption)
    .option(...cursorOption)
    .action(({ limit, cursor }: PageOptions) =>
      run(async ({ call, show }) => {
        const page = await call<Page<Row>>('terminal.list', { limit, cursor: cursor ?? null });
        show(page, () => pageTable(page, 'no terminals yet: enrol-code', ['fingerprint']));
      }),
    );
  const terminal = new Command('terminal').description('hold, release or revoke one terminal');
  for (const word of ['revoke', 'quarantine'] as const) {
    terminal
      .command(`${word} <terminalId>`)
      .description(
        word === 'revoke'
          ? 'for good; what it still sends is kept, not applied'
          : 'hold it: what it sends is kept until released',
      )
      .requiredOption('--reason <reason>', 'why; shown in the list')
      .action((terminalId: string, { reason }: { reason: string }) =>
        run(async ({ call, show }) => {
          await call(`terminal.${word}`, { terminalId, reason });
          show({ terminalId, done: word }, () => `${terminalId}: ${word} done`);
        }),
      );
  }
  terminal
    .command('release <terminalId>')
    .description('apply what was held, as if it came now; what a copy of the box made becomes dead letters')
    .option('--apply-forks', 'what a copy of the box made is applied too: the sales were real')
    .action((terminalId: string, { applyForks = false }: { applyForks?: boolean }) =>
      run(async ({ call, show }) => {
        const released = await call<Row>('terminal.release', { terminalId, by: userInfo().username, applyForks });
        show(released, () => fields(released));
      }),
    );
  return [list, terminal];
}

function consumptionCommand({ run }: Tools): Command {
  const consumption = new Command('consumption').description('consumption records 消费特征信息');
  consumption
    .command('list')
    .description('records of one member, business id or terminal')
    .option('--member <code>', 'member code')
    .option('--business-id <id>', 'key id of a phone')
    .option('--terminal <terminalId>', 'terminal')
    .option(...limitOption)
    .option(...cursorOption)
    .action((options: PageOptions & { member?: string; businessId?: string; terminal?: string }) =>
      run(async ({ call, show }) => {
        const { member, businessId, terminal } = options;
        const by = member
          ? { memberCode: member }
          : businessId
            ? { businessId }
            : terminal
              ? { terminalId: terminal }
              : null;
        if (!by) throw new CommandFailure('input.malformed', 'name --member, --business-id or --terminal');
        const page = await call<Page<Row>>('consumption.list', {
          by,
          limit: options.limit,
          cursor: options.cursor ?? null,
        });
        show(page, () => pageTable(page, 'no records', ['record', 'clockDoubtful']));
      }),
    );
  consumption
    .command('months <who>')
    .description('a member’s sums per month and category')
    .action((who: string) =>
      run(async ({ call, show }) => {
        const page = await call<Page<Row>>('consumption.months', { who });
        show(page, () => pageTable(page, 'no records', ['id']));
      }),
    );
  return consumption;
}

function deadLetterCommand({ run }: Tools): Command {
  const deadLetters = new Command('dead-letters').description(
    'records that were refused for good, with their worth, until a person settles them',
  );
  deadLetters
    .command('list')
    .description('open ones; --settled: those dealt with')
    .option('--settled', 'those dealt with')
    .option(...limitOption)
    .option(...cursorOption)
    .action(({ settled, limit, cursor }: PageOptions & { settled?: boolean }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<Row>>('deadLetter.list', {
          standing: settled ? 'settled' : 'open',
          limit,
          cursor: cursor ?? null,
        });
        show(page, () => page.rows.map((row) => fields(readable(row))).join('\n\n') || 'none');
      }),
    );
  deadLetters
    .command('settle <id>')
    .description('a person has dealt with it outside the ledger')
    .requiredOption('--note <note>', 'what was done')
    .action((id: string, { note }: { note: string }) =>
      run(async ({ call, show }) => {
        await call('deadLetter.settle', { id, by: userInfo().username, note });
        show({ id, standing: 'settled' }, () => 'settled');
      }),
    );
  return deadLetters;
}

function careCommands({ run }: Tools): readonly Command[] {
  const alarms = new Command('alarms')
    .description('what should not have happened: foreign records, guessed codes, broken chains')
    .option('--terminal <terminalId>', 'of one terminal')
    .option(...limitOption)
    .option(...cursorOption)
    .action(({ terminal, limit, cursor }: PageOptions & { terminal?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<Row>>('alarm.list', {
          ...(terminal ? { terminalId: terminal } : {}),
          limit,
          cursor: cursor ?? null,
        });
        show(page, () => pageTable(page, 'no alarms', ['id']));
      }),
    );
  const status = new Command('status').description('is it running, and what waits for a person').action(() =>
    run(async ({ call, show }) => {
      const value = await call<Row>('status');
      show(value, () => fields(readable(value)));
    }),
  );
  const verify = new Command('verify')
    .description('recompute the ledger from its lines and check the database; reads everything')
    .action(() =>
      run(async ({ call, show }) => {
        const { ledger, store } = await call<{ ledger: LedgerReport; store: readonly string[] }>('verify');
        const problems = [...new Set([...ledger.problems, ...store])];
        show({ ledger, store }, () =>
          [
            fields({ entries: ledger.entries, lines: ledger.lines, accounts: ledger.accounts, ...ledger.totals }),
            ...(problems.length ? problems : ['sound']),
          ].join('\n'),
        );
        if (problems.length > 0)
          throw new CommandFailure('store.corrupt', `${problems.length} problems: stop sales and restore a backup`);
      }),
    );
  return [status, alarms, verify];
}

/** Everything of this file, for the command line's root. */
export const siteCommands = (tools: Tools): readonly Command[] => [
  ...careCommands(tools),
  enrolCommand(tools),
  ...terminalCommands(tools),
  consumptionCommand(tools),
  deadLetterCommand(tools),
];
