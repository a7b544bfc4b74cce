/**
 * Shows that a journal of any length is given oldest first and a page at a time. By a journal of a store in memory, and by one
 * that is made up, whose records the garbage collector must be able to take back.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { wallMs } from '../../terminal/kernel/units.js';
import { openTerminalStore } from '../../terminal/store/open.js';
import type { JournalEntry, TerminalStore } from '../../terminal/store/port.js';
import {
  acceptedAnswer,
  fixtureId,
  fixtureStart,
  fixtureTerminal,
  plainSale,
} from '../../terminal/store/sale-fixtures.js';
import { oldestFirst } from './take-in.js';

const sequenceIn = ({ body }: { readonly body: string }): number => JSON.parse(body).sequence;

t.test('oldest first over pages and epochs: all, or what is unsent', async (t) => {
  const store = openTerminalStore({ file: ':memory:', crypto: nativeCrypto });
  t.teardown(() => store.close());
  t.same([...oldestFirst(store, true)], [], 'none');
  const put = (from: number, to: number) => {
    for (let serial = from; serial <= to; serial++) {
      const { sale, records } = plainSale(serial);
      store.persist(sale, records, fixtureStart);
    }
  };
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  put(1, 450);
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 2 });
  put(451, 650);
  const newestFirst: JournalEntry[] = [];
  for (let page = store.journal(100, null); page.length > 0; page = store.journal(100, newestFirst.at(-1) ?? null))
    newestFirst.push(...page);
  const entries = newestFirst.reverse();
  t.equal(entries.length, 650);
  const bodies = (everything: boolean) => [...oldestFirst(store, everything)].map(({ body }) => body);
  t.same(
    bodies(true),
    entries.map(({ body }) => body),
  );
  const settled = entries
    .filter((_, index) => index < 300 || index % 2 === 0)
    .map(({ transactionId }) => transactionId);
  store.settle(
    settled.map((id) => ({ transactionId: id, answer: acceptedAnswer(id), knownToSale: false })),
    null,
  );
  t.same(
    bodies(false),
    entries.filter(({ transactionId }) => !settled.includes(transactionId)).map(({ body }) => body),
  );
  t.equal(bodies(true).length, 650);
});

t.test('of a long journal no more than a few pages are held', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const length = 10_000;
  const made: WeakRef<JournalEntry>[] = [];
  const entry = (sequence: number): JournalEntry => {
    const one: JournalEntry = {
      ...{ terminalId: fixtureTerminal, epoch: 1, sequence, transactionId: fixtureId(fixtureStart, sequence) },
      ...{ kind: 'plainSale', body: JSON.stringify({ sequence }), previousHash: '', hash: '' },
      ...{ storedWallMs: wallMs(fixtureStart), state: 'unsent', answer: null },
    };
    made.push(new WeakRef(one));
    return one;
  };
  const store: Pick<TerminalStore, 'journal'> = {
    journal: (limit, before) => {
      const newest = (before?.sequence ?? length + 1) - 1;
      return Array.from({ length: Math.min(limit, newest) }, (_, index) => entry(newest - index));
    },
  };
  const records = oldestFirst(store, true);
  t.equal(sequenceIn(records.next().value), 1);
  // What a weak reference names is kept for as long as the turn lasts in which it was made.
  await turn();
  collect();
  t.ok(made.filter((one) => one.deref() !== undefined).length <= length / 10, 'a few pages of the whole');
  let next = 2;
  for (const record of records) if (sequenceIn(record) !== next++) t.fail(`not ${next - 1}`);
  t.equal(next, length + 1);
});
