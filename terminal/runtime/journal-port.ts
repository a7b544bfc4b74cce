/**
 * Journal port: what console and local API may show of a journal entry: what it is, what it is worth and the host's word.
 * Leaves out the body, which carries credentials and proofs.
 */
import { decodeRecord, type RecordBody } from '../../host-sync/protocol/record.js';
import { utf8 } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import { type AmountMinor, type Currency, isCurrency, type Points, type WallMs } from '../kernel/units.js';
import type { TerminalPort } from './port.js';

export type JournalEntryOfPort = ReturnType<TerminalPort['journal']>[number];

/** One journal entry as people and tills may see it. */
export interface JournalView {
  readonly epoch: number;
  readonly sequence: number;
  readonly transactionId: string;
  readonly kind: string;
  readonly storedWallMs: WallMs;
  readonly state: 'unsent' | 'dead' | 'settled';
  readonly reference: string | null;
  readonly clerk: string | null;
  /** Money that this record moves or reports, minor units; null where it carries none of its own or cannot be read. */
  readonly worthMinor: AmountMinor | null;
  readonly currency: Currency | null;
  /** Points that it moves; null where it carries none. */
  readonly points: Points | null;
  /** The host's refusal; null while there is none. */
  readonly refusal: { readonly code: ErrorCode; readonly detail: string } | null;
  readonly hash: string;
}

interface Worth {
  readonly minor: number | null;
  readonly points: number | null;
}

function worthOf(record: RecordBody): Worth {
  switch (record.kind) {
    case 'plainSale':
    case 'couponDeduct':
      return { minor: record.bill.totalMinor, points: null };
    case 'pointsEarn':
      return { minor: record.bill.totalMinor, points: record.points };
    case 'pointsSpend':
      return { minor: record.coveredMinor, points: record.points };
    case 'cardDebit':
    case 'cardCredit':
    case 'refund':
    case 'topUp':
    case 'topUpVoid':
    case 'cardTopUp':
    case 'cardTopUpVoid':
      return { minor: record.amountMinor, points: null };
    case 'completion':
    case 'reversal':
    case 'void':
    case 'consumption':
    case 'allowanceRelease':
      return { minor: null, points: null };
  }
}

/** What may be shown of an entry. A body that does not decode gives nulls: unknown is never shown as zero. */
export function journalView(entry: JournalEntryOfPort): JournalView {
  const decoded = decodeRecord(utf8(entry.body));
  const record = decoded.ok ? decoded.value : null;
  const worth = record ? worthOf(record) : { minor: null, points: null };
  const currency =
    record && 'bill' in record ? record.bill.currency : record && 'currency' in record ? record.currency : null;
  return {
    epoch: entry.epoch,
    sequence: entry.sequence,
    transactionId: entry.transactionId,
    kind: entry.kind,
    storedWallMs: entry.storedWallMs,
    state: entry.state,
    reference: record && 'reference' in record ? record.reference : null,
    clerk: record?.clerk ?? null,
    worthMinor: worth.minor as AmountMinor | null,
    currency: isCurrency(currency) ? currency : null,
    points: worth.points as Points | null,
    refusal: entry.answer?.outcome === 'refused' ? { code: entry.answer.code, detail: entry.answer.detail } : null,
    hash: entry.hash,
  };
}
