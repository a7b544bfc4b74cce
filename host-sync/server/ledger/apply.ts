/**
 * Apply: one record to the ledger, by a table of kinds. The same function serves the host and a simulator.
 * Pure. Must not check identity, chain or quarantine: intake.ts has done that before.
 */
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import type { RecordBody, RecordKind, RecordOf } from '../../protocol/record.js';
import type { RecordAnswer } from '../../protocol/sync.js';
import { applyRelease, planAllowance } from './allowance.js';
import { later, type Outcome, refused, toAnswer } from './answer.js';
import { applyCredit, applyDebit, planCredit, planDebit } from './card.js';
import { applyCardTopUp, applyCardTopUpVoid, planCardTopUp, planCardTopUpVoid } from './card-top-up.js';
import { hasGapBelow } from './chain.js';
import { applyConsumption, planConsumption } from './consumption.js';
import type { ApplyContext } from './context.js';
import { applyDeduct, planDeduct } from './coupon.js';
import { planCouponAccounts } from './coupon-accounts.js';
import { usedKey } from './credential.js';
import { Draft } from './draft.js';
import type { Collector, Facts, Write } from './facts.js';
import { applyEarn, applySpend, planEarn, planSpend } from './points.js';
import type { Posting } from './posting.js';
import { applyPlainSale } from './sale.js';
import { applyCompletion, applyRefund, applyReversal, applyVoid, planAbout } from './settle.js';
import { counterSeen } from './tag.js';
import { applyTopUp, applyTopUpVoid, planTopUp } from './top-up.js';
import { beginWait, endWait, mayWait, planWait } from './waiting.js';

export type PlanContext = Pick<ApplyContext, 'nowMs' | 'policy' | 'openPass' | 'openTag' | 'ownMerchant'>;
interface Handler<Kind extends RecordKind> {
  /** States what `apply` will read. */
  readonly plan: (need: Collector, record: RecordOf<Kind>, context: PlanContext) => void;
  readonly apply: (draft: Draft, record: RecordOf<Kind>, context: ApplyContext) => Outcome;
}

const about = (need: Collector, record: { readonly original: TransactionId }): void => planAbout(need, record.original);

/** What is paid back is counted at the terminal that pays it, which need not be the original's. */
function planTopUpVoid(need: Collector, record: RecordOf<'topUpVoid'>): void {
  planAbout(need, record.original);
  const sale = need.get('sale', record.original);
  const coupon = sale?.couponId ? need.get('coupon', sale.couponId) : undefined;
  if (coupon) planCouponAccounts(need, coupon, record.terminalId);
}

const handlers: { readonly [Kind in RecordKind]: Handler<Kind> } = {
  plainSale: { plan: () => undefined, apply: applyPlainSale },
  pointsEarn: { plan: planEarn, apply: applyEarn },
  pointsSpend: { plan: planSpend, apply: applySpend },
  couponDeduct: { plan: planDeduct, apply: applyDeduct },
  cardDebit: { plan: planDebit, apply: applyDebit },
  cardCredit: {
    plan: (need, record, context) => {
      planAbout(need, record.original);
      planCredit(need, record, context);
    },
    apply: applyCredit,
  },
  topUp: { plan: planTopUp, apply: applyTopUp },
  topUpVoid: { plan: planTopUpVoid, apply: applyTopUpVoid },
  cardTopUp: { plan: planCardTopUp, apply: applyCardTopUp },
  cardTopUpVoid: {
    plan: (need, record, context) => {
      planAbout(need, record.original);
      planCardTopUpVoid(need, record, context);
    },
    apply: applyCardTopUpVoid,
  },
  completion: { plan: about, apply: applyCompletion },
  reversal: { plan: about, apply: applyReversal },
  void: { plan: about, apply: applyVoid },
  refund: { plan: about, apply: applyRefund },
  allowanceRelease: {
    plan: (need, record) => {
      need.get('terminal', record.terminalId);
      planAllowance(need, record.allowanceId);
    },
    apply: applyRelease,
  },
  consumption: { plan: planConsumption, apply: applyConsumption },
};

/** The handler of a record's kind; the table's type ties each kind to its own record. */
const handlerOf = <Kind extends RecordKind>(record: RecordOf<Kind>): Handler<Kind> => handlers[record.kind as Kind];

/** Kinds that a reversal undoes; a tombstone stops no other. */
const reversible: readonly RecordKind[] = [
  'plainSale',
  'pointsEarn',
  'pointsSpend',
  'couponDeduct',
  'cardDebit',
  'cardCredit',
  'topUp',
  'topUpVoid',
  'cardTopUp',
  'cardTopUpVoid',
];

/** States what applying this record reads, besides its identity and place. */
export function planRecord(need: Collector, record: RecordBody, context: PlanContext): void {
  need.get('tombstone', record.transactionId);
  if (waitsForOriginal(record)) planWait(need, record.transactionId);
  handlerOf(record).plan(need, record, context);
}

export interface Applied {
  readonly answer: RecordAnswer;
  /** What it moved in the ledger; contained in `writes`. */
  readonly postings: readonly Posting[];
  readonly writes: readonly Write[];
  /** The tap it used up; null where none was proven. */
  readonly tap: string | null;
}

/** How long after an epoch was closed records of it may still come: from a box that was off, or whose clock is ahead. */
export const epochTailMs = 86_400_000;

/** Does it wait for what it completes or undoes? A reversal does not: it leaves a tombstone. */
const waitsForOriginal = (record: RecordBody): record is Extract<RecordBody, { readonly original: TransactionId }> =>
  'original' in record && record.kind !== 'reversal';

/** Does it speak of a transaction that may still be on its way from this terminal? */
function awaitsOriginal(facts: Facts, record: RecordBody, nowMs: number): boolean {
  if (!waitsForOriginal(record)) return false;
  // A disk that was set back takes records with it: what is missing of a closed epoch does not come for ever.
  const terminal = facts.get('terminal', record.terminalId);
  if (terminal && record.epoch < terminal.epoch && nowMs > terminal.epochRaisedAtMs + epochTailMs) return false;
  return (
    !facts.get('record', record.original) &&
    !facts.get('tombstone', record.original) &&
    hasGapBelow(facts, record) &&
    // Nor does what the box could not get through to this host, and has buried in its dead letters.
    mayWait(facts, record.transactionId, nowMs)
  );
}

/**
 * What one record does, given the facts it planned for. Deterministic: time, policy and rules come in the context.
 * A refusal moves no value, but may keep what a card's record told, and alarms.
 */
export function apply(facts: Facts, record: RecordBody, context: ApplyContext): Applied {
  const { nowMs } = context;
  const { transactionId } = record;
  const draft = new Draft(facts, transactionId, nowMs);
  const outcome = decide(draft, record, context);
  const answer = toAnswer(transactionId, outcome);
  if (outcome.outcome === 'later') {
    const isWaiting = awaitsOriginal(facts, record, nowMs);
    return { answer, postings: [], writes: isWaiting ? beginWait(facts, transactionId, nowMs) : [], tap: null };
  }
  const tap = tapUsed(facts, record, outcome, context);
  const wait = waitsForOriginal(record) ? endWait(facts, transactionId) : [];
  return {
    answer,
    postings: draft.postings,
    writes: [...draft.writes, ...counterSeen(facts, record, tap, context), ...wait],
    tap,
  };
}

function decide(draft: Draft, record: RecordBody, context: ApplyContext): Outcome {
  if (record.simulated !== (context.realm === 'simulated')) return refused('record.wrongRealm');
  if (awaitsOriginal(draft, record, context.nowMs)) return later('host.busy');
  const tombstone = draft.get('tombstone', record.transactionId);
  if (tombstone?.terminalId === record.terminalId && reversible.includes(record.kind))
    return refused('record.reversed');
  const outcome = handlerOf(record).apply(draft, record, context);
  if (
    outcome.outcome === 'refused' &&
    (outcome.code === 'credential.replayed' || outcome.code === 'credential.wrongProof')
  )
    draft.alarm(outcome.code, record.terminalId, record.transactionId, `a ${record.kind}`);
  return outcome;
}

/**
 * A tap, a rotating code or a pass's answer counts as used once it held, whatever came of it after. A counter that a phone used
 * for two taps stays the first one's, also where the second is settled by the phone's signature.
 */
function tapUsed(
  facts: Facts,
  record: RecordBody,
  outcome: Exclude<Outcome, { outcome: 'later' }>,
  context: ApplyContext,
): string | null {
  if (!('credential' in record)) return null;
  const unproven: readonly string[] = [
    'credential.unknown',
    'credential.blocked',
    'credential.wrongProof',
    'credential.replayed',
    'credential.tooWeak',
    'pass.none',
    'card.unreadable',
    'pass.unknownKey',
    'pass.forged',
    'pass.outOfTime',
    'tag.wrongKey',
    'tag.forged',
    'tag.lrpMode',
    'record.reversed',
    'record.wrongRealm',
    'bill.wrongTotal',
    'original.unknown',
  ];
  if (outcome.outcome === 'refused' && unproven.includes(outcome.code)) return null;
  const used = usedKey(record.credential, context);
  const isAgain = record.credential.method === 'tap' && used !== null && facts.find('record', 'tap', used).length > 0;
  return isAgain ? null : used;
}
