/**
 * The product's version, from package.json beside the built program.
 */
import { readFileSync } from 'node:fs';

export function productVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
