/**
 * The sale runner: one bounded inbox in front of the acceptance machine, and the performer of its effects.
 * Must decide nothing about a sale; every effect's outcome goes back into the inbox as an event.
 */

import type { Schedule } from '../../drivers/contract/driver.js';
import type { FinalAnswer, SessionGrant } from '../../host-sync/protocol/sync.js';
import type { Effect, Prompt } from '../core/effect.js';
import type { SaleEvent, SaleEventType } from '../core/event.js';
import type { SaleOutcome, SaleRequest } from '../core/sale.js';
import { initialState, type Phase, type State } from '../core/state.js';
import { transition } from '../core/transition.js';
import { TerminalError } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import { assert, unreachable } from '../kernel/result.js';
import type { DurationMs } from '../kernel/units.js';
import type { TerminalStore } from '../store/port.js';
import type { CardLinks, ShellEvent } from './card-links.js';
import type { WallClock } from './wall-clock.js';

/** Events waiting for the machine. Devices and people fill it; what a full inbox drops is counted and was theirs to repeat. */
export const inboxEventsMax = 256;

export type HostReply =
  | { readonly kind: 'answered'; readonly answer: FinalAnswer; readonly session: SessionGrant | null }
  | { readonly kind: 'silent' };

export interface RunnerPorts {
  readonly store: Pick<TerminalStore, 'persist'>;
  readonly links: CardLinks;
  readonly clock: WallClock;
  readonly schedule: Schedule;
  readonly askHost: (transactionId: TransactionId, deadline: DurationMs) => Promise<HostReply>;
  /** Records are in the outbox: the client may begin to send them. */
  readonly recordsQueued: () => void;
  readonly prompt: (prompt: Prompt, transactionId: TransactionId) => void;
  /** Shows and prints, at most once. */
  readonly announce: (request: SaleRequest, outcome: SaleOutcome) => void;
  /** Called after each step that changed something, with the state that holds now. */
  readonly changed: (state: State) => void;
  /** A broken invariant: the process is to end and recover. */
  readonly crashed: (error: unknown) => void;
  /** Sees each event with the phase that it meets; for tests that count what they covered. */
  readonly stepped?: ((phase: Phase, event: SaleEventType) => void) | undefined;
  /** Sees each effect before it is performed and after; for tests that end the process there. */
  readonly watch?: ((moment: 'before' | 'after', effect: Effect) => void) | undefined;
}

export class SaleRunner {
  #state: State = initialState;
  readonly #inbox: SaleEvent[] = [];
  #draining = false;
  /** Records were stored that the sync client has not been told of. */
  #unannouncedRecords = false;
  #cancelTimer: (() => void) | null = null;
  #dropped = 0;

  constructor(private readonly ports: RunnerPorts) {}

  get state(): State {
    return this.#state;
  }
  /** Events that a full inbox turned away since the start. */
  get droppedEvents(): number {
    return this.#dropped;
  }

  /** The process ends, or another takes its place on this store: no timer fires any more. */
  stop(): void {
    this.#cancelTimer?.();
  }

  /** Puts one event into the inbox and works it off. Events of devices and people are dropped when it is full. */
  deliver(event: ShellEvent): void {
    const fromOutside =
      event.type === 'cardPresented' || event.type === 'codeScanned' || event.type === 'cancelRequested';
    if (fromOutside && this.#inbox.length >= inboxEventsMax) {
      this.#dropped += 1;
      return;
    }
    this.#inbox.push({ ...event, ...this.ports.clock.now() } as SaleEvent);
    if (!this.#draining) this.#drain();
  }

  #drain(): void {
    this.#draining = true;
    try {
      for (let event = this.#inbox.shift(); event; event = this.#inbox.shift()) {
        const before = this.#state;
        this.ports.stepped?.(before.phase, event.type);
        const [state, effects] = transition(before, event);
        this.#state = state;
        for (const effect of effects) this.#perform(effect, event);
        if (state !== before) this.ports.changed(state);
      }
      // Told only between sales, so that a record just being authorised is not sent a second time beside it.
      if (this.#unannouncedRecords && this.#state.phase === 'idle') {
        this.#unannouncedRecords = false;
        this.ports.recordsQueued();
      }
    } catch (error) {
      this.ports.crashed(error);
    } finally {
      this.#draining = false;
    }
  }

  #perform(effect: Effect, cause: SaleEvent): void {
    const { ports } = this;
    ports.watch?.('before', effect);
    switch (effect.type) {
      case 'persist':
        this.#persist(effect, cause);
        break;
      case 'presentCredential':
        this.#report(effect, ports.links.presentCredential(effect));
        return;
      case 'openSession':
        this.#report(effect, ports.links.openSession(effect));
        return;
      case 'readCard':
        this.#report(effect, ports.links.readCard(effect.linkId, effect.request, effect.authority));
        return;
      case 'writeCard':
        this.#report(effect, ports.links.writeCard(effect));
        return;
      case 'releaseCard':
        ports.links
          .releaseCard(effect.linkId, effect.outcome)
          .then(() => ports.watch?.('after', effect), ports.crashed);
        return;
      case 'askHost':
        this.#report(effect, this.#askHost(effect.transactionId, effect.deadline));
        return;
      case 'startTimer': {
        this.#cancelTimer?.();
        const { generation } = effect;
        this.#cancelTimer = ports.schedule(effect.duration, () => this.deliver({ type: 'timerFired', generation }));
        break;
      }
      case 'prompt':
        ports.prompt(effect.prompt, effect.transactionId);
        break;
      case 'announce':
        ports.announce(effect.request, effect.outcome);
        this.deliver({ type: 'announced', transactionId: effect.request.ids.transaction });
        break;
      default:
        unreachable(effect);
    }
    ports.watch?.('after', effect);
  }

  #persist(effect: Extract<Effect, { type: 'persist' }>, cause: SaleEvent): void {
    const { sale, records } = effect;
    const told = { transactionId: sale.request.ids.transaction, commit: sale.commit };
    try {
      this.ports.store.persist(sale, records, cause.atWallMs);
    } catch (error) {
      assert(error instanceof TerminalError, `the store fails with a TerminalError, not ${String(error)}`);
      this.deliver({ type: 'persistFailed', ...told, code: error.code });
      return;
    }
    this.deliver({ type: 'persisted', ...told });
    if (records.length > 0) this.#unannouncedRecords = true;
  }

  async #askHost(transactionId: TransactionId, deadline: DurationMs): Promise<ShellEvent> {
    const reply = await this.ports.askHost(transactionId, deadline);
    if (reply.kind === 'silent') return { type: 'hostSilent', transactionId };
    if (reply.session) this.ports.links.grant(transactionId, reply.session);
    return { type: 'hostAnswered', transactionId, answer: reply.answer };
  }

  #report(effect: Effect, outcome: Promise<ShellEvent>): void {
    outcome.then((event) => {
      this.ports.watch?.('after', effect);
      this.deliver(event);
    }, this.ports.crashed);
  }
}
