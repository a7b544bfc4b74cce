// Shows that the purity check finds each forbidden thing where it is, and stays quiet about comments, strings,
// property names and frozen tables: small sources are given to it as text.
import { test } from 'tap';
import { impurities } from './check-purity.js';

const found = (text: string): readonly string[] => impurities('x.ts', text).map((finding) => finding.text);

test('each impurity is found', async (t) => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['export const now = () => Date.now();', ['Date']],
    ['export type Moment = Date;', ['Date']],
    ['export const r = () => Math.random();', ['Math.random']],
    ["export const r = () => Math['random']();", ['Math.random']],
    ['const { random } = Math;', ['Math.random']],
    ['export async function f() { await g(); }', ['async', 'await']],
    ['export const f = () => { setTimeout(g, 1); };', ['setTimeout']],
    ["import { readFileSync } from 'node:fs';", ['import of node:fs']],
    ["import type { Buffer } from 'buffer';", ['import of buffer']],
    ["export { x } from 'node:os';", ['import of node:os']],
    ["const f = () => import('./y.js');", ['import()']],
    ['let count = 0;', ['module-level let or var']],
    ['{ var count = 0; }', ['module-level let or var']],
    ['const seen = new Map<string, number>();', ['module-level mutable Map: annotate it as ReadonlyMap or move it']],
    ['class A { static count = 0; }', ['static property that is not readonly']],
    ['const e = process.env;', ['process']],
    ['const seen: string[] = [];', ['module-level empty table: it can only be there to be filled']],
    ['const seen = {};', ['module-level empty table: it can only be there to be filled']],
    ['const word = /a/gu;', ['module-level pattern with flag g or y: it remembers where it stopped']],
    ["export const f = (a: string) => a.localeCompare('b');", ['localeCompare']],
    ["export const f = (n: number) => new Intl.NumberFormat('zh').format(n);", ['Intl']],
    ["export const f = () => new Function('return 1');", ['Function']],
  ];
  for (const [text, expected] of cases) t.same(found(text), expected, text);
});

test('what only looks like one is let through', async (t) => {
  const cases = [
    '// Date.now() and await setTimeout',
    "const text = 'Date.now()';",
    'export interface Row { Date: string; process(): void }',
    'export const f = (row: Row) => row.Date;',
    'export const f = (process: number) => process + 1;',
    'export function f() { let i = 0; for (let j = 0; j < 2; j++) i += j; return i; }',
    'for (let i = 0; i < 256; i++) g(i);',
    'const table: ReadonlyMap<string, number> = new Map([]);',
    'class A { static readonly count = 0; }',
    'const none: readonly string[] = [];',
    'export const f = () => { const seen: string[] = []; return seen; };',
    'const word = /[/g]/u;',
    "export const f = (text: string) => text.replace(/a/g, 'b');",
    "import { z } from 'zod';",
  ];
  for (const text of cases) t.same(found(text), [], text);
});

test('the place is the line and column of the finding', async (t) => {
  t.match(impurities('a/b.ts', '\n  let x = 1;'), [{ file: 'a/b.ts', line: 2, column: 3 }]);
});
