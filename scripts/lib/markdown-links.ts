// What a Markdown page links to, and what can be linked to in it. Pure: it takes text and gives lists, and opens nothing.

export interface Link {
  /** Line of the page, from 1. */
  readonly line: number;
  /** As it stands there: `folder/file.md#heading`. */
  readonly target: string;
}

export interface Page {
  readonly links: readonly Link[];
  /** Anchors that a web view makes of its headings, and those it sets itself by `id` or `name`. */
  readonly anchors: ReadonlySet<string>;
}

const fencePattern = /^ {0,3}(```+|~~~+)/;
const headingPattern = /^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$/;
/** `[text](target)` and `![text](target "title")`; a target in angle brackets may hold blanks. */
const inlinePattern = /\[[^\]]*\]\(\s*(?:<([^>]*)>|([^\s)]+))(?:\s+"[^"]*")?\s*\)/g;
/** `[label]: target` */
const referencePattern = /^ {0,3}\[[^\]]+\]:\s+(?:<([^>]*)>|(\S+))/;
const setAnchorPattern = /<[a-z]+[^>]*\s(?:id|name)="([^"]+)"/g;

/** The anchor of a heading, as GitHub makes it: lower case, punctuation dropped, blanks to hyphens; letters of any script stay. */
export function anchorOf(heading: string): string {
  const shown = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '');
  return shown
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-');
}

/** Reads a page's links and anchors; what stands in code is neither. */
export function readPage(text: string): Page {
  const links: Link[] = [];
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  let fence: string | null = null;
  for (const [index, raw] of text.split('\n').entries()) {
    const mark = fencePattern.exec(raw)?.[1];
    if (mark && (fence === null || mark.startsWith(fence))) {
      fence = fence === null ? mark : null;
      continue;
    }
    if (fence !== null) continue;
    for (const [, name] of raw.matchAll(setAnchorPattern)) if (name) anchors.add(name);
    const heading = headingPattern.exec(raw)?.[1];
    if (heading !== undefined) {
      const anchor = anchorOf(heading);
      const times = seen.get(anchor) ?? 0;
      seen.set(anchor, times + 1);
      anchors.add(times === 0 ? anchor : `${anchor}-${times}`);
    }
    const prose = raw.replace(/(`+)[^`].*?\1/g, '');
    const reference = referencePattern.exec(prose);
    const targets = reference ? [reference] : prose.matchAll(inlinePattern);
    for (const [, bracketed, plain] of targets) links.push({ line: index + 1, target: bracketed ?? plain ?? '' });
  }
  return { links, anchors };
}
