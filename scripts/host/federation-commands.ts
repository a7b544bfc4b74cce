/**
 * Host commands about merchants of one host and what they agree: arguments in, a call, a table or CSV out.
 * Must hold no rule; the host decides.
 */
import { userInfo } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import type { AgreementView, FederationStatement, Page, SettlementView } from '../../host-sync/server/host.js';
import { csvLine } from './csv.js';
import { fields, table, time } from './output.js';
import { endOfDay, integerBetween, startOfDay } from './parse.js';
import type { Session, Tools } from './tools.js';

const limitOption = ['--limit <rows>', 'at most so many rows', integerBetween(1, 1000), 100] as const;
const cursorOption = ['--cursor <cursor>', 'go on after the last page'] as const;
const personOption = ['--person <name>', 'who does it, as the host keeps it', userInfo().username] as const;
const more = (page: { readonly next: string | null }): string => (page.next ? `\nmore: --cursor ${page.next}` : '');
/** The end of a day as the first moment that is not in it. */
const throughDay = (text: string): number => endOfDay(text) + 1_000;
const untilMoment = (text: string): number => (text === 'now' ? Date.now() : throughDay(text));

const ratePartMax = 1_000_000;
/** `3:2`: so many of the issuer's points for so many of the acceptor's. */
function rateOf(text: string): { readonly issuerPoints: number; readonly acceptorPoints: number } {
  const [issuerPoints = 0, acceptorPoints = 0] = /^[0-9]{1,7}:[0-9]{1,7}$/.test(text)
    ? text.split(':').map(Number)
    : [];
  const isPart = (part: number): boolean => part >= 1 && part <= ratePartMax;
  if (!isPart(issuerPoints) || !isPart(acceptorPoints))
    throw new InvalidArgumentError(`two whole numbers from 1 to ${ratePartMax}, like 3:2`);
  return { issuerPoints, acceptorPoints };
}

/** `merchants add|list|assign` */
export function merchantsCommand({ run }: Tools): Command {
  const merchants = new Command('merchants').description('merchants 商户 that this host serves, its own first');
  merchants
    .command('add <id>')
    .description(
      'a merchant with members, points and a registration key of its own; the id has 1 to 16 letters and digits',
    )
    .requiredOption('--name <name>', 'as receipts and members’ pages show it')
    .requiredOption('--location <location>', 'where it is')
    .action((id: string, options: { name: string; location: string }) =>
      run(async ({ call, show }) => {
        const added = await call('merchant.add', { id, ...options });
        show(added, () => `merchant ${id} is served; its terminals: merchants assign <terminalId> ${id}`);
      }),
    );
  merchants
    .command('list')
    .description('all merchants')
    .action(() =>
      run(async ({ call, show }) => {
        const rows = await call<{ id: string; name: string; location: string }[]>('merchant.list');
        show(rows, () => table(rows));
      }),
    );
  merchants
    .command('assign <terminalId> <merchant>')
    .description('put a terminal that has sold nothing yet on a merchant’s counter')
    .action((terminalId: string, merchant: string) =>
      run(async ({ call, show }) => {
        await call('merchant.assign', { terminalId, merchant });
        show({ terminalId, merchant }, () => `${terminalId} sells for ${merchant}`);
      }),
    );
  return merchants;
}

const agreementRow = (row: AgreementView) => ({
  agreement: `${row.issuer} at ${row.acceptor}`,
  version: row.version,
  rate: `${row.issuerPoints}:${row.acceptorPoints}`,
  from: time(row.validFromMs),
  until: time(row.validToMs),
  'a day': row.dailyPointsMax,
  state: row.isInForce ? 'in force' : row.state,
  'offered by': `${row.offeredBy} (${row.persons.offered})`,
  confirmed: row.persons.confirmed,
  ended: row.persons.ended,
});

interface OfferOptions {
  readonly rate: ReturnType<typeof rateOf>;
  readonly by: string;
  readonly from?: number;
  readonly until?: number;
  readonly dailyMax?: number;
  readonly person: string;
}

function agreementCommands(federation: Command, { run }: Tools): void {
  federation
    .command('offer <issuer> <acceptor>')
    .description('offer that points of <issuer> pay at <acceptor>; the other of the two confirms')
    .requiredOption('--rate <rate>', 'so many points of the issuer for so many of the acceptor, like 3:2', rateOf)
    .requiredOption('--by <merchant>', 'which of the two offers')
    .option('--from <date>', 'its first day; default: from its confirmation', startOfDay)
    .option('--until <date>', 'its last day; default: until it is ended', throughDay)
    .option(
      '--daily-max <points>',
      'most points of the acceptor that it pays on one day',
      integerBetween(1, 999_999_999_999),
    )
    .option(...personOption)
    .action((issuer: string, acceptor: string, options: OfferOptions) =>
      run(async ({ call, show }) => {
        const made = await call<AgreementView>('federation.offer', {
          ...{ issuer, acceptor, ...options.rate, offeredBy: options.by, person: options.person },
          ...{ validFromMs: options.from ?? null, validToMs: options.until ?? null },
          dailyPointsMax: options.dailyMax ?? null,
        });
        const other = options.by === issuer ? acceptor : issuer;
        show(
          made,
          () =>
            `offered as version ${made.version}: federation confirm ${issuer} ${acceptor} ${made.version} --by ${other}`,
        );
      }),
    );
  for (const [name, description, said] of [
    ['confirm', 'the other merchant agrees: its points pay from then on', 'is confirmed'],
    ['end', 'either merchant ends it at once; what stands open stays due', 'has ended'],
  ] as const)
    federation
      .command(`${name} <issuer> <acceptor> <version>`)
      .description(description)
      .requiredOption('--by <merchant>', 'which of the two')
      .option(...personOption)
      .action((issuer: string, acceptor: string, version: string, { by, person }: { by: string; person: string }) =>
        run(async ({ call, show }) => {
          const act = { issuer, acceptor, version: integerBetween(1, 999_999)(version), by, person };
          const row = await call<AgreementView>(`federation.${name}`, act);
          show(row, () => `version ${row.version} of ${issuer} at ${acceptor} ${said}`);
        }),
      );
  federation
    .command('list')
    .description('all agreements with their versions')
    .option(...limitOption)
    .option(...cursorOption)
    .action(({ limit, cursor }: { limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<AgreementView>>('federation.list', { limit, cursor: cursor ?? null });
        show(page, () => table(page.rows.map(agreementRow), 'no agreements yet: federation offer') + more(page));
      }),
    );
}

/** `CAFE pays SHOULI 12 points` */
const payment = ({ first, second, firstPays }: SettlementView): string =>
  firstPays === 0
    ? 'nobody pays'
    : `${firstPays > 0 ? first : second} pays ${firstPays > 0 ? second : first} ${Math.abs(firstPays)} points`;

function settlementCommands(federation: Command, { run }: Tools): void {
  federation
    .command('settle <merchant> <partner>')
    .description(
      'settle all that stands open between two merchants, both ways, once; the same day again shows it again',
    )
    .requiredOption('--until <date>', 'through this day, or "now"', untilMoment)
    .option(...personOption)
    .action((one: string, other: string, { until, person }: { until: number; person: string }) =>
      run(async ({ call, show }) => {
        const made = await call<SettlementView>('federation.settle', { one, other, untilMs: until, person });
        show(
          made,
          () =>
            `settled from ${time(made.fromMs)} until ${time(made.untilMs)}: ${made.first} owes ${made.firstOwes}, ${made.second} owes ${made.secondOwes}; ${payment(made)}`,
        );
      }),
    );
  federation
    .command('settlements <merchant> <partner>')
    .description('settlements between two merchants, the newest first')
    .option(...limitOption)
    .option(...cursorOption)
    .action((one: string, other: string, { limit, cursor }: { limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const query = { one, other, limit, cursor: cursor ?? null };
        const page = await call<Page<SettlementView>>('federation.settlements', query);
        const rows = page.rows.map((row) => ({
          from: time(row.fromMs),
          until: time(row.untilMs),
          [`${row.first} owes`]: row.firstOwes,
          [`${row.second} owes`]: row.secondOwes,
          result: payment(row),
          by: row.settledBy,
        }));
        show(page, () => table(rows, 'nothing is settled yet: federation settle') + more(page));
      }),
    );
}

const lineOf = (row: FederationStatement['rows'][number]) => ({
  time: time(row.atMs),
  transaction: row.sale,
  cause: row.cause,
  'points of': row.issuer,
  taken: row.issuerPoints,
  pay: row.acceptorPoints,
  agreement: row.agreement,
  change: row.change,
  balance: row.balance,
});

function statementText(page: FederationStatement): string {
  const { merchant, partner } = page;
  const head = fields({
    'statement of': `${merchant} with ${partner}`,
    from: time(page.fromMs),
    until: time(page.untilMs),
    'opening (owed to it)': page.opening,
    [`paid here by points of ${partner}`]: `${page.claims} (for ${page.partnerPointsTaken} of ${partner})`,
    [`paid there by points of ${merchant}`]: `${page.debts} (for ${page.ownPointsTaken} of ${merchant})`,
    settled: page.settled,
    'closing (owed to it)': page.closing,
    settlement: page.settlement ? `${time(page.settlement.untilMs)}: ${payment(page.settlement)}` : null,
  });
  return `${head}\n\n${table(page.rows.map(lineOf), 'no points were shared in this time')}${more(page)}`;
}

interface StatementOptions {
  readonly from?: number;
  readonly until?: number;
  readonly csv?: boolean;
  readonly limit: number;
  readonly cursor?: string;
}

/** The whole period as CSV, a page at a time: an opening line, every line, a closing line. */
async function writeCsv({ call, show }: Session, query: Readonly<Record<string, unknown>>): Promise<void> {
  const columns = ['time', 'transaction', 'cause', 'issuer', 'agreement', 'issuerPoints', 'acceptorPoints', 'change'];
  const instant = (atMs: number): string => new Date(atMs).toISOString();
  for (let cursor: string | null = null, isFirst = true; ; isFirst = false) {
    const page: FederationStatement = await call('federation.statement', { ...query, limit: 1_000, cursor });
    const bare = (atMs: number, cause: string, change: number, balance: number): string =>
      csvLine([instant(atMs), '', cause, '', '', '', '', change, balance]);
    const lines = page.rows.map((row) =>
      csvLine([
        ...[instant(row.atMs), row.sale, row.cause, row.issuer, row.agreement, row.issuerPoints, row.acceptorPoints],
        ...[row.change, row.balance],
      ]),
    );
    if (isFirst) lines.unshift(csvLine([...columns, 'balance']), bare(page.fromMs, 'opening', 0, page.opening));
    if (page.next === null)
      lines.push(
        bare(page.untilMs, 'settled', -page.settled, page.closing),
        bare(page.untilMs, 'closing', 0, page.closing),
      );
    if (lines.length > 0) show(page, () => lines.join('\n'));
    if (page.next === null) return;
    cursor = page.next;
    // Later pages tell the period of the first, also where it ends now.
    query = { ...query, fromMs: page.fromMs, untilMs: page.untilMs };
  }
}

/** `federation offer|confirm|end|list|settle|settlements|statement` */
export function federationCommand(tools: Tools): Command {
  const federation = new Command('federation').description(
    'merchants of this host that share points 积分通用: agreements, settlements, statements',
  );
  agreementCommands(federation, tools);
  settlementCommands(federation, tools);
  federation
    .command('statement <merchant> <partner>')
    .description(
      'what the two owe each other, as <merchant> sees it; points are those of the merchant that took them in',
    )
    .option('--from <date>', 'its first day; default: since the last settlement', startOfDay)
    .option('--until <date>', 'its last day; default: until now', throughDay)
    .option('--csv', 'the whole period as CSV')
    .option(...limitOption)
    .option(...cursorOption)
    .action((merchant: string, partner: string, { from, until, csv, limit, cursor }: StatementOptions) =>
      tools.run(async (session) => {
        const query = { merchant, partner, fromMs: from ?? null, untilMs: until ?? null };
        if (csv) return writeCsv(session, query);
        const page = await session.call<FederationStatement>('federation.statement', {
          ...query,
          ...{ limit, cursor: cursor ?? null },
        });
        session.show(page, () => statementText(page));
      }),
    );
  return federation;
}
