/**
 * Display text: a sale, or that there is none, as the two lines that a member reads on the customer's display. Pure. Nothing
 * that names the member: others read it too.
 */
import { printable } from '../kernel/redaction.js';
import { type Currency, formatAmount } from '../kernel/units.js';
import type { Prompt } from './effect.js';
import type { SaleOutcome, ServiceName } from './sale.js';
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
const paysBack: readonly ServiceName[] = ['void', 'refund', 'topUpVoid'];

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

/** Both lines, each at most 20 columns. `chinese` false: for a display that has no Chinese characters. `sale` null: none is open. */
export function displayText(sale: DisplayedSale | null, merchant: string, chinese: boolean): readonly [string, string] {
  const say = ([zh, en]: Words): string => (chinese ? cut(`${zh} ${en}`) : en);
  const pair = (words: Words, value: string): string => {
    const label = [say(words), words[1]].find((text) => columnsOf(text) + value.length < columns) ?? '';
    return label + ' '.repeat(Math.max(0, columns - columnsOf(label) - value.length)) + value;
  };
  if (!sale) return [cut(chinese || /^[\x20-\x7e]+$/.test(merchant) ? merchant : ''), say(['欢迎光临', 'WELCOME'])];
  const money = (minor: number): string => formatAmount(minor, sale.currency);
  const { outcome, prompt } = sale;
  if (!outcome) return [pair(['合计', 'TOTAL'], money(sale.totalMinor)), prompt ? say(prompts[prompt]) : ''];
  if (outcome.result !== 'accepted')
    return [pair(['合计', 'TOTAL'], money(sale.totalMinor)), say(results[outcome.result])];
  if (sale.service === 'topUp')
    return [say(results.accepted), pair(['充值', 'TOP-UP'], `+${money(outcome.restMinor)}`)];
  if (outcome.coveredMinor > 0 && !paysBack.includes(sale.service))
    return [say(results.accepted), pair(['应付', 'TO PAY'], money(outcome.restMinor))];
  if (outcome.points !== null && sale.service === 'pointsEarn')
    return [say(results.accepted), pair(['积分', 'POINTS'], `+${outcome.points}`)];
  return [say(results.accepted), say(['谢谢', 'THANK YOU'])];
}
