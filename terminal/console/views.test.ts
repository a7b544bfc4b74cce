/**
 * Shows that what is printed fits 80 columns with Chinese in it, carries no control characters, and says what is unknown.
 */

import fc from 'fast-check';
import stringWidth from 'string-width';
import t from 'tap';
import type { DeviceState, DeviceStatus, UnclaimedDevice } from '../../drivers/contract/driver.js';
import { offlineLimitsDefault } from '../../host-sync/protocol/sync.js';
import type { TransactionId } from '../kernel/ports.js';
import { wallMs } from '../kernel/units.js';
import { journalView } from '../runtime/journal-port.js';
import type { OfflineView, PinSight } from '../runtime/port.js';
import { journalEntry, PortDouble } from '../sim/port-double.js';
import { describedLines, deviceLines, sightLine } from './device-views.js';
import { fit, renderPairs, renderTable } from './table.js';
import {
  auditLines,
  clockText,
  durationText,
  eventLine,
  journalLines,
  jsonLine,
  offlineLines,
  queueLines,
  receiptLines,
  refusalLines,
  saleLines,
  salesLines,
  statusLines,
} from './views.js';

const hostile = `${'长名字'.repeat(40)}\u001b[2J\r\n\u202e\u009b`;

const slice = { grantedAtMs: 0, memberCode: 'SLM0000000000017', state: 'open' } as const;
const uuid = (last: string) => `01890000-0000-7000-8000-${last.padStart(12, '0')}` as TransactionId;
const coupon = { unit: 'money', currency: 'CNY', amountMinor: 9, couponCode: 'SLC0000000000017' } as const;
const offlineView: OfflineView = {
  ...{ limits: { ...offlineLimitsDefault, floorPerSaleMinor: 999_999_999_999, floorPerDayMinor: 999_999_999_999 } },
  ...{ catalogueVersion: 7, rulesVersion: 3, directivesVersion: 99, clockDoubtful: true, floorTodayMinor: 1 },
  ...{ lastContactMs: 1_700_000_000_000, nowMs: 1_700_086_400_000, worth: { points: 300, CNY: 999_999_999_999 } },
  allowances: [
    { ...slice, id: uuid('1'), remaining: 300, expiresAtMs: 1_800_000_000_000, holds: { unit: 'points', points: 500 } },
    {
      ...{ ...slice, id: uuid('2'), remaining: 999_999_999_999, expiresAtMs: 1_600_000_000_000 },
      holds: { ...coupon, limitCategory: null, limitProducts: null },
    },
    { ...slice, state: 'recalled', id: uuid('3'), remaining: 5, expiresAtMs: 1, holds: { unit: 'points', points: 5 } },
  ],
};

t.test('the list says what a trouble means once, and of what is simply away no more than that', async (t) => {
  const row = (device: string, state: DeviceState, error: DeviceStatus['error']): DeviceStatus => ({
    ...{ device, state, bus: 'serial', identity: device, sensitive: false, description: `/dev/${device}` },
    ...{ sinceWallMs: wallMs(1), error, counters: {}, simulated: false },
  });
  const away = (device: string) => row(device, 'absent', { code: 'device.absent', detail: `/dev/${device}` });
  const busy = (device: string) => row(device, 'failing', { code: 'device.busy', detail: `held by ${device}` });
  const devices = [
    ...Array.from({ length: 12 }, (_, index) => away(`printer-${index}`)),
    busy('relay-1'),
    busy('modem-1'),
  ];
  const lines = deviceLines(devices, [], 'en');
  t.ok(lines.length <= 24, `${lines.length} lines`);
  t.equal(lines.filter((line) => line.includes('device.absent')).length, 0);
  t.match(lines.slice(-3).join('\n'), /held by relay-1\n.*held by modem-1\n/);
});

t.test('status names the devices that are not ready, and how many are', async (t) => {
  const port = new PortDouble();
  const row = (device: string, state: DeviceState): DeviceStatus => ({
    ...{ device, state, bus: 'serial', identity: device, sensitive: false, description: device, simulated: false },
    ...{ sinceWallMs: wallMs(1), error: null, counters: {} },
  });
  const away = Array.from({ length: 7 }, (_, index) => row(`scanner-${index + 1}`, 'absent'));
  const devices = [row('reader-1', 'ready'), row('relay-1', 'failing'), ...away];
  const text = statusLines(port.status(), devices, 'CNY', 'en').join('\n');
  t.match(text, /devices +1 ready\n +FAILING {2}relay-1\n +absent {2}scanner-1 .* scanner-5 \+2\n/);
  t.match(statusLines(port.status(), [], 'CNY', 'zh').join('\n'), /设备 +0 就绪/);
});

t.test('what works without the host: worth, age, and each slice with its end', async (t) => {
  const lines = offlineLines(offlineView, 'CNY', 'en').join('\n');
  t.match(lines, /last contact .* \(1 d|24 h/);
  t.match(lines, /allowances +300 points/);
  t.match(lines, new RegExp(`${uuid('1')} +SLM0000000000017 +300 +\\d\\d-\\d\\d`));
  t.match(lines, /SLC0000000000017 .* expired/);
  t.match(lines, /5 +goes back/);
  t.match(offlineLines(new PortDouble().offline(), 'CNY', 'zh').join('\n'), /未持有离线额度/);
  t.notMatch(lines, /a tap spends by/);
  const strict = { ...offlineView, limits: { ...offlineLimitsDefault, credentialOnly: true } };
  t.match(offlineLines(strict, 'CNY', 'en').join('\n'), /a tap spends by +phone credential only/);
  t.match(offlineLines(strict, 'CNY', 'zh').join('\n'), /手机离线凭证/);
});

t.test('every view fits the screen and is safe, whatever the box says', async (t) => {
  const port = new PortDouble();
  port.sync = {
    state: 'offline',
    lastContactWallMs: null,
    lastError: { code: 'host.unreachable', detail: hostile },
    nextAttemptInMs: 5_000,
  };
  port.stopped = { code: 'store.full', detail: hostile };
  port.deviceList = [
    {
      device: hostile,
      bus: 'serial',
      identity: hostile,
      sensitive: false,
      state: 'failing',
      description: hostile,
      simulated: true,
      sinceWallMs: wallMs(0),
      error: { code: 'device.denied', detail: hostile },
      counters: {},
    },
  ];
  const unclaimed: UnclaimedDevice = {
    ...{ bus: 'hid', vendorId: '0c2e', productId: '0b87', serial: hostile, name: hostile, usage: '8c:02' },
    ...{ place: hostile, why: hostile, configuration: [] },
  };
  const described = {
    ...(port.deviceList[0] as (typeof port.deviceList)[number]),
    ...{
      driver: hostile,
      forMs: 1,
      counters: { [hostile]: 1 },
      recording: { file: hostile, bytes: 1, ended: hostile },
    },
  };
  port.recordAudit(hostile, hostile, hostile);
  const status = port.status();
  port.stopped = null;
  const started = await port.startSale({
    command: { service: 'plainSale' },
    reference: null,
    clerk: hostile,
    origin: 'till',
  });
  if (!started.ok) throw new Error(started.error.code);
  const sale = { ...started.value, receipt: [hostile] };
  const refused = {
    outcome: 'refused' as const,
    transactionId: sale.transactionId,
    code: 'credential.blocked' as const,
    detail: hostile,
    balances: {} as never,
  };
  const entries = [
    journalEntry(1),
    journalEntry(2, { state: 'dead', answer: refused }),
    journalEntry(3, { body: '{' }),
  ].map(journalView);
  const queue = { gauges: status.queue, unsent: entries, dead: entries };
  const pinSights: readonly PinSight[] = [
    ...[8, 16].map((blockBytes) => ({ result: 'entered' as const, keySerialEnd: 'ab01', blockBytes })),
    ...(['cancelled', 'timedOut', 'noKeys'] as const).map((result) => ({ result })),
    ...(['failed', 'unknown'] as const).map((result) => ({ result, code: 'device.driverMissing' as const })),
  ];
  const limits = { expiresAtMs: null, limitCategory: null, limitProducts: null };
  const coupon = { codeEnd: '0128', holder: 'host', balanceMinor: 3_000, currency: 'CNY', ...limits } as const;
  const balances = {
    result: 'known',
    tier: 'gold',
    points: 300,
    pointsOwed: 5,
    coupons: [coupon],
    couponsMore: 2,
  } as const;
  t.equal(
    eventLine({ type: 'inquiry', inquiry: balances }, 'en'),
    'balance points 300  owed 5  gold  coupon …0128 ¥30.00  +2',
  );
  t.match(
    eventLine({ type: 'inquiry', inquiry: { result: 'refused', code: 'host.unreachable' } }, 'zh'),
    /[\u4e00-\u9fff]/,
  );
  const google = (googleWallet: typeof status.googleWallet, googleTrouble: typeof status.googleTrouble = null) =>
    statusLines({ ...status, googleWallet, googleTrouble }, [], 'CNY', 'en').find((line) => line.startsWith('Google'));
  t.same([google('off'), google('here')], [undefined, undefined]);
  t.match(google('withHost'), /read with the host/);
  t.match(google('notAsked'), /the host is away: not asked/);
  const trouble = { code: 'host.noAnswer', detail: 'no answer within the deadline' } as const;
  t.match(
    google('withHost', trouble),
    /host\.noAnswer no answer within the deadline/,
    'not said to work while it fails',
  );
  t.match(google('notAsked', trouble), /the host is away: not asked/);
  const tag = { chipGenuine: 'no', messageFresh: 'noProof', productKnown: 'notKnownHere', refused: null } as const;
  t.equal(
    eventLine({ type: 'tag', tag }, 'en'),
    'tag     chip NOT genuine  no message that proves  product not known here',
  );
  const tags = (['yes', 'no', 'unread', 'notAsked'] as const).flatMap((chipGenuine) =>
    ([null, 'tag.notGenuine', 'tag.signatureUnread'] as const).map((refused) => ({
      ...{ ...tag, chipGenuine, refused, messageFresh: 'hostDecides' as const },
    })),
  );
  for (const language of ['en', 'zh'] as const) {
    const screens = [
      tags.map((each) => eventLine({ type: 'tag', tag: each }, language)),
      statusLines(status, port.devices(), 'CNY', language),
      statusLines({ ...status, googleWallet: 'notAsked' }, port.devices(), 'CNY', language),
      statusLines(
        {
          ...status,
          googleWallet: 'withHost',
          googleTrouble: { code: 'pass.unknownKey', detail: 'collector 4294967295' },
        },
        ...([port.devices(), 'CNY', language] as const),
      ),
      deviceLines(port.devices(), [unclaimed], language),
      describedLines(described, language),
      [
        sightLine({ type: 'code', text: hostile }, language),
        sightLine({ type: 'card', atr: '3b'.repeat(33) }, language),
        sightLine({ type: 'shown', lines: ['显示测试DISPLAY TEST', '01234567890123456789'] }, language),
        sightLine(
          { type: 'modem', condition: { known: true, device: 'm', network: 'roaming', signalDbm: -73 } },
          language,
        ),
        sightLine(
          { type: 'modem', condition: { known: true, device: 'm', network: 'none', signalDbm: null } },
          language,
        ),
        ...pinSights.map((end) => sightLine({ type: 'pin', end }, language)),
      ],
      queueLines(queue, status.sync, 'CNY', language),
      offlineLines(offlineView, 'CNY', language),
      offlineLines(port.offline(), 'CNY', language),
      journalLines(entries, 'CNY', language),
      salesLines([sale], language),
      saleLines(sale, language),
      receiptLines(sale, language),
      auditLines(port.audit(5), language),
      [eventLine({ type: 'scan', device: hostile, code: hostile }, language)],
      [eventLine({ type: 'inquiry', inquiry: { ...balances, tier: hostile } }, language)],
      [eventLine({ type: 'inquiry', inquiry: { result: 'refused', code: 'host.unreachable' } }, language)],
    ];
    for (const line of screens.flat()) {
      t.ok(stringWidth(line) <= 80, line);
      t.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/);
    }
  }
  for (const line of refusalLines('sale.busy', hostile)) t.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u202e]/);
  t.match(refusalLines('sale.busy').join('\n'), /sale\.busy.*有未完成的交易/s);
  const long = refusalLines('command.malformed', 'a word '.repeat(60));
  t.ok(
    long.every((line) => stringWidth(line) <= 80),
    'no line is broken by the screen',
  );
  t.ok(long.join(' ').includes('its name'), 'and what to do is whole');
});

t.test('a record that cannot be read has no worth, not a worth of zero', async (t) => {
  const view = journalView(journalEntry(3, { body: '{"kind":"plainSale"}' }));
  t.equal(view.worthMinor, null);
  t.equal(journalView(journalEntry(3)).worthMinor, 30_000);
  t.notMatch(jsonLine(view), 'body');
});

t.test('a receipt is marked as a copy exactly once', async (t) => {
  const port = new PortDouble();
  await port.startSale({ command: { service: 'plainSale' }, reference: 'r', clerk: 'c', origin: 'till' });
  const sale = port.end('r');
  t.equal(receiptLines(sale, 'en').filter((line) => line.includes('COPY')).length, 1);
  t.equal(receiptLines({ ...sale, receipt: ['COPY 副本'] }, 'zh').length, 1);
});

t.test('what becomes of the money where nothing was accepted, in either language', async (t) => {
  const port = new PortDouble();
  await port.startSale({ command: { service: 'plainSale' }, reference: 'r', clerk: 'c', origin: 'till' });
  const ended = port.end('r', 'sale.timedOut');
  const lost = { result: 'unknown', code: 'card.unknown' } as const;
  for (const [service, outcome, en, zh] of [
    ['topUp', ended.outcome, /give the money back/, /请退还现金/],
    ['topUpCard', ended.outcome, /give the money back/, /请退还现金/],
    ['topUpCard', lost, /Keep the money/, /现金已收/],
    ['topUpCard', { ...lost, isUndecided: true }, /Not decided yet: keep the receipt/, /请保留小票/],
    ['topUpCardVoid', lost, /pay nothing back/, /请勿退款/],
  ] as const) {
    const said = (language: 'en' | 'zh') => saleLines({ ...ended, service, outcome }, language).join('\n');
    t.match(said('en'), en, service);
    t.match(said('zh'), zh, service);
    if (outcome === lost && service === 'topUpCard') t.notMatch(said('en'), /not accepted/, 'not the contrary too');
  }
});

t.test('columns stay in line and never overflow; JSON shows no raw control character', async (t) => {
  const cell = fc.string({ unit: fc.constantFrom('a', '积', '🍰', '\u0301', ' ', '\u001b'), maxLength: 60 });
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 5 }), (rows) => {
        const lines = renderTable(
          [
            { title: 'one', least: 4 },
            { title: '二', right: true, least: 4 },
            { title: 'three', least: 4 },
          ],
          rows,
        );
        return lines.length === rows.length + 1 && lines.every((line) => stringWidth(line) <= 80);
      }),
    ),
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = jsonLine({ text });
        return (
          !/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(json) &&
          (JSON.parse(json) as { text: string }).text === text
        );
      }),
    ),
  );
  t.same(renderPairs([['a', 'one two 积分积分']], 12), ['a  one two', '   积分积分']);
  t.same(renderPairs([['a', '积'.repeat(20)]], 9), ['a  积积积', '   积积积', '   积积积', '   积积…']);
  t.equal(fit('积分积分', 5), '积分…');
  t.equal(durationText(3_723_000), '1 h 2 min');
  t.match(clockText(0), /^\d\d-\d\d \d\d:\d\d:\d\d$/);
  t.equal(clockText(Number.NaN), '?');
});
