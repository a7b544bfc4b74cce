/**
 * Slip desk: receipts onto paper: the first by itself when a sale ends, a copy when a person asks, a test slip from one
 * printer. What did not come out for sure is written to the audit. Must not print anything twice by itself.
 */
import type { Driver, PrintEnd } from '../../drivers/contract/driver.js';
import type { TransactionId } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AuditParts, noteInAudit } from './audit-note.js';
import type { Refusal, SaleView } from './port.js';

export interface SlipParts extends AuditParts {
  readonly drivers: readonly Driver[];
  /** Content of a QR code under each receipt; null: none. */
  readonly qr: string | null;
  /** A sale with its receipt, marked as a copy; null: unknown. */
  readonly copyOf: (id: string) => SaleView | null;
}

export class SlipDesk {
  constructor(private readonly parts: SlipParts) {}

  /** The receipt of a sale that has just ended. Nobody waits for it. */
  receipt(transactionId: TransactionId, lines: readonly string[]): void {
    this.#print(lines).then((end) => this.#note(transactionId, end), this.parts.crashed);
  }

  /** Fails with sale.unknown, sale.busy (it has not ended), device.absent (no printer is configured). */
  async copy(id: string): Promise<Result<PrintEnd, Refusal>> {
    const sale = this.parts.copyOf(id);
    if (!sale) return err({ code: 'sale.unknown', detail: id });
    if (sale.receipt.length === 0) return err({ code: 'sale.busy', detail: 'it has not ended' });
    const end = await this.#print(sale.receipt);
    return end ? ok(end) : err({ code: 'device.absent', detail: 'no printer in [printers] of shouli.toml' });
  }

  /** On the first printer of all that can; null: there is none. */
  async #print(lines: readonly string[]): Promise<PrintEnd | null> {
    let end: PrintEnd | null = null;
    for (const driver of this.parts.drivers) {
      end = (await driver.print?.(null, lines, this.parts.qr)) ?? end;
      if (end && end.printed !== 'nothing') return end;
    }
    return end;
  }

  #note(transactionId: TransactionId, end: PrintEnd | null): void {
    if (!end || !('error' in end)) return;
    const { device, error, printed } = end;
    const detail = `${transactionId} ${error.code} ${error.detail}`;
    noteInAudit(this.parts, device ?? 'printer', `receipt.${printed}`, detail);
  }
}

/** What comes out when a printer is tried: both languages, the full width, every row of the character set. */
export const testSlip = (device: string): readonly string[] => [
  '      打印测试 PRINTER TEST',
  '--------------------------------',
  device.slice(0, 32),
  '中文宽度 width  ¥￥€ ，。（）【】',
  '0123456789ABCDEFGHIJKLMNOPQRSTUV',
  '一二三四五六七八九十壹贰叁肆伍陆',
  '--------------------------------',
];
