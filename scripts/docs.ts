/**
 * Writes the generated documents, or with --check fails when one is not what its source makes.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { configReference } from '../config/reference.js';
import { hostOpenApi } from '../host-sync/server/http/openapi.js';
import { consolePage } from '../terminal/console/page.js';
import { localApiOpenApi } from '../terminal/local-api/openapi.js';
import { acceptanceMachinePage } from './docs/acceptance-machine.js';
import { assurancePage } from './docs/assurance.js';
import { errorsPage } from './docs/errors.js';

const documents: readonly { readonly path: string; readonly make: () => string | Promise<string> }[] = [
  { path: 'docs/acceptance-machine.md', make: acceptanceMachinePage },
  { path: 'docs/errors.md', make: errorsPage },
  { path: 'docs/assurance.md', make: assurancePage },
  { path: 'docs/console.md', make: consolePage },
  { path: 'config/reference.md', make: configReference },
  { path: 'docs/protocols/local-api.openapi.json', make: async () => json(await localApiOpenApi()) },
  { path: 'docs/protocols/host.openapi.json', make: async () => json(await hostOpenApi()) },
];
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help')) {
    console.log(
      'usage: npm run docs [-- --check]\n\nWrites every generated document. --check: writes nothing, fails when one is stale.',
    );
    return 0;
  }
  const check = words.includes('--check');
  let stale = 0;
  for (const { path, make } of documents) {
    const text = await make();
    if (readIfThere(path) === text) continue;
    stale += 1;
    if (check) {
      console.log(`stale: ${path}`);
      continue;
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${path}`);
  }
  if (check && stale > 0) console.log('run: npm run docs');
  return check && stale > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
