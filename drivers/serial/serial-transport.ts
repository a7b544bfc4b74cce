/**
 * Serial transport: one line through the serialport library, as bytes. Loaded only when a line is to be opened.
 */
import { existsSync } from 'node:fs';
import type { SerialPort } from 'serialport';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { type ByteTransport, cannotLoad, type DeviceError, type DeviceErrorCode } from '../contract/transport.js';

function codeOf(message: string): DeviceErrorCode {
  if (/No such file|cannot open|ENOENT|not found/i.test(message)) return 'device.absent';
  if (/Permission denied|EACCES|EPERM/i.test(message)) return 'device.denied';
  if (/lock|busy|EBUSY|EAGAIN|temporarily/i.test(message)) return 'device.busy';
  return 'device.failed';
}
const deviceError = (message: string): DeviceError => ({ code: codeOf(message), detail: printable(message) });

/**
 * Waiting until a line has sent its bytes holds a thread of libuv's pool, and neither a time limit nor closing the line gives it
 * back: a device that takes no bytes would take them all. So each line has one such wait at most, over all its lives. By path.
 */
const sending = new Map<string, Promise<Result<void, DeviceError>>>();

/** Resolves when all that was written before the call is sent. */
async function sent(path: string, { port }: Pick<SerialPort, 'port'>): Promise<Result<void, DeviceError>> {
  // One that is under way began before these bytes were written.
  await sending.get(path);
  const joined = sending.get(path);
  if (joined) return joined;
  if (!port) return err({ code: 'device.closed', detail: 'the line was closed' });
  // The binding's own call: the stream's never ends where the line is closed meanwhile, though no thread waits any more.
  const wait = port
    .drain()
    .then(
      () => ok(undefined),
      (error: Error) => err(deviceError(error.message)),
    )
    .finally(() => sending.delete(path));
  sending.set(path, wait);
  return wait;
}

/** Gives the library; a test gives one that cannot be loaded. */
export type LoadSerial = () => Promise<Pick<typeof import('serialport'), 'SerialPort'>>;

/**
 * Opens a line with 8 data bits, no parity, 1 stop bit, locked against other programs. Fails with device.absent, device.busy
 * (also while the line has not sent what it was given before), device.denied, device.failed, or device.driverMissing where the library cannot be loaded.
 */
export async function openSerialTransport(
  path: string,
  baud: number,
  load: LoadSerial = () => import('serialport'),
): Promise<Result<ByteTransport, DeviceError>> {
  if (!existsSync(path)) return err({ code: 'device.absent', detail: printable(path) });
  if (sending.has(path))
    return err({ code: 'device.busy', detail: 'the device does not take what was sent to it before' });
  const library = await load().catch((error: unknown) => cannotLoad('serialport', error));
  if ('code' in library) return err(library);
  const port = new library.SerialPort({ path, baudRate: baud, lock: true, autoOpen: false });
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
          else resolve(sent(path, port));
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
