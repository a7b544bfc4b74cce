/**
 * Shows that the supervisor leads every device through its own life: a fault of one leaves the others alone, a returned device
 * is served within two seconds, what a person disabled stays so over restarts. How: feigned drivers that keep the contract,
 * and a clock that moves when told.
 */
import t from 'tap';
import type { DeviceEvent, DeviceStatus, Driver } from '../../drivers/contract/driver.js';
import { DeviceOrders } from '../../drivers/contract/orders.js';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import { DeviceSupervisor } from './device-supervisor.js';

/** A driver of devices that a test plugs in, pulls and breaks; it looks once a second as the real ones do. */
class FeignedDriver implements Driver {
  readonly bus = 'serial';
  readonly devices = new Map<string, { isThere: boolean; isBroken: boolean; state: DeviceStatus['state'] }>();
  readonly orders = new DeviceOrders();
  /** Openings tried, by identity. */
  readonly tries: string[] = [];
  startFails: Error | null = null;
  stopHangs = false;
  #emit: (event: DeviceEvent) => void = () => {};
  #cancel: () => void = () => {};

  constructor(
    readonly name: string,
    private readonly time: ManualTime,
  ) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    if (this.startFails) throw this.startFails;
    this.#emit = emit;
    this.#look();
  }
  async stop(): Promise<void> {
    this.#cancel();
    if (this.stopHangs) throw new Error('cannot stop');
  }
  statuses(): readonly DeviceStatus[] {
    return [...this.devices.keys()].map((identity) => this.#status(identity));
  }
  serve(identity: string, inService: boolean): void {
    if (this.orders.serve(identity, inService)) this.#settle(identity);
  }
  listenIn(): void {}
  signal(): void {}

  plug(identity: string): void {
    this.devices.set(identity, { state: 'absent', isBroken: false, ...this.devices.get(identity), isThere: true });
  }
  pull(identity: string): void {
    this.#change(identity, { isThere: false });
    this.#settle(identity);
  }
  break(identity: string, isBroken = true): void {
    this.#change(identity, { isBroken });
    if (isBroken) this.#set(identity, 'failing');
  }

  #look(): void {
    for (const [identity, { isThere, isBroken, state }] of this.devices) {
      if (!isThere || state === 'ready') continue;
      if (this.orders.isHeld(identity)) this.#settle(identity);
      else {
        this.tries.push(identity);
        this.#set(identity, isBroken ? 'failing' : 'ready');
      }
    }
    this.#cancel = this.time.schedule(1_000, () => this.#look());
  }
  #settle(identity: string): void {
    const device = this.devices.get(identity);
    if (!device) return;
    this.#set(identity, device.isThere ? (this.orders.isHeld(identity) ? 'disabled' : 'opening') : 'absent');
  }
  #change(identity: string, change: object): void {
    const device = this.devices.get(identity);
    if (device) this.devices.set(identity, { ...device, ...change });
  }
  #set(identity: string, state: DeviceStatus['state']): void {
    const device = this.devices.get(identity);
    if (!device || device.state === state) return;
    device.state = state;
    this.#emit({ type: 'deviceStateChanged', status: this.#status(identity) });
  }
  #status(identity: string): DeviceStatus {
    const state = this.devices.get(identity)?.state ?? 'absent';
    return {
      ...{
        device: `${this.name}-${identity}`,
        bus: this.bus,
        identity,
        sensitive: false,
        state,
        description: identity,
      },
      ...{ simulated: true, sinceWallMs: this.time.clock.wallMs(), counters: { bytes: 1 } },
      error: state === 'failing' ? { code: 'device.failed', detail: 'broken' } : null,
    };
  }
}

function open(disabled: readonly string[] = [], names: readonly string[] = ['one', 'two']) {
  const time = new ManualTime();
  const drivers = names.map((name) => new FeignedDriver(name, time));
  const events: DeviceEvent[] = [];
  const supervisor = new DeviceSupervisor({
    ...{ drivers, disabled, clock: time.clock, schedule: time.schedule },
    onEvent: (event) => events.push(event),
  });
  const [one, two] = drivers;
  if (!one || !two) throw new Error('two drivers');
  const state = (device: string) => supervisor.find(device)?.status.state;
  return { time, one, two, events, supervisor, state };
}

t.test('a device that fails again and again is tried less and less; the others never notice', async (t) => {
  const { time, one, two, supervisor, state } = open();
  for (const identity of ['a', 'b']) one.plug(identity);
  two.plug('c');
  one.break('a');
  await supervisor.start();
  t.same([state('one-a'), state('one-b'), state('two-c')], ['failing', 'ready', 'ready']);
  time.advance(120_000);
  const tries = one.tries.filter((identity) => identity === 'a').length;
  t.ok(tries >= 5 && tries <= 9, `${tries} tries in two minutes: 1, 2, 4 … 30 s apart`);
  t.same(
    [one.tries.filter((identity) => identity === 'b').length, two.tries.length],
    [1, 1],
    'each of the others was opened once',
  );
  one.break('a', false);
  time.advance(31_000);
  t.equal(state('one-a'), 'ready', 'repaired without being touched');
});

t.test('a failing device that is pulled and put back is served at once, not after its pause', async (t) => {
  const { time, one, supervisor, state } = open();
  one.plug('a');
  one.break('a');
  await supervisor.start();
  time.advance(100_000);
  one.pull('a');
  t.equal(state('one-a'), 'absent');
  one.break('a', false);
  one.plug('a');
  time.advance(2_000);
  t.equal(state('one-a'), 'ready', 'within two seconds of its return');
});

t.test('a device that comes and goes is left alone until it stays, and is then served again', async (t) => {
  const { time, one, supervisor, state, events } = open();
  one.plug('a');
  one.plug('b');
  await supervisor.start();
  for (let round = 0; round < 6; round++) {
    one.pull('a');
    one.plug('a');
    time.advance(1_000);
  }
  t.equal(state('one-a'), 'flapping');
  t.equal(supervisor.find('one-a')?.status.error?.code, 'device.failed');
  const tries = one.tries.length;
  time.advance(13_000);
  t.equal(one.tries.length, tries, 'left alone');
  t.equal(state('one-b'), 'ready');
  time.advance(4_000);
  t.equal(state('one-a'), 'ready');
  t.match(supervisor.find('one-a')?.status.counters, { bytes: 1, restarts: 6 });
  const shown = events.flatMap((event) =>
    event.type === 'deviceStateChanged' && event.status.identity === 'a' ? [event.status.state] : [],
  );
  t.notOk(
    shown.some((each, at) => each === shown[at - 1]),
    `every event is news: ${shown.join(' ')}`,
  );
});

t.test('disabled by a person: remembered over a restart, from before the first look', async (t) => {
  const { one, supervisor, state, time } = open();
  one.plug('a');
  await supervisor.start();
  supervisor.setEnabled(one, 'a', false);
  t.equal(state('one-a'), 'disabled');
  t.same(supervisor.disabled(), ['one a']);
  time.advance(60_000);
  t.equal(one.tries.length, 1);

  const again = open(supervisor.disabled());
  again.one.plug('a');
  again.two.plug('a');
  await again.supervisor.start();
  t.same(
    [again.state('one-a'), again.state('two-a')],
    ['disabled', 'ready'],
    'the same identity of another driver is another',
  );
  t.same(again.one.tries, [], 'never opened');
  again.one.pull('a');
  t.match(again.supervisor.find('one-a')?.status, { state: 'disabled', error: { code: 'device.absent' } });
  again.one.plug('a');
  again.supervisor.setEnabled(again.one, 'a', true);
  again.time.advance(2_000);
  t.equal(again.state('one-a'), 'ready');
  t.same(again.supervisor.disabled(), []);
});

t.test('a driver that cannot be started is a row with its reason; the others start, run and stop', async (t) => {
  const { one, two, supervisor, state, events } = open();
  one.startFails = new Error('no such module\u001b[2J');
  one.stopHangs = true;
  two.plug('c');
  await supervisor.start();
  t.match(supervisor.statuses()[0], {
    device: 'one',
    identity: null,
    state: 'failing',
    error: { code: 'device.failed' },
  });
  t.match(supervisor.statuses()[0]?.error?.detail, /no such module.\[2J/);
  t.equal(state('two-c'), 'ready');
  t.ok(events.some((event) => event.type === 'deviceStateChanged' && event.status.device === 'one'));
  supervisor.signal('done');
  await supervisor.stop();
});

t.test('what is remembered is bounded, and a setting from an older time names nobody', async (t) => {
  const { one, supervisor, time } = open(['gone-driver x', 'one']);
  await supervisor.start();
  for (let at = 0; at < 400; at++) {
    one.plug(`${at}`);
    time.advance(1_000);
    one.pull(`${at}`);
    one.devices.delete(`${at}`);
  }
  one.plug('last');
  time.advance(1_000);
  t.equal(supervisor.find('one-last')?.status.state, 'ready');
  t.same(supervisor.disabled(), []);
  await supervisor.stop();
  t.equal(time.pending, 0, 'no timer is left');
});
