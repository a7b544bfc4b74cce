/**
 * The member's pages: log in by a code sent to the phone, and what one member may see of the own accounts.
 * Must not tell a stranger whether a number is a member's, keep a code or token in clear, or move value.
 */
import { seedBytes } from '../../../drivers/protocols/screen-code/screen-code.js';
import { equalBytes, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Clock, Crypto, Random } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import type { KeyVault } from '../ledger/context.js';
import { type Collector, type Facts, put, remove, type WorkingSet, type Write } from '../ledger/facts.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPhone } from './inputs.js';
import { mainMembership } from './members.js';
import { nameOf, planName } from './merchants.js';
import { offersFor, planOffers } from './offers.js';
import { refusal } from './paging.js';
import { setting } from './settings.js';
import type { CouponAdmin, MemberAdmin, MemberPages, ScreenCodes } from './types.js';

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
/** Memberships of one number that its page shows: as many as a phone carries. */
export const membershipsShown = 16;
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

/** The memberships of one number, the one that a bare number means first. */
function membershipsOf(facts: Pick<Facts, 'find'>, phone: string): readonly Row<'member'>[] {
  const main = mainMembership(facts, phone);
  const others = facts.find('member', 'phone', phone).filter(({ id }) => id !== main?.id);
  return main ? [main, ...others].slice(0, membershipsShown) : [];
}

/** Drawn ahead for one membership: a seed, wrapped, and handles of which the first free one is taken. */
interface DrawnKey {
  readonly seed: Uint8Array;
  readonly wrapped: Uint8Array;
  readonly handles: readonly string[];
}

export function createMemberPages(parts: MemberPagesParts): MemberPages {
  const { store, vault, crypto, random, clock, members, coupons } = parts;
  const digest = (...words: readonly string[]): string => toHex(crypto.sha256(utf8(words.join('\n'))));
  const planLogin = (need: Collector, phone: string): Row<'member'> | undefined => {
    const member = mainMembership(need, phone);
    if (member) need.get('pageLogin', member.id);
    return member;
  };

  /** A row for each membership of a log-in, under one token; that of `membership` null stands for the whole. */
  const rowId = (token: string, membership: string | null): string =>
    membership === null ? digest(token) : digest(token, membership);
  const drawKeys = (): readonly DrawnKey[] =>
    Array.from({ length: membershipsShown }, () => {
      const seed = random.bytes(seedBytes);
      const handles = Array.from({ length: handlesDrawn }, () => digitsOf(random.bytes(8), handleDigits));
      return { seed, wrapped: vault.wrap(seed), handles };
    });
  const planKeys = (need: Collector, token: string, phone: string, drawn: readonly DrawnKey[]): void => {
    for (const { id } of membershipsOf(need, phone)) {
      for (const { handle } of need.find('pageSession', 'memberId', id)) need.get('screenKey', handle);
      need.find('screenKey', 'memberId', id);
      need.get('pageSession', rowId(token, id));
    }
    for (const { handles } of drawn) for (const handle of handles) need.get('screenKey', handle);
    need.get('pageSession', rowId(token, null));
  };

  /** One membership under this token until `expiresAtMs`: its row and its own rotating codes. Null: no free handle was drawn. */
  const grant = (
    facts: Facts,
    memberId: string,
    session: Pick<Row<'pageSession'>, 'id' | 'openedAtMs' | 'expiresAtMs'>,
    { seed, wrapped, handles }: DrawnKey,
  ): { readonly codes: ScreenCodes; readonly writes: readonly Write[] } | null => {
    const nowMs = session.openedAtMs;
    const handle = handles.find((drawn) => !facts.get('screenKey', drawn));
    if (handle === undefined) return null;
    const sessions = [...facts.find('pageSession', 'memberId', memberId)].sort((a, b) => b.openedAtMs - a.openedAtMs);
    const ended = sessions.filter((each, i) => nowMs >= each.expiresAtMs || i >= sessionsMax - 1);
    const keys = facts.find('screenKey', 'memberId', memberId);
    const forgotten = keys.filter(({ endsAtMs }) => nowMs - endsAtMs >= endedKeysKeptMs);
    return {
      codes: { memberCode: memberId, handle, seed: toHex(seed) },
      writes: [
        ...ended.flatMap((each) => endOf(facts, each, nowMs)),
        ...forgotten.map(({ id }) => remove('screenKey', id)),
        put('pageSession', { ...session, memberId, handle }),
        put('screenKey', { id: handle, memberId, wrapped, endsAtMs: session.expiresAtMs }),
      ],
    };
  };

  /** Grants each of these memberships that can be. */
  const grantAll = (
    facts: WorkingSet,
    token: string,
    session: Pick<Row<'pageSession'>, 'openedAtMs' | 'expiresAtMs'>,
    memberships: readonly { readonly memberId: string; readonly isWhole: boolean }[],
    drawn: readonly DrawnKey[],
  ): readonly ScreenCodes[] =>
    memberships.flatMap(({ memberId, isWhole }, i) => {
      const key = drawn[i];
      const id = rowId(token, isWhole ? null : memberId);
      const granted = key && grant(facts, memberId, { ...session, id }, key);
      if (!granted) return [];
      facts.write(granted.writes);
      return [granted.codes];
    });

  const open = async (phone: string, code: string): ReturnType<MemberPages['open']> => {
    const wrong = refusal('access.denied', 'wrong or used');
    if (!isPhone(phone) || !/^[0-9]{6}$/.test(code)) return wrong;
    const token = toHex(random.bytes(tokenBytes));
    const drawn = drawKeys();
    const nowMs = clock.wallMs();
    const plan = (need: Collector): void => {
      planLogin(need, phone);
      planKeys(need, token, phone, drawn);
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
      const expiresAtMs = nowMs + sessionValidMs;
      const all = membershipsOf(facts, phone).map(({ id }, i) => ({ memberId: id, isWhole: i === 0 }));
      const codes = grantAll(facts, token, { openedAtMs: nowMs, expiresAtMs }, all, drawn);
      if (codes[0]?.memberCode !== member.id) return refusal('host.busy', 'no free handle was drawn');
      // Used up: the end of a code is its first right use.
      facts.write([put('pageLogin', { ...login, expiresAtMs: 0 })]);
      return ok({ token, expiresAtMs, codes });
    });
  };

  /** The session of a whole log-in that runs, with the number that it is for; null: none. Called by plans as well. */
  const standing = (facts: Pick<Facts, 'get' | 'find'>, token: string, nowMs: number) => {
    const session = facts.get('pageSession', rowId(token, null));
    const member = session && facts.get('member', session.memberId);
    return session && member && nowMs < session.expiresAtMs ? { session, phone: member.phone } : null;
  };

  const sessionsOf = (facts: Pick<Facts, 'find'>, phone: string): readonly Row<'pageSession'>[] =>
    facts.find('member', 'phone', phone).flatMap(({ id }) => facts.find('pageSession', 'memberId', id));

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
    membersOf: async (token) => {
      const nowMs = clock.wallMs();
      const found = (facts: Pick<Facts, 'get' | 'find'>): readonly string[] | null => {
        const login = standing(facts, token, nowMs);
        return login && membershipsOf(facts, login.phone).map(({ id }) => id);
      };
      return store.read((need) => void found(need), found);
    },
    moreCodes: async (token) => {
      const nowMs = clock.wallMs();
      const drawn = drawKeys();
      const plan = (need: Collector): void => {
        const login = standing(need, token, nowMs);
        if (login) planKeys(need, token, login.phone, drawn);
      };
      return store.transact(plan, (facts) => {
        const login = standing(facts, token, nowMs);
        if (!login) return null;
        const { session, phone } = login;
        const lacking = membershipsOf(facts, phone)
          .filter(({ id }) => id !== session.memberId && !facts.get('pageSession', rowId(token, id)))
          .map(({ id }) => ({ memberId: id, isWhole: false }));
        return grantAll(facts, token, { openedAtMs: nowMs, expiresAtMs: session.expiresAtMs }, lacking, drawn);
      });
    },
    close: async (token) => {
      const nowMs = clock.wallMs();
      const rows = (facts: Pick<Facts, 'get' | 'find'>): readonly Row<'pageSession'>[] => {
        const whole = facts.get('pageSession', rowId(token, null));
        const member = whole && facts.get('member', whole.memberId);
        const others = member ? membershipsOf(facts, member.phone) : [];
        return [whole, ...others.map(({ id }) => facts.get('pageSession', rowId(token, id)))].flatMap(
          (row) => row ?? [],
        );
      };
      await store.transact(
        (need) => {
          for (const { handle } of rows(need)) need.get('screenKey', handle);
        },
        (facts) => facts.write(rows(facts).flatMap((session) => endOf(facts, session, nowMs))),
      );
    },
    closeAll: async (phone) => {
      const nowMs = clock.wallMs();
      return store.transact(
        (need) => {
          for (const { handle } of sessionsOf(need, phone)) need.get('screenKey', handle);
        },
        (facts) => {
          const sessions = sessionsOf(facts, phone);
          facts.write(sessions.flatMap((session) => endOf(facts, session, nowMs)));
          // A log-in has one row for each membership at most: it counts once.
          const rowsOf = new Map<string, number>();
          for (const { memberId } of sessions) rowsOf.set(memberId, (rowsOf.get(memberId) ?? 0) + 1);
          return Math.max(0, ...rowsOf.values());
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
          need.get('setting', 'ownMerchant');
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
          // Offers are the host's own merchant's: nobody else's members are shown them as their merchant's.
          offers: member.merchant === setting(facts, 'ownMerchant') ? offersFor(facts, member.earnedPoints, nowMs) : [],
        }),
      );
    },
  };
}
