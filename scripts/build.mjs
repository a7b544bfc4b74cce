// Compiles the project into out/ and keeps out/ an exact image of the sources: files whose source is gone are removed,
// so a deleted test can never run, and non-TypeScript assets (JSON vectors, SQL, pages) are copied beside the code.
// The member's pages are bundled for the browser. Plain JavaScript because it runs before anything is compiled. Usage: npm run build [-- --clean]
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const ROOT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const OUT = path.join(ROOT, 'out');
const SOURCES = ['terminal', 'drivers', 'host-sync', 'config', 'scripts'];
const BUILD_INFO = path.join(OUT, '.tsbuildinfo');
/** Its time is the start of the last build that succeeded; scripts/lib/setup.sh compares sources with it. */
const STAMP = path.join(OUT, '.built');
const LOCK = path.join(OUT, '.build.lock');
const ASSET_EXTENSIONS = new Set(['.json', '.sql', '.html', '.css', '.svg', '.png', '.txt', '.bin', '.hex', '.pem']);
/** Bundled for the browser, each of these with what it imports; checked by the page's own tsconfig.json. */
const PAGE = path.join(ROOT, 'host-sync', 'server', 'web', 'page');
const PAGE_ENTRIES = new Set(['app.tsx', 'service-worker.ts']);
const LOCK_WAIT_MAX_MS = 300_000;

function filesUnder(folder) {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name));
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Two builds at once could leave old code beside a fresh tsbuildinfo, which no later build would repair. */
function takeLock() {
  const deadline = Date.now() + LOCK_WAIT_MAX_MS;
  for (;;) {
    try {
      fs.writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      process.on('exit', () => fs.rmSync(LOCK, { force: true }));
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    let owner = 0;
    let ageMs = 0;
    try {
      owner = Number(fs.readFileSync(LOCK, 'utf8'));
      ageMs = Date.now() - fs.statSync(LOCK).mtimeMs;
    } catch {
      continue; // it was released between the two calls
    }
    // An empty file is an owner that has not written its number yet.
    if ((owner > 0 && !isAlive(owner)) || (owner === 0 && ageMs > 2_000)) {
      fs.rmSync(LOCK, { force: true });
      continue;
    }
    if (Date.now() > deadline) {
      console.error(`build: process ${owner} has been building for too long; if it is not, delete ${LOCK}`);
      process.exit(1);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
}

function outputsOf(source) {
  const out = path.join(OUT, path.relative(ROOT, source));
  if (path.dirname(source) === PAGE && /\.tsx?$|tsconfig\.json$/.test(source))
    return PAGE_ENTRIES.has(path.basename(source)) ? [out.replace(/\.tsx?$/, '.js')] : [];
  if (/\.d\.[mc]?ts$/.test(source)) return [];
  const compiled = /\.([mc]?)ts$/.exec(source);
  if (compiled !== null) {
    const js = `${out.slice(0, -compiled[0].length)}.${compiled[1]}js`;
    return [js, `${js}.map`];
  }
  return ASSET_EXTENSIONS.has(path.extname(source)) ? [out] : [];
}

function copyIfChanged(source, out) {
  const bytes = fs.readFileSync(source);
  if (fs.existsSync(out) && fs.readFileSync(out).equals(bytes)) return;
  fs.mkdirSync(path.dirname(out), { recursive: true });
  fs.writeFileSync(out, bytes);
}

function removeEmptyFolders(folder) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const child = path.join(folder, entry.name);
    removeEmptyFolders(child);
    if (fs.readdirSync(child).length === 0) fs.rmdirSync(child);
  }
}

const startedAt = new Date();
fs.mkdirSync(OUT, { recursive: true });
takeLock();
if (process.argv.includes('--clean')) {
  for (const entry of fs.readdirSync(OUT)) {
    if (path.join(OUT, entry) !== LOCK) fs.rmSync(path.join(OUT, entry), { recursive: true, force: true });
  }
}

const sources = SOURCES.flatMap((folder) => filesUnder(path.join(ROOT, folder)));
const expected = new Set(sources.flatMap(outputsOf));
for (const file of SOURCES.flatMap((folder) => filesUnder(path.join(OUT, folder)))) {
  if (!expected.has(file)) fs.rmSync(file, { force: true });
}
for (const folder of SOURCES) if (fs.existsSync(path.join(OUT, folder))) removeEmptyFolders(path.join(OUT, folder));
for (const source of sources) {
  const [out] = outputsOf(source);
  if (out !== undefined && ASSET_EXTENSIONS.has(path.extname(source))) copyIfChanged(source, out);
}
// tsc trusts its build info and would not write again what somebody deleted from out/.
if ([...expected].some((file) => !fs.existsSync(file))) fs.rmSync(BUILD_INFO, { force: true });

buildSync({
  entryPoints: [...PAGE_ENTRIES].map((name) => path.join(PAGE, name)),
  outdir: path.join(OUT, path.relative(ROOT, PAGE)),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
});

const tsc = path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
const pretty = process.stdout.isTTY ? 'true' : 'false';
let status = 0;
for (const project of [ROOT, PAGE])
  status ||=
    spawnSync(process.execPath, [tsc, '--project', project, '--pretty', pretty], { stdio: 'inherit', cwd: ROOT })
      .status ?? 1;
if (status === 0) {
  fs.writeFileSync(STAMP, '');
  fs.utimesSync(STAMP, startedAt, startedAt);
} else {
  fs.rmSync(STAMP, { force: true });
}
process.exit(status);
