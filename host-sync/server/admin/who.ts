/**
 * How administration names a member: member code, phone number or key id. Must change nothing.
 */
import { z } from 'zod';
import { numberPattern } from '../messages/port.js';
import type { Host, MemberView } from '../service/types.js';

export const whoSchema = z.union([
  z.string().regex(/^SLM[0-9]{13}$/),
  z.string().regex(/^[0-9a-f]{16}$/),
  z.string().regex(numberPattern),
]);

/** 16 digits are no phone number (E.164 has at most 15), so a key id is never mistaken for one. */
export const isKeyId = (who: string): boolean => /^[0-9a-f]{16}$/.test(who);

export async function findMember(host: Pick<Host, 'members'>, who: string): Promise<MemberView | null> {
  if (who.startsWith('SLM')) return host.members.byCode(who);
  return isKeyId(who) ? host.members.byKey(who) : host.members.byPhone(who);
}
