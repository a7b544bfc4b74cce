/**
 * Administration's commands about members' phones: content over the air, erasure, and a lost phone.
 * Must not decide; every input is checked here before the host sees it.
 */
import { z } from 'zod';
import { err, ok } from '../../../terminal/kernel/result.js';
import { couponCodeSchema } from '../../protocol/record.js';
import { numberPattern } from '../messages/port.js';
import type { Refresh } from '../messages/refresh.js';
import type { Registration } from '../messages/registration.js';
import type { Host } from '../service/types.js';
import { type Command, command, nothing } from './command.js';
import { findMember, isKeyId, whoSchema } from './who.js';

export interface PhoneCommandParts {
  readonly host: Host;
  readonly registration: Registration;
  readonly refresh: Refresh;
}

const unknown = err({ code: 'credential.unknown' as const, detail: 'no member has this code, number or key' });

export function phoneCommands({ host, registration, refresh }: PhoneCommandParts): readonly Command[] {
  return [
    command('member.refresh', z.strictObject({ who: whoSchema }), async ({ who }) => {
      const member = await findMember(host, who);
      return member ? refresh.request(member.memberCode) : unknown;
    }),
    command('member.refreshAll', nothing, () => refresh.requestAll()),
    command('member.package', z.strictObject({ who: whoSchema }), async ({ who }) => {
      const member = await findMember(host, who);
      return member ? ok(await refresh.view(member.memberCode)) : unknown;
    }),
    command('member.erase', z.strictObject({ who: whoSchema }), async ({ who }) => {
      const member = await findMember(host, who);
      return member ? refresh.erase(member.memberCode, isKeyId(who) ? who : null) : unknown;
    }),
    command(
      'member.lost',
      z.strictObject({ who: whoSchema, number: z.string().regex(numberPattern).nullable().default(null) }),
      async ({ who, number }) => {
        const member = await findMember(host, who);
        if (!member) return unknown;
        // Blocked first and whole; a message that cannot leave then is sent again by the same command.
        const lost = await host.members.lose(member.memberCode, number);
        if (!lost.ok) return lost;
        const phone = number ?? member.phone;
        // Those of the old number, and of what has just left it for the new one.
        let sessions = 0;
        for (const each of new Set([member.phone, phone])) sessions += await host.pages.closeAll(each);
        const messageIds: string[] = [];
        let expiresAtMs = 0;
        for (const { name, merchant } of lost.value.memberships) {
          const invited = await registration.invite(phone, name, merchant);
          if (!invited.ok) return invited;
          messageIds.push(invited.value.messageId);
          ({ expiresAtMs } = invited.value);
        }
        return ok({ memberCode: member.memberCode, phone, sessions, ...lost.value, messageIds, expiresAtMs });
      },
    ),
    command('coupon.takeOver', z.strictObject({ code: couponCodeSchema }), async ({ code }) => {
      const taken = await host.coupons.takeOver(code);
      if (!taken.ok) return taken;
      await refresh.changed(taken.value.memberCode);
      const sent = await registration.resendCoupon(taken.value.code);
      return ok({ ...taken.value, messageId: sent.ok ? sent.value.messageId : null });
    }),
  ];
}
