// Fails when a pure folder reaches for the clock, chance, the event loop, the machine or a memory of its own. It reads
// the syntax tree, so comments and strings never count. Which modules may be imported is check-imports' business;
// only node: modules are refused here a second time.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import ts from 'typescript';
import { PROJECT_ROOT, sourceFiles } from './lib/source-files.js';

const PURE_FOLDERS = [
  'terminal/core',
  'terminal/kernel',
  'drivers/protocols',
  'host-sync/protocol',
  'host-sync/server/ledger',
] as const;
/** The kernel's doors to cryptography; pure folders may not import it. */
const EXEMPT_FILES: ReadonlySet<string> = new Set(['terminal/kernel/native.ts', 'terminal/kernel/native-chip.ts']);

/** Names that may not be mentioned as a value or a type. */
const FORBIDDEN_GLOBALS: ReadonlySet<string> = new Set(['Date', 'Promise']);
/** Names that may not be used unless the file declares its own (a parameter called `process` is fine). */
const FORBIDDEN_AMBIENT: ReadonlySet<string> = new Set([
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'process',
  'performance',
  'crypto',
  'globalThis',
  'global',
  'console',
  'fetch',
  'require',
  'Intl',
  'AbortSignal',
  'Atomics',
  'Worker',
  'eval',
  'Function',
]);
/** Methods whose answer depends on the machine's language. */
const LOCALE_METHODS: ReadonlySet<string> = new Set([
  'localeCompare',
  'toLocaleString',
  'toLocaleLowerCase',
  'toLocaleUpperCase',
]);
const MUTABLE_CONTAINERS: ReadonlySet<string> = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'Array']);

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent)) return parent.name === node;
  if (ts.isQualifiedName(parent)) return parent.right === node;
  return (
    (ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodDeclaration(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isGetAccessorDeclaration(parent) ||
      ts.isEnumMember(parent)) &&
    parent.name === node
  );
}

function declaredNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (
      (ts.isVariableDeclaration(node) ||
        ts.isParameter(node) ||
        ts.isBindingElement(node) ||
        ts.isFunctionDeclaration(node) ||
        ts.isImportSpecifier(node)) &&
      node.name !== undefined &&
      ts.isIdentifier(node.name)
    ) {
      names.add(node.name.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}

/** Module level, also inside a bare block or a loop there, but not inside a function or a class. */
function isModuleLevel(node: ts.Node): boolean {
  for (let up = node.parent; up !== undefined; up = up.parent) {
    if (ts.isFunctionLike(up) || ts.isClassLike(up)) return false;
    if (ts.isForStatement(up) || ts.isForOfStatement(up) || ts.isForInStatement(up)) return false;
  }
  return true;
}

function isReadonlyType(type: ts.TypeNode | undefined): boolean {
  if (type === undefined) return false;
  if (ts.isTypeOperatorNode(type)) return type.operator === ts.SyntaxKind.ReadonlyKeyword;
  return ts.isTypeReferenceNode(type) && /^Readonly/.test(type.typeName.getText());
}

function isAsync(node: ts.Node): boolean {
  return ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.AsyncKeyword);
}

function isForbiddenGlobal(node: ts.Identifier, declared: ReadonlySet<string>): boolean {
  if (isPropertyName(node)) return false;
  return FORBIDDEN_GLOBALS.has(node.text) || (FORBIDDEN_AMBIENT.has(node.text) && !declared.has(node.text));
}

function isMathRandom(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) {
    return node.name.text === 'random' && ts.isIdentifier(node.expression) && node.expression.text === 'Math';
  }
  if (ts.isElementAccessExpression(node)) return ts.isIdentifier(node.expression) && node.expression.text === 'Math';
  // const { random } = Math
  return ts.isVariableDeclaration(node) && node.initializer?.getText() === 'Math';
}

const isEmptyLiteral = (node: ts.Expression): boolean =>
  (ts.isArrayLiteralExpression(node) && node.elements.length === 0) ||
  (ts.isObjectLiteralExpression(node) && node.properties.length === 0);
const isStatefulPattern = (node: ts.Expression): boolean =>
  ts.isRegularExpressionLiteral(node) && /\/[a-z]*[gy][a-z]*$/.test(node.text);

function problemOfDeclaration(node: ts.VariableDeclarationList): string | undefined {
  if (!isModuleLevel(node)) return undefined;
  if ((node.flags & ts.NodeFlags.BlockScoped) !== ts.NodeFlags.Const) return 'module-level let or var';
  for (const { initializer, type } of node.declarations) {
    if (initializer === undefined) continue;
    if (isEmptyLiteral(initializer) && !isReadonlyType(type))
      return 'module-level empty table: it can only be there to be filled';
    if (isStatefulPattern(initializer)) return 'module-level pattern with flag g or y: it remembers where it stopped';
    if (!ts.isNewExpression(initializer)) continue;
    const made = initializer.expression.getText();
    if (MUTABLE_CONTAINERS.has(made) && !isReadonlyType(type)) {
      return `module-level mutable ${made}: annotate it as Readonly${made} or move it`;
    }
  }
  return undefined;
}

function problemOf(node: ts.Node, declared: ReadonlySet<string>): string | undefined {
  if (ts.isIdentifier(node)) return isForbiddenGlobal(node, declared) ? node.text : undefined;
  if (isMathRandom(node)) return 'Math.random';
  if (ts.isPropertyAccessExpression(node) && LOCALE_METHODS.has(node.name.text)) return node.name.text;
  if (isAsync(node)) return 'async';
  if (ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier !== undefined)) return 'await';
  if (ts.isVariableDeclarationList(node)) return problemOfDeclaration(node);
  if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword) return 'import.meta';
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return 'import()';
  if (ts.isPropertyDeclaration(node)) {
    const kinds = (ts.getModifiers(node) ?? []).map((modifier) => modifier.kind);
    const isMutableStatic =
      kinds.includes(ts.SyntaxKind.StaticKeyword) && !kinds.includes(ts.SyntaxKind.ReadonlyKeyword);
    return isMutableStatic ? 'static property that is not readonly' : undefined;
  }
  if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier !== undefined) {
    const from = (node.moduleSpecifier as ts.StringLiteral).text;
    return from.startsWith('node:') || isBuiltin(from) ? `import of ${from}` : undefined;
  }
  return undefined;
}

/** All that is impure in one file's text. Exported for its test. */
export function impurities(file: string, text: string): readonly Finding[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS);
  const declared = declaredNames(source);
  const findings: Finding[] = [];
  const visit = (node: ts.Node): void => {
    const problem = problemOf(node, declared);
    if (problem !== undefined) {
      const at = source.getLineAndCharacterOfPosition(node.getStart(source));
      findings.push({ file, line: at.line + 1, column: at.character + 1, text: problem });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return findings;
}

function main(): number {
  const files = sourceFiles(PURE_FOLDERS).filter((file) => !file.endsWith('.test.ts') && !EXEMPT_FILES.has(file));
  const findings = files.flatMap((file) => impurities(file, readFileSync(path.join(PROJECT_ROOT, file), 'utf8')));
  for (const { file, line, column, text } of findings) console.error(`${file}:${line}:${column} ${text}`);
  if (files.length === 0) console.error('purity: 0 files were read, so nothing was checked');
  console.log(`purity: ${files.length} files, ${findings.length} findings`);
  return findings.length > 0 || files.length === 0 ? 1 : 0;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename) process.exitCode = main();
