/**
 * A HID bus for tests: devices that are lists of reports, plugged in and out, behind the driver's own ports.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { DeviceError } from '../contract/transport.js';
import type { WritableReports } from './hid-transport.js';
import type { HidDevice } from './hidraw-sysfs.js';

interface FakeOpen {
  report: (report: Bytes) => void;
  fail: (error: DeviceError) => void;
  closed: boolean;
}

/** A bus on which devices are plugged in and out. */
export class FakeBus {
  #instances = 0;
  readonly #plugged = new Map<string, HidDevice>();
  /** Every opening, in order, by device file. */
  readonly opens: string[] = [];
  readonly open = new Map<string, FakeOpen>();
  refusal: DeviceError | null = null;
  /** What becomes of a report that is written. */
  taken: (report: Bytes) => Result<void, DeviceError> = () => ok(undefined);
  /** Runs while a device is being opened. */
  duringOpen: () => void = () => {};

  readonly look = (): readonly HidDevice[] => [...this.#plugged.values()];

  plug(name: string, descriptor: Bytes, more: Partial<HidDevice> = {}): void {
    this.#instances += 1;
    this.#plugged.set(name, {
      path: `/dev/${name}`,
      instance: `0003:0C2E:0B87.${this.#instances}`,
      vendorId: '0c2e',
      productId: '0b87',
      serial: 'S1',
      name: 'Scanner',
      socket: `usb-1/${name}`,
      descriptor,
      ...more,
    });
  }
  pull(name: string): void {
    this.#plugged.delete(name);
  }
  scan(name: string, ...reports: readonly Bytes[]): void {
    for (const report of reports) this.open.get(`/dev/${name}`)?.report(report);
  }

  readonly openDevice = async (path: string): Promise<Result<WritableReports, DeviceError>> => {
    this.opens.push(path);
    this.duringOpen();
    if (this.refusal) return err(this.refusal);
    const opened: FakeOpen = { report: () => {}, fail: () => {}, closed: false };
    this.open.set(path, opened);
    return ok({
      onReport: (listener) => {
        opened.report = listener;
      },
      onClosed: (listener) => {
        opened.fail = listener;
      },
      close: async () => {
        opened.closed = true;
      },
      write: async (report) => this.taken(report),
    });
  };
}
