/**
 * Storage port of the host: one transaction is "load these facts, decide, write what changed", and all of it or nothing.
 * Must not know an engine: no SQL, no dialect, no synchronous assumption. One contract suite (contract.ts) runs on each engine.
 */
import type { Plan, WorkingSet } from '../ledger/facts.js';
import type { Lookup, Row, TableName } from '../ledger/tables.js';

/** Rows whose lookup column equals a value, or whose id begins with a prefix of ASCII; null: every row. */
export type Where<T extends TableName> =
  | { readonly lookup: Lookup<T>; readonly value: string }
  | { readonly prefix: string }
  | null;

/** A page of rows ordered by id. `after` is the last id of the page before; null starts. At most pageRowsMax rows. */
export interface PageRequest<T extends TableName> {
  readonly table: T;
  readonly where: Where<T>;
  readonly after: string | null;
  readonly limit: number;
  /** `newest` goes down from the highest id. */
  readonly order?: 'oldest' | 'newest';
}
export const pageRowsMax = 1000;

export interface HostStore {
  /**
   * Loads what `plan` asks for, runs `decide` on it (synchronous, no I/O), writes what it changed in the working set, and
   * commits. When the promise resolves the changes are durable; when it rejects nothing has happened. Transactions are
   * serializable: `decide` sees no half of another. Rejects with TerminalError `store.failed` · `store.full` · `store.corrupt`.
   */
  transact<T>(plan: Plan, decide: (facts: WorkingSet) => T): Promise<T>;
  /** The same without writes, on one snapshot. */
  read<T>(plan: Plan, view: (facts: WorkingSet) => T): Promise<T>;
  /** One page of rows, by a range of ids. */
  page<T extends TableName>(request: PageRequest<T>): Promise<readonly Row<T>[]>;
  /** How many rows have this value, counted up to 10,000. For gauges. */
  count<T extends TableName>(table: T, where: Where<T>): Promise<number>;
  /** A consistent copy of everything while others go on writing, to a new file; never overwrites. */
  backup(path: string): Promise<void>;
  /** The engine's own check of its file; empty: sound. */
  check(): Promise<readonly string[]>;
  /** Idempotent. */
  close(): Promise<void>;
}
