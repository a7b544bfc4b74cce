/**
 * The setting that remembers which devices a person disabled. Pure: what the store gives back may be anything.
 */
import { parseJson } from '../kernel/json.js';

export const disabledSetting = 'devices.disabled';

/** The devices of the setting, by `driver identity`; a setting that cannot be read disables nothing. */
export function disabledDevices(setting: string | null): readonly string[] {
  const read = parseJson(setting ?? '[]');
  return read.ok && Array.isArray(read.value) ? read.value.filter((key): key is string => typeof key === 'string') : [];
}
