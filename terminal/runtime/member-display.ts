/**
 * Member display: shows each step of a sale on the customer's displays, its end for a while, then the merchant's name.
 * Must not hold anything up: what a display does with a text nobody waits for.
 */
import type { Driver, Schedule } from '../../drivers/contract/driver.js';
import { displayText, inquiryText } from '../core/display-text.js';
import type { InquiryView, SaleView } from './port.js';

/** How long a sale's end or a balance stays, in milliseconds. */
export const endShownMs = 10_000;

export class MemberDisplay {
  #cancel: () => void = () => {};
  #sale: SaleView | null = null;
  #merchantShown = '';

  /** @param merchant the name now */
  constructor(
    private readonly drivers: readonly Driver[],
    private readonly schedule: Schedule,
    private readonly merchant: () => string,
  ) {}

  /** A sale as it stands now; null: none is open. */
  show(sale: SaleView | null): void {
    this.#cancel();
    this.#cancel = sale?.outcome ? this.schedule(endShownMs, () => this.show(null)) : () => {};
    this.#sale = sale;
    this.#merchantShown = this.merchant();
    for (const { display } of this.drivers) display?.show(displayText(sale, this.#merchantShown, display.chinese));
  }

  /** What a member asked for, for a while; the next sale takes its place. */
  showInquiry(inquiry: InquiryView): void {
    this.#cancel();
    this.#cancel = this.schedule(endShownMs, () => this.show(null));
    for (const { display } of this.drivers) display?.show(inquiryText(inquiry, display.chinese));
  }

  /** The merchant's name may have come, or be another one. */
  refresh(): void {
    if (this.#sale === null && this.#merchantShown !== this.merchant()) this.show(null);
  }

  stop(): void {
    this.#cancel();
  }
}
