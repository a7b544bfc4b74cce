/**
 * What every driver must do, whatever its bus: run by each driver's own test against a fake of its device, and against
 * the real stack where there is one. Must not know any bus; a rig brings the device.
 */
import { type Bytes, concat, equalBytes } from '../../terminal/kernel/bytes.js';
import { durationMs } from '../../terminal/kernel/units.js';
import type { DeviceEvent, DeviceStatus, Driver } from './driver.js';
import type { ApduLink } from './transport.js';

/** The part of a test runner that the suite uses; tap's `t` fits. */
export interface Checks {
  test(name: string, run: (t: Checks) => Promise<void>): unknown;
  ok(value: unknown, message: string): unknown;
  equal(found: unknown, wanted: unknown, message: string): unknown;
}

/** What a card of the rig does with a command; a promise that never settles is a stuck card. */
export type CardAnswers = (command: Bytes) => Bytes | Promise<Bytes>;

/** A driver with its device at hand. Parts that a device does not have are left out, and their tests with them. */
export interface ConformanceRig {
  readonly driver: Driver;
  /**
   * For drivers that report cards. insert() resolves when the card is in the field, not when the driver said so, and gives
   * the card's ATR, another one each time: a real stack may still report the card before.
   */
  readonly card?: { insert(answers: CardAnswers): Promise<Bytes>; remove(): Promise<void> };
  /** For drivers that report codes: makes the device read one. */
  readonly scan?: (code: string) => Promise<void>;
  /** Takes the device, or what serves it, away and brings it back. */
  readonly plug?: { pullOut(): Promise<void>; putBack(): Promise<void> };
  close(): Promise<void>;
}

const eventTimeoutMs = 8_000;
const timeout = durationMs(5_000);
const shortTimeout = durationMs(60);
const command = new Uint8Array([0x00, 0xa4, 0x04, 0x00, 0x00]);
const echo: CardAnswers = (sent) => concat(sent, new Uint8Array([0x90, 0x00]));
const silence: CardAnswers = () => new Promise(() => {});

/** What the rig's device has; the scenarios for the rest are left out. */
export type RigPart = 'card' | 'scan' | 'plug';

/** Runs the suite; `open` gives a fresh rig with the driver not yet started. */
export function driverConformance(t: Checks, parts: readonly RigPart[], open: () => Promise<ConformanceRig>): void {
  const scenario: Scenario = (name, needs, run) => {
    if (needs !== 'nothing' && !parts.includes(needs)) return;
    t.test(name, async (test) => {
      const rig = await open();
      try {
        const { card = absent, plug = absent, scan = absent } = rig;
        await run(test, { driver: rig.driver, card, plug, scan }, new Recorder());
      } finally {
        await rig.driver.stop();
        await rig.close();
      }
    });
  };
  lifeScenarios(scenario);
  cardScenarios(scenario);
  codeScenarios(scenario);
}

type WholeRig = Required<Omit<ConformanceRig, 'close'>>;
type Scenario = (
  name: string,
  needs: RigPart | 'nothing',
  run: (t: Checks, rig: WholeRig, seen: Recorder) => Promise<void>,
) => void;

const missing = (): Promise<void> => Promise.reject(new Error('the rig lacks a part that it names'));
/** In the place of a part that no scenario of this rig uses. */
const absent = Object.assign(missing, {
  insert: missing as () => Promise<never>,
  remove: missing,
  pullOut: missing,
  putBack: missing,
});

/** Collects a driver's events, and waits for them. */
class Recorder {
  readonly events: DeviceEvent[] = [];
  #wake: () => void = () => {};
  readonly emit = (event: DeviceEvent): void => {
    this.events.push(event);
    this.#wake();
  };

  /** The first event from `from` on that `pick` takes. */
  async find<T>(what: string, pick: (event: DeviceEvent) => T | null, from = 0): Promise<T> {
    const deadline = Date.now() + eventTimeoutMs;
    for (;;) {
      for (const event of this.events.slice(from)) {
        const picked = pick(event);
        if (picked !== null) return picked;
      }
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${what} within ${eventTimeoutMs} ms`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** The link of the card with this ATR. */
  link(atr: Bytes): Promise<ApduLink> {
    return this.find('cardPresented', (event) =>
      event.type === 'cardPresented' && equalBytes(event.link.atr, atr) ? event.link : null,
    );
  }
  removal(linkId: string): Promise<string> {
    return this.find(`cardRemoved ${linkId}`, (event) =>
      event.type === 'cardRemoved' && event.linkId === linkId ? event.device : null,
    );
  }
  /** The first supervised device that was reported ready. */
  readyDevice(from = 0): Promise<DeviceStatus> {
    return this.find(
      'supervised device ready',
      (event) =>
        event.type === 'deviceStateChanged' && event.status.state === 'ready' && event.status.identity !== null
          ? event.status
          : null,
      from,
    );
  }
  /** The device that was reported ready, with what it says of itself. */
  ready(from = 0): Promise<string> {
    return this.find(
      'device ready',
      (event) => (event.type === 'deviceStateChanged' && event.status.state === 'ready' ? event.status.device : null),
      from,
    );
  }
}

function lifeScenarios(scenario: Scenario): void {
  scenario('starts, says what it has, and is silent once stopped', 'nothing', async (t, { driver }, seen) => {
    driver.signal('hold');
    await driver.start(seen.emit);
    const statuses = driver.statuses();
    const identities = statuses.flatMap(({ identity }) => (identity === null ? [] : [identity]));
    t.ok(identities.length > 0, 'a device that can be told from others');
    t.equal(new Set(identities).size, identities.length, 'identities are unique');
    t.ok(statuses.length > 0, 'at least one row');
    t.equal(new Set(statuses.map((status) => status.device)).size, statuses.length, 'device names are unique');
    for (const status of statuses) {
      t.equal(status.bus, driver.bus, `${status.device} is on the driver's bus`);
      t.ok(status.sinceWallMs > 0, `${status.device} says since when`);
      t.ok(!/[\u0000-\u001f]/.test(status.description), `${status.device} is printable`);
      const { identity } = status;
      t.ok(
        identity === null || /^[^\u0000-\u001f]{1,200}$/.test(identity),
        `${status.device} has an identity that can be shown`,
      );
      t.ok(!/tty(USB|ACM)[0-9]/.test(identity ?? ''), `${status.device} is not known by a name that moves`);
      if (status.state === 'ready') t.equal(status.error, null, `${status.device} is ready without an error`);
    }
    await seen.ready();
    await driver.stop();
    const events = seen.events.length;
    await driver.stop();
    driver.signal('done');
    t.equal(seen.events.length, events, 'no event after stop');
    t.ok(!driver.statuses().some((status) => status.state === 'ready'), 'nothing is ready after stop');
  });

  scenario(
    'lets a device go, leaves it alone, and serves it again when told',
    'nothing',
    async (t, { driver }, seen) => {
      await driver.start(seen.emit);
      const device = await seen.readyDevice();
      const { identity } = device;
      if (identity === null) throw new Error('a supervised device');
      const stateNow = () => driver.statuses().find((status) => status.device === device.device)?.state;
      driver.serve('nobody has this identity', false);
      t.equal(stateNow(), 'ready', 'another one is not touched');
      const from = seen.events.length;
      driver.serve(identity, false);
      t.equal(stateNow(), 'disabled', 'at once');
      const told = seen.events.slice(from).filter((event) => event.type === 'deviceStateChanged');
      t.ok(
        told.some((event) => event.status.identity === identity && event.status.state === 'disabled'),
        'and said so',
      );
      const resumed = seen.events.length;
      driver.serve(identity, true);
      t.equal((await seen.readyDevice(resumed)).device, device.device, 'the same name is ready again');
    },
  );

  scenario(
    'is back in service by itself under the same name after it was gone',
    'plug',
    async (t, { driver, plug }, seen) => {
      await driver.start(seen.emit);
      const names = () => driver.statuses().map((status) => status.device);
      const before = names();
      await seen.ready();
      const from = seen.events.length;
      await plug.pullOut();
      await seen.find(
        'device away',
        (event) =>
          event.type === 'deviceStateChanged' && event.status.state !== 'ready' && event.status.error ? event : null,
        from,
      );
      t.ok(
        driver.statuses().every((status) => status.state !== 'ready' || status.error === null),
        'a device that is away is not called ready',
      );
      const gone = seen.events.length;
      await plug.putBack();
      t.ok(before.includes(await seen.ready(gone)), 'the same name is ready again');
      t.equal(names().join(), before.join(), 'no device was invented');
    },
  );
}

function cardScenarios(scenario: Scenario): void {
  scenario('a card is one link: commands in turn, then gone for good', 'card', async (t, { driver, card }, seen) => {
    await driver.start(seen.emit);
    const link = await seen.link(await card.insert(echo));
    t.ok(link.atr.length >= 2 && link.atr.length <= 33, 'an ATR of 2 to 33 bytes');
    const [first, second] = await Promise.all([link.transmit(command, timeout), link.transmit(command, timeout)]);
    t.equal(first.ok && first.value.length, command.length + 2, 'the first is answered');
    t.equal(!second.ok && second.error.code, 'device.busy', 'the second is refused while the first runs');
    t.ok((await link.transmit(command, timeout)).ok, 'and the link goes on');
    await card.remove();
    await seen.removal(link.id);
    const dead = await link.transmit(command, timeout);
    t.equal(!dead.ok && dead.error.code, 'device.cardRemoved', 'a link does not outlive its card');
    const next = await seen.link(await card.insert(echo));
    t.ok(next.id !== link.id, 'a new presentation is a new link');
    t.ok((await next.transmit(command, timeout)).ok, 'which works');
    t.ok(!(await link.transmit(command, timeout)).ok, 'while the old one stays dead');
    t.equal(
      seen.events.filter((event) => event.type === 'cardRemoved' && event.linkId === link.id).length,
      1,
      'removed once',
    );
  });

  scenario('a card that leaves in mid-command ends it as removed', 'card', async (t, { driver, card }, seen) => {
    await driver.start(seen.emit);
    let reached: () => void = () => {};
    const acting = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const atr = await card.insert((sent) => {
      reached();
      return silence(sent);
    });
    const link = await seen.link(atr);
    const outcome = link.transmit(command, timeout);
    await acting;
    await card.remove();
    const ended = await outcome;
    t.equal(!ended.ok && ended.error.code, 'device.cardRemoved', 'nobody knows whether the card acted');
    await seen.removal(link.id);
  });

  scenario(
    'a command without an answer times out and ends the link; the next card works',
    'card',
    async (t, { driver, card }, seen) => {
      await driver.start(seen.emit);
      const link = await seen.link(await card.insert(silence));
      const late = await link.transmit(command, shortTimeout);
      t.equal(!late.ok && late.error.code, 'device.timedOut', 'timed out');
      const dead = await link.transmit(command, timeout);
      t.equal(
        !dead.ok && dead.error.code,
        'device.closed',
        'an answer to the old command can never be taken for the next one',
      );
      await card.remove();
      await seen.removal(link.id);
      const next = await seen.link(await card.insert(echo));
      t.ok((await next.transmit(command, timeout)).ok, 'the reader is in service');
    },
  );

  scenario(
    'close lets the card go, twice is once, and a stop ends an open link',
    'card',
    async (t, { driver, card }, seen) => {
      await driver.start(seen.emit);
      const link = await seen.link(await card.insert(echo));
      await link.close();
      await link.close();
      const closed = await link.transmit(command, timeout);
      t.equal(!closed.ok && closed.error.code, 'device.closed', 'closed is closed');
      await card.remove();
      await seen.removal(link.id);
      const open = await seen.link(await card.insert(silence));
      const outcome = open.transmit(command, timeout);
      await driver.stop();
      const ended = await outcome;
      t.equal(!ended.ok && ended.error.code, 'device.closed', 'a stop ends what was under way');
      await card.remove();
    },
  );

  scenario('a command that is no APDU is refused and harms nothing', 'card', async (t, { driver, card }, seen) => {
    await driver.start(seen.emit);
    const link = await seen.link(await card.insert(echo));
    for (const length of [0, 3, 65_547]) {
      const refused = await link.transmit(new Uint8Array(length), timeout);
      t.equal(!refused.ok && refused.error.code, 'device.unsupported', `${length} bytes`);
    }
    t.ok((await link.transmit(command, timeout)).ok, 'the link goes on');
    await card.remove();
  });
}

function codeScenarios(scenario: Scenario): void {
  scenario('a code is reported once, as text', 'scan', async (t, { driver, scan }, seen) => {
    await driver.start(seen.emit);
    await seen.ready();
    const passed: number[] = [];
    for (const { identity } of driver.statuses())
      if (identity !== null)
        driver.listenIn(identity, (direction, bytes) => direction === 'in' && passed.push(...bytes));
    await scan('4006381333931');
    const code = await seen.find('codeScanned', (event) => (event.type === 'codeScanned' ? event.code : null));
    t.equal(code, '4006381333931', 'without what the scanner adds');
    t.equal(seen.events.filter((event) => event.type === 'codeScanned').length, 1, 'once');
    t.ok(String.fromCharCode(...passed).includes('4006381333931'), 'and who listens in got its bytes');
  });
}
