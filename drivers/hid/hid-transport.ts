/**
 * HID transport: one hidraw device through the node-hid library, as input reports. The library is loaded with the first
 * device that is opened. Writes only what it is given.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { cannotLoad, type DeviceError, type DeviceErrorCode } from '../contract/transport.js';

/** A device that sends reports, each whole, and its id first where the device has ids. */
export interface ReportTransport {
  /** At most one listener each, set before the caller gives control back. */
  onReport(listener: (report: Bytes) => void): void;
  onClosed(listener: (error: DeviceError) => void): void;
  /** Never rejects; safe to call twice. */
  close(): Promise<void>;
}
/** A device that takes reports too. Apart from the other, so that what reads scanners cannot write. */
export interface WritableReports extends ReportTransport {
  /** One output report, its id first, 0 where the device has none. Resolves when the kernel has it. */
  write(report: Bytes): Promise<Result<void, DeviceError>>;
}

function codeOf(message: string): DeviceErrorCode {
  if (/No such (file|device)|ENOENT|ENODEV|ENXIO/i.test(message)) return 'device.absent';
  if (/Permission denied|not permitted|EACCES|EPERM/i.test(message)) return 'device.denied';
  if (/busy|EBUSY/i.test(message)) return 'device.busy';
  return 'device.failed';
}
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Gives the library; a test gives one that cannot be loaded. */
export type LoadHid = () => Promise<Pick<typeof import('node-hid'), 'HIDAsync'>>;

/** Opens /dev/hidraw…; fails with device.absent, device.denied, device.busy, device.failed or device.driverMissing. */
export async function openHidTransport(
  path: string,
  load: LoadHid = () => import('node-hid'),
): Promise<Result<WritableReports, DeviceError>> {
  const library = await load().catch((error: unknown) => cannotLoad('node-hid', error));
  if ('code' in library) return err(library);
  try {
    const device = await library.HIDAsync.open(path);
    let closing: Promise<void> | null = null;
    return ok({
      onReport: (listener) => {
        device.on('data', (report: Buffer) => listener(new Uint8Array(report)));
      },
      onClosed: (listener) => {
        // The library gives a string here, not an Error, and reads no more after it.
        device.on('error', (error: unknown) => {
          if (!closing) listener({ code: 'device.closed', detail: printable(messageOf(error)) });
        });
      },
      close: () => {
        // Reading starts one tick after a listener is set, and would throw on a device closed meanwhile.
        device.removeAllListeners('data');
        closing ??= device.close().catch(() => {});
        return closing;
      },
      write: async (report) => {
        try {
          await device.write(Buffer.from(report));
          return ok(undefined);
        } catch (error) {
          const detail = messageOf(error);
          return err({
            code: codeOf(detail) === 'device.absent' ? 'device.closed' : codeOf(detail),
            detail: printable(detail),
          });
        }
      },
    });
  } catch (error) {
    const detail = messageOf(error);
    // The library loads its native part only now.
    if (/bindings?\b|\.node\b/i.test(detail)) return err(cannotLoad('node-hid', error));
    return err({ code: codeOf(detail), detail: printable(detail) });
  }
}
