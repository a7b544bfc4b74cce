/**
 * Codes: what a scanned text is: a member, a coupon, a command for the box, or a product. Pure classification.
 */
import { hasCheckDigit, shortGtin } from '../../drivers/protocols/gs1/check-digits.js';
import { type ProductCode, readProductCode } from '../../drivers/protocols/gs1/product-code.js';
import { readWeighedCode, type WeighedCode } from '../../drivers/protocols/gs1/weighed-code.js';
import { handleOf } from '../../drivers/protocols/screen-code/screen-code.js';

/** `SL!` begins a command barcode; what follows names the command. Printed for clerks, see docs/console.md. */
const commandPrefix = 'SL!';

export type CommandBarcode =
  | { readonly command: 'cancel' }
  | { readonly command: 'plain' }
  | { readonly command: 'earn' }
  | { readonly command: 'spend'; readonly points: number }
  | { readonly command: 'coupon' }
  | { readonly command: 'couponCard' }
  /** Undoes the sale of this reference or transaction id: all of it, or so much. */
  | { readonly command: 'void'; readonly original: string }
  | { readonly command: 'refund'; readonly original: string; readonly amountMinor: number }
  /** Sets the quantity of the next product. */
  | { readonly command: 'quantity'; readonly quantity: number }
  /** Takes the last product off the bill. */
  | { readonly command: 'removeLast' };

export type ScannedCode =
  | { readonly kind: 'member'; readonly code: string }
  | { readonly kind: 'coupon'; readonly code: string }
  | { readonly kind: 'command'; readonly barcode: CommandBarcode }
  | {
      readonly kind: 'product';
      /** As scanned; the trade item number where the symbol holds more than it. 1…48 printable characters. */
      readonly code: string;
      /** What the symbol says of the item beyond its number. */
      readonly marks: ProductCode | null;
      /** The label of a scale: article and price instead of a number. */
      readonly weighed: WeighedCode | null;
    }
  | { readonly kind: 'unreadable' };

const plainCommands: Readonly<Record<string, CommandBarcode>> = {
  CANCEL: { command: 'cancel' },
  PLAIN: { command: 'plain' },
  EARN: { command: 'earn' },
  COUPON: { command: 'coupon' },
  CARD: { command: 'couponCard' },
  REMOVE: { command: 'removeLast' },
};

/** What the scanner says of the symbol, and what the merchant's scales print. */
export interface CodeContext {
  /** AIM symbology identifier. */
  readonly aim: string | null;
  readonly weighedForms: readonly string[];
}
const noContext: CodeContext = { aim: null, weighedForms: [] };

/**
 * Takes 1…256 characters as a scanner sent them. A member or coupon code with a wrong check digit is unreadable, not a
 * product, and so is a GS1 symbol or web address that does not say, rightly, which product it marks.
 */
export function classifyCode(text: string, context = noContext): ScannedCode {
  if (text.startsWith(commandPrefix)) return classifyCommand(text.slice(commandPrefix.length));
  if (/^SLR[0-9]{18}$/.test(text))
    return handleOf(text) === null ? { kind: 'unreadable' } : { kind: 'member', code: text };
  const own = /^SL([MC])([0-9]{13})$/.exec(text);
  if (own?.[2])
    return hasCheckDigit(own[2]) ? { kind: own[1] === 'M' ? 'member' : 'coupon', code: text } : { kind: 'unreadable' };
  return classifyProduct(text, context);
}

function classifyProduct(text: string, { aim, weighedForms }: CodeContext): ScannedCode {
  const read = readProductCode(text, aim);
  if (!read.ok) return { kind: 'unreadable' };
  const isNumber = /^[0-9]{1,14}$/.test(text);
  const marks = isNumber ? null : read.value;
  const code = marks === null ? text : shortGtin(marks.gtin);
  if (!/^[\x21-\x7e]{1,48}$/.test(code)) return { kind: 'unreadable' };
  return { kind: 'product', code, marks, weighed: readWeighedCode(text, weighedForms) };
}

function classifyCommand(name: string): ScannedCode {
  if (Object.hasOwn(plainCommands, name)) {
    const barcode = plainCommands[name];
    if (barcode) return { kind: 'command', barcode };
  }
  const numbered = /^(SPEND|QTY) ?([0-9]{1,9})$/.exec(name);
  const count = Number(numbered?.[2]);
  if (numbered?.[1] === 'SPEND' && count >= 1) return { kind: 'command', barcode: { command: 'spend', points: count } };
  if (numbered?.[1] === 'QTY' && count >= 1 && count <= 99_999)
    return { kind: 'command', barcode: { command: 'quantity', quantity: count } };
  return classifyUndo(name);
}

/** `VOID <id>` and `REFUND <minor units> <id>`: the id is the sale's reference or transaction id, as its receipt shows it. */
function classifyUndo(name: string): ScannedCode {
  const undo = /^(?:VOID|REFUND ([1-9][0-9]{0,11})) ([\x21-\x7e]{1,64})$/.exec(name);
  if (!undo?.[2]) return { kind: 'unreadable' };
  const original = undo[2];
  return undo[1] === undefined
    ? { kind: 'command', barcode: { command: 'void', original } }
    : { kind: 'command', barcode: { command: 'refund', original, amountMinor: Number(undo[1]) } };
}
