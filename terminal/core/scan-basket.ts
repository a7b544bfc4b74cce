/**
 * The scan basket: products and command barcodes scanned at the counter become a purchase. Pure reducer; bounded.
 */
import { billLinesMax } from '../../host-sync/protocol/record.js';
import type { AmountMinor } from '../kernel/units.js';
import type { CommandBarcode, ScannedCode } from './codes.js';

export interface BasketLine {
  readonly code: string;
  readonly quantity: number;
  /** Price of one piece where a scale's label holds it. */
  readonly unitPriceMinor?: AmountMinor;
}
export interface Basket {
  readonly lines: readonly BasketLine[];
  /** Pieces of the next product; 1 unless a quantity barcode came before it. */
  readonly nextQuantity: number;
}
export const emptyBasket: Basket = { lines: [], nextQuantity: 1 };

/** The command barcodes that begin a sale or undo one. */
export type StartBarcode = Exclude<CommandBarcode, { command: 'cancel' | 'quantity' | 'removeLast' }>;

/** What a scan asks for beyond the basket itself. */
export type BasketWish =
  | { readonly wish: 'none' }
  | { readonly wish: 'cancel' }
  /** The scan added nothing: the code was not readable, or the basket is full. The clerk has to see it. */
  | { readonly wish: 'refused' }
  | {
      readonly wish: 'start';
      readonly barcode: StartBarcode;
    };

/**
 * One scan. Member and coupon codes mean nothing here. A full basket (500 lines) takes no more and changes nothing.
 * @returns the basket after it, and what is wished
 */
export function scanInto(basket: Basket, scanned: ScannedCode): readonly [Basket, BasketWish] {
  const none = { wish: 'none' } as const;
  if (scanned.kind === 'product') {
    if (basket.lines.length >= billLinesMax) return [basket, { wish: 'refused' }];
    const { weighed } = scanned;
    const article = weighed
      ? { code: weighed.item, unitPriceMinor: weighed.priceMinor as AmountMinor }
      : { code: scanned.code };
    const line = { ...article, quantity: basket.nextQuantity };
    return [{ lines: [...basket.lines, line], nextQuantity: 1 }, none];
  }
  if (scanned.kind === 'unreadable') return [basket, { wish: 'refused' }];
  if (scanned.kind !== 'command') return [basket, none];
  const { barcode } = scanned;
  switch (barcode.command) {
    case 'quantity':
      return [{ ...basket, nextQuantity: barcode.quantity }, none];
    case 'removeLast':
      return [{ lines: basket.lines.slice(0, -1), nextQuantity: 1 }, none];
    case 'cancel':
      return [emptyBasket, { wish: 'cancel' }];
    default:
      return [basket, { wish: 'start', barcode }];
  }
}
