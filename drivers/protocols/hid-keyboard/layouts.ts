/**
 * What keys mean, by national layout: rows of characters in the order of the keyboard's usages (USB HID Usage Tables 1.4,
 * page 07). Data and a look-up; a scanner types on the keys of the layout that it was set to.
 */
export type KeyboardLayout = 'us' | 'de' | 'fr';
export const keyboardLayouts = ['us', 'de', 'fr'] as const satisfies readonly KeyboardLayout[];

interface LayoutRow {
  /**
   * Letters (usages 04…1d), digits 1…0 (1e…27), then 2d…38 and 64: 49 characters each. A space stands for a key that gives
   * nothing there, or an accent that waits for a letter.
   */
  readonly plain: string;
  readonly shift: string;
  /** With AltGr, by the character of the plain key. */
  readonly altGr: Readonly<Record<string, string>>;
}

const rows: Readonly<Record<KeyboardLayout, LayoutRow>> = {
  us: {
    plain: 'abcdefghijklmnopqrstuvwxyz' + '1234567890' + "-=[]\\\\;'`,./\\",
    shift: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ' + '!@#$%^&*()' + '_+{}||:"~<>?|',
    altGr: {},
  },
  de: {
    plain: 'abcdefghijklmnopqrstuvwxzy' + '1234567890' + 'ß ü+##öä ,.-<',
    shift: 'ABCDEFGHIJKLMNOPQRSTUVWXZY' + '!"§$%&/()=' + "? Ü*''ÖÄ°;:_>",
    altGr: { q: '@', e: '€', '7': '{', '8': '[', '9': ']', '0': '}', ß: '\\', '+': '~', '<': '|', m: 'µ' },
  },
  fr: {
    plain: 'qbcdefghijkl,noparstuvzxyw' + '&é"\'(-è_çà' + ')= $**mù²;:!<',
    shift: 'QBCDEFGHIJKL?NOPARSTUVZXYW' + '1234567890' + '°+ £µµM% ./§>',
    altGr: {
      é: '~',
      '"': '#',
      "'": '{',
      '(': '[',
      '-': '|',
      è: '`',
      _: '\\',
      ç: '^',
      à: '@',
      ')': ']',
      '=': '}',
      e: '€',
    },
  },
};

const letters = { first: 0x04, last: 0x27 } as const;
const space = 0x2c;
const signs = { first: 0x2d, last: 0x38 } as const;
const extraKey = 0x64;
/** Keypad 54…63: the same on all of these layouts but the decimal key, which scanners do not use. */
const keypad = { first: 0x54, characters: '/*-+ 1234567890' } as const;

function place(usage: number): number {
  if (usage >= letters.first && usage <= letters.last) return usage - letters.first;
  const behindLetters = letters.last - letters.first + 1;
  if (usage >= signs.first && usage <= signs.last) return behindLetters + usage - signs.first;
  return usage === extraKey ? behindLetters + signs.last - signs.first + 1 : -1;
}

/** @returns the character of a key with these held, or null where there is none */
export function characterOf(
  layout: KeyboardLayout,
  usage: number,
  held: { readonly shift: boolean; readonly altGr: boolean },
): string | null {
  if (usage === space) return ' ';
  const onKeypad = keypad.characters[usage - keypad.first];
  if (onKeypad !== undefined) return onKeypad === ' ' ? null : onKeypad;
  const row = rows[layout];
  const at = place(usage);
  const plain = row.plain[at];
  if (plain === undefined || plain === ' ')
    return held.altGr || plain === undefined ? null : shifted(row, at, held.shift);
  if (held.altGr) return row.altGr[plain] ?? null;
  return held.shift ? shifted(row, at, true) : plain;
}

function shifted(row: LayoutRow, at: number, isShifted: boolean): string | null {
  const character = isShifted ? row.shift[at] : ' ';
  return character === undefined || character === ' ' ? null : character;
}
