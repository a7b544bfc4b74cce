/**
 * Host commands about the shop: catalogue, rules, policy and the merchant's name.
 * Must hold no rule; the host decides.
 */
import { readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import cliProgress from 'cli-progress';
import { Command, Option } from 'commander';
import type { Product, Rules } from '../../host-sync/protocol/sync.js';
import type { Policy, Tier } from '../../host-sync/server/host.js';
import type { Currency } from '../../terminal/kernel/units.js';
import { formatAmount } from '../../terminal/kernel/units.js';
import { CommandFailure } from './admin-client.js';
import { type CatalogueFile, readCatalogue } from './catalogue-file.js';
import { fields, table } from './output.js';
import { amountOf, currencyOf, integerBetween } from './parse.js';
import type { Session, Tools } from './tools.js';

const fileBytesMax = 256 * 1024 * 1024;
const rowsPerCall = 1_000;
/** Bad rows printed for people; --json gives all of them. */
const problemsShownMax = 200;

const yesNo = (flag: string, help: string): Option => new Option(`${flag} <yes|no>`, help).choices(['yes', 'no']);

function readText(file: string): string {
  const sizeBytes = statSync(file, { throwIfNoEntry: false })?.size;
  if (sizeBytes === undefined) throw new CommandFailure('input.malformed', `there is no file ${file}`);
  if (sizeBytes > fileBytesMax)
    throw new CommandFailure('input.tooLong', `${file} is larger than ${fileBytesMax} bytes`);
  const bytes = readFileSync(file);
  try {
    const plain = file.endsWith('.gz') ? gunzipSync(bytes, { maxOutputLength: fileBytesMax }) : bytes;
    return new TextDecoder('utf-8', { fatal: true }).decode(plain);
  } catch {
    throw new CommandFailure(
      'input.malformed',
      `${file} is not UTF-8 text${file.endsWith('.gz') ? ' compressed with gzip' : ''}`,
    );
  }
}

interface ImportOptions {
  readonly currency: string;
  readonly category: string;
  readonly strict?: boolean;
  readonly dryRun?: boolean;
}

async function upload(
  { call }: Session,
  file: CatalogueFile,
  currency: Currency,
): Promise<{ version: number; changed: number }> {
  const { id } = await call<{ id: string }>('catalogue.begin', { currency });
  const bar = new cliProgress.SingleBar(
    {
      format: 'catalogue [{bar}] {value}/{total} products',
      stream: process.stderr,
      clearOnComplete: true,
      noTTYOutput: true,
      notTTYSchedule: 15_000,
    },
    cliProgress.Presets.legacy,
  );
  bar.start(file.products.length, 0);
  try {
    for (let at = 0; at < file.products.length; at += rowsPerCall) {
      const rows = file.products.slice(at, at + rowsPerCall);
      await call('catalogue.add', { id, rows });
      bar.update(at + rows.length);
    }
    return await call('catalogue.commit', { id });
  } finally {
    bar.stop();
  }
}

async function importCatalogue(session: Session, path: string, options: ImportOptions): Promise<void> {
  const currency = currencyOf(options.currency);
  const file = readCatalogue(readText(path), { currency, category: options.category });
  for (const { line, reason } of file.problems.slice(0, problemsShownMax)) session.note(`line ${line}: ${reason}`);
  if (file.problems.length > problemsShownMax)
    session.note(`… and ${file.problems.length - problemsShownMax} more (all with --json)`);
  if (file.products.length === 0)
    throw new CommandFailure('input.malformed', `${path} holds no product: ${file.problems[0]?.reason ?? 'no rows'}`);
  if (options.strict && file.problems.length > 0)
    throw new CommandFailure('input.malformed', `${file.problems.length} bad rows, nothing imported (--strict)`);
  const counts = {
    rows: file.rows,
    products: file.products.length,
    badRows: file.problems.length,
    repriced: file.repriced,
  };
  const published = options.dryRun ? null : await upload(session, file, currency);
  const result = { ...counts, version: published?.version ?? null, changed: published?.changed ?? null };
  session.show({ ...result, problems: file.problems }, () => fields(result));
}

function catalogueCommand({ run }: Tools): Command {
  const catalogue = new Command('catalogue').description('products and prices');
  catalogue
    .command('import <file>')
    .description(
      'replace the catalogue by a CSV file (also .csv.gz): code, name, price, category by header; receipts (StockCode, Description, UnitPrice) too',
    )
    .option('--currency <currency>', 'currency of the prices', currencyOf, 'CNY')
    .option('--category <category>', 'category of products without one', 'retail')
    .option('--strict', 'import nothing when a row is bad')
    .option('--dry-run', 'read and report only')
    .action((file: string, options: ImportOptions) => run((session) => importCatalogue(session, file, options)));
  catalogue
    .command('show <code>')
    .description('one product')
    .action((code: string) =>
      run(async ({ call, show }) => {
        const product = await call<Product>('catalogue.product', { code });
        show(product, () => fields({ ...product }));
      }),
    );
  return catalogue;
}

interface RulesShown {
  readonly rules: Rules | null;
  readonly policy: Policy;
  readonly tiers: readonly Tier[];
}

function showRules({ rules, policy, tiers }: RulesShown): string {
  const earn =
    rules &&
    `${rules.earnPoints} points per ${formatAmount(rules.earnPerMinor, rules.currency)} ${rules.currency}, rounded down`;
  const spend =
    rules && `${rules.spendPerPoints} points pay ${formatAmount(rules.spendMinor, rules.currency)} ${rules.currency}`;
  const lines = rules
    ? fields({ version: rules.version, earn, spend, couponPartial: rules.couponPartial })
    : 'no rules yet: rules set';
  return [lines, fields({ ...policy }), table(tiers.map((tier) => ({ ...tier })))].join('\n\n');
}

interface RulesOptions {
  readonly currency?: Currency;
  readonly earn?: number;
  readonly per?: string;
  readonly spend?: number;
  readonly pays?: string;
  readonly partial?: string;
}

async function setRules({ call, show }: Session, options: RulesOptions): Promise<void> {
  const { rules: current } = await call<RulesShown>('rules.show');
  const currency = options.currency ?? current?.currency ?? 'CNY';
  const isNewCurrency = current !== null && current.currency !== currency;
  if (isNewCurrency && !(options.per && options.pays))
    throw new CommandFailure('input.malformed', 'another currency needs --per and --pays in it');
  const known = current ?? {
    earnPoints: 1,
    earnPerMinor: 100,
    spendMinor: 100,
    spendPerPoints: 100,
    couponPartial: false,
  };
  const published = await call<Rules>('rules.set', {
    currency,
    earnPoints: options.earn ?? known.earnPoints,
    earnPerMinor: options.per ? amountOf(options.per, currency) : known.earnPerMinor,
    spendPerPoints: options.spend ?? known.spendPerPoints,
    spendMinor: options.pays ? amountOf(options.pays, currency) : known.spendMinor,
    couponPartial: options.partial === undefined ? known.couponPartial : options.partial === 'yes',
  });
  show(published, () => `rules version ${published.version} are in force`);
}

function rulesCommand({ run }: Tools): Command {
  const rules = new Command('rules').description('how points are earned and what they pay');
  rules
    .command('show')
    .description('rules, policy and tiers')
    .action(() =>
      run(async ({ call, show }) => {
        const shown = await call<RulesShown>('rules.show');
        show(shown, () => showRules(shown));
      }),
    );
  rules
    .command('set')
    .description('publish the next version; what is not named stays')
    .option('--currency <currency>', 'ISO 4217 letters', currencyOf)
    .option('--earn <points>', 'so many points …', integerBetween(0, 1_000_000))
    .option('--per <amount>', '… per this amount, like 1.00')
    .option('--spend <points>', 'so many points …', integerBetween(1, 1_000_000))
    .option('--pays <amount>', '… pay this amount, like 1.00')
    .addOption(yesNo('--partial', 'may a coupon pay a part when its balance is below the price?'))
    .action((options: RulesOptions) => run((session) => setRules(session, options)));
  return rules;
}

interface PolicyOptions {
  readonly siteKeyOnBoxes?: string;
  readonly passesSpend?: string;
  readonly tagsSpend?: string;
  readonly phoneEarns?: string;
  readonly screenCodeSpends?: string;
  readonly reservationSeconds?: number;
  readonly typedPointsMax?: number;
  readonly topUpMax?: string;
  readonly topUpBalanceMax?: string;
  readonly credentialDays?: number;
}

function policyCommand({ run }: Tools): Command {
  return new Command('policy')
    .description('what the merchant chooses besides the rules')
    .addOption(
      yesNo('--site-key-on-boxes', 'do boxes enrolled from now on get the key to take card-held coupons offline?'),
    )
    .addOption(yesNo('--screen-code-spends', 'may a rotating code from the member’s page pay, or only earn?'))
    .option(
      '--reservation-seconds <seconds>',
      'how long a reservation waits for its completion',
      integerBetween(10, 86_400),
    )
    .option('--typed-points-max <points>', 'most points that a clerk may type', integerBetween(0, 1_000_000_000))
    .option('--top-up-max <amount>', 'most that one top-up pays in, like 1000.00; 0: there are none')
    .option('--top-up-balance-max <amount>', 'most that a coupon may hold behind a top-up')
    .option(
      '--credential-days <days>',
      "how long the credential of a member's phone counts at boxes without the host; it travels with content packages and is renewed when a third is left; 0: none",
      integerBetween(0, 90),
    )
    .addOption(yesNo('--passes-spend', 'may a pass in a phone wallet spend points and coupons, with the host asked?'))
    .addOption(yesNo('--tags-spend', 'may a secure tag spend points and coupons, with the host asked?'))
    .addOption(yesNo('--phone-earns', 'does a phone number typed at the counter earn points? It never spends'))
    .action((options: PolicyOptions) =>
      run(async ({ call, show }) => {
        const { rules } = await call<RulesShown>('rules.show');
        const minor = (text: string): number => amountOf(text, rules?.currency ?? 'CNY');
        const policy = await call<Policy>('policy.set', {
          ...(options.topUpMax === undefined ? {} : { topUpMaxMinor: minor(options.topUpMax) }),
          ...(options.topUpBalanceMax === undefined ? {} : { topUpBalanceMaxMinor: minor(options.topUpBalanceMax) }),
          ...(options.siteKeyOnBoxes === undefined ? {} : { siteKeyOnBoxes: options.siteKeyOnBoxes === 'yes' }),
          ...(options.screenCodeSpends === undefined ? {} : { screenCodeSpends: options.screenCodeSpends === 'yes' }),
          ...(options.passesSpend === undefined ? {} : { passesSpend: options.passesSpend === 'yes' }),
          ...(options.tagsSpend === undefined ? {} : { tagsSpend: options.tagsSpend === 'yes' }),
          ...(options.phoneEarns === undefined ? {} : { phoneEarns: options.phoneEarns === 'yes' }),
          ...(options.reservationSeconds === undefined ? {} : { reservationMs: options.reservationSeconds * 1000 }),
          ...(options.credentialDays === undefined ? {} : { credentialDays: options.credentialDays }),
          ...(options.typedPointsMax === undefined ? {} : { typedPointsMax: options.typedPointsMax }),
        });
        show(policy, () => fields({ ...policy }));
      }),
    );
}

interface BoxesOptions {
  readonly receiptHead?: string[];
  readonly receiptFoot?: string[];
  readonly tapSeconds?: number;
  readonly category?: string;
  readonly reset?: boolean;
}

function boxesCommand({ run }: Tools): Command {
  return new Command('boxes')
    .description('what all boxes are told: receipt lines, waiting time, category; without options: as it is')
    .option('--receipt-head <lines...>', 'at most 4 lines under the merchant’s name; "" for none')
    .option('--receipt-foot <lines...>', 'at most 4 lines at the end of a receipt; "" for none')
    .option('--tap-seconds <seconds>', 'how long a sale waits for a tap', integerBetween(1, 600))
    .option('--category <category>', 'consumption category of what no product names')
    .option('--reset', 'all as each box is configured')
    .action((options: BoxesOptions) =>
      run(async ({ call, show }) => {
        const lines = (given: string[] | undefined) => given?.filter((line) => line !== '');
        const change = options.reset
          ? { receiptHead: null, receiptFoot: null, credentialTimeoutMs: null, category: null }
          : Object.fromEntries(
              Object.entries({
                receiptHead: lines(options.receiptHead),
                receiptFoot: lines(options.receiptFoot),
                credentialTimeoutMs: options.tapSeconds === undefined ? undefined : options.tapSeconds * 1_000,
                category: options.category,
              }).filter(([, value]) => value !== undefined),
            );
        const isChange = Object.keys(change).length > 0;
        const told = await call<Readonly<Record<string, unknown>>>(isChange ? 'boxes.set' : 'boxes.show', change);
        show(told, () => (Object.keys(told).length > 0 ? fields(told) : 'nothing: each box is as it is configured'));
      }),
    );
}

/** `catalogue`, `rules`, `policy`, `boxes` and `merchant`. */
export function shopCommands(tools: Tools): readonly Command[] {
  const merchant = new Command('merchant')
    .arguments('<name> <location>')
    .description('name and place of the merchant, as boxes and receipts show them')
    .action((name: string, location: string) =>
      tools.run(async ({ call, show }) => {
        await call('merchant.set', { merchant: name, location });
        show({ merchant: name, location }, () => `${name}, ${location}`);
      }),
    );
  return [catalogueCommand(tools), rulesCommand(tools), policyCommand(tools), boxesCommand(tools), merchant];
}
