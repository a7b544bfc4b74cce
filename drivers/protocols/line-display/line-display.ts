/**
 * Line display: two lines of text to the bytes of a customer's display of 2 × 20 characters, in either of the two command
 * sets that such displays speak: CD5220 (ESC Q A, ESC Q B) and Epson's ESC/POS display mode (US $). Pure.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';

export const displayColumns = 20;
export type DisplayCommands = 'cd5220' | 'escpos';
/** What both lines show. */
export type DisplayText = readonly [string, string];

const esc = 0x1b;
const unit = 0x1f;
const carriageReturn = 0x0d;
const blank = 0x20;
const substitute = 0x3f;

/** ESC @: initialises and clears. With Chinese characters: FS &. */
export const resetDisplay = (chinese: boolean): Bytes => Uint8Array.of(esc, 0x40, ...(chinese ? [0x1c, 0x26] : []));

/**
 * A line of exactly displayColumns cells: cut before the character that does not fit, filled with blanks. A character of one
 * byte takes one cell, one of two bytes two; what has more bytes, or is a control, is shown as `?`.
 */
function cells(text: string, encode: (character: string) => Bytes): Bytes {
  const line = new Uint8Array(displayColumns).fill(blank);
  let at = 0;
  for (const character of text) {
    const encoded = /[\p{Cc}\p{Cs}]/u.test(character) ? Uint8Array.of(substitute) : encode(character);
    const shown = encoded.length > 2 ? Uint8Array.of(substitute, substitute) : encoded;
    if (at + shown.length > displayColumns) break;
    line.set(shown, at);
    at += shown.length;
  }
  return line;
}

/** Replaces what both lines show. */
export function encodeDisplay(
  [upper, lower]: DisplayText,
  commands: DisplayCommands,
  encode: (character: string) => Bytes,
): Bytes {
  const lines = [cells(upper, encode), cells(lower, encode)] as const;
  return commands === 'cd5220'
    ? concat(
        Uint8Array.of(esc, 0x51, 0x41),
        lines[0],
        Uint8Array.of(carriageReturn, esc, 0x51, 0x42),
        lines[1],
        Uint8Array.of(carriageReturn),
      )
    : concat(Uint8Array.of(unit, 0x24, 1, 1), lines[0], Uint8Array.of(unit, 0x24, 1, 2), lines[1]);
}
