/**
 * Shows what a stored sale's outcome is later: the host's word changes what the box had decided by itself, and nothing
 * that host or card had decided already.
 */
import t from 'tap';
import type { FinalAnswer } from '../../host-sync/protocol/sync.js';
import { acceptedAnswer, cardKeyId, course, type Happening, refusedAnswer, serviceExamples } from './core-fixtures.js';
import { outcomeOf } from './outcome.js';
import type { PersistedSale, Service } from './sale.js';

const service = (name: Service['name']): Service => serviceExamples.find((one) => one.name === name) as Service;
const stored = (name: Service['name'], happens: readonly Happening[]): readonly PersistedSale[] =>
  course(service(name), happens).effects.flatMap((effect) => (effect.type === 'persist' ? [effect.sale] : []));
const last = (name: Service['name'], happens: readonly Happening[]): PersistedSale => {
  const sale = stored(name, happens).at(-1);
  if (!sale) throw new Error('nothing was stored');
  return sale;
};

t.test('decided by the box', (t) => {
  const earn = last('pointsEarn', ['tap', 'proofOffline', 'silent']);
  t.match(outcomeOf(earn, null), { result: 'accepted', authority: 'box', points: 300, balances: null });
  t.match(outcomeOf(earn, acceptedAnswer({ pointsPosted: 330 })), {
    result: 'accepted',
    authority: 'host',
    points: 330,
    balances: { points: 700 },
  });
  t.match(outcomeOf(earn, refusedAnswer), { result: 'refused', code: 'points.tooFew' });
  for (const name of ['void', 'refund'] as const)
    t.match(outcomeOf(last(name, ['silent']), refusedAnswer), { result: 'refused' }, name);
  t.end();
});

t.test('decided by host or card: a later word is a matter for the dead letters', (t) => {
  const answers: readonly FinalAnswer[] = [refusedAnswer, acceptedAnswer({ coveredMinor: 1 })];
  const decided: readonly PersistedSale[] = [
    last('pointsSpend', ['tap', 'proof', 'yes']),
    last('couponHost', ['couponCode', 'yes']),
    last('couponCard', ['tap', 'proofOffline', 'sessionBySite', 'readBySite', 'written', 'readBack']),
    last('couponCard', ['tap', 'proof', 'session', 'read', 'yesCard', 'removed', 'cancel']),
  ];
  for (const sale of decided)
    for (const answer of answers) t.same(outcomeOf(sale, answer), outcomeOf(sale, null), sale.request.service.name);
  t.end();
});

t.test('money paid in for a lost card: where the host refuses it, it goes back', (t) => {
  const torn = ['tap', 'proof', 'session', 'read', 'yesCard', 'removed', 'cancel'] as const;
  const lost = last('topUpCard', torn);
  t.match(outcomeOf(lost, null), { result: 'unknown', code: 'card.unknown' });
  t.match(outcomeOf(lost, acceptedAnswer()), { result: 'unknown' });
  t.match(outcomeOf(lost, refusedAnswer), { result: 'refused', code: 'points.tooFew' });
  // No answer of the host was received: until it is, nobody knows whether the money goes back.
  const undecided = {
    ...lost,
    outcome: { result: 'unknown', code: 'card.unknown', isUndecided: true },
  } as PersistedSale;
  t.same(outcomeOf(undecided, null), { result: 'unknown', code: 'card.unknown', isUndecided: true });
  t.same(outcomeOf(undecided, acceptedAnswer()), { result: 'unknown', code: 'card.unknown' }, 'due to the card');
  t.match(outcomeOf(undecided, refusedAnswer), { result: 'refused', code: 'points.tooFew' });
  t.match(outcomeOf(last('topUpCardVoid', torn), refusedAnswer), { result: 'unknown' }, 'nothing was paid back for it');
  t.end();
});

t.test('refused at the box stays refused', (t) => {
  const refused = last('pointsEarn', ['cancel']);
  t.match(outcomeOf(refused, acceptedAnswer()), { result: 'refused', code: 'sale.cancelled' });
  t.end();
});

t.test('not ended: no outcome, whatever the host has said', (t) => {
  const [intent, written] = stored('couponCard', ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack']);
  for (const sale of [intent, written]) {
    if (!sale) throw new Error('two commits come before the end');
    t.equal(outcomeOf(sale, acceptedAnswer()), null, sale.commit);
  }
  const ended = last('couponCard', ['tap', 'proof', 'session', 'read', 'yesCard', 'written', 'readBack']);
  t.match(ended, { commit: 'ended', cardKeyId });
  t.match(outcomeOf(ended, null), { coveredMinor: 10_000, restMinor: 20_000 });
  t.end();
});
