/**
 * The system's files for a box that runs as a service: text only, made from what the drivers know. Pure; hardware.md says
 * what each is for. Must not write anything.
 */
import { hidFingerprints, magTekVendorId, serialFingerprints } from '../../drivers/fingerprints.js';

export interface ProvisionWish {
  /** The service account. */
  readonly user: string;
  /** Where the box keeps its data; absolute. */
  readonly dataFolder: string;
  /** Node and the program, as the unit starts them; absolute. */
  readonly nodePath: string;
  readonly programPath: string;
  /** HID devices that the configuration names, each `vendor:product[:serial]`. */
  readonly named: NamedDevices;
}

export interface NamedDevices {
  /** Opened as they are: scanners, stripe readers, PIN pads. */
  readonly plain: readonly string[];
  /** Taken from the rest of the system: scanners in keyboard mode, keypads. */
  readonly typing: readonly string[];
}

export interface SystemFile {
  /** From the root. */
  readonly path: string;
  readonly title: string;
  readonly text: string;
}

/** The first line of every file; by it a later run knows its own. */
export const ownMark = 'Written by scripts/provision; a later run writes it anew.';

const blacklisted = ['pn533_usb', 'pn533', 'nfc'];

/** A device's own serial number as a match of udev: what is no plain sign stands for any one byte, and means nothing to udev. */
const udevMatch = (serial: string): string =>
  [...new TextEncoder().encode(serial)]
    .map((byte) => String.fromCharCode(byte))
    .map((sign) => (/[A-Za-z0-9._-]/.test(sign) ? sign : '?'))
    .join('');

/** The rules of one named device; empty for what is no `vendor:product[:serial]`. */
function namedRules(device: string, access: string, types: boolean): readonly string[] {
  const [, vendorId, productId, serial = ''] = /^([0-9a-f]{4}):([0-9a-f]{4})(?::(.+))?$/is.exec(device) ?? [];
  if (!vendorId || !productId) return [];
  const ids = [
    `ATTRS{idVendor}=="${vendorId.toLowerCase()}", ATTRS{idProduct}=="${productId.toLowerCase()}"`,
    ...(serial === '' ? [] : [`ATTRS{serial}=="${udevMatch(serial)}"`]),
  ].join(', ');
  const silent = `ACTION=="add", SUBSYSTEM=="input", KERNEL=="input*", ${ids}, ATTR{inhibited}="1"`;
  return [...(types ? [silent] : []), `KERNEL=="hidraw*", SUBSYSTEM=="hidraw", ${ids}, ${access}`];
}

function udevRules(user: string, { plain, typing }: NamedDevices): string {
  const access = `GROUP="${user}", MODE="0660"`;
  const ids = (vendorId: string, productId: string | null): string =>
    `ATTRS{idVendor}=="${vendorId}"${productId === null ? '' : `, ATTRS{idProduct}=="${productId}"`}`;
  return [
    `# ${ownMark}`,
    '# Scanners on USB serial lines; the last word keeps ModemManager away from them.',
    ...serialFingerprints.map(
      ({ vendorId, productId, device }) =>
        `# ${device}\nSUBSYSTEM=="tty", ${ids(vendorId, productId)}, ${access}, ENV{ID_MM_DEVICE_IGNORE}="1"`,
    ),
    '# Scanners in HID POS mode: makers of scanners only, since a rule for all would hand out every keyboard.',
    ...hidFingerprints.map(
      ({ vendorId, maker }) => `# ${maker}\nKERNEL=="hidraw*", SUBSYSTEM=="hidraw", ${ids(vendorId, null)}, ${access}`,
    ),
    '# Magnetic stripe readers of MagTek.',
    `KERNEL=="hidraw*", SUBSYSTEM=="hidraw", ${ids(magTekVendorId, null)}, ${access}`,
    '# HID devices that shouli.toml names; those that type are silent for everything but the box.',
    ...[...new Set(plain)].flatMap((device) => namedRules(device, access, false)),
    ...[...new Set(typing)].flatMap((device) => namedRules(device, access, true)),
    '# ACS readers stay awake: one that sleeps is slow, or lost.',
    'ACTION=="add", SUBSYSTEM=="usb", ATTR{idVendor}=="072f", TEST=="power/control", ATTR{power/control}="on"',
    '',
  ].join('\n');
}

const modprobe = [
  `# ${ownMark}`,
  '# The kernel has a driver of its own for the PN533 in an ACR122U, and would take the reader before pcscd.',
  ...blacklisted.map((module) => `blacklist ${module}`),
  ...blacklisted.slice(0, 2).map((module) => `install ${module} /bin/false`),
  '',
].join('\n');

const polkit = (user: string): string =>
  [
    `// ${ownMark}`,
    '// A service has no login session; where pcscd asks polkit, it would be refused.',
    'polkit.addRule(function (action, subject) {',
    "  var isReader = action.id == 'org.debian.pcsc-lite.access_pcsc' || action.id == 'org.debian.pcsc-lite.access_card';",
    `  if (isReader && subject.user == '${user}') return polkit.Result.YES;`,
    '});',
    '',
  ].join('\n');

const sysusers = ({ user, dataFolder }: ProvisionWish): string =>
  [
    `# ${ownMark}`,
    `u ${user} - "Shouli acceptance terminal" ${dataFolder}`,
    '# Serial lines that no rule names.',
    `m ${user} dialout`,
    '',
  ].join('\n');

const tmpfiles = ({ user, dataFolder }: ProvisionWish): string =>
  [`# ${ownMark}`, `d ${dataFolder} 0700 ${user} ${user} -`, ''].join('\n');

/** A path as a word of ExecStart: quoted, with systemd's own signs taken literally. */
const unitWord = (path: string): string => `"${path.replaceAll('%', '%%').replaceAll('$', '$$$$')}"`;

const unit = ({ user, dataFolder, nodePath, programPath }: ProvisionWish): string =>
  [
    `# ${ownMark}`,
    '[Unit]',
    'Description=Shouli acceptance terminal and its host',
    'Wants=pcscd.socket',
    'After=pcscd.socket network.target time-sync.target',
    '',
    '[Service]',
    `User=${user}`,
    `Group=${user}`,
    'SupplementaryGroups=dialout',
    `ExecStart=${[nodePath, programPath, '--real', '--data', dataFolder].map(unitWord).join(' ')}`,
    'Restart=always',
    'RestartSec=2',
    'TimeoutStopSec=20',
    'UMask=0077',
    '# An HCI user channel, where Bluetooth is configured.',
    'AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN',
    'CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN',
    '# A memory image may hold a card number or a key.',
    'LimitCORE=0',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectHome=read-only',
    'PrivateTmp=yes',
    'ProtectKernelModules=yes',
    'ProtectControlGroups=yes',
    `ReadWritePaths=${dataFolder.replaceAll('%', '%%')}`,
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');

/** Every file, in the order in which it is written. */
export function systemFiles(wish: ProvisionWish): readonly SystemFile[] {
  return [
    { path: '/etc/sysusers.d/shouli.conf', title: 'service account and its groups', text: sysusers(wish) },
    { path: '/etc/tmpfiles.d/shouli.conf', title: 'data folder', text: tmpfiles(wish) },
    { path: '/etc/modprobe.d/shouli-nfc.conf', title: 'kernel modules kept away from the reader', text: modprobe },
    {
      path: '/etc/udev/rules.d/60-shouli.rules',
      title: 'access to scanners and other HID devices',
      text: udevRules(wish.user, wish.named),
    },
    { path: '/etc/polkit-1/rules.d/50-shouli-pcsc.rules', title: 'access to pcscd', text: polkit(wish.user) },
    { path: '/etc/systemd/system/shouli.service', title: 'service', text: unit(wish) },
  ];
}
