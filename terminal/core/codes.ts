/**
 * Codes: what a scanned text is: a member, a coupon, a command for the box, or a product. Pure classification.
 */
import { hasCheckDigit } from '../../drivers/protocols/gs1/check-digits.js';
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
  | { readonly kind: 'product'; readonly code: string }
  | { readonly kind: 'unreadable' };

const plainCommands: Readonly<Record<string, CommandBarcode>> = {
  CANCEL: { command: 'cancel' },
  PLAIN: { command: 'plain' },
  EARN: { command: 'earn' },
  COUPON: { command: 'coupon' },
  CARD: { command: 'couponCard' },
  REMOVE: { command: 'removeLast' },
};

/** Takes 1…256 characters as a scanner sent them. A member or coupon code with a wrong check digit is unreadable, not a product. */
export function classifyCode(text: string): ScannedCode {
  if (text.startsWith(commandPrefix)) return classifyCommand(text.slice(commandPrefix.length));
  if (/^SLR[0-9]{18}$/.test(text))
    return handleOf(text) === null ? { kind: 'unreadable' } : { kind: 'member', code: text };
  const own = /^SL([MC])([0-9]{13})$/.exec(text);
  if (own?.[2])
    return hasCheckDigit(own[2]) ? { kind: own[1] === 'M' ? 'member' : 'coupon', code: text } : { kind: 'unreadable' };
  return /^[\x21-\x7e]{1,48}$/.test(text) ? { kind: 'product', code: text } : { kind: 'unreadable' };
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
