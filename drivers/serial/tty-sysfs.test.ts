/**
 * Shows what a USB serial line says of itself and by what it is known again: serial number, interface or socket, never the
 * name of the device file. How: a folder laid out as the kernel lays out /sys, and udev /dev/serial.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { identityOfLine, lookAtLines } from './tty-sysfs.js';

interface Feigned {
  readonly name: string;
  readonly usb: string;
  readonly interface: string;
  readonly serial?: string;
  /** usb-serial converters have a folder of their own below the interface, CDC ACM has none. */
  readonly isConverter?: boolean;
}

const root = mkdtempSync(path.join(tmpdir(), 'shouli-tty-'));
t.teardown(() => rmSync(root, { recursive: true }));
const sysfs = path.join(root, 'class');
const lasting = path.join(root, 'serial');
mkdirSync(sysfs);

function plug({ name, usb, interface: number, serial, isConverter }: Feigned): void {
  const device = path.join(root, 'devices', usb);
  const port = path.join(device, `${usb}:${number}`, isConverter ? name : '');
  mkdirSync(port, { recursive: true });
  writeFileSync(path.join(device, 'idVendor'), '0C2E\n');
  writeFileSync(path.join(device, 'idProduct'), '0caa\n');
  writeFileSync(path.join(device, 'manufacturer'), 'Honeywell\n');
  writeFileSync(path.join(device, 'product'), 'Xenon\u001b[2J\n');
  if (serial !== undefined) writeFileSync(path.join(device, 'serial'), `${serial}\n`);
  mkdirSync(path.join(sysfs, name));
  symlinkSync(path.join(sysfs, '..', path.relative(root, port)), path.join(sysfs, name, 'device'));
}

t.test('a box without sysfs or without USB lines has none', async (t) => {
  t.same(lookAtLines('/nonexistent', '/nonexistent'), []);
  mkdirSync(path.join(sysfs, 'ttyS0'));
  t.same(lookAtLines(sysfs, lasting), []);
});

t.test('CDC and converter lines say who they are; what is no USB line is left out', async (t) => {
  plug({ name: 'ttyACM0', usb: '1-2', interface: '1.0', serial: 'S1' });
  plug({ name: 'ttyUSB0', usb: '1-3.1', interface: '1.0', isConverter: true });
  plug({ name: 'ttyUSB1', usb: '1-4', interface: '1.1', serial: 'S2', isConverter: true });
  mkdirSync(path.join(sysfs, 'ttyUSB2'));
  const lines = lookAtLines(sysfs, lasting);
  t.same(lines.map(identityOfLine), ['0c2e:0caa:S1', '0c2e:0caa@1-3.1:1.0', '0c2e:0caa:S2#1']);
  t.match(lines[0], { path: '/dev/ttyACM0', lastingPath: null, vendorId: '0c2e', socket: '1-2:1.0' });
  t.equal(lines[0]?.name, 'Honeywell Xenon␛[2J', 'printable');
});

t.test('the lasting name is the one by id, else the one by path', async (t) => {
  for (const kind of ['by-id', 'by-path']) mkdirSync(path.join(lasting, kind), { recursive: true });
  for (const name of ['ttyACM0', 'ttyUSB0']) writeFileSync(path.join(root, name), '');
  symlinkSync('../../ttyACM0', path.join(lasting, 'by-path', 'socket-2'));
  symlinkSync('../../ttyACM0', path.join(lasting, 'by-id', 'usb-Honeywell_S1'));
  symlinkSync('../../ttyUSB0', path.join(lasting, 'by-path', 'socket-3'));
  symlinkSync('../../ttyACM9', path.join(lasting, 'by-id', 'gone'));
  t.same(
    lookAtLines(sysfs, lasting).map(({ lastingPath }) => lastingPath && path.relative(lasting, lastingPath)),
    ['by-id/usb-Honeywell_S1', 'by-path/socket-3', null],
  );
});
