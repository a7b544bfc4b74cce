/**
 * Allowances: a slice of a member's points or of a host-held coupon moves into an account of one terminal, is spent from
 * there without the host, and comes back by the terminal's signed release or a person's write-off.
 * Pure. Time never brings a slice back by itself: the terminal may have spent it and not told yet.
 */
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import { type OfflineDecision, type RecordOf, releaseBytes } from '../../protocol/record.js';
import type { Allowance } from '../../protocol/sync.js';
import {
  type Account,
  allowanceHeld,
  couponBalance,
  couponRedeemed,
  memberOwed,
  memberPoints,
  pointsRedeemed,
  pointsUnit,
  riskBorne,
} from './accounts.js';
import { accepted, couponBalances, memberBalances, noBalances, type Outcome, refused } from './answer.js';
import type { ApplyContext } from './context.js';
import { planCouponAccounts, refreshCoupon } from './coupon-accounts.js';
import { Draft, nextVersion } from './draft.js';
import type { Collector, Facts, WorkingSet } from './facts.js';
import { giveToMember } from './member-points.js';
import { balanceOf, move } from './posting.js';
import type { Row } from './tables.js';

type Slice = Row<'allowance'>;

/** States what spending, releasing or writing off this allowance reads. */
export function planAllowance(need: Collector, id: string): void {
  const slice = need.get('allowance', id);
  if (!slice) return;
  need.get('account', allowanceHeld(id, slice.unit).id);
  if (slice.couponId !== null) {
    const coupon = need.get('coupon', slice.couponId);
    if (coupon) planCouponAccounts(need, coupon, slice.terminalId);
  } else if (slice.memberId !== null) {
    for (const account of [memberPoints(slice.memberId), memberOwed(slice.memberId)]) need.get('account', account.id);
  }
}

/** What grants ask for: whose slice, of what, how much at most. */
export interface GrantWish {
  readonly id: TransactionId;
  readonly terminalId: string;
  readonly memberId: string | null;
  readonly coupon: Row<'coupon'> | null;
  readonly amountMax: number;
  readonly lifetimeMs: number;
}

const openHolder = (wish: GrantWish): string => `${wish.coupon?.id ?? wish.memberId}/${wish.terminalId}`;

/** States what `grant` reads. */
export function planGrant(need: Collector, wish: GrantWish): void {
  need.get('terminal', wish.terminalId);
  need.find('allowance', 'openHolder', openHolder(wish));
  need.get('allowance', wish.id);
  if (wish.coupon) planCouponAccounts(need, wish.coupon, wish.terminalId);
  else if (wish.memberId !== null) need.get('account', memberPoints(wish.memberId).id);
  need.get('account', allowanceHeld(wish.id, wish.coupon?.currency ?? pointsUnit).id);
}

/** The account that a slice is taken from. */
export const sourceOf = ({ coupon, memberId }: GrantWish): Account =>
  coupon ? couponBalance(coupon.id, coupon.currency) : memberPoints(memberId ?? '');

/** Moves what is there, at most what is wished, to the terminal. @returns the slice; null where it holds one or nothing is there */
export function grant(facts: WorkingSet, wish: GrantWish, nowMs: number): Slice | null {
  const terminal = facts.get('terminal', wish.terminalId);
  const source = sourceOf(wish);
  const amount = Math.min(balanceOf(facts, source), wish.amountMax, amountMinorMax);
  if (!terminal || amount < 1 || facts.find('allowance', 'openHolder', openHolder(wish)).length > 0) return null;
  const end = nowMs + wish.lifetimeMs;
  const slice: Slice = {
    id: wish.id,
    terminalId: wish.terminalId,
    openTerminal: wish.terminalId,
    heldBy: wish.terminalId,
    memberId: wish.memberId,
    couponId: wish.coupon?.id ?? null,
    openHolder: openHolder(wish),
    unit: source.unit,
    amount,
    grantedAtMs: nowMs,
    expiresAtMs: wish.coupon?.expiresAtMs == null ? end : Math.min(end, wish.coupon.expiresAtMs),
    state: 'open',
    returned: 0,
    endedAtMs: null,
    endedBy: null,
  };
  const draft = new Draft(facts, `allowance/${wish.id}`, nowMs, null);
  draft.post('allowance', [move(source, allowanceHeld(slice.id, slice.unit), amount)]);
  draft.put('allowance', slice);
  ringFor(draft, slice.terminalId);
  facts.write(draft.writes);
  return slice;
}

/** Whom an offline spend takes from, in this order: the terminal's slice, then (never granted here, or a floor limit) the home account. */
export interface OfflineSpend {
  readonly saleId: string;
  readonly terminalId: string;
  readonly decision: OfflineDecision;
  /** In the unit of `home`. */
  readonly amount: number;
  readonly home: Account;
  readonly memberId: string | null;
  readonly couponId: string | null;
}

/**
 * Posts what the counter has given already. What neither slice nor home holds is borne by the merchant: named in an alarm,
 * attributed to terminal and sale. A slice that was written off never falls back on its home: that has been spent anew.
 * @returns what the merchant bears, in the same unit
 */
export function postOffline(draft: Draft, spend: OfflineSpend): number {
  const { amount, home, decision, terminalId, saleId } = spend;
  const to = home.unit === pointsUnit ? pointsRedeemed(terminalId) : couponRedeemed(terminalId, home.unit);
  const slice = decision.by === 'allowance' ? draft.get('allowance', decision.allowanceId) : undefined;
  const isOwn =
    slice !== undefined &&
    slice.terminalId === terminalId &&
    slice.unit === home.unit &&
    slice.couponId === spend.couponId &&
    (slice.couponId !== null || slice.memberId === spend.memberId);
  const held = isOwn ? allowanceHeld(slice.id, slice.unit) : null;
  const fromSlice = held ? Math.min(balanceOf(draft, held), amount) : 0;
  // A slice that this host does not know was granted before it went back to a backup: its value is still at home.
  const mayTakeHome = decision.by === 'floor' || slice === undefined;
  const fromHome = mayTakeHome ? Math.min(balanceOf(draft, home), amount - fromSlice) : 0;
  const risk = amount - fromSlice - fromHome;
  draft.post(decision.by, [
    ...(held ? [move(held, to, fromSlice)] : []),
    move(home, to, fromHome),
    move(riskBorne(home.unit), to, risk),
  ]);
  if (spend.couponId !== null) refreshCoupon(draft, spend.couponId);
  if (risk > 0)
    draft.alarm(
      decision.by === 'floor' ? 'risk.floor' : 'risk.allowance',
      terminalId,
      saleId,
      `${risk} of ${amount} ${home.unit} was not there; the merchant bears it`,
    );
  return risk;
}

/** Moves what is given back home: points repay what is owed first. */
function giveHome(draft: Draft, slice: Slice, amount: number, cause: string): void {
  const held = allowanceHeld(slice.id, slice.unit);
  if (slice.couponId !== null) {
    draft.post(cause, [move(held, couponBalance(slice.couponId, slice.unit), amount)]);
    refreshCoupon(draft, slice.couponId);
  } else if (slice.memberId !== null) draft.post(cause, giveToMember(draft, slice.memberId, held, amount));
}

const balancesOf = (facts: Facts, slice: Slice) => {
  const coupon = slice.couponId === null ? undefined : facts.get('coupon', slice.couponId);
  if (coupon) return couponBalances(facts, coupon);
  return slice.memberId === null ? noBalances : memberBalances(facts, slice.memberId);
};

/** The terminal's word that it spends no more of this slice: the rest goes home, once. */
export function applyRelease(draft: Draft, record: RecordOf<'allowanceRelease'>, context: ApplyContext): Outcome {
  const terminal = draft.get('terminal', record.terminalId);
  const keys = JSON.parse(terminal?.publicKeys ?? '[]') as readonly string[];
  const signed = releaseBytes(record.terminalId, record.allowanceId, record.remaining);
  if (!keys.some((key) => context.crypto.verifySignature(hex(key), signed, hex(record.signature))))
    return refused('allowance.wrongSignature');
  const slice = draft.get('allowance', record.allowanceId);
  // A host that was set back never granted it, by its books: the value is at home already.
  if (!slice) return accepted(noBalances, { notices: ['allowance.unknown'] });
  if (slice.terminalId !== record.terminalId) return refused('allowance.unknown');
  if (slice.state !== 'open') return accepted(balancesOf(draft, slice), { notices: ['allowance.ended'] });
  const held = balanceOf(draft, allowanceHeld(slice.id, slice.unit));
  const returned = Math.min(record.remaining, held);
  if (returned < record.remaining)
    draft.alarm('risk.release', record.terminalId, slice.id, `${record.remaining} released, ${held} held`);
  giveHome(draft, slice, returned, 'release');
  draft.put('allowance', ended(slice, 'released', returned, draft.atMs, null));
  return accepted(balancesOf(draft, slice));
}

const ended = (
  slice: Slice,
  state: 'released' | 'writtenOff',
  returned: number,
  atMs: number,
  by: string | null,
): Slice => ({
  ...slice,
  state,
  returned,
  endedAtMs: atMs,
  endedBy: by,
  openTerminal: null,
  heldBy: null,
  openHolder: null,
});

/** A person takes the rest back without the terminal's word. Spends that come later are the merchant's risk. @returns what came back */
export function writeOff(facts: WorkingSet, slice: Slice, by: string, nowMs: number): number {
  const draft = new Draft(facts, `allowanceWriteOff/${slice.id}`, nowMs, null);
  const returned = balanceOf(facts, allowanceHeld(slice.id, slice.unit));
  giveHome(draft, slice, returned, 'writeOff');
  draft.put('allowance', ended(slice, 'writtenOff', returned, nowMs, by));
  draft.alarm('allowance.writtenOff', slice.terminalId, slice.id, `${returned} ${slice.unit} by ${by}`);
  ringFor(draft, slice.terminalId);
  facts.write(draft.writes);
  return returned;
}

/** Asks the terminal to give it back: it is no longer among what it may spend. */
export function recall(facts: WorkingSet, slice: Slice, nowMs: number): void {
  const draft = new Draft(facts, `allowanceRecall/${slice.id}`, nowMs, null);
  draft.put('allowance', { ...slice, openTerminal: null });
  ringFor(draft, slice.terminalId);
  facts.write(draft.writes);
}

/** The terminal's directives are others now. */
function ringFor(draft: Draft, terminalId: string): void {
  const terminal = draft.get('terminal', terminalId);
  if (!terminal) return;
  draft.put('terminal', { ...terminal, directivesVersion: nextVersion(terminal.directivesVersion, draft.atMs) });
}

/** The wire's form, without its signature. `localKeys`: the member's keys as this terminal alone verifies them. */
export function toWire(
  slice: Slice,
  coupon: Row<'coupon'> | undefined,
  localKeys: readonly { readonly keyId: string; readonly localKey: Uint8Array }[],
): Omit<Allowance, 'signature'> {
  const { id, terminalId, memberId, amount, unit, grantedAtMs, expiresAtMs } = slice;
  return {
    id: id as TransactionId,
    terminalId,
    memberCode: memberId,
    grantedAtMs,
    expiresAtMs,
    holds:
      unit === pointsUnit || !coupon
        ? { unit: 'points', points: amount }
        : {
            unit: 'money',
            currency: unit as 'CNY',
            amountMinor: amount,
            couponCode: coupon.id,
            limitCategory: coupon.limitCategory,
            limitProducts: coupon.limitProducts === null ? null : (JSON.parse(coupon.limitProducts) as string[]),
          },
    keys: localKeys.map(({ keyId, localKey }) => ({ keyId: toHex(hex(keyId)), localKey: toHex(localKey) })),
  };
}
