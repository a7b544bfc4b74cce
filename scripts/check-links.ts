// Fails when a link in a Markdown page names a file, a folder or a heading of this project that is not there. Links to
// other machines are not followed. A run that read no link at all fails too.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { type Page, readPage } from './lib/markdown-links.js';
import { PROJECT_ROOT } from './lib/source-files.js';

/** Folders that are made, not written. */
const madeFolders = new Set(['node_modules', 'out', 'data', 'tmp']);

function pagesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name.startsWith('.') || madeFolders.has(entry.name) ? [] : pagesUnder(at);
    return entry.name.endsWith('.md') ? [at] : [];
  });
}

function main(): number {
  const read = new Map<string, Page>();
  const pageOf = (file: string): Page => {
    const known = read.get(file) ?? readPage(readFileSync(file, 'utf8'));
    read.set(file, known);
    return known;
  };
  /** Why a link leads nowhere; null when it leads somewhere, or out of the project. */
  const problemOf = (from: string, target: string): string | null => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return null;
    const [file = '', anchor] = target.split('#', 2);
    const at = file === '' ? from : path.resolve(path.dirname(from), decodeURIComponent(file));
    if (path.relative(PROJECT_ROOT, at).startsWith('..')) return 'leads out of the project';
    if (!existsSync(at)) return 'is not there';
    if (anchor === undefined || anchor === '') return null;
    if (statSync(at).isDirectory() || !at.endsWith('.md')) return 'is no page with headings';
    return pageOf(at).anchors.has(decodeURIComponent(anchor)) ? null : 'has no such heading';
  };
  const pages = pagesUnder(PROJECT_ROOT).sort();
  let links = 0;
  let broken = 0;
  for (const file of pages) {
    for (const { line, target } of pageOf(file).links) {
      links += 1;
      const problem = problemOf(file, target);
      if (problem === null) continue;
      broken += 1;
      console.error(`${path.relative(PROJECT_ROOT, file)}:${line}: ${target} ${problem}`);
    }
  }
  if (links === 0) console.error('links: none was read, so nothing was checked');
  console.log(`links: ${pages.length} pages, ${links} links, ${broken} broken`);
  return broken > 0 || links === 0 ? 1 : 0;
}

process.exitCode = main();
