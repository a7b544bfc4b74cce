/**
 * Bell: tells who waits that a terminal's directives changed, by looking at what each transaction has written: settings that
 * raise the version of all, allowances that raise that of one.
 * Must not read or write; it rings after the commit.
 */
import type { Plan, WorkingSet } from '../ledger/facts.js';
import type { HostStore } from '../storage/port.js';

type Listener = (terminalId: string | null) => void;

export class Bell {
  readonly #listeners = new Set<Listener>();

  /** @returns how to stop */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The same store, which rings where a commit changed the directives of all (null) or of one terminal. */
  over(store: HostStore): HostStore {
    return {
      transact: async <T>(plan: Plan, decide: (facts: WorkingSet) => T): Promise<T> => {
        let rung: readonly (string | null)[] = [];
        const result = await store.transact(plan, (facts) => {
          const decided = decide(facts);
          rung = facts.changedIn('setting').has('directivesVersion')
            ? [null]
            : [...facts.changedIn('allowance')].flatMap((id) => facts.get('allowance', id)?.terminalId ?? []);
          return decided;
        });
        for (const terminalId of rung) for (const listener of [...this.#listeners]) listener(terminalId);
        return result;
      },
      read: (plan, view) => store.read(plan, view),
      page: (request) => store.page(request),
      count: (table, where) => store.count(table, where),
      backup: (path) => store.backup(path),
      check: () => store.check(),
      close: () => store.close(),
    };
  }
}
