/**
 * Sales and records as the machine makes them, for the store's tests and benches: everything but ids fixed.
 * Must not be imported by what runs on the box.
 */
import type { Bill, CardWrite, RecordDraft } from '../../host-sync/protocol/record.js';
import type { Balances, FinalAnswer } from '../../host-sync/protocol/sync.js';
import type { AcceptedOutcome, OriginalSale, PersistedSale, SaleRequest, Service } from '../core/sale.js';
import type { TransactionId } from '../kernel/ports.js';
import { type AmountMinor, durationMs, type Points, wallMs } from '../kernel/units.js';

export const fixtureTerminal = 't-0123456789ab';
export const fixtureStart = wallMs(1_790_000_000_000);
export const cardKeyId = 'c0c0c0c0c0c0c0c0';
const amount = (minor: number) => minor as AmountMinor;
const points = (count: number) => count as Points;

/** The UUID version 7 of millisecond `ms` whose other bits count `serial` (0…2^40-1). */
export function fixtureId(ms: number, serial: number): TransactionId {
  const time = ms.toString(16).padStart(12, '0');
  const rest = serial.toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${rest}` as TransactionId;
}

const bill: Bill = {
  currency: 'CNY',
  totalMinor: 30_000,
  lines: [
    {
      code: '6901234567892',
      name: '黑森林蛋糕 8 inch',
      quantity: 2,
      unitPriceMinor: 10_000,
      priceSource: 'catalogue',
      amountMinor: 20_000,
    },
    {
      code: '6909876543210',
      name: '红烧牛肉面',
      quantity: 1,
      unitPriceMinor: 10_000,
      priceSource: 'override',
      amountMinor: 10_000,
    },
  ],
  catalogueVersion: 7,
};

export const tap = {
  method: 'tap',
  key: 'member',
  keyId: 'a1a2a3a4a5a6a7a8',
  terminalNonce: '00112233445566778899aabbccddeeff',
  phoneNonce: 'ffeeddccbbaa99887766554433221100',
  counter: 41,
  proof: '0f1e2d3c4b5a69788796a5b4c3d2e1f0',
} as const;

/** Sale number `serial`: its three ids are `serial` × 4 + 0…2, drawn `serial` seconds after the fixture's start. */
export function request(serial: number, service: Service, reference: string | null): SaleRequest {
  const ms = fixtureStart + serial * 1_000;
  return {
    ids: {
      transaction: fixtureId(ms, serial * 4),
      closing: fixtureId(ms, serial * 4 + 1),
      consumption: fixtureId(ms, serial * 4 + 2),
    },
    reference,
    requestDigest: 'd1'.repeat(32),
    origin: reference === null ? 'scanner' : 'till',
    clerk: 'clerk 7',
    service,
    bill,
    terms: {
      rules: {
        version: 3,
        currency: 'CNY',
        earnPoints: 1,
        earnPerMinor: 100,
        spendMinor: 100,
        spendPerPoints: 100,
        couponPartial: true,
      },
      merchant: '好味道餐厅',
      location: 'store 12',
      category: 'dining',
      simulated: false,
      credentialTimeout: durationMs(60_000),
      authorisationTimeout: durationMs(5_000),
      balanceTimeout: durationMs(2_000),
      cardAgainTimeout: durationMs(30_000),
      siteDailyMaxMinor: amount(50_000),
    },
  };
}

const base = (sale: SaleRequest, transactionId: TransactionId) => ({
  transactionId,
  atWallMs: fixtureStart,
  clockDoubtful: false,
  simulated: false,
  clerk: sale.clerk,
});

export const accepted = (covered: number, authority: AcceptedOutcome['authority']): AcceptedOutcome => ({
  result: 'accepted',
  authority,
  points: points(300),
  coveredMinor: amount(covered),
  restMinor: amount(30_000 - covered),
  balances: null,
});

export interface Step {
  readonly sale: PersistedSale;
  readonly records: readonly RecordDraft[];
}

function consumption(sale: SaleRequest): RecordDraft {
  return {
    ...base(sale, sale.ids.consumption),
    kind: 'consumption',
    sale: sale.ids.transaction,
    businessId: tap.keyId,
    amountMinor: sale.bill.totalMinor,
    currency: 'CNY',
    category: 'dining',
    location: 'store 12',
    merchant: '好味道餐厅',
  };
}

/** An earn offline: one commit of two records, the commonest accept of all. Worth 300 points. */
export function earn(serial: number, reference: string | null = `till-1-${serial}`): Step {
  const sale = request(serial, { name: 'pointsEarn', typedPoints: null }, reference);
  return {
    sale: { commit: 'ended', request: sale, credential: tap, cardKeyId: null, outcome: accepted(0, 'box') },
    records: [
      {
        ...base(sale, sale.ids.transaction),
        kind: 'pointsEarn',
        reference,
        bill: sale.bill,
        credential: tap,
        rulesVersion: 3,
        points: 300,
        typed: false,
      },
      consumption(sale),
    ],
  };
}

/** A sale without a member: it moves nothing. */
export function plainSale(serial: number): Step {
  const sale = request(serial, { name: 'plainSale' }, null);
  return {
    sale: { commit: 'ended', request: sale, credential: null, cardKeyId: null, outcome: accepted(0, 'box') },
    records: [{ ...base(sale, sale.ids.transaction), kind: 'plainSale', reference: null, bill: sale.bill }],
  };
}

/** The intent of a spend of 500 points: worth 5.00 and 500 points. */
export function spendIntent(serial: number): Step {
  const reference = `till-1-${serial}`;
  const sale = request(serial, { name: 'pointsSpend', points: points(500) }, reference);
  const spend: RecordDraft = {
    ...base(sale, sale.ids.transaction),
    kind: 'pointsSpend',
    reference,
    bill: sale.bill,
    credential: tap,
    rulesVersion: 3,
    points: 500,
    coveredMinor: 500,
  };
  return { sale: { commit: 'intent', request: sale, credential: tap, card: null }, records: [spend] };
}

/** The second commit of a spend: completed with its consumption record, or refused and reversed. */
export function spendOutcome(serial: number, result: 'accepted' | 'refused'): Step {
  const { request: sale } = spendIntent(serial).sale;
  const ended = { commit: 'ended', request: sale, credential: tap, cardKeyId: null } as const;
  const closing = { ...base(sale, sale.ids.closing), original: sale.ids.transaction };
  if (result === 'accepted') {
    return {
      sale: { ...ended, outcome: accepted(500, 'host') },
      records: [{ ...closing, kind: 'completion', outcome: 'accepted' }, consumption(sale)],
    };
  }
  return {
    sale: { ...ended, outcome: { result: 'refused', code: 'host.noAnswer', balances: null } },
    records: [{ ...closing, kind: 'reversal', reason: 'noAnswer' }],
  };
}

/** The three commits of a card debit under the site key, of `covered` minor units; `end` says how it ends. */
export function siteDebit(serial: number, covered: number, end: 'accepted' | 'refused' | 'unknown'): readonly Step[] {
  const sale = request(serial, { name: 'couponCard' }, null);
  const credential = { ...tap, key: 'card', keyId: cardKeyId } as const;
  const write: CardWrite = { slot: 1, record: 'ab'.repeat(96) };
  const slots = 'cd'.repeat(192);
  const card = { cardKeyId, slots, authority: 'site', write, coveredMinor: amount(covered), balances: null } as const;
  const debit: RecordDraft = {
    ...base(sale, sale.ids.transaction),
    ...{ kind: 'cardDebit', reference: null, bill: sale.bill, credential, partial: true, amountMinor: covered },
    ...{ slots, write },
  };
  const outcome = {
    accepted: accepted(covered, 'site'),
    refused: { result: 'refused', code: 'card.another', balances: null },
    unknown: { result: 'unknown', code: 'card.unknown' },
  } as const;
  return [
    { sale: { commit: 'intent', request: sale, credential, card }, records: [debit] },
    { sale: { commit: 'written', request: sale, credential, card }, records: [] },
    { sale: { commit: 'ended', request: sale, credential, cardKeyId, outcome: outcome[end] }, records: [] },
  ];
}

/** A void, or with an amount a refund, of an earlier sale of these fixtures, ended as said. */
export function undo(serial: number, original: Step, amountMinor: number | null, result: 'accepted' | 'refused'): Step {
  const { request: first } = original.sale;
  const of: OriginalSale = {
    transactionId: first.ids.transaction,
    service: first.service.name,
    bill: first.bill,
    outcome: accepted(0, 'box'),
    cardKeyId: null,
    refundedMinor: amount(0),
    voided: false,
  };
  const service: Service =
    amountMinor === null
      ? { name: 'void', original: of }
      : { name: 'refund', original: of, amountMinor: amount(amountMinor) };
  const sale = request(serial, service, null);
  const closing = { ...base(sale, sale.ids.transaction), reference: null, original: of.transactionId };
  const records: RecordDraft[] = [
    amountMinor === null ? { ...closing, kind: 'void' } : { ...closing, kind: 'refund', amountMinor },
  ];
  const outcome =
    result === 'accepted'
      ? accepted(amountMinor ?? 0, 'box')
      : ({ result: 'refused', code: 'original.notVoidable', balances: null } as const);
  return {
    sale: { commit: 'ended', request: sale, credential: null, cardKeyId: null, outcome },
    records: result === 'accepted' ? records : [],
  };
}

const noBalances: Balances = {
  points: null,
  pointsOwed: null,
  couponMinor: null,
  couponCode: null,
  currency: null,
};
export const acceptedAnswer = (transactionId: TransactionId): FinalAnswer => ({
  ...{ outcome: 'accepted', transactionId, pointsPosted: 300, coveredMinor: null },
  ...{ balances: { ...noBalances, points: 1_300 }, write: null, notices: [] },
});
export const refusedAnswer = (transactionId: TransactionId): FinalAnswer => ({
  ...{ outcome: 'refused', transactionId, code: 'credential.unknown', detail: '', balances: noBalances },
});
