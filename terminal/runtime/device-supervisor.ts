/**
 * Device supervisor: starts and stops the drivers, leads each device through its life (supervision.ts), and keeps the fault
 * of one from the others. What a person disabled is remembered over restarts. Must not know what a device is for.
 */
import type {
  ByteSink,
  DeviceEvent,
  DeviceStatus,
  Driver,
  MemberSignal,
  Schedule,
  UnclaimedDevice,
} from '../../drivers/contract/driver.js';
import type { DeviceError } from '../../drivers/contract/transport.js';
import type { Clock } from '../kernel/ports.js';
import { printable } from '../kernel/redaction.js';
import { isHeld, type Life, type LifeEvent, type LifeEventType, newLife, stepLife } from './supervision.js';

/** Devices remembered, among them those that are gone for good; older ones make room. */
const devicesMax = 128;

export interface SupervisorParts {
  readonly drivers: readonly Driver[];
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Devices that a person disabled, by `driver identity`. */
  readonly disabled: readonly string[];
  /** What a driver reports, with the state that supervision gives it. */
  readonly onEvent: (event: DeviceEvent) => void;
}

/** One device under supervision. */
interface Ward {
  readonly driver: Driver;
  readonly identity: string;
  life: Life;
  /** What a person has to see to at a device that is served. */
  condition: DeviceError | null;
  sinceWallMs: DeviceStatus['sinceWallMs'];
  cancelTimer: () => void;
}

const eventOf: Readonly<Record<DeviceStatus['state'], LifeEventType>> = {
  ...{ absent: 'gone', opening: 'appeared', ready: 'opened', failing: 'failed', disabled: 'barred' },
  // No driver says so; one that did would be left alone all the same.
  flapping: 'failed',
};

export class DeviceSupervisor {
  readonly #parts: SupervisorParts;
  readonly #wards = new Map<string, Ward>();
  /** Drivers that could not be started, with the reason. */
  readonly #broken = new Map<
    Driver,
    { readonly error: DeviceError; readonly sinceWallMs: DeviceStatus['sinceWallMs'] }
  >();
  #stopped = false;

  constructor(parts: SupervisorParts) {
    this.#parts = parts;
  }

  /** Resolves when every driver has looked once. Never rejects. */
  async start(): Promise<void> {
    const { drivers, disabled } = this.#parts;
    for (const key of disabled) {
      const driver = drivers.find(({ name }) => key.startsWith(`${name} `));
      if (driver) this.#step(this.#ward(driver, key.slice(driver.name.length + 1)), 'disable');
    }
    await Promise.all(
      drivers.map(async (driver) => {
        await this.#guarded(driver, () => driver.start((event) => this.#heard(driver, event)));
        // Rows that were never an event: what was absent from the beginning.
        for (const status of this.#rowsOf(driver)) if (status.identity !== null) this.#report(driver, status);
      }),
    );
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const ward of this.#wards.values()) ward.cancelTimer();
    await Promise.allSettled(this.#parts.drivers.map((driver) => driver.stop()));
  }

  statuses(): readonly DeviceStatus[] {
    return this.#parts.drivers.flatMap((driver) => this.#rowsOf(driver).map((status) => this.#shown(driver, status)));
  }

  /** What drivers hear of and do not serve. */
  unclaimed(): readonly UnclaimedDevice[] {
    return this.#parts.drivers.flatMap((driver) => (this.#broken.has(driver) ? [] : (driver.unclaimed?.() ?? [])));
  }

  /** Slots for cards with contacts that are ready, by device. */
  contactSlots(): readonly string[] {
    return this.#parts.drivers.flatMap((driver) =>
      this.#rowsOf(driver)
        .filter((row) => driver.isContactSlot?.(row.device) && this.#shown(driver, row).state === 'ready')
        .map(({ device }) => device),
    );
  }

  signal(signal: MemberSignal): void {
    for (const driver of this.#parts.drivers) if (!this.#broken.has(driver)) driver.signal(signal);
  }

  /** The row of this name as supervision shows it, with the driver that has it; null: no such row. */
  find(device: string): { readonly driver: Driver; readonly status: DeviceStatus } | null {
    for (const driver of this.#parts.drivers) {
      const status = this.#rowsOf(driver).find((row) => row.device === device);
      if (status) return { driver, status: this.#shown(driver, status) };
    }
    return null;
  }

  /** Takes a device out of service or back into it. */
  setEnabled(driver: Driver, identity: string, enabled: boolean): void {
    this.#step(this.#ward(driver, identity), enabled ? 'enable' : 'disable');
  }

  /** Devices that a person disabled, by `driver identity`. */
  disabled(): readonly string[] {
    return [...this.#wards.values()].flatMap(({ life, driver, identity }) =>
      life.byPerson ? [`${driver.name} ${identity}`] : [],
    );
  }

  listenIn(driver: Driver, identity: string, sink: ByteSink | null): void {
    driver.listenIn(identity, sink);
  }

  #heard(driver: Driver, event: DeviceEvent): void {
    if (event.type !== 'deviceStateChanged' || event.status.identity === null) this.#parts.onEvent(event);
    else this.#report(driver, event.status);
  }

  #report(driver: Driver, { identity, state, error }: DeviceStatus): void {
    if (identity === null) return;
    const ward = this.#ward(driver, identity);
    this.#step(ward, eventOf[state], error);
    const condition = state === 'ready' && ward.life.state === 'ready' ? error : null;
    const isNews = condition?.code !== ward.condition?.code || condition?.detail !== ward.condition?.detail;
    ward.condition = condition;
    if (isNews) this.#tell(ward);
  }

  #ward(driver: Driver, identity: string): Ward {
    const key = `${driver.name} ${identity}`;
    const known = this.#wards.get(key);
    if (known) return known;
    if (this.#wards.size >= devicesMax) this.#forgetOne();
    const sinceWallMs = this.#parts.clock.wallMs();
    const ward: Ward = { driver, identity, life: newLife, condition: null, sinceWallMs, cancelTimer: () => {} };
    this.#wards.set(key, ward);
    return ward;
  }

  /** The longest known that is away and that nobody disabled. */
  #forgetOne(): void {
    for (const [key, { life }] of this.#wards)
      if (life.state === 'absent') {
        this.#wards.delete(key);
        return;
      }
  }

  #step(ward: Ward, type: LifeEvent['type'], error: DeviceError | null = null, generation = 0): void {
    if (this.#stopped) return;
    const before = ward.life;
    const atMs = this.#parts.clock.monotonicMs();
    const [life, orders] = stepLife(before, { type, atMs, error, generation });
    ward.life = life;
    if (life.generation !== before.generation) ward.cancelTimer();
    const isNews =
      life.state !== before.state ||
      life.error?.code !== before.error?.code ||
      life.error?.detail !== before.error?.detail;
    if (life.state !== before.state) ward.sinceWallMs = this.#parts.clock.wallMs();
    for (const order of orders)
      if (order.type === 'timer')
        ward.cancelTimer = this.#parts.schedule(order.delayMs, () => this.#step(ward, 'timer', null, order.generation));
    if (isNews) this.#tell(ward);
    // Last: what the driver reports of being held or released is a step of its own.
    for (const order of orders) if (order.type !== 'timer') ward.driver.serve(ward.identity, order.type === 'release');
  }

  #tell(ward: Ward): void {
    const row = this.#rowsOf(ward.driver).find(({ identity }) => identity === ward.identity);
    if (row) this.#parts.onEvent({ type: 'deviceStateChanged', status: this.#shown(ward.driver, row) });
  }

  #shown(driver: Driver, status: DeviceStatus): DeviceStatus {
    const ward = status.identity === null ? null : this.#wards.get(`${driver.name} ${status.identity}`);
    if (!ward) return status;
    const { life, sinceWallMs } = ward;
    const isAway = life.state === 'disabled' && isHeld(life) && !life.isThere;
    return {
      ...status,
      state: life.state,
      sinceWallMs,
      error: isAway
        ? { code: 'device.absent', detail: 'disabled, and not plugged in' }
        : life.state === 'ready'
          ? ward.condition
          : life.error,
      counters: { ...status.counters, restarts: Math.max(0, life.starts - 1) },
    };
  }

  #rowsOf(driver: Driver): readonly DeviceStatus[] {
    const broken = this.#broken.get(driver);
    if (!broken) return driver.statuses();
    const { name, bus } = driver;
    return [
      {
        ...{ device: name, bus, identity: null, sensitive: false, state: 'failing', simulated: false, counters: {} },
        ...broken,
        description: `driver ${name}`,
      },
    ];
  }

  async #guarded(driver: Driver, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      const detail = printable(
        `the driver could not be started: ${error instanceof Error ? error.message : 'unknown'}`,
      );
      this.#broken.set(driver, { error: { code: 'device.failed', detail }, sinceWallMs: this.#parts.clock.wallMs() });
      for (const status of this.#rowsOf(driver)) this.#parts.onEvent({ type: 'deviceStateChanged', status });
    }
  }
}
