/**
 * Sale views: a sale as till and console see it, open or stored, and a command barcode as the command it stands for.
 * Must not decide anything; what was decided is in the sale.
 */
import type { BoxConfiguration } from '../../host-sync/protocol/sync.js';
import type { Prompt } from '../core/effect.js';
import { outcomeOf } from '../core/outcome.js';
import { type ReceiptContext, receiptLines } from '../core/receipt.js';
import type { SaleOutcome, SaleRequest } from '../core/sale.js';
import type { StartBarcode } from '../core/scan-basket.js';
import { type AmountMinor, type Points, zeroAmount } from '../kernel/units.js';
import type { SaleRow } from '../store/port.js';
import type { SaleView, ServiceCommand } from './port.js';

/** `outcome` null: still open, and `prompt` says what is to be done. The receipt is added where there is one. */
export function viewOf(request: SaleRequest, outcome: SaleOutcome | null, prompt: Prompt | null): SaleView {
  const waiting = prompt === 'present' || prompt === 'tapAgain';
  return {
    transactionId: request.ids.transaction,
    reference: request.reference,
    service: request.service.name,
    clerk: request.clerk,
    currency: request.bill.currency,
    totalMinor: request.bill.totalMinor as AmountMinor,
    phase: outcome ? 'ended' : waiting ? 'waiting' : 'working',
    prompt: outcome ? null : prompt,
    outcome,
    simulated: request.terms.simulated,
    voided: false,
    refundedMinor: zeroAmount,
    receipt: [],
  };
}

/** A sale from the database; its receipt says COPY, since nobody knows whether the first one was printed. */
export function storedView(row: SaleRow, terminalId: string, lines: BoxConfiguration | undefined): SaleView {
  const { request } = row.sale;
  const outcome = outcomeOf(row.sale, row.answer);
  const context = receiptContext(terminalId, row.updatedWallMs, true, lines);
  return {
    ...viewOf(request, outcome, null),
    voided: row.voided,
    refundedMinor: row.refundedMinor,
    receipt: outcome ? receiptLines(request, outcome, context) : [],
  };
}

const two = (part: number): string => String(part).padStart(2, '0');

/** The day as the shop reads it, like `2026-12-31`: the box's own time zone. */
export function shopDay(atWallMs: number): string {
  const time = new Date(atWallMs);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
}

/** Time as the shop reads it: the box's own time zone, minutes. */
export function receiptContext(
  terminalId: string,
  atWallMs: number,
  copy: boolean,
  lines: BoxConfiguration | undefined,
): ReceiptContext {
  const time = new Date(atWallMs);
  const { receiptHead: head = [], receiptFoot: foot = [] } = lines ?? {};
  return {
    terminalId,
    copy,
    head,
    foot,
    time: `${shopDay(atWallMs)} ${two(time.getHours())}:${two(time.getMinutes())}`,
  };
}

export function serviceOfBarcode(barcode: StartBarcode): ServiceCommand {
  switch (barcode.command) {
    case 'plain':
      return { service: 'plainSale' };
    case 'earn':
      return { service: 'pointsEarn' };
    case 'spend':
      return { service: 'pointsSpend', points: barcode.points as Points };
    case 'coupon':
      return { service: 'couponHost' };
    case 'couponCard':
      return { service: 'couponCard' };
    case 'void':
      return { service: 'void', original: barcode.original };
    case 'refund':
      return { service: 'refund', original: barcode.original, amountMinor: barcode.amountMinor as AmountMinor };
  }
}
