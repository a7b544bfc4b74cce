/**
 * Strict JSON from outside: bounded length and depth, no duplicate keys, no key that names a prototype, before anything
 * is built from it. Must not coerce; numbers are checked by the schema that reads them.
 */
import { type DecodeError, decodeError, ok, type Result } from './result.js';

export interface JsonLimits {
  readonly lengthMax: number;
  readonly depthMax: number;
}
export const jsonLimitsDefault: JsonLimits = { lengthMax: 1_048_576, depthMax: 16 };

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/** A raw string token's end (index after the closing quote), or -1 when it does not close. */
function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let before = at;
    while (text.charCodeAt(before - 1) === backslash) before--;
    // An odd run of backslashes escapes the quote; no run reaches back over the quote before it.
    if ((at - before) % 2 === 0) return at + 1;
  }
  return -1;
}

/** Does a colon follow, behind any amount of JSON's white space? */
function isKey(text: string, end: number): boolean {
  let at = end;
  let code = text.charCodeAt(at);
  while (code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d) code = text.charCodeAt(++at);
  return code === colon;
}

/**
 * Parses JSON text. Offsets in errors are in UTF-16 code units.
 * Takes time in proportion to the length and never throws.
 * @returns the value, `input.tooLong` (length or depth), or `input.malformed` (syntax, duplicate key, or the key
 * `__proto__`, `constructor` or `prototype`, however it is escaped)
 */
export function parseJson(text: string, limits: JsonLimits = jsonLimitsDefault): Result<unknown, DecodeError> {
  if (text.length > limits.lengthMax)
    return decodeError('input.tooLong', limits.lengthMax, `more than ${limits.lengthMax} characters`);
  const keysAtDepth: (Set<string> | null)[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === openBrace || code === openBracket) {
      if (keysAtDepth.length >= limits.depthMax)
        return decodeError('input.tooLong', at, `nested deeper than ${limits.depthMax}`);
      keysAtDepth.push(code === openBrace ? new Set() : null);
    } else if (code === closeBrace || code === closeBracket) {
      keysAtDepth.pop();
    } else if (code === quote) {
      const end = stringEnd(text, at);
      if (end < 0) return decodeError('input.malformed', at, 'string without end');
      const keys = keysAtDepth.at(-1);
      if (keys && isKey(text, end)) {
        const problem = keyProblem(text, at, end, keys);
        if (problem) return decodeError('input.malformed', at, problem);
      }
      at = end - 1;
    }
  }
  try {
    return ok(JSON.parse(text) as unknown);
  } catch {
    return decodeError('input.malformed', 0, 'not JSON');
  }
}

/** The string token from `start` to `end` as it reads; null: it is none. Without escapes it reads as it stands. */
function stringAt(text: string, start: number, end: number): string | null {
  for (let at = start + 1; at < end - 1; at++) {
    const code = text.charCodeAt(at);
    if (code !== backslash && code >= 0x20) continue;
    try {
      return JSON.parse(text.slice(start, end)) as string;
    } catch {
      return null;
    }
  }
  return text.slice(start + 1, end - 1);
}

function keyProblem(text: string, start: number, end: number, keys: Set<string>): string | null {
  const key = stringAt(text, start, end);
  if (key === null) return 'not a JSON string';
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') return `key ${key} is refused`;
  const before = keys.size;
  return keys.add(key).size === before ? 'duplicate key' : null;
}
