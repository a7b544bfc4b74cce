/**
 * Allowances for administration and terminals: who gets a slice by the merchant's policy, and how one ends by a person.
 * Must not move value: ledger/allowance.ts does, inside one transaction.
 */
import type { Clock, Random, TransactionId } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { transactionIdFromBytes } from '../../protocol/record.js';
import type { AllowanceResponse } from '../../protocol/sync.js';
import { allowanceHeld } from '../ledger/accounts.js';
import { type GrantWish, grant, planAllowance, planGrant, recall, sourceOf, writeOff } from '../ledger/allowance.js';
import type { Collector, Facts, WorkingSet } from '../ledger/facts.js';
import { couponIsHere, membershipAt } from '../ledger/membership.js';
import { balanceOf } from '../ledger/posting.js';
import type { Row } from '../ledger/tables.js';
import { type HostStore, pageRowsMax } from '../storage/port.js';
import { pageOf, refusal } from './paging.js';
import { type AllowancePolicy, allowancePolicySchema, putSetting, setting } from './settings.js';
import type { AllowanceAdmin, AllowanceView, Refusal, TerminalFacing } from './types.js';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Most coupons of one member that one request looks at; the oldest first. */
const couponsPerRequestMax = 8;
/** Terminals that one call of `offer` looks at, and visits of each that it counts: what it costs does not grow. */
const terminalsPerOffer = 20;
const visitsCounted = pageRowsMax - 1;

export interface AllowanceParts {
  readonly store: HostStore;
  readonly clock: Clock;
  readonly random: Random;
}

/** A UUID version 7 (RFC 9562 §5.7) at this time of these ten random bytes. */
function drawId(nowMs: number, random: Random): TransactionId {
  const bytes = new Uint8Array(16);
  bytes.set(random.bytes(10), 6);
  for (let at = 5, rest = nowMs; at >= 0; at--, rest = Math.floor(rest / 256)) bytes[at] = rest % 256;
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return transactionIdFromBytes(bytes);
}

const planPolicy = (need: Collector): AllowancePolicy => {
  need.get('setting', 'allowancePolicy');
  return setting(need, 'allowancePolicy');
};

/** Balances that a wish would take its share of. */
const sliceOf = (policy: AllowancePolicy, unitMax: number, balance: number): number =>
  Math.min(unitMax, Math.floor((balance * policy.sharePercent) / 100));

/** What is wished for the member or coupon of this code, by the policy; drawn ids stay the same over the rounds of a plan. */
function wishesFor(
  facts: Facts,
  terminalId: string,
  code: string,
  policy: AllowancePolicy,
  ids: readonly TransactionId[],
): readonly GrantWish[] {
  const isMember = code.startsWith('SLM');
  const member = isMember ? facts.get('member', code) : undefined;
  const named = isMember ? undefined : facts.get('coupon', code);
  const coupons = isMember
    ? member
      ? [...facts.find('coupon', 'openMember', code)].sort((a, b) => a.issuedAtMs - b.issuedAtMs)
      : []
    : named
      ? [named]
      : [];
  const base = { terminalId, lifetimeMs: policy.lifetimeHours * hourMs };
  const wishes: GrantWish[] = [];
  const [first, ...rest] = ids;
  if (member && first && policy.pointsMax > 0)
    wishes.push({ ...base, id: first, memberId: member.id, coupon: null, amountMax: policy.pointsMax });
  for (const [index, coupon] of coupons.slice(0, couponsPerRequestMax).entries()) {
    const id = rest[index];
    if (id && coupon.holder === 'host' && coupon.state === 'active' && policy.couponMinorMax > 0)
      wishes.push({ ...base, id, memberId: coupon.memberId, coupon, amountMax: policy.couponMinorMax });
  }
  return wishes;
}

/** Grants what the policy allows for one code at one terminal, in one transaction. */
async function grantFor(
  { store, clock, random }: AllowanceParts,
  terminalId: string,
  code: string,
): Promise<Result<AllowanceResponse, Refusal>> {
  const nowMs = clock.wallMs();
  const ids = Array.from({ length: 1 + couponsPerRequestMax }, () => drawId(nowMs, random));
  const plan = (need: Collector): void => {
    const policy = planPolicy(need);
    need.get('terminal', terminalId);
    need.find('allowance', 'openTerminal', terminalId);
    const coupon = need.get('coupon', code);
    if (coupon?.memberId) need.get('member', coupon.memberId);
    membershipAt(need, terminalId, code);
    for (const wish of wishesFor(need, terminalId, code, policy, ids)) planGrant(need, wish);
  };
  return store.transact(plan, (facts): Result<AllowanceResponse, Refusal> => {
    const terminal = facts.get('terminal', terminalId);
    if (terminal?.state !== 'active') return refusal('access.denied', 'not an active terminal');
    const policy = setting(facts, 'allowancePolicy');
    const coupon = facts.get('coupon', code);
    const isKnown = code.startsWith('SLM')
      ? membershipAt(facts, terminalId, code) === code
      : coupon !== undefined && couponIsHere(facts, terminalId, coupon);
    if (!isKnown) return ok({ granted: 0, refusedBecause: 'credential.unknown' });
    const wishes = wishesFor(facts, terminalId, code, policy, ids);
    if (wishes.length === 0) return ok({ granted: 0, refusedBecause: 'allowance.notAllowed' });
    return ok({ granted: grantWishes(facts, wishes, policy, nowMs), refusedBecause: null });
  });
}

function grantWishes(facts: WorkingSet, wishes: readonly GrantWish[], policy: AllowancePolicy, nowMs: number): number {
  let granted = 0;
  for (const wish of wishes) {
    if (facts.find('allowance', 'openTerminal', wish.terminalId).length >= policy.perTerminalMax) break;
    if (wish.coupon?.expiresAtMs != null && wish.coupon.expiresAtMs <= nowMs) continue;
    const amountMax = sliceOf(policy, wish.amountMax, balanceOf(facts, sourceOf(wish)));
    if (grant(facts, { ...wish, amountMax }, nowMs)) granted++;
  }
  return granted;
}

/** What terminals ask of this file. */
export const createAllowanceRequests = (parts: AllowanceParts): Pick<TerminalFacing, 'requestAllowance'> => ({
  requestAllowance: (terminalId, { code }) => grantFor(parts, terminalId, code),
});

export function createAllowances(parts: AllowanceParts): AllowanceAdmin {
  const { store, clock } = parts;
  /** Where the last call of `offer` stopped; a restart begins anew, which costs nothing but time. */
  let cursor: string | null = null;

  const change = <T>(id: string, act: (facts: WorkingSet, slice: Row<'allowance'>) => Result<T, Refusal>) =>
    store.transact(
      (need) => {
        planAllowance(need, id);
        const slice = need.get('allowance', id);
        if (slice) need.get('terminal', slice.terminalId);
      },
      (facts): Result<T, Refusal> => {
        const slice = facts.get('allowance', id);
        if (!slice) return refusal('allowance.unknown', 'no allowance has this id');
        return act(facts, slice);
      },
    );

  const writeOffOne: AllowanceAdmin['writeOff'] = (id, by) =>
    change(id, (facts, slice) => {
      if (slice.state !== 'open') return ok({ returned: slice.returned, unit: slice.unit });
      return ok({ returned: writeOff(facts, slice, by, clock.wallMs()), unit: slice.unit });
    });

  return {
    policy: () => store.read(planPolicy, (facts) => setting(facts, 'allowancePolicy')),
    setPolicy: (wish) =>
      store.transact(planPolicy, (facts) => {
        const parsed = allowancePolicySchema.safeParse({ ...setting(facts, 'allowancePolicy'), ...wish });
        if (!parsed.success) return refusal('input.outOfRange', parsed.error.issues[0]?.path.join('.') ?? 'policy');
        facts.write([putSetting('allowancePolicy', parsed.data)]);
        return ok(parsed.data);
      }),
    list: async (terminalId, options) => {
      const where = terminalId === null ? null : ({ lookup: 'heldBy', value: terminalId } as const);
      const { rows, next } = await pageOf(store, 'allowance', where, options, 'newest');
      const plan = (need: Collector): void => {
        for (const { id, unit } of rows) need.get('account', allowanceHeld(id, unit).id);
      };
      return store.read(plan, (facts) => ({
        next,
        rows: rows.map((row): AllowanceView => ({ ...row, held: balanceOf(facts, allowanceHeld(row.id, row.unit)) })),
      }));
    },
    recall: (id) =>
      change(id, (facts, slice) => {
        if (slice.state === 'open' && slice.openTerminal !== null) recall(facts, slice, clock.wallMs());
        return ok(undefined);
      }),
    writeOff: writeOffOne,
    writeOffAll: async (terminalId, by) => {
      const where = { lookup: 'heldBy', value: terminalId } as const;
      for (let written = 0; ; ) {
        // Each is taken out of the lookup, so the first page is always of those still held.
        const { rows } = await pageOf(store, 'allowance', where, { limit: pageRowsMax - 1 });
        for (const { id } of rows) if ((await writeOffOne(id, by)).ok) written++;
        if (rows.length === 0) return written;
      }
    },
    offer: async () => {
      const policy = await store.read(planPolicy, (facts) => setting(facts, 'allowancePolicy'));
      if (policy.usualVisitsMin === 0 || policy.perTerminalMax === 0) return 0;
      const page = await pageOf(store, 'terminal', null, { cursor, limit: terminalsPerOffer });
      cursor = page.next;
      let granted = 0;
      for (const terminal of page.rows)
        if (terminal.state === 'active') granted += await offerAt(parts, terminal.id, policy);
      return granted;
    },
  };
}

/** Chooses from the terminal's newest consumption records those who come often, and grants each what the policy allows. */
async function offerAt(parts: AllowanceParts, terminalId: string, policy: AllowancePolicy): Promise<number> {
  const { store, clock } = parts;
  const sinceMs = clock.wallMs() - policy.usualDays * dayMs;
  const where = { lookup: 'terminalId', value: terminalId } as const;
  const { rows } = await pageOf(store, 'consumption', where, { limit: visitsCounted }, 'newest');
  const visits = new Map<string, number>();
  for (const { memberId, atMs, clockDoubtful } of rows)
    if (memberId !== null && atMs >= sinceMs && clockDoubtful === 0)
      visits.set(memberId, (visits.get(memberId) ?? 0) + 1);
  const usual = [...visits]
    .filter(([, count]) => count >= policy.usualVisitsMin)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, policy.perTerminalMax);
  let granted = 0;
  for (const [memberId] of usual) {
    const result = await grantFor(parts, terminalId, memberId);
    if (result.ok) granted += result.value.granted;
  }
  return granted;
}
