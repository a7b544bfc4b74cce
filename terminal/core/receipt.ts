/**
 * Receipt text: one sale as lines of a fixed width, Chinese and English together. Pure; printing is a driver's work.
 */
import type { Balances } from '../../host-sync/protocol/sync.js';
import { errorTable } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import { formatAmount } from '../kernel/units.js';
import {
  type AcceptedOutcome,
  isDueToCard,
  type OriginalSale,
  type SaleOutcome,
  type SaleRequest,
  type ServiceName,
} from './sale.js';
import { isTopUp, isTopUpVoid } from './services/undo.js';
import { columnsOf } from './text-width.js';

/** Columns of a 58 mm printer in font A. */
export const receiptColumns = 32;

const titles: Readonly<Record<ServiceName, string>> = {
  plainSale: '销售 SALE',
  pointsEarn: '积分累计 EARN POINTS',
  pointsSpend: '积分消费 PAY BY POINTS',
  couponHost: '优惠券 COUPON',
  couponCard: '卡内优惠券 CARD COUPON',
  topUp: '充值 TOP-UP',
  topUpVoid: '撤销充值 VOID TOP-UP',
  topUpCard: '卡内充值 CARD TOP-UP',
  topUpCardVoid: '撤销卡内充值 VOID TOP-UP',
  void: '撤销 VOID',
  refund: '退款 REFUND',
  cardCredit: '退回卡内 BACK TO CARD',
};

export interface ReceiptContext {
  readonly terminalId: string;
  /** Local time as text, made by the shell: `2026-11-20 21:30`. */
  readonly time: string;
  readonly copy: boolean;
  /** The merchant's own lines, under the name and at the end. */
  readonly head: readonly string[];
  readonly foot: readonly string[];
}

/** Most code points on one line: a name of stacked marks has no width, but a printer has to swallow it. */
const lineCodePointsMax = 4 * receiptColumns;

/** What of `text` (printable already) goes into so many columns. */
function cut(text: string, columns: number): string {
  if (text.length <= lineCodePointsMax && columnsOf(text) <= columns) return text;
  let kept = '';
  let codePoints = 0;
  for (const character of text) {
    codePoints += 1;
    if (codePoints > lineCodePointsMax || columnsOf(kept + character) > columns) return kept;
    kept += character;
  }
  return kept;
}
const spaces = (columns: number): string => ' '.repeat(Math.max(0, columns));
const centred = (text: string): string => {
  const kept = cut(printable(text), receiptColumns);
  return spaces(Math.floor((receiptColumns - columnsOf(kept)) / 2)) + kept;
};
/** Text over several lines, each within the width; breaks behind spaces and Chinese punctuation where it can. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text, 400).split(/(?<=[ ，。；：])/)) {
    if (line !== '' && columnsOf(line + word.trimEnd()) > receiptColumns) {
      lines.push(line.trimEnd());
      line = '';
    }
    line += word;
    for (let head = cut(line, receiptColumns); head.length < line.trimEnd().length; head = cut(line, receiptColumns)) {
      lines.push(head);
      line = line.slice(head.length);
    }
  }
  return line.trimEnd() === '' ? lines : [...lines, line.trimEnd()];
}
/** Left and right text on one line where they fit; else each on lines of its own, so that no figure is ever cut. */
function pair(left: string, right: string): string[] {
  const [start, end] = [printable(left), printable(right)];
  const room = receiptColumns - columnsOf(start) - columnsOf(end);
  const line = start + spaces(room) + end;
  if (room >= 1 && columnsOf(line) === receiptColumns) return [line];
  return [...wrapped(start), ...wrapped(end).map((part) => spaces(receiptColumns - columnsOf(part)) + part)];
}
/** The 36 characters of a transaction's id, over two lines. */
const idLines = (label: string, id: string): string[] => [...pair(label, id.slice(0, 19)), ...pair('', id.slice(19))];

/** The receipt's lines, each at most receiptColumns wide. */
export function receiptLines(request: SaleRequest, outcome: SaleOutcome, context: ReceiptContext): readonly string[] {
  const money = (minor: number): string => formatAmount(minor, request.bill.currency);
  const rule = '-'.repeat(receiptColumns);
  const marks = [
    ...(request.terms.simulated ? [centred('*** 模拟 SIMULATED ***')] : []),
    ...(context.copy ? [centred('*** 副本 COPY ***')] : []),
  ];
  return [
    centred(request.terms.merchant),
    centred(request.terms.location),
    ...context.head.map(centred),
    ...marks,
    centred(titles[request.service.name]),
    rule,
    ...billLines(request, money),
    ...outcomeLines(request, outcome, money),
    rule,
    ...pair('时间 TIME', context.time),
    ...pair('终端 TERMINAL', context.terminalId),
    ...pair('收银员 CLERK', request.clerk),
    ...(request.reference === null ? [] : pair('单号 REF', request.reference)),
    ...idLines('交易号 ID', request.ids.transaction),
    ...context.foot.map(centred),
    ...marks,
  ];
}

type Money = (minor: number) => string;

function billLines({ bill, service }: SaleRequest, money: Money): readonly string[] {
  const total = `${bill.currency} ${money(bill.totalMinor)}`;
  if ('original' in service)
    return [...idLines('原交易 OF', service.original.transactionId), ...pair('金额 AMOUNT', total)];
  return [
    ...bill.lines.flatMap((line) => [
      cut(printable(line.name), receiptColumns),
      ...pair(
        `  ${line.quantity} x ${money(line.unitPriceMinor)}${line.priceSource === 'override' ? ' *' : ''}`,
        money(line.amountMinor),
      ),
    ]),
    ...(bill.lines.some((line) => line.priceSource === 'override') ? wrapped('* 收银价 price set by the till') : []),
    ...pair('合计 TOTAL', total),
  ];
}

function outcomeLines(request: SaleRequest, outcome: SaleOutcome, money: Money): readonly string[] {
  if (outcome.result !== 'accepted') {
    const { name } = request.service;
    // Of money paid in the table's words would say the contrary: it is not given up.
    const isDue = outcome.result === 'unknown' && name === 'topUpCard';
    const paidInLines = isDueToCard(name, outcome) ? dueLines : undecidedLines;
    return [
      centred(outcome.result === 'unknown' ? '未确认 NOT CONFIRMED' : '未成功 NOT ACCEPTED'),
      ...(isDue ? paidInLines : [...wrapped(errorTable[outcome.code].zh), ...wrapped(errorTable[outcome.code].en)]),
      ...(isDue ? [] : moneyBackLines(name)),
      ...(outcome.result === 'unknown' ? [] : balanceLines(outcome.balances)),
    ];
  }
  return [
    centred('交易成功 ACCEPTED'),
    ...(outcome.authority === 'allowance' ? [centred('离线额度 allowance')] : []),
    ...(outcome.authority === 'floor' ? [centred('离线限额 floor limit')] : []),
    ...(isTopUp(request.service.name) ? [...pair('实收 MONEY TAKEN', money(outcome.restMinor))] : []),
    ...(isTopUpVoid(request.service.name) ? [...pair('实退 MONEY PAID BACK', money(outcome.coveredMinor))] : []),
    ...('original' in request.service
      ? undoneLines(request.service.original, outcome, money)
      : paidLines(request.service.name, outcome, money)),
    ...balanceLines(outcome.balances),
    ...(outcome.balances === null && request.service.name === 'pointsEarn'
      ? pair('积分余额 POINTS', '稍后 follows')
      : []),
  ];
}

/** Where no value moved, no money may have changed hands: in every such outcome the receipt says so. */
function moneyBackLines(service: ServiceName): string[] {
  if (isTopUp(service)) return [...wrapped('未充值，请退还现金。'), ...wrapped('NOT TOPPED UP: GIVE MONEY BACK.')];
  if (isTopUpVoid(service)) return [...wrapped('未撤销，请勿退款。'), ...wrapped('NOT VOIDED: PAY NOTHING BACK.')];
  return [];
}

/** A card that was lost at its top-up: the money is in the drawer, and due to the card. */
const dueLines: readonly string[] = [
  ...wrapped('现金已收，金额将在下次刷卡时入卡。'),
  ...wrapped('KEEP THE MONEY: IT IS ADDED WHEN THE CARD IS NEXT USED.'),
];

/** As above, where the host's answer was not received: it may be that nothing comes of it, and the money goes back. */
const undecidedLines: readonly string[] = [
  ...wrapped('尚未确定是否入卡，请保留此小票。'),
  ...wrapped('NOT DECIDED YET: KEEP THIS RECEIPT.'),
];

function paidLines(service: ServiceName, { points, coveredMinor, restMinor }: AcceptedOutcome, money: Money): string[] {
  return [
    ...(points === null ? [] : pair(service === 'pointsEarn' ? '本次积分 EARNED' : '使用积分 SPENT', String(points))),
    ...(coveredMinor > 0
      ? [...pair('抵扣 COVERED', money(coveredMinor)), ...pair('应付 TO PAY', money(restMinor))]
      : []),
  ];
}

/** An undone sale that points or a coupon had paid in part: what of it was money is the clerk's to give back. */
function undoneLines(original: OriginalSale, { points }: AcceptedOutcome, money: Money): string[] {
  const was = original.outcome;
  return [
    ...(points === null
      ? []
      : pair(original.service === 'pointsEarn' ? '扣回积分 TAKEN BACK' : '退回积分 RETURNED', String(points))),
    ...(was.coveredMinor > 0 && was.restMinor > 0
      ? [...pair('原抵扣 HAD COVERED', money(was.coveredMinor)), ...pair('原实付 WAS PAID', money(was.restMinor))]
      : []),
  ];
}

/** A coupon's code bears the coupon: of it only the last digits are printed. Not known is not printed, never as zero. */
function balanceLines(balances: Balances | null): string[] {
  if (balances === null) return [];
  const { points, pointsOwed, couponMinor, couponCode, currency } = balances;
  return [
    ...(points === null ? [] : pair('积分余额 POINTS', String(points))),
    ...(pointsOwed ? pair('欠积分 OWED', String(pointsOwed)) : []),
    ...(couponMinor === null || currency === null
      ? []
      : [
          ...(couponCode === null ? [] : pair('券号 COUPON', `****${couponCode.slice(-4)}`)),
          ...pair('券余额 BALANCE', `${currency} ${formatAmount(couponMinor, currency)}`),
        ]),
  ];
}
