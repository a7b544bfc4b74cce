// Runs the import rules of .dependency-cruiser.cjs and fails when they looked at nothing: no module read, or a source
// file that the tool never opened. A silent "0 modules, no violations" must not pass for a clean project.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PROJECT_ROOT, SOURCE_FOLDERS, sourceFiles } from './lib/source-files.js';

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string; readonly severity: string };
  readonly cycle?: readonly { readonly name: string }[];
}

interface CruiseOutput {
  readonly modules: readonly { readonly source: string; readonly dependencies: readonly unknown[] }[];
  readonly summary: { readonly violations: readonly Violation[] };
}

const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;

function main(): number {
  const folders = SOURCE_FOLDERS.filter((folder) => existsSync(`${PROJECT_ROOT}/${folder}`));
  const run = spawnSync(
    process.execPath,
    [
      'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'json',
      ...folders,
    ],
    { cwd: PROJECT_ROOT, encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (run.error !== undefined || run.stdout.trim() === '') {
    console.error(`imports: dependency-cruiser did not run (exit ${run.status})`, run.error ?? '');
    return 1;
  }
  const output = JSON.parse(run.stdout) as CruiseOutput;
  const read = new Set(output.modules.map((module) => module.source));
  const unread = sourceFiles().filter((file) => !read.has(file));
  const ours = sourceFiles().length - unread.length;
  const edges = output.modules.reduce((count, module) => count + module.dependencies.length, 0);
  for (const violation of output.summary.violations) {
    const via = violation.cycle?.map((step) => step.name).join(' → ');
    console.error(`${violation.rule.severity} ${violation.rule.name}: ${violation.from} → ${via ?? violation.to}`);
  }
  if (ours === 0) console.error('imports: 0 modules were read, so nothing was checked');
  if (edges === 0) console.error('imports: 0 dependencies were found, so nothing was checked');
  for (const file of unread) console.error(`imports: never read: ${file}`);
  const errors = output.summary.violations.filter((violation) => violation.rule.severity === 'error').length;
  console.log(`imports: ${ours} modules, ${edges} dependencies, ${errors} violations`);
  return errors > 0 || ours === 0 || edges === 0 || unread.length > 0 ? 1 : 0;
}

process.exitCode = main();
