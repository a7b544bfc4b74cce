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

/** A raw string token's end (index after the closing quote), or -1 when it does not close. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at + 1;
  }
  return -1;
}

/** Does a colon follow, behind any amount of JSON's white space? */
function isKey(text: string, end: number): boolean {
  const colon = /[ \t\n\r]*:/y;
  colon.lastIndex = end;
  return colon.test(text);
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
    const character = text[at];
    if (character === '{' || character === '[') {
      if (keysAtDepth.length >= limits.depthMax)
        return decodeError('input.tooLong', at, `nested deeper than ${limits.depthMax}`);
      keysAtDepth.push(character === '{' ? new Set() : null);
    } else if (character === '}' || character === ']') {
      keysAtDepth.pop();
    } else if (character === '"') {
      const end = stringEnd(text, at);
      if (end < 0) return decodeError('input.malformed', at, 'string without end');
      const keys = keysAtDepth.at(-1);
      if (keys && isKey(text, end)) {
        const problem = keyProblem(text.slice(at, end), keys);
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

function keyProblem(token: string, keys: Set<string>): string | null {
  let key: string;
  try {
    key = JSON.parse(token) as string;
  } catch {
    return 'not a JSON string';
  }
  if (key === '__proto__' || key === 'constructor' || key === 'prototype') return `key ${key} is refused`;
  if (keys.has(key)) return 'duplicate key';
  keys.add(key);
  return null;
}
