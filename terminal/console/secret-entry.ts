/**
 * Secret entry: reads a PIN key by key, outside the line editor, so that no history, undo or kill ring ever holds it.
 * Pure: a reducer over keys; the caller shows the mask it returns.
 */
import { backspace, ctrlC, ctrlD, ctrlU, enter, escapeKey } from './key-filter.js';

/** Longer input is cut off; it cannot be a PIN any more. */
const secretLengthMax = 64;

export interface SecretEntry {
  readonly text: string;
  /** Inside an escape sequence, whose characters are not part of the secret. */
  readonly sequence: 'none' | 'begun' | 'body';
}
export const emptySecret: SecretEntry = { text: '', sequence: 'none' };

export type SecretStep =
  | { readonly step: 'more'; readonly entry: SecretEntry; readonly show: string }
  | { readonly step: 'entered'; readonly text: string }
  | { readonly step: 'dismissed' }
  | { readonly step: 'leave' };

const more = (entry: SecretEntry, show = ''): SecretStep => ({ step: 'more', entry, show });

/** One key. `show` is what may be written to the screen: an asterisk a character, never the character. */
export function secretKey(entry: SecretEntry, key: string): SecretStep {
  if (key === enter) return { step: 'entered', text: entry.text };
  if (key === ctrlC) return { step: 'dismissed' };
  if (key === ctrlD) return entry.text === '' ? { step: 'leave' } : more(entry);
  if (key === escapeKey) return more({ ...entry, sequence: 'begun' });
  if (entry.sequence === 'begun') return more({ ...entry, sequence: key === '[' || key === 'O' ? 'body' : 'none' });
  if (entry.sequence === 'body') return more({ ...entry, sequence: key >= '@' && key <= '~' ? 'none' : 'body' });
  if (key === backspace)
    return entry.text === '' ? more(entry) : more({ ...entry, text: entry.text.slice(0, -1) }, '\b \b');
  if (key === ctrlU) return more({ ...entry, text: '' }, '\b \b'.repeat(entry.text.length));
  if (key < ' ' || key.length !== 1 || entry.text.length >= secretLengthMax) return more(entry);
  return more({ ...entry, text: entry.text + key }, '*');
}
