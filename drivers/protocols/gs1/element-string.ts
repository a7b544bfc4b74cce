/**
 * GS1 element strings: identifiers with their values, one behind the other, as a scanner sends a GS1-128, GS1 DataBar, GS1
 * DataMatrix or GS1 QR symbol (GS1 General Specifications §7.8). The form in brackets is for people only. Pure.
 */
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { aiAt, checkValue, type Element, excludedPair } from './ai-rules.js';

/** What stands for FNC1 between two values. */
export const groupSeparator = '\u001d';
const textLengthMax = 256;

/**
 * Reads a whole element string; one separator at either end is nothing. The same identifier twice must say the same.
 * @returns elements in their order, or an error with its offset in characters: input.unsupported for an identifier that does
 *   not exist, input.malformed also for a pair that may not stand together, else as checkValue
 */
export function decodeElementString(text: string): Result<readonly Element[], DecodeError> {
  if (text.length > textLengthMax) return decodeError('input.tooLong', textLengthMax, 'element string');
  const elements: Element[] = [];
  let at = text.startsWith(groupSeparator) ? 1 : 0;
  do {
    const rule = aiAt(text, at);
    if (!rule)
      return text.length - at < 2
        ? decodeError('input.truncated', text.length, 'no application identifier')
        : decodeError('input.unsupported', at, 'no such application identifier');
    const begin = at + rule.ai.length;
    const separator = text.indexOf(groupSeparator, begin);
    const toSeparator = separator < 0 ? text.length : separator;
    const end = rule.fixedLength === null ? toSeparator : Math.min(text.length, begin + rule.fixedLength);
    const element = checkValue(rule, text.slice(begin, end), begin);
    if (!element.ok) return element;
    const before = elements.find(({ ai }) => ai === rule.ai);
    if (before && before.value !== element.value.value)
      return decodeError('input.malformed', at, `(${rule.ai}) twice with two values`);
    if (!before) elements.push(element.value);
    at = text.charAt(end) === groupSeparator ? end + 1 : end;
  } while (at < text.length);
  const pair = excludedPair(elements);
  if (pair) return decodeError('input.malformed', 0, `(${pair[0]}) may not stand beside (${pair[1]})`);
  return ok(elements);
}

/** The element string of these elements; a separator only where one is needed. */
export function encodeElementString(elements: readonly Element[]): string {
  return elements
    .map(({ ai, value }, index) => {
      const needsSeparator = index < elements.length - 1 && aiAt(ai, 0)?.fixedLength === null;
      return `${ai}${value}${needsSeparator ? groupSeparator : ''}`;
    })
    .join('');
}

/** For people: `(01)09506000134352(10)ABC`. Never read back. */
export const bracketed = (elements: readonly Element[]): string =>
  elements.map(({ ai, value }) => `(${ai})${value}`).join('');
