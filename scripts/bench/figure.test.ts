/**
 * Shows that a missed goal is called missed: figures on both sides of each rule's bound, and one without a goal.
 */
import t from 'tap';
import { type Figure, type Goal, judge, line, median, quantile, shown } from './figure.js';

const figure = (value: number, goal: Goal | null, limit = 100): Figure => ({
  ...{ bench: 'accept', what: 'an accept', value, unit: 'µs', goal },
  limit: { what: 'raw flush', value: limit },
});

t.test('on either side of the bound', (t) => {
  t.equal(judge(figure(200, { rule: 'atMost', ratio: 2 })).isMet, true);
  t.equal(judge(figure(200.1, { rule: 'atMost', ratio: 2 })).isMet, false);
  t.equal(judge(figure(80, { rule: 'atLeast', ratio: 0.8 })).isMet, true);
  t.equal(judge(figure(79, { rule: 'atLeast', ratio: 0.8 })).isMet, false);
  t.equal(judge(figure(2_300, { rule: 'below', bound: 2_300, says: '' })).isMet, true);
  t.equal(judge(figure(2_301, { rule: 'below', bound: 2_300, says: '' })).isMet, false);
  t.equal(judge(figure(50, { rule: 'above', bound: 50, says: '' })).isMet, true);
  t.equal(judge(figure(49, { rule: 'above', bound: 50, says: '' })).isMet, false);
  t.equal(judge(figure(Number.NaN, { rule: 'below', bound: 50, says: '' })).isMet, false, 'unknown meets nothing');
  t.equal(judge(figure(1, { rule: 'atMost', ratio: 2 }, 0)).isMet, false, 'no limit, no goal met');
  t.equal(judge(figure(1, null)).isMet, null);
  t.end();
});

t.test('what is printed', (t) => {
  t.equal(
    line(figure(250, { rule: 'atMost', ratio: 2 })),
    '  an accept: 250 µs  |  raw flush 100 µs  =  2.50×  goal ≤ 2×: MISSED',
  );
  t.match(line(figure(150, { rule: 'atMost', ratio: 2 })), /1\.50× {2}goal ≤ 2×: met$/);
  t.notMatch(line(figure(150, null)), /goal/);
  t.same([0.5, 12.345, 999.4, 999.6, 1_234.5].map(shown), ['0.500', '12.3', '999', '1000', '1235']);
  t.end();
});

t.test('quantiles', (t) => {
  const values = Array.from({ length: 100 }, (_, at) => 100 - at);
  t.equal(quantile(values, 0.99), 100);
  t.equal(median(values), 51);
  t.equal(quantile([7], 0.99), 7);
  t.end();
});
