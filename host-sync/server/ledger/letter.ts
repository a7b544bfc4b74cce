/**
 * Letters: envelopes as read, before anything is known about them: record, identity and place, as far as they can be told.
 * Pure. Must not consult facts.
 */
import { type Bytes, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { parseJson } from '../../../terminal/kernel/json.js';
import type { Crypto, TransactionId } from '../../../terminal/kernel/ports.js';
import {
  bodyBytesMax,
  bodyDigest,
  chainHash,
  decodeRecord,
  type RecordBody,
  terminalIdSchema,
  transactionIdFromBytes,
  transactionIdSchema,
} from '../../protocol/record.js';
import type { Envelope } from '../../protocol/sync.js';
import { type KeyedPlace, keyedPlace } from './chain.js';

/** An envelope as read, before anything is known about it. */
export interface Letter {
  readonly body: Bytes;
  readonly digest: Bytes;
  readonly digestHex: string;
  /** The id under which its answer is kept where its transaction's belongs to another body. */
  readonly digestId: TransactionId;
  readonly previousHash: string;
  /** The record, or null where the body cannot be read. */
  readonly record: RecordBody | null;
  readonly problem: string;
  /** The transaction's id; where the body's own cannot be read: its digest's first bytes in the form of one. */
  readonly transactionId: TransactionId;
  /** The terminal that the body names, where that can be read. */
  readonly terminalId: string | null;
  /** Where it stands, where that can be read or follows from its neighbours in the batch. */
  readonly place: KeyedPlace | null;
}

/** An id made of a body's digest, in the form of a UUID version 7, for bodies whose own id is unreadable or another's. */
function idOfDigest(digest: Bytes): TransactionId {
  const bytes = digest.slice(0, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return transactionIdFromBytes(bytes);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1;

function readLetter(crypto: Pick<Crypto, 'sha256'>, envelope: Envelope): Letter {
  const body = utf8(envelope.body);
  const digest = bodyDigest(crypto, body);
  const read = decodeRecord(body);
  const digestId = idOfDigest(digest);
  const base = { body, digest, digestHex: toHex(digest), digestId, previousHash: envelope.previousHash };
  if (read.ok) {
    const { transactionId, terminalId, epoch, sequence } = read.value;
    return {
      ...base,
      record: read.value,
      problem: '',
      transactionId,
      terminalId,
      place: keyedPlace({ terminalId, epoch, sequence }),
    };
  }
  const json = parseJson(envelope.body, { lengthMax: bodyBytesMax, depthMax: 8 });
  const fields = (json.ok && typeof json.value === 'object' && json.value !== null ? json.value : {}) as Readonly<
    Record<string, unknown>
  >;
  const id = transactionIdSchema.safeParse(fields['transactionId']);
  const terminal = terminalIdSchema.safeParse(fields['terminalId']);
  const { epoch, sequence } = fields;
  return {
    ...base,
    record: null,
    problem: read.error.detail,
    transactionId: id.success ? id.data : digestId,
    terminalId: terminal.success ? terminal.data : null,
    place:
      terminal.success && isCount(epoch) && isCount(sequence)
        ? keyedPlace({ terminalId: terminal.data, epoch, sequence })
        : null,
  };
}

/** Reads a batch. Bodies that hide their place get it from the neighbour in the batch whose hash they follow. */
export function readLetters(
  crypto: Pick<Crypto, 'sha256'>,
  terminalId: string,
  envelopes: readonly Envelope[],
): readonly Letter[] {
  const letters = envelopes.map((envelope) => readLetter(crypto, envelope));
  if (letters.every((letter) => letter.place)) return letters;
  const placed = [...letters];
  const followers = new Map<string, number[]>();
  for (const [index, letter] of letters.entries())
    if (!letter.place) followers.set(letter.previousHash, [...(followers.get(letter.previousHash) ?? []), index]);
  const known = letters.filter((letter) => letter.place?.terminalId === terminalId);
  for (let letter = known.pop(); letter; letter = known.pop()) {
    const hash = toHex(chainHash(crypto, hex(letter.previousHash), letter.digest));
    for (const index of followers.get(hash) ?? []) {
      const follower = letters[index];
      if (!follower || !letter.place) continue;
      const found = { ...follower, place: keyedPlace({ ...letter.place, sequence: letter.place.sequence + 1 }) };
      placed[index] = found;
      known.push(found);
    }
    followers.delete(hash);
  }
  return placed;
}

/**
 * Letters in the order in which they are taken in: reversals, so that what was undone is never done first; then by place.
 * Those that hide their place come last, as they were given.
 */
export const inOrder = (letters: readonly Letter[]): readonly { readonly letter: Letter; readonly index: number }[] =>
  letters
    .map((letter, index) => ({ letter, index }))
    .sort((a, b) => turnOf(a.letter) - turnOf(b.letter) || byPlace(a.letter, b.letter) || a.index - b.index);

const turnOf = (letter: Letter): number => (letter.record?.kind === 'reversal' ? 0 : 1);

function byPlace(a: Letter, b: Letter): number {
  if (!a.place || !b.place) return a.place ? -1 : b.place ? 1 : 0;
  return a.place.epoch - b.place.epoch || a.place.sequence - b.place.sequence;
}
