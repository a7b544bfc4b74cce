/**
 * Sync client: the shell around the sync reducer. It performs the reducer's effects on outbox, host and timer, and asks
 * the host at once for what cannot wait. Must not decide what is sent when, nor keep a session's keys.
 */

import { readUintBE } from '../../terminal/kernel/bytes.js';
import type { ErrorCode } from '../../terminal/kernel/errors.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { InquiryRequest, InquiryResponse } from '../protocol/inquiry.js';
import type { SmartTapRequest, SmartTapResponse } from '../protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  Envelope,
  FinalAnswer,
  RecordAnswer,
  SessionRequest,
  SessionResponse,
  Watermark,
} from '../protocol/sync.js';
import type { Authorisation, SyncClient, SyncClientOptions } from './client-port.js';
import type { HostFailure, HostPort, HostResult } from './host-port.js';
import type { OutboxRecord, SettledAnswer } from './outbox-port.js';
import { initialState, transition } from './reducer.js';
import type { EffectOf, Moment, SyncEffect, SyncHappening, SyncState, SyncStatus } from './sync-state.js';
import { reachableIn, statusOf } from './sync-status.js';

export type * from './client-port.js';
export type { SyncStatus } from './sync-state.js';

/** Most characters of bodies in one batch: with JSON's escapes and UTF-8 it stays far below the host's limit. */
export const batchCharactersMax = 1_000_000;
/** Authorisations at once; a box has one open sale and what a restart left over. */
export const authorisingMax = 16;
/** Callers that may wait for one round. */
export const roundWaitersMax = 32;
/** A record that got no answer goes back to the queue only after this, so that its reversal is stored and sent before it. */
const silentHoldMs = 1_000;

type Waiter = (authorisation: Authorisation) => void;
type Waiters = Map<TransactionId, Waiter[]>;

/** A batch under way: its records, with who waits for which. Void once the reducer's generation has passed its own. */
interface Batch {
  readonly generation: number;
  readonly waiters: Waiters;
}

/** What came back of a batch: who waited for its records, and what it named as answered before. */
interface Answered {
  readonly waiters: Waiters;
  readonly named: readonly TransactionId[];
}
const nothingAnswered: Answered = { waiters: new Map(), named: [] };

const silent = (code: ErrorCode): Authorisation => ({ kind: 'silent', code });
const closedFailure: HostFailure = {
  code: 'host.unreachable',
  detail: 'not enrolled',
  httpStatus: null,
  retryAfterMs: null,
};

/** The shell's parts that change, in one place. A new `run` makes every answer of the one before it void. */
class Shell implements SyncClient {
  #state: SyncState = initialState;
  #host: HostPort | null;
  #run = 0;
  #cancelTimer: () => void = () => {};
  readonly #pending: SyncHappening[] = [];
  #dispatching = false;
  #reported: SyncStatus | null = null;
  /** Records being authorised, which no batch may take. */
  readonly #authorising = new Map<TransactionId, Promise<Authorisation>>();
  #batches: readonly Batch[] = [];
  /** Of the batch whose answer is being taken in. */
  #answered: Answered = nothingAnswered;
  #roundWaiters: ((status: SyncStatus) => void)[] = [];

  constructor(private readonly options: SyncClientOptions) {
    this.#host = options.host;
  }

  start(): void {
    if (this.#state.phase !== 'offline') return;
    this.#run += 1;
    this.#dispatch({
      type: 'started',
      enrolled: this.#host !== null,
      directivesVersion: this.#directivesVersion(),
    });
    if (this.#host) void this.#listen(this.#host, this.#run);
  }

  enrolled(host: HostPort): void {
    this.#host = host;
    this.#dispatch({ type: 'enrolled', directivesVersion: this.#directivesVersion() });
    void this.#listen(host, this.#run);
  }

  recordsQueued(): void {
    this.#dispatch({ type: 'recordsQueued' });
  }

  reachable(): boolean {
    return reachableIn(this.#state);
  }

  status(): SyncStatus {
    return statusOf(this.#state, this.options.clock.monotonicMs());
  }

  watermark(): Watermark | null {
    return 'memory' in this.#state ? this.#state.memory.watermark : null;
  }

  syncNow(): Promise<SyncStatus> {
    this.#dispatch({ type: 'roundRequested' });
    const working = this.#state.phase === 'sending' || this.#state.phase === 'fetching';
    if (!working || this.#roundWaiters.length >= roundWaitersMax) return Promise.resolve(this.status());
    return new Promise((resolve) => this.#roundWaiters.push(resolve));
  }

  stop(): void {
    this.#run += 1;
    this.#cancelTimer();
    const batches = this.#batches;
    this.#batches = [];
    for (const { waiters } of batches) release(waiters, 'host.unreachable');
    this.#dispatch({ type: 'stopped' });
  }

  authorise(transactionId: TransactionId, deadlineMs: number): Promise<Authorisation> {
    const already = this.#authorising.get(transactionId);
    if (already) return already;
    const host = this.#host;
    if (!host || this.#state.phase === 'offline') return Promise.resolve(silent('host.unreachable'));
    if (this.#authorising.size >= authorisingMax) return Promise.resolve(silent('host.busy'));
    const waiters = this.#underWay()
      .find((batch) => batch.waiters.has(transactionId))
      ?.waiters.get(transactionId);
    if (waiters) return this.#awaitBatch(waiters, deadlineMs);
    const record = this.#readOutbox(() => this.options.outbox.unsentByTransaction(transactionId));
    if (!record) return Promise.resolve(silent('host.noAnswer'));
    const promise = this.#sendOne(host, record, deadlineMs).finally(() => this.#authorising.delete(transactionId));
    this.#authorising.set(transactionId, promise);
    return promise;
  }

  openSession(request: SessionRequest, deadlineMs: number): Promise<HostResult<SessionResponse>> {
    return this.#askBeside((host) => host.openSession(request, deadlineMs));
  }
  async inquire(request: InquiryRequest, deadlineMs: number): Promise<HostResult<InquiryResponse>> {
    const host = this.#host;
    if (!host || this.#state.phase === 'offline') return { ok: false, error: closedFailure };
    return host.inquire(request, deadlineMs);
  }
  async signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<HostResult<SmartTapResponse>> {
    const host = this.#host;
    if (!host || this.#state.phase === 'offline') return { ok: false, error: closedFailure };
    return host.signSmartTap(request, deadlineMs);
  }
  requestAllowance(request: AllowanceRequest): Promise<HostResult<AllowanceResponse>> {
    return this.#askBeside((host) => host.requestAllowance(request));
  }

  /** A request beside the batches: how it went says whether the host is there. */
  async #askBeside<T>(ask: (host: HostPort) => Promise<HostResult<T>>): Promise<HostResult<T>> {
    const host = this.#host;
    if (!host || this.#state.phase === 'offline') return { ok: false, error: closedFailure };
    const run = this.#run;
    const result = await ask(host);
    if (run === this.#run)
      this.#dispatch(
        result.ok ? { type: 'contactSucceeded', watermark: null } : { type: 'contactFailed', failure: result.error },
      );
    return result;
  }

  /**
   * Waits at the host for new directives, for as long as this run lasts: a blocked key or a new allowance is here within a
   * moment. Beside the reducer's rounds, since it proves nothing about the queue; the poll stays as the net below it.
   */
  async #listen(host: HostPort, run: number): Promise<void> {
    const { bellWaitMs, limits, schedule } = this.options;
    const pause = (ms: number) => new Promise<void>((resolve) => schedule(ms, resolve));
    while (bellWaitMs && run === this.#run && host === this.#host) {
      const known = this.options.directivesHeld()?.version;
      if (known === undefined || !this.reachable()) {
        await pause(limits.backOffMinMs);
        continue;
      }
      const rung = await host.bell(known, bellWaitMs);
      if (run !== this.#run || host !== this.#host) return;
      if (rung.ok && rung.value === known) continue;
      if (rung.ok) await this.syncNow();
      // A host that fails, or directives that could not be stored, are left to the rounds: no faster than their back-off.
      if (!rung.ok || this.options.directivesHeld()?.version === known) await pause(limits.backOffMinMs);
    }
  }

  #awaitBatch(waiters: Waiter[], deadlineMs: number): Promise<Authorisation> {
    return new Promise((resolve) => {
      const waiter: Waiter = (authorisation) => {
        cancel();
        resolve(authorisation);
      };
      const cancel = this.options.schedule(deadlineMs, () => {
        // Its answer, should it still come, is then one that nobody waits for.
        const at = waiters.indexOf(waiter);
        if (at >= 0) waiters.splice(at, 1);
        resolve(silent('host.noAnswer'));
      });
      waiters.push(waiter);
    });
  }

  async #sendOne(host: HostPort, record: OutboxRecord, deadlineMs: number): Promise<Authorisation> {
    const run = this.#run;
    const { transactionId } = record;
    const named = this.options.outbox.newestSeen();
    const result = await host.authorise(this.#envelope(record), named, deadlineMs);
    if (run !== this.#run) return silent('host.unreachable');
    if (!result.ok) {
      const { code } = result.error;
      this.#dispatch({ type: 'recordPostponed', transactionId, code, retryAfterMs: silentHoldMs });
      this.#dispatch({ type: 'contactFailed', failure: result.error });
      return silent(code);
    }
    const { answer, session, reservedForMs, watermark } = result.value;
    if (answer.transactionId !== transactionId) {
      this.#dispatch({
        type: 'recordPostponed',
        transactionId,
        code: 'host.answerInvalid',
        retryAfterMs: silentHoldMs,
      });
      return silent('host.answerInvalid');
    }
    if (answer.outcome === 'later') {
      const { code, retryAfterMs } = answer;
      this.#dispatch({ type: 'recordPostponed', transactionId, code, retryAfterMs });
      this.#dispatch({ type: 'contactSucceeded', watermark });
      return silent(code);
    }
    // When the store fails here the record stays queued, and the host will give the same word again.
    const heard = { newest: watermark.newest, named };
    this.#guardStore(() => this.options.outbox.settle([{ transactionId, answer, knownToSale: true }], heard));
    this.#authorising.delete(transactionId);
    this.#dispatch({ type: 'contactSucceeded', watermark });
    return { kind: 'answered', answer, session, reservedForMs };
  }

  #directivesVersion(): number | null {
    return this.options.directivesHeld()?.version ?? null;
  }

  #envelope({ body, previousHash, attempts }: OutboxRecord): Envelope {
    return { body, previousHash, attempt: attempts + 1, sentAtWallMs: this.options.clock.wallMs() };
  }

  #moment(): Moment {
    const { clock, random } = this.options;
    const jitter = readUintBE(random.bytes(4)) / 0x1_0000_0000;
    return { atMonotonicMs: clock.monotonicMs(), atWallMs: clock.wallMs(), jitter };
  }

  /** Events that effects raise are taken in order after the step under way. */
  #dispatch(happening: SyncHappening): void {
    this.#pending.push(happening);
    if (this.#dispatching) return;
    this.#dispatching = true;
    try {
      for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
        const [state, effects] = transition(this.#state, { ...next, ...this.#moment() }, this.options.limits);
        this.#state = state;
        const run = this.#run;
        // A callback may have stopped the client: what follows then must not start anything.
        for (const effect of effects) if (!this.#perform(effect) || run !== this.#run) break;
      }
    } finally {
      this.#dispatching = false;
    }
    this.#afterSteps();
  }

  #afterSteps(): void {
    const status = this.status();
    const before = this.#reported;
    const changed =
      status.state !== before?.state ||
      status.lastError?.code !== before.lastError?.code ||
      status.lastError?.detail !== before.lastError?.detail;
    if (changed) {
      this.#reported = status;
      this.options.onStatus(status);
    }
    if (this.#state.phase === 'sending' || this.#state.phase === 'fetching') return;
    const waiters = this.#roundWaiters;
    this.#roundWaiters = [];
    for (const waiter of waiters) waiter(status);
  }

  /** @returns false when the effects after this one must not run */
  #perform(effect: SyncEffect): boolean {
    switch (effect.type) {
      case 'settle':
        return this.#settle(effect.answers, effect.held);
      case 'sendBatch':
        this.#sendBatch(effect);
        return true;
      case 'fetchDirectives':
        void this.#fetchDirectives();
        return true;
      case 'startTimer': {
        const { generation } = effect;
        this.#cancelTimer();
        this.#cancelTimer = this.options.schedule(effect.delayMs, () =>
          this.#dispatch({ type: 'timerFired', generation }),
        );
        return true;
      }
      case 'reportRegression':
        if (!this.#guardStore(() => this.options.outbox.requeueAbove(effect.to))) return false;
        this.options.onRegression?.(effect.to);
        this.#dispatch({ type: 'recordsQueued' });
        return true;
      case 'reportStatus':
        // Told once after all steps (afterSteps), so that passing states make no noise.
        return true;
    }
  }

  #settle(answers: readonly FinalAnswer[], held: Watermark | null): boolean {
    const settled: SettledAnswer[] = answers.map((answer) => ({
      transactionId: answer.transactionId,
      answer,
      // `record.reversed` is the box's own reversal coming true: nothing is left for a person to settle.
      knownToSale:
        (this.#answered.waiters.get(answer.transactionId)?.length ?? 0) > 0 ||
        (answer.outcome === 'refused' && answer.code === 'record.reversed'),
    }));
    const heard = held && { newest: held.newest, named: this.#answered.named };
    if (!this.#guardStore(() => this.options.outbox.settle(settled, heard))) return false;
    for (const each of settled) {
      const waiters = this.#answered.waiters.get(each.transactionId)?.splice(0) ?? [];
      for (const waiter of waiters)
        waiter({ kind: 'answered', answer: each.answer, session: null, reservedForMs: null });
      if (waiters.length === 0) this.options.onAnswer(each);
    }
    return true;
  }

  /** Batches whose answers are still wanted. */
  #underWay(): readonly Batch[] {
    return this.#batches.filter(({ generation }) => generation === this.#state.generation);
  }

  #sendBatch({ evenEmpty, held, limit }: EffectOf<'sendBatch'>): void {
    const host = this.#host;
    this.#batches = this.#underWay();
    const skip = new Set([...held, ...this.#authorising.keys()]);
    for (const { waiters } of this.#batches) for (const transactionId of waiters.keys()) skip.add(transactionId);
    const taken = this.#readOutbox(() => this.options.outbox.nextUnsent(limit, skip));
    if (!taken || !host) return;
    const records = withinCharacters(taken);
    const named = this.options.outbox.newestSeen();
    if (records.length === 0 && !(evenEmpty && named.length > 0)) {
      this.#dispatch({ type: 'sliceEmpty' });
      return;
    }
    const waiters: Waiters = new Map(records.map(({ transactionId }) => [transactionId, []]));
    const batch = { generation: this.#state.generation, waiters };
    this.#batches = [...this.#batches, batch];
    void this.#awaitBatchAnswer(host, batch, records, named, taken.length === limit);
  }

  /** A moment later, so that a sale need not wait for both slices. */
  #tellFull({ generation }: Batch): void {
    const run = this.#run;
    this.options.schedule(0, () => {
      if (run === this.#run) this.#dispatch({ type: 'sliceFull', generation });
    });
  }

  async #awaitBatchAnswer(
    host: HostPort,
    batch: Batch,
    records: readonly OutboxRecord[],
    named: readonly TransactionId[],
    isFull: boolean,
  ): Promise<void> {
    const run = this.#run;
    const { waiters } = batch;
    const transactionIds = [...waiters.keys()];
    const envelopes = records.map((record) => this.#envelope(record));
    if (isFull) this.#tellFull(batch);
    const result = await host.sendRecords(envelopes, transactionIds, named);
    if (run !== this.#run) return;
    this.#batches = this.#batches.filter((other) => other !== batch);
    // A failure ended this round meanwhile: the records are sent again, and the host gives the same answers.
    if (batch.generation !== this.#state.generation) return release(waiters, 'host.noAnswer');
    if (result.ok) {
      const { answers, watermark, directivesVersion } = result.value;
      this.#releaseLater(answers, waiters);
      this.#answered = { waiters, named };
      this.#dispatch({ type: 'batchAnswered', answers, watermark, directivesVersion });
      this.#answered = nothingAnswered;
      if (isFull) this.#tellFull(batch);
    } else this.#dispatch({ type: 'batchFailed', transactionIds, failure: result.error });
    // Whoever was not served by an answer: the batch failed, or the store did.
    release(waiters, result.ok ? 'host.noAnswer' : result.error.code);
  }

  #releaseLater(answers: readonly RecordAnswer[], waiters: Waiters): void {
    for (const answer of answers) {
      if (answer.outcome !== 'later') continue;
      for (const waiter of waiters.get(answer.transactionId)?.splice(0) ?? []) waiter(silent(answer.code));
    }
  }

  async #fetchDirectives(): Promise<void> {
    const host = this.#host;
    if (!host) return;
    const run = this.#run;
    const { generation } = this.#state;
    const held = this.options.directivesHeld();
    const result = await host.directives(held?.catalogueVersion ?? null);
    if (run !== this.#run || generation !== this.#state.generation) return;
    if (!result.ok) return this.#dispatch({ type: 'directivesFailed', failure: result.error });
    const directives = result.value;
    const isNew = directives.version !== held?.version || directives.catalogue !== null;
    if (isNew && !this.#guardStore(() => this.options.onDirectives(directives))) return;
    this.#dispatch({ type: 'directivesArrived', version: directives.version });
  }

  /** @returns null when there is nothing, or when the store failed, which the reducer then knows */
  #readOutbox<T>(read: () => T): T | null {
    let value: T | null = null;
    this.#guardStore(() => {
      value = read();
    });
    return value;
  }

  /** Runs what may fail in the box's store. @returns false when it did; anything but a TerminalError is a bug and goes up. */
  #guardStore(run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      if (!(error instanceof TerminalError)) throw error;
      this.#dispatch({ type: 'storeFailed', code: error.code, detail: error.detail });
      return false;
    }
  }
}

/** Lets those go who still wait for a record of a batch. */
function release(waiters: Waiters, code: ErrorCode): void {
  for (const each of waiters.values()) for (const waiter of each.splice(0)) waiter(silent(code));
}

/** The first records up to batchCharactersMax, one at least. */
function withinCharacters(records: readonly OutboxRecord[]): readonly OutboxRecord[] {
  let length = 0;
  const end = records.findIndex(({ body }, at) => {
    length += body.length;
    return at > 0 && length > batchCharactersMax;
  });
  return end < 0 ? records : records.slice(0, end);
}

/** Does nothing until `start`. */
export const createSyncClient = (options: SyncClientOptions): SyncClient => new Shell(options);
