/**
 * Chain: where a record stands in its terminal's history, and whether history forks, breaks or goes back there.
 * Pure. Runs of the chain are kept as spans, so that any order of arrival costs the same; the run from 1 is the watermark.
 */
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
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
const at = ({ epoch, terminalId }: Place, sequence: number): string => `${terminalId}/${epoch}/${sequence}`;

/** A place with the keys of it and its neighbours, worked out once: a batch asks for them several times. */
export interface KeyedPlace extends Place {
  readonly key: string;
  readonly keyBefore: string;
  readonly keyAfter: string;
  /** Of the epoch's first place. */
  readonly keyOfFirst: string;
}
export const keyedPlace = ({ epoch, sequence, terminalId }: Place): KeyedPlace => ({
  terminalId,
  epoch,
  sequence,
  key: `${terminalId}/${epoch}/${sequence}`,
  keyBefore: `${terminalId}/${epoch}/${sequence - 1}`,
  keyAfter: `${terminalId}/${epoch}/${sequence + 1}`,
  keyOfFirst: `${terminalId}/${epoch}/1`,
});

/** States what `placeInChain`, `hasGapBelow` and `watermark` read. */
export function planChain(need: Collector, place: KeyedPlace): void {
  need.find('record', 'position', place.key);
  need.find('span', 'endKey', place.keyBefore);
  need.find('span', 'endKey', place.key);
  need.get('span', place.keyAfter);
  need.get('span', place.key);
  need.get('span', place.keyOfFirst);
}

export type Placed =
  | { readonly placed: true; readonly writes: readonly Write[] }
  /** fork: the place is taken by another body. broken: the hashes of neighbours do not meet. */
  | { readonly placed: false; readonly why: 'fork' | 'broken' };

/** Puts a body into the chain. `previousHash` is what the envelope says it follows, 32 bytes in lower-case hex. */
export function placeInChain(
  crypto: Pick<Crypto, 'sha256'>,
  facts: Facts,
  place: KeyedPlace,
  previousHash: string,
  digest: Bytes,
): Placed {
  if (facts.find('record', 'position', place.key).length > 0) return { placed: false, why: 'fork' };
  const hash = toHex(chainHash(crypto, hex(previousHash), digest));
  const before = facts.find('span', 'endKey', place.keyBefore)[0];
  const after = facts.get('span', place.keyAfter);
  const expected = place.sequence === 1 ? toHex(genesisHash(crypto, place.terminalId, place.epoch)) : before?.lastHash;
  if (expected !== undefined && expected !== previousHash) return { placed: false, why: 'broken' };
  if (after && after.firstPrevious !== hash) return { placed: false, why: 'broken' };
  const lastHash = after?.lastHash ?? hash;
  const span: Row<'span'> = {
    id: before?.id ?? place.key,
    terminalId: place.terminalId,
    epoch: place.epoch,
    first: before?.first ?? place.sequence,
    last: after?.last ?? place.sequence,
    firstPrevious: before?.firstPrevious ?? previousHash,
    lastHash,
    endKey: after?.endKey ?? place.key,
    hashKey: hashKey(place.terminalId, lastHash),
  };
  return { placed: true, writes: after ? [remove('span', after.id), put('span', span)] : [put('span', span)] };
}

const hashKey = (terminalId: string, hash: string): string => `${terminalId}/${hash}`;

/** States what `placeByHash` reads. */
export const planPlaceByHash = (need: Collector, terminalId: string, previousHash: string): void => {
  const span = need.find('span', 'hashKey', hashKey(terminalId, previousHash))[0];
  if (span) planChain(need, keyedPlace({ terminalId, epoch: span.epoch, sequence: span.last + 1 }));
};

/** The place of a body that cannot be read: behind the record whose hash it says it follows; null where that is not there. */
export function placeByHash(facts: Facts, terminalId: string, previousHash: string): KeyedPlace | null {
  const span = facts.find('span', 'hashKey', hashKey(terminalId, previousHash))[0];
  return span ? keyedPlace({ terminalId, epoch: span.epoch, sequence: span.last + 1 }) : null;
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
