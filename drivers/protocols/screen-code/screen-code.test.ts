// Screen codes against the vectors of RFC 6238 appendix B (SHA-256), and every cut, wrong digit and step that must not count.
import t from 'tap';
import { utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { handleOf, oneTimeDigits, screenCode, screenCodeHolds, stepAt, stepBytes } from './screen-code.js';

const seed = utf8('12345678901234567890123456789012');
const codeAt = (atMs: number): string =>
  screenCode('123456789', nativeCrypto.hmacSha256(seed, stepBytes(stepAt(atMs))));

t.test('RFC 6238 appendix B, SHA-256', async (t) => {
  for (const [seconds, digits] of [
    [59, '46119246'],
    [1_111_111_109, '68084774'],
    [1_111_111_111, '67062674'],
    [1_234_567_890, '91819424'],
    [2_000_000_000, '90698825'],
    [20_000_000_000, '77737706'],
  ] as const)
    t.equal(oneTimeDigits(nativeCrypto.hmacSha256(seed, stepBytes(stepAt(seconds * 1_000)))), digits);
});

t.test('a code counts two steps back and one ahead, by the host’s time or the sale’s', async (t) => {
  const now = 1_700_000_010_000;
  const code = codeAt(now);
  t.match(code, /^SLR123456789[0-9]{9}$/);
  t.equal(handleOf(code), '123456789');
  const holds = (...times: number[]): boolean => screenCodeHolds(nativeCrypto, seed, code, times);
  for (const steps of [-1, 0, 1, 2]) t.ok(holds(now + steps * 30_000), `${steps}`);
  for (const steps of [-2, 3, 1_000]) t.notOk(holds(now + steps * 30_000), `${steps}`);
  t.ok(holds(0, now));
  t.notOk(screenCodeHolds(nativeCrypto, seed.with(0, 0), code, [now]), 'another seed');
});

t.test('what was read wrong is no code', async (t) => {
  const code = codeAt(59_000);
  for (let length = 0; length < code.length; length++) t.equal(handleOf(code.slice(0, length)), null);
  for (let at = 3; at < code.length; at++) {
    const wrong = String((Number(code[at]) + 1) % 10);
    t.equal(handleOf(code.slice(0, at) + wrong + code.slice(at + 1)), null, `digit ${at}`);
  }
  for (const other of [`${code} `, code.toLowerCase(), code.replace('SLR', 'SLM'), `SLR${'１'.repeat(18)}`])
    t.equal(handleOf(other), null);
});
