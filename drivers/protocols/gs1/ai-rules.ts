/**
 * What each GS1 application identifier asks of its value and of its neighbours, read from the rows of the table. Pure.
 */
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { aiRows } from './ai-table.js';
import { linters } from './linters.js';

/** One identifier with its value, whole and checked. */
export interface Element {
  readonly ai: string;
  /** 1…90 characters of GS1's sets. */
  readonly value: string;
}

interface Part {
  readonly set: 'N' | 'X' | 'Y' | 'Z';
  readonly lengthMin: number;
  readonly lengthMax: number;
  readonly isOptional: boolean;
  readonly checks: readonly string[];
}

export interface AiRule {
  readonly ai: string;
  /** Characters of a value that needs no separator behind it; null: it ends at a separator. */
  readonly fixedLength: number | null;
  readonly isLinkAttribute: boolean;
  readonly parts: readonly Part[];
  /** Each entry asks for one of its groups; all patterns of the group have to be there. `n` stands for a digit. */
  readonly companions: readonly (readonly (readonly string[])[])[];
  readonly exclusions: readonly string[];
  /** Orders of qualifiers behind it where it is a primary key of a Digital Link; null: it is none. */
  readonly linkQualifiers: readonly (readonly string[])[] | null;
}

const characterSets: Readonly<Record<Part['set'], RegExp>> = {
  N: /[^0-9]/,
  X: /[^!"%&'()*+,\-./0-9:;<=>?A-Z_a-z]/,
  Y: /[^#\-/0-9A-Z]/,
  Z: /[^A-Za-z0-9_\-=]/,
};

const listOf = (words: readonly string[], key: string): readonly string[] =>
  words.flatMap((word) => (word.startsWith(`${key}=`) ? [word.slice(key.length + 1)] : []));

function readRow(row: string): readonly AiRule[] {
  const [range = '', ...rest] = row.split(' ');
  const flags = /^[*?]+$/.exec(rest[0] ?? '')?.[0] ?? '';
  const words = flags === '' ? rest : rest.slice(1);
  const parts = words.filter((word) => /^\[?[NXYZ]/.test(word)).map(readPart);
  const keys = listOf(words, 'dlpkey')[0];
  const length = parts.reduce((sum, part) => sum + part.lengthMax, 0);
  return identifiers(range).map((ai) => ({
    ai,
    fixedLength: flags.includes('*') ? length : null,
    isLinkAttribute: flags.includes('?'),
    parts,
    companions: listOf(words, 'req').map((list) => list.split(',').map((group) => group.split('+'))),
    exclusions: listOf(words, 'ex').flatMap((list) => list.split(',')),
    linkQualifiers:
      keys === undefined ? (words.includes('dlpkey') ? [] : null) : keys.split('|').map((q) => q.split(',')),
  }));
}

function readPart(word: string): Part {
  const [form = '', ...checks] = word.replaceAll(/[[\]]/g, '').split(',');
  const isOpen = form.slice(1).startsWith('..');
  const length = Number(form.slice(isOpen ? 3 : 1));
  const set = form.charAt(0) as Part['set'];
  return { set, lengthMin: isOpen ? 1 : length, lengthMax: length, isOptional: word.startsWith('['), checks };
}

function identifiers(range: string): readonly string[] {
  const [from = '', to = from] = range.split('-');
  return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) =>
    String(Number(from) + index).padStart(from.length, '0'),
  );
}

const rules: ReadonlyMap<string, AiRule> = new Map(aiRows.flatMap(readRow).map((rule) => [rule.ai, rule]));

export const aiRule = (ai: string): AiRule | null => rules.get(ai) ?? null;
export const allAiRules = (): readonly AiRule[] => [...rules.values()];

/** The identifier of 2…4 digits that a text goes on with; null: none that exists. */
export function aiAt(text: string, at: number): AiRule | null {
  for (const length of [2, 3, 4]) {
    const rule = rules.get(text.slice(at, at + length));
    if (rule && text.length >= at + length) return rule;
  }
  return null;
}

/**
 * Checks a value against its identifier's parts.
 * @param offset where the value began, for the error's own: input.truncated, input.tooLong, input.malformed (a character of
 *   another set) or input.outOfRange (a check digit, a date…)
 */
export function checkValue({ ai, parts }: AiRule, value: string, offset: number): Result<Element, DecodeError> {
  let at = 0;
  for (const part of parts) {
    if (part.isOptional && at === value.length) break;
    const text = value.slice(at, at + part.lengthMax);
    const wrong = text.search(characterSets[part.set]);
    if (wrong >= 0) return decodeError('input.malformed', offset + at + wrong, `(${ai}): character of another set`);
    if (text.length < part.lengthMin)
      return decodeError('input.truncated', offset + value.length, `(${ai}) is too short`);
    const failed = part.checks.find((check) => !linters[check]?.(text));
    if (failed !== undefined) return decodeError('input.outOfRange', offset + at, `(${ai}): ${failed}`);
    at += text.length;
  }
  if (at < value.length) return decodeError('input.tooLong', offset + at, `(${ai}) is too long`);
  return ok({ ai, value });
}

const fits = (pattern: string, ai: string): boolean =>
  pattern.length === ai.length && [...pattern].every((letter, at) => letter === 'n' || letter === ai.charAt(at));

/** An identifier that may not stand beside another one of these; null: they go together. */
export function excludedPair(elements: readonly Element[]): readonly [ai: string, other: string] | null {
  for (const { ai } of elements)
    for (const other of elements)
      if (other.ai !== ai && aiRule(ai)?.exclusions.some((pattern) => fits(pattern, other.ai))) return [ai, other.ai];
  return null;
}

/** Identifiers that lack a companion; it may stand in another symbol on the same item. */
export const withoutCompanion = (elements: readonly Element[]): readonly string[] =>
  elements
    .map(({ ai }) => ai)
    .filter((ai) =>
      aiRule(ai)?.companions.some(
        (groups) => !groups.some((group) => group.every((pattern) => elements.some((each) => fits(pattern, each.ai)))),
      ),
    );
