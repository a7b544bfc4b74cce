/**
 * A started driver whose codes are waited for, one at a time: what a scan is timed by. Must not read a clock.
 */
import type { DeviceEvent, Driver } from '../../drivers/contract/driver.js';
import { until } from '../rig/guest/scenario.js';

/** As long as a product's code. */
export const scanCode = '6901234567892';

export interface ScanReporter {
  readonly driver: Driver;
  /** Makes the device read a code. @returns when the driver reported it */
  code(scan: () => void): Promise<void>;
  /** Waits for so many more codes from now on. */
  codes(count: number): Promise<void>;
}

/** Starts the driver and waits until this device of it is ready. */
export async function startedReporter(driver: Driver, device: string): Promise<ScanReporter> {
  let left = 0;
  let came: () => void = () => {};
  await driver.start((event: DeviceEvent) => {
    if (event.type !== 'codeScanned') return;
    left -= 1;
    if (left === 0) came();
  });
  await until(`${device} ready`, () => driver.statuses().find((row) => row.device === device)?.state === 'ready');
  const codes = (count: number): Promise<void> =>
    new Promise((resolve) => {
      left = count;
      came = resolve;
    });
  return {
    driver,
    codes,
    code: (scan) => {
      const coming = codes(1);
      scan();
      return coming;
    },
  };
}
