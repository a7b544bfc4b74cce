/**
 * Host commands about members and their coupons: arguments in, a call, a table out.
 * Must hold no rule; the host decides.
 */
import { Command, Option } from 'commander';
import type { CouponView, MemberView, Page, StatementLine } from '../../host-sync/server/host.js';
import { formatAmount } from '../../terminal/kernel/units.js';
import { fields, table, time } from './output.js';
import { amountOf, currencyOf, endOfDay, integerBetween } from './parse.js';
import { addPhoneCommands, addTakeOver } from './phone-commands.js';
import type { Tools } from './tools.js';

const limitOption = ['--limit <rows>', 'at most so many rows', integerBetween(1, 1000), 100] as const;
const merchantOption = ['--merchant <id>', 'of this merchant; default: the host’s own'] as const;
const more = (page: { readonly next: string | null }): string => (page.next ? `\nmore: --cursor ${page.next}` : '');

function showMember(member: MemberView): string {
  const { keys, registeredAtMs, ...rest } = member;
  const rows = keys.map((key) => ({
    key: key.keyId,
    kind: key.kind,
    state: key.state,
    registered: time(key.registeredAtMs),
  }));
  return `${fields({ ...rest, registered: time(registeredAtMs) })}\n\n${table(rows, 'no phone is registered')}`;
}

const statementTable = (page: Page<StatementLine>): string =>
  table(
    page.rows.map(({ atMs, cause, change, balanceAfter, record, partner }) => ({
      time: time(atMs),
      cause: partner === null ? cause : `${cause} at ${partner}`,
      change,
      balance: balanceAfter,
      record,
    })),
  ) + more(page);

/** `member register|enlist|list|show|statement|pass|tag|block|unblock|lost|refresh|package|erase` */
export function memberCommand({ run }: Tools): Command {
  const member = new Command('member').description('members 会员 and their phones');
  member
    .command('register <phone>')
    .description('send the registration message; the phone’s answer binds its key')
    .requiredOption('--name <name>', 'the member’s name')
    .option(...merchantOption)
    .action((phone: string, { name, merchant }: { name: string; merchant?: string }) =>
      run(async ({ call, show }) => {
        const sent = await call<{ messageId: string; expiresAtMs: number }>('member.register', {
          ...{ phone, name, merchant: merchant ?? null },
        });
        show(sent, () => `registration sent (${sent.messageId}); its answer counts until ${time(sent.expiresAtMs)}`);
      }),
    );
  member
    .command('enlist <phone>')
    .description('a member without a key on the phone, who shows the member code; the phone may register later')
    .requiredOption('--name <name>', 'the member’s name')
    .option(...merchantOption)
    .action((phone: string, { name, merchant }: { name: string; merchant?: string }) =>
      run(async ({ call, show }) => {
        const found = await call<MemberView>('member.enlist', { phone, name, merchant: merchant ?? null });
        show(found, () => showMember(found));
      }),
    );
  member
    .command('list')
    .description('all members')
    .option(...limitOption)
    .option('--cursor <cursor>', 'go on after the last page')
    .action(({ limit, cursor }: { limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<
          Page<{ id: string; phone: string; name: string; earnedPoints: number; registeredAtMs: number }>
        >('member.list', {
          limit,
          cursor: cursor ?? null,
        });
        const rows = page.rows.map((row) => ({
          code: row.id,
          phone: row.phone,
          name: row.name,
          earned: row.earnedPoints,
          registered: time(row.registeredAtMs),
        }));
        show(page, () => table(rows, 'no members yet: member register <phone> --name <name>') + more(page));
      }),
    );
  member
    .command('show <who>')
    .description('one member by code, phone number or key id')
    .action((who: string) =>
      run(async ({ call, show }) => {
        const found = await call<MemberView>('member.show', { who });
        show(found, () => showMember(found));
      }),
    );
  member
    .command('statement <who>')
    .description('lines of an account, newest first')
    .option('--account <account>', 'points, owed or reserved', 'points')
    .option(...limitOption)
    .option('--cursor <cursor>', 'go on after the last page')
    .action((who: string, options: { account: string; limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<StatementLine>>('member.statement', {
          who,
          ...options,
          cursor: options.cursor ?? null,
        });
        show(page, () => statementTable(page));
      }),
    );
  const pass = new Command('pass').description('passes in phone wallets (docs/decisions/wallet-passes.md)');
  pass
    .command('add <who>')
    .description('bind a pass to a member by its number; block and unblock work with the id that is shown')
    .addOption(new Option('--wallet <wallet>').choices(['apple', 'google']).makeOptionMandatory())
    .requiredOption('--issuer <id>', 'pass type id (Apple), or collector id (Google)')
    .requiredOption('--number <text>', 'what the pass says to the terminal')
    .action((who: string, options: { wallet: string; issuer: string; number: string }) =>
      run(async ({ call, show }) => {
        const bound = await call<{ memberCode: string; passId: string }>('member.addPass', { who, ...options });
        show(bound, () => `pass ${bound.passId} is bound to ${bound.memberCode}`);
      }),
    );
  member.addCommand(pass);
  const tag = new Command('tag').description('tags of NXP (docs/protocols/tags.md)');
  tag
    .command('add <who>')
    .description('bind a tag to a member; block and unblock work with the id that is shown')
    .addOption(
      new Option('--kind <kind>', 'sun: proves itself, its keys are in host.tagKeyFiles; uid: known by its UID alone')
        .choices(['sun', 'uid'])
        .makeOptionMandatory(),
    )
    .requiredOption('--uid <hex>', 'its UID, 7 bytes in hex', (text) => text.toLowerCase())
    .action((who: string, options: { kind: string; uid: string }) =>
      run(async ({ call, show }) => {
        const bound = await call<{ memberCode: string; tagId: string }>('member.addTag', { who, ...options });
        show(bound, () => `tag ${bound.tagId} is bound to ${bound.memberCode}`);
      }),
    );
  member.addCommand(tag);
  for (const [word, state] of [
    ['block', 'blocked'],
    ['unblock', 'active'],
  ] as const) {
    member
      .command(`${word} <who>`)
      .description(`${word} one phone (key id) or all phones of a member (code or number)`)
      .action((who: string) =>
        run(async ({ call, show }) => {
          const set = await call<{ memberCode: string; keys: readonly string[] }>('member.block', { who, state });
          show(set, () => `${set.memberCode}: ${set.keys.join(', ')} ${state}`);
        }),
      );
  }
  addPhoneCommands(member, { run });
  return member;
}

interface IssueOptions {
  readonly amount: string;
  readonly currency: string;
  readonly member?: string;
  readonly card?: boolean;
  readonly expires?: number;
  readonly category?: string;
  readonly products?: string;
}

const couponFields = (coupon: CouponView): string =>
  fields({
    ...coupon,
    initialMinor: formatAmount(coupon.initialMinor, coupon.currency),
    balanceMinor: formatAmount(coupon.balanceMinor, coupon.currency),
    reservedMinor: formatAmount(coupon.reservedMinor, coupon.currency),
    correctionMinor: formatAmount(coupon.correctionMinor, coupon.currency),
    expiresAtMs: time(coupon.expiresAtMs),
    issuedAtMs: time(coupon.issuedAtMs),
  });

function addCouponIssue(coupon: Command, { run }: Tools): void {
  coupon
    .command('issue')
    .description('issue a coupon with a balance and send it to the member’s phone')
    .requiredOption('--amount <amount>', 'its balance, like 300.00')
    .option('--currency <currency>', 'ISO 4217 letters', currencyOf, 'CNY')
    .option('--member <who>', 'member code, phone number or key id; without one the code is handed over by you')
    .option('--card', 'the balance lives on the card in the phone (else at the host)')
    .option('--expires <date>', 'last day, like 2027-12-31', endOfDay)
    .option('--category <category>', 'only for products of this category')
    .option('--products <codes>', 'only for these product codes, separated by commas')
    .action((options: IssueOptions) =>
      run(async ({ call, show }) => {
        const currency = currencyOf(options.currency);
        const issued = await call<{ code: string; messageId: string | null }>('coupon.issue', {
          holder: options.card ? 'card' : 'host',
          member: options.member ?? null,
          currency,
          amountMinor: amountOf(options.amount, currency),
          expiresAtMs: options.expires ?? null,
          limitCategory: options.category ?? null,
          limitProducts: options.products ? options.products.split(',') : null,
        });
        const how = issued.messageId
          ? `sent to the phone (${issued.messageId})`
          : 'hand the code over: it is not bound to a member';
        show(issued, () => `coupon ${issued.code}: ${how}`);
      }),
    );
}

/** `coupon issue|resend|list|show|statement|block|unblock|take-over` */
export function couponCommand(tools: Tools): Command {
  const { run } = tools;
  const coupon = new Command('coupon').description('electronic coupons 电子优惠券');
  addCouponIssue(coupon, tools);
  coupon
    .command('resend <code>')
    .description('send a host-held coupon’s message again')
    .action((code: string) =>
      run(async ({ call, show }) => {
        const sent = await call<{ messageId: string }>('coupon.resend', { code });
        show(sent, () => `sent (${sent.messageId})`);
      }),
    );
  coupon
    .command('list <who>')
    .description('coupons of one member')
    .option(...limitOption)
    .option('--cursor <cursor>', 'go on after the last page')
    .action((who: string, { limit, cursor }: { limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<CouponView>>('coupon.list', { who, limit, cursor: cursor ?? null });
        const rows = page.rows.map(({ code, holder, currency, initialMinor, balanceMinor, state, expiresAtMs }) => ({
          code,
          holder,
          balance: `${formatAmount(balanceMinor, currency)} ${currency}`,
          issued: formatAmount(initialMinor, currency),
          state,
          expires: time(expiresAtMs),
        }));
        show(page, () => table(rows, 'no coupons') + more(page));
      }),
    );
  coupon
    .command('show <code>')
    .description('one coupon')
    .action((code: string) =>
      run(async ({ call, show }) => {
        const found = await call<CouponView>('coupon.show', { code });
        show(found, () => couponFields(found));
      }),
    );
  coupon
    .command('statement <code>')
    .description('lines of its account, newest first, in minor units')
    .option(...limitOption)
    .action((code: string, { limit }: { limit: number }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<StatementLine>>('coupon.statement', { code, limit });
        show(page, () => statementTable(page));
      }),
    );
  for (const [word, state] of [
    ['block', 'blocked'],
    ['unblock', 'active'],
  ] as const) {
    coupon
      .command(`${word} <code>`)
      .description(`${word} a coupon`)
      .action((code: string) =>
        run(async ({ call, show }) => {
          await call('coupon.block', { code, state });
          show({ code, state }, () => `${code} ${state}`);
        }),
      );
  }
  addTakeOver(coupon, tools);
  return coupon;
}
