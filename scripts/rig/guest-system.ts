/**
 * Makes the rig's small system: Debian's kernel uncompressed, a first disk of a few modules, and a folder of packages that
 * the guest needs beside the host's own root. Everything is unpacked into a cache; nothing is installed on the host.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { PROJECT_ROOT } from '../lib/source-files.js';

export interface GuestSystem {
  readonly vmlinux: string;
  readonly initrd: string;
  /** Root of the unpacked packages, from the project's root. */
  readonly extra: string;
}

/** Unpacked beside the kernel: what a machine that boots has and a container has not. */
const extraPackages = ['udev', 'libkmod2', 'busybox-static'] as const;
/** What the first disk needs to reach the host's files. */
const firstModules = ['virtio_pci', '9pnet_virtio', '9p', 'overlay'] as const;
const cacheFolder = '.node/rig';
const commandBytesMax = 64 * 1024 * 1024;

const run = (command: string, words: readonly string[], cwd: string): Buffer =>
  execFileSync(command, words, { cwd, maxBuffer: commandBytesMax, stdio: ['ignore', 'pipe', 'ignore'] });

/** The package that linux-image-amd64 stands for. Throws where apt knows none. */
function kernelPackage(): string {
  const shown = run('apt-cache', ['depends', 'linux-image-amd64'], '/').toString();
  const name = /Depends: (linux-image-\S+)/.exec(shown)?.[1];
  if (!name) throw new Error('apt knows no linux-image-amd64; run apt-get update');
  return name;
}

/** @param say takes a line about what is being done */
export function prepareGuestSystem(say: (line: string) => void): GuestSystem {
  const init = path.join(PROJECT_ROOT, 'scripts/rig/init.sh');
  const kernel = kernelPackage();
  const key = createHash('sha256').update(kernel).update(extraPackages.join()).update(readFileSync(init)).digest('hex');
  const cache = path.join(cacheFolder, key.slice(0, 16));
  const folder = path.join(PROJECT_ROOT, cache);
  const system: GuestSystem = {
    vmlinux: path.join(folder, 'vmlinux'),
    initrd: path.join(folder, 'initrd'),
    extra: path.join(cache, 'extra'),
  };
  if (existsSync(path.join(folder, 'ready'))) return system;
  rmSync(path.join(PROJECT_ROOT, cacheFolder), { recursive: true, force: true });
  const extra = path.join(PROJECT_ROOT, system.extra);
  const packages = path.join(folder, 'packages');
  mkdirSync(packages, { recursive: true });
  say(`fetching ${kernel} and ${extraPackages.join(', ')}`);
  run('apt-get', ['download', kernel, ...extraPackages], packages);
  const unpacked = path.join(folder, 'unpacked');
  for (const file of readdirSync(packages)) run('dpkg', ['-x', file, unpacked], packages);
  rmSync(packages, { recursive: true });
  say('unpacking the kernel');
  const release = readdirSync(path.join(unpacked, 'lib/modules'))[0] ?? '';
  writeFileSync(system.vmlinux, uncompressedKernel(path.join(unpacked, 'boot', `vmlinuz-${release}`)));
  mergeUsr(unpacked, extra);
  run(path.join(extra, 'usr/bin/busybox'), ['depmod', '-b', path.join(extra, 'usr'), release], folder);
  makeInitrd(path.join(folder, 'disk'), extra, path.join(extra, 'usr/lib/modules', release), init, system.initrd);
  writeFileSync(path.join(folder, 'ready'), '');
  return system;
}

/** The kernel inside Debian's compressed image: unpacking it here takes a second, in the emulator a quarter of a minute. */
function uncompressedKernel(image: string): Buffer {
  const bytes = readFileSync(image);
  const at = bytes.indexOf(Buffer.from('fd377a585a00', 'hex'));
  if (at < 0) throw new Error(`${path.basename(image)} is not compressed with xz`);
  return execFileSync('xz', ['-dc', '--single-stream'], {
    input: bytes.subarray(at),
    maxBuffer: commandBytesMax * 4,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

/** Packages of Debian 12 still name /lib, /bin and /sbin; over the host's links to /usr they would hide it. */
function mergeUsr(unpacked: string, extra: string): void {
  mkdirSync(extra, { recursive: true });
  for (const top of readdirSync(unpacked)) {
    if (top === 'boot') continue;
    const target = ['bin', 'lib', 'lib64', 'sbin'].includes(top) ? path.join(extra, 'usr', top) : path.join(extra, top);
    if (existsSync(target)) cpSync(path.join(unpacked, top), target, { recursive: true, verbatimSymlinks: true });
    else {
      mkdirSync(path.dirname(target), { recursive: true });
      renameSync(path.join(unpacked, top), target);
    }
  }
  rmSync(unpacked, { recursive: true });
}

/** Modules in an order in which each finds what it needs. */
function moduleOrder(modules: string): readonly string[] {
  const needs = new Map<string, readonly string[]>();
  for (const line of readFileSync(path.join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [file, rest] = line.split(':');
    if (file && rest !== undefined)
      needs.set(
        file,
        rest.split(' ').filter((name) => name !== ''),
      );
  }
  const nameOf = (file: string): string => path.basename(file).replace(/\.ko$/, '').replaceAll('-', '_');
  const ordered: string[] = [];
  const add = (file: string): void => {
    for (const needed of needs.get(file) ?? []) add(needed);
    if (!ordered.includes(file)) ordered.push(file);
  };
  for (const name of firstModules) {
    const file = [...needs.keys()].find((candidate) => nameOf(candidate) === name);
    // What is not a module is built in.
    if (file) add(file);
  }
  return ordered;
}

function makeInitrd(disk: string, extra: string, modules: string, init: string, target: string): void {
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'host', 'work', 'memory', 'system', 'modules'])
    mkdirSync(path.join(disk, folder), { recursive: true });
  const busybox = path.join(extra, 'usr/bin/busybox');
  cpSync(busybox, path.join(disk, 'bin/busybox'));
  cpSync(init, path.join(disk, 'init'));
  chmodSync(path.join(disk, 'init'), 0o755);
  const order = moduleOrder(modules);
  for (const file of order) cpSync(path.join(modules, file), path.join(disk, 'modules', path.basename(file)));
  writeFileSync(path.join(disk, 'modules/order'), order.map((file) => path.basename(file)).join('\n'));
  const files = execFileSync('find', ['.'], { cwd: disk });
  writeFileSync(
    target,
    execFileSync(busybox, ['cpio', '-o', '-H', 'newc'], {
      cwd: disk,
      input: files,
      maxBuffer: commandBytesMax,
      stdio: ['pipe', 'pipe', 'ignore'],
    }),
  );
  if (statSync(target).size === 0) throw new Error('the first disk came out empty');
}
