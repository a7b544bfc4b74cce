/**
 * The host's store in memory: the same port as the real engines, with snapshots to go back to and a look at every commit.
 * Checks what the engines' constraints check. Must not be used where anything has to last.
 */

import {
  loadFacts,
  type Need,
  type Plan,
  type WorkingSet,
  type Write,
} from '../../../host-sync/server/ledger/facts.js';
import { lookupRowsMax, type Row, type TableName, tables } from '../../../host-sync/server/ledger/tables.js';
import { type HostStore, type PageRequest, pageRowsMax, type Where } from '../../../host-sync/server/storage/port.js';
import { TerminalError } from '../../kernel/errors.js';

type AnyRow = Row<TableName> & { readonly [column: string]: unknown };
type Table = Map<string, AnyRow>;
export type HostSnapshot = ReadonlyMap<TableName, ReadonlyMap<string, AnyRow>>;

/** Columns whose values no two rows may share, as the engines' indexes say. */
const unique: Partial<Record<TableName, readonly string[]>> = { record: ['position', 'tap'] };
const countMax = 10_000;

export class MemoryHostStore implements HostStore {
  #tables = new Map<TableName, Table>();
  /** table.column → value → ids. */
  #index = new Map<string, Map<string, Set<string>>>();
  /** Called with what each commit changed, before anybody is told. */
  onCommit: (writes: readonly Write[], before: (table: TableName, id: string) => AnyRow | undefined) => void = () => {};

  /** Called before and after each decision. */
  onDecide: (begins: boolean) => void = () => {};

  async transact<T>(plan: Plan, decide: (facts: WorkingSet) => T): Promise<T> {
    const facts = loadFacts(plan, (need) => this.#load(need));
    this.onDecide(true);
    const result = decide(facts);
    this.onDecide(false);
    const writes = facts.changes();
    this.#check(writes);
    this.onCommit(writes, (table, id) => this.#table(table).get(id));
    for (const write of writes) this.#put(write);
    return result;
  }
  async read<T>(plan: Plan, view: (facts: WorkingSet) => T): Promise<T> {
    return view(loadFacts(plan, (need) => this.#load(need)));
  }
  async page<T extends TableName>(request: PageRequest<T>): Promise<readonly Row<T>[]> {
    const { after, limit, order = 'oldest', table, where } = request;
    const sign = order === 'newest' ? -1 : 1;
    return this.#where(table, where)
      .sort((a, b) => sign * (a.id < b.id ? -1 : 1))
      .filter(({ id }) => after === null || sign * (id < after ? -1 : id > after ? 1 : 0) > 0)
      .slice(0, Math.max(1, Math.min(limit, pageRowsMax))) as unknown as Row<T>[];
  }
  async count<T extends TableName>(table: T, where: Where<T>): Promise<number> {
    return Math.min(countMax, this.#where(table, where).length);
  }
  async backup(): Promise<void> {
    throw new TerminalError('store.failed', 'a store in memory has no file');
  }
  async check(): Promise<readonly string[]> {
    return [];
  }
  async close(): Promise<void> {}

  /** Every row of a table now. */
  rows<T extends TableName>(table: T): readonly Row<T>[] {
    return [...this.#table(table).values()] as unknown as Row<T>[];
  }
  row<T extends TableName>(table: T, id: string): Row<T> | undefined {
    return this.#table(table).get(id) as unknown as Row<T> | undefined;
  }

  snapshot(): HostSnapshot {
    return new Map([...this.#tables].map(([name, rows]) => [name, new Map(rows)]));
  }
  /** Becomes what a snapshot was: a host restored from its backup. */
  restore(snapshot: HostSnapshot): void {
    this.#tables = new Map();
    this.#index = new Map();
    for (const [table, rows] of snapshot) for (const row of rows.values()) this.#put({ table, row });
  }

  #table(name: TableName): Table {
    let table = this.#tables.get(name);
    if (!table) {
      table = new Map();
      this.#tables.set(name, table);
    }
    return table;
  }

  #ids(table: TableName, column: string): Map<string, Set<string>> {
    const key = `${table}.${column}`;
    let index = this.#index.get(key);
    if (!index) {
      index = new Map();
      this.#index.set(key, index);
      for (const row of this.#table(table).values()) addTo(index, row[column], row.id);
    }
    return index;
  }

  #where<T extends TableName>(table: T, where: Where<T>): AnyRow[] {
    const rows = [...this.#table(table).values()];
    if (!where) return rows;
    return rows.filter((row) =>
      'prefix' in where ? row.id.startsWith(where.prefix) : row[where.lookup] === where.value,
    );
  }

  #load(need: Need): readonly Row<TableName>[] {
    const table = this.#table(need.table);
    if ('all' in need) return [...table.values()];
    if ('due' in need) {
      const due = [...table.values()].filter((row) => {
        const at = row[need.due];
        return typeof at === 'number' && at <= need.upTo;
      });
      return due
        .sort((a, b) => Number(a[need.due]) - Number(b[need.due]) || (a.id < b.id ? -1 : 1))
        .slice(0, need.limit);
    }
    if (need.by === 'id') return need.values.flatMap((id) => table.get(id) ?? []);
    const index = this.#ids(need.table, need.by);
    return need.values.flatMap((value) => {
      const ids = [...(index.get(value) ?? [])].sort().slice(-lookupRowsMax);
      return ids.flatMap((id) => table.get(id) ?? []);
    });
  }

  #check(writes: readonly Write[]): void {
    const gone = new Set(writes.flatMap((write) => ('removed' in write ? [`${write.table} ${write.removed}`] : [])));
    for (const write of writes) {
      if ('removed' in write) continue;
      const row = write.row as AnyRow;
      if (write.table === 'account' && Number(row['balance']) < 0)
        throw new Error(`constraint: balance of ${row.id} is negative`);
      if (write.table === 'member') this.#checkNumber(row, gone);
      for (const column of unique[write.table] ?? []) {
        const value = row[column];
        if (typeof value !== 'string') continue;
        for (const id of this.#ids(write.table, column).get(value) ?? [])
          if (id !== row.id && !gone.has(`${write.table} ${id}`))
            throw new Error(`constraint: ${write.table}.${column} ${value} stands twice`);
      }
    }
  }

  /** A number is one member of each merchant. */
  #checkNumber(row: AnyRow, gone: ReadonlySet<string>): void {
    for (const id of this.#ids('member', 'phone').get(String(row['phone'])) ?? [])
      if (id !== row.id && !gone.has(`member ${id}`) && this.row('member', id)?.merchantId === row['merchantId'])
        throw new Error(`constraint: ${row['phone']} is two members of one merchant`);
  }

  #put(write: Write): void {
    const id = 'removed' in write ? write.removed : write.row.id;
    const table = this.#table(write.table);
    const before = table.get(id);
    const after = 'removed' in write ? undefined : (write.row as AnyRow);
    for (const column of ['position', ...tables[write.table].lookups] as readonly string[]) {
      const index = this.#index.get(`${write.table}.${column}`);
      if (!index) continue;
      if (before && typeof before[column] === 'string') index.get(before[column])?.delete(id);
      if (after) addTo(index, after[column], id);
    }
    if (after) table.set(id, after);
    else table.delete(id);
  }
}

function addTo(index: Map<string, Set<string>>, value: unknown, id: string): void {
  if (typeof value !== 'string') return;
  const ids = index.get(value);
  if (ids) ids.add(id);
  else index.set(value, new Set([id]));
}
