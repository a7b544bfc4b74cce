/**
 * Which applications a bank card has, in the order in which they are tried (EMV Book 1 §12.3): by the payment system
 * environment, or, where it has none, by asking for each application that is known here. Pure, sans-I/O.
 */
import { type Bytes, equalBytes, hex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Dialogue } from '../card-dialogue.js';
import { exchange, fault, type Talk } from './exchange.js';
import { decodeDirectoryRecord, decodeFileControl } from './file-control.js';
import { applicationRows, beginsWith, type Scheme, schemeOf } from './schemes.js';

const environmentName = utf8('1PAY.SYS.DDF01');
/** Records of a directory, applications, and applications under one name that are looked at; a card that has more has enough. */
const directoryRecordsMax = 16;
const candidatesMax = 16;
const occurrencesMax = 8;

export const status = {
  done: 0x9000,
  /** The application is blocked; of the environment: the environment. */
  blocked: 0x6283,
  /** The file has ended for good (ISO/IEC 7816-4 §5.3.3). */
  terminated: 0x6285,
  conditions: 0x6985,
  /** To a SELECT: the card is blocked. */
  cardBlocked: 0x6a81,
  recordNotFound: 0x6a83,
} as const;

export interface Candidate {
  /** As the card has it, 5…16 bytes. */
  readonly name: Bytes;
  readonly scheme: Scheme;
  readonly label: string | null;
  readonly priority: number | null;
}
interface Selection {
  readonly candidates: readonly Candidate[];
  /** An application that is known here was there and blocked. */
  readonly blockedSeen: boolean;
}
type Then<T> = (selection: Selection) => Dialogue<T>;

const nothing = new Uint8Array(0);

/** SELECT by name (Book 1 §11.3); `next`: the next one of this name. */
export const selectCommand = (name: Bytes, next = false) => ({
  ...{ cla: 0x00, ins: 0xa4, p1: 0x04 },
  ...{ p2: next ? 0x02 : 0x00, data: name },
});
/** READ RECORD (Book 1 §11.2). @param file 1…30 @param record 1…255 */
export const readRecordCommand = (file: number, record: number) => ({
  ...{ cla: 0x00, ins: 0xb2, p1: record },
  ...{ p2: (file << 3) | 0x04, data: nothing },
});

export const isBlocked = (code: number): boolean => code === status.blocked || code === status.terminated;

/** Hands the applications that are known here to `then`, best first; ends with `chip.blocked` where the card is. */
export function findCandidates<T>(talk: Talk, then: Then<T>): Dialogue<T> {
  return exchange(talk, 'environment', selectCommand(environmentName), (answer) => {
    if (answer.status === status.cardBlocked) return fault('chip.blocked', answer.status, 'the card is blocked');
    const control = answer.status === status.done ? decodeFileControl(answer.data) : null;
    // Whatever is wrong with the environment, the card is asked name by name (Book 1 §12.3.2).
    if (!control?.ok || control.value.directory === null) return askByName(talk, then);
    return readDirectory(talk, control.value.directory, 1, [], then);
  });
}

function readDirectory<T>(
  talk: Talk,
  file: number,
  record: number,
  found: readonly Candidate[],
  then: Then<T>,
): Dialogue<T> {
  return exchange(talk, 'directory', readRecordCommand(file, record), (answer) => {
    const isEnd = answer.status === status.recordNotFound;
    if (!isEnd && answer.status !== status.done) return askByName(talk, then);
    const entries = isEnd ? null : decodeDirectoryRecord(answer.data);
    if (entries?.ok === false) return askByName(talk, then);
    const known = (entries?.value ?? []).flatMap((entry): Candidate[] => {
      const scheme = schemeOf(entry.name);
      return scheme ? [{ ...entry, scheme }] : [];
    });
    const news = known.filter(({ name }) => !found.some((candidate) => equalBytes(candidate.name, name)));
    const all = [...found, ...news].slice(0, candidatesMax);
    if (!isEnd && record < directoryRecordsMax) return readDirectory(talk, file, record + 1, all, then);
    return all.length === 0 ? askByName(talk, then) : then({ candidates: inOrder(all), blockedSeen: false });
  });
}

/** By the card's wish; those without one behind the others (Book 1 §12.4). The sort is stable. */
const inOrder = (candidates: readonly Candidate[]): readonly Candidate[] =>
  [...candidates].sort((a, b) => (a.priority ?? 16) - (b.priority ?? 16));

interface Asked extends Selection {
  readonly row: number;
  readonly occurrence: number;
}

function askByName<T>(talk: Talk, then: Then<T>): Dialogue<T> {
  return askNext(talk, { row: 0, occurrence: 0, candidates: [], blockedSeen: false }, then);
}

/** Book 1 §12.3.3. */
function askNext<T>(talk: Talk, asked: Asked, then: Then<T>): Dialogue<T> {
  const row = applicationRows[asked.row];
  if (!row) return then(asked);
  const id = hex(row.id);
  const command = selectCommand(id, asked.occurrence > 0);
  return exchange(talk, 'application by name', command, (answer) => {
    if (answer.status === status.cardBlocked && asked.row === 0 && asked.occurrence === 0)
      return fault('chip.blocked', answer.status, 'the card is blocked');
    const nextRow: Asked = { ...asked, row: asked.row + 1, occurrence: 0 };
    const nextOfName: Asked =
      asked.occurrence + 1 < occurrencesMax ? { ...asked, occurrence: asked.occurrence + 1 } : nextRow;
    if (isBlocked(answer.status)) return askNext(talk, { ...nextOfName, blockedSeen: true }, then);
    const control = answer.status === status.done ? decodeFileControl(answer.data) : null;
    if (!control?.ok || !beginsWith(control.value.name, id)) return askNext(talk, nextRow, then);
    const { name, label } = control.value;
    // A card that does not know "the next one" gives the same again.
    if (asked.candidates.some((candidate) => equalBytes(candidate.name, name))) return askNext(talk, nextRow, then);
    const candidates = [...asked.candidates, { name, label, scheme: row.scheme, priority: null }];
    // A name that is whole has no second application.
    const goOn = name.length > id.length && candidates.length < candidatesMax ? nextOfName : nextRow;
    return askNext(talk, { ...goOn, candidates: candidates.slice(0, candidatesMax) }, then);
  });
}
