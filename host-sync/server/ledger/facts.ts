/**
 * Facts: the rows that a decision may read, how it says which it needs, and the working set that overlays its changes.
 * Pure; shared by every engine and by a simulator. Must not reach a database, and must never invent a row.
 */
import { assert } from '../../../terminal/kernel/result.js';
import { type DueColumns, immutableTables, type Lookup, type Row, type TableName, tables } from './tables.js';

/** Rows by key, or by equality on a lookup column (of each value all up to lookupRowsMax, else those of the highest ids). */
export type Need =
  | { readonly table: TableName; readonly by: string; readonly values: readonly string[] }
  /** Every row of a table; for administration only. */
  | { readonly table: TableName; readonly all: true }
  /** Rows whose due column is at or before `upTo`, the earliest first. */
  | {
      readonly table: 'sale' | 'coupon';
      readonly due: DueColumns['sale' | 'coupon'];
      readonly upTo: number;
      readonly limit: number;
    };

export interface Facts {
  /** The row, or undefined where there is none. Reading what was never loaded is a bug. */
  get<T extends TableName>(table: T, id: string): Row<T> | undefined;
  /** Rows whose lookup column equals `value`, ordered by id. */
  find<T extends TableName>(table: T, lookup: Lookup<T>, value: string): readonly Row<T>[];
}

/**
 * What a plan sees while facts are being loaded: reading states the need. What is not there yet reads as undefined,
 * and the plan is asked again once it is.
 */
export interface Collector extends Facts {
  all(table: TableName): void;
  /** Rows whose due column is at or before `upTo`, at most `limit`, the earliest first. */
  due<T extends 'sale' | 'coupon'>(table: T, column: DueColumns[T], upTo: number, limit: number): readonly Row<T>[];
}
export type Plan = (need: Collector) => void;
/** Most rounds in which a plan may ask for more. */
export const planRoundsMax = 8;

export type Write =
  | { readonly table: TableName; readonly row: Row<TableName> }
  | { readonly table: TableName; readonly removed: string };
/** One row to stand as given (insert or replace by id; immutable tables: insert only). */
export const put = <T extends TableName>(table: T, row: Row<T>): Write => ({ table, row });
/** One row to be gone. */
export const remove = (table: TableName, id: string): Write => ({ table, removed: id });

type AnyRow = Row<TableName> & { readonly [column: string]: unknown };

/** A fact was read that no plan had asked for: a bug of the plan, or two records whose facts depend on each other. */
export class UnloadedFact extends Error {
  constructor(table: TableName, what: string) {
    super(`${table} ${what} was not loaded`);
    this.name = 'UnloadedFact';
  }
}

class TableSet {
  /** null: known to be absent. */
  readonly rows = new Map<string, AnyRow | null>();
  /** Column → value → ids; a value that is present is fully loaded, null: there are none, as of most values of a batch. */
  readonly lookups = new Map<string, Map<string, Set<string> | null>>();
  /** Column → values that are asked for and not loaded; `id` among the columns. */
  readonly missing = new Map<string, Set<string>>();
  complete = false;
  readonly changed = new Set<string>();

  /** undefined: not loaded. */
  idsOf(column: string, value: string): Set<string> | null | undefined {
    return this.lookups.get(column)?.get(value);
  }
  /** A row has this value now; of no matter where the value was never loaded. */
  join(column: string, value: string, id: string): void {
    const ids = this.idsOf(column, value);
    if (ids) ids.add(id);
    else if (ids === null) this.lookups.get(column)?.set(value, new Set([id]));
  }
  ask(column: string, value: string): void {
    const values = this.missing.get(column);
    if (values) values.add(value);
    else this.missing.set(column, new Set([value]));
  }
}

/**
 * Loaded rows with changes over them. Engines fill it (`admit*`), plans read it through `collector`, decisions read and
 * `write` it, and `changes` is the final state of each row that changed, once each.
 */
export class WorkingSet implements Facts {
  readonly #tables = new Map<TableName, TableSet>();
  /** Needs that are not by key or lookup, by what they ask. */
  readonly #missing = new Map<string, Need>();
  readonly #dueRows = new Map<string, readonly string[]>();

  #set(table: TableName): TableSet {
    let set = this.#tables.get(table);
    if (!set) {
      set = new TableSet();
      this.#tables.set(table, set);
    }
    return set;
  }

  get<T extends TableName>(table: T, id: string): Row<T> | undefined {
    const set = this.#set(table);
    const row = set.rows.get(id);
    if (row === undefined && !set.complete) throw new UnloadedFact(table, id);
    return (row ?? undefined) as Row<T> | undefined;
  }

  find<T extends TableName>(table: T, lookup: Lookup<T>, value: string): readonly Row<T>[] {
    const set = this.#set(table);
    const ids = set.idsOf(lookup, value);
    if (ids === undefined) throw new UnloadedFact(table, `by ${lookup} ${value}`);
    if (ids === null) return [];
    const sorted = ids.size > 1 ? [...ids].sort() : [...ids];
    return sorted.map((id) => set.rows.get(id) as unknown as Row<T>);
  }

  /** Every row of a table that was loaded whole, ordered by id. */
  every<T extends TableName>(table: T): readonly Row<T>[] {
    const set = this.#set(table);
    assert(set.complete, `${table} was loaded whole`);
    return [...set.rows.entries()]
      .filter(([, row]) => row !== null)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, row]) => row as unknown as Row<T>);
  }

  /** Rows that were found due, in the order of their time. */
  dueRows<T extends 'sale' | 'coupon'>(table: T, column: DueColumns[T]): readonly Row<T>[] {
    return (this.#dueRows.get(`${table}.${column}`) ?? []).flatMap((id) => this.get(table, id) ?? []);
  }

  /** Applies changes to what later reads see. An immutable row cannot be replaced. */
  write(writes: readonly Write[]): void {
    for (const write of writes) {
      const set = this.#set(write.table);
      const id = 'removed' in write ? write.removed : write.row.id;
      const before = set.rows.get(id) ?? null;
      const after = 'removed' in write ? null : (write.row as AnyRow);
      assert(before === null || !immutableTables.includes(write.table), `${write.table} ${id} is immutable`);
      for (const column of tables[write.table].lookups as readonly string[]) {
        const was = before?.[column];
        const is = after?.[column];
        if (typeof was === 'string') set.idsOf(column, was)?.delete(id);
        if (typeof is === 'string') set.join(column, is, id);
      }
      set.rows.set(id, after);
      set.changed.add(id);
    }
  }

  /** The final state of every changed row. */
  changes(): readonly Write[] {
    const writes: Write[] = [];
    for (const [table, set] of this.#tables)
      for (const id of set.changed) {
        const row = set.rows.get(id);
        writes.push(row ? { table, row: row as Row<TableName> } : remove(table, id));
      }
    return writes;
  }

  /** Ids of the rows of one table that were written. */
  changedIn(table: TableName): ReadonlySet<string> {
    return this.#set(table).changed;
  }

  /** A view whose reads become needs. */
  collector(): Collector {
    return {
      get: <T extends TableName>(table: T, id: string): Row<T> | undefined => {
        const set = this.#set(table);
        const row = set.rows.get(id);
        if (row === undefined && !set.complete) set.ask('id', id);
        return (row ?? undefined) as Row<T> | undefined;
      },
      find: <T extends TableName>(table: T, lookup: Lookup<T>, value: string): readonly Row<T>[] => {
        const set = this.#set(table);
        if (set.idsOf(lookup, value) !== undefined) return this.find(table, lookup, value);
        set.ask(lookup, value);
        return [];
      },
      all: (table) => {
        if (!this.#set(table).complete) this.#missing.set(table, { table, all: true });
      },
      due: (table, column, upTo, limit) => {
        const key = `${table}.${column}`;
        if (this.#dueRows.has(key)) return this.dueRows(table, column);
        this.#missing.set(key, { table, due: column, upTo, limit });
        return [];
      },
    };
  }

  /** What was asked for and is not loaded, one need per table and column; empties the list. */
  takeMissing(): readonly Need[] {
    const needs: Need[] = [...this.#missing.values()];
    this.#missing.clear();
    for (const [table, set] of this.#tables) {
      for (const [by, values] of set.missing) needs.push({ table, by, values: [...values] });
      set.missing.clear();
    }
    return needs;
  }

  /** Takes in what an engine loaded for a need; values without a row become known absences. */
  admit(need: Need, rows: readonly Row<TableName>[]): void {
    const set = this.#set(need.table);
    for (const row of rows) if (!set.rows.has(row.id)) set.rows.set(row.id, row as AnyRow);
    if ('all' in need) {
      set.complete = true;
    } else if ('due' in need) {
      const ids = rows.map((row) => row.id);
      this.#dueRows.set(`${need.table}.${need.due}`, ids);
    } else if (need.by === 'id') {
      for (const id of need.values) if (!set.rows.has(id)) set.rows.set(id, null);
    } else {
      const { by } = need;
      const column = set.lookups.get(by) ?? new Map<string, Set<string> | null>();
      set.lookups.set(by, column);
      for (const value of need.values) column.set(value, null);
      for (const row of rows as readonly AnyRow[]) set.join(by, String(row[by]), row.id);
    }
  }
}

/**
 * Loads until the plan asks for nothing more. `load` is the engine's; synchronous here, an asynchronous engine loops itself.
 * Throws when a plan does not come to rest within planRoundsMax rounds: that is a bug.
 */
export function loadFacts(plan: Plan, load: (need: Need) => readonly Row<TableName>[]): WorkingSet {
  const facts = new WorkingSet();
  for (let round = 0; round < planRoundsMax; round++) {
    plan(facts.collector());
    const missing = facts.takeMissing();
    if (missing.length === 0) return facts;
    for (const need of missing) facts.admit(need, load(need));
  }
  throw new Error('invariant broken: a plan comes to rest');
}
