/**
 * Shows that each flow of the acceptance machine has its stated commit points and records, in the order that keeps value
 * safe; and, by random walks, what holds on every path: persist comes first, one ending, nothing shown before its commit.
 */
import fc from 'fast-check';
import t from 'tap';
import type { AmountMinor, Points } from '../kernel/units.js';
import {
  announcedOf,
  at,
  course,
  event,
  type Happening,
  happenings,
  ids,
  original,
  requestFor,
  run,
  serviceExamples,
} from './core-fixtures.js';
import type { Effect } from './effect.js';
import type { SaleEvent } from './event.js';
import { recover } from './recovery.js';
import type { PersistedSale, Service } from './sale.js';
import { initialState, type State } from './state.js';
import { table, transition } from './transition.js';

const service = (name: Service['name']): Service => serviceExamples.find((one) => one.name === name) as Service;

const flows: readonly {
  readonly name: string;
  readonly service: Service;
  readonly happens: readonly Happening[];
  readonly commits: readonly string[];
  readonly kinds: readonly string[];
  readonly ends: string;
}[] = [
  {
    name: 'plain sale',
    service: service('plainSale'),
    happens: [],
    commits: ['ended'],
    kinds: ['plainSale', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'earn, host answers',
    service: service('pointsEarn'),
    happens: ['tap', 'proof', 'yes'],
    commits: ['ended'],
    kinds: ['pointsEarn', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'earn, host silent',
    service: service('pointsEarn'),
    happens: ['tap', 'proofOffline', 'silent'],
    commits: ['ended'],
    kinds: ['pointsEarn', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'earn by shown code',
    service: service('pointsEarn'),
    happens: ['memberCode', 'silent'],
    commits: ['ended'],
    kinds: ['pointsEarn', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'spend, accepted',
    service: service('pointsSpend'),
    happens: ['tap', 'proof', 'yes'],
    commits: ['intent', 'ended'],
    kinds: ['pointsSpend', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'spend, refused',
    service: service('pointsSpend'),
    happens: ['tap', 'proof', 'no'],
    commits: ['intent', 'ended'],
    kinds: ['pointsSpend'],
    ends: 'points.tooFew',
  },
  {
    name: 'spend, no answer',
    service: service('pointsSpend'),
    happens: ['tap', 'proof', 'silent'],
    commits: ['intent', 'ended'],
    kinds: ['pointsSpend', 'reversal'],
    ends: 'host.noAnswer',
  },
  {
    name: 'spend, cancelled while asking',
    service: service('pointsSpend'),
    happens: ['tap', 'proof', 'cancel', 'yes'],
    commits: ['intent', 'ended'],
    kinds: ['pointsSpend', 'reversal'],
    ends: 'sale.cancelled',
  },
  {
    name: 'spend, offline',
    service: service('pointsSpend'),
    happens: ['tap', 'proofOffline'],
    commits: ['ended'],
    kinds: [],
    ends: 'host.unreachable',
  },
  {
    name: 'spend by a shown code',
    service: service('pointsSpend'),
    happens: ['memberCode'],
    commits: ['ended'],
    kinds: [],
    ends: 'credential.tooWeak',
  },
  {
    name: 'coupon at the host by its code',
    service: service('couponHost'),
    happens: ['couponCode', 'yes'],
    commits: ['intent', 'ended'],
    kinds: ['couponDeduct', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'coupon on the card',
    service: service('couponCard'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack'],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardDebit', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'coupon on the card by the site key',
    service: service('couponCard'),
    happens: ['tap', 'proofOffline', 'sessionBySite', 'readBySite', 'written', 'readBack'],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardDebit', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'card torn, found written',
    service: service('couponCard'),
    happens: [
      'tap',
      'proof',
      'session',
      'read',
      'yesCard',
      'removed',
      'tapAgain',
      'proofAgain',
      'sessionAgain',
      'readAgainWritten',
    ],
    commits: ['intent', 'ended'],
    kinds: ['cardDebit', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'card torn, found torn, written again',
    service: service('couponCard'),
    happens: [
      'tap',
      'proof',
      'session',
      'read',
      'yesCard',
      'removed',
      'tapAgain',
      'proofAgain',
      'sessionAgain',
      'readAgainTorn',
      'writtenAgain',
      'readAgainWritten',
    ],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardDebit', 'completion', 'consumption'],
    ends: 'accepted',
  },
  {
    name: 'card torn, never seen again',
    service: service('couponCard'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'removed', 'cancel'],
    commits: ['intent', 'ended'],
    kinds: ['cardDebit', 'completion'],
    ends: 'card.unknown',
  },
  {
    name: 'card left before the host answered no',
    service: service('couponCard'),
    happens: ['tap', 'proof', 'session', 'read', 'removed', 'no'],
    commits: ['intent', 'ended'],
    kinds: ['cardDebit'],
    ends: 'points.tooFew',
  },
  { name: 'void', service: service('void'), happens: ['yes'], commits: ['ended'], kinds: ['void'], ends: 'accepted' },
  {
    name: 'refund',
    service: service('refund'),
    happens: ['silent'],
    commits: ['ended'],
    kinds: ['refund'],
    ends: 'accepted',
  },
  {
    name: 'back to the card',
    service: service('cardCredit'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack'],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardCredit', 'completion'],
    ends: 'accepted',
  },
  {
    name: 'top-up by tap',
    service: service('topUp'),
    happens: ['tap', 'proof', 'yes'],
    commits: ['intent', 'ended'],
    kinds: ['topUp', 'completion'],
    ends: 'accepted',
  },
  {
    name: 'top-up without an answer',
    service: service('topUp'),
    happens: ['memberCode', 'silent'],
    commits: ['intent', 'ended'],
    kinds: ['topUp', 'reversal'],
    ends: 'host.noAnswer',
  },
  {
    name: 'top-up while the host cannot be reached',
    service: service('topUp'),
    happens: ['tap', 'proofOffline'],
    commits: ['ended'],
    kinds: [],
    ends: 'host.unreachable',
  },
  {
    name: 'void of a top-up',
    service: service('topUpVoid'),
    happens: ['yes'],
    commits: ['intent', 'ended'],
    kinds: ['topUpVoid', 'completion'],
    ends: 'accepted',
  },
  {
    name: 'void of a top-up without an answer',
    service: service('topUpVoid'),
    happens: ['silent'],
    commits: ['intent', 'ended'],
    kinds: ['topUpVoid', 'reversal'],
    ends: 'host.noAnswer',
  },
  {
    name: 'void of a top-up that was spent',
    service: service('topUpVoid'),
    happens: ['no'],
    commits: ['intent', 'ended'],
    kinds: ['topUpVoid'],
    ends: 'points.tooFew',
  },
  {
    name: 'top-up of the card',
    service: service('topUpCard'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack'],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardTopUp', 'completion'],
    ends: 'accepted',
  },
  {
    name: 'top-up of the card without an answer',
    service: service('topUpCard'),
    happens: ['tap', 'proof', 'session', 'read', 'silent'],
    commits: ['intent', 'ended'],
    kinds: ['cardTopUp', 'reversal'],
    ends: 'host.noAnswer',
  },
  {
    name: 'top-up of a card that is never seen again',
    service: service('topUpCard'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'removed', 'cancel'],
    commits: ['intent', 'ended'],
    kinds: ['cardTopUp', 'completion'],
    ends: 'card.unknown',
  },
  {
    name: 'void of a top-up of the card',
    service: service('topUpCardVoid'),
    happens: ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack'],
    commits: ['intent', 'written', 'ended'],
    kinds: ['cardTopUpVoid', 'completion'],
    ends: 'accepted',
  },
  {
    name: 'cancelled before the tap',
    service: service('pointsEarn'),
    happens: ['cancel'],
    commits: ['ended'],
    kinds: [],
    ends: 'sale.cancelled',
  },
];

for (const flow of flows) {
  t.test(flow.name, (t) => {
    const done = course(flow.service, flow.happens);
    t.same(done.commits, flow.commits, 'commit points');
    t.same(
      done.records.map((record) => record.kind),
      flow.kinds,
      'records, in the order of the journal',
    );
    const outcome = announcedOf(done);
    t.equal(outcome?.result === 'accepted' ? 'accepted' : outcome?.code, flow.ends, 'outcome');
    t.equal(done.state.phase, 'idle', 'the box is free again');
    t.end();
  });
}

t.test('every phase decides every event', (t) => {
  const phases = Object.keys(table);
  const width = Object.keys(table.idle).length;
  t.ok(phases.length >= 15 && width >= 18);
  for (const [phase, row] of Object.entries(table)) {
    t.equal(Object.keys(row).length, width, phase);
    for (const cell of Object.values(row))
      t.ok(typeof cell === 'function' || cell === 'ignored' || cell === 'impossible');
  }
  t.end();
});

t.test('a late timer of an old generation means nothing', (t) => {
  const waiting = course(service('pointsEarn'), []).state;
  t.equal(waiting.generation, 1);
  t.equal(transition(waiting, event({ type: 'timerFired', generation: 0 }))[0], waiting);
  t.equal(transition(waiting, event({ type: 'timerFired', generation: 1 }))[0].phase, 'persistingEnd');
  t.end();
});

t.test('a card that is not the one that began is not settled by', (t) => {
  const torn = course(service('couponCard'), [
    'tap',
    'proof',
    'session',
    'read',
    'yesCard',
    'removed',
    'tapAgain',
  ]).state;
  const [state] = transition(torn, { ...happenings.proofAgain, keyId: '0102030405060708' } as SaleEvent);
  t.equal(state.phase, 'awaitingCardAgain');
  t.end();
});

t.test('a record that another box wrote meanwhile is never written over', (t) => {
  const tornAway = ['tap', 'proof', 'session', 'read', 'yesCard', 'removed', 'tapAgain', 'proofAgain', 'sessionAgain'];
  const seen = (slots: string) =>
    run(course(service('couponCard'), tornAway as Happening[]).state, [
      event({ type: 'cardRead', linkId: 'L2', slots, siteOffer: null }),
    ]);
  const before = 'aa'.repeat(96);
  const another = `${before}${'cc'.repeat(30)}${'5d'.repeat(66)}`;
  const found = seen(another);
  t.notOk(
    found.effects.some((effect) => effect.type === 'writeCard'),
    'the other box found the same slot free: its debit has paid for something',
  );
  t.equal(announcedOf(found)?.result, 'unknown', 'the host settles it by what the card shows next');
  t.same(
    found.records.map((record) => record.kind),
    ['completion'],
  );
  for (const erased of ['00', 'ff'])
    t.equal(
      seen(`${before}${'cc'.repeat(40)}${erased.repeat(56)}`).state.phase,
      'writingCard',
      'a torn slot is written',
    );
  t.end();
});

t.test('undo refuses what cannot be undone', (t) => {
  const codeOf = (undo: Service) => {
    const outcome = announcedOf(course(undo, []));
    return outcome?.result === 'accepted' ? null : outcome?.code;
  };
  t.equal(codeOf({ name: 'void', original: original('pointsEarn', { voided: true }) }), 'original.notVoidable');
  t.equal(
    codeOf({ name: 'void', original: original('pointsEarn', { refundedMinor: 1 as AmountMinor }) }),
    'original.notVoidable',
  );
  t.equal(codeOf({ name: 'void', original: original('refund') }), 'original.notVoidable');
  t.equal(
    codeOf({ name: 'refund', original: original('pointsEarn'), amountMinor: 10_001 as AmountMinor }),
    'refund.tooLarge',
  );
  t.equal(
    codeOf({
      name: 'refund',
      original: original('pointsEarn', { refundedMinor: 9_700 as AmountMinor }),
      amountMinor: 400 as AmountMinor,
    }),
    'refund.tooLarge',
  );
  t.equal(codeOf({ name: 'pointsSpend', points: 0 as Points }), 'points.notAllowed');
  t.end();
});

t.test(
  'a store that refuses the first commit for room or size: refused, nothing stored; any other failure halts',
  (t) => {
    const request = requestFor(service('plainSale'));
    const [deciding] = transition(initialState, event({ type: 'saleRequested', request }));
    const failed = (code: 'store.full' | 'input.tooLong' | 'store.failed') =>
      transition(deciding, event({ type: 'persistFailed', transactionId: ids.transaction, commit: 'ended', code }));
    const [full, effects] = failed('store.full');
    t.equal(full.phase, 'announcing');
    t.same(
      effects.map((effect) => effect.type),
      ['prompt', 'announce'],
    );
    t.equal(failed('input.tooLong')[0].phase, 'announcing', 'one long bill does not stop the box');
    t.equal(failed('store.failed')[0].phase, 'halted');
    const intent = run(initialState, [
      event({ type: 'saleRequested', request: requestFor(service('pointsSpend')) }),
      happenings.tap,
    ]);
    const [intending] = transition(intent.state, happenings.proof);
    t.equal(intending.phase, 'persistingIntent');
    t.equal(
      transition(
        intending,
        event({ type: 'persistFailed', transactionId: ids.transaction, commit: 'intent', code: 'store.full' }),
      )[0].phase,
      'announcing',
    );
    t.end();
  },
);

t.test('recovery settles every commit point of every flow', (t) => {
  for (const flow of flows) {
    const commits = course(flow.service, flow.happens).effects.filter((effect) => effect.type === 'persist');
    for (const { sale } of commits) {
      const [state, effects] = recover(sale, 7, at);
      const expected = expectedRecovery(sale);
      t.equal(state.phase, expected, `${flow.name}: ${sale.commit}`);
      t.notOk(
        effects.some((effect) => effect.type === 'announce'),
        'nothing is shown or printed again',
      );
    }
  }
  t.end();
});
t.test('a card that is given up says whether the host had answered', (t) => {
  const endOf = (effects: readonly Effect[]) => effects.find((effect) => effect.type === 'persist')?.sale;
  const [intent] = course(service('topUpCard'), ['tap', 'proof', 'session', 'read']).effects.filter(
    (effect) => effect.type === 'persist',
  );
  if (!intent) throw new Error('nothing was stored');
  const [asking] = recover(intent.sale, 7, at);
  const [, silent] = transition(asking, happenings.silent);
  t.match(endOf(silent), { outcome: { result: 'unknown', code: 'card.unknown', isUndecided: true } });
  const [waiting] = transition(asking, happenings.yesCard);
  const [, cancelled] = transition(waiting, happenings.cancel);
  t.same(endOf(cancelled)?.commit === 'ended' && endOf(cancelled), {
    ...endOf(cancelled),
    outcome: { result: 'unknown', code: 'card.unknown' },
  });
  t.end();
});
function expectedRecovery(sale: PersistedSale): string {
  if (sale.commit === 'ended') return 'idle';
  if (sale.commit === 'written' || !sale.card) return 'persistingEnd';
  return sale.card.write ? 'awaitingCardAgain' : 'awaitingAuthorisation';
}

t.test('on every path', (t) => {
  const names = Object.keys(happenings) as Happening[];
  const timers = fc.nat(4).map((generation) => event({ type: 'timerFired', generation }));
  const anything = fc.oneof(
    {
      weight: 9,
      arbitrary: fc.constantFrom(...names.filter((name) => name !== 'announced')).map((name) => happenings[name]),
    },
    { weight: 1, arbitrary: timers },
  );
  fc.assert(
    fc.property(fc.constantFrom(...serviceExamples), fc.array(anything, { maxLength: 40 }), (one, events) => {
      const done = run(initialState, [event({ type: 'saleRequested', request: requestFor(one) }), ...events]);
      checkPath(done.effects, done.state);
    }),
    { numRuns: 5_000 },
  );
  t.pass('5,000 random courses');
  t.end();
});

/** What must hold whatever happens: throws with the rule that does not. */
function checkPath(effects: readonly Effect[], state: State): void {
  const order = effects.map((effect) => effect.type);
  const rule = (holds: boolean, text: string): void => {
    if (!holds) throw new Error(`${text}: ${order.join(' ')}`);
  };
  const persists = effects.filter((effect) => effect.type === 'persist');
  const endings = persists.filter((effect) => effect.sale.commit === 'ended');
  rule(endings.length <= 1, 'a sale ends once');
  rule(
    order.filter((type) => type === 'announce').length === (state.phase === 'idle' ? 1 : 0),
    'announced exactly when over',
  );
  const before = (type: Effect['type'], commit: string): boolean => {
    const acts = effects.findIndex((effect) => effect.type === type);
    const stored = effects.findIndex((effect) => effect.type === 'persist' && effect.sale.commit === commit);
    return acts < 0 || (stored >= 0 && stored < acts);
  };
  rule(before('writeCard', 'intent'), 'a card is written after its intent is durable');
  rule(before('announce', 'ended'), 'nothing is announced before the decision is durable');
  rule(before('askHost', 'intent') || before('askHost', 'ended'), 'the host is asked for durable records only');
  const records = persists.flatMap((effect) => effect.records);
  rule(
    new Set(records.map((record) => record.transactionId)).size === records.length,
    'every record has an id of its own',
  );
  rule(
    records.filter((record) => record.kind === 'completion' || record.kind === 'reversal').length <= 1,
    'one closing word',
  );
  const outcome = endings[0]?.sale.commit === 'ended' ? endings[0].sale.outcome : null;
  if (outcome?.result === 'accepted')
    rule(!records.some((record) => record.kind === 'reversal'), 'an accepted sale is not reversed');
  if (order.includes('writeCard'))
    rule(outcome === null || outcome.result !== 'refused', 'a written card never ends as refused');
}
