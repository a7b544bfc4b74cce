/**
 * Host commands about sales without the host: limits of boxes, allowances and the risk that came of them.
 * Must hold no rule; the host decides.
 */
import { userInfo } from 'node:os';
import { Command, Option } from 'commander';
import type { Page } from '../../host-sync/server/host.js';
import { CommandFailure } from './admin-client.js';
import { fields, table, time } from './output.js';
import { integerBetween } from './parse.js';
import type { Tools } from './tools.js';

type Row = Readonly<Record<string, unknown>>;
interface Shown {
  readonly limits: Row;
  readonly policy: Row;
  readonly risk: { readonly borne: Row };
}
const whole = integerBetween(0, 999_999_999_999);
/** `--some-name <n>` for each name; what is not given stays as it is. */
const figures = (command: Command, names: Readonly<Record<string, string>>): Command => {
  for (const [name, help] of Object.entries(names)) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.addOption(new Option(`--${flag} <n>`, help).argParser(whole));
  }
  return command;
};

const limitFigures = {
  daysMax: 'days without contact after which nothing of value is accepted',
  earnCountPerDay: 'earns of one member in a day',
  earnPointsPerDay: 'points earned by one member in a day',
  allowanceCountPerDay: 'uses of allowances by one member in a day',
  floorPerSaleMinor: 'floor limit of one sale, minor units; 0: none',
  floorPerMemberDayMinor: 'floor limit of one member in a day, minor units',
  floorPerMemberDayCount: 'sales on floor limits of one member in a day',
  floorPerDayMinor: 'floor limit of one box in a day, minor units',
};
const policyFigures = {
  usualVisitsMin: 'visits at one box that make a member usual there; 0: nobody is chosen',
  usualDays: 'within so many days',
  pointsMax: 'largest slice of points; 0: none',
  couponMinorMax: 'largest slice of one coupon, minor units; 0: none',
  sharePercent: 'of what is there, at most so much',
  lifetimeHours: 'how long a slice may be spent',
  perTerminalMax: 'slices of one box at a time',
};

function limitCommands({ run }: Tools): Command {
  const offline = new Command('offline').description('what boxes may do without the host, and what it has cost');
  offline
    .command('show')
    .description('limits, policy of allowances, and the risk the merchant has borne')
    .action(() =>
      run(async ({ call, show }) => {
        const shown = await call<Shown>('offline.show', {});
        const risk = Object.keys(shown.risk.borne).length > 0 ? fields(shown.risk.borne) : 'none';
        show(
          shown,
          () => `${fields(shown.limits)}\n\n${fields(shown.policy)}\n\nrisk borne (minor units, points):\n${risk}`,
        );
      }),
    );
  figures(offline.command('limits').description('set limits; boxes hear of it at once'), limitFigures)
    .addOption(
      new Option(
        '--credential-only <yes|no>',
        "is nothing spent by a tap that the phone's credential does not prove, whatever keys a box holds?",
      ).choices(['yes', 'no']),
    )
    .action(({ credentialOnly, ...change }: Row) =>
      run(async ({ call, show }) => {
        const only = credentialOnly === undefined ? {} : { credentialOnly: credentialOnly === 'yes' };
        const limits = await call<Row>('offline.setLimits', { ...change, ...only });
        show(limits, () => fields(limits));
      }),
    );
  figures(offline.command('policy').description('set who is given allowances'), policyFigures).action((change: Row) =>
    run(async ({ call, show }) => {
      const policy = await call<Row>('allowance.setPolicy', { ...change });
      show(policy, () => fields(policy));
    }),
  );
  return offline;
}

function allowanceCommands({ run }: Tools): Command {
  const allowance = new Command('allowance').description('slices of points and coupons that boxes may spend offline');
  allowance
    .command('list')
    .description('newest first')
    .option('--terminal <terminalId>', 'only those that this terminal holds')
    .option('--limit <rows>', 'at most so many rows', integerBetween(1, 1000), 100)
    .option('--cursor <cursor>', 'go on after the last page')
    .action(({ terminal, limit, cursor }: { terminal?: string; limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const found = await call<Page<Row>>('allowance.list', {
          terminalId: terminal ?? null,
          limit,
          cursor: cursor ?? null,
        });
        const rows = found.rows.map(
          ({ id, terminalId, memberId, couponId, unit, amount, held, state, expiresAtMs }) => ({
            ...{ id, terminal: terminalId, of: couponId ?? memberId, unit, amount, held, state },
            until: time(expiresAtMs as number),
          }),
        );
        show(found, () => table(rows, 'no allowances') + (found.next ? `\nmore: --cursor ${found.next}` : ''));
      }),
    );
  allowance
    .command('grant <terminalId> <code>')
    .description('for a member (SLM…) or a coupon (SLC…), as the policy allows')
    .action((terminalId: string, code: string) =>
      run(async ({ call, show }) => {
        const given = await call<Row>('allowance.grant', { terminalId, code });
        show(given, () => fields(given));
      }),
    );
  allowance
    .command('recall <id>')
    .description('ask the box to give it back at its next contact')
    .action((id: string) =>
      run(async ({ call, show }) => {
        await call('allowance.recall', { id });
        show({ id, done: 'recalled' }, () => `${id}: recalled; it comes back when the box releases it`);
      }),
    );
  allowance
    .command('write-off [id]')
    .description("take the rest back without the box's word; what it still spends is the merchant's risk")
    .option('--terminal <terminalId>', 'all that this box holds: it is lost for good')
    .action((id: string | undefined, { terminal }: { terminal?: string }) =>
      run(async ({ call, show }) => {
        if ((id === undefined) === (terminal === undefined))
          throw new CommandFailure('input.malformed', 'name one allowance, or all of a box by --terminal');
        const by = userInfo().username.slice(0, 32);
        const back = terminal
          ? await call<Row>('allowance.writeOffAll', { terminalId: terminal, by })
          : await call<Row>('allowance.writeOff', { id, by });
        show(back, () => fields(back));
      }),
    );
  return allowance;
}

export const offlineCommands = (tools: Tools): readonly Command[] => [limitCommands(tools), allowanceCommands(tools)];
