/**
 * Display text: a sale, or that there is none, as the two lines that a member reads on the customer's display. Pure. Nothing
 * that names the member: others read it too.
 */
import { printable } from '../kernel/redaction.js';
import { type Currency, formatAmount } from '../kernel/units.js';
import type { Prompt } from './effect.js';
import { isDueToCard, type SaleOutcome, type ServiceName } from './sale.js';
import { isTopUp } from './services/undo.js';
import { columnsOf } from './text-width.js';

/** Columns of the display. */
const columns = 20;

export interface DisplayedSale {
  readonly service: ServiceName;
  readonly totalMinor: number;
  readonly currency: Currency;
  readonly prompt: Prompt | null;
  readonly outcome: SaleOutcome | null;
}

/** Services whose covered amount goes back to the member. */
const paysBack: readonly ServiceName[] = ['void', 'refund', 'topUpVoid', 'topUpCardVoid'];

type Words = readonly [zh: string, en: string];
const prompts: Readonly<Record<Prompt, Words>> = {
  present: ['请出示手机', 'TAP PHONE'],
  hold: ['请勿移开', 'HOLD STILL'],
  asking: ['处理中', 'ONE MOMENT'],
  tapAgain: ['请再贴一次', 'TAP AGAIN'],
  done: ['请移开手机', 'TAKE AWAY'],
  refused: ['未成功', 'REFUSED'],
};
const results: Readonly<Record<SaleOutcome['result'], Words>> = {
  accepted: ['交易成功', 'ACCEPTED'],
  refused: ['未成功', 'NOT ACCEPTED'],
  unknown: ['未确认', 'NOT CONFIRMED'],
};

function cut(text: string): string {
  let kept = '';
  for (const character of printable(text)) {
    if (columnsOf(kept + character) > columns) break;
    kept += character;
  }
  return kept;
}

const say = ([zh, en]: Words, chinese: boolean): string => (chinese ? cut(`${zh} ${en}`) : en);
/** A label at the left and its value at the right; the label gives way. */
function pair(words: Words, value: string, chinese: boolean): string {
  const label = [say(words, chinese), words[1]].find((text) => columnsOf(text) + value.length < columns) ?? '';
  return label + ' '.repeat(Math.max(0, columns - columnsOf(label) - value.length)) + value;
}

export interface DisplayedCoupon {
  readonly balanceMinor: number;
  readonly currency: Currency;
}
export type DisplayedInquiry =
  | {
      readonly result: 'known';
      readonly points: number;
      readonly coupons: readonly DisplayedCoupon[];
      readonly couponsMore: number;
    }
  | { readonly result: 'refused' };

/** A member's balances: points, and what the coupons hold together; several currencies, or too many coupons: how many there are. */
export function inquiryText(inquiry: DisplayedInquiry, chinese: boolean): readonly [string, string] {
  if (inquiry.result === 'refused')
    return [say(['余额查询', 'BALANCE'], chinese), say(['暂无法查询', 'NOT NOW'], chinese)];
  const { points, coupons, couponsMore } = inquiry;
  const top = pair(['积分', 'POINTS'], String(points), chinese);
  const [first] = coupons;
  if (!first) return [top, ''];
  const words: Words = ['卡券', 'COUPONS'];
  const isOneSum = couponsMore === 0 && coupons.every(({ currency }) => currency === first.currency);
  const sum = coupons.reduce((total, { balanceMinor }) => total + balanceMinor, 0);
  return [
    top,
    pair(words, isOneSum ? formatAmount(sum, first.currency) : String(coupons.length + couponsMore), chinese),
  ];
}

/** Both lines, each at most 20 columns. `chinese` false: for a display that has no Chinese characters. `sale` null: none is open. */
export function displayText(sale: DisplayedSale | null, merchant: string, chinese: boolean): readonly [string, string] {
  const said = (words: Words): string => say(words, chinese);
  const paired = (words: Words, value: string): string => pair(words, value, chinese);
  if (!sale) return [cut(chinese || /^[\x20-\x7e]+$/.test(merchant) ? merchant : ''), said(['欢迎光临', 'WELCOME'])];
  const money = (minor: number): string => formatAmount(minor, sale.currency);
  const { outcome, prompt } = sale;
  if (!outcome) return [paired(['合计', 'TOTAL'], money(sale.totalMinor)), prompt ? said(prompts[prompt]) : ''];
  if (outcome.result !== 'accepted') {
    // Paid in and due to the card that was lost: the member reads that it is not gone.
    return isDueToCard(sale.service, outcome)
      ? [paired(['充值', 'TOP-UP'], money(sale.totalMinor)), said(['下次入卡', 'ON NEXT TAP'])]
      : [paired(['合计', 'TOTAL'], money(sale.totalMinor)), said(results[outcome.result])];
  }
  if (isTopUp(sale.service))
    return [said(results.accepted), paired(['充值', 'TOP-UP'], `+${money(outcome.restMinor)}`)];
  if (outcome.coveredMinor > 0 && !paysBack.includes(sale.service))
    return [said(results.accepted), paired(['应付', 'TO PAY'], money(outcome.restMinor))];
  if (outcome.points !== null && sale.service === 'pointsEarn')
    return [said(results.accepted), paired(['积分', 'POINTS'], `+${outcome.points}`)];
  return [said(results.accepted), said(['谢谢', 'THANK YOU'])];
}
