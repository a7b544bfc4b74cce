/**
 * Chain: where a record stands in its terminal's history, and whether history forks, breaks or goes back there.
 * Pure. Runs of the chain are kept as spans, so that any order of arrival costs the same; the run from 1 is the watermark.
 */
import { type Bytes, equalBytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import type { Crypto, TransactionId } from '../../../terminal/kernel/ports.js';
import { chainHash, genesisHash } from '../../protocol/record.js';
import type { Watermark } from '../../protocol/sync.js';
import { type Collector, type Facts, put, remove, type Write } from './facts.js';
import type { Row } from './tables.js';

export interface Place {
  readonly terminalId: string;
  readonly epoch: number;
  readonly sequence: number;
}
export const positionKey = (place: Place): string => `${place.terminalId}/${place.epoch}/${place.sequence}`;
const at = (place: Place, sequence: number): string => positionKey({ ...place, sequence });

/** States what `placeInChain`, `hasGapBelow` and `watermark` read. */
export function planChain(need: Collector, place: Place): void {
  need.find('record', 'position', positionKey(place));
  need.find('span', 'endKey', at(place, place.sequence - 1));
  need.find('span', 'endKey', positionKey(place));
  need.get('span', at(place, place.sequence + 1));
  need.get('span', positionKey(place));
  need.get('span', at(place, 1));
}

export type Placed =
  | { readonly placed: true; readonly writes: readonly Write[] }
  /** fork: the place is taken by another body. broken: the hashes of neighbours do not meet. */
  | { readonly placed: false; readonly why: 'fork' | 'broken' };

/** Puts a body into the chain. `previousHash` is what the envelope says it follows, 32 bytes. */
export function placeInChain(
  crypto: Pick<Crypto, 'sha256'>,
  facts: Facts,
  place: Place,
  previousHash: Bytes,
  digest: Bytes,
): Placed {
  if (facts.find('record', 'position', positionKey(place)).length > 0) return { placed: false, why: 'fork' };
  const hash = chainHash(crypto, previousHash, digest);
  const before = facts.find('span', 'endKey', at(place, place.sequence - 1))[0];
  const after = facts.get('span', at(place, place.sequence + 1));
  const expected =
    place.sequence === 1 ? genesisHash(crypto, place.terminalId, place.epoch) : before && hex(before.lastHash);
  if (expected && !equalBytes(expected, previousHash)) return { placed: false, why: 'broken' };
  if (after && after.firstPrevious !== toHex(hash)) return { placed: false, why: 'broken' };
  const first = before?.first ?? place.sequence;
  const last = after?.last ?? place.sequence;
  const lastHash = after?.lastHash ?? toHex(hash);
  const span: Row<'span'> = {
    id: at(place, first),
    terminalId: place.terminalId,
    epoch: place.epoch,
    first,
    last,
    firstPrevious: before?.firstPrevious ?? toHex(previousHash),
    lastHash,
    endKey: at(place, last),
    hashKey: hashKey(place.terminalId, lastHash),
  };
  return { placed: true, writes: after ? [remove('span', after.id), put('span', span)] : [put('span', span)] };
}

const hashKey = (terminalId: string, hash: string): string => `${terminalId}/${hash}`;

/** States what `placeByHash` reads. */
export const planPlaceByHash = (need: Collector, terminalId: string, previousHash: string): void => {
  const span = need.find('span', 'hashKey', hashKey(terminalId, previousHash))[0];
  if (span) planChain(need, { terminalId, epoch: span.epoch, sequence: span.last + 1 });
};

/** The place of a body that cannot be read: behind the record whose hash it says it follows; null where that is not there. */
export function placeByHash(facts: Facts, terminalId: string, previousHash: string): Place | null {
  const span = facts.find('span', 'hashKey', hashKey(terminalId, previousHash))[0];
  return span ? { terminalId, epoch: span.epoch, sequence: span.last + 1 } : null;
}

/** Is something before this place still missing? Then what it refers to may yet come. */
export const hasGapBelow = (facts: Facts, place: Place): boolean =>
  (facts.get('span', at(place, 1))?.last ?? 0) < place.sequence - 1;

/** How far the terminal's chain is held without a gap, and how much of it at all. Reads the span that starts the epoch. */
export function watermark(
  crypto: Pick<Crypto, 'sha256'>,
  facts: Facts,
  terminalId: string,
  epoch: number,
  wentBack = false,
): Watermark {
  const terminal = facts.get('terminal', terminalId);
  const span = facts.get('span', `${terminalId}/${epoch}/1`);
  return {
    epoch,
    sequence: span?.last ?? 0,
    hash: span?.lastHash ?? toHex(genesisHash(crypto, terminalId, epoch)),
    recordsHeld: terminal?.recordsHeld ?? 0,
    newest: (terminal?.newestRecord ?? null) as TransactionId | null,
    wentBack,
  };
}
