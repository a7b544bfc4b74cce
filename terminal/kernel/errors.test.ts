/**
 * Shows that the table of codes can be shown as it is: every code in its form, with both texts that fit a small display,
 * and that errors and results carry codes and nothing else. Texts are read for their form, never compared.
 */
import t from 'tap';
import { errorTable, isErrorCode, TerminalError } from './errors.js';
import { assert, decodeError, err, ok, unreachable } from './result.js';

t.test('every row', (t) => {
  for (const [code, row] of Object.entries(errorTable)) {
    t.match(code, /^[a-z]+\.[a-z][a-zA-Z]+$/, code);
    t.match(row.severity, /^(info|warning|error|critical)$/, code);
    t.match(row.retry, /^(never|later|afterReconnect|operator)$/, code);
    t.match(row.en, /^[A-Z][ -~]{4,118}[.?]$/, `${code}: English in plain ASCII, a whole sentence`);
    t.match(row.zh, /\p{Script=Han}/u, `${code}: Chinese`);
    t.match(row.zh, /^[^|]{3,80}。$/, `${code}: fits a table and ends`);
  }
  t.end();
});

t.test('no two codes say the same', (t) => {
  const texts = Object.values(errorTable).map((row) => row.en);
  t.equal(new Set(texts).size, texts.length);
  t.end();
});

t.test('codes are own names only', (t) => {
  t.ok(isErrorCode('sale.busy'));
  for (const text of ['', 'sale', 'toString', '__proto__', 'constructor']) t.notOk(isErrorCode(text), text);
  t.end();
});

t.test('an operational error knows who may retry', (t) => {
  t.match(new TerminalError('host.unreachable', 'no route'), {
    code: 'host.unreachable',
    detail: 'no route',
    retry: 'afterReconnect',
  });
  t.equal(new TerminalError('store.full').message, 'store.full');
  t.end();
});

t.test('results and bugs', (t) => {
  t.same(ok(1), { ok: true, value: 1 });
  t.same(err('x'), { ok: false, error: 'x' });
  t.match(decodeError('input.truncated', 7, 'cut'), { ok: false, error: { code: 'input.truncated', offset: 7 } });
  t.throws(() => assert(false, 'two and two'), /two and two/);
  t.doesNotThrow(() => assert(1, 'true enough'));
  t.throws(() => unreachable('grown' as never), /grown/);
  t.end();
});
