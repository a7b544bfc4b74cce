/**
 * scripts/provision: the udev rules, kernel module list, account and systemd unit of a box that runs as a service. May be run
 * again at any time. Must not install packages (scripts/start does) and must not touch a file that it did not write.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/load.js';
import { type NamedDevices, ownMark, type SystemFile, systemFiles } from './provision-parts/files.js';
import { builtFolder } from './start-parts/process.js';

const exitFailed = 1;
const exitNeedsRoot = 3;

interface Options {
  readonly root: string;
  readonly user: string;
  readonly data: string;
  readonly dryRun?: boolean;
  readonly start?: boolean;
}

/** A command after the files are there. `live`: on the running system only, never on a scratch root. */
interface Action {
  readonly title: string;
  readonly command: readonly string[];
  readonly live: boolean;
  /** It may fail without harm: a module that is not loaded, an udev that is not running. */
  readonly mayFail?: boolean;
}

const actions = ({ root, start }: Options): readonly Action[] => {
  const at = root === '/' ? [] : [`--root=${root}`];
  return [
    { title: 'account', command: ['systemd-sysusers', ...at, 'shouli.conf'], live: false },
    { title: 'data folder', command: ['systemd-tmpfiles', ...at, '--create', 'shouli.conf'], live: false },
    {
      title: 'unload the modules',
      command: ['modprobe', '-r', 'pn533_usb', 'pn533', 'nfc'],
      live: true,
      mayFail: true,
    },
    { title: 'reload udev', command: ['udevadm', 'control', '--reload'], live: true, mayFail: true },
    { title: 'apply the rules', command: ['udevadm', 'trigger', '--action=add'], live: true, mayFail: true },
    { title: 'read the unit', command: ['systemctl', 'daemon-reload'], live: true },
    { title: 'start at boot', command: ['systemctl', ...at, 'enable', 'shouli.service'], live: false },
    ...(start ? [{ title: 'start now', command: ['systemctl', 'restart', 'shouli.service'], live: true }] : []),
  ];
};

function absolutePath(text: string): string {
  if (!/^\/[^\p{Cc}"\\ ]*$/u.test(text)) throw new InvalidArgumentError('an absolute path without blanks or quotes');
  return path.resolve(text);
}
function userName(text: string): string {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(text)) throw new InvalidArgumentError('a to z, 0 to 9 and -, from a letter');
  return text;
}

const program = new Command('scripts/provision')
  .description(
    'Prepares this system for a box that runs as a service: account, udev rules, kernel modules, unit.\nPackages and the build come from scripts/start, which is to be run once before.',
  )
  .option('--root <folder>', 'write below this folder instead of into the running system', absolutePath, '/')
  .option('--user <name>', 'service account', userName, 'shouli')
  .option('--data <folder>', 'data folder of the box', absolutePath, '/var/lib/shouli')
  .option('--dry-run', 'say what would be done, do nothing')
  .option('--start', 'start the service at once')
  .addHelpText('after', '\nEnds with 0: done, 1: failed or a file is not its own, 2: wrong option, 3: needs root.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

/** @returns what is to be done with a file, or null when it is not this script's */
function verdict(file: SystemFile, target: string): 'write' | 'keep' | null {
  if (!existsSync(target)) return 'write';
  const found = readFileSync(target, 'utf8');
  if (found === file.text) return 'keep';
  return found.split('\n', 1)[0]?.includes(ownMark) ? 'write' : null;
}

/**
 * HID devices that the box's configuration names; none where it has no configuration yet. Null, and every problem told, where it
 * has one that the box would not start with.
 */
function namedDevices({ data, root }: Options): NamedDevices | null {
  const file = path.join(root, data, 'shouli.toml');
  if (!existsSync(file)) return { plain: [], typing: [] };
  const loaded = loadConfig(readFileSync(file, 'utf8'));
  if (!loaded.ok) {
    for (const { path: at, value, problem } of loaded.error)
      console.error(`${file}: ${at}${value ? ` = ${value}` : ''}: ${problem}`);
    return null;
  }
  const { hidScanners, keypads, pinPads, stripeReaders } = loaded.value;
  return {
    plain: [...hidScanners.devices, ...stripeReaders.devices, ...pinPads.devices],
    typing: [...hidScanners.keyboards, ...keypads.devices],
  };
}

/** Why another account cannot run what is in this folder; null: it can. */
function hiddenFrom(folder: string): string | null {
  for (let at = folder; ; at = path.dirname(at)) {
    if ((statSync(at).mode & 0o005) !== 0o005 && at !== '/') return `${at} is closed to other users`;
    if (at === path.dirname(at)) break;
  }
  // The unit has a /tmp of its own.
  return /^\/(var\/)?tmp\//.test(folder) ? 'what is under /tmp is not there for a service' : null;
}

function writeWhole(target: string, text: string): void {
  mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
  const half = `${target}.new`;
  writeFileSync(half, text, { mode: 0o644 });
  // The mode of writeFileSync is cut by the umask.
  chmodSync(half, 0o644);
  renameSync(half, target);
}

function perform(action: Action, options: Options): boolean {
  const words = action.command.join(' ');
  if (action.live && options.root !== '/') {
    console.log(`  skipped   ${words} (not the running system)`);
    return true;
  }
  if (options.dryRun) {
    console.log(`  would run ${words}`);
    return true;
  }
  const [name = '', ...rest] = action.command;
  const run = spawnSync(name, rest, { encoding: 'utf8' });
  const isDone = run.status === 0;
  const why = (run.error?.message ?? run.stderr).trim().split('\n')[0] ?? '';
  if (isDone) console.log(`  done      ${words}`);
  else console.log(`  ${action.mayFail ? 'no matter' : 'FAILED   '} ${words}${why === '' ? '' : `: ${why}`}`);
  return isDone || action.mayFail === true;
}

function main(): number {
  const options = program.parse().opts<Options>();
  if (!options.dryRun && options.root === '/' && process.getuid?.() !== 0) {
    console.error('scripts/provision changes the system: run it with sudo, or look first with --dry-run');
    return exitNeedsRoot;
  }
  const hidden = hiddenFrom(builtFolder);
  if (hidden) {
    console.error(
      `${options.user} cannot run this checkout: ${hidden}.\nMove it to a folder that every user may read, such as /opt/shouli, and run this from there.`,
    );
    if (!options.dryRun && options.root === '/') return exitFailed;
  }
  const named = namedDevices(options);
  if (!named) return exitFailed;
  const files = systemFiles({
    named,
    user: options.user,
    dataFolder: options.data,
    nodePath: process.execPath,
    programPath: path.join(builtFolder, 'scripts/start.js'),
  });
  const plan = files.map((file) => {
    const target = path.join(options.root, file.path);
    return { file, target, verdict: verdict(file, target) };
  });
  const foreign = plan.filter((row) => row.verdict === null);
  if (foreign.length > 0) {
    for (const { target } of foreign)
      console.error(`${target} is not from this script: move it away, then run this again`);
    return exitFailed;
  }
  console.log('Files');
  for (const { file, target, verdict: what } of plan) {
    if (what === 'write' && !options.dryRun) writeWhole(target, file.text);
    const word = what === 'keep' ? 'as it was ' : options.dryRun ? 'would write' : 'written   ';
    console.log(`  ${word} ${target} (${file.title})`);
  }
  console.log('System');
  let failed = 0;
  for (const action of actions(options)) if (!perform(action, options)) failed++;
  if (failed > 0) return exitFailed;
  if (!options.dryRun)
    console.log(
      `Next: ${options.start ? '' : 'sudo systemctl start shouli, then '}sudo -u ${options.user} scripts/console --data ${options.data}\n      The first PIN: sudo journalctl -u shouli | grep PIN`,
    );
  return 0;
}

process.exitCode = main();
