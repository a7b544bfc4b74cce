// Where this project's sources are, for the checks that walk them. It reads folder listings only.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Absolute path of the checkout. This file runs as out/scripts/lib/source-files.js. */
export const PROJECT_ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

export const SOURCE_FOLDERS = ['terminal', 'drivers', 'host-sync', 'config', 'scripts'] as const;

/** Every TypeScript source, relative to the root, with forward slashes, sorted. */
export function sourceFiles(folders: readonly string[] = SOURCE_FOLDERS): readonly string[] {
  const found: string[] = [];
  for (const folder of folders) {
    const absolute = path.join(PROJECT_ROOT, folder);
    if (!existsSync(absolute)) continue;
    for (const entry of readdirSync(absolute, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      found.push(path.relative(PROJECT_ROOT, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
    }
  }
  return found.sort();
}
