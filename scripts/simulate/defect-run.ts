/**
 * Runs seeds against a copy of the built project with one defect in it, until a seed fails. Must leave the project as it is.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import ts from 'typescript';
import type { Outcome } from '../../terminal/sim/simulator/world.js';
import { PROJECT_ROOT } from '../lib/source-files.js';
import type { Defect } from './defects.js';

export interface Finding {
  /** Null: not found within the stated seeds. */
  readonly seed: number | null;
  readonly problem: string | null;
}

/** The source with the defect in it. Throws where the text to be replaced does not stand there exactly once. */
export function patched(source: string, { file, find, name, replace }: Defect): string {
  const times = source.split(find).length - 1;
  if (times !== 1) throw new Error(`defect "${name}": its text stands ${times} times in ${file}`);
  return source.replace(find, () => replace);
}

/** A copy of the built project in which one file has the defect. */
function copyWith(defect: Defect): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-defect-'));
  cpSync(path.join(PROJECT_ROOT, 'out'), path.join(folder, 'out'), {
    recursive: true,
    filter: (file) => !file.endsWith('.map') && !file.endsWith('.test.js'),
  });
  for (const name of ['node_modules', 'package.json'])
    symlinkSync(path.join(PROJECT_ROOT, name), path.join(folder, name));
  const source = patched(readFileSync(path.join(PROJECT_ROOT, defect.file), 'utf8'), defect);
  const target = path.join(folder, 'out', defect.file.replace(/\.ts$/, '.js'));
  const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  unlinkSync(target);
  writeFileSync(target, ts.transpileModule(source, { compilerOptions: options }).outputText);
  return folder;
}

/** Tries seeds from 1 on, at most as many as the defect is to be found within. */
export async function findDefect(defect: Defect): Promise<Finding> {
  const folder = copyWith(defect);
  const { events = 2_000 } = defect;
  const child = spawn(process.execPath, [path.join(folder, 'out', 'scripts', 'simulate', 'seeds-child.js')], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  try {
    let seed = 1;
    child.stdin.write(`${seed} ${events}\n`);
    for await (const line of createInterface({ input: child.stdout })) {
      const { problem } = JSON.parse(line) as Outcome;
      if (problem !== null) return { seed, problem };
      if (seed >= defect.seeds) return { seed: null, problem: null };
      seed += 1;
      child.stdin.write(`${seed} ${events}\n`);
    }
    // The defect ended the process: found as well.
    return { seed, problem: 'the simulating process ended' };
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}
