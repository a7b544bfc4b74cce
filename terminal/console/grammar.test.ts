/**
 * Shows that the grammar reads what docs/console.md promises, refuses what it must with the right code, and never throws.
 * Examples by table; then random text, bytes and near-commands.
 */
import fc from 'fast-check';
import stringWidth from 'string-width';
import t from 'tap';
import { errorTable } from '../kernel/errors.js';
import { commandTable } from './command-table.js';
import { type Command, lineLengthMax, parseLine } from './grammar.js';
import { helpLines } from './help.js';

const read = (line: string): Command | null => {
  const parsed = parseLine(line, 'CNY');
  if (!parsed.ok) throw new Error(`${line}: ${parsed.error.code} ${parsed.error.detail}`);
  return parsed.value;
};
const codeOf = (line: string): string | null => {
  const parsed = parseLine(line, 'CNY');
  return parsed.ok ? null : parsed.error.code;
};

t.test('reading commands', async (t) => {
  t.equal(read(''), null);
  t.equal(read('   '), null);
  t.same(read('status --json'), { name: 'status', json: true });
  t.same(read('offline --json'), { name: 'offline', json: true });
  const slice = '01890000-0000-7000-8000-000000000001';
  t.same(read(`allowance return ${slice}`), { name: 'allowance', wish: 'return', target: slice });
  t.same(read('allowance request SLC0000000000017'), {
    ...{ name: 'allowance', wish: 'request', target: 'SLC0000000000017' },
  });
  for (const wrong of [
    `allowance request ${slice}`,
    'allowance return SLC0000000000017',
    'allowance take SLM',
    'allowance',
  ])
    t.equal(codeOf(wrong), 'command.malformed', wrong);
  t.same(read('queue'), { name: 'queue', limit: 15, json: false });
  t.same(read('journal 200 --json'), { name: 'journal', limit: 200, json: true });
  t.same(read('show sale till-1'), { name: 'show', id: 'till-1', json: false });
  t.same(read('show till-1'), { name: 'show', id: 'till-1', json: false });
  t.same(read('? sale'), { name: 'help', topic: 'sale' });
  t.same(read('exit'), { name: 'logout' });
  t.same(read('cancel'), { name: 'cancel', id: null });
  t.same(read("backup '/var/backups/a b.db'"), { name: 'backup', file: '/var/backups/a b.db' });
});

t.test('sales', async (t) => {
  const origin = 'console';
  t.same(read('sale 300.00 earn --ref r1 --clerk 张三 --wait'), {
    name: 'sale',
    wait: true,
    sale: {
      command: { service: 'pointsEarn' },
      purchase: { amountMinor: 30_000 },
      reference: 'r1',
      clerk: '张三',
      origin,
    },
  });
  t.match(read('sale 100 earn --points 55'), { sale: { command: { service: 'pointsEarn', typedPoints: 55 } } });
  t.match(read('sale 100.5 spend 500'), {
    sale: { command: { service: 'pointsSpend', points: 500 }, purchase: { amountMinor: 10_050 } },
  });
  t.match(read('sale 1 coupon SLC1234567890123'), {
    sale: { command: { service: 'couponHost', couponCode: 'SLC1234567890123' } },
  });
  t.match(read('sale 1 coupon-card'), { sale: { command: { service: 'couponCard' } } });
  t.match(read('sale 1'), { sale: { command: { service: 'plainSale' }, clerk: 'console', reference: null } });
  t.match(read('sale 1 earn --code=SLM1234567890123'), { sale: { code: 'SLM1234567890123' } });
  t.match(read('sale 1 earn --code 13800000000'), { sale: { code: '13800000000' } });
  t.equal(codeOf('sale 1 earn --code 1380000-000'), 'command.malformed');
  t.same(
    (read('sale 6901234567892×2 85123Ax3@2.55 "生日蛋糕 大*1@9.90" coupon') as Extract<Command, { name: 'sale' }>).sale
      .purchase,
    {
      lines: [
        { code: '6901234567892', quantity: 2 },
        { code: '85123A', quantity: 3, unitPriceMinor: 255 },
        { name: '生日蛋糕 大', quantity: 1, unitPriceMinor: 990 },
      ],
    },
  );
  t.same(read('refund till-1 12.34 --ref r2'), {
    name: 'sale',
    wait: false,
    sale: {
      command: { service: 'refund', original: 'till-1', amountMinor: 1_234 },
      reference: 'r2',
      clerk: 'console',
      origin,
    },
  });
  t.match(read('topup 50.00 1234 --code SLM1234567890123 --clerk ann'), {
    name: 'sale',
    sale: {
      command: { service: 'topUp', coupon: '1234' },
      purchase: { amountMinor: 5_000 },
      code: 'SLM1234567890123',
      clerk: 'ann',
      origin,
    },
  });
  t.match(read('topup 50 SLC1234567890123'), { sale: { command: { coupon: 'SLC1234567890123' } } });
  t.match(read('topup 50.00 --card'), {
    sale: { command: { service: 'topUpCard' }, purchase: { amountMinor: 5_000 } },
  });
  for (const word of ['1234', '--code SLM1234567890123'])
    t.equal(codeOf(`topup 50 ${word} --card`), 'command.malformed', 'the card itself says which coupon');
  t.equal(codeOf('topup 50 12'), 'command.malformed');
  t.equal(codeOf('topup fifty'), 'value.malformed');
  t.match(read('void till-1'), { sale: { command: { service: 'void', original: 'till-1' } } });
});

t.test('refusals carry the code that says what is wrong', async (t) => {
  const cases: readonly (readonly [line: string, code: string])[] = [
    ['saale 1', 'command.unknown'],
    ['__proto__', 'command.unknown'],
    ['constructor 1', 'command.unknown'],
    ['help nothing', 'command.unknown'],
    ['status now', 'command.malformed'],
    ['status --colour', 'command.malformed'],
    ['status --__proto__', 'command.malformed'],
    ['status --json --json', 'command.malformed'],
    ['status --json=1', 'command.malformed'],
    ['sale "300.00', 'command.malformed'],
    ['sale 1 earn --ref', 'command.malformed'],
    ['sale 1 --ref "a b"', 'command.malformed'],
    ['sale 1 --ref ""', 'command.malformed'],
    ['sale 1 --clerk ""', 'command.malformed'],
    ['sale 1 plain --points 3', 'command.malformed'],
    ['sale 1 earn 5', 'command.malformed'],
    ['sale 1 steal', 'command.malformed'],
    ['sale cake', 'command.malformed'],
    ['sale 1 --code 123', 'command.malformed'],
    ['sync', 'command.malformed'],
    ['sync later', 'command.malformed'],
    ['backup box.db', 'command.malformed'],
    ['language fr', 'command.malformed'],
    // Faults 14 and 15: signs, exponents, grouping, full-width digits, more decimals than the currency has, too large.
    ['sale -5', 'value.malformed'],
    ['sale 1,000', 'value.malformed'],
    ['sale 1.005', 'value.malformed'],
    ['sale １２', 'value.malformed'],
    ['sale ١٢', 'value.malformed'],
    ['sale 9999999999999', 'value.outOfRange'],
    ['refund r 1e308', 'value.malformed'],
    ['refund r NaN', 'value.malformed'],
    ['refund r １２', 'value.malformed'],
    ['refund r 0x10', 'value.malformed'],
    ['sale 1 spend １２', 'value.malformed'],
    ['sale 1 spend 1.5', 'value.malformed'],
    ['sale 1 spend -3', 'value.malformed'],
    ['sale 1 spend', 'value.malformed'],
    ['sale 1 spend 0', 'value.outOfRange'],
    ['sale 1 earn --points １２', 'value.malformed'],
    ['sale 6901×２', 'value.malformed'],
    ['sale 6901×0', 'value.outOfRange'],
    ['sale 6901×100000', 'value.outOfRange'],
    ['sale 6901×1@-1', 'value.malformed'],
    ['journal 0', 'value.outOfRange'],
    ['journal 201', 'value.outOfRange'],
    ['journal ５', 'value.malformed'],
    [`sale 1 --ref ${'x'.repeat(65)}`, 'command.malformed'],
    ['s'.repeat(lineLengthMax + 1), 'input.tooLong'],
  ];
  for (const [line, code] of cases) t.equal(codeOf(line), code, line.slice(0, 40));
});

t.test('control characters are made visible before anything reads them', async (t) => {
  const parsed = parseLine('sale\u001b[2J 1', 'CNY');
  t.notOk(parsed.ok);
  if (!parsed.ok) t.notMatch(parsed.error.detail, /[\u0000-\u001f\u007f-\u009f]/);
  t.equal(codeOf('sale 1 --clerk "a\u0007b"'), null, 'a bell in a name is a visible symbol');
  t.match(read('sale 1 --clerk "a\u0007b"'), { sale: { clerk: 'a␇b' } });
});

t.test('never throws, and refuses only with codes of the table', async (t) => {
  const pieces = fc.constantFrom(
    'sale',
    'refund',
    'void',
    'queue',
    '--ref',
    '--json',
    '--',
    '×',
    '@',
    '"',
    "'",
    '\\',
    '1',
    '１',
    '-5',
    '🍰×2',
    '\u0000',
    ' ',
  );
  const anything = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.array(pieces, { maxLength: 20 }).map((words) => words.join(' ')),
    fc.array(pieces, { maxLength: 20 }).map((words) => words.join('')),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anything, fc.constantFrom('CNY' as const, 'JPY' as const, 'KWD' as const), (line, currency) => {
        const parsed = parseLine(line, currency);
        if (!parsed.ok)
          return Object.hasOwn(errorTable, parsed.error.code) && !/[\u0000-\u001f]/.test(parsed.error.detail);
        const command = parsed.value;
        if (command?.name !== 'sale' || !command.sale.purchase) return true;
        const { purchase } = command.sale;
        return 'amountMinor' in purchase
          ? Number.isSafeInteger(purchase.amountMinor) && purchase.amountMinor >= 0
          : purchase.lines.every((line) => Number.isSafeInteger(line.quantity) && line.quantity >= 1);
      }),
      { numRuns: 3_000 },
    ),
  );
});

t.test('every command has help that fits the screen', async (t) => {
  const list = helpLines(null);
  t.equal(list.length, commandTable.length);
  t.ok(list.length <= 23, 'the list fits 24 lines with the prompt');
  for (const row of commandTable) {
    t.ok(helpLines(row.name).length >= 3, row.name);
    for (const line of helpLines(row.name)) t.ok(stringWidth(line) <= 80, line);
  }
});

t.test('device commands: every act, and nothing besides', async (t) => {
  const read = (line: string) => {
    const parsed = parseLine(line, 'CNY');
    return parsed.ok ? parsed.value : parsed.error.code;
  };
  t.same(read('device'), { name: 'device', act: 'list', json: false });
  t.same(read('devices --json'), { name: 'device', act: 'list', json: true });
  t.same(read('device show reader-1 --json'), { name: 'device', act: 'show', device: 'reader-1', json: true });
  for (const act of ['test', 'disable', 'enable'])
    t.same(read(`device ${act} scanner-2`), { name: 'device', act, device: 'scanner-2' });
  const recorded = { name: 'device', act: 'record', device: 'scanner-1' };
  t.same(read('device record scanner-1 "/var/tmp/a b.rec"'), { ...recorded, file: '/var/tmp/a b.rec' });
  t.same(read('device record scanner-1 stop'), { ...recorded, file: null });
  for (const line of [
    ...['device list reader-1', 'device show', 'device show a b', 'device test', 'device test a --json'],
    ...[
      'device record a',
      'device record a relative.rec',
      'device record a /x y',
      'device reboot a',
      'device show /dev/x',
    ],
  ])
    t.equal(read(line), 'command.malformed', line);
});
