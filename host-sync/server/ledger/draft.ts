/**
 * Draft: one record's changes over the facts, so that later steps of the same record see the earlier ones.
 * Pure. What is drafted is kept with the answer, also with a refusal: a handler refuses before it drafts.
 */
import { type Facts, put, remove, type Write } from './facts.js';
import { type Movement, type Posting, post } from './posting.js';
import type { Lookup, Row, TableName } from './tables.js';

/** A time in ids that sort: 15 digits of milliseconds. */
export const timeKey = (atMs: number): string => String(atMs).padStart(15, '0');

/**
 * The version after `version`: it counts on, and is never behind the clock (`now`, in the unit that the version counts in). So a
 * host that goes back to a backup gives no number a second time: what it lost was numbered before that.
 */
export const nextVersion = (version: number, now: number): number => Math.max(version + 1, Math.floor(now));

/** A new alarm's row; `subject` says what it is about and makes it one row however often it is found. */
export function alarmRow(
  code: string,
  terminalId: string | null,
  subject: string,
  detail: string,
  atMs: number,
): Row<'alarm'> {
  const sameness = `${code}/${terminalId ?? '-'}/${subject}`;
  return {
    id: `${timeKey(atMs)}/${sameness}`,
    sameness,
    code,
    terminalId,
    subject,
    detail: detail.slice(0, 400),
    count: 1,
    firstAtMs: atMs,
    lastAtMs: atMs,
  };
}

export class Draft implements Facts {
  readonly writes: Write[] = [];
  readonly postings: Posting[] = [];

  /** `entryId` names the entries that are posted, `record` what caused them; `atMs` is the host's time. */
  constructor(
    private readonly facts: Facts,
    private readonly entryId: string,
    readonly atMs: number,
    private readonly record: string | null = entryId,
  ) {}

  get<T extends TableName>(table: T, id: string): Row<T> | undefined {
    // One record changes a handful of rows: looking through them costs less than keeping an index.
    for (let at = this.writes.length - 1; at >= 0; at--) {
      const write = this.writes[at];
      if (write?.table !== table) continue;
      if ('removed' in write) {
        if (write.removed === id) return undefined;
      } else if (write.row.id === id) return write.row as Row<T>;
    }
    return this.facts.get(table, id);
  }

  /** Rows found before the draft, as they are now. */
  find<T extends TableName>(table: T, lookup: Lookup<T>, value: string): readonly Row<T>[] {
    return this.facts.find(table, lookup, value).flatMap((row) => this.get(table, row.id) ?? []);
  }

  put<T extends TableName>(table: T, row: Row<T>): void {
    this.writes.push(put(table, row));
  }

  remove(table: TableName, id: string): void {
    this.writes.push(remove(table, id));
  }

  /** Posts one entry of this record; nothing where nothing moves. */
  post(cause: string, movements: readonly Movement[]): void {
    const suffix = this.postings.length === 0 ? '' : `/${this.postings.length}`;
    const posting: Posting = { id: `${this.entryId}${suffix}`, cause, record: this.record, atMs: this.atMs, movements };
    const writes = post(this, posting);
    if (writes.length === 0) return;
    this.postings.push(posting);
    this.writes.push(...writes);
  }

  alarm(code: string, terminalId: string, subject: string, detail: string): void {
    this.put('alarm', alarmRow(code, terminalId, subject, detail, this.atMs));
  }
}
