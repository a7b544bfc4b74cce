/**
 * The member's pages: log in by a code sent to the phone, and what one member may see of the own accounts.
 * Must not tell a stranger whether a number is a member's, keep a code or token in clear, or move value.
 */
import { seedBytes } from '../../../drivers/protocols/screen-code/screen-code.js';
import { equalBytes, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Clock, Crypto, Random } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import type { KeyVault } from '../ledger/context.js';
import { type Collector, type Facts, put, remove, type Write } from '../ledger/facts.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPhone } from './inputs.js';
import { mainMembership } from './members.js';
import { nameOf, planName } from './merchants.js';
import { offersFor, planOffers } from './offers.js';
import { refusal } from './paging.js';
import type { CouponAdmin, MemberAdmin, MemberPages } from './types.js';

const minuteMs = 60_000;
export const loginValidMs = 5 * minuteMs;
/** Wrong codes after which the code that was sent counts no more. */
export const loginFailuresMax = 5;
/** Messages to one member in `loginWindowMs`: they cost money and annoy. */
export const loginSendsMax = 5;
export const loginWindowMs = 60 * minuteMs;
export const sessionValidMs = 30 * 24 * 60 * minuteMs;
/** Sessions of one member; the oldest ends when another is opened. */
export const sessionsMax = 8;
const tokenBytes = 32;
const codeDigits = 6;
/** Of rotating codes: 9 digits each, a few drawn at once so that one that is taken costs nothing. */
const handleDigits = 9;
const handlesDrawn = 4;
const couponsShown = 50;
const linesShown = 30;

export interface MemberPagesParts {
  readonly store: HostStore;
  readonly vault: KeyVault;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly members: MemberAdmin;
  readonly coupons: CouponAdmin;
}

/** Screen keys of sessions that ended so long ago are gone: no earn of theirs can still be under way. */
const endedKeysKeptMs = 90 * 24 * 60 * minuteMs;

/** Decimal digits of eight random bytes: the bias is below 2^-34. */
function digitsOf(bytes: Uint8Array, digits: number): string {
  let value = 0n;
  for (const byte of bytes) value = value * 256n + BigInt(byte);
  return String(value % 10n ** BigInt(digits)).padStart(digits, '0');
}

/** A session is over, and with it what its page shows from now on. */
function endOf(facts: Facts, session: Row<'pageSession'>, nowMs: number): readonly Write[] {
  const key = facts.get('screenKey', session.handle);
  return [
    remove('pageSession', session.id),
    ...(key ? [put('screenKey', { ...key, endsAtMs: Math.min(nowMs, key.endsAtMs) })] : []),
  ];
}

export function createMemberPages(parts: MemberPagesParts): MemberPages {
  const { store, vault, crypto, random, clock, members, coupons } = parts;
  const digest = (...words: readonly string[]): string => toHex(crypto.sha256(utf8(words.join('\n'))));
  const planLogin = (need: Collector, phone: string): Row<'member'> | undefined => {
    const member = mainMembership(need, phone);
    if (member) need.get('pageLogin', member.id);
    return member;
  };

  const open = async (phone: string, code: string): ReturnType<MemberPages['open']> => {
    const wrong = refusal('access.denied', 'wrong or used');
    if (!isPhone(phone) || !/^[0-9]{6}$/.test(code)) return wrong;
    const token = toHex(random.bytes(tokenBytes));
    const seed = random.bytes(seedBytes);
    const handles = Array.from({ length: handlesDrawn }, () => digitsOf(random.bytes(8), handleDigits));
    const wrapped = vault.wrap(seed);
    const nowMs = clock.wallMs();
    const plan = (need: Collector): void => {
      const member = planLogin(need, phone);
      if (member)
        for (const { handle } of need.find('pageSession', 'memberId', member.id)) need.get('screenKey', handle);
      if (member) need.find('screenKey', 'memberId', member.id);
      for (const handle of handles) need.get('screenKey', handle);
      need.get('pageSession', digest(token));
    };
    return store.transact(plan, (facts) => {
      const member = mainMembership(facts, phone);
      const login = member && facts.get('pageLogin', member.id);
      // Hashed also where there is nothing to compare with: the time must not tell the two apart.
      const given = digest(member?.id ?? phone, login?.salt ?? '', code);
      if (!member || !login || login.failures >= loginFailuresMax || nowMs >= login.expiresAtMs) return wrong;
      if (!equalBytes(utf8(given), utf8(login.codeHash))) {
        facts.write([put('pageLogin', { ...login, failures: login.failures + 1 })]);
        return wrong;
      }
      const sessions = [...facts.find('pageSession', 'memberId', member.id)].sort(
        (a, b) => b.openedAtMs - a.openedAtMs,
      );
      const ended = sessions.filter((session, i) => nowMs >= session.expiresAtMs || i >= sessionsMax - 1);
      const handle = handles.find((drawn) => !facts.get('screenKey', drawn));
      if (handle === undefined) return refusal('host.busy', 'no free handle was drawn');
      const expiresAtMs = nowMs + sessionValidMs;
      const session = { id: digest(token), memberId: member.id, handle, openedAtMs: nowMs, expiresAtMs };
      const keys = facts.find('screenKey', 'memberId', member.id);
      const forgotten = keys.filter(({ endsAtMs }) => nowMs - endsAtMs >= endedKeysKeptMs);
      facts.write([
        // Used up: the end of a code is its first right use.
        put('pageLogin', { ...login, expiresAtMs: 0 }),
        ...ended.flatMap((session) => endOf(facts, session, nowMs)),
        ...forgotten.map(({ id }) => remove('screenKey', id)),
        put('pageSession', session),
        put('screenKey', { id: handle, memberId: member.id, wrapped, endsAtMs: expiresAtMs }),
      ]);
      return ok({ token, memberCode: member.id, expiresAtMs, handle, seed: toHex(seed) });
    });
  };

  return {
    drawCode: async (phone) => {
      if (!isPhone(phone)) return null;
      const code = digitsOf(random.bytes(8), codeDigits);
      const salt = toHex(random.bytes(16));
      const nowMs = clock.wallMs();
      return store.transact(
        (need) => {
          planName(need, planLogin(need, phone)?.merchantId ?? '');
        },
        (facts) => {
          const member = mainMembership(facts, phone);
          if (!member) return null;
          const before = facts.get('pageLogin', member.id);
          const isNewWindow = !before || nowMs >= before.countedFromMs + loginWindowMs || nowMs < before.countedFromMs;
          const sent = isNewWindow ? 0 : before.sent;
          if (sent >= loginSendsMax) return null;
          const login = {
            id: member.id,
            codeHash: digest(member.id, salt, code),
            salt,
            expiresAtMs: nowMs + loginValidMs,
            failures: 0,
            sent: sent + 1,
            countedFromMs: isNewWindow ? nowMs : before.countedFromMs,
          };
          facts.write([put('pageLogin', login)]);
          return { to: phone, code, merchant: nameOf(facts, member.merchantId) };
        },
      );
    },
    open,
    memberOf: async (token) => {
      const id = digest(token);
      const nowMs = clock.wallMs();
      return store.read(
        (need) => {
          need.get('pageSession', id);
        },
        (facts) => {
          const session = facts.get('pageSession', id);
          return session && nowMs < session.expiresAtMs ? session.memberId : null;
        },
      );
    },
    close: async (token) => {
      const id = digest(token);
      const nowMs = clock.wallMs();
      await store.transact(
        (need) => {
          const session = need.get('pageSession', id);
          if (session) need.get('screenKey', session.handle);
        },
        (facts) => {
          const session = facts.get('pageSession', id);
          if (session) facts.write(endOf(facts, session, nowMs));
        },
      );
    },
    closeAll: async (memberCode) => {
      const nowMs = clock.wallMs();
      return store.transact(
        (need) => {
          for (const { handle } of need.find('pageSession', 'memberId', memberCode)) need.get('screenKey', handle);
        },
        (facts) => {
          const sessions = facts.find('pageSession', 'memberId', memberCode);
          facts.write(sessions.flatMap((session) => endOf(facts, session, nowMs)));
          return sessions.length;
        },
      );
    },
    overview: async (memberCode) => {
      const nowMs = clock.wallMs();
      const member = await members.byCode(memberCode);
      if (!member) return null;
      const held = await coupons.ofMember(memberCode, { limit: couponsShown });
      const statement = await members.statement(memberCode, 'points', { limit: linesShown });
      return store.read(
        (need) => {
          planOffers(need);
          planName(need, member.merchant);
        },
        (facts) => ({
          atMs: nowMs,
          merchant: nameOf(facts, member.merchant),
          memberCode,
          name: member.name,
          tier: member.tier,
          points: member.points,
          pointsOwed: member.pointsOwed,
          pointsReserved: member.pointsReserved,
          coupons: held.rows,
          statement: statement.rows,
          offers: offersFor(facts, member.earnedPoints, nowMs),
        }),
      );
    },
  };
}
