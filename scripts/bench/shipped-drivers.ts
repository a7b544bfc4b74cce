/**
 * The drivers as the box has them, out of lines of shouli.toml, without the box around them.
 */
import { loadConfig } from '../../config/load.js';
import type { Config } from '../../config/schema.js';
import type { Driver } from '../../drivers/contract/driver.js';
import { createDrivers } from '../../drivers/registry.js';
import { nativeRandom } from '../../terminal/kernel/native.js';
import { shell } from '../rig/guest/scenario.js';

/** Nobody here has a modem, which alone asks for messages. */
const messages = {
  ownNumber: '',
  homePrefix: '',
  openSpool: () => {
    throw new Error('no modem here');
  },
};

export function configOf(toml: string): Config {
  const loaded = loadConfig(toml);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value;
}

export const shippedDrivers = (config: Config): readonly Driver[] =>
  createDrivers(config, { ...shell, random: nativeRandom, messages });

/** The driver of this name (`serial-scanner`) under this configuration. */
export function shippedDriver(name: string, toml: string): Driver {
  const found = shippedDrivers(configOf(toml)).find((driver) => driver.name === name);
  if (!found) throw new Error(`no driver ${name}`);
  return found;
}
