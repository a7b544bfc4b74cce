// The whole check as named stages: build, lint, import rules, purity, dead code, documents, links, tests, demo, rig. Every stage
// runs even when an earlier one failed, unless it needs a build that did not succeed. To add a stage, add a row to
// STAGES. A stage other than the tests counts as one pass or failure; the tests count their assertions.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { reserveSlotPorts } from '../drivers/sim/pcscd.js';
import { startProgress } from './lib/progress.js';
import { PROJECT_ROOT } from './lib/source-files.js';
import { TapCounter, type TapCounts } from './lib/tap-count.js';

interface Stage {
  readonly name: string;
  readonly title: string;
  /** Arguments to node, relative to the project root. */
  readonly command: readonly string[];
  /** The stage is skipped, and says so, when this file does not exist. */
  readonly needsFile?: string;
  /** It runs what the build made. */
  readonly needsBuild?: boolean;
  /** Its standard output is TAP: assertions are counted. */
  readonly isTap?: boolean;
  readonly timeoutMs?: number;
}

const STAGES: readonly Stage[] = [
  { name: 'build', title: 'types and build', command: ['scripts/build.mjs'] },
  { name: 'lint', title: 'lint and format', command: ['node_modules/@biomejs/biome/bin/biome', 'ci', '.'] },
  { name: 'imports', title: 'import rules', command: ['out/scripts/check-imports.js'] },
  { name: 'purity', title: 'purity', command: ['out/scripts/check-purity.js'] },
  {
    name: 'dead-code',
    title: 'dead code',
    command: ['node_modules/knip/bin/knip.js', '--no-progress', '--no-config-hints'],
  },
  {
    name: 'documents',
    title: 'documents up to date',
    command: ['out/scripts/docs.js', '--check'],
    needsFile: 'scripts/docs.ts',
    needsBuild: true,
  },
  { name: 'links', title: 'links between documents', command: ['out/scripts/check-links.js'] },
  {
    name: 'tests',
    title: 'tests',
    command: ['node_modules/tap/dist/esm/run.mjs', 'run', '--reporter=tap'],
    needsBuild: true,
    isTap: true,
    timeoutMs: 60 * 60_000,
  },
  {
    name: 'demo',
    title: 'demo',
    command: ['out/scripts/start.js', '--demo', '--json'],
    needsFile: 'scripts/start.ts',
    needsBuild: true,
  },
  {
    name: 'simulate',
    title: 'simulator, 300 seeds',
    command: ['out/scripts/simulate.js', '--seeds', '300', '--json'],
    needsBuild: true,
  },
  {
    name: 'defects',
    title: 'simulator, known mistakes',
    command: ['out/scripts/simulate.js', '--defects', '--json'],
    needsBuild: true,
  },
  {
    name: 'replay',
    title: 'replay of a day of receipts',
    command: ['out/scripts/replay.js', '--json'],
    needsFile: '../shared/data/online-retail-2010-12_2011-02.csv.gz',
    needsBuild: true,
  },
  { name: 'rig', title: 'drivers in a virtual machine', command: ['out/scripts/rig.js'], needsBuild: true },
];

const STAGE_TIMEOUT_MS = 10 * 60_000;
/** What a stage ends with when it could not run here; its last line says why. */
const SKIP_STATUS = 77;
/** The raw TAP of the last run, for reading after a failure. */
const TAP_FILE = 'out/test-output.tap';

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly string[];
}

const PASSED: Outcome = { passed: 1, failed: 0, skips: [] };
const FAILED: Outcome = { passed: 0, failed: 1, skips: [] };

interface Finished {
  /** 0 only when the process ended by itself and said so. */
  readonly status: number;
  readonly ending: string;
  readonly output: string;
}

let running: ChildProcess | undefined;

function run(stage: Stage, extra: readonly string[], onStdout: (text: string) => void): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...stage.command, ...extra], {
      cwd: PROJECT_ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
    });
    running = child;
    const chunks: string[] = [];
    let isLate = false;
    const timeoutMs = stage.timeoutMs ?? STAGE_TIMEOUT_MS;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      chunks.push(text);
      onStdout(text);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
    child.on('error', (error) => chunks.push(String(error)));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running = undefined;
      const ending = isLate ? `no end within ${timeoutMs / 1000} s` : signal === null ? `exit ${code}` : `${signal}`;
      resolve({ status: isLate ? 1 : (code ?? 1), ending, output: chunks.join('') });
    });
  });
}

function indented(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '    ');
}

async function runPlain(stage: Stage, title: string, extra: readonly string[]): Promise<Outcome> {
  const progress = startProgress(title);
  const finished = await run(stage, extra, () => {});
  if (finished.status === SKIP_STATUS) {
    const why = finished.output.trim().split('\n').at(-1) ?? '';
    progress.done(why);
    return { passed: 0, failed: 0, skips: [`${stage.name}: ${why.replace(/^skipped: /, '')}`] };
  }
  progress.done(finished.status === 0 ? 'ok' : `FAILED (${finished.ending})`);
  if (finished.status === 0) return PASSED;
  console.log(indented(finished.output));
  return FAILED;
}

function failuresOf(counts: TapCounts, finished: Finished): readonly string[] {
  const failures = counts.failures.map(({ name, details }) =>
    details === '' ? name : `${name}\n${indented(details)}`,
  );
  const executed = counts.passed + counts.failures.length;
  if (executed === 0) failures.push(`no test was executed\n${indented(finished.output)}`);
  if (finished.status !== 0 && failures.length === 0) {
    failures.push(`the test runner failed (${finished.ending}) though no test did\n${indented(finished.output)}`);
  }
  return failures;
}

/** Compiled tests of a folder, or the file itself: the runner would take every file of a folder for a test. */
function testFilesOf(named: string): readonly string[] {
  const at = path.resolve(PROJECT_ROOT, named);
  if (statSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) return [named];
  return readdirSync(at, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => path.join(named, file));
}

async function runTests(stage: Stage, title: string, extra: readonly string[]): Promise<Outcome> {
  const progress = startProgress(title);
  let files = 0;
  const counter = new TapCounter((name, ok) => {
    files += 1;
    progress.note(`${files} files, last ${ok ? '' : 'FAILED '}${name}`);
  });
  const finished = await run(stage, extra, (text) => counter.write(text));
  const counts = counter.end();
  mkdirSync(path.join(PROJECT_ROOT, 'out'), { recursive: true });
  writeFileSync(path.join(PROJECT_ROOT, TAP_FILE), finished.output);
  const failures = failuresOf(counts, finished);
  const summary = `${counts.files} files, ${counts.passed} assertions`;
  progress.done(failures.length === 0 ? `ok (${summary})` : `FAILED (${summary}, ${failures.length} failed)`);
  for (const failure of failures) console.log(indented(`not ok: ${failure}`));
  if (failures.length > 0) console.log(`    everything the tests wrote: ${TAP_FILE}`);
  return { passed: counts.passed, failed: failures.length, skips: counts.skips };
}

async function runStages(stages: readonly Stage[], extra: readonly string[]): Promise<Outcome> {
  let passed = 0;
  let failed = 0;
  const skips: string[] = [];
  let isBuildBroken = false;
  for (const [index, stage] of stages.entries()) {
    const title = `[${index + 1}/${stages.length}] ${stage.title}`;
    if (stage.needsFile !== undefined && !existsSync(path.join(PROJECT_ROOT, stage.needsFile))) {
      console.error(`${title}: skipped, ${stage.needsFile} does not exist`);
      skips.push(`${stage.name}: ${stage.needsFile} does not exist`);
      continue;
    }
    if (isBuildBroken && stage.needsBuild === true) {
      console.error(`${title}: not run, the build failed`);
      continue;
    }
    const outcome = await (stage.isTap === true ? runTests : runPlain)(stage, title, stage.isTap === true ? extra : []);
    if (stage.name === 'build' && outcome.failed > 0) isBuildBroken = true;
    passed += outcome.passed;
    failed += outcome.failed;
    skips.push(...outcome.skips);
  }
  return { passed, failed, skips };
}

const USAGE = `usage: scripts/test [--only STAGE]... [--list] [-- TEST_FILE...]

Runs the whole check. The last line is "N passed, N failed", followed by ", N skipped" when something was.
The exit status is 0 when nothing failed. With CI=true in the environment a skip counts as a failure.

  --only STAGE   run this stage only; may be repeated
  --list         print the stages and end
  --help         print this and end
  -- FILES       compiled test files or folders (out/...) instead of all, for the stage "tests"

stages: ${STAGES.map(({ name }) => name).join(', ')}`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      list: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  if (values.list === true) {
    for (const { name, title } of STAGES) console.log(`${name.padEnd(12)}${title}`);
    return 0;
  }
  const unknown = (values.only ?? []).filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    console.error(`unknown stage: ${unknown.join(', ')}\n\n${USAGE}`);
    return 2;
  }
  const stages = STAGES.filter(({ name }) => values.only === undefined || values.only.includes(name));
  reserveSlotPorts();
  const { passed, failed, skips } = await runStages(stages, positionals.flatMap(testFilesOf));
  for (const skip of skips) console.log(`skipped: ${skip}`);
  const isSkipFailure = process.env['CI'] === 'true' && skips.length > 0;
  if (isSkipFailure) console.log('CI=true: a skip counts as a failure');
  console.log(`${passed} passed, ${failed} failed${skips.length > 0 ? `, ${skips.length} skipped` : ''}`);
  return failed > 0 || passed === 0 || isSkipFailure ? 1 : 0;
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    running?.kill(signal);
    process.exit(130);
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
