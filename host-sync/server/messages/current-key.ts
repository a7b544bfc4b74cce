/** Which of a member's keys messages to the phone are sealed for. Pure. */
import type { MemberView } from '../service/types.js';

/** The member's newest key that is not blocked: the phone that the member uses now. */
export function currentKey(member: MemberView): string | null {
  const active = member.keys.filter(({ kind, state }) => kind === 'phone' && state === 'active');
  return [...active].sort((a, b) => b.registeredAtMs - a.registeredAtMs)[0]?.keyId ?? null;
}
