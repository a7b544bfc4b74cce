/**
 * Shows what a till may ask over real sockets: a reference names one sale whatever is sent again, every service reaches the
 * box as asked, what is refused and with which code. The box is a double; answers are checked against the published schema.
 */
import fc from 'fast-check';
import t from 'tap';
import { TerminalError } from '../kernel/errors.js';
import { journalEntry } from '../sim/port-double.js';
import { codeOf, earn, pair } from '../sim/till-caller.js';
import { devicesSchema, queueSchema, saleSchema, salesSchema, statusSchema } from './schema.js';
import { bodyBytesMax, serverLimitsDefault } from './server.js';

t.test('a reference names one sale, whatever is sent again', async (t) => {
  const till = await pair(t);
  const first = await till.call('PUT', '/v1/sales/till-1', { body: earn });
  t.equal(first.status, 201);
  t.match(saleSchema.parse(first.body), {
    reference: 'till-1',
    totalMinor: 30_000,
    phase: 'waiting',
    prompt: 'present',
    outcome: null,
  });
  const again = await till.call('PUT', '/v1/sales/till-1', { body: earn });
  t.equal(again.status, 200);
  t.same(again.body, first.body);
  t.equal(
    codeOf(await till.call('PUT', '/v1/sales/till-1', { body: { ...earn, amountMinor: 1 } })),
    '409 sale.referenceConflict',
  );
  t.equal(codeOf(await till.call('PUT', '/v1/sales/till-2', { body: earn })), '409 sale.busy');
  t.equal(
    codeOf(await till.call('GET', '/v1/sales/till-2')),
    '404 sale.unknown',
    'a refused start leaves nothing behind',
  );

  till.port.end('till-1');
  const ended = await till.call('PUT', '/v1/sales/till-1', { body: earn });
  t.match(saleSchema.parse(ended.body), { phase: 'ended', outcome: { result: 'accepted' }, receipt: [/RECEIPT/, /./] });
  const { transactionId } = saleSchema.parse(ended.body);
  t.same(
    (await till.call('GET', `/v1/sales/${transactionId}`)).body,
    (await till.call('GET', '/v1/sales/till-1')).body,
  );
  t.equal(till.port.commands.length, 1);

  t.equal(
    (await till.call('PUT', '/v1/sales/till-1-void', { body: { service: 'void', clerk: 'c', original: 'till-1' } }))
      .status,
    201,
  );
  t.same(till.port.commands[1], {
    command: { service: 'void', original: 'till-1' },
    reference: 'till-1-void',
    clerk: 'c',
    origin: 'till',
  });
  t.match(saleSchema.parse((await till.call('DELETE', '/v1/sales/till-1-void')).body), {
    outcome: { result: 'refused', code: 'sale.cancelled' },
  });
  t.equal((await till.call('DELETE', '/v1/sales/till-1-void')).status, 200, 'cancelled again answers the same');
  const typed = { headers: { 'content-type': 'application/json' } };
  t.equal(
    (await till.call('DELETE', '/v1/sales/till-1-void', typed)).status,
    200,
    'a type without a body is no mistake',
  );
  t.equal(codeOf(await till.call('DELETE', '/v1/sales/till-1')), '409 sale.tooLate');
  t.equal(codeOf(await till.call('DELETE', '/v1/sales/nothing')), '404 sale.unknown');
});

t.test('every service reaches the box as it was asked', async (t) => {
  const till = await pair(t);
  const lines = [
    { code: '6901234567892', quantity: 2 },
    { name: '生日蛋糕', quantity: 1, unitPriceMinor: 990 },
  ];
  const asked: readonly (readonly [body: Record<string, unknown>, command: unknown])[] = [
    [
      { service: 'plainSale', clerk: 'c', lines },
      { command: { service: 'plainSale' }, purchase: { lines } },
    ],
    [
      { ...earn, code: '+8613800000000' },
      { command: { service: 'pointsEarn' }, code: '+8613800000000' },
    ],
    [
      { ...earn, typedPoints: 5, code: 'SLM1234567890123' },
      { command: { service: 'pointsEarn', typedPoints: 5 }, code: 'SLM1234567890123' },
    ],
    [
      { ...earn, service: 'pointsSpend', points: 7 },
      { command: { service: 'pointsSpend', points: 7 }, purchase: { amountMinor: 30_000 } },
    ],
    [{ ...earn, service: 'couponHost' }, { command: { service: 'couponHost' } }],
    [
      { ...earn, service: 'couponHost', couponCode: 'SLC1234567890123' },
      { command: { service: 'couponHost', couponCode: 'SLC1234567890123' } },
    ],
    [{ ...earn, service: 'couponCard' }, { command: { service: 'couponCard' } }],
    [
      { service: 'topUpCard', clerk: 'c', amountMinor: 500 },
      { command: { service: 'topUpCard' }, purchase: { amountMinor: 500 } },
    ],
    [
      { service: 'refund', clerk: 'c', original: 'r0', amountMinor: 1 },
      { command: { service: 'refund', original: 'r0', amountMinor: 1 } },
    ],
  ];
  for (const [index, [body, command]] of asked.entries()) {
    const answer = await till.call('PUT', `/v1/sales/r${index}`, { body });
    t.equal(answer.status, 201, answer.text);
    t.match(till.port.commands.at(-1), command as object);
    till.port.end(`r${index}`);
  }
});

t.test('faults 14, 15, 35, 36, 42: what a till may not send', async (t) => {
  const till = await pair(t);
  const raw = (text: string): string => `{"service":"pointsEarn","clerk":"c","amountMinor":${text}}`;
  const cases: readonly (readonly [sent: string, code: string])[] = [
    [raw('-1'), '400 value.outOfRange'],
    [raw('-0'), '400 input.malformed'],
    [raw('1.5'), '400 value.notAnInteger'],
    [raw('1e308'), '400 value.outOfRange'],
    [raw('1e999'), '400 value.notAnInteger'],
    [raw('9007199254740993'), '400 value.outOfRange'],
    [raw('1000000000000'), '400 value.outOfRange'],
    [raw('"12"'), '400 value.notAnInteger'],
    [raw('"１２"'), '400 value.notAnInteger'],
    [raw('null'), '400 value.notAnInteger'],
    [raw('true'), '400 value.notAnInteger'],
    [raw('NaN'), '400 input.malformed'],
    [raw('1,000'), '400 input.malformed'],
    [raw('0x10'), '400 input.malformed'],
    [raw('1,"extra":1'), '400 input.malformed'],
    [raw('1,"amountMinor":2'), '400 input.malformed'],
    [raw('1,"\\u0061mountMinor":2'), '400 input.malformed'],
    [raw('1,"__proto__":{"clerk":"x"}'), '400 input.malformed'],
    [raw('1,"constructor":{}'), '400 input.malformed'],
    [raw('1,"lines":[{"code":"1","quantity":1}]'), '400 input.malformed'],
    ['{"service":"pointsEarn","clerk":"c"}', '400 input.malformed'],
    ['{"service":"pointsEarn","clerk":"","amountMinor":1}', '400 input.malformed'],
    [`{"service":"pointsEarn","clerk":"${'c'.repeat(33)}","amountMinor":1}`, '400 input.tooLong'],
    ['{"service":"pointsEarn","clerk":"a\\u001b[2J","amountMinor":1}', '400 input.malformed'],
    ['{"service":"pointsEarn","clerk":"a\u001bb","amountMinor":1}', '400 input.malformed'],
    ['{"service":"steal","clerk":"c","amountMinor":1}', '400 input.unsupported'],
    ['{"service":"refund","clerk":"c","original":"r","amountMinor":0}', '400 value.outOfRange'],
    ['{"service":"refund","clerk":"c","original":"../r","amountMinor":1}', '400 input.malformed'],
    ['{"service":"pointsSpend","clerk":"c","amountMinor":1,"points":0}', '400 value.outOfRange'],
    ['{"service":"plainSale","clerk":"c","lines":[]}', '400 input.malformed'],
    ['{"service":"plainSale","clerk":"c","lines":[{"quantity":1}]}', '400 input.malformed'],
    ['{"service":"plainSale","clerk":"c","lines":[{"code":"a","name":"b","quantity":1}]}', '400 input.malformed'],
    ['{"service":"plainSale","clerk":"c","lines":[{"code":"a","quantity":0}]}', '400 value.outOfRange'],
    ['{"service":"plainSale","clerk":"c","lines":[{"code":"a\\u0000","quantity":1}]}', '400 input.malformed'],
    [
      `{"service":"plainSale","clerk":"c","lines":[${Array(501).fill('{"code":"a","quantity":1}').join()}]}`,
      '400 bill.tooLong',
    ],
    [`${'{"a":'.repeat(9)}1${'}'.repeat(9)}`, '400 input.tooLong'],
    ['['.repeat(60_000), '400 input.tooLong'],
    ['', '400 input.malformed'],
    ['[]', '400 input.malformed'],
    ['null', '400 input.malformed'],
    ['{', '400 input.malformed'],
  ];
  for (const [sent, code] of cases)
    t.equal(codeOf(await till.call('PUT', '/v1/sales/r1', { raw: sent })), code, sent.slice(0, 70));
  t.equal(
    codeOf(await till.call('PUT', '/v1/sales/r1', { raw: Buffer.from([0x7b, 0xff, 0x7d]) })),
    '400 input.malformed',
  );
  t.equal(codeOf(await till.call('PUT', '/v1/sales/r1', { raw: ' '.repeat(bodyBytesMax + 1) })), '413 input.tooLong');
  t.equal(codeOf(await till.call('PUT', '/v1/sales/r1?x=1', { body: earn })), '400 input.malformed');
  t.equal(
    codeOf(await till.call('PUT', '/v1/sales/-r', { body: earn })),
    '400 input.malformed',
    'who makes one is told why',
  );
  for (const query of ['wait=61', 'wait=-1', 'wait=1.5', 'wait=', 'wait=１', 'other=1']) {
    t.equal(codeOf(await till.call('GET', `/v1/sales/r1?${encodeURI(query)}`)), '400 input.malformed', query);
  }
  for (const query of ['limit=0', 'limit=201', 'limit=x', "before='; DROP TABLE sales--"]) {
    t.equal(codeOf(await till.call('GET', `/v1/sales?${encodeURI(query)}`)), '400 input.malformed', query);
  }
  t.equal(till.port.commands.length, 0);
  t.equal(
    (await till.call('PUT', '/v1/sales/r1', { body: { ...earn, clerk: "'; DROP TABLE sales--" } })).status,
    201,
    'SQL is only text',
  );
  t.same(till.bugs, []);
});

t.test('any JSON gets an answer with a code of the table and never a stack', async (t) => {
  const till = await pair(t, { limits: { ...serverLimitsDefault, requestsPerSecondMax: 100_000 } });
  const key = fc.constantFrom('service', 'clerk', 'amountMinor', 'lines', 'points', 'original', 'code', 'x');
  const body = fc.oneof(
    fc.json(),
    fc.dictionary(key, fc.jsonValue()).map((value) => JSON.stringify({ ...value, service: 'refund' })),
  );
  await fc.assert(
    fc.asyncProperty(body, async (raw) => {
      const answer = await till.call('PUT', '/v1/sales/fuzz', { raw });
      if (answer.status === 201 || answer.status === 200) return;
      codeOf(answer);
      if (answer.status >= 500 || /node_modules|\bat .*\.js/.test(answer.text)) throw new Error(answer.text);
    }),
    { numRuns: 200 },
  );
  t.same(till.bugs, []);
});

t.test('looking: sales page by page, status, devices, queue without credentials, waiting for the end', async (t) => {
  const till = await pair(t);
  for (const reference of ['a', 'b', 'c']) {
    await till.call('PUT', `/v1/sales/${reference}`, { body: earn });
    if (reference !== 'c') till.port.end(reference);
  }
  const page = salesSchema.parse((await till.call('GET', '/v1/sales?limit=2')).body).sales;
  t.same(
    page.map(({ reference }) => reference),
    ['c', 'b'],
  );
  const rest = salesSchema.parse((await till.call('GET', `/v1/sales?before=${page[1]?.transactionId}`)).body).sales;
  t.same(
    rest.map(({ reference }) => reference),
    ['a'],
  );
  t.match(statusSchema.parse((await till.call('GET', '/v1/status')).body), { sale: { reference: 'c' }, stopped: null });
  t.same(devicesSchema.parse((await till.call('GET', '/v1/devices')).body), { devices: [] });
  till.port.journalEntries = [journalEntry(1), journalEntry(2, { state: 'dead' })];
  const queue = await till.call('GET', '/v1/queue');
  t.match(queueSchema.parse(queue.body), {
    gauges: { unsent: 1, dead: 1 },
    unsent: [{ worthMinor: 30_000 }],
    sync: { state: 'online' },
  });
  t.notMatch(queue.text, '"body"');

  const waiting = till.call('GET', '/v1/sales/c?wait=60');
  while (till.port.waits.length === 0) await new Promise((resolve) => setImmediate(resolve));
  t.same(till.port.waits, [60_000]);
  till.port.end('c', 'points.tooFew');
  t.match(saleSchema.parse((await waiting).body), { outcome: { result: 'refused', code: 'points.tooFew' } });
  t.equal((await till.call('GET', '/v1/sales/c?wait=60')).status, 200, 'an ended sale does not wait');
  t.equal(till.port.waits.length, 1);
});

t.test('trouble of the box is told by its code; a bug says nothing of itself', async (t) => {
  const till = await pair(t);
  till.port.failNext = new TerminalError('store.full', 'no room');
  t.equal(codeOf(await till.call('PUT', '/v1/sales/a', { body: earn })), '503 store.full');
  till.port.failNext = new TerminalError('terminal.notEnrolled');
  t.equal(codeOf(await till.call('PUT', '/v1/sales/a', { body: earn })), '503 terminal.notEnrolled');
  till.port.failNext = new Error('secret in a message at file.js:1');
  const answer = await till.call('PUT', '/v1/sales/a', { body: earn });
  t.equal(codeOf(answer), '500 box.failed');
  t.notMatch(answer.text, 'secret');
  t.equal(till.bugs.length, 1);
  till.port.stopped = { code: 'store.corrupt', detail: '' };
  t.equal(codeOf(await till.call('PUT', '/v1/sales/a', { body: earn })), '503 store.corrupt');
});
