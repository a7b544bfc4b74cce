/**
 * Shows that the sync reducer keeps two batches in flight at most, backs off within its bounds, loses no record and lets no
 * record block the others. How: single steps, and random worlds of faults played through a model of the shell on a
 * clock of numbers; once the faults end, every record must have been settled exactly once.
 */
import fc from 'fast-check';
import t from 'tap';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import { monotonicMs, wallMs } from '../../terminal/kernel/units.js';
import { batchRecordsMax, type FinalAnswer, type RecordAnswer } from '../protocol/sync.js';
import { backOffCeilingMs } from './faults.js';
import type { HostFailure } from './host-port.js';
import { initialState, table, transition } from './reducer.js';
import { acceptedAnswer, idOf, MemoryOutbox, watermarkAt } from './sim/memory-outbox.js';
import {
  batchesMax,
  type EffectOf,
  holdMinMs,
  holdsMax,
  poisonHoldMs,
  type SyncEffect,
  type SyncHappening,
  type SyncLimits,
  type SyncState,
} from './sync-state.js';
import { reachableIn, statusOf } from './sync-status.js';

const limits: SyncLimits = { pageSize: 8, backOffMinMs: 1_000, backOffMaxMs: 60_000, pollMs: 60_000 };
const unreachable: HostFailure = { code: 'host.unreachable', detail: '', httpStatus: null, retryAfterMs: null };
const status = (httpStatus: number, code: HostFailure['code'] = 'host.refused'): HostFailure => ({
  code,
  detail: '',
  httpStatus,
  retryAfterMs: null,
});

function play(
  happenings: readonly SyncHappening[],
  { from = initialState, at = 1_000, jitter = 0.5, by = limits } = {},
) {
  let state: SyncState = from;
  let effects: readonly SyncEffect[] = [];
  for (const happening of happenings)
    [state, effects] = transition(
      state,
      { ...happening, atMonotonicMs: monotonicMs(at), atWallMs: wallMs(at), jitter },
      by,
    );
  return { state, effects, types: effects.map(({ type }) => type) };
}
const started: SyncHappening = { type: 'started', enrolled: true, directivesVersion: 3 };
const answered = (answers: readonly RecordAnswer[], directivesVersion = 3): SyncHappening => ({
  type: 'batchAnswered',
  answers,
  watermark: watermarkAt(answers.length),
  directivesVersion,
});
const online: readonly SyncHappening[] = [
  started,
  { type: 'sliceEmpty' },
  { type: 'directivesArrived', version: 3 },
  { type: 'sliceEmpty' },
];

t.test('a start looks into the queue, then fetches directives, then rests online', async (t) => {
  t.same(play(online.slice(0, 1)).effects, [{ type: 'sendBatch', limit: 8, held: [], evenEmpty: true }]);
  t.same(play(online.slice(0, 2)).types, ['fetchDirectives']);
  t.ok(reachableIn(play(online.slice(0, 1)).state), 'a sale may ask before the first contact has ended');
  const { state, effects } = play(online);
  t.equal(state.phase, 'idle');
  t.same(effects[0], { type: 'startTimer', generation: state.generation, delayMs: 60_000 });
  t.ok(reachableIn(state));
  t.same(statusOf(state, 2_000), {
    state: 'online',
    lastContactWallMs: 1_000,
    lastError: null,
    nextAttemptInMs: 59_000,
  });
});

t.test('an idle box asks at each poll whether the host still holds what it answered', async (t) => {
  const { state } = play(online);
  const due = play([{ type: 'timerFired', generation: state.generation }], { from: state, at: 61_000 });
  t.match(due.effects, [{ type: 'sendBatch', evenEmpty: true }]);
  const well = play([{ ...answered([]), watermark: watermarkAt(1) } as SyncHappening], { from: due.state });
  t.same(well.types, ['reportStatus', 'fetchDirectives'], 'once, then the directives');
  const back = { ...watermarkAt(0), wentBack: true };
  const gone = play([{ ...answered([]), watermark: back } as SyncHappening], { from: due.state });
  t.same(
    gone.types,
    ['reportRegression', 'reportStatus', 'sendBatch'],
    'what it lost goes again, before anything else',
  );
  const failed = play([{ type: 'batchFailed', transactionIds: [], failure: { ...unreachable } }], { from: due.state });
  t.equal(failed.state.phase, 'backingOff');
});

t.test('without enrolment nothing is sent until it is done', async (t) => {
  const { state, types } = play([
    { type: 'started', enrolled: false, directivesVersion: null },
    { type: 'recordsQueued' },
  ]);
  t.equal(state.phase, 'notEnrolled');
  t.same(types, []);
  t.equal(statusOf(state, 0).state, 'notEnrolled');
  t.notOk(reachableIn(state));
  t.same(play([{ type: 'enrolled', directivesVersion: null }], { from: state }).types, ['sendBatch']);
});

t.test('a queued record leaves at once when idle, not while backing off', async (t) => {
  t.same(play([...online, { type: 'recordsQueued' }]).types, ['sendBatch']);
  const waiting = play([started, { type: 'batchFailed', transactionIds: [idOf(1)], failure: unreachable }]);
  t.equal(waiting.state.phase, 'backingOff');
  t.notOk(reachableIn(waiting.state));
  t.same(play([{ type: 'recordsQueued' }], { from: waiting.state }).types, []);
  t.same(play([{ type: 'roundRequested' }], { from: waiting.state }).types, ['sendBatch']);
});

t.test('final answers are settled before the next slice; a newer version makes a fetch due', async (t) => {
  const answer = acceptedAnswer(idOf(1));
  const first = play([started, answered([answer], 4)]);
  t.same(first.types, ['settle', 'reportStatus', 'sendBatch']);
  t.same(first.effects[0], { type: 'settle', answers: [answer], held: watermarkAt(1) });
  t.same(first.effects[2], { type: 'sendBatch', limit: 8, held: [], evenEmpty: false });
  t.same(play([{ type: 'sliceEmpty' }], { from: first.state }).types, ['fetchDirectives']);
});

t.test('behind a full slice another goes out, and never a third', async (t) => {
  const one = play([started]).state;
  const full = { type: 'sliceFull', generation: one.generation } as const;
  const two = play([full], { from: one });
  t.same(two.effects, [{ type: 'sendBatch', limit: 8, held: [], evenEmpty: false }]);
  t.same(play([full], { from: two.state }).effects, [], 'two are under way');
  const late: RecordAnswer = { outcome: 'later', transactionId: idOf(3), code: 'host.busy', retryAfterMs: 0 };
  const answeredOne = play([answered([acceptedAnswer(idOf(1)), late])], { from: two.state });
  t.same(answeredOne.types, ['settle', 'reportStatus'], 'the other goes on with the round');
  t.match(play([full], { from: answeredOne.state }).effects, [{ type: 'sendBatch', held: [idOf(3)] }]);
  const due = play([full], { from: answeredOne.state, at: 2_000 });
  t.match(
    due.effects,
    [{ type: 'sendBatch', held: [] }],
    'what was put off goes when it is due, before the queue is empty',
  );
  t.match(due.state, { memory: { holds: [] } });
  const forced = play([{ type: 'roundRequested' }], { from: answeredOne.state });
  t.match(forced.state, { phase: 'sending', memory: { holds: [], fetchDue: true } }, 'at once where a person wants it');
  const empty = play([full, { type: 'sliceEmpty' }], { from: answeredOne.state });
  t.same([empty.state.phase, ...empty.types], ['sending'], 'nothing more, and one under way');
  t.same(play([answered([acceptedAnswer(idOf(2))])], { from: empty.state }).types, [
    'settle',
    'reportStatus',
    'sendBatch',
  ]);
  const back = { ...answered([acceptedAnswer(idOf(1))]), watermark: { ...watermarkAt(0), wentBack: true } };
  t.same(
    play([back as SyncHappening], { from: two.state }).types,
    ['settle', 'reportRegression', 'reportStatus'],
    'what the host lost is queued again at once',
  );
});

t.test('a second batch goes out only while all is well, and a failure makes the other void', async (t) => {
  const failed: SyncHappening = { type: 'batchFailed', transactionIds: [idOf(1)], failure: unreachable };
  const again = play([started, failed, { type: 'roundRequested' }]).state;
  t.same(play([{ type: 'sliceFull', generation: again.generation }], { from: again }).effects, [], 'not proven yet');
  const ids = [1, 2, 3, 4, 5, 6, 7, 8].map(idOf);
  const halved = play([started, { type: 'batchFailed', transactionIds: ids, failure: status(400) }]).state;
  t.same(
    play([{ type: 'sliceFull', generation: halved.generation }], { from: halved }).effects,
    [],
    'who is to blame?',
  );
  const one = play([started]).state;
  const two = play([{ type: 'sliceFull', generation: one.generation }], { from: one }).state;
  const void_ = play([failed], { from: two }).state;
  t.equal(void_.phase, 'backingOff');
  t.not(void_.generation, two.generation);
  const stale = play([{ type: 'sliceFull', generation: one.generation - 1 }], { from: one });
  t.same(stale.effects, [], 'of an earlier round');
});

t.test('with two batches under way no more is held than may be', async (t) => {
  const by = { ...limits, pageSize: batchRecordsMax };
  let { state } = play(online.slice(0, 1), { by });
  const later = (at: number): RecordAnswer[] =>
    Array.from({ length: batchRecordsMax }, (_, i) => ({
      outcome: 'later',
      transactionId: idOf(at + i),
      code: 'host.quarantined',
      retryAfterMs: 600_000,
    }));
  for (let at = 0; at < holdsMax - batchRecordsMax; at += batchRecordsMax)
    ({ state } = play([answered(later(at))], { from: state, by }));
  t.equal(state.phase, 'sending');
  t.same(play([{ type: 'sliceFull', generation: state.generation }], { from: state, by }).effects, []);
});

t.test('`later` holds that record alone, and at least a second', async (t) => {
  const later: RecordAnswer = { outcome: 'later', transactionId: idOf(1), code: 'host.busy', retryAfterMs: 0 };
  const { state, effects } = play([...online, { type: 'recordsQueued' }, answered([later, acceptedAnswer(idOf(2))])]);
  t.match(effects[0], { type: 'settle', answers: [{ transactionId: idOf(2) }] });
  t.match(effects[2], { type: 'sendBatch', limit: 8, held: [idOf(1)] });
  const idle = play([{ type: 'sliceEmpty' }], { from: state });
  t.same(idle.effects[0], { type: 'startTimer', generation: idle.state.generation, delayMs: holdMinMs });
  t.equal(statusOf(idle.state, 1_000).lastError?.code, 'host.busy');
  const due = play([{ type: 'timerFired', generation: idle.state.generation }], {
    from: idle.state,
    at: 1_000 + holdMinMs,
  });
  t.same(due.effects, [{ type: 'sendBatch', limit: 8, held: [], evenEmpty: false }]);
});

t.test('held records are bounded: at the most, nothing is sent until one is due', async (t) => {
  const by = { ...limits, pageSize: batchRecordsMax };
  let { state } = play(online.slice(0, 1), { by });
  for (let at = 0; at < holdsMax; at += batchRecordsMax) {
    const answers = Array.from(
      { length: batchRecordsMax },
      (_, i): RecordAnswer => ({
        outcome: 'later',
        transactionId: idOf(at + i),
        code: 'host.quarantined',
        retryAfterMs: 600_000,
      }),
    );
    ({ state } = play([answered(answers)], { from: state, by }));
  }
  t.equal(state.phase, 'fetching', 'the queue is left alone');
  t.equal('memory' in state && state.memory.holds.length, holdsMax);
});

t.test('a stale timer does nothing', async (t) => {
  const { state } = play(online);
  const stale = play([{ type: 'timerFired', generation: state.generation - 1 }], { from: state, at: 100_000 });
  t.equal(stale.state, state);
  t.same(stale.effects, []);
  t.same(play([{ type: 'timerFired', generation: state.generation }], { from: state, at: 100_000 }).types, [
    'sendBatch',
  ]);
});

t.test(
  'an unreadable batch is halved at once; the one bad record dies only after proof that the host reads others',
  async (t) => {
    const ids = [1, 2, 3, 4, 5, 6, 7, 8].map(idOf);
    const unreadable = (transactionIds: readonly TransactionId[]): SyncHappening => ({
      type: 'batchFailed',
      transactionIds,
      failure: status(400),
    });
    const halved = play([started, unreadable(ids)]);
    t.same(halved.effects, [{ type: 'sendBatch', limit: 4, held: [], evenEmpty: true }]);
    const alone = play([unreadable(ids.slice(0, 4)), unreadable(ids.slice(0, 2)), unreadable(ids.slice(0, 1))], {
      from: halved.state,
    });
    t.equal(alone.state.phase, 'backingOff', 'no proof yet: it waits');
    const retry: SyncHappening = { type: 'roundRequested' };
    const again = play([retry, unreadable(ids.slice(0, 1))], { from: alone.state, at: 1_000 + poisonHoldMs });
    t.notOk(again.types.includes('settle'), 'nothing answered in between: still no proof');
    const proven = play([retry, answered([acceptedAnswer(idOf(9))])], { from: again.state, at: 2_000 + poisonHoldMs });
    const buried = play([unreadable(ids.slice(0, 1))], { from: proven.state, at: 3_000 + 2 * poisonHoldMs });
    const settle = buried.effects[0];
    t.equal(settle?.type, 'settle');
    const answer: FinalAnswer | undefined = settle?.type === 'settle' ? settle.answers[0] : undefined;
    t.match(answer, { outcome: 'refused', transactionId: idOf(1), code: 'record.malformed' });
  },
);

t.test('a refusal of directives keeps the box online and the queue open', async (t) => {
  const { state } = play([
    started,
    { type: 'sliceEmpty' },
    { type: 'directivesFailed', failure: status(409, 'rules.unknown') },
    { type: 'sliceEmpty' },
  ]);
  t.equal(state.phase, 'idle');
  t.ok(reachableIn(state));
  t.equal(statusOf(state, 1_000).lastError?.code, 'rules.unknown');
  t.same(play([{ type: 'recordsQueued' }], { from: state }).types, ['sendBatch']);
});

t.test('a request beside the batches tells about the host, too', async (t) => {
  const lost = play([...online, { type: 'contactFailed', failure: unreachable }]);
  t.equal(lost.state.phase, 'backingOff');
  const found = play([{ type: 'contactSucceeded', watermark: watermarkAt(5) }], { from: lost.state });
  t.equal(found.state.phase, 'sending');
  t.ok(reachableIn(found.state));
  t.ok(reachableIn(play([...online, { type: 'contactFailed', failure: status(403, 'host.quarantined') }]).state));
});

t.test(
  'a host that does not hold what the box named went back: all that it may have lost is queued again',
  async (t) => {
    const back = { ...watermarkAt(4), wentBack: true };
    t.same(play([...online, { type: 'contactSucceeded', watermark: back }]).effects[0], {
      type: 'reportRegression',
      to: back,
    });
    const busy = { outcome: 'later', transactionId: idOf(1), code: 'host.busy', retryAfterMs: 2_000 } as const;
    const asked = play([
      ...online,
      { type: 'recordsQueued' },
      { ...answered([busy]), watermark: back } as SyncHappening,
    ]);
    t.same(
      asked.types.slice(0, 2),
      ['reportRegression', 'reportStatus'],
      'nothing was answered, so nothing is settled',
    );
    const some = { ...answered([acceptedAnswer(idOf(1)), busy]), watermark: back } as SyncHappening;
    t.same(
      play([...online, { type: 'recordsQueued' }, some]).types,
      ['settle', 'reportRegression', 'reportStatus', 'sendBatch'],
      'nothing goes before what it lost is queued again',
    );
    const well = play([...online, { type: 'contactSucceeded', watermark: watermarkAt(1) }]);
    t.notOk(well.types.includes('reportRegression'), 'fewer by number alone says nothing: answers may have been late');
  },
);

t.test('a store that fails is backed off from without calling the host lost', async (t) => {
  const { state } = play([
    ...online,
    { type: 'recordsQueued' },
    { type: 'storeFailed', code: 'store.full', detail: '' },
  ]);
  t.equal(state.phase, 'backingOff');
  t.ok(reachableIn(state));
  t.equal(statusOf(state, 1_000).lastError?.code, 'store.full');
});

t.test('the table decides every phase and event; impossible ones throw', async (t) => {
  for (const [phase, row] of Object.entries(table)) t.equal(Object.keys(row).length, 16, phase);
  t.throws(() => play([...online, { type: 'sliceEmpty' }]), /sliceEmpty in phase idle/);
});

t.test('back-off is random below a ceiling that doubles up to its end, after what the host asked for', async (t) => {
  let drawnDelays = 0;
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 12 }),
      fc.option(fc.integer({ min: 0, max: 100_000 })),
      (jitters, retryAfterMs) => {
        let state = play([started]).state;
        jitters.forEach((jitter, failed) => {
          const failure = { ...unreachable, retryAfterMs };
          const step = play([{ type: 'batchFailed', transactionIds: [idOf(1), idOf(2)], failure }], {
            from: state,
            jitter,
          });
          const timer = step.effects.find((effect) => effect.type === 'startTimer');
          const drawn = (timer?.type === 'startTimer' ? timer.delayMs : Number.NaN) - (retryAfterMs ?? 0);
          const ceiling = Math.min(60_000, 1_000 * 2 ** failed);
          drawnDelays += 1;
          if (ceiling !== backOffCeilingMs(failed + 1, limits)) throw new Error('ceiling');
          if (!(drawn >= 0 && drawn <= ceiling)) throw new Error(`waited ${drawn} of ${ceiling}`);
          state = play([{ type: 'timerFired', generation: step.state.generation }], { from: step.state }).state;
        });
      },
    ),
  );
  t.ok(drawnDelays > 100);
});

/** What the world does to one request. Records numbered in `poison` make any batch that holds them fail with 400, for good. */
type Fate =
  | 'well'
  | 'lost'
  | 'garbled'
  | 'http400'
  | 'http413'
  | 'http500'
  | 'http503'
  | 'http403'
  | 'later'
  | 'storeFails'
  | 'settleFails'
  | 'contactLost'
  | 'contactFound'
  | 'askedForRound';

/** A request of the model; its answer counts only in the generation that sent it, as the shell sees to. */
interface Flight {
  readonly generation: number;
  readonly taken: readonly TransactionId[];
  readonly isFull: boolean;
  readonly answer: () => SyncHappening;
}

/** Plays a world to its end. Throws where too many requests are in flight. @returns the outbox, how long it took, and the most batches at once */
function runWorld(
  fates: readonly Fate[],
  records: number,
  poison: ReadonlySet<number>,
  jitters: readonly number[],
): { outbox: MemoryOutbox; nowMs: number; batchesAtOnce: number } {
  const outbox = new MemoryOutbox();
  const ids = outbox.queue(Math.ceil(records / 2));
  let state: SyncState = initialState;
  let nowMs = 0;
  let draws = 0;
  let fateAt = 0;
  const inFlight: Flight[] = [];
  let batchesAtOnce = 0;
  const timers: { atMs: number; generation: number }[] = [];
  const pending: SyncHappening[] = [started];
  const fail = (transactionIds: readonly TransactionId[], failure: HostFailure): SyncHappening => ({
    type: 'batchFailed',
    transactionIds,
    failure,
  });

  const storeFailed: SyncHappening = { type: 'storeFailed', code: 'store.failed', detail: '' };
  const outcome = (taken: readonly TransactionId[], fate: Fate): SyncHappening => {
    if (fate === 'lost' || fate === 'contactLost') return fail(taken, unreachable);
    if (fate === 'garbled') return fail(taken, { ...unreachable, code: 'host.answerInvalid' });
    if (fate.startsWith('http')) return fail(taken, status(Number(fate.slice(4))));
    if (taken.some((id) => poison.has(ids.indexOf(id)))) return fail(taken, status(400));
    if (fate === 'storeFails') return storeFailed;
    if (fate === 'settleFails') outbox.failing = true;
    return answered(
      taken.map((transactionId, at) =>
        fate === 'later' && at % 2 === 0
          ? { outcome: 'later', transactionId, code: 'host.busy', retryAfterMs: 5_000 }
          : acceptedAnswer(transactionId),
      ),
    );
  };
  const settle = ({ answers, held }: EffectOf<'settle'>): void => {
    if (outbox.failing) {
      outbox.failing = false;
      pending.push(storeFailed);
      return;
    }
    const settled = answers.map((answer) => ({ transactionId: answer.transactionId, answer, knownToSale: false }));
    outbox.settle(settled, held && { newest: held.newest, named: [] });
  };
  const perform = (effect: SyncEffect): void => {
    if (effect.type === 'settle') settle(effect);
    if (effect.type === 'startTimer') timers.push({ atMs: nowMs + effect.delayMs, generation: effect.generation });
    if (effect.type !== 'sendBatch' && effect.type !== 'fetchDirectives') return;
    const { generation } = state;
    const wanted = inFlight.filter((flight) => flight.generation === generation);
    const most = effect.type === 'sendBatch' ? batchesMax : 1;
    if (wanted.length >= most) throw new Error(`more than ${most} requests in flight`);
    const fate = fates[fateAt++] ?? 'well';
    if (effect.type === 'fetchDirectives') {
      const answer = (): SyncHappening =>
        fate === 'lost'
          ? { type: 'directivesFailed', failure: unreachable }
          : { type: 'directivesArrived', version: 3 };
      inFlight.push({ generation, taken: [], isFull: false, answer });
      return;
    }
    const skip = new Set([...effect.held, ...wanted.flatMap(({ taken }) => taken)]);
    const taken = outbox.unsent.map(({ transactionId }) => transactionId).filter((id) => !skip.has(id));
    taken.splice(effect.limit);
    const isFull = taken.length === effect.limit;
    if (taken.length === 0) {
      fateAt -= 1;
      pending.push({ type: 'sliceEmpty' });
      return;
    }
    inFlight.push({ generation, taken, isFull, answer: () => outcome(taken, fate) });
    batchesAtOnce = Math.max(batchesAtOnce, wanted.length + 1);
    if (isFull) pending.push({ type: 'sliceFull', generation });
    if (fate === 'contactLost') pending.push({ type: 'contactFailed', failure: unreachable });
    if (fate === 'contactFound') pending.push({ type: 'contactSucceeded', watermark: null });
    if (fate === 'askedForRound') pending.push({ type: 'roundRequested' });
  };

  for (let steps = 0; steps < 5_000; steps++) {
    const next = pending.shift();
    if (next) {
      const jitter = jitters[draws++ % jitters.length] ?? 0;
      const step = transition(
        state,
        { ...next, atMonotonicMs: monotonicMs(nowMs), atWallMs: wallMs(nowMs), jitter },
        limits,
      );
      state = step[0];
      for (const effect of step[1]) perform(effect);
      continue;
    }
    // Now and then the one sent later is answered first.
    const [flight] = inFlight.splice(steps % 3 === 0 ? inFlight.length - 1 : 0, 1);
    if (flight) {
      nowMs += 20;
      if (flight.generation === state.generation) {
        pending.push(flight.answer());
        if (flight.isFull) pending.push({ type: 'sliceFull', generation: flight.generation });
      }
      if (steps === 40) ids.push(...outbox.queue(Math.floor(records / 2)));
      if (steps % 7 === 0) pending.push({ type: 'recordsQueued' });
      continue;
    }
    if (outbox.unsentCount() === 0 && ids.length >= records - 1) return { outbox, nowMs, batchesAtOnce };
    if (ids.length < records - 1) ids.push(...outbox.queue(Math.floor(records / 2)));
    // Sales go on: without another record's answer a bad one is never proven bad.
    else if (outbox.unsent.every(({ transactionId }) => poison.has(ids.indexOf(transactionId))))
      ids.push(...outbox.queue(1));
    // Every timer fires, also those that a newer one replaced: the reducer must tell them apart.
    timers.sort((a, b) => a.atMs - b.atMs);
    const timer = timers.shift();
    if (!timer) throw new Error(`nothing under way and no timer in ${state.phase} with ${outbox.unsentCount()} unsent`);
    nowMs = Math.max(nowMs, timer.atMs);
    pending.push({ type: 'timerFired', generation: timer.generation });
  }
  throw new Error(`not drained after 5,000 steps: ${outbox.unsentCount()} unsent in ${state.phase}`);
}

t.test(
  'whatever happens for a while, at most two batches are in flight and in the end every record is settled once',
  async (t) => {
    const fate = fc.constantFrom<Fate>(
      'well',
      'lost',
      'garbled',
      'http400',
      'http413',
      'http500',
      'http503',
      'http403',
      'later',
      'storeFails',
      'settleFails',
      'contactLost',
      'contactFound',
      'askedForRound',
    );
    const jitter = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    let worlds = 0;
    const atOnce = new Set<number>();
    fc.assert(
      fc.property(
        fc.array(fate, { maxLength: 40 }),
        fc.integer({ min: 2, max: 40 }),
        fc.array(fc.nat(39), { maxLength: 3 }),
        fc.array(jitter, { minLength: 1, maxLength: 5 }),
        (fates, records, poison, jitters) => {
          worlds += 1;
          const bad = new Set(poison.filter((at) => at < Math.floor(records / 2)));
          const { batchesAtOnce, outbox } = runWorld(fates, records, bad, jitters);
          atOnce.add(batchesAtOnce);
          const dead = [...outbox.settled.values()].filter(({ answer }) => answer.outcome === 'refused');
          // A world that answers 400 at random may look like a bad record; without such worlds the dead are the bad ones.
          const blamesAtRandom = fates.some((each) => each === 'http400' || each === 'http413');
          if (!blamesAtRandom && dead.length !== bad.size) throw new Error(`${dead.length} dead of ${bad.size} bad`);
        },
      ),
      { numRuns: 300 },
    );
    t.equal(worlds, 300);
    t.ok(atOnce.has(batchesMax), 'two were under way in some');
  },
);
