/**
 * Real devices or the simulated set? Decided once, before anything starts; the two never run together and never share a
 * data folder.
 */
import path from 'node:path';
import type { Config } from '../../config/schema.js';
import { realDevices } from './plugged-in.js';
import { StartRefused } from './refusal.js';

export interface Wishes {
  /** --simulated: the simulated set although devices are plugged in. */
  readonly simulated: boolean;
  /** --real: no simulated set although nothing is plugged in. */
  readonly real: boolean;
}

export interface Choice {
  readonly simulated: boolean;
  /** What is there, in words; null: nothing. */
  readonly devices: string | null;
}

/** The words of realDevices for what the configuration names, as against what is plugged in. */
const configuredPrefix = 'configured';

/**
 * A configured device always wins: no simulated one starts beside it.
 * @param devices what is there or configured, in words, as realDevices says it
 * @throws StartRefused when the simulated set is asked for where a device is configured
 */
export function choose(devices: string | null, wishes: Wishes, configFile: string): Choice {
  if (wishes.simulated && wishes.real) throw new StartRefused('--simulated and --real exclude each other', 2);
  if (wishes.simulated && devices?.startsWith(configuredPrefix))
    throw new StartRefused(
      `${configFile} names real devices (${devices}), so no simulated set starts here.\n  For a simulated one take another folder: scripts/start --data simulated-data`,
      2,
    );
  return { simulated: wishes.simulated || (devices === null && !wishes.real), devices };
}

export const chooseHere = async (config: Config, wishes: Wishes, configFile: string): Promise<Choice> =>
  choose(await realDevices(config), wishes, configFile);

/** The folder of this realm inside the data folder. */
export const realmFolder = (dataRoot: string, simulated: boolean): string =>
  path.join(dataRoot, simulated ? 'simulated' : 'real');
