/**
 * What a scenario has at hand: the host, a driver with its events, and waiting that ends.
 */

import type { DeviceEvent, DeviceStatus, Driver, Schedule } from '../../../drivers/contract/driver.js';
import type { ApduLink } from '../../../drivers/contract/transport.js';
import type { ErrorCode } from '../../../terminal/kernel/errors.js';
import { nativeClock } from '../../../terminal/kernel/native.js';
import type { HostLine } from './host-line.js';

export interface Scenario {
  readonly name: string;
  run(rig: Rig): Promise<void>;
}

/** The emulated machine is some twenty times slower than the one it runs on. */
const waitMaxMs = 40_000;

export const shell = {
  clock: nativeClock,
  schedule: ((delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  }) satisfies Schedule,
};

export async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + waitMaxMs;
  for (;;) {
    const seen = look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${waitMaxMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function check(held: boolean, what: string): asserts held {
  if (!held) throw new Error(what);
}

/** A started driver and everything it reported. */
export class DriverWatch {
  readonly events: DeviceEvent[] = [];
  constructor(readonly driver: Driver) {}

  start(): Promise<void> {
    return this.driver.start((event) => this.events.push(event));
  }
  codes(): readonly string[] {
    return this.events.flatMap((event) => (event.type === 'codeScanned' ? [event.code] : []));
  }
  links(): readonly ApduLink[] {
    return this.events.flatMap((event) => (event.type === 'cardPresented' ? [event.link] : []));
  }
  row(device: string): DeviceStatus | undefined {
    return this.driver.statuses().find((status) => status.device === device);
  }
  /** Every reason that a row gave, in order, without repetitions. */
  #troubles(): readonly string[] {
    const reasons = this.events.flatMap((event) =>
      event.type === 'deviceStateChanged' && event.status.error
        ? [`${event.status.device} ${event.status.error.detail}`]
        : [],
    );
    return [...new Set(reasons)];
  }
  /** Waits until the row has the state; what it is instead goes into the failure. */
  async state(device: string, state: DeviceStatus['state']): Promise<void> {
    await this.#row(device, state, (row) => row.state === state);
  }
  /** Waits until the row names this error. */
  async refused(device: string, code: ErrorCode): Promise<void> {
    await this.#row(device, code, (row) => row.error?.code === code);
  }
  async #row(device: string, what: string, isSo: (row: DeviceStatus) => boolean): Promise<void> {
    const look = (): boolean => {
      const row = this.row(device);
      return row !== undefined && isSo(row);
    };
    await until(`${device} ${what}`, look).catch((error: Error) => {
      const rows = this.driver.statuses().map((row) => `${row.device} ${row.state} ${row.error?.detail ?? ''}`.trim());
      throw new Error(`${error.message}; rows: ${rows.join('; ')}; told: ${this.#troubles().join('; ')}`);
    });
  }
}

export class Rig {
  constructor(readonly host: HostLine) {}
  note(text: string): void {
    this.host.tell({ note: text });
  }
  /** @returns how long `run` took, in whole milliseconds */
  async measured(run: () => Promise<void>): Promise<number> {
    const at = performance.now();
    await run();
    return Math.round(performance.now() - at);
  }
}
