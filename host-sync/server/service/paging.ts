/**
 * Pages and refusals as every service gives them. Must hold no business.
 */
import type { ErrorCode } from '../../../terminal/kernel/errors.js';
import { err } from '../../../terminal/kernel/result.js';
import type { Row, TableName } from '../ledger/tables.js';
import { type HostStore, pageRowsMax, type Where } from '../storage/port.js';
import type { Page, PageOptions, Refusal } from './types.js';

export const pageRowsDefault = 100;

/** A refusal of a whole request. `detail` is for the technician and holds no secret. */
export const refusal = (code: ErrorCode, detail = ''): { readonly ok: false; readonly error: Refusal } =>
  err({ code, detail });

/** One page by id; asks for one row more to know whether there is a next. */
export async function pageOf<T extends TableName>(
  store: HostStore,
  table: T,
  where: Where<T>,
  options: PageOptions = {},
  order: 'oldest' | 'newest' = 'oldest',
): Promise<Page<Row<T>>> {
  const limit = Math.max(1, Math.min(options.limit ?? pageRowsDefault, pageRowsMax - 1));
  const rows = await store.page({ table, where, after: options.cursor ?? null, limit: limit + 1, order });
  const shown = rows.slice(0, limit);
  return { rows: shown, next: rows.length > limit ? (shown.at(-1)?.id ?? null) : null };
}
