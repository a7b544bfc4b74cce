/**
 * Rounds of a device going away and coming back: how long until its driver serves it again. Must not know any bus.
 */
import type { Driver } from '../../drivers/contract/driver.js';
import { DriverWatch, until } from '../rig/guest/scenario.js';

/** A driver that is not started, with its device there. */
export interface PluggedDriver {
  readonly driver: Driver;
  pullOut(): Promise<void>;
  /** Its whole run counts: what the feigned device itself needs is in the figure. */
  putBack(): Promise<void>;
  close(): Promise<void>;
}

/** A device is served for so long before it goes, and stays away for so long at least: what an opening and a loss begin has ended. */
const calmMs = 300;
/** Drivers look once a second at most: the returns are spread over one. */
const spreadMs = 1_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Each round takes a fresh driver, as one that had served for long: a device that comes and goes within seconds is damped.
 * @returns milliseconds from the beginning of the return to `device` ready, by round
 */
export async function replugs(
  rounds: number,
  device: string,
  open: () => Promise<PluggedDriver>,
): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const { close, driver, pullOut, putBack } = await open();
    const watch = new DriverWatch(driver);
    try {
      await watch.start();
      await watch.state(device, 'ready');
      await pause(calmMs);
      await pullOut();
      await until(`${device} away`, () => watch.row(device)?.state !== 'ready');
      await pause(calmMs + (spreadMs * round) / rounds);
      const startedAt = performance.now();
      const back = putBack();
      await watch.state(device, 'ready');
      taken.push(performance.now() - startedAt);
      await back;
    } finally {
      await driver.stop();
      await close();
    }
  }
  return taken;
}
