/**
 * Host commands about offers to members of a tier: arguments in, a call, a table out.
 * Must hold no rule; the host decides.
 */
import { Command } from 'commander';
import type { Page } from '../../host-sync/server/host.js';
import { table, time } from './output.js';
import { endOfDay, integerBetween } from './parse.js';
import type { Tools } from './tools.js';

interface Offer {
  readonly id: string;
  readonly title: string;
  readonly earnedPointsMin: number;
  readonly publishedAtMs: number;
  readonly expiresAtMs: number;
  readonly withdrawnAtMs: number | null;
}

/** `offer publish|withdraw|list` */
export function offerCommand({ run }: Tools): Command {
  const offer = new Command('offer').description('offers 优惠活动 that members see in their pages');
  offer
    .command('publish <title>')
    .description('show an offer to all members, or to those of a tier and above')
    .requiredOption('--text <text>', 'what is offered, at most 500 characters')
    .requiredOption('--until <date>', 'its last day, like 2027-12-31', endOfDay)
    .option('--tier <tier>', 'from this tier on; default: every member')
    .action((title: string, { text, until, tier }: { text: string; until: number; tier?: string }) =>
      run(async ({ call, show }) => {
        const made = await call<Offer>('offer.publish', { title, text, tier: tier ?? null, expiresAtMs: until });
        show(made, () => `offer ${made.id} is shown until ${time(made.expiresAtMs)}`);
      }),
    );
  offer
    .command('withdraw <id>')
    .description('show it no more')
    .action((id: string) =>
      run(async ({ call, show }) => {
        await call('offer.withdraw', { id });
        show({ id }, () => `offer ${id} is withdrawn`);
      }),
    );
  offer
    .command('list')
    .description('all offers, the newest first')
    .option('--limit <rows>', 'at most so many rows', integerBetween(1, 1000), 100)
    .option('--cursor <cursor>', 'go on after the last page')
    .action(({ limit, cursor }: { limit: number; cursor?: string }) =>
      run(async ({ call, show }) => {
        const page = await call<Page<Offer>>('offer.list', { limit, cursor: cursor ?? null });
        const rows = page.rows.map((row) => ({
          id: row.id,
          title: row.title,
          'from points': row.earnedPointsMin,
          until: time(row.expiresAtMs),
          withdrawn: row.withdrawnAtMs === null ? '' : time(row.withdrawnAtMs),
        }));
        show(
          page,
          () => table(rows, 'no offers yet: offer publish') + (page.next ? `\nmore: --cursor ${page.next}` : ''),
        );
      }),
    );
  return offer;
}
