/**
 * Host commands about members' phones: content over the air, erasure, a lost phone and what its card held. Arguments in, a
 * call, a table out. Must hold no rule; the host decides.
 */
import type { Command } from 'commander';
import type { PackageView } from '../../host-sync/server/messages/refresh.js';
import { type Currency, formatAmount } from '../../terminal/kernel/units.js';
import { fields, time } from './output.js';
import type { Tools } from './tools.js';

const states = {
  due: 'to be made',
  sent: 'on its way',
  confirmed: 'the phone has it',
  kept: 'not erased: the card in the phone holds money',
  stalled: 'given up: the phone says nothing (member refresh sends a new one)',
} as const;

function showPackage(row: PackageView): string {
  const { id, version, kind, keyId, state, parts, waiting, messages, reminders, haveVersion } = row;
  return fields({
    member: id,
    package: version === 0 ? 'none yet' : `${version}, ${kind === 'erase' ? 'erases' : 'content'}, ${parts} parts`,
    phone: keyId,
    state: states[state],
    messages: `${messages} sent, ${waiting} waiting, ${reminders} reminders`,
    sent: row.lastSentAtMs === 0 ? '' : time(row.lastSentAtMs),
    next: row.dueAtMs === null ? '' : time(row.dueAtMs),
    credential: row.renewAtMs === null ? '' : `another one is due ${time(row.renewAtMs)}`,
    has: haveVersion === 0 ? 'no version known' : `version ${haveVersion}, said ${time(row.haveAtMs ?? 0)}`,
  });
}

/** `member refresh|package|erase|lost` */
export function addPhoneCommands(member: Command, { run }: Tools): void {
  member
    .command('refresh [who]')
    .description('send a phone its coupons, offers and rules anew, as signed messages; shows how far it is')
    .option('--all', 'every member with a phone whose content has changed')
    .action((who: string | undefined, { all = false }: { all?: boolean }) =>
      run(async ({ call, show }) => {
        if (all === (who !== undefined)) throw new Error('name one member, or --all');
        if (all) {
          const due = await call<{ members: number }>('member.refreshAll');
          show(due, () => `${due.members} members: sent one after the other, where something has changed`);
          return;
        }
        const sent = await call<PackageView>('member.refresh', { who });
        show(sent, () => showPackage(sent));
      }),
    );
  member
    .command('package <who>')
    .description('the newest content package of a member’s phone, and what the phone has')
    .action((who: string) =>
      run(async ({ call, show }) => {
        const view = await call<PackageView | null>('member.package', { who });
        show(view, () => (view ? showPackage(view) : 'no package was ever sent: member refresh <who>'));
      }),
    );
  member
    .command('erase <who>')
    .description('have the phone remove all data of this membership; its key is blocked when it says that it has')
    .action((who: string) =>
      run(async ({ call, show }) => {
        const sent = await call<PackageView>('member.erase', { who });
        show(sent, () => showPackage(sent));
      }),
    );
  member
    .command('lost <who>')
    .description('the phone is lost: block it with its card and open pages, and register another at once')
    .option('--number <phone>', 'the member’s new number; else the same')
    .action((who: string, { number }: { number?: string }) =>
      run(async ({ call, show }) => {
        const lost = await call<{
          memberCode: string;
          phone: string;
          keys: readonly string[];
          coupons: readonly string[];
          memberships: readonly { memberCode: string; merchant: string }[];
          expiresAtMs: number;
        }>('member.lost', { who, number: number ?? null });
        const cards = lost.coupons.map((code) => `\ncard ${code} blocked; what it held: coupon take-over ${code}`);
        const members = lost.memberships.map(({ memberCode, merchant }) => `${memberCode} (${merchant})`).join(', ');
        show(
          lost,
          () =>
            `${members}: blocked ${lost.keys.join(', ') || 'no key'}${cards.join('')}\nregistration of ${lost.memberships.length} sent to ${lost.phone}; answers count until ${time(lost.expiresAtMs)}`,
        );
      }),
    );
}

/** `coupon take-over` */
export function addTakeOver(coupon: Command, { run }: Tools): void {
  coupon
    .command('take-over <code>')
    .description('what a blocked card held becomes a coupon held at the host, sent to the member’s phone')
    .action((code: string) =>
      run(async ({ call, show }) => {
        const taken = await call<{ code: string; memberCode: string; amountMinor: number; currency: Currency }>(
          'coupon.takeOver',
          { code },
        );
        show(
          taken,
          () =>
            `${formatAmount(taken.amountMinor, taken.currency)} ${taken.currency} of ${taken.memberCode}: now coupon ${taken.code}`,
        );
      }),
    );
}
