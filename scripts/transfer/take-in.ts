/**
 * Brings a box's records to the host from a file: a transfer file made for the host, or what salvage found in a damaged
 * database. Must not judge a record: the host does, and what it knows already gets the answer it has.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { bodyBytesMax } from '../../host-sync/protocol/record.js';
import type { Envelope, RecordAnswer } from '../../host-sync/protocol/sync.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { openTerminalStore } from '../../terminal/store/open.js';
import type { JournalEntry, TerminalStore } from '../../terminal/store/port.js';
import type { AdminClient } from '../host/admin-client.js';

const recordsPerCall = 100;
const journalPage = 200;
/** Records that wait for others of the same file are tried again so often. */
const rounds = 3;
const unknownHash = '00'.repeat(32);
type Position = Pick<JournalEntry, 'epoch' | 'sequence'>;

export interface TakenIn {
  readonly terminalId: string;
  readonly accepted: number;
  readonly refused: number;
  /** Not decided: they wait for a record that the host does not have. */
  readonly waiting: number;
}

/** The unanswered records of a database that was unpacked, oldest first; all of them with `everything`. */
export function* recordsOf(database: string, everything: boolean): Generator<Envelope> {
  const store = openTerminalStore({ file: database, crypto: nativeCrypto });
  try {
    yield* oldestFirst(store, everything);
  } finally {
    store.close();
  }
}

/**
 * A journal can only be read from its newest record back, and holds more than fits into memory: the places between the pages
 * are found first, then the pages are read again from the oldest.
 */
export function* oldestFirst(store: Pick<TerminalStore, 'journal'>, everything: boolean): Generator<Envelope> {
  const isWanted = ({ state }: JournalEntry): boolean => everything || state === 'unsent';
  const befores: (Position | null)[] = [];
  for (let before: Position | null = null; ; ) {
    const page: readonly JournalEntry[] = store.journal(journalPage, before);
    const last = page.at(-1);
    if (!last) break;
    if (page.some(isWanted)) befores.push(before);
    before = { epoch: last.epoch, sequence: last.sequence };
  }
  for (const before of befores.reverse())
    for (const entry of [...store.journal(journalPage, before)].reverse()) if (isWanted(entry)) yield envelopeOf(entry);
}

const envelopeOf = ({ body, previousHash }: Pick<JournalEntry, 'body' | 'previousHash'>): Envelope => ({
  body,
  previousHash,
  attempt: 1,
  sentAtWallMs: 0,
});

const lineSchema = z.strictObject({
  number: z.int().min(1).nullable(),
  hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
  body: z.string().min(1).max(bodyBytesMax),
});

/** Is this the text that salvage writes, rather than a transfer file? */
export function isSalvaged(file: string): boolean {
  const handle = openSync(file, 'r');
  try {
    const first = Buffer.alloc(1);
    return readSync(handle, first, 0, 1, 0) === 1 && first.toString('latin1') === '{';
  } finally {
    closeSync(handle);
  }
}

/** Records of a salvage file with the terminal that each names. A hash that is not there is given as unknown: zeros. */
export async function* salvagedRecords(file: string): AsyncGenerator<{ terminalId: string; envelope: Envelope }> {
  const handle = await open(file, 'r');
  let last: { readonly number: number; readonly hash: string } | null = null;
  let at = 0;
  try {
    for await (const line of handle.readLines()) {
      at++;
      const json = parseJson(line, { lengthMax: 4 * bodyBytesMax, depthMax: 2 });
      const read = lineSchema.safeParse(json.ok ? json.value : null);
      if (!read.success) throw new TerminalError('input.malformed', `${path.basename(file)}: line ${at}`);
      const { number, hash, body } = read.data;
      const inner = parseJson(body);
      const named = z.looseObject({ terminalId: z.string() }).safeParse(inner.ok ? inner.value : null);
      const follows: boolean = number !== null && last?.number === number - 1;
      const previousHash = follows && last ? last.hash : unknownHash;
      if (named.success) yield { terminalId: named.data.terminalId, envelope: envelopeOf({ body, previousHash }) };
      last = number !== null && hash !== null ? { number, hash } : null;
    }
  } finally {
    await handle.close();
  }
}

/** Gives the host these records of one terminal, in portions; what waits for others is tried again at the end. */
export async function takeIn(
  call: AdminClient['call'],
  terminalId: string,
  records: Iterable<Envelope> | AsyncIterable<Envelope>,
  options: { readonly by: string; readonly onRecords: (count: number) => void },
): Promise<TakenIn> {
  const counts = { accepted: 0, refused: 0 };
  const waiting: Envelope[] = [];
  const give = async (portion: readonly Envelope[]): Promise<void> => {
    if (portion.length === 0) return;
    const answers = await call<readonly RecordAnswer[]>('terminal.takeIn', {
      ...{ terminalId, by: options.by, records: portion },
    });
    for (const [index, { outcome }] of answers.entries()) {
      const record = portion[index];
      if (outcome !== 'later') counts[outcome]++;
      else if (record) waiting.push(record);
    }
    options.onRecords(counts.accepted + counts.refused);
  };
  let portion: Envelope[] = [];
  for await (const record of records) {
    portion.push(record);
    if (portion.length < recordsPerCall) continue;
    await give(portion);
    portion = [];
  }
  await give(portion);
  for (let round = 1; round < rounds && waiting.length > 0; round++) {
    const again = waiting.splice(0);
    for (let from = 0; from < again.length; from += recordsPerCall)
      await give(again.slice(from, from + recordsPerCall));
  }
  return { terminalId, ...counts, waiting: waiting.length };
}
