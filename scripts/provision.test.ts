/**
 * Shows that provisioning writes what it says below a scratch root, and only that: again and again, never over a file of
 * somebody else, and nothing at all on a dry run. How: the shipped script as a process, with the system's own tools for account
 * and unit where they are.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { hidFingerprints, serialFingerprints } from '../drivers/fingerprints.js';

const script = fileURLToPath(new URL('./provision.js', import.meta.url));
const written = [
  'etc/modprobe.d/shouli-nfc.conf',
  'etc/polkit-1/rules.d/50-shouli-pcsc.rules',
  'etc/systemd/system/shouli.service',
  'etc/sysusers.d/shouli.conf',
  'etc/tmpfiles.d/shouli.conf',
  'etc/udev/rules.d/60-shouli.rules',
];
const isThere = (tool: string): boolean => ['/bin', '/usr/bin'].some((folder) => existsSync(path.join(folder, tool)));
/** The system's own part runs as root and where systemd is installed; files are written anywhere. */
const hasTools = process.getuid?.() === 0 && ['systemd-sysusers', 'systemd-tmpfiles', 'systemctl'].every(isThere);

function scratch(): string {
  const root = mkdtempSync(path.join(tmpdir(), 'shouli-provision-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  return root;
}
const run = (root: string, ...more: readonly string[]) =>
  spawnSync(process.execPath, [script, '--root', root, ...more], { encoding: 'utf8' });
const read = (root: string, file: string): string => readFileSync(path.join(root, file), 'utf8');
const filesIn = (root: string): readonly string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));

t.test('a dry run writes nothing and says everything', async (t) => {
  const root = scratch();
  const { status, stdout } = run(root, '--dry-run', '--start');
  t.equal(status, 0);
  t.same(readdirSync(root), []);
  for (const file of written) t.match(stdout, `would write ${path.join(root, file)}`);
  t.match(stdout, /would run systemd-sysusers --root=/);
  t.match(stdout, /skipped {3}modprobe -r pn533_usb/, 'the running system is not touched');
  t.match(stdout, /skipped {3}systemctl restart shouli/);
});

t.test('the files, again and again', async (t) => {
  const root = scratch();
  const first = run(root, '--user', 'till', '--data', '/srv/till');
  if (hasTools) t.equal(first.status, 0, first.stdout + first.stderr);
  for (const file of written) {
    t.equal(statSync(path.join(root, file)).mode & 0o777, 0o644, file);
    t.match(read(root, file), /^\S+ Written by scripts\/provision/, file);
  }
  const rules = read(root, 'etc/udev/rules.d/60-shouli.rules');
  for (const { vendorId } of [...serialFingerprints, ...hidFingerprints])
    t.match(rules, `ATTRS{idVendor}=="${vendorId}"`, vendorId);
  for (const line of rules.split('\n').filter((each) => each.startsWith('KERNEL=="hidraw*"')))
    t.match(line, /idVendor/, 'no rule hands out every keyboard');
  const unit = read(root, 'etc/systemd/system/shouli.service');
  t.match(unit, /\nUser=till\n/);
  t.match(unit, new RegExp(`ExecStart="${process.execPath}" ".*/scripts/start.js" "--real" "--data" "/srv/till"\n`));
  t.match(read(root, 'etc/modprobe.d/shouli-nfc.conf'), /blacklist pn533_usb\nblacklist pn533\nblacklist nfc\n/);
  const before = filesIn(root).map((file) => statSync(path.join(root, file)).mtimeMs);
  const second = run(root, '--user', 'till', '--data', '/srv/till');
  t.equal(second.stdout.match(/as it was/g)?.length, written.length);
  t.same(
    filesIn(root).map((file) => statSync(path.join(root, file)).mtimeMs),
    before,
    'nothing was written twice',
  );
  run(root);
  t.match(read(root, 'etc/systemd/system/shouli.service'), /\nUser=shouli\n/, 'its own files are written anew');
});

t.test('HID devices that the configuration names get their rules, and nothing else by them', async (t) => {
  const root = scratch();
  mkdirSync(path.join(root, 'srv/till'), { recursive: true });
  const config = path.join(root, 'srv/till/shouli.toml');
  const serial = 'A1", RUN+="/bin/sh*é';
  writeFileSync(
    config,
    [
      `[hidScanners]\ndevices = ["05F9:2206"]\nkeyboards = ["0c2e:0B61:S1.2-3"]`,
      `[stripeReaders]\ndevices = ["0acd:0500"]\n[keypads]\ndevices = ["04d9:a02a"]`,
      `[pinPads]\ndevices = [${JSON.stringify(`0c2e:0f00:${serial}`)}]`,
    ].join('\n'),
  );
  const first = run(root, '--data', '/srv/till');
  if (hasTools) t.equal(first.status, 0, first.stdout + first.stderr);
  const rules = read(root, 'etc/udev/rules.d/60-shouli.rules').split('\n');
  const ids = (vendor: string, product: string) => `ATTRS{idVendor}=="${vendor}", ATTRS{idProduct}=="${product}"`;
  const raw = (match: string) => `KERNEL=="hidraw*", SUBSYSTEM=="hidraw", ${match}, GROUP="shouli", MODE="0660"`;
  const silent = (match: string) =>
    `ACTION=="add", SUBSYSTEM=="input", KERNEL=="input*", ${match}, ATTR{inhibited}="1"`;
  const scanner = `${ids('0c2e', '0b61')}, ATTRS{serial}=="S1.2-3"`;
  for (const rule of [
    raw(ids('05f9', '2206')),
    raw(ids('0acd', '0500')),
    // What could end the match, or would be a pattern, is any one byte.
    raw(`${ids('0c2e', '0f00')}, ATTRS{serial}=="A1???RUN????bin?sh???"`),
    ...[silent(scanner), raw(scanner), silent(ids('04d9', 'a02a')), raw(ids('04d9', 'a02a'))],
    raw('ATTRS{idVendor}=="0801"'),
  ])
    t.ok(rules.includes(rule), rule);
  t.equal(rules.filter((rule) => rule.includes('inhibited')).length, 2, 'only what types is silenced');
  t.ok(rules.every((rule) => !rule.includes('RUN+')));
  writeFileSync(config, '[pinPads]\ndevices = ["0c2e:0f00"]\n[sink]\n');
  const before = read(root, 'etc/udev/rules.d/60-shouli.rules');
  const second = run(root, '--data', '/srv/till');
  t.match([second.status, second.stderr], [1, /sink.*\n.*pinPads\.devices/], 'what the box would not start with');
  t.equal(read(root, 'etc/udev/rules.d/60-shouli.rules'), before, 'and nothing is written');
});

t.test(
  'account, folder and unit by the system’s own tools',
  { skip: !hasTools && 'needs root and systemd' },
  async (t) => {
    const root = scratch();
    t.equal(run(root).status, 0);
    t.match(read(root, 'etc/passwd'), /^shouli:x:[0-9]+:[0-9]+:Shouli acceptance terminal:\/var\/lib\/shouli:/m);
    t.match(read(root, 'etc/group'), /^dialout:x:[0-9]+:shouli$/m);
    t.equal(statSync(path.join(root, 'var/lib/shouli')).mode & 0o777, 0o700);
    t.ok(readdirSync(path.join(root, 'etc/systemd/system/multi-user.target.wants')).includes('shouli.service'));
    const unit = path.join(root, 'etc/systemd/system/shouli.service');
    // --root would hide the units that it names; what is wrong in the file itself is told with its line.
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
    t.notMatch(verified.stderr, /shouli\.service:[0-9]+:/, 'no line of the unit is wrong');
  },
);

t.test('a file of somebody else stays, and nothing else is begun', async (t) => {
  const root = scratch();
  mkdirSync(path.join(root, 'etc/modprobe.d'), { recursive: true });
  const mine = path.join(root, 'etc/modprobe.d/shouli-nfc.conf');
  writeFileSync(mine, 'blacklist mine\n');
  const { status, stderr } = run(root);
  t.equal(status, 1);
  t.match(stderr, `${mine} is not from this script`);
  t.same(filesIn(root), ['etc/modprobe.d/shouli-nfc.conf']);
  t.equal(readFileSync(mine, 'utf8'), 'blacklist mine\n');
});

t.test('wrong words are refused before anything is done', async (t) => {
  const root = scratch();
  for (const words of [['--user', 'Root;x'], ['--data', 'relative'], ['--data', '/a "b'], ['--nonsense']])
    t.equal(run(root, ...words).status, 2, words.join(' '));
  t.same(readdirSync(root), []);
  const helped = spawnSync(process.execPath, [script, '--help'], { encoding: 'utf8' });
  t.match([helped.status, helped.stdout], [0, /--dry-run/]);
});
