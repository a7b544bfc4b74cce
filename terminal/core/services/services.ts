/**
 * The services by name, and the records that close any sale: completion, reversal, consumption.
 */
import type { Credential, OfflineDecision, RecordDraft, RecordOf } from '../../../host-sync/protocol/record.js';
import type { ErrorCode } from '../../kernel/errors.js';
import type { AmountMinor, Points } from '../../kernel/units.js';
import type { At } from '../event.js';
import type { AcceptedOutcome, CardWork, SaleRequest, ServiceName } from '../sale.js';
import { couponCard, couponHost } from './coupon.js';
import { plainSale } from './plain-sale.js';
import { pointsEarn, pointsSpend } from './points.js';
import { type AcceptedAnswer, type RequestFor, recordBase, type ServiceRules } from './service.js';
import { topUp, topUpCard, topUpCardVoid, topUpVoid } from './top-up.js';
import { cardCredit, refundSale, voidSale } from './undo.js';

const services: { readonly [Name in ServiceName]: ServiceRules<Name> } = {
  plainSale,
  pointsEarn,
  pointsSpend,
  couponHost,
  couponCard,
  topUp,
  topUpVoid,
  topUpCard,
  topUpCardVoid,
  void: voidSale,
  refund: refundSale,
  cardCredit,
};

/** A request's rules with the request filled in, so that callers need not know which service it is. */
export interface BoundService {
  readonly rules: Pick<
    ServiceRules<ServiceName>,
    'identify' | 'authority' | 'asksBalance' | 'siteAllowed' | 'key' | 'operation'
  >;
  context(): { readonly amountMinor: AmountMinor; readonly points: Points };
  refusal(credential: Credential | null): ErrorCode | null;
  record(credential: Credential | null, card: CardWork | null, at: At): RecordDraft;
  accepted(answer: AcceptedAnswer | null, card: CardWork | null): AcceptedOutcome;
}

export function serviceOf(request: SaleRequest): BoundService {
  const bind = <Name extends ServiceName>(rules: ServiceRules<Name>): BoundService => {
    const own = request as unknown as RequestFor<Name>;
    return {
      rules,
      context: () => rules.context(own),
      refusal: (credential) => rules.refusal(own, credential),
      record: (credential, card, at) => rules.record(own, credential, card, at),
      accepted: (answer, card) => rules.accepted(own, answer, card),
    };
  };
  return bind(services[request.service.name] as ServiceRules<ServiceName>);
}

/** The accepted sale's word to the host that its reservation is used, or that the card's state is not known. */
export const completionRecord = (
  request: SaleRequest,
  outcome: RecordOf<'completion'>['outcome'],
  at: At,
  coveredMinor: AmountMinor | null = null,
): RecordDraft => ({
  ...recordBase(request, at),
  transactionId: request.ids.closing,
  kind: 'completion',
  original: request.ids.transaction,
  outcome,
  ...(coveredMinor === null ? {} : { coveredMinor }),
});

export const reversalRecord = (request: SaleRequest, reason: RecordOf<'reversal'>['reason'], at: At): RecordDraft => ({
  ...recordBase(request, at),
  transactionId: request.ids.closing,
  kind: 'reversal',
  original: request.ids.transaction,
  reason,
});

/**
 * The member as the consumption record names it: a key, pass or tag id, or the static code; null where only the host can tell who
 * it is, which then goes by the sale.
 */
export function businessIdOf(credential: Credential | null): string | null {
  switch (credential?.method) {
    case 'tap':
      return credential.keyId;
    case 'walletPass':
      return credential.passId;
    case 'tagUid':
      return credential.tagId;
    case 'memberCode':
    case 'couponCode':
      return credential.code;
    default:
      return null;
  }
}

/** Services that are no purchase. */
const noPurchase: readonly ServiceName[] = [
  'topUp',
  'topUpVoid',
  'topUpCard',
  'topUpCardVoid',
  'void',
  'refund',
  'cardCredit',
];

/** One purchase for the member's features; an undo or a top-up is none. */
export function consumptionRecords(
  request: SaleRequest,
  credential: Credential | null,
  at: At,
): readonly RecordDraft[] {
  if (noPurchase.includes(request.service.name)) return [];
  return [
    {
      ...recordBase(request, at),
      transactionId: request.ids.consumption,
      kind: 'consumption',
      sale: request.ids.transaction,
      businessId: businessIdOf(credential),
      amountMinor: request.bill.totalMinor,
      currency: request.bill.currency,
      category: request.terms.category,
      location: request.terms.location,
      merchant: request.terms.merchant,
    },
  ];
}

/** The spend's own record, which the host posts at once: the counter has given already. */
const withDecision = (record: RecordDraft, offline: OfflineDecision): RecordDraft =>
  record.kind === 'pointsSpend' || record.kind === 'couponDeduct' ? { ...record, offline } : record;

/** The records of an accepted sale's last commit point. */
export function endRecords(
  request: SaleRequest,
  credential: Credential | null,
  outcome: AcceptedOutcome,
  at: At,
  decision: OfflineDecision | null,
): readonly RecordDraft[] {
  const service = serviceOf(request);
  const covered = request.service.name === 'couponHost' ? outcome.coveredMinor : null;
  const own = decision
    ? withDecision(service.record(credential, null, at), decision)
    : service.rules.authority === 'box'
      ? service.record(credential, null, at)
      : completionRecord(request, 'accepted', at, covered);
  return [own, ...consumptionRecords(request, credential, at)];
}
