/**
 * Typed codes: the keys of a scanner in keyboard mode to whole codes, by layout and end. What breaks off, is too
 * long or holds a key that no code has is counted and dropped, never used in part. Pure.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { codeBytesMax, isCodeByte } from '../scan-line/scan-line.js';
import { type HeldKeys, type KeyReportLayout, readKeyReport } from './key-report.js';
import { characterOf, type KeyboardLayout } from './layouts.js';

export interface TypingRules {
  readonly layout: KeyboardLayout;
  /** The key behind a code; `gap`: none, so that silence ends it. */
  readonly end: 'enter' | 'tab' | 'gap';
}

export interface TypingState {
  readonly down: ReadonlySet<number>;
  readonly text: string;
  /** The rest of this code is dropped. */
  readonly isSpoilt: boolean;
  readonly isCapital: boolean;
}
export const nothingTyped: TypingState = { down: new Set(), text: '', isSpoilt: false, isCapital: false };

export interface TypingStep {
  readonly state: TypingState;
  readonly codes: readonly string[];
  /** Codes dropped in this step. */
  readonly dropped: number;
}

const key = { enter: 0x28, tab: 0x2b, capsLock: 0x39, keypadEnter: 0x58, rightBracket: 0x30 } as const;
const groupSeparator = '\u001d';
const endKeys: Readonly<Record<TypingRules['end'], readonly number[]>> = {
  enter: [key.enter, key.keypadEnter],
  tab: [key.tab],
  gap: [],
};

/** Takes the next report. @returns the codes that it completes (1…256 characters), and the state to go on from */
export function readTypedReport(
  reportLayout: KeyReportLayout,
  rules: TypingRules,
  state: TypingState,
  report: Bytes,
): TypingStep {
  const read = readKeyReport(reportLayout, state.down, report);
  if (read === 'other') return { state, codes: [], dropped: 0 };
  if (read === 'lost') return { state: { ...state, isSpoilt: true }, codes: [], dropped: 0 };
  let { text, isSpoilt, isCapital } = state;
  const codes: string[] = [];
  let dropped = 0;
  for (const usage of read.strokes.usages) {
    if (usage === key.capsLock) isCapital = !isCapital;
    else if (endKeys[rules.end].includes(usage)) {
      if (isSpoilt) dropped += 1;
      else if (text !== '') codes.push(text);
      text = '';
      isSpoilt = false;
    } else {
      const character = typed(rules.layout, usage, read.strokes.held, isCapital);
      isSpoilt ||= character === null || text.length >= codeBytesMax;
      text = isSpoilt ? '' : text + character;
    }
  }
  return { state: { down: read.down, text, isSpoilt, isCapital }, codes, dropped };
}

/** Nothing followed for the gap: the code's end where rules say so, else half a code that is dropped. */
export function endOfTypingGap(rules: TypingRules, state: TypingState): TypingStep {
  const rest: TypingState = { ...state, text: '', isSpoilt: false };
  if (rules.end === 'gap' && !state.isSpoilt)
    return { state: rest, codes: state.text === '' ? [] : [state.text], dropped: 0 };
  return { state: rest, codes: [], dropped: state.isSpoilt || state.text !== '' ? 1 : 0 };
}

/** A code has begun and not ended. */
export const isTyping = (state: TypingState): boolean => state.isSpoilt || state.text !== '';

/** @returns a character that a code may have; null for any other key */
function typed(layout: KeyboardLayout, usage: number, held: HeldKeys, isCapital: boolean): string | null {
  if (held.other) return null;
  // GS (FNC1 within GS1 data) as scanners type it: control and the key that is ] on a US keyboard.
  if (held.control) return usage === key.rightBracket ? groupSeparator : null;
  const plain = characterOf(layout, usage, { shift: false, altGr: false });
  const isLetter = plain !== null && /^\p{L}$/u.test(plain);
  const shift = isCapital && isLetter ? !held.shift : held.shift;
  const character = characterOf(layout, usage, { shift, altGr: held.altGr });
  return character !== null && isCodeByte(character.charCodeAt(0)) ? character : null;
}
