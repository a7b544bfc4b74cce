/**
 * Key filter: bytes from a line to characters that the editor may see. Pure state, one object a line.
 * Lets through text, the editing keys and escape sequences; drops every other control character, also the 8-bit and
 * bidirectional ones, and Ctrl-Z and Ctrl-\, which would reach for the process itself.
 */
import { StringDecoder } from 'node:string_decoder';

export const ctrlC = '\u0003';
export const ctrlD = '\u0004';
export const enter = '\r';
export const escapeKey = '\u001b';
export const backspace = '\u007f';
export const ctrlU = '\u0015';

/** Ctrl- A B C D E F K L N P U W, Enter, Esc and Delete. Backspace becomes Delete, line feed becomes Enter. */
const allowedControls = new Set([
  '\u0001',
  '\u0002',
  ctrlC,
  ctrlD,
  '\u0005',
  '\u0006',
  '\u000b',
  '\u000c',
  enter,
  '\u000e',
  '\u0010',
  ctrlU,
  '\u0017',
  escapeKey,
  backspace,
]);
const forbidden = /[\u0080-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffd]/;

export class KeyFilter {
  readonly #decoder = new StringDecoder('utf8');
  #afterReturn = false;

  /** Characters in order. CR, LF and CRLF each give one Enter, also when CR and LF come in different chunks. */
  keys(chunk: Uint8Array): string[] {
    const keys: string[] = [];
    for (const raw of this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))) {
      const secondHalf = raw === '\n' && this.#afterReturn;
      this.#afterReturn = raw === enter;
      if (secondHalf) continue;
      const key = raw === '\n' ? enter : raw === '\b' ? backspace : raw;
      if (key < ' ' || key === backspace ? allowedControls.has(key) : !forbidden.test(key)) keys.push(key);
    }
    return keys;
  }
}
