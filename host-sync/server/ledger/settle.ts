/**
 * Settling: the later word on a sale (completion, time-out, reversal, void, refund), dispatched by what kind of sale it is.
 * Pure. Each word is idempotent on the sale's state; how value moves is points.ts's, coupon.ts's and card-state.ts's.
 */
import type { RecordOf } from '../../protocol/record.js';
import { accepted, couponBalances, memberBalances, noBalances, type Outcome, refused } from './answer.js';
import { isCardCredit, isCardSale } from './card-kinds.js';
import {
  acceptCard,
  loseCard,
  planCardAccounts,
  planPendingWrite,
  planWriter,
  reverseCard,
  undoCardDebit,
} from './card-state.js';
import { asTold, bearRest, postDeduct, releaseDeduct, retake, undoDeduct } from './coupon.js';
import { planCouponAccounts } from './coupon-accounts.js';
import type { Draft } from './draft.js';
import type { Collector, Facts } from './facts.js';
import { planPartnerOf } from './federation.js';
import { planPointsAccounts } from './member-points.js';
import { isSameMerchant } from './membership.js';
import { postSpend, releaseSpend, undoPoints } from './points.js';
import { undoneTarget } from './refund-share.js';
import { planRules } from './rules.js';
import type { Row } from './tables.js';
import { postTopUp, postTopUpVoid, releaseTopUp, releaseTopUpVoid, undoTopUp, undoTopUpVoid } from './top-up.js';

type Sale = Row<'sale'>;
interface Settled {
  readonly sale: Sale;
  readonly notices: readonly string[];
}

/** States what settling this sale reads. */
export function planSale(need: Collector, saleId: string): void {
  const sale = need.get('sale', saleId);
  if (!sale) return;
  need.get('terminal', sale.terminalId);
  if (sale.memberId !== null && (sale.kind === 'pointsEarn' || sale.kind === 'pointsSpend')) {
    planPointsAccounts(need, sale.memberId, sale.terminalId);
    planPartnerOf(need, sale);
    if (sale.rulesVersion !== null) planRules(need, sale.rulesVersion);
  }
  const coupon = sale.couponId === null ? undefined : need.get('coupon', sale.couponId);
  if (coupon?.holder === 'host') planCouponAccounts(need, coupon, sale.terminalId);
  if (coupon?.holder === 'card') {
    planCardAccounts(need, coupon.id, coupon.currency, sale.terminalId);
    if (sale.cardCounter !== null) planWriter(need, coupon, sale.cardCounter);
    planPendingWrite(need, coupon);
  }
  const original = sale.originalId === null ? undefined : need.get('sale', sale.originalId);
  if (original?.couponId) planCardAccounts(need, original.couponId, original.currency, original.terminalId);
}

/** States what a record about another record reads. */
export function planAbout(need: Collector, original: string): void {
  need.get('record', original);
  need.get('tombstone', original);
  planSale(need, original);
}

const balances = (facts: Facts, sale: Sale) => {
  const coupon = sale.couponId === null ? undefined : facts.get('coupon', sale.couponId);
  if (coupon) return couponBalances(facts, coupon);
  return sale.memberId === null ? noBalances : memberBalances(facts, sale.memberId);
};

/** The sale's value is taken for good: the completion came, or a void or refund shows that it was accepted. */
function postReserved(draft: Draft, sale: Sale): Settled {
  const posted = (settled: Settled): Settled => ({
    ...settled,
    sale: { ...settled.sale, state: 'accepted', expiresAtMs: null },
  });
  switch (sale.kind) {
    case 'pointsSpend':
      return posted({ sale, notices: postSpend(draft, sale) });
    case 'couponDeduct':
      return posted(postDeduct(draft, sale));
    case 'topUp':
      return posted({ sale, notices: postTopUp(draft, sale) });
    case 'topUpVoid':
      return posted(postTopUpVoid(draft, sale));
    case 'cardDebit':
    case 'cardCredit':
    case 'cardTopUp':
    case 'cardTopUpVoid':
      return posted(acceptCard(draft, sale));
    default:
      return { sale, notices: [] };
  }
}

/** Posts a coupon's deduction as the box told its clerk, which differs from what this host has taken for it; alarmed. */
function postAsTold(draft: Draft, sale: Sale, toldMinor: number): Settled {
  draft.alarm('coupon.asTold', sale.terminalId, sale.id, `${toldMinor} told, ${sale.coveredMinor} reserved`);
  if (sale.state === 'accepted' || sale.state === 'voided') {
    const told = retell(draft, sale, toldMinor);
    return { sale: told, notices: told.riskMinor > sale.riskMinor ? ['coupon.risk'] : [] };
  }
  const { borneMinor, sale: told } = asTold(draft, sale, toldMinor);
  const { notices, sale: posted } = postReserved(draft, told);
  return {
    sale: bearRest(draft, posted, borneMinor),
    notices: borneMinor > 0 ? [...notices, 'coupon.risk'] : notices,
  };
}

/** The void or refund came first and posted what was reserved: what it took and gave back becomes what was told. */
function retell(draft: Draft, sale: Sale, toldMinor: number): Sale {
  const told = { ...sale, coveredMinor: Math.min(toldMinor, sale.totalMinor) };
  const undone = undoneTarget(draft, told, sale.refundedMinor);
  const more = told.coveredMinor - undone - (sale.coveredMinor - sale.undone);
  return { ...told, undone, riskMinor: retake(draft, sale, more).riskMinor };
}

/** The reservation of a host-held sale falls back. `state` is what it becomes. */
export function releaseReserved(draft: Draft, sale: Sale, state: 'timedOut' | 'reversed', cause: string): void {
  if (sale.kind === 'pointsSpend') releaseSpend(draft, sale, cause);
  if (sale.kind === 'couponDeduct') releaseDeduct(draft, sale, cause);
  if (sale.kind === 'topUp') releaseTopUp(draft, sale, cause);
  if (sale.kind === 'topUpVoid') releaseTopUpVoid(draft, sale, cause);
  draft.put('sale', { ...sale, state, expiresAtMs: null });
}

/** Undoes a posted sale up to `refundedMinor` of its total. */
function undo(draft: Draft, sale: Sale, refundedMinor: number, cause: string): Sale {
  const undone = undoneTarget(draft, sale, refundedMinor);
  const amount = undone - sale.undone;
  const after = { ...sale, refundedMinor, undone };
  if (sale.kind === 'pointsEarn' || sale.kind === 'pointsSpend')
    return { ...after, riskMinor: undoPoints(draft, sale, amount, cause).riskMinor };
  if (sale.kind === 'couponDeduct') return { ...after, riskMinor: undoDeduct(draft, sale, amount, cause).riskMinor };
  if (sale.kind === 'topUp') return { ...after, riskMinor: undoTopUp(draft, sale, sale.coveredMinor, cause).riskMinor };
  if (sale.kind === 'topUpVoid') return { ...after, riskMinor: undoTopUpVoid(draft, sale, amount, cause).riskMinor };
  if (sale.kind === 'cardDebit') return { ...after, riskMinor: undoCardDebit(draft, sale, amount, cause).riskMinor };
  return after;
}

/** The original of a completion or reversal must be the box's own. */
const isForeign = (draft: Draft, original: string, terminalId: string): boolean => {
  const seen = draft.get('record', original);
  return seen !== undefined && seen.terminalId !== terminalId;
};

/** The box told its clerk another amount than this host has for the sale. */
const isRetold = (
  sale: Sale,
  record: RecordOf<'completion'>,
): record is RecordOf<'completion'> & { readonly coveredMinor: number } =>
  sale.kind === 'couponDeduct' && record.coveredMinor !== undefined && record.coveredMinor !== sale.coveredMinor;

export function applyCompletion(draft: Draft, record: RecordOf<'completion'>): Outcome {
  if (isForeign(draft, record.original, record.terminalId)) {
    draft.alarm('completion.foreign', record.terminalId, record.original, 'a completion of another terminal’s sale');
    return refused('original.unknown');
  }
  const sale = draft.get('sale', record.original);
  if (!sale || draft.get('tombstone', record.original)) {
    return draft.get('tombstone', record.original) ? refused('record.reversed') : refused('original.unknown');
  }
  const settledBy = ({ notices, sale: settled }: Settled): Outcome => {
    draft.put('sale', settled);
    return accepted(balances(draft, settled), { notices });
  };
  if (record.outcome === 'cardUnknown') {
    if (!isCardSale(sale)) return refused('record.malformed', 'no card in that sale');
    // A credit that was taken back stays so: what was given was given back.
    if (sale.state === 'reversed' && isCardCredit(sale)) return refused('record.reversed', '', balances(draft, sale));
    draft.put('sale', loseCard(draft, sale));
    return accepted(balances(draft, sale));
  }
  switch (sale.state) {
    case 'reversed':
      return refused('record.reversed', '', balances(draft, sale));
    case 'accepted':
    case 'voided':
      return isRetold(sale, record)
        ? settledBy(postAsTold(draft, sale, record.coveredMinor))
        : accepted(balances(draft, sale));
    default:
      return settledBy(
        isRetold(sale, record) ? postAsTold(draft, sale, record.coveredMinor) : postReserved(draft, sale),
      );
  }
}

/** Undoes what had no final word; where the original has not come yet, it is refused when it does. */
export function applyReversal(draft: Draft, record: RecordOf<'reversal'>): Outcome {
  if (isForeign(draft, record.original, record.terminalId)) {
    draft.alarm('reversal.foreign', record.terminalId, record.original, 'a reversal of another terminal’s transaction');
    return refused('original.unknown');
  }
  const seen = draft.get('record', record.original);
  if (!seen) {
    if (!draft.get('tombstone', record.original))
      draft.put('tombstone', {
        id: record.original,
        terminalId: record.terminalId,
        reversal: record.transactionId,
        atMs: draft.atMs,
      });
    return accepted(noBalances);
  }
  const sale = draft.get('sale', record.original);
  if (!sale)
    return seen.outcome === 'refused' ? accepted(noBalances) : refused('original.notVoidable', `a ${seen.kind} stands`);
  if (sale.state === 'reversed' || sale.state === 'voided') return accepted(balances(draft, sale));
  if (isCardSale(sale)) {
    draft.put('sale', reverseCard(draft, sale, record.reason === 'cardNotWritten'));
  } else if (sale.state === 'reserved') {
    releaseReserved(draft, sale, 'reversed', 'reversal');
  } else if (sale.state === 'timedOut') {
    draft.put('sale', { ...sale, state: 'reversed' });
  } else {
    draft.put('sale', {
      ...undo(draft, sale, sale.totalMinor, 'reversal'),
      refundedMinor: sale.refundedMinor,
      state: 'reversed',
    });
  }
  return accepted(balances(draft, sale));
}

/** What of the original was given back: points taken or returned, or minor units. */
const given = (before: Sale, after: Sale) => {
  const change = after.undone - before.undone;
  return before.kind === 'pointsEarn' || before.kind === 'pointsSpend'
    ? { pointsPosted: change }
    : { coveredMinor: change };
};

/** Kinds that no void or refund undoes: a top-up has a void of its own, and what undoes a sale stands. */
const ownUndo: readonly Sale['kind'][] = ['cardCredit', 'topUp', 'topUpVoid', 'cardTopUp', 'cardTopUpVoid'];

/** Why this sale cannot be undone; null: it can, by void or refund. */
function undoProblem(draft: Draft, { original, terminalId }: RecordOf<'void' | 'refund'>): Outcome | null {
  const sale = draft.get('sale', original);
  if (sale && !isSameMerchant(draft, sale, terminalId)) return refused('original.unknown');
  if (!sale) return refused(draft.get('record', original) ? 'original.notVoidable' : 'original.unknown');
  const isStanding = sale.state === 'accepted' || sale.state === 'reserved' || sale.state === 'timedOut';
  return isStanding && !ownUndo.includes(sale.kind)
    ? null
    : refused('original.notVoidable', sale.state, balances(draft, sale));
}

/** Undoes a whole sale that was not refunded in part. */
export function applyVoid(draft: Draft, record: RecordOf<'void'>): Outcome {
  const problem = undoProblem(draft, record);
  const sale = draft.get('sale', record.original);
  if (problem || !sale) return problem ?? refused('original.unknown');
  if (sale.refundedMinor > 0) return refused('original.notVoidable', 'refunded in part', balances(draft, sale));
  // What a host holds has fallen back already; a card's write, which an older reading seemed to refute, was one after all.
  if (sale.state === 'timedOut' && sale.kind !== 'cardDebit') {
    const { totalMinor: refundedMinor } = sale;
    draft.put('sale', { ...sale, refundedMinor, undone: undoneTarget(draft, sale, refundedMinor), state: 'voided' });
    return accepted(balances(draft, sale));
  }
  const settled = sale.state !== 'accepted' ? postReserved(draft, sale) : { sale, notices: [] };
  const after: Sale = { ...undo(draft, settled.sale, sale.totalMinor, 'void'), state: 'voided' };
  draft.put('sale', after);
  return accepted(balances(draft, after), given(settled.sale, after));
}

/** Gives a part of a sale back; all refunds together are at most its total. */
export function applyRefund(draft: Draft, record: RecordOf<'refund'>): Outcome {
  const problem = undoProblem(draft, record);
  const sale = draft.get('sale', record.original);
  if (problem || !sale) return problem ?? refused('original.unknown');
  const refundedMinor = sale.refundedMinor + record.amountMinor;
  if (refundedMinor > sale.totalMinor)
    return refused('refund.tooLarge', `${sale.totalMinor - sale.refundedMinor} left`, balances(draft, sale));
  const settled = sale.state === 'accepted' ? { sale, notices: [] } : postReserved(draft, sale);
  const after = undo(draft, settled.sale, refundedMinor, 'refund');
  draft.put('sale', after);
  return accepted(balances(draft, after), { ...given(settled.sale, after), notices: settled.notices });
}
