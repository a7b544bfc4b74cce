/**
 * One recorded session: the shipped driver under the shipped supervisor, recorded by the device desk as `device record` does it,
 * from the opening of the line where there is one.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { DeviceEvent, Driver } from '../../drivers/contract/driver.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { createDrivers } from '../../drivers/registry.js';
import { LineDriver } from '../../drivers/serial/line-driver.js';
import type { ModemSpool } from '../../drivers/serial/modem-driver.js';
import { nativeRandom } from '../../terminal/kernel/native.js';
import { DeviceDesk } from '../../terminal/runtime/device-desk.js';
import { DeviceSupervisor } from '../../terminal/runtime/device-supervisor.js';
import { configOf } from '../bench/shipped-drivers.js';
import { shell, until } from '../rig/guest/scenario.js';

/** A recording to be made: its file's name without `.rec`, what happens in it and over which boundary, and how. */
export interface Vector {
  readonly name: string;
  /** Lines under its head, each a remark. */
  readonly remark: readonly string[];
  readonly make: (keep: Keep) => Promise<void>;
}
/** Runs a session with this driver and records the device of this name. */
export type Keep = (driver: Driver, device: string, session: (seen: Seen) => Promise<void>) => Promise<void>;

/** What the driver has reported. */
export interface Seen {
  readonly events: readonly DeviceEvent[];
  /** Waits until so many events of this type have come. */
  come(type: DeviceEvent['type'], count: number): Promise<void>;
  /** The card that is there. */
  card(): Promise<ApduLink>;
}

/** The driver of this name as the box has it under these lines of shouli.toml. */
export function shipped(name: string, toml: string, openSpool?: () => ModemSpool): Driver {
  const noSpool = (): never => {
    throw new Error('no modem here');
  };
  const drivers = createDrivers(configOf(toml), {
    ...{ ...shell, random: nativeRandom },
    messages: { ownNumber: '10690000', homePrefix: '+86', openSpool: openSpool ?? noSpool },
  });
  const found = drivers.find((driver) => driver.name === name);
  if (!found) throw new Error(`no driver ${name}`);
  return found;
}

const linkOf = (event: DeviceEvent): readonly ApduLink[] =>
  event.type === 'cardPresented' || event.type === 'cardInserted' ? [event.link] : [];

const refused = (code: string): never => {
  throw new Error(`the desk refuses: ${code}`);
};

/** @param file is made anew */
export const keepIn =
  (file: string, remark: readonly string[]): Keep =>
  async (driver, device, session) => {
    rmSync(file, { force: true });
    const isLine = driver instanceof LineDriver;
    const events: DeviceEvent[] = [];
    const supervisor = new DeviceSupervisor({
      ...{ drivers: [driver], ...shell, disabled: [] },
      onEvent: (event) => {
        desk.takes(event);
        events.push(event);
      },
    });
    const desk = new DeviceDesk({
      ...{
        supervisor,
        ...shell,
        simulated: true,
        isSaleOpen: () => false,
        displaysFreed: () => {},
        unclaimed: () => [],
        remember: () => {},
      },
      bankCards: { holdsCard: () => false, readIn: () => refused('device.unsupported') },
    });
    const is = (state: string) => until(`${device} ${state}`, () => supervisor.find(device)?.status.state === state);
    await supervisor.start();
    try {
      await is('ready');
      if (isLine) desk.setEnabled(device, false);
      const begun = desk.record(device, file);
      if (!begun.ok) refused(begun.error.code);
      if (isLine) {
        desk.setEnabled(device, true);
        await is('ready');
      }
      const before = events.length;
      const since = () => events.slice(before);
      await session({
        events,
        come: async (type, count) => {
          await until(`${type}`, () => since().filter((event) => event.type === type).length >= count);
        },
        card: () => until('a card', () => since().flatMap(linkOf).at(-1)),
      });
      const kept = desk.stopRecording(device);
      if (kept?.ended) refused(kept.ended);
    } catch (error) {
      // Half a session is no recording of it.
      rmSync(file, { force: true });
      throw error;
    } finally {
      desk.close();
      await supervisor.stop();
    }
    // Under the head: what happens, for who reads it. A line's identity is a path of this run, which says nothing.
    const [first = '', name = '', identity = '', ...lines] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(
      file,
      [
        first,
        name,
        isLine ? `identity simulated ${device}` : identity,
        ...remark.map((line) => `# ${line}`),
        ...lines,
      ].join('\n'),
    );
  };
