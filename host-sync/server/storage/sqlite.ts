/**
 * The embedded engine: the host's storage port on one SQLite file (WAL, synchronous=FULL), sole owner of that file.
 * Must not know what rows mean; statements are made from the tables' definition and take bound parameters only.
 */
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import { loadFacts, type Need, type Plan, type WorkingSet, type Write } from '../ledger/facts.js';
import { type Column, immutableTables, lookupRowsMax, type Row, type TableName, tables } from '../ledger/tables.js';
import type { HostStore, PageRequest, Where } from './port.js';
import { pageRowsMax } from './port.js';
import { applicationId, migrations } from './sqlite-migrations.js';

const busyTimeoutDefaultMs = 5_000;
/** Counting stops here: a gauge need not know more. */
export const countMax = 10_000;

type Cell = string | bigint | Uint8Array | null;
type Statement = Database.Statement<unknown[], Cell[]>;

/** Maps an engine's failure to an operational error; others (bugs) pass through. */
function asTerminalError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const { code } = error;
  if (code === 'SQLITE_FULL') return new TerminalError('store.full', code);
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return new TerminalError('store.corrupt', code);
  return new TerminalError('store.failed', `${code}: ${error.message}`);
}

const quoted = (name: string): string => `"${name}"`;
interface Shape {
  readonly columns: readonly (readonly [string, Column])[];
  readonly select: string;
  /** Rows whose column has one of the values of a JSON list. */
  readonly selectBy: ReadonlyMap<string, string>;
  readonly insert: string;
}
/** What each table's statements are made of, worked out once. */
const shapes: { readonly [T in TableName]: Shape } = Object.fromEntries(
  (Object.keys(tables) as TableName[]).map((table) => [table, shapeOf(table)]),
) as { readonly [T in TableName]: Shape };

function shapeOf(table: TableName): Shape {
  const columns: Shape['columns'] = Object.entries(tables[table].columns);
  const names = columns.map(([name]) => quoted(name));
  const insert = `INSERT INTO ${quoted(table)} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
  const updates = names.filter((name) => name !== '"id"').map((name) => `${name} = excluded.${name}`);
  return {
    columns,
    select: `SELECT ${names.join(', ')} FROM ${quoted(table)}`,
    selectBy: new Map(['id', ...tables[table].lookups].map((by) => [by, selectBy(table, names, by)])),
    insert: immutableTables.includes(table) ? insert : `${insert} ON CONFLICT (id) DO UPDATE SET ${updates.join(', ')}`,
  };
}

/** One statement for all values: a statement each costs eight times as much. A value's limit and order are its own. */
function selectBy(table: TableName, names: readonly string[], by: string): string {
  const row = quoted(table);
  const from = `SELECT ${names.map((name) => `${row}.${name}`).join(', ')} FROM json_each(?) AS asked CROSS JOIN ${row}`;
  if (by === 'id') return `${from} ON ${row}.id = asked.value`;
  const newest = `SELECT id FROM ${row} AS found WHERE found.${quoted(by)} = asked.value ORDER BY id DESC LIMIT ${lookupRowsMax}`;
  return `${from} ON ${row}.id IN (${newest})`;
}

/**
 * Opens or creates the file (its folder must exist; `:memory:` for tests) and brings its schema up to date.
 * `busyTimeoutMs` is how long to wait for another process's lock. Throws `store.newer` · `store.corrupt` · `store.failed`.
 */
export function openSqliteStore(file: string, busyTimeoutMs = busyTimeoutDefaultMs): HostStore {
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { timeout: busyTimeoutMs });
    if (file !== ':memory:') chmodSync(file, 0o600);
    prepareFile(db);
    return new SqliteStore(db);
  } catch (error) {
    db?.close();
    throw asTerminalError(error);
  }
}

function prepareFile(db: Database.Database): void {
  db.pragma('journal_mode = WAL');
  // better-sqlite3 is built to fall back to NORMAL in WAL unless it is set by name after that.
  db.pragma('synchronous = FULL');
  db.pragma('foreign_keys = ON');
  db.pragma('trusted_schema = OFF');
  const version = Number(db.pragma('user_version', { simple: true }));
  const owner = Number(db.pragma('application_id', { simple: true }));
  if (version > 0 && owner !== applicationId) throw new TerminalError('store.corrupt', 'not a host database');
  if (version > migrations.length)
    throw new TerminalError('store.newer', `schema ${version}, this program knows ${migrations.length}`);
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`application_id = ${applicationId}`);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}

class SqliteStore implements HostStore {
  readonly #statements = new Map<string, Statement>();
  readonly #transaction: Database.Transaction<(work: () => unknown) => unknown>;
  #closed = false;

  constructor(private readonly db: Database.Database) {
    this.#transaction = db.transaction((work: () => unknown) => work());
  }

  async transact<T>(plan: Plan, decide: (facts: WorkingSet) => T): Promise<T> {
    return this.#guard(() =>
      this.#transaction.immediate(() => {
        const facts = this.#load(plan);
        const result = decide(facts);
        this.#write(facts.changes());
        return result;
      }),
    ) as T;
  }

  async read<T>(plan: Plan, view: (facts: WorkingSet) => T): Promise<T> {
    return this.#guard(() => this.#transaction.deferred(() => view(this.#load(plan)))) as T;
  }

  async page<T extends TableName>(request: PageRequest<T>): Promise<readonly Row<T>[]> {
    const { table, order = 'oldest' } = request;
    const limit = Math.max(1, Math.min(request.limit, pageRowsMax));
    const newest = order === 'newest';
    const conditions: string[] = [];
    const values: (string | number)[] = [];
    if (request.after !== null) {
      conditions.push(`id ${newest ? '<' : '>'} ?`);
      values.push(request.after);
    }
    const where = this.#where(table, request.where, conditions, values);
    const sql = `${shapes[table].select}${where} ORDER BY id ${newest ? 'DESC' : 'ASC'} LIMIT ?`;
    return this.#guard(() => this.#rows(table, sql, [...values, limit])) as readonly Row<T>[];
  }

  async count<T extends TableName>(table: T, where: Where<T>): Promise<number> {
    const values: (string | number)[] = [];
    const condition = this.#where(table, where, [], values);
    const sql = `SELECT count(*) FROM (SELECT 1 FROM ${quoted(table)}${condition} LIMIT ${countMax})`;
    return this.#guard(() => Number(this.#statement(sql).get(values)?.[0]));
  }

  async backup(target: string): Promise<void> {
    if (existsSync(target)) throw new TerminalError('store.failed', 'the backup file exists already');
    const part = `${target}.part`;
    rmSync(part, { force: true });
    try {
      await this.db.backup(part);
      chmodSync(part, 0o600);
      flush(part);
      renameSync(part, target);
      flush(path.dirname(target));
    } catch (error) {
      rmSync(part, { force: true });
      throw asTerminalError(error);
    }
  }

  async check(): Promise<readonly string[]> {
    const found = this.#guard(() => [
      ...this.#statement('PRAGMA integrity_check')
        .all()
        .map((row) => String(row[0])),
      ...this.#statement('PRAGMA foreign_key_check')
        .all()
        .map((row) => `foreign key: ${row.slice(0, 3).join(' ')}`),
    ]);
    return found.filter((line) => line !== 'ok');
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.db.close();
  }

  #guard<T>(work: () => T): T {
    if (this.#closed) throw new TerminalError('store.failed', 'closed');
    try {
      return work();
    } catch (error) {
      throw asTerminalError(error);
    }
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.db.prepare<unknown[], Cell[]>(sql).safeIntegers(true);
      if (statement.reader) statement.raw(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #where<T extends TableName>(table: T, where: Where<T>, conditions: string[], values: (string | number)[]): string {
    if (where && 'prefix' in where) {
      conditions.push('id >= ?', 'id < ?');
      values.push(where.prefix, `${where.prefix}\u{10ffff}`);
    } else if (where) {
      conditions.push(`${quoted(this.#lookup(table, where.lookup))} = ?`);
      values.push(where.value);
    }
    return conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  }

  /** A column's name only ever comes from the definition. */
  #lookup(table: TableName, name: string): string {
    const known =
      (tables[table].lookups as readonly string[]).find((lookup) => lookup === name) ??
      (name === 'id' ? 'id' : undefined);
    if (known === undefined) throw new Error(`invariant broken: ${table} is looked up by ${name}`);
    return known;
  }

  #rows(table: TableName, sql: string, values: readonly (string | number)[]): readonly Row<TableName>[] {
    const { columns } = shapes[table];
    return this.#statement(sql)
      .all([...values])
      .map((cells) => {
        const row: { [name: string]: unknown } = {};
        for (const [index, [name, column]] of columns.entries())
          row[name] = fromCell(cells[index] ?? null, column, name);
        return row as unknown as Row<TableName>;
      });
  }

  #load(plan: Plan): WorkingSet {
    return loadFacts(plan, (need) => this.#need(need));
  }

  #need(need: Need): readonly Row<TableName>[] {
    const select = shapes[need.table].select;
    if ('all' in need) return this.#rows(need.table, `${select} ORDER BY id`, []);
    if ('due' in need) {
      const column = quoted(need.due === 'sweepAtMs' ? 'sweepAtMs' : 'expiresAtMs');
      return this.#rows(need.table, `${select} WHERE ${column} <= ? ORDER BY ${column}, id LIMIT ?`, [
        need.upTo,
        need.limit,
      ]);
    }
    const sql = shapes[need.table].selectBy.get(need.by);
    if (sql === undefined) throw new Error(`invariant broken: ${need.table} is looked up by ${need.by}`);
    return this.#rows(need.table, sql, [JSON.stringify(need.values)]);
  }

  #write(writes: readonly Write[]): void {
    // What goes makes room first: a merged span takes over its neighbour's keys.
    for (const write of writes)
      if ('removed' in write) this.#statement(`DELETE FROM ${quoted(write.table)} WHERE id = ?`).run([write.removed]);
    for (const write of writes) {
      if ('removed' in write) continue;
      const row = write.row as Row<TableName> & { readonly [name: string]: unknown };
      const { columns, insert } = shapes[write.table];
      const cells: Cell[] = [];
      for (const [name, column] of columns) cells.push(toCell(row[name], column, name));
      this.#statement(insert).run(cells);
    }
  }
}

function fromCell(cell: Cell, column: Column, name: string): unknown {
  if (cell === null) return null;
  if (column.kind !== 'integer') return column.kind === 'bytes' ? new Uint8Array(cell as Uint8Array) : cell;
  const value = Number(cell);
  if (!Number.isSafeInteger(value)) throw new TerminalError('store.corrupt', `${name} is outside the safe integers`);
  return value;
}

function toCell(value: unknown, column: Column, name: string): Cell {
  if (value === null && column.nullable) return null;
  if (column.kind === 'integer' && Number.isSafeInteger(value)) return BigInt(value as number);
  if (column.kind === 'text' && typeof value === 'string') return value;
  if (column.kind === 'bytes' && value instanceof Uint8Array) return value;
  throw new Error(`invariant broken: column ${name} takes ${column.kind}`);
}

function flush(target: string): void {
  const file = openSync(target, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
