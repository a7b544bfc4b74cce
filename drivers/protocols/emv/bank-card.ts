/**
 * A bank card's application and number, read (EMV Books 1 and 3): select, get processing options, read the records. Nothing is
 * paid and nothing is proved. Pure, sans-I/O. Track 2's other data, the cardholder's name and everything else that a record
 * holds is looked over once and never kept.
 */
import { toHex } from '../../../terminal/kernel/bytes.js';
import { ok } from '../../../terminal/kernel/result.js';
import type { CardProtocol } from '../atr/atr.js';
import { type Dialogue, statusText } from '../card-dialogue.js';
import type { CardNumber } from './card-number.js';
import { commandsMax, type End, exchange, fault, type Talk } from './exchange.js';
import { decodeFileControl } from './file-control.js';
import { decodeOptions, fillOptions, type RecordRange } from './processing-options.js';
import { Findings } from './records.js';
import type { Scheme } from './schemes.js';
import { type Candidate, findCandidates, isBlocked, readRecordCommand, selectCommand, status } from './selection.js';

export interface BankCard {
  /** The application's name on the card, 10…32 hex digits. */
  readonly applicationId: string;
  readonly scheme: Scheme;
  /** 1…16 characters that can be shown; null: the card says none. */
  readonly label: string | null;
  /** To be wiped by whoever has it last. Its Luhn digit may be wrong: ask hasLuhnDigit. */
  readonly number: CardNumber;
  /** YYMM; null: the card says none. */
  readonly expiry: string | null;
  /** 0…99, tells cards of one number apart; null: the card says none. */
  readonly sequenceNumber: number | null;
}

export interface BankCardReading {
  readonly dialogue: Dialogue<BankCard>;
  /** Zeroes what was found so far and is not in a result. To be called when the dialogue is over, however it ended. */
  forget(): void;
}

/** Files of EMV's own data (Book 3 §7.1); those behind are the scheme's and the bank's, and none of ours. */
const ownFileMax = 10;
/** Records read of one application; cards have about ten. */
const recordsMax = 48;

/**
 * Reads the card that has just been inserted, best application first; one that cannot be selected or used now makes room for
 * the next. GET PROCESSING OPTIONS counts the card's transaction counter up by one, as every look of a terminal does.
 *
 * Ends with the card, or `chip.noApplication` (none that is known here), `chip.blocked`, `chip.unreadable` (a
 * command is refused, or no number is on the card), `chip.inconsistent` (its two numbers differ), `input.…` (an answer
 * against the rules, or more than commandsMax commands). No detail holds a byte of the card.
 */
export function readBankCard(protocol: CardProtocol): BankCardReading {
  const talk: Talk = { protocol, commandsLeft: commandsMax };
  const findings = new Findings();
  const dialogue = findCandidates(talk, ({ candidates, blockedSeen }) =>
    tryEach({ talk, findings, candidates }, 0, blockedSeen ? blocked : none),
  );
  return { dialogue, forget: () => findings.wipe() };
}

const none = fault('chip.noApplication', null, 'no application that is known here');
const blocked = fault('chip.blocked', status.blocked, 'the application is blocked');

interface Reading {
  readonly talk: Talk;
  readonly findings: Findings;
  readonly candidates: readonly Candidate[];
}
type Step = Dialogue<BankCard>;

/** @param why what the reading comes to when there is no further application */
function tryEach(reading: Reading, at: number, why: End): Step {
  const candidate = reading.candidates[at];
  if (!candidate) return why;
  const next = (instead: End): Step => tryEach(reading, at + 1, instead);
  return exchange(reading.talk, 'application', selectCommand(candidate.name), (answer) => {
    if (isBlocked(answer.status)) return next(blocked);
    if (answer.status !== status.done) return next(refused('application', answer.status));
    const control = decodeFileControl(answer.data);
    if (!control.ok) return next(fault(control.error.code, null, `application: ${control.error.detail}`));
    const options = fillOptions(control.value.pdol);
    if (!options.ok) return next(fault(options.error.code, null, `wanted data: ${options.error.detail}`));
    const command = { cla: 0x80, ins: 0xa8, p1: 0, p2: 0, data: options.value };
    const label = control.value.label ?? candidate.label;
    return exchange(reading.talk, 'processing options', command, (said) => {
      // Book 3 §10.1: not under these conditions; another application may be.
      if (said.status === status.conditions) return next(refused('processing options', said.status));
      if (said.status !== status.done) return refused('processing options', said.status);
      const ranges = decodeOptions(said.data);
      if (!ranges.ok) return fault(ranges.error.code, null, `processing options: ${ranges.error.detail}`);
      const wanted = recordsIn(ranges.value);
      if (!wanted) return fault('input.tooLong', null, `more than ${recordsMax} records`);
      return readRecords(reading, wanted, () => cardOf({ ...candidate, label }, reading.findings));
    });
  });
}

const refused = (what: string, code: number): End => fault('chip.unreadable', code, `${what}: ${statusText(code)}`);

interface RecordPlace {
  readonly file: number;
  readonly record: number;
}
function recordsIn(ranges: readonly RecordRange[]): readonly RecordPlace[] | null {
  const places: RecordPlace[] = [];
  for (const { file, first, last } of ranges.filter((range) => range.file <= ownFileMax))
    for (let record = first; record <= last; record++) {
      if (places.length === recordsMax) return null;
      places.push({ file, record });
    }
  return places;
}

function readRecords(reading: Reading, [place, ...rest]: readonly RecordPlace[], end: () => Step): Step {
  if (!place) return end();
  const what = `record ${place.record} of file ${place.file}`;
  return exchange(reading.talk, what, readRecordCommand(place.file, place.record), (answer) => {
    if (answer.status !== status.done) return refused(what, answer.status);
    const taken = reading.findings.take(answer.data);
    if (!taken.ok) return fault(taken.error.code, null, `${what}: ${taken.error.detail}`);
    return readRecords(reading, rest, end);
  });
}

function cardOf(application: Pick<Candidate, 'name' | 'scheme' | 'label'>, findings: Findings): Step {
  const { expiry, sequenceNumber } = findings;
  const number = findings.handOver();
  if (number === 'none') return fault('chip.unreadable', null, 'the card says no number');
  if (number === 'differing') return fault('chip.inconsistent', null, 'number and track 2 differ');
  const { name, scheme, label } = application;
  return { end: ok({ applicationId: toHex(name), scheme, label, number, expiry, sequenceNumber }) };
}
