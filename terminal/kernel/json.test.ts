/**
 * Shows that hostile JSON is refused with its code before anything is built from it, that nothing throws, and that what
 * is accepted is what JSON.parse gives. Inputs of a megabyte are there because a quadratic reader would not come back.
 */
import fc from 'fast-check';
import t from 'tap';
import { jsonLimitsDefault, parseJson } from './json.js';

const codeOf = (text: string): string => {
  const read = parseJson(text);
  return read.ok ? 'ok' : read.error.code;
};
const { lengthMax } = jsonLimitsDefault;

t.test('keys that reach for a prototype, however written', (t) => {
  for (const text of [
    '{"__proto__":{"admin":true}}',
    '{"a":[{"__proto__":1}]}',
    '{"\\u005f_proto__":1}',
    '{"__proto__" \n\t:1}',
    '{"constructor":{"prototype":{}}}',
    '{"prototype":1}',
  ])
    t.equal(codeOf(text), 'input.malformed', text);
  t.equal(codeOf('{"a":"__proto__"}'), 'ok', 'as a value it is only a word');
  t.equal(codeOf('["__proto__"]'), 'ok');
  t.equal(Object.getPrototypeOf({}), Object.prototype);
  t.end();
});

t.test('duplicate keys, also behind escapes', (t) => {
  for (const text of [
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1,"a":2}',
    '{"é":1,"\\u00e9":2}',
    '{"":1,"":2}',
    '{"a":{"b":1},"a":2}',
    '{"x":[{"b":1,"c":{},"b":2}]}',
    '{"a":[1,{"a":1}],"a":2}',
  ])
    t.equal(codeOf(text), 'input.malformed', text);
  for (const text of [
    '{"a":{"a":1}}',
    '[{"a":1},{"a":2}]',
    '{"a":"a","b":"a"}',
    '{"a":1,"A":2}',
    '{"é":1,"e\u0301":2}',
  ])
    t.equal(codeOf(text), 'ok', text);
  t.match(parseJson('{"ab":1,"ab":2}'), { error: { offset: 8 } }, 'the offset is that of the second');
  t.end();
});

t.test('depth and length', (t) => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
  t.equal(codeOf(nested(16)), 'ok');
  t.match(parseJson(nested(17)), { error: { code: 'input.tooLong', offset: 16 } });
  t.equal(codeOf(nested(100_000)), 'input.tooLong');
  t.equal(codeOf('{"a":'.repeat(100_000)), 'input.tooLong');
  t.equal(codeOf('['.repeat(100_000)), 'input.tooLong');
  const text = (length: number): string => `"${'x'.repeat(length - 2)}"`;
  t.equal(codeOf(text(lengthMax)), 'ok');
  t.equal(codeOf(text(lengthMax + 1)), 'input.tooLong');
  t.equal(codeOf(`"${'['.repeat(100)}"`), 'ok', 'brackets within a text are no nesting');
  t.equal(codeOf('"\\"[[[[[[[[[[[[[[[[[["'), 'ok');
  t.end();
});

t.test('what is not JSON', (t) => {
  for (const text of [
    '',
    ' ',
    '"',
    '{"',
    '{"a',
    '{"a"',
    '{"a":',
    '"\\',
    '"\\"',
    '{"a\n":1}',
    '{]',
    '[}',
    ']',
    '}',
    '[1,]',
    '{"a":1,}',
    "{'a':1}",
    'NaN',
    'Infinity',
    '-',
    '01',
    '+1',
    '.5',
    '1.',
    '0x10',
    '１２',
    '{} {}',
    '// a\n1',
    '\ufeff{}',
    '{"\\x":1}',
    'undefined',
    '\u0000',
  ])
    t.equal(codeOf(text), 'input.malformed', JSON.stringify(text));
  t.end();
});

t.test('numbers come as they are: bounds are the schema’s', (t) => {
  t.match(parseJson('1e308'), { ok: true, value: 1e308 });
  t.match(parseJson('1e999'), { ok: true, value: Number.POSITIVE_INFINITY });
  t.end();
});

t.test('a megabyte of the worst comes back refused or read', (t) => {
  const fill = (unit: string, head = '', tail = ''): string =>
    head + unit.repeat(Math.floor((lengthMax - head.length - tail.length) / unit.length)) + tail;
  const worst = [
    fill('"'),
    fill('\\'),
    fill('"\\'),
    fill('{'),
    fill('}'),
    fill('{}', '[', ']'),
    fill('"",', '[', '""]'),
    fill(' ', '{"a"', ':1}'),
    fill('"" ', '{'),
    fill('"a":', '{'),
    fill(' ', '{"a":"b"', '}'),
    fill('\\u0061', '{"', '":1}'),
    `{${Array.from({ length: 60_000 }, (_, at) => `"k${at}":${at}`).join(',')}}`,
  ];
  for (const text of worst) {
    t.ok(text.length <= lengthMax);
    t.match(codeOf(text), /^(ok|input\.(malformed|tooLong))$/, text.slice(0, 12));
  }
  t.end();
});

t.test('never throws; what it accepts, JSON.parse reads alike', (t) => {
  const piece = fc.constantFrom(
    ...['{', '}', '[', ']', '"', ':', ',', '\\', '\\"', '\\u0061', 'a', '1', ' ', 'null', '__proto__'],
  );
  const soup = fc.array(piece, { maxLength: 40 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' }), fc.json({ depthSize: 'small' })), (text) => {
      const read = parseJson(text);
      if (read.ok && JSON.stringify(read.value) !== JSON.stringify(JSON.parse(text))) throw new Error('read otherwise');
    }),
    { numRuns: 3_000 },
  );
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 8 }), (value) => {
      const text = JSON.stringify(value);
      const read = parseJson(text);
      if (!read.ok && !/"(__proto__|constructor|prototype)"/.test(text))
        throw new Error(`${read.error.detail}: ${text}`);
    }),
    { numRuns: 2_000 },
  );
  t.pass('5,000 texts');
  t.end();
});
