/**
 * PIN pads on HID as lines of bytes: which devices they are, by exact vendor, product and serial number, and a line that is moved in
 * reports. Must not know what passes, and opens nothing but a named device with vendor-defined reports both ways.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import {
  decodePadReport,
  encodePadReports,
  type PadReportLayout,
  padReportLayout,
} from '../protocols/pin-pad/pad-report.js';
import { describeDevice, identityOf, isMeant } from './device-rules.js';
import type { WritableReports } from './hid-transport.js';
import type { HidDevice } from './hidraw-sysfs.js';

export interface PadLinePorts {
  /** HID devices that are there now; must not open any. */
  readonly look: () => readonly HidDevice[];
  readonly open: (path: string) => Promise<Result<WritableReports, DeviceError>>;
}

/** A pad that the configuration names; `path` is empty while it is not there. */
interface PadLine {
  readonly identity: string;
  readonly path: string;
  readonly description: string;
}

const unknownReports: DeviceError = {
  code: 'device.unsupported',
  detail: 'it has no vendor-defined reports both ways: docs/protocols/pin-pad.md',
};

/** Taken in place of a report that is none: whatever frame it stood in is broken, and noise between two. */
const noise = Uint8Array.of(0);

export class PadLines {
  readonly #named: readonly string[];

  /** @param devices each `vendor:product:serial`, ids in hex of either case */
  constructor(
    devices: readonly string[],
    private readonly ports: PadLinePorts,
  ) {
    this.#named = [...new Set(devices.map((device) => device.slice(0, 9).toLowerCase() + device.slice(9)))];
  }

  /** The named pads, each where it is now. A box that names none does not even look. */
  wanted(): readonly PadLine[] {
    if (this.#named.length === 0) return [];
    const devices = this.ports.look();
    return this.#named.map((pattern) => {
      const found = this.#find(devices, pattern);
      if (!found) return { identity: printable(pattern), path: '', description: printable(pattern) };
      return { identity: printable(pattern), path: found.path, description: describeDevice(found) };
    });
  }

  /** Opens a pad of `wanted` by its path. Fails with device.unsupported besides the errors of `PadLinePorts.open`. */
  async open(path: string): Promise<Result<ByteTransport, DeviceError>> {
    const device = this.#at(path);
    if (!device) return err({ code: 'device.absent', detail: 'unplugged' });
    const layout = padReportLayout(device.descriptor);
    if (!layout) return err(unknownReports);
    const opened = await this.ports.open(path);
    if (!opened.ok) return opened;
    // Its file may belong to another device by now: what was looked at must still be the one there.
    if (this.#at(path)?.instance !== device.instance) {
      await opened.value.close();
      return err({ code: 'device.absent', detail: 'unplugged' });
    }
    return ok(lineOf(opened.value, layout));
  }

  /** The named device that has this file. */
  #at(path: string): HidDevice | null {
    const devices = this.ports.look();
    return this.#named.map((pattern) => this.#find(devices, pattern)).find((found) => found?.path === path) ?? null;
  }

  /** Of a device with several interfaces the one that is a pad's. */
  #find(devices: readonly HidDevice[], pattern: string): HidDevice | null {
    const meant = devices.filter((device) => device.serial !== '' && isMeant(pattern, device));
    return meant.find(({ descriptor }) => padReportLayout(descriptor)) ?? meant[0] ?? null;
  }
}

function lineOf(reports: WritableReports, layout: PadReportLayout): ByteTransport {
  return {
    write: async (bytes) => {
      for (const report of encodePadReports(layout, bytes)) {
        const written = await reports.write(report);
        if (!written.ok) return written;
      }
      return ok(undefined);
    },
    onData: (listener) => reports.onReport((report) => listener(decodePadReport(layout, report) ?? noise.slice())),
    onClosed: (listener) => reports.onClosed(listener),
    close: () => reports.close(),
  };
}

/** The lines of configuration that would claim a device as a pad; null: it cannot be one. */
export function padClaim(device: HidDevice): string | null {
  return device.serial !== '' && padReportLayout(device.descriptor) ? printable(identityOf(device)) : null;
}
