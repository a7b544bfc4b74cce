/**
 * The state of the PC/SC service as a device row of its own (`pcsc`): why there is no reader when there is none.
 * Must not act; the driver reports what it says.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import type { WallMs } from '../../terminal/kernel/units.js';
import type { DeviceState, DeviceStatus } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import type { ReaderDevice } from './reader-device.js';
import { isVirtual } from './reader-names.js';

export class PcscService {
  #phase: 'disabled' | 'opening' | 'up' | 'down';
  #error: DeviceError | null = null;
  #failing = false;
  #reported = '';
  #since: WallMs;

  constructor(
    private readonly clock: Clock,
    enabled: boolean,
  ) {
    this.#phase = enabled ? 'opening' : 'disabled';
    this.#since = clock.wallMs();
  }

  up(): void {
    this.#phase = 'opening';
  }
  /** Readers that were there have been named. */
  looked(): void {
    this.#phase = 'up';
    this.#error = null;
    this.#failing = false;
  }
  down(error: DeviceError): void {
    this.#phase = 'down';
    this.#error = { code: error.code, detail: error.detail };
    this.#failing = error.code !== 'device.absent' && error.code !== 'device.driverMissing';
  }

  /** @returns whether state or reason differ from when this was asked last */
  hasChanged(devices: readonly ReaderDevice[]): boolean {
    const { state, error } = this.#now(devices);
    const seen = `${state} ${error?.detail ?? ''}`;
    if (seen === this.#reported) return false;
    this.#reported = seen;
    this.#since = this.clock.wallMs();
    return true;
  }

  status(devices: readonly ReaderDevice[], processStarts: number): DeviceStatus {
    const plugged = devices.filter((device) => device.reader !== null);
    return {
      device: 'pcsc',
      bus: 'pcsc',
      identity: null,
      sensitive: false,
      ...this.#now(devices),
      description: 'PC/SC service (pcscd)',
      simulated: plugged.length > 0 && plugged.every((device) => isVirtual(device.name)),
      sinceWallMs: this.#since,
      counters: { processStarts },
    };
  }

  #now(devices: readonly ReaderDevice[]): { readonly state: DeviceState; readonly error: DeviceError | null } {
    if (this.#phase === 'disabled') return { state: 'disabled', error: null };
    if (this.#phase === 'opening') return { state: 'opening', error: this.#error };
    if (this.#phase === 'down') return { state: this.#failing ? 'failing' : 'absent', error: this.#error };
    if (devices.some((device) => device.state === 'ready')) return { state: 'ready', error: null };
    return { state: 'absent', error: { code: 'device.absent', detail: 'no reader is plugged in' } };
  }
}
