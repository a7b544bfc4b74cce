// How the worked example of docs/protocols/phone.md is set: names and bytes in rows, rows in blocks. Texts only.
import { type Bytes, toHex } from '../../terminal/kernel/bytes.js';
import type { Result } from '../../terminal/kernel/result.js';

/** What a step gave; throws where it failed, since an example that goes wrong is none. */
export function value<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(`the example went wrong: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** `name  hex`, the hex in rows of 32 bytes; a text stays on one line. */
export function row(name: string, bytes: Bytes | string): string {
  const text = typeof bytes === 'string' ? bytes : toHex(bytes);
  const width = typeof bytes === 'string' ? Number.POSITIVE_INFINITY : 64;
  const rows = text.length <= width ? [text] : (text.match(/.{1,64}/g) ?? []);
  return rows.map((part, at) => `${(at === 0 ? name : '').padEnd(16)}${part}`).join('\n');
}

export const block = (...rows: readonly string[]): string => ['```', ...rows, '```'].join('\n');
