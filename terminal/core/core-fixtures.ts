/**
 * Sales for the core's tests: requests of every service with fixed ids, and events with fixed times.
 */
import type { RecordDraft } from '../../host-sync/protocol/record.js';
import type { Balances, FinalAnswer, Rules } from '../../host-sync/protocol/sync.js';
import type { TransactionId } from '../kernel/ports.js';
import { type AmountMinor, durationMs, monotonicMs, type Points, wallMs, zeroAmount } from '../kernel/units.js';
import type { Effect } from './effect.js';
import type { SaleEvent } from './event.js';
import type { OriginalSale, SaleRequest, Service, ServiceName } from './sale.js';
import type { State } from './state.js';
import { transition } from './transition.js';

export const at = { atMonotonicMs: monotonicMs(1_000), atWallMs: wallMs(1_790_000_000_000), clockDoubtful: false };
export const id = (n: number): TransactionId =>
  `01900000-0000-7000-8000-${String(n).padStart(12, '0')}` as TransactionId;
export const ids = { transaction: id(1), closing: id(2), consumption: id(3) };
export const cardKeyId = 'c0c0c0c0c0c0c0c0';
export const nonce = '00'.repeat(16);

export const rules: Rules = {
  version: 3,
  currency: 'CNY',
  earnPoints: 1,
  earnPerMinor: 100,
  spendMinor: 100,
  spendPerPoints: 100,
  couponPartial: false,
};
export const nothingKnown: Balances = {
  points: null,
  pointsOwed: null,
  couponMinor: null,
  couponCode: null,
  currency: null,
};

export const original = (service: ServiceName, changes: Partial<OriginalSale> = {}): OriginalSale => ({
  transactionId: id(9),
  service,
  bill: { currency: 'CNY', totalMinor: 10_000, lines: [], catalogueVersion: null },
  outcome: {
    result: 'accepted',
    authority: 'host',
    points: null,
    coveredMinor: 10_000 as AmountMinor,
    restMinor: zeroAmount,
    balances: null,
  },
  cardKeyId: service === 'couponCard' || service === 'topUpCard' ? cardKeyId : null,
  refundedMinor: zeroAmount,
  voided: false,
  ...changes,
});

export const serviceExamples: readonly Service[] = [
  { name: 'plainSale' },
  { name: 'pointsEarn', typedPoints: null },
  { name: 'pointsSpend', points: 5_000 as Points },
  { name: 'couponHost', couponCode: null },
  { name: 'couponCard' },
  { name: 'topUp', coupon: null },
  { name: 'topUpVoid', original: original('topUp') },
  { name: 'topUpCard' },
  { name: 'topUpCardVoid', original: original('topUpCard') },
  { name: 'void', original: original('pointsEarn') },
  { name: 'refund', original: original('pointsEarn'), amountMinor: 400 as AmountMinor },
  { name: 'cardCredit', original: original('couponCard'), amountMinor: 10_000 as AmountMinor },
];

export const requestFor = (service: Service, changes: Partial<SaleRequest> = {}): SaleRequest => ({
  ids,
  reference: 'till-1',
  requestDigest: '00'.repeat(32),
  origin: 'till',
  clerk: 'ann',
  service,
  bill: { currency: 'CNY', totalMinor: 30_000, lines: [], catalogueVersion: null },
  terms: {
    rules,
    merchant: 'Shop',
    location: 'Here',
    category: 'dining',
    simulated: true,
    credentialTimeout: durationMs(60_000),
    authorisationTimeout: durationMs(5_000),
    balanceTimeout: durationMs(1_500),
    cardAgainTimeout: durationMs(60_000),
    siteDailyMaxMinor: 20_000 as AmountMinor,
  },
  ...changes,
});

export const slotsBefore = 'aa'.repeat(96) + 'bb'.repeat(96);
export const write = { slot: 1 as const, record: 'cc'.repeat(96) };
export const slotsAfter = 'aa'.repeat(96) + 'cc'.repeat(96);
export const slotsTorn = `${'aa'.repeat(96)}${'cc'.repeat(40)}${'bb'.repeat(56)}`;

export const acceptedAnswer = (changes: Partial<Extract<FinalAnswer, { outcome: 'accepted' }>> = {}): FinalAnswer => ({
  outcome: 'accepted',
  transactionId: ids.transaction,
  pointsPosted: 300,
  coveredMinor: 5_000,
  balances: { ...nothingKnown, points: 700 },
  write: null,
  notices: [],
  ...changes,
});
export const refusedAnswer: FinalAnswer = {
  outcome: 'refused',
  transactionId: ids.transaction,
  code: 'points.tooFew',
  detail: '',
  balances: nothingKnown,
};

type Unstamped<E> = E extends SaleEvent ? Omit<E, keyof typeof at> : never;
export const event = (what: Unstamped<SaleEvent>): SaleEvent => ({ ...what, ...at }) as SaleEvent;

/** Events of the ordinary course, by short names, so that a flow reads as one line. */
export const happenings = {
  tap: event({ type: 'cardPresented', linkId: 'L1', terminalNonce: nonce }),
  tapAgain: event({ type: 'cardPresented', linkId: 'L2', terminalNonce: nonce }),
  proof: event({
    type: 'proofReceived',
    linkId: 'L1',
    keyId: cardKeyId,
    phoneNonce: nonce,
    counter: 1,
    proof: nonce,
    hostReachable: true,
    offlineOffer: null,
  }),
  proofAgain: event({
    type: 'proofReceived',
    linkId: 'L2',
    keyId: cardKeyId,
    phoneNonce: nonce,
    counter: 2,
    proof: nonce,
    hostReachable: true,
    offlineOffer: null,
  }),
  proofOffline: event({
    type: 'proofReceived',
    linkId: 'L1',
    keyId: cardKeyId,
    phoneNonce: nonce,
    counter: 1,
    proof: nonce,
    hostReachable: false,
    offlineOffer: null,
  }),
  session: event({ type: 'sessionOpened', linkId: 'L1', authority: 'host' }),
  sessionAgain: event({ type: 'sessionOpened', linkId: 'L2', authority: 'host' }),
  sessionBySite: event({ type: 'sessionOpened', linkId: 'L1', authority: 'site' }),
  read: event({ type: 'cardRead', linkId: 'L1', slots: slotsBefore, siteOffer: null }),
  readBySite: event({
    type: 'cardRead',
    linkId: 'L1',
    slots: slotsBefore,
    siteOffer: { offer: 'pays', write, coveredMinor: 10_000 as AmountMinor, balances: nothingKnown },
  }),
  readBack: event({ type: 'cardRead', linkId: 'L1', slots: slotsAfter, siteOffer: null }),
  readAgainWritten: event({ type: 'cardRead', linkId: 'L2', slots: slotsAfter, siteOffer: null }),
  readAgainTorn: event({ type: 'cardRead', linkId: 'L2', slots: slotsTorn, siteOffer: null }),
  written: event({ type: 'cardWritten', linkId: 'L1' }),
  writtenAgain: event({ type: 'cardWritten', linkId: 'L2' }),
  removed: event({ type: 'cardRemoved', linkId: 'L1' }),
  cancel: event({ type: 'cancelRequested' }),
  silent: event({ type: 'hostSilent', transactionId: ids.transaction }),
  yes: event({ type: 'hostAnswered', transactionId: ids.transaction, answer: acceptedAnswer() }),
  yesCard: event({
    type: 'hostAnswered',
    transactionId: ids.transaction,
    answer: acceptedAnswer({ write, coveredMinor: 10_000, pointsPosted: null }),
  }),
  no: event({ type: 'hostAnswered', transactionId: ids.transaction, answer: refusedAnswer }),
  memberCode: event({ type: 'codeScanned', code: 'SLM0000000000000', hostReachable: true, offlineOffer: null }),
  couponCode: event({ type: 'codeScanned', code: 'SLC0000000000000', hostReachable: true, offlineOffer: null }),
  announced: event({ type: 'announced', transactionId: ids.transaction }),
} as const satisfies Readonly<Record<string, SaleEvent>>;
export type Happening = keyof typeof happenings;

export interface Course {
  readonly state: State;
  readonly effects: readonly Effect[];
  readonly commits: readonly string[];
  readonly records: readonly RecordDraft[];
}

/** Runs events through the machine; commits and announcements succeed at once, as a sound store and display do. */
export function run(from: State, events: readonly SaleEvent[]): Course {
  let state = from;
  const effects: Effect[] = [];
  const inbox = [...events];
  for (let next = inbox.shift(); next; next = inbox.shift()) {
    const [after, caused] = transition(state, next);
    state = after;
    effects.push(...caused);
    for (const effect of caused) {
      const transactionId = ids.transaction;
      if (effect.type === 'persist')
        inbox.unshift(event({ type: 'persisted', transactionId, commit: effect.sale.commit }));
      if (effect.type === 'announce') inbox.unshift(happenings.announced);
    }
  }
  const persists = effects.filter((effect) => effect.type === 'persist');
  return {
    state,
    effects,
    commits: persists.map((effect) => effect.sale.commit),
    records: persists.flatMap((effect) => effect.records),
  };
}

export const course = (service: Service, names: readonly Happening[]): Course =>
  run({ phase: 'idle', generation: 0 }, [
    event({ type: 'saleRequested', request: requestFor(service) }),
    ...names.map((name) => happenings[name]),
  ]);

/** The outcome that was announced; null when none was. */
export const announcedOf = (done: Course) => done.effects.find((effect) => effect.type === 'announce')?.outcome ?? null;
