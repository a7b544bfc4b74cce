/**
 * Supervision: what becomes of one device when it comes, goes, fails, or a person speaks: a table of state and event. Pure:
 * the time comes with the event, timers and holding are asked for as orders. One device's life knows no other device.
 */
import type { DeviceState } from '../../drivers/contract/driver.js';
import type { DeviceError } from '../../drivers/contract/transport.js';

/** All values of the restart policy, in milliseconds and counts. */
export const supervisionRule = {
  /** Pause before the first retry of a device that is there and fails; doubles with each failure in a row. */
  retryMinMs: 1_000,
  retryMaxMs: 30_000,
  /** Ready for so long, a device's failures before are forgotten. */
  stableMs: 10_000,
  /** So many departures from `ready` within the window are flapping. */
  departuresMax: 6,
  departuresWindowMs: 60_000,
  /** A flapping device is left alone until it stayed, or stayed away, for so long. */
  calmMs: 15_000,
} as const;

export interface Life {
  readonly state: DeviceState;
  readonly error: DeviceError | null;
  /** Plugged in, as far as known. */
  readonly isThere: boolean;
  /** Disabled by a person; the configuration's refusal is `disabled` without it. */
  readonly byPerson: boolean;
  /** Failures in a row, for the next pause. */
  readonly failures: number;
  /** Times of the last departures from `ready`, at most departuresMax, oldest first. */
  readonly departures: readonly number[];
  readonly readySinceMs: number | null;
  /** Times it became ready. */
  readonly starts: number;
  /** Of the timer that counts; one of an earlier generation is late. */
  readonly generation: number;
}

export const newLife: Life = {
  ...{ state: 'absent', error: null, isThere: false, byPerson: false, failures: 0 },
  ...{ departures: [], readySinceMs: null, starts: 0, generation: 0 },
};

/**
 * What the driver reported, what a person said, or that a timer has run out. barred: the driver leaves it alone, because it was
 * told to (error null) or because the configuration says so.
 */
export type LifeEventType = 'gone' | 'appeared' | 'opened' | 'failed' | 'barred' | 'disable' | 'enable' | 'timer';
export interface LifeEvent {
  readonly type: LifeEventType;
  /** Monotonic. */
  readonly atMs: number;
  /** Of gone, failed and barred. */
  readonly error?: DeviceError | null;
  /** Of a timer: the one that its order named. */
  readonly generation?: number;
}

/** hold: the driver is to let it go. release: to serve it again. timer: the event is to come back after so long. */
export type Order =
  | { readonly type: 'hold' | 'release' }
  | { readonly type: 'timer'; readonly delayMs: number; readonly generation: number };

export type Step = readonly [Life, readonly Order[]];
type Handler = (life: Life, event: LifeEvent) => Step;
type Row = { readonly [T in LifeEventType]: Handler | 'ignored' };

const flappingError: DeviceError = {
  code: 'device.failed',
  detail: 'it comes and goes; it is left alone until it stays',
};

/** A new generation: whatever timer is under way is late. */
const enter = (life: Life, change: Partial<Life>): Life => ({ ...life, ...change, generation: life.generation + 1 });

const leftOff = (life: Life, error: DeviceError | null): Life =>
  enter(life, { state: 'absent', error, isThere: false, failures: 0, readySinceMs: null });

const gone: Handler = (life, { error = null }) => [leftOff(life, error), []];
const goneWhileHeld: Handler = (life, { error = null }) => [leftOff(life, error), [{ type: 'release' }]];

const appeared: Handler = (life) => [enter(life, { state: 'opening', isThere: true }), []];

const opened: Handler = (life, { atMs }) => [
  enter(life, { state: 'ready', error: null, isThere: true, readySinceMs: atMs, starts: life.starts + 1 }),
  [],
];

const failed: Handler = (life, { error = null, atMs }) => {
  const { retryMinMs, retryMaxMs, stableMs } = supervisionRule;
  const wasStable = life.readySinceMs !== null && atMs - life.readySinceMs >= stableMs;
  const failures = (wasStable ? 0 : life.failures) + 1;
  const next = enter(life, { state: 'failing', error, isThere: true, failures, readySinceMs: null });
  const delayMs = Math.min(retryMinMs * 2 ** Math.min(failures - 1, 20), retryMaxMs);
  return [next, [{ type: 'hold' }, { type: 'timer', delayMs, generation: next.generation }]];
};

const barred: Handler = (life, { error = null }) => [
  enter(life, { state: 'disabled', error, isThere: true, readySinceMs: null }),
  [],
];

/** Out of `ready`: where that happens too often, the device is damped, else it goes where the event leads. */
function departing(otherwise: Handler): Handler {
  return (life, event) => {
    const { departuresMax, departuresWindowMs } = supervisionRule;
    const departures = [...life.departures, event.atMs].slice(-departuresMax);
    const oldest = departures[0] ?? event.atMs;
    const counted = { ...life, departures };
    if (departures.length < departuresMax || event.atMs - oldest > departuresWindowMs) return otherwise(counted, event);
    return damped({ ...counted, isThere: event.type !== 'gone' }, [{ type: 'hold' }]);
  };
}

function damped(life: Life, orders: readonly Order[]): Step {
  const next = enter(life, { state: 'flapping', error: flappingError, failures: 0, readySinceMs: null });
  return [next, [...orders, { type: 'timer', delayMs: supervisionRule.calmMs, generation: next.generation }]];
}

/** Still coming and going: the calm begins anew. What changes nothing does not disturb it. */
const restless =
  (isThere: boolean): Handler =>
  (life) =>
    life.isThere === isThere ? [life, []] : damped({ ...life, isThere }, []);

const calm: Handler = (life, { generation }) => {
  if (generation !== life.generation) return [life, []];
  const state = life.isThere ? 'opening' : 'absent';
  return [enter(life, { state, error: null, departures: [] }), [{ type: 'release' }]];
};

const retry: Handler = (life, { generation }) =>
  generation === life.generation ? [enter(life, { state: 'opening' }), [{ type: 'release' }]] : [life, []];

const disable: Handler = (life) => [
  enter(life, { state: 'disabled', error: null, byPerson: true, readySinceMs: null }),
  [{ type: 'hold' }],
];

const enable: Handler = (life) => {
  if (!life.byPerson) return [life, []];
  const state = life.isThere ? 'opening' : 'absent';
  const fresh = { state, error: null, byPerson: false, failures: 0, departures: [] } as const;
  return [enter(life, fresh), [{ type: 'release' }]];
};

const noted =
  (isThere: boolean): Handler =>
  (life) => [{ ...life, isThere }, []];

/** A device that the configuration bars follows its driver; one that a person disabled only has its presence noted. */
const unlessByPerson =
  (otherwise: Handler): Handler =>
  (life, event) =>
    life.byPerson ? [{ ...life, isThere: event.type !== 'gone' }, []] : otherwise(life, event);

const table: { readonly [S in DeviceState]: Row } = {
  absent: { gone, appeared, opened, failed, barred, disable, enable: 'ignored', timer: 'ignored' },
  opening: { gone, appeared, opened, failed, barred, disable, enable: 'ignored', timer: 'ignored' },
  ready: {
    gone: departing(gone),
    appeared: departing(appeared),
    opened: 'ignored',
    failed: departing(failed),
    barred,
    disable,
    enable: 'ignored',
    timer: 'ignored',
  },
  // Held by the driver until the timer comes; what a held device is said to do besides going is an echo of the holding.
  failing: {
    gone: goneWhileHeld,
    appeared: noted(true),
    opened: noted(true),
    failed: noted(true),
    barred: noted(true),
    disable,
    enable: 'ignored',
    timer: retry,
  },
  flapping: {
    gone: restless(false),
    appeared: restless(true),
    opened: restless(true),
    failed: restless(true),
    barred: restless(true),
    disable,
    enable: 'ignored',
    timer: calm,
  },
  disabled: {
    gone: unlessByPerson(gone),
    appeared: unlessByPerson(appeared),
    opened: unlessByPerson(opened),
    failed: unlessByPerson(failed),
    barred: unlessByPerson(barred),
    disable,
    enable,
    timer: 'ignored',
  },
};

/** One step of one device's life. Total: every event has an answer in every state. */
export function stepLife(life: Life, event: LifeEvent): Step {
  const handler = table[life.state][event.type];
  return handler === 'ignored' ? [life, []] : handler(life, event);
}

/** Whether the driver was last told to hold a device in this state. */
export const isHeld = ({ state, byPerson }: Life): boolean =>
  state === 'failing' || state === 'flapping' || (state === 'disabled' && byPerson);
