/**
 * Serial transport: one line through the serialport library, as bytes. Loaded only when a line is to be opened.
 */
import { existsSync, readdirSync } from 'node:fs';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { ByteTransport, DeviceError, DeviceErrorCode } from '../contract/transport.js';
import { serialFingerprint } from '../fingerprints.js';

/** Where Debian keeps udevadm; without it the library's list() ends the process. */
const udevadmPaths = ['/usr/bin/udevadm', '/bin/udevadm', '/sbin/udevadm', '/usr/sbin/udevadm'];

function codeOf(message: string): DeviceErrorCode {
  if (/No such file|cannot open|ENOENT|not found/i.test(message)) return 'device.absent';
  if (/Permission denied|EACCES|EPERM/i.test(message)) return 'device.denied';
  if (/lock|busy|EBUSY|EAGAIN|temporarily/i.test(message)) return 'device.busy';
  return 'device.failed';
}
const deviceError = (message: string): DeviceError => ({ code: codeOf(message), detail: printable(message) });

/** Opens a line with 8 data bits, no parity, 1 stop bit, locked against other programs. */
export async function openSerialTransport(path: string, baud: number): Promise<Result<ByteTransport, DeviceError>> {
  if (!existsSync(path)) return err({ code: 'device.absent', detail: printable(path) });
  const { SerialPort } = await import('serialport');
  const port = new SerialPort({ path, baudRate: baud, lock: true, autoOpen: false });
  const failed = await new Promise<Error | null>((resolve) => port.open(resolve));
  if (failed) return err(deviceError(failed.message));
  let closing = false;
  // Without a listener a late error of the library would end the process; its close event tells the same.
  port.on('error', () => {});
  return ok({
    write: (bytes) =>
      new Promise((resolve) => {
        port.write(Buffer.from(bytes), (error) => {
          if (error) resolve(err(deviceError(error.message)));
          else port.drain((drained) => resolve(drained ? err(deviceError(drained.message)) : ok(undefined)));
        });
      }),
    onData: (listener) => {
      port.on('data', (chunk: Buffer) => listener(new Uint8Array(chunk)));
    },
    onClosed: (listener) => {
      port.on('close', (error: Error | null) => {
        if (!closing) listener({ code: 'device.closed', detail: printable(error?.message ?? 'the line went away') });
      });
    },
    close: () =>
      new Promise((resolve) => {
        closing = true;
        if (port.isOpen) port.close(() => resolve());
        else resolve();
      }),
  });
}

/** Lines whose scanner is known by its USB ids, under the lasting name where there is one. Empty where udev is missing. */
export async function discoverScanners(): Promise<readonly string[]> {
  if (!udevadmPaths.some((path) => existsSync(path))) return [];
  // Known scanners are USB lines. Where there is none, the library is not loaded to find that out.
  if (!readdirSync('/dev').some((name) => /^tty(USB|ACM)\d/.test(name))) return [];
  const { SerialPort } = await import('serialport');
  const listed = await SerialPort.list();
  return listed.flatMap((port) => {
    if (!serialFingerprint(port.vendorId, port.productId)) return [];
    const lasting = port.pnpId ? `/dev/serial/by-id/${port.pnpId}` : '';
    return [lasting !== '' && existsSync(lasting) ? lasting : port.path];
  });
}
