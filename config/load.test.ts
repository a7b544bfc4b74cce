/**
 * Shows that a configuration is taken whole or not at all: every problem at once with its path and value, misspelt names
 * with what was meant, no coercion, and bounded time on hostile TOML. The schema of the product is used as it is.
 */
import fc from 'fast-check';
import t from 'tap';
import { type ConfigProblem, loadConfig } from './load.js';
import { schema } from './schema.js';

const problemsOf = (text: string): readonly ConfigProblem[] => {
  const loaded = loadConfig(text);
  return loaded.ok ? [] : loaded.error;
};
const pathsOf = (text: string): readonly string[] => problemsOf(text).map((problem) => problem.path);

t.test('an empty file gives every default', (t) => {
  const loaded = loadConfig('');
  if (!loaded.ok) throw new Error('the defaults do not load');
  for (const [section, { rows }] of Object.entries(schema))
    for (const row of rows) {
      const value = (loaded.value as Record<string, Record<string, unknown>>)[section]?.[row.key];
      t.same(value, row.default, `${section}.${row.key}`);
    }
  t.same(loadConfig('# only a remark\n\n[terminal]\n'), loaded);
  t.end();
});

t.test('defaults lie in their own ranges, and help is there to read', (t) => {
  for (const [section, { rows }] of Object.entries(schema)) {
    t.equal(new Set(rows.map((row) => row.key)).size, rows.length, `${section}: keys are unique`);
    for (const row of rows) {
      t.match(row.key, /^[a-z][a-zA-Z0-9]*$/, row.key);
      t.match(row.help, /^[^|]{10,300}[.?]$/, `${section}.${row.key}`);
      if (row.type === 'integer')
        t.ok(row.default >= row.min && row.default <= row.max && Number.isSafeInteger(row.max), row.key);
      if (row.type === 'choice') t.ok(row.choices.includes(row.default), row.key);
      if (row.key.endsWith('Ms')) t.equal(row.unit, 'ms', row.key);
    }
  }
  t.end();
});

t.test('values as they stand', (t) => {
  const loaded = loadConfig(
    '[terminal]\ncategory = "dining"\ncredentialTimeoutMs = 30_000\nscannerSells = false\ntypedPointsClerks = ["ann", "bob"]\n',
  );
  t.match(loaded, {
    ok: true,
    value: {
      terminal: {
        category: 'dining',
        credentialTimeoutMs: 30_000,
        scannerSells: false,
        typedPointsClerks: ['ann', 'bob'],
      },
    },
  });
  t.match(loadConfig('terminal.credentialTimeoutMs = 0x3e8'), {
    ok: true,
    value: { terminal: { credentialTimeoutMs: 1_000 } },
  });
  t.end();
});

t.test('all problems at once', (t) => {
  const text = `
shop = 1
[terminal]
category = 5
credentialTimeoutMs = 999
balanceTimeoutMs = -1
scannerSells = "yes"
typedPointsClerks = ["ann", 5]
cardAgainTimeout = 5
[sink]
x = 1
[host]
`;
  t.same(pathsOf(text), [
    'shop',
    'sink',
    'terminal.cardAgainTimeout',
    'terminal.category',
    'terminal.typedPointsClerks',
    'terminal.scannerSells',
    'terminal.credentialTimeoutMs',
    'terminal.balanceTimeoutMs',
  ]);
  t.match(
    problemsOf(text).find(({ path }) => path === 'terminal.credentialTimeoutMs'),
    { value: '999', problem: /1000 to 600000 ms/ },
  );
  t.end();
});

t.test('texts that could not be used are refused here, not found out by a sale or a start', (t) => {
  const wrong: Readonly<Record<string, readonly string[]>> = {
    'terminal.category': ['', 'x'.repeat(33), 'a\\u001b[2Jb'],
    'terminal.scannerClerk': ['', 'x'.repeat(33)],
    'sync.hostUrl': [
      'http://host.example',
      'https://user:word@host.example',
      'https://host.example/path',
      'https://',
      'host',
    ],
    'sync.authorityFingerprint': ['abc', 'g'.repeat(64)],
    'console.serialPath': ['ttyUSB0', 'dev/ttyUSB0'],
    'host.merchantId': ['', 'a b', 'é'],
    'host.merchantNumber': ['12', '１２３'],
    'host.listenAddress': ['0.0.0.0; true', ''],
    'host.messageFolder': ['messages'],
  };
  for (const [path, values] of Object.entries(wrong))
    for (const value of values) t.same(pathsOf(`${path} = "${value}"`), [path], `${path} = ${value}`);
  for (const origin of ['*', 'null', 'https://till.example/', 'javascript:1', 'HTTPS://TILL.EXAMPLE'])
    t.same(
      pathsOf(`localApi.allowedOrigins = ["https://till.example", "${origin}"]`),
      ['localApi.allowedOrigins'],
      origin,
    );
  t.same(pathsOf('host.hostNames = ["host.example", "a b"]'), ['host.hostNames']);
  t.same(pathsOf('scanners.paths = ["ttyACM0"]'), ['scanners.paths']);
  const right = [
    'sync.hostUrl = ""',
    'sync.hostUrl = "https://host.example:8443"',
    'sync.hostUrl = "https://[::1]:8443/"',
    'host.listenAddress = "::"',
    'host.hostNames = ["fe80::1", "host.example"]',
    'localApi.allowedOrigins = ["http://localhost:3000"]',
    'terminal.category = "餐饮"',
  ];
  for (const text of right) t.same(problemsOf(text), [], text);
  t.end();
});

t.test('fault 37: a line has one use, and one carrier has the messages', (t) => {
  const text = '[console]\nserialPath = "/dev/a"\n[scanners]\npaths = ["/dev/b", "/dev/a"]\n';
  t.same(pathsOf(text), ['console.serialPath']);
  t.same(
    pathsOf('[printers]\npaths = ["/dev/a"]\n[modems]\npaths = ["/dev/a"]\n'),
    ['modems.paths'],
    'one line, two uses',
  );
  t.same(pathsOf('[scanners]\npaths = ["/dev/a", "/dev/a"]\n'), [], 'said twice is said');
  t.same(pathsOf('[modems]\npaths = ["/dev/a", "/dev/b"]\n'), ['modems.paths'], 'two modems');
  t.same(pathsOf('[relays]\npaths = ["/dev/a", "/dev/b"]\n'), ['relays.paths'], 'two relay boards');
  t.same(pathsOf('[displays]\npaths = ["/dev/a"]\n[relays]\npaths = ["/dev/a"]\n'), ['relays.paths']);
  t.same(pathsOf('[modems]\npaths = ["/dev/a"]\n[host]\nsmppHost = "sms.example"\n'), ['modems.paths']);
  t.same(problemsOf(text.replace('"/dev/a"]', '"/dev/c"]')), []);
  t.end();
});

t.test('what cannot come about is said, and clashes are said beside values out of range', (t) => {
  t.same(pathsOf('[relays]\nopensOn = "sales"\n'), ['relays.opensOn']);
  t.same(problemsOf('[relays]\nopensOn = "sales"\npaths = ["/dev/a"]\n'), []);
  t.same(pathsOf('[readers]\nwalletPolling = true\n'), ['readers.walletPolling']);
  t.same(problemsOf('[readers]\nwalletPolling = true\n[wallet]\npassTypeIds = ["pass.com.example.a"]\n'), []);
  const tapsTags = '[wallet]\ntapOrder = ["application", "tag"]\n';
  for (const value of ['off', 'report', 'require'])
    t.same(problemsOf(`${tapsTags}[tags]\noriginality = "${value}"\n`), [], value);
  t.same(pathsOf(`${tapsTags}[tags]\noriginality = "always"\n`), ['tags.originality']);
  t.same(pathsOf('[tags]\noriginality = "require"\n'), ['tags.originality'], 'no tag is read');
  t.same(pathsOf('[readers]\ncontactSlots = ["ICC"]\nignoredNames = ["SAM", "ICC"]\n'), ['readers.contactSlots']);
  t.same(pathsOf('[readers]\ncontactSlots = [""]\n'), ['readers.contactSlots']);
  const nine = Array.from({ length: 9 }, (_, at) => `"/dev/${at}"`).join(', ');
  t.same(pathsOf(`[scanners]\npaths = [${nine}]\n`), ['scanners.paths'], 'more lines than one driver serves');
  for (const both of ['0C2E:0b61:S1', '0c2e:0b61'])
    t.same(
      pathsOf(`[hidScanners]\nkeyboards = ["0c2e:0b61:S1"]\n[keypads]\ndevices = ["${both}"]\n`),
      ['keypads.devices'],
      'a scanner and a keypad at once',
    );
  t.same(problemsOf('[hidScanners]\nkeyboards = ["0c2e:0b61:S1"]\n[keypads]\ndevices = ["0c2e:0b61:S2"]\n'), []);
  t.same(
    pathsOf('[scanners]\npaths = ["/dev/a"]\n[printers]\npaths = ["/dev/a"]\nbaud = 1\n'),
    ['printers.baud', 'printers.paths'],
    'all at once',
  );
  t.end();
});

t.test('a PIN pad is named with its serial number, and by nothing else', (t) => {
  const pads = '[pinPads]\npaths = ["/dev/a"]\ndevices = ["0C2E:0f00:S1"]\n';
  t.same(problemsOf(pads), []);
  t.same(pathsOf(`${pads}[modules]\npaths = ["/dev/a"]\n`), ['pinPads.paths'], 'one line, two uses');
  for (const [section, key] of [
    ...[['hidScanners', 'devices'] as const, ['hidScanners', 'keyboards'] as const],
    ...[['stripeReaders', 'devices'] as const, ['keypads', 'devices'] as const],
  ])
    for (const device of ['0c2e:0F00', '0c2e:0f00:S1'])
      t.match(problemsOf(`${pads}[${section}]\n${key} = ["0801:0002", "${device}"]\n`), [
        { path: `${section}.${key}`, value: `"${device}"`, problem: /PIN pad/ },
      ]);
  t.same(problemsOf(`${pads}[keypads]\ndevices = ["0c2e:0f00:s1", "0c2e:0f01"]\n`), [], 'another one');
  t.same(pathsOf('[pinPads]\ndevices = ["0c2e:0f00"]\n'), ['pinPads.devices'], 'any of a model');
  t.end();
});

t.test('misspelt names say what was meant', (t) => {
  const hint = (text: string): string => problemsOf(text)[0]?.problem ?? '';
  t.match(hint('[terminal]\ncredentialTimoutMs = 5'), 'did you mean credentialTimeoutMs?');
  t.match(hint('[terminal]\ncredentialtimeoutms = 5'), 'did you mean credentialTimeoutMs?');
  t.match(hint('[terminal]\ncredentialTimeout = 5'), 'did you mean credentialTimeoutMs?');
  t.match(hint('[Terminal]'), 'did you mean terminal?');
  t.match(hint('[reader]'), 'did you mean readers?');
  t.match(hint('[terminal]\nzzzzzzzzzzzz = 5'), /known are category, /);
  t.end();
});

t.test('whole numbers only, and nothing becomes one', (t) => {
  for (const value of [
    '60000.0',
    '6e4',
    '"60000"',
    'true',
    'nan',
    'inf',
    '-0.0',
    '9007199254740993',
    '99999999999999999999',
    '[60000]',
    '1979-05-27',
  ])
    t.same(pathsOf(`[terminal]\ncredentialTimeoutMs = ${value}`), ['terminal.credentialTimeoutMs'], value);
  t.equal(problemsOf('[terminal]\ncredentialTimeoutMs = inf')[0]?.value, 'Infinity', 'shown as it is, not as null');
  for (const value of ['1,000', '１２', '1_', '0600', '--1'])
    t.match(pathsOf(`[terminal]\ncredentialTimeoutMs = ${value}`), [/^line 2, column \d+$/], value);
  t.same(pathsOf('[terminal]\nscannerSells = 1'), ['terminal.scannerSells']);
  t.same(pathsOf('[terminal]\ncategory = true'), ['terminal.category']);
  t.same(pathsOf('[terminal]\ntypedPointsClerks = "*"'), ['terminal.typedPointsClerks']);
  t.same(pathsOf('terminal = 5'), ['terminal']);
  t.same(pathsOf('[[terminal]]\ncategory = "x"'), ['terminal']);
  t.end();
});

t.test('not TOML: the place', (t) => {
  t.match(problemsOf('[terminal\n'), [{ path: /^line \d+, column \d+$/ }]);
  t.match(problemsOf('[terminal]\ncategory = "a"\ncategory = "b"'), [{ path: /^line 3/ }], 'a key twice');
  t.match(problemsOf('category = "a\u0000b"'), [{ path: /^line 1/ }]);
  t.end();
});

t.test('hostile files', (t) => {
  const hostile: readonly (readonly [string, RegExp])[] = [
    [`a = ${'['.repeat(100_000)}`, /^line 1/],
    [`a = ${'['.repeat(2_000)}${']'.repeat(2_000)}`, /^line 1/],
    [`a = ${'{a='.repeat(50_000)}`, /^line 1/],
    [`terminal${'.a'.repeat(20_000)} = 1`, /^terminal\.a$/],
    [`[${'a.'.repeat(20_000)}a]`, /^a$/],
    ['[__proto__]\nadmin = true', /^__proto__$/],
    ['[terminal]\n__proto__ = 1', /^terminal\.__proto__$/],
    ['[terminal]\nconstructor = 1', /^terminal\.constructor$/],
    [`"${'x'.repeat(100_000)}" = 1`, /^x{80}…$/],
    ['"\\u001b[2J" = 1', /^␛\[2J$/],
    [`[terminal]\ncategory = "${'x'.repeat(5_000)}"`, /^terminal\.category$/],
    [`#${'x'.repeat(262_144)}`, /^file$/],
  ];
  for (const [text, path] of hostile) {
    const problems = problemsOf(text);
    t.match(problems[0]?.path, path, text.slice(0, 24));
    for (const { value } of problems) t.ok(value.length <= 81, 'shown cut short');
  }
  const many = problemsOf(Array.from({ length: 5_000 }, (_, at) => `k${at} = 1`).join('\n'));
  t.equal(many.length, 201);
  t.match(many.at(-1), { path: 'file', problem: 'and 4800 more problems' });
  t.equal(({} as Record<string, unknown>)['admin'], undefined);
  t.end();
});

t.test('never throws', (t) => {
  const piece = fc.constantFrom(
    ...[
      '[',
      ']',
      '[[',
      ']]',
      '=',
      '"',
      "'",
      '"""',
      '\n',
      '.',
      ',',
      '{',
      '}',
      '#',
      'terminal',
      'category',
      '1',
      '-',
      'inf',
      '\u0000',
      '一',
    ],
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }).map((parts) => parts.join('')),
      (text) => {
        const loaded = loadConfig(text);
        if (!loaded.ok && loaded.error.length === 0) throw new Error('refused without a problem');
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass('2,000 files');
  t.end();
});
