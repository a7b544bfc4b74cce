/**
 * Views: what the box answers, as lines for a screen of 80 columns. Must not ask the box anything.
 */
import { type ErrorCode, errorTable } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import { type Currency, currencies, formatAmount } from '../kernel/units.js';
import type { JournalView } from '../runtime/journal-port.js';
import type {
  InquiryView,
  OfflineView,
  SaleView,
  SyncStatus,
  TagView,
  TerminalEvent,
  TerminalPort,
  TerminalStatus,
} from '../runtime/port.js';
import type { Language } from './grammar.js';
import { fit, renderPairs, renderTable, screenColumns, wrap } from './table.js';
import { say, type TextName } from './texts.js';

type Audit = ReturnType<TerminalPort['audit']>[number];
type Gauges = TerminalStatus['queue'];
type Pair = readonly [string, string];

/** Local date and time `MM-DD HH:MM:SS` of a wall-clock time. */
export function clockText(wallMs: number): string {
  const date = new Date(wallMs);
  if (Number.isNaN(date.getTime())) return '?';
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A length of time in its two largest units. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

export const moneyText = (minor: number, currency: Currency): string =>
  `${currencies[currency].symbol}${formatAmount(minor, currency)}`;

const indent = '  ';
const refusalLinesMax = 3;

/** A refusal: its code, what happened and what to do, in English and Chinese, and the detail. */
export function refusalLines(code: ErrorCode, detail = ''): string[] {
  const row = errorTable[code];
  const [first = '', ...more] = wrap(`${code}  ${row.en}`, screenColumns - indent.length, refusalLinesMax);
  const others = [row.zh, detail].filter((text) => text !== '');
  return [
    first,
    ...[...more, ...others.flatMap((text) => wrap(text, screenColumns - indent.length, refusalLinesMax))].map(
      (text) => `${indent}${text}`,
    ),
  ];
}

interface Trouble {
  readonly code: ErrorCode;
  readonly detail: string;
}
const meaning = (code: ErrorCode, language: Language): string =>
  language === 'zh' ? errorTable[code].zh : errorTable[code].en;
/** Code and detail on one line, what it means on the next: neither is cut for the other's sake. */
export const troublePairs = (label: string, trouble: Trouble, language: Language): Pair[] => [
  [label, `${trouble.code} ${trouble.detail}`],
  ['', meaning(trouble.code, language)],
];

type Devices = ReturnType<TerminalPort['devices']>;
/** Names in one row of what is not ready. */
const devicesNamedMax = 5;

/** How many devices are ready, then the names of the others by their state. */
function devicePairs(devices: Devices, language: Language): Pair[] {
  const inState = (state: Devices[number]['state']) => devices.filter((device) => device.state === state);
  const states = ['failing', 'flapping', 'absent', 'opening', 'disabled'] as const;
  const others = states.flatMap((state): Pair[] => {
    const names = inState(state).map(({ device }) => device);
    const more = names.length > devicesNamedMax ? ` +${names.length - devicesNamedMax}` : '';
    const named = `${names.slice(0, devicesNamedMax).join(' ')}${more}`;
    return names.length === 0 ? [] : [['', `${say(language, `device.${state}`)}  ${named}`]];
  });
  return [[say(language, 'label.devices'), `${inState('ready').length} ${say(language, 'device.ready')}`], ...others];
}

/** Several troubles: those of one code together, what it means under them once. */
export function troubleGroups(
  troubles: readonly { readonly label: string; readonly trouble: Trouble }[],
  language: Language,
): Pair[] {
  const codes = [...new Set(troubles.map(({ trouble }) => trouble.code))];
  return codes.flatMap((code): Pair[] => [
    ...troubles
      .filter(({ trouble }) => trouble.code === code)
      .map(({ label, trouble }): Pair => [label, `${code} ${trouble.detail}`]),
    ['', meaning(code, language)],
  ]);
}

export function syncLines(sync: SyncStatus, language: Language): string[] {
  return renderPairs(syncPairs(sync, language));
}

function syncPairs(sync: SyncStatus, language: Language): Pair[] {
  const pairs: Pair[] = [
    [say(language, 'label.host'), say(language, `sync.${sync.state}`)],
    [
      say(language, 'label.lastContact'),
      sync.lastContactWallMs === null ? say(language, 'none') : clockText(sync.lastContactWallMs),
    ],
  ];
  if (sync.lastError) pairs.push(...troublePairs(say(language, 'label.lastError'), sync.lastError, language));
  if (sync.nextAttemptInMs !== null) pairs.push([say(language, 'label.nextTry'), durationText(sync.nextAttemptInMs)]);
  return pairs;
}

function queuePairs(gauges: Gauges, currency: Currency, language: Language): Pair[] {
  const worth = `${moneyText(gauges.unsentWorthMinor, currency)}  ${say(language, 'label.points')} ${gauges.unsentPoints}`;
  const pairs: Pair[] = [
    [say(language, 'label.unsent'), String(gauges.unsent)],
    [say(language, 'label.worth'), worth],
    [say(language, 'label.dead'), String(gauges.dead)],
  ];
  if (gauges.oldestUnsentWallMs !== null)
    pairs.push([say(language, 'label.oldest'), clockText(gauges.oldestUnsentWallMs)]);
  return pairs;
}

/** Said only where it depends on the host whether Google's wallet is asked; why the last phone could not be, where it was not. */
function googlePairs({ googleWallet, googleTrouble }: TerminalStatus, language: Language): Pair[] {
  if (googleWallet !== 'withHost' && googleWallet !== 'notAsked') return [];
  const label = say(language, 'label.google');
  if (googleTrouble && googleWallet === 'withHost') return troublePairs(label, googleTrouble, language);
  return [[label, say(language, `google.${googleWallet}`)]];
}

export function statusLines(
  status: TerminalStatus,
  devices: Devices,
  currency: Currency,
  language: Language,
): string[] {
  const box = `${status.terminalId ?? say(language, 'sync.notEnrolled')}${status.epoch === null ? '' : `  epoch ${status.epoch}`}`;
  const version = (value: number | null): string => (value === null ? say(language, 'none') : String(value));
  const pairs: Pair[] = [
    [say(language, 'label.box'), status.simulated ? `${box}  ${say(language, 'simulated')}` : box],
    [say(language, 'label.merchant'), status.merchant ?? say(language, 'unknown')],
    [say(language, 'label.version'), status.version],
    [say(language, 'label.up'), durationText(status.uptimeMs)],
    [say(language, 'label.clock'), say(language, status.clockDoubtful ? 'label.clockDoubtful' : 'label.clockGood')],
    [say(language, 'label.sales'), say(language, status.stopped ? 'stopped' : 'ready')],
    ...(status.stopped ? troublePairs('', status.stopped, language) : []),
    ...devicePairs(devices, language),
    ...syncPairs(status.sync, language),
    ...queuePairs(status.queue, currency, language),
    [say(language, 'label.rules'), `${version(status.directivesVersion)}, ${version(status.catalogueVersion)}`],
    ...googlePairs(status, language),
    [say(language, 'label.sale'), status.sale ? saleSummary(status.sale, language) : say(language, 'none')],
  ];
  return renderPairs(pairs);
}

const optionalMoney = (minor: number | null, currency: Currency): string =>
  minor === null ? '' : formatAmount(minor, currency);

function entryTable(
  entries: readonly JournalView[],
  currency: Currency,
  language: Language,
  last: (entry: JournalView) => string,
): string[] {
  const columns = [
    { title: say(language, 'column.number'), right: true },
    { title: say(language, 'column.time') },
    { title: say(language, 'column.kind') },
    { title: say(language, 'label.worth'), right: true },
    { title: say(language, 'label.points'), right: true },
    { title: say(language, 'column.state') },
    { title: say(language, 'label.why'), least: 12 },
  ];
  const rows = entries.map((entry) => [
    `${entry.epoch}.${entry.sequence}`,
    clockText(entry.storedWallMs),
    entry.kind,
    optionalMoney(entry.worthMinor, entry.currency ?? currency),
    entry.points === null ? '' : String(entry.points),
    say(language, `entry.${entry.state}`),
    last(entry),
  ]);
  return renderTable(columns, rows);
}

/** What is unsent, why, and what it is worth; then the dead letters. */
export function queueLines(
  queue: { readonly gauges: Gauges; readonly unsent: readonly JournalView[]; readonly dead: readonly JournalView[] },
  sync: SyncStatus,
  currency: Currency,
  language: Language,
): string[] {
  const lines = renderPairs([...queuePairs(queue.gauges, currency, language), ...syncPairs(sync, language)]);
  const why = sync.lastError
    ? sync.lastError.code
    : say(language, sync.state === 'online' ? 'host.ordered' : `sync.${sync.state}`);
  const entries = [...queue.dead, ...queue.unsent];
  if (entries.length > 0) {
    lines.push(
      '',
      ...entryTable(entries, currency, language, (entry) => (entry.state === 'dead' ? refusalText(entry) : why)),
    );
  }
  if (queue.unsent.length < queue.gauges.unsent || queue.dead.length < queue.gauges.dead)
    lines.push(`(${say(language, 'more')})`);
  return lines;
}

/** How many records are unsent, and their worth, on one line. */
export function unsentLine(gauges: Gauges, currency: Currency, language: Language): string {
  const points = gauges.unsentPoints > 0 ? `, ${gauges.unsentPoints} ${say(language, 'label.points')}` : '';
  return `${say(language, 'label.unsent')} ${gauges.unsent}, ${moneyText(gauges.unsentWorthMinor, currency)}${points}`;
}

/** What the box can do without its host: limits, worth, and the age of all that it works by. */
export function offlineLines(view: OfflineView, currency: Currency, language: Language): string[] {
  const version = (value: number | null): string => (value === null ? say(language, 'none') : String(value));
  const money = (minor: number): string => moneyText(minor, currency);
  const { limits, lastContactMs, nowMs, worth } = view;
  const floor = limits && limits.floorPerSaleMinor > 0;
  const pairs: Pair[] = [
    [
      say(language, 'label.lastContact'),
      lastContactMs === null
        ? say(language, 'none')
        : `${clockText(lastContactMs)} (${durationText(Math.max(0, nowMs - lastContactMs))})`,
    ],
    [say(language, 'label.clock'), say(language, view.clockDoubtful ? 'label.clockDoubtful' : 'label.clockGood')],
    [say(language, 'label.rules'), `${version(view.directivesVersion)}, ${version(view.catalogueVersion)}`],
    [
      say(language, 'label.offlineLimits'),
      limits
        ? `${limits.daysMax} d, ${limits.earnCountPerDay} × / ${limits.earnPointsPerDay} p, ${limits.allowanceCountPerDay} ×`
        : say(language, 'none'),
    ],
    [
      say(language, 'label.floor'),
      floor
        ? `${money(limits.floorPerSaleMinor)}, ${money(view.floorTodayMinor)} / ${money(limits.floorPerDayMinor)}`
        : '0',
    ],
    ...(limits?.credentialOnly
      ? [[say(language, 'label.spending'), say(language, 'spending.credentialOnly')] satisfies Pair]
      : []),
    ...Object.entries(worth).map(
      ([unit, left]): Pair => [
        say(language, 'label.allowances'),
        unit === 'points' ? `${left} ${say(language, 'label.points')}` : moneyText(left, unit as Currency),
      ],
    ),
  ];
  const lines = renderPairs(pairs);
  if (view.allowances.length === 0) return [...lines, say(language, 'allowance.none')];
  const columns = [
    { title: say(language, 'column.allowance'), least: 36 },
    { title: say(language, 'column.what'), least: 16 },
    { title: say(language, 'label.left'), right: true },
    { title: say(language, 'column.until') },
  ];
  const rows = view.allowances.map(({ id, holds, remaining, expiresAtMs, memberCode, state }) => [
    id,
    holds.unit === 'points' ? (memberCode ?? '') : holds.couponCode,
    holds.unit === 'points' ? String(remaining) : formatAmount(remaining, holds.currency),
    state === 'recalled' || expiresAtMs <= nowMs
      ? say(language, state === 'recalled' ? 'allowance.recalled' : 'allowance.expired')
      : clockText(expiresAtMs),
  ]);
  return [...lines, '', ...renderTable(columns, rows)];
}

const refusalText = (entry: JournalView): string =>
  entry.refusal ? `${entry.refusal.code} ${entry.refusal.detail}` : '';

export function journalLines(entries: readonly JournalView[], currency: Currency, language: Language): string[] {
  if (entries.length === 0) return [say(language, 'none')];
  return entryTable(entries, currency, language, (entry) => refusalText(entry) || (entry.reference ?? ''));
}

function resultText(sale: SaleView, language: Language): string {
  if (!sale.outcome) return say(language, `phase.${sale.phase}`);
  const code = sale.outcome.result === 'accepted' ? '' : ` ${sale.outcome.code}`;
  return `${say(language, `result.${sale.outcome.result}`)}${code}`;
}

/** For lines that pass by, where what happens to the sale is what counts; `sales` and `status` name it in full. */
const shortName = ({ reference, transactionId }: SaleView): string => reference ?? `…${transactionId.slice(-8)}`;

const saleSummary = (sale: SaleView, language: Language, name = sale.reference ?? sale.transactionId): string =>
  `${name}  ${sale.service}  ${moneyText(sale.totalMinor, sale.currency)}  ${resultText(sale, language)}`;

export function salesLines(sales: readonly SaleView[], language: Language): string[] {
  if (sales.length === 0) return [say(language, 'none')];
  const columns = [
    // Whole: what undoes, shows or prints a sale wants it.
    { title: `${say(language, 'label.reference')} / ${say(language, 'label.id')}` },
    { title: say(language, 'label.service'), least: 6 },
    { title: say(language, 'label.clerk'), least: 2 },
    { title: say(language, 'label.total'), right: true },
    { title: say(language, 'label.result'), least: 6 },
  ];
  const rows = sales.map((sale) => [
    sale.reference ?? sale.transactionId,
    sale.service,
    sale.clerk,
    moneyText(sale.totalMinor, sale.currency),
    `${resultText(sale, language)}${sale.voided ? ` ${say(language, 'label.voided')}` : ''}`,
  ]);
  return renderTable(columns, rows);
}

/** What the clerk does with money where nothing was accepted, by service. */
const moneyWords: Partial<Record<SaleView['service'], Readonly<Record<'refused' | 'unknown', TextName>>>> = {
  topUp: { refused: 'topUp.giveBack', unknown: 'topUp.giveBack' },
  topUpVoid: { refused: 'topUp.payNothing', unknown: 'topUp.payNothing' },
  // A lost card has the money due to it.
  topUpCard: { refused: 'topUp.giveBack', unknown: 'topUp.due' },
  topUpCardVoid: { refused: 'topUp.payNothing', unknown: 'topUp.payNothing' },
};

function outcomePairs(sale: SaleView, language: Language): Pair[] {
  const outcome = sale.outcome;
  if (!outcome) return [];
  const pairs: Pair[] = [];
  if (outcome.result === 'accepted') {
    pairs.push([say(language, 'label.authority'), outcome.authority]);
    if (outcome.points !== null) pairs.push([say(language, 'label.points'), String(outcome.points)]);
    pairs.push([say(language, 'label.covered'), moneyText(outcome.coveredMinor, sale.currency)]);
    pairs.push([say(language, 'label.rest'), moneyText(outcome.restMinor, sale.currency)]);
  } else {
    const row = errorTable[outcome.code];
    const isUndecided = outcome.result === 'unknown' && outcome.isUndecided === true && sale.service === 'topUpCard';
    const money = isUndecided ? 'topUp.undecided' : moneyWords[sale.service]?.[outcome.result];
    // Of money that is due to a lost card the table's words would say the contrary.
    if (money !== 'topUp.due') pairs.push([say(language, 'label.reason'), `${row.en} ${row.zh}`]);
    if (money) pairs.push([money === 'topUp.due' ? say(language, 'label.reason') : '', say(language, money)]);
    if ('detail' in outcome) pairs.push(['', outcome.detail]);
  }
  const balances = outcome.result === 'unknown' ? null : outcome.balances;
  if (balances) {
    const parts: string[] = [];
    if (balances.points !== null) parts.push(`${say(language, 'label.points')} ${balances.points}`);
    if (balances.pointsOwed) parts.push(`${say(language, 'label.owed')} ${balances.pointsOwed}`);
    if (balances.couponMinor !== null)
      parts.push(
        `${say(language, 'label.coupon')} ${moneyText(balances.couponMinor, balances.currency ?? sale.currency)}`,
      );
    if (parts.length > 0) pairs.push([say(language, 'label.balance'), parts.join('  ')]);
  }
  return pairs;
}

export function saleLines(sale: SaleView, language: Language): string[] {
  const pairs: Pair[] = [
    [say(language, 'label.id'), sale.transactionId],
    [say(language, 'label.reference'), sale.reference ?? say(language, 'none')],
    [say(language, 'label.service'), sale.simulated ? `${sale.service}  ${say(language, 'simulated')}` : sale.service],
    [say(language, 'label.clerk'), sale.clerk],
    [say(language, 'label.total'), moneyText(sale.totalMinor, sale.currency)],
    [
      say(language, 'label.result'),
      `${resultText(sale, language)}${sale.prompt ? `: ${say(language, `prompt.${sale.prompt}`)}` : ''}`,
    ],
    ...outcomePairs(sale, language),
  ];
  if (sale.voided || sale.refundedMinor > 0) {
    pairs.push([
      say(language, 'label.undone'),
      sale.voided ? say(language, 'label.voided') : moneyText(sale.refundedMinor, sale.currency),
    ]);
  }
  return renderPairs(pairs);
}

/** The receipt of an ended sale, marked as a copy when the box has not marked it itself. */
export function receiptLines(sale: SaleView, language: Language): string[] {
  if (sale.receipt.length === 0) return [say(language, 'receipt.none')];
  const copy = say(language, 'copy');
  const lines = sale.receipt.map((line) => fit(line, screenColumns));
  return lines.some((line) => line.includes('COPY')) ? lines : [copy, ...lines];
}

export function auditLines(entries: readonly Audit[], language: Language): string[] {
  if (entries.length === 0) return [say(language, 'none')];
  const columns = [
    { title: say(language, 'column.number'), right: true },
    { title: say(language, 'column.time') },
    { title: say(language, 'column.actor'), least: 8 },
    { title: say(language, 'column.action'), least: 12 },
    { title: say(language, 'column.detail'), least: 12 },
  ];
  return renderTable(
    columns,
    entries.map((entry) => [String(entry.number), clockText(entry.atWallMs), entry.actor, entry.action, entry.detail]),
  );
}

/** What a member may spend: points, then each coupon by the end of its code. */
function inquiryLine(inquiry: InquiryView, language: Language): string {
  if (inquiry.result === 'refused') return meaning(inquiry.code, language);
  const { tier, points, pointsOwed, coupons, couponsMore } = inquiry;
  const parts = [`${say(language, 'label.points')} ${points}`];
  if (pointsOwed > 0) parts.push(`${say(language, 'label.owed')} ${pointsOwed}`);
  parts.push(tier);
  for (const { codeEnd, balanceMinor, currency } of coupons)
    parts.push(`${say(language, 'label.coupon')} …${codeEnd} ${moneyText(balanceMinor, currency)}`);
  if (couponsMore > 0) parts.push(`+${couponsMore}`);
  return parts.join('  ');
}

/** Three findings, or why the tag is no credential here. */
function tagLine(tag: TagView, language: Language): string {
  const parts = [
    say(language, `tag.chip.${tag.chipGenuine}`),
    say(language, `tag.message.${tag.messageFresh}`),
    say(language, `tag.product.${tag.productKnown}`),
  ];
  return [...(tag.refused ? [meaning(tag.refused, language)] : []), ...parts].join('  ');
}

/** One line for one event. */
export function eventLine(event: TerminalEvent, language: Language): string {
  const text = (): string => {
    switch (event.type) {
      case 'sale': {
        const prompt = event.sale.prompt ? `: ${say(language, `prompt.${event.sale.prompt}`)}` : '';
        return `sale    ${saleSummary(event.sale, language, shortName(event.sale))}${prompt}`;
      }
      case 'device':
        return `device  ${event.device.device}  ${say(language, `device.${event.device.state}`)}  ${event.device.error?.code ?? ''}`;
      case 'sync':
        return `sync    ${say(language, `sync.${event.sync.state}`)}  ${event.sync.lastError?.code ?? ''}`;
      case 'inquiry':
        return `balance ${inquiryLine(event.inquiry, language)}`;
      case 'tag':
        return `tag     ${tagLine(event.tag, language)}`;
      case 'scan':
        return `scan    ${event.device}  ${event.code}  ${event.problem ?? ''}`;
    }
  };
  return fit(text().trimEnd(), screenColumns);
}

/** JSON on one line; what a terminal could take as a command is escaped. */
export function jsonLine(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Longest line that is printed, in characters: JSON of the longest list. */
const printedLineMax = 1_048_576;
/** Any text as one safe line. */
export const safeLine = (text: string): string => printable(text, printedLineMax);
