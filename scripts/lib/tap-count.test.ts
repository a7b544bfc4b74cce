// Shows that every assertion of a TAP stream is counted once, whatever the nesting, and that a failure which only a
// closing line reports is not lost. The streams are what the test runner prints.
import { test } from 'tap';
import { TapCounter } from './tap-count.js';

function count(lines: readonly string[], chunkLength = Number.POSITIVE_INFINITY) {
  const counter = new TapCounter();
  const text = `TAP version 14\n${lines.join('\n')}\n`;
  for (let at = 0; at < text.length; at += chunkLength) counter.write(text.slice(at, at + chunkLength));
  return counter.end();
}

const NESTED = [
  '# Subtest: a.js',
  '    ok 1 - one',
  '    # Subtest: inner',
  '        ok 1 - two',
  '        not ok 2 - three',
  '        1..2',
  '    not ok 2 - inner',
  '    ok 3 - four # SKIP no device',
  '    1..3',
  'not ok 1 - a.js',
  '1..1',
];

test('nested subtests are counted by their leaves', async (t) => {
  for (const chunkLength of [1, 7, Number.POSITIVE_INFINITY]) {
    const counts = count(NESTED, chunkLength);
    t.match(counts, { files: 1, passed: 2, failures: [{ name: /three$/ }] });
    t.equal(counts.failures.length, 1);
    t.match(counts.skips, [/four: no device$/]);
  }
});

test('a failure that only the closing line reports counts as one', async (t) => {
  const counts = count(['# Subtest: a.js', '    ok 1 - one', '    1..1', 'not ok 1 - a.js', '1..1']);
  t.equal(counts.passed, 1);
  t.match(counts.failures, [{ name: /a\.js/, details: /^the last that passed: .*one$/m }]);
});

test('a file without a test is a failure', async (t) => {
  const counts = count(['# Subtest: a.js', '    1..0 # no tests found', 'ok 1 - a.js # SKIP no tests found', '1..1']);
  t.equal(counts.passed, 0);
  t.equal(counts.failures.length, 1);
  t.same(counts.skips, []);
});

test('a stream cut short is a failure', async (t) => {
  t.equal(count(['1..3', 'ok 1 - one']).failures.length, 1);
});
