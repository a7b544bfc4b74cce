/**
 * Scanned texts: what a scanner was told to put around a code comes off, and its AIM identifier, which says what symbol was
 * read, is kept apart. Pure.
 */

export interface AroundCode {
  /** Taken off where a text begins or ends with one of them; the longest that fits. */
  readonly prefixes: readonly string[];
  readonly suffixes: readonly string[];
}

export const nothingAround: AroundCode = { prefixes: [], suffixes: [] };

export interface ScannedText {
  /** 1…256 characters. */
  readonly code: string;
  /** AIM symbology identifier (ISO/IEC 15424) such as `]C1`; null where the scanner gives none. */
  readonly aim: string | null;
}

/** An identifier stands first, or right behind a prefix. @returns null where nothing is left */
export function scannedText(text: string, { prefixes, suffixes }: AroundCode): ScannedText | null {
  const [first, rest] = splitAim(text);
  const bare = rest.slice(longest(prefixes, (prefix) => rest.startsWith(prefix)));
  const [aim, code] = first === null ? splitAim(bare) : [first, bare];
  const whole = code.slice(0, code.length - longest(suffixes, (suffix) => code.endsWith(suffix)));
  return whole === '' ? null : { code: whole, aim };
}

const splitAim = (text: string): readonly [aim: string | null, rest: string] =>
  /^\][A-Za-z][0-9A-Za-z]/.test(text) ? [text.slice(0, 3), text.slice(3)] : [null, text];

const longest = (all: readonly string[], fits: (each: string) => boolean): number =>
  Math.max(0, ...all.filter(fits).map(({ length }) => length));
