/**
 * Sync reducer: decides what the box sends when, and what follows from each answer, as one typed table. Pure:
 * no clock, no random, no I/O; client.ts performs the effects. Two batches at most or one fetch are under way at a time.
 */
import type { TransactionId } from '../../terminal/kernel/ports.js';
import { assert } from '../../terminal/kernel/result.js';
import type { Balances, FinalAnswer, RecordAnswer, Watermark } from '../protocol/sync.js';
import { backOffCeilingMs, faultOf, reached } from './faults.js';
import { type HostFailure, retryAfterMaxMs } from './host-port.js';
import { decidedByTerminal } from './outbox-port.js';
import {
  batchesMax,
  type EventOf,
  type Hold,
  holdMinMs,
  holdsMax,
  type Moment,
  poisonHoldMs,
  type RunningState,
  type StateOf,
  type SyncEffect,
  type SyncEvent,
  type SyncEventType,
  type SyncLimits,
  type SyncMemory,
  type SyncPhase,
  type SyncState,
  type SyncStep,
  suspectsMax,
} from './sync-state.js';

export const initialState: SyncState = { phase: 'offline', generation: 0 };

const report: SyncEffect = { type: 'reportStatus' };
const balancesUnknown: Balances = {
  points: null,
  pointsOwed: null,
  couponMinor: null,
  couponCode: null,
  currency: null,
};

const freshMemory = (event: EventOf<'started' | 'enrolled'>, limits: SyncLimits): SyncMemory => ({
  failures: 0,
  sliceMax: limits.pageSize,
  holds: [],
  suspects: [],
  answeredBatches: 0,
  fetchDue: true,
  pollAtMonotonicMs: event.atMonotonicMs,
  directivesVersion: event.directivesVersion,
  watermark: null,
  contact: 'none',
  lastContactWallMs: null,
  lastError: null,
});

function withContact(memory: SyncMemory, at: Moment): SyncMemory {
  return { ...memory, failures: 0, contact: 'succeeded', lastContactWallMs: at.atWallMs, lastError: null };
}

function withHold(memory: SyncMemory, hold: Hold): SyncMemory {
  const others = memory.holds.filter(({ transactionId }) => transactionId !== hold.transactionId);
  return others.length >= holdsMax ? memory : { ...memory, holds: [...others, hold] };
}

/** Without the holds that have ended. */
function withoutPast(memory: SyncMemory, nowMonotonicMs: number): SyncMemory {
  const holds = memory.holds.filter((hold) => hold.untilMonotonicMs > nowMonotonicMs);
  return holds.length === memory.holds.length ? memory : { ...memory, holds };
}

/**
 * Goes on with the round: the next slice, else the directives where due, else rest. Where the directives are due and there
 * is nothing to send, the host is asked first whether it still holds what it answered: else a box that sells nothing would
 * not learn that the host went back to a backup.
 */
function goOn(
  memory: SyncMemory,
  generation: number,
  at: Moment,
  limits: SyncLimits,
  evenEmpty = memory.fetchDue,
): SyncStep {
  const current = withoutPast(memory, at.atMonotonicMs);
  const limit = Math.min(current.sliceMax, holdsMax - current.holds.length);
  if (limit <= 0) return afterQueue(current, generation, at, limits);
  const held = current.holds.map((hold) => hold.transactionId);
  return [
    { phase: 'sending', generation: generation + 1, underWay: 1, memory: current },
    [{ type: 'sendBatch', limit, held, evenEmpty }],
  ];
}

/**
 * A further batch while one is under way, so that the host need not wait for the box between them. Only while all goes well:
 * after a failure one batch finds out how the host is. They may overtake each other: the order within a batch is for speed,
 * and the host takes records in any order. A failure of one makes the others void by its generation: their records stay
 * queued and go again, and the host gives the same answers.
 */
function sendAnother(
  state: StateOf<'sending'>,
  { atMonotonicMs, generation }: EventOf<'sliceFull'>,
  { pageSize }: SyncLimits,
): SyncStep {
  const { underWay } = state;
  const memory = withoutPast(state.memory, atMonotonicMs);
  const isWell = memory.failures === 0 && memory.sliceMax === pageSize;
  const limit = Math.min(pageSize, holdsMax - memory.holds.length - underWay * pageSize);
  if (generation !== state.generation || underWay >= batchesMax || !isWell || limit <= 0) return [state, []];
  const held = memory.holds.map(({ transactionId }) => transactionId);
  return [{ ...state, underWay: underWay + 1, memory }, [{ type: 'sendBatch', limit, held, evenEmpty: false }]];
}

function afterQueue(memory: SyncMemory, generation: number, at: Moment, limits: SyncLimits): SyncStep {
  if (memory.fetchDue)
    return [{ phase: 'fetching', generation: generation + 1, memory }, [{ type: 'fetchDirectives' }]];
  return rest(memory, generation, at, limits);
}

function rest(memory: SyncMemory, generation: number, at: Moment, limits: SyncLimits): SyncStep {
  let wakeAtMonotonicMs = Math.min(memory.pollAtMonotonicMs, at.atMonotonicMs + 2 * limits.pollMs);
  for (const hold of memory.holds) wakeAtMonotonicMs = Math.min(wakeAtMonotonicMs, hold.untilMonotonicMs);
  const next = generation + 1;
  const delayMs = Math.max(1, wakeAtMonotonicMs - at.atMonotonicMs);
  return [
    { phase: 'idle', generation: next, memory, wakeAtMonotonicMs },
    [{ type: 'startTimer', generation: next, delayMs }, report],
  ];
}

/** Waits for a random part of the ceiling (full jitter, so that a fleet does not come back in step), after what the host asked for. */
function backOff(memory: SyncMemory, generation: number, at: Moment, limits: SyncLimits, retryAfterMs = 0): SyncStep {
  const failures = memory.failures + 1;
  const drawn = Math.floor(at.jitter * backOffCeilingMs(failures, limits));
  const delayMs = Math.max(1, Math.min(retryAfterMs, retryAfterMaxMs) + drawn);
  const next = generation + 1;
  return [
    {
      phase: 'backingOff',
      generation: next,
      wakeAtMonotonicMs: at.atMonotonicMs + delayMs,
      // An empty queue proves nothing at the next attempt: fetching does.
      memory: { ...memory, failures, fetchDue: true },
    },
    [{ type: 'startTimer', generation: next, delayMs }, report],
  ];
}

function afterFailure(
  memory: SyncMemory,
  failure: HostFailure,
  generation: number,
  at: Moment,
  limits: SyncLimits,
): SyncStep {
  return backOff(withTrouble(memory, failure, at), generation, at, limits, failure.retryAfterMs ?? 0);
}

function withTrouble(memory: SyncMemory, failure: HostFailure, at: Moment): SyncMemory {
  const lastError = { code: failure.code, detail: failure.detail };
  return reached(failure)
    ? { ...memory, contact: 'succeeded', lastContactWallMs: at.atWallMs, lastError }
    : { ...memory, contact: 'failed', lastError };
}

/** A host that does not hold what the box named was restored from a backup: what it lost goes again. */
function withWatermark(memory: SyncMemory, watermark: Watermark | null): readonly [SyncMemory, readonly SyncEffect[]] {
  if (!watermark) return [memory, []];
  return [{ ...memory, watermark }, watermark.wentBack ? [{ type: 'reportRegression', to: watermark }] : []];
}

/**
 * Where another batch is still under way, its answer goes on with the round. An answer that is lost before it is stored (the
 * store fails, the power goes) leaves its record queued, and the host gives the same answer again. Where the host went back,
 * what it lost is queued again before anything more is sent.
 */
function batchAnswered(state: StateOf<'sending'>, event: EventOf<'batchAnswered'>, limits: SyncLimits): SyncStep {
  const finals: FinalAnswer[] = [];
  const later: Extract<RecordAnswer, { outcome: 'later' }>[] = [];
  for (const answer of event.answers) {
    if (answer.outcome === 'later') later.push(answer);
    else finals.push(answer);
  }
  const settled = new Set(finals.map((answer) => answer.transactionId));
  const [known, regression] = withWatermark(withContact(state.memory, event), event.watermark);
  const memory: SyncMemory = {
    ...known,
    sliceMax: Math.min(limits.pageSize, known.sliceMax * 2),
    holds: [
      ...known.holds,
      ...later.map(({ transactionId, code, retryAfterMs }) => ({
        transactionId,
        code,
        untilMonotonicMs: event.atMonotonicMs + Math.min(retryAfterMaxMs, Math.max(holdMinMs, retryAfterMs)),
      })),
    ].slice(0, holdsMax),
    suspects: known.suspects.filter(({ transactionId }) => !settled.has(transactionId)),
    answeredBatches: known.answeredBatches + (finals.length > 0 ? 1 : 0),
    fetchDue: known.fetchDue || event.directivesVersion > (known.directivesVersion ?? -1),
  };
  const settle: readonly SyncEffect[] =
    finals.length > 0 ? [{ type: 'settle', answers: finals, held: event.watermark }] : [];
  const taken = [...settle, ...regression, report];
  const underWay = state.underWay - 1;
  if (underWay > 0) return [{ ...state, underWay, memory }, taken];
  const [next, effects] =
    event.answers.length === 0 && !event.watermark.wentBack
      ? afterQueue(memory, state.generation, event, limits)
      : goOn(memory, state.generation, event, limits, false);
  return [next, [...taken, ...effects]];
}

function sliceEmpty(state: StateOf<'sending'>, event: EventOf<'sliceEmpty'>, limits: SyncLimits): SyncStep {
  const underWay = state.underWay - 1;
  return underWay > 0 ? [{ ...state, underWay }, []] : afterQueue(state.memory, state.generation, event, limits);
}

function batchFailed(state: StateOf<'sending'>, event: EventOf<'batchFailed'>, limits: SyncLimits): SyncStep {
  const { failure, transactionIds } = event;
  const { generation, memory } = state;
  const fault = faultOf(failure);
  const alone = transactionIds.length === 1 ? transactionIds[0] : undefined;
  if (fault === 'unrelated' || transactionIds.length === 0)
    return afterFailure(memory, failure, generation, event, limits);
  if (alone === undefined) {
    const smaller = { ...memory, sliceMax: Math.max(1, Math.floor(transactionIds.length / 2)) };
    // Halving ends at one record after at most log2(pageSize) requests, so it needs no wait where the host is well.
    return fault === 'unreadable'
      ? goOn(smaller, generation, event, limits)
      : afterFailure(smaller, failure, generation, event, limits);
  }
  const suspicion = memory.suspects.find(({ transactionId }) => transactionId === alone);
  if (fault === 'unreadable' && suspicion && suspicion.answeredBatches < memory.answeredBatches)
    return buryUnreadable(state, alone, event, limits);
  const untilMonotonicMs = event.atMonotonicMs + Math.max(poisonHoldMs, failure.retryAfterMs ?? 0);
  const held = withHold(memory, { transactionId: alone, code: failure.code, untilMonotonicMs });
  const suspects =
    fault === 'unreadable' && !suspicion
      ? [...held.suspects, { transactionId: alone, answeredBatches: memory.answeredBatches }].slice(-suspectsMax)
      : held.suspects;
  return afterFailure({ ...held, suspects }, failure, generation, event, limits);
}

/**
 * A record that the host twice could not read even alone, while it did answer others in between: the record is to
 * blame, and is refused here in the host's place. Without that proof it waits, so that a host which can read nothing
 * at all never empties the queue into the dead letters.
 */
function buryUnreadable(
  state: StateOf<'sending'>,
  transactionId: TransactionId,
  event: EventOf<'batchFailed'>,
  limits: SyncLimits,
): SyncStep {
  const answer: FinalAnswer = {
    outcome: 'refused',
    transactionId,
    code: 'record.malformed',
    detail: `${decidedByTerminal}: the host could not read it (HTTP ${event.failure.httpStatus})`,
    balances: balancesUnknown,
  };
  const suspects = state.memory.suspects.filter((suspect) => suspect.transactionId !== transactionId);
  const [next, effects] = goOn({ ...state.memory, suspects }, state.generation, event, limits);
  return [next, [{ type: 'settle', answers: [answer], held: null }, ...effects]];
}

function directivesArrived(
  state: StateOf<'fetching'>,
  event: EventOf<'directivesArrived'>,
  limits: SyncLimits,
): SyncStep {
  const memory: SyncMemory = {
    ...withContact(state.memory, event),
    fetchDue: false,
    directivesVersion: event.version,
    pollAtMonotonicMs: event.atMonotonicMs + Math.floor(limits.pollMs * (0.9 + 0.2 * event.jitter)),
  };
  const [next, effects] = goOn(memory, state.generation, event, limits);
  return [next, [report, ...effects]];
}

/** A host that has no directives for us yet, or says so, is no reason to keep records waiting: only the poll waits. */
function directivesFailed(
  state: StateOf<'fetching'>,
  event: EventOf<'directivesFailed'>,
  limits: SyncLimits,
): SyncStep {
  const { failure } = event;
  if (!reached(failure)) return afterFailure(state.memory, failure, state.generation, event, limits);
  const failures = state.memory.failures + 1;
  const waitMs = (failure.retryAfterMs ?? 0) + Math.floor(event.jitter * backOffCeilingMs(failures, limits));
  const memory = { ...withTrouble(state.memory, failure, event), failures, fetchDue: false };
  return goOn({ ...memory, pollAtMonotonicMs: event.atMonotonicMs + waitMs }, state.generation, event, limits);
}

function timerFired(state: StateOf<'idle' | 'backingOff'>, event: EventOf<'timerFired'>, limits: SyncLimits): SyncStep {
  if (event.generation !== state.generation) return [state, []];
  const pollDue = event.atMonotonicMs >= state.memory.pollAtMonotonicMs;
  return goOn({ ...state.memory, fetchDue: state.memory.fetchDue || pollDue }, state.generation, event, limits);
}

/** A person wants all sent now: also what the host had put off, since it may be that a person has settled that. */
function roundRequested(
  state: StateOf<'idle' | 'backingOff'>,
  event: EventOf<'roundRequested'>,
  limits: SyncLimits,
): SyncStep {
  return goOn({ ...state.memory, fetchDue: true, holds: [] }, state.generation, event, limits);
}

/** A request beside the batches got through while this one is under way, or with nothing under way. */
function contactSucceeded<State extends RunningState>(state: State, event: EventOf<'contactSucceeded'>): SyncStep {
  const [memory, regression] = withWatermark(withContact(state.memory, event), event.watermark);
  return [{ ...state, memory }, [...regression, report]];
}

function contactFailed<State extends RunningState>(state: State, event: EventOf<'contactFailed'>): SyncStep {
  return [{ ...state, memory: withTrouble(state.memory, event.failure, event) }, [report]];
}

function postponed<State extends RunningState>(state: State, event: EventOf<'recordPostponed'>): State {
  const waitMs = Math.min(retryAfterMaxMs, Math.max(holdMinMs, event.retryAfterMs));
  const { transactionId, code } = event;
  return {
    ...state,
    memory: withHold(state.memory, { transactionId, code, untilMonotonicMs: event.atMonotonicMs + waitMs }),
  };
}

function storeFailed(state: RunningState, event: EventOf<'storeFailed'>, limits: SyncLimits): SyncStep {
  const memory = { ...state.memory, lastError: { code: event.code, detail: event.detail } };
  return backOff(memory, state.generation, event, limits);
}

const begin = (state: SyncState, event: EventOf<'started' | 'enrolled'>, limits: SyncLimits): SyncStep =>
  goOn(freshMemory(event, limits), state.generation, event, limits);

const stop = (state: SyncState): SyncStep => [{ phase: 'offline', generation: state.generation + 1 }, [report]];

type Handler<Phase extends SyncPhase, Type extends SyncEventType> = (
  state: StateOf<Phase>,
  event: EventOf<Type>,
  limits: SyncLimits,
) => SyncStep;
type Table = {
  readonly [Phase in SyncPhase]: { readonly [Type in SyncEventType]: Handler<Phase, Type> | 'ignored' | 'impossible' };
};

/** What each phase makes of each event. `ignored`: it can happen and changes nothing. `impossible`: a bug in the shell. */
export const table: Table = {
  offline: {
    started: (state, event, limits) =>
      event.enrolled ? begin(state, event, limits) : [{ phase: 'notEnrolled', generation: state.generation }, [report]],
    enrolled: 'ignored',
    stopped: 'ignored',
    recordsQueued: 'ignored',
    roundRequested: 'ignored',
    sliceEmpty: 'impossible',
    sliceFull: 'ignored',
    batchAnswered: 'impossible',
    batchFailed: 'impossible',
    directivesArrived: 'impossible',
    directivesFailed: 'impossible',
    contactSucceeded: 'ignored',
    contactFailed: 'ignored',
    recordPostponed: 'ignored',
    storeFailed: 'ignored',
    timerFired: 'ignored',
  },
  notEnrolled: {
    started: 'impossible',
    enrolled: begin,
    stopped: stop,
    recordsQueued: 'ignored',
    roundRequested: 'ignored',
    sliceEmpty: 'impossible',
    sliceFull: 'ignored',
    batchAnswered: 'impossible',
    batchFailed: 'impossible',
    directivesArrived: 'impossible',
    directivesFailed: 'impossible',
    contactSucceeded: 'impossible',
    contactFailed: 'impossible',
    recordPostponed: 'impossible',
    storeFailed: 'ignored',
    timerFired: 'ignored',
  },
  idle: {
    started: 'impossible',
    enrolled: 'ignored',
    stopped: stop,
    recordsQueued: (state, event, limits) => goOn(state.memory, state.generation, event, limits),
    roundRequested,
    sliceEmpty: 'impossible',
    sliceFull: 'ignored',
    batchAnswered: 'impossible',
    batchFailed: 'impossible',
    directivesArrived: 'impossible',
    directivesFailed: 'impossible',
    contactSucceeded,
    contactFailed: (state, event, limits) =>
      reached(event.failure)
        ? contactFailed(state, event)
        : afterFailure(state.memory, event.failure, state.generation, event, limits),
    // Resting again moves the timer to the new hold's end where that comes first.
    recordPostponed: (state, event, limits) => rest(postponed(state, event).memory, state.generation, event, limits),
    storeFailed,
    timerFired,
  },
  sending: {
    started: 'impossible',
    enrolled: 'ignored',
    stopped: stop,
    // The outbox is asked again before the round ends.
    recordsQueued: 'ignored',
    roundRequested: (state) => [{ ...state, memory: { ...state.memory, fetchDue: true, holds: [] } }, []],
    sliceEmpty,
    sliceFull: sendAnother,
    batchAnswered,
    batchFailed,
    directivesArrived: 'impossible',
    directivesFailed: 'impossible',
    contactSucceeded,
    contactFailed,
    recordPostponed: (state, event) => [postponed(state, event), []],
    storeFailed,
    timerFired: 'ignored',
  },
  fetching: {
    started: 'impossible',
    enrolled: 'ignored',
    stopped: stop,
    recordsQueued: 'ignored',
    roundRequested: (state) => [{ ...state, memory: { ...state.memory, holds: [] } }, []],
    sliceEmpty: 'impossible',
    sliceFull: 'ignored',
    batchAnswered: 'impossible',
    batchFailed: 'impossible',
    directivesArrived,
    directivesFailed,
    contactSucceeded,
    contactFailed,
    recordPostponed: (state, event) => [postponed(state, event), []],
    storeFailed,
    timerFired: 'ignored',
  },
  backingOff: {
    started: 'impossible',
    enrolled: 'ignored',
    stopped: stop,
    recordsQueued: 'ignored',
    roundRequested,
    sliceEmpty: 'impossible',
    sliceFull: 'ignored',
    batchAnswered: 'impossible',
    batchFailed: 'impossible',
    directivesArrived: 'impossible',
    directivesFailed: 'impossible',
    contactSucceeded: (state, event, limits) => {
      const [next, effects] = contactSucceeded(state, event);
      if (next.phase !== 'backingOff') return [next, effects];
      const [resumed, more] = goOn(next.memory, next.generation, event, limits);
      return [resumed, [...effects, ...more]];
    },
    contactFailed,
    recordPostponed: (state, event) => [postponed(state, event), []],
    storeFailed: (state, event) => [
      { ...state, memory: { ...state.memory, lastError: { code: event.code, detail: event.detail } } },
      [report],
    ],
    timerFired,
  },
};

/** One step. Throws where the table says `impossible`: that is a bug of the caller. */
export function transition(state: SyncState, event: SyncEvent, limits: SyncLimits): SyncStep {
  const entry = table[state.phase][event.type];
  if (entry === 'ignored') return [state, []];
  assert(entry !== 'impossible', `sync event ${event.type} in phase ${state.phase}`);
  // The table's type ties each handler to its phase and event; this lookup by both is the one place that loses the tie.
  return (entry as (state: SyncState, event: SyncEvent, limits: SyncLimits) => SyncStep)(state, event, limits);
}
