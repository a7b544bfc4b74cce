/**
 * Shows that queue, gauges, sales and site counters agree with a plain model after any interleaving of persists and
 * answers, across filings and reopens. By fast-check: random commands against the store on a file and against arrays.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type RecordDraft, sendClass } from '../../host-sync/protocol/record.js';
import { nativeCrypto } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import { openTerminalStore } from './open.js';
import {
  acceptedAnswer,
  cardKeyId,
  earn,
  fixtureStart,
  fixtureTerminal,
  refusedAnswer,
  type Step,
  siteDebit,
  spendIntent,
  spendOutcome,
} from './sale-fixtures.js';

/** Worth by kind, written down here on its own: what the fixtures' records move. */
const worthOf: Partial<Record<RecordDraft['kind'], readonly [number, number]>> = {
  pointsEarn: [0, 300],
  pointsSpend: [500, 500],
  completion: [500, 500],
  reversal: [500, 500],
  cardDebit: [100, 0],
};

interface Queued {
  readonly id: TransactionId;
  readonly kind: RecordDraft['kind'];
  readonly sequence: number;
}

class Model {
  readonly queue: Queued[] = [];
  readonly answered: (Queued & { readonly isDead: boolean })[] = [];
  readonly sales = new Map<TransactionId, string>();
  sequence = 1;
  dead = 0;
  siteMinor = 0;
  /** What the host was last known to hold. */
  newest: TransactionId | null = null;

  persist({ sale, records }: Step): void {
    for (const { transactionId, kind } of records) {
      this.queue.push({ id: transactionId, kind, sequence: this.sequence++ });
    }
    this.sales.set(sale.request.ids.transaction, sale.commit === 'ended' ? sale.outcome.result : sale.commit);
  }
  /** The first `count` in sending order. */
  next(count: number): readonly Queued[] {
    return [...this.queue]
      .sort((a, b) => sendClass[a.kind] - sendClass[b.kind] || a.sequence - b.sequence)
      .slice(0, count);
  }
  take(id: TransactionId, isDead: boolean): void {
    const at = this.queue.findIndex((record) => record.id === id);
    const [taken] = at >= 0 ? this.queue.splice(at, 1) : [];
    if (taken) this.answered.push({ ...taken, isDead });
    if (taken && isDead) this.dead += 1;
  }
  requeueAbove(sequence: number): void {
    for (const { isDead, ...record } of this.answered.splice(0)) {
      if (record.sequence <= sequence) this.answered.push({ ...record, isDead });
      else {
        this.queue.push(record);
        if (isDead) this.dead -= 1;
      }
    }
    this.queue.sort((a, b) => a.sequence - b.sequence);
  }
  gauges() {
    const sum = (of: 0 | 1) => this.queue.reduce((total, { kind }) => total + (worthOf[kind]?.[of] ?? 0), 0);
    return {
      ...{ unsent: this.queue.length, unsentWorthMinor: sum(0), unsentPoints: sum(1), dead: this.dead },
      ...{ oldestUnsentWallMs: this.queue.length === 0 ? null : fixtureStart, nextSequence: this.sequence },
    };
  }
}

type Command =
  | { readonly do: 'earn' | 'spend' | 'reverse' | 'reopen'; readonly times: number }
  | { readonly do: 'site'; readonly end: 'accepted' | 'refused' | 'unknown' }
  | { readonly do: 'answer'; readonly count: number; readonly refuse: boolean; readonly known: boolean }
  /** One record out of order, as an authorisation answers; the host lost what it held above a place. */
  | { readonly do: 'answerOne' | 'requeue'; readonly at: number };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('earn' as const), times: fc.integer({ min: 1, max: 30 }) }) },
  fc.record({ do: fc.constantFrom('spend', 'reverse', 'reopen'), times: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('site' as const), end: fc.constantFrom('accepted', 'refused', 'unknown') }),
  fc.record({
    ...{ do: fc.constant('answer' as const), count: fc.integer({ min: 1, max: 60 }) },
    ...{ refuse: fc.boolean(), known: fc.boolean() },
  }),
  fc.record({ do: fc.constantFrom('answerOne' as const, 'requeue' as const), at: fc.nat(200) }),
);

t.test('store and model agree after every command', async (t) => {
  const root = t.testdir();
  const run = (commands: readonly Command[]): void => {
    const folder = mkdtempSync(join(root, 'run-'));
    const file = join(folder, 'box.db');
    const model = new Model();
    let store = openTerminalStore({ file, crypto: nativeCrypto });
    store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
    let serial = 0;
    const put = (...steps: readonly Step[]) => {
      for (const step of steps) {
        store.persist(step.sale, step.records, fixtureStart);
        model.persist(step);
      }
    };
    const answer = (ids: readonly TransactionId[], refuse: boolean, knownToSale: boolean) => {
      store.settle(
        ids.map((transactionId) => {
          const word = refuse ? refusedAnswer(transactionId) : acceptedAnswer(transactionId);
          return { transactionId, answer: word, knownToSale };
        }),
        ids.length === 0 ? null : { newest: ids.at(-1) ?? null, named: store.newestSeen() },
      );
      model.newest = ids.at(-1) ?? model.newest;
      for (const id of ids) model.take(id, refuse && !knownToSale && model.sales.get(id) !== 'refused');
    };
    const perform = (step: Command): void => {
      switch (step.do) {
        case 'earn':
          for (let i = 0; i < step.times; i++) put(earn(++serial));
          return;
        case 'spend':
          put(spendIntent(++serial), spendOutcome(serial, 'accepted'));
          return;
        case 'reverse':
          put(spendIntent(++serial), spendOutcome(serial, 'refused'));
          return;
        case 'site':
          if (step.end !== 'refused') model.siteMinor += 100;
          put(...siteDebit(++serial, 100, step.end));
          return;
        case 'answer': {
          const ids = model.next(step.count).map(({ id }) => id);
          answer(ids, step.refuse, step.known);
          return;
        }
        case 'answerOne': {
          const one = model.queue[step.at % Math.max(1, model.queue.length)];
          if (one) answer([one.id], false, false);
          return;
        }
        case 'requeue':
          store.requeueAbove({ epoch: 1, sequence: step.at, newest: null });
          model.requeueAbove(step.at);
          model.newest = null;
          return;
        case 'reopen':
          store.close();
          store = openTerminalStore({ file, crypto: nativeCrypto });
      }
    };
    const compare = (): void => {
      const expected = model.next(500).map(({ id, sequence }) => [id, sequence]);
      const next = store.nextUnsent(500, new Set()).map(({ transactionId, sequence }) => [transactionId, sequence]);
      const same =
        JSON.stringify(store.gauges()) === JSON.stringify(model.gauges()) &&
        JSON.stringify(next) === JSON.stringify(expected) &&
        store.siteSpentMinor(cardKeyId, fixtureStart) === model.siteMinor &&
        store.recordsIn('unsent', 1)[0]?.sequence === model.queue[0]?.sequence &&
        store.newestSeen().join() === (model.newest ?? '');
      if (!same) throw new Error(`gauges ${JSON.stringify(store.gauges())}, model ${JSON.stringify(model.gauges())}`);
    };
    for (const step of commands) {
      perform(step);
      compare();
    }
    for (const [id, standing] of model.sales) {
      const sale = store.saleByTransaction(id)?.sale;
      const found = sale?.commit === 'ended' ? sale.outcome.result : sale?.commit;
      if (found !== standing) throw new Error(`sale ${id} is ${found}, not ${standing}`);
    }
    const fault = store.verifyChains();
    if (fault) throw new Error(fault.detail);
    store.close();
    rmSync(folder, { recursive: true });
  };
  fc.assert(fc.property(fc.array(command, { minLength: 1, maxLength: 25 }), run), { numRuns: 60 });
  t.pass('60 random courses');
});
