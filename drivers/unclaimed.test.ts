/**
 * Shows that what is plugged in and no driver has is listed with what it says of itself and with the whole lines that claim
 * it, and that a claimed device is never listed. How: feigned looks; the lines are read back by the configuration's own reader.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { loadConfig } from '../config/load.js';
import { schema } from '../config/schema.js';
import type { HidDevice } from './hid/hidraw-sysfs.js';
import { lookAtUsbReaders, type UsbReader } from './pcsc/usb-readers.js';
import { keyboardDescriptor, scannerDescriptor } from './protocols/hid-pos/hid-pos-fixtures.js';
import { magTekDescriptor } from './protocols/magnetic-stripe/stripe-fixtures.js';
import { padDescriptor } from './protocols/pin-pad/pad-fixtures.js';
import type { UsbLine } from './serial/tty-sysfs.js';
import { type UnclaimedSettings, unclaimedDevices } from './unclaimed.js';

const byId = '/dev/serial/by-id/usb-Silicon_Labs_CP2102_0001-if00-port0';
const adapter: UsbLine = {
  ...{ path: '/dev/ttyUSB0', lastingPath: byId, vendorId: '10c4', productId: 'ea60', serial: '0001' },
  ...{ name: 'Silicon Labs CP2102', socket: '1-3:1.0' },
};
const scanner: UsbLine = {
  ...{ path: '/dev/ttyACM0', lastingPath: '/dev/serial/by-id/scanner', vendorId: '0c2e', productId: '0caa' },
  ...{ serial: 'S1', name: 'Honeywell Xenon', socket: '1-2:1.0' },
};
const hid = (change: Partial<HidDevice>): HidDevice => ({
  ...{ path: '/dev/hidraw0', instance: '1', vendorId: '0c2e', productId: '0b87', serial: 'H1', name: 'Scanner' },
  ...{ socket: 'usb-1', descriptor: scannerDescriptor, ...change },
});
const acr: UsbReader = {
  ...{ vendorId: '072f', productId: '2200', serial: '', name: 'ACS ACR122U PICC Interface', socket: '1-1:1.0' },
  kernelDriver: null,
};

function look(
  there: { lines?: readonly UsbLine[]; hid?: readonly HidDevice[]; readers?: readonly UsbReader[] },
  claimed: readonly string[] = [],
  settings: Partial<UnclaimedSettings> = {},
) {
  return unclaimedDevices(
    {
      scannerPaths: [],
      ignoredScannerPaths: [],
      pinPads: [],
      hidScanners: { enabled: true, devices: [], ignoredDevices: [], keyboards: [] },
      stripeReaders: { enabled: true, devices: [] },
      otherPaths: [],
      ...settings,
    },
    {
      lines: () => there.lines ?? [],
      hidDevices: () => there.hid ?? [],
      usbReaders: () => there.readers ?? [],
      resolve: (name) => (name === byId ? '/dev/ttyUSB0' : name),
    },
    claimed,
  );
}

t.test('an unknown serial line: the lines that claim it keep the scanner that is served already', async (t) => {
  const [found, ...more] = look({ lines: [scanner, adapter] }, ['0c2e:0caa:S1']);
  t.equal(more.length, 0, 'the scanner is claimed');
  t.match(found, { bus: 'serial', vendorId: '10c4', productId: 'ea60', serial: '0001', place: byId });
  const read = loadConfig((found?.configuration ?? []).join('\n'));
  t.same(read.ok && read.value.scanners.paths, ['/dev/serial/by-id/scanner', byId], 'read by the configuration itself');
  const others = Object.entries(schema).filter(
    ([section, { rows }]) => section !== 'scanners' && rows.some(({ key }) => key === 'paths'),
  );
  t.equal(
    found?.configuration.at(-1),
    `# ${others.map(([section]) => `[${section}]`).join(' ')}`,
    'and every other section that takes a line is named',
  );
  t.same(look({ lines: [adapter] }, [byId]), [], 'claimed by its path');
  t.same(look({ lines: [adapter] }, [], { otherPaths: [byId] }), [], 'the console has it');
  const [bare] = look({ lines: [{ ...adapter, lastingPath: null }] }, [], { scannerPaths: ['/dev/serial0'] });
  t.match(bare?.configuration.join(' '), '"/dev/serial0",   "/dev/ttyUSB0"', 'without udev the file of the moment');
});

t.test('the lines that claim a line are accepted beside what has the other lines', async (t) => {
  const printer: UsbLine = {
    ...adapter,
    serial: '0002',
    path: '/dev/ttyUSB1',
    lastingPath: '/dev/serial/by-id/printer',
  };
  const paths = ['/dev/ttyUSB1'];
  const [found] = look({ lines: [printer, adapter] }, paths, { otherPaths: paths });
  const read = loadConfig(
    ['[printers]', 'paths = ["/dev/serial/by-id/printer"]', ...(found?.configuration ?? [])].join('\n'),
  );
  t.same(read.ok && read.value.scanners.paths, [byId], 'a printer’s line is not made a scanner’s');
  const [left] = look({ lines: [scanner] }, [], { ignoredScannerPaths: ['/dev/ttyACM0', '/dev/ttyS0'] });
  t.equal(left?.why, 'ignored by the configuration');
  const again = loadConfig((left?.configuration ?? []).join('\n'));
  t.same(again.ok && [again.value.scanners.paths, again.value.scanners.ignoredPaths], [
    ['/dev/serial/by-id/scanner'],
    ['/dev/ttyS0'],
  ]);
});

t.test('a stripe reader that is not configured, and devices of a kind that is switched off', async (t) => {
  const swiped = hid({ descriptor: magTekDescriptor, vendorId: '0801', productId: '0011', serial: '', name: 'MagTek' });
  const [other] = look({ hid: [swiped] }, [], { stripeReaders: { enabled: false, devices: ['0801:0002'] } });
  t.equal(other?.why, 'not among the configured stripe readers');
  const read = loadConfig((other?.configuration ?? []).join('\n'));
  t.same(read.ok && [read.value.stripeReaders.enabled, read.value.stripeReaders.devices], [
    true,
    ['0801:0002', '0801:0011'],
  ]);
  const hidScanners = { enabled: false, devices: [], ignoredDevices: [], keyboards: [] };
  const [scan] = look({ hid: [hid({})] }, [], { hidScanners });
  t.match(scan?.configuration, ['[hidScanners]', 'enabled = true']);
});

t.test('HID devices: a scanner left out, a keyboard, something else', async (t) => {
  const hidScanners = {
    ...{ enabled: true, devices: ['05e0:1900'], keyboards: [] },
    ignoredDevices: ['0c2e:0b87', '1eab:0001'],
  };
  const [left] = look({ hid: [hid({})] }, [], { hidScanners });
  t.match(left, { bus: 'hid', usage: '8c:02', why: 'ignored by the configuration', place: '/dev/hidraw0' });
  const read = loadConfig((left?.configuration ?? []).join('\n'));
  t.same(read.ok && [read.value.hidScanners.devices, read.value.hidScanners.ignoredDevices], [
    ['05e0:1900', '0c2e:0b87:H1'],
    ['1eab:0001'],
  ]);
  t.same(look({ hid: [hid({})] }, ['0c2e:0b87:H1']), []);
  const [keyboard] = look({ hid: [hid({ descriptor: keyboardDescriptor })] });
  t.match(keyboard, { usage: '01:06', why: /Honeywell.* HID POS or serial mode/ });
  const named = loadConfig((keyboard?.configuration ?? []).join('\n'));
  t.same(named.ok && named.value.hidScanners.keyboards, ['0c2e:0b87:H1']);
  const [plain] = look({ hid: [hid({ descriptor: keyboardDescriptor, vendorId: '046d', name: 'K\u001b[2J' })] });
  t.match(plain, { why: /never opened.* falls silent/, name: 'K␛[2J' });
  const [other] = look({ hid: [hid({ descriptor: new Uint8Array([0x05]) })] });
  t.match(other, { usage: null, configuration: [], why: /no driver here/ });
});

t.test(
  'PIN pads: a claimed one is not listed, and what may be one is, with the lines that keep the others',
  async (t) => {
    const pad = hid({ descriptor: padDescriptor, productId: '0f00', serial: 'P1', name: 'Pad' });
    t.same(look({ hid: [pad] }, ['0c2e:0f00:P1'], { pinPads: ['0c2e:0f00:P1'] }), []);
    const [found] = look({ hid: [pad] }, [], { pinPads: ['0c2e:0f00:P0'] });
    t.match(found, { usage: 'ff00:01', why: /may be anything.*only if it is a PIN pad/ });
    const read = loadConfig((found?.configuration ?? []).join('\n'));
    t.same(read.ok && read.value.pinPads.devices, ['0c2e:0f00:P0', '0c2e:0f00:P1']);
    t.match(look({ hid: [{ ...pad, serial: '' }] }), [{ configuration: [] }], 'none without a serial number');
  },
);

t.test('a reader that pcscd does not show, and why', async (t) => {
  t.match(look({ readers: [acr] }), [{ bus: 'pcsc', place: '1-1:1.0', why: /is pcscd running/ }]);
  t.same(look({ readers: [acr] }, ['ACS ACR122U PICC Interface 00']), []);
  t.match(look({ readers: [{ ...acr, kernelDriver: 'pn533_usb' }] }, ['ACS ACR122U PICC Interface 00']), [
    { why: /kernel's pn533_usb has it/ },
  ]);
});

t.test('readers on a feigned USB bus: by class or maker, with the kernel driver that holds them', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'shouli-usb-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  const put = (folder: string, files: Readonly<Record<string, string>>) => {
    mkdirSync(path.join(root, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(root, folder, name), `${text}\n`);
  };
  put('1-1', { idVendor: '072F', idProduct: '2200', manufacturer: 'ACS', product: 'ACR122U' });
  put('1-1:1.0', { bInterfaceClass: 'ff' });
  put('drivers/pn533_usb', {});
  symlinkSync('../drivers/pn533_usb', path.join(root, '1-1:1.0', 'driver'));
  put('1-2', { idVendor: '076b', idProduct: '5422', product: 'OMNIKEY 5422', serial: 'OK1' });
  put('1-2:1.1', { bInterfaceClass: '0b' });
  put('drivers/usbfs', {});
  symlinkSync('../drivers/usbfs', path.join(root, '1-2:1.1', 'driver'));
  put('1-3', { idVendor: '046d', idProduct: 'c31c' });
  put('1-3:1.0', { bInterfaceClass: '03' });
  t.match(lookAtUsbReaders(root), [
    { vendorId: '072f', name: 'ACS ACR122U', socket: '1-1:1.0', kernelDriver: 'pn533_usb' },
    { vendorId: '076b', serial: 'OK1', socket: '1-2:1.1', kernelDriver: null },
  ]);
  t.equal(lookAtUsbReaders(root).length, 2);
  t.same(lookAtUsbReaders('/nonexistent'), []);
});
