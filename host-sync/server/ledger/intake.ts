/**
 * Intake: envelopes of one terminal to answers: identity, place in the chain, quarantine, dead letters, then apply.
 * Pure. One bad record never takes another with it.
 */
import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import type { RecordBody } from '../../protocol/record.js';
import type { RecordAnswer, RefusalCode } from '../../protocol/sync.js';
import { later, noBalances, toAnswer } from './answer.js';
import { type Applied, apply, epochTailMs, type PlanContext, planRecord } from './apply.js';
import { type KeyedPlace, placeByHash, placeInChain, planChain, planPlaceByHash } from './chain.js';
import type { ApplyContext } from './context.js';
import { alarmRow } from './draft.js';
import { type Collector, put, remove, UnloadedFact, type WorkingSet, type Write } from './facts.js';
import { inOrder, type Letter } from './letter.js';
import type { Row } from './tables.js';
import { beginWait, endWait, mayWait, planWait } from './waiting.js';

/** Most records of one terminal that are held in quarantine; beyond, the box keeps them and is told so. */
export const quarantineRecordsMax = 100_000;

/** States what taking in these letters of one terminal reads. */
export function planLetters(
  need: Collector,
  terminalId: string,
  letters: readonly Letter[],
  context: PlanContext,
): void {
  const terminal = need.get('terminal', terminalId);
  if (terminal) need.get('span', `${terminalId}/${terminal.epoch}/1`);
  for (const letter of letters) {
    if (need.get('record', letter.transactionId)?.outcome === 'refused') need.get('deadLetter', letter.digestHex);
    need.get('record', letter.digestId);
    need.get('quarantine', letter.digestHex);
    if (letter.place) planChain(need, letter.place);
    else {
      planPlaceByHash(need, terminalId, letter.previousHash);
      planWait(need, letter.transactionId);
    }
    if (letter.record) planRecord(need, letter.record, context);
  }
}

interface Answered {
  readonly answer: RecordAnswer;
  readonly writes: readonly Write[];
}

/** What a person decided of records whose place in the chain is taken: a copy of the box made them. */
export type Judgement = 'refuseForks' | 'applyForks';

/**
 * Takes in the letters of one terminal, in the order of their places, each seeing what those before it did.
 * `judged` is set where a person has looked at what is held: then nothing is held again, and forks are either refused for
 * good or applied without a place in the chain.
 * @returns an answer each, in the order given, and what was posted
 */
export function takeIn(
  facts: WorkingSet,
  terminalId: string,
  letters: readonly Letter[],
  context: ApplyContext,
  judged: Judgement | null = null,
): readonly RecordAnswer[] {
  const answers: RecordAnswer[] = new Array(letters.length);
  let held = 0;
  let newest = '';
  for (const { letter, index } of inOrder(letters)) {
    const { answer, writes } = takeInOne(facts, terminalId, letter, context, judged);
    facts.write(writes);
    const record = writes.find((write) => write.table === 'record');
    if (record && 'row' in record) {
      held++;
      newest = record.row.id;
    }
    answers[index] = answer;
  }
  if (held > 0) noteHeld(facts, terminalId, held, newest);
  return answers;
}

/** Once for all letters of a decision: nothing in it reads what is counted here. */
function noteHeld(facts: WorkingSet, terminalId: string, held: number, newestRecord: string): void {
  const terminal = facts.get('terminal', terminalId);
  if (terminal) facts.write([put('terminal', { ...terminal, recordsHeld: terminal.recordsHeld + held, newestRecord })]);
}

/**
 * Takes nothing in: the terminal names a record as answered that is not here, so this host was restored from a backup, and
 * what is sent now may build on what it lost. The box sends that again.
 */
export function askAgain(
  facts: WorkingSet,
  terminalId: string,
  letters: readonly Letter[],
  lost: TransactionId,
  nowMs: number,
): readonly RecordAnswer[] {
  const known = facts.get('terminal', terminalId)?.recordsHeld ?? 0;
  const detail = `it saw a record answered that is not here, where ${known} of its records are`;
  facts.write([put('alarm', alarmRow('ledger.wentBack', terminalId, lost, detail, nowMs))]);
  return letters.map(({ transactionId }) => toAnswer(transactionId, later('host.busy')));
}

/** A closed epoch that still grows: a copy of the box lives on. */
const isContinued = (terminal: Row<'terminal'>, record: RecordBody): boolean =>
  record.epoch < terminal.epoch && !record.clockDoubtful && record.atWallMs > terminal.epochRaisedAtMs + epochTailMs;

function takeInOne(
  facts: WorkingSet,
  terminalId: string,
  letter: Letter,
  context: ApplyContext,
  judged: Judgement | null,
): Answered {
  const known = facts.get('record', letter.transactionId);
  const stored = known?.digest === letter.digestHex ? known : facts.get('record', letter.digestId);
  if (stored) {
    const answer = JSON.parse(stored.answer) as RecordAnswer;
    return { answer, writes: unheardRefusal(facts, terminalId, letter, answer, context) };
  }
  const terminal = facts.get('terminal', terminalId);
  if (!terminal) return { answer: toAnswer(letter.transactionId, later('host.busy')), writes: [] };
  if (terminal.state !== 'active' && !judged) return hold(facts, terminal, letter, context);
  const place = letter.place ?? placeByHash(facts, terminalId, letter.previousHash);
  if (!place && mayWait(facts, letter.transactionId, context.nowMs)) {
    const writes = beginWait(facts, letter.transactionId, context.nowMs);
    return { answer: toAnswer(letter.transactionId, later('host.busy')), writes };
  }
  if (letter.record && isContinued(terminal, letter.record) && !judged)
    return quarantine(
      facts,
      terminal,
      letter,
      `epoch ${letter.record.epoch} goes on after epoch ${terminal.epoch} began`,
      context,
    );
  const placed = place && placeInChain(context.crypto, facts, place, letter.previousHash, letter.digest);
  const chain: Write[] = letter.place ? [] : [...endWait(facts, letter.transactionId)];
  if (placed?.placed) chain.push(...placed.writes);
  else if (placed) {
    const why = `${placed.why} at ${place.key}`;
    // A closed epoch holds up nobody: only what does not fit into it waits for a person.
    if (!judged)
      return place.epoch >= terminal.epoch
        ? quarantine(facts, terminal, letter, why, context)
        : hold(facts, terminal, letter, context, [
            put('alarm', alarmRow('chain.broken', terminalId, letter.digestHex, why, context.nowMs)),
          ]);
    chain.push(put('alarm', alarmRow('chain.broken', terminalId, letter.digestHex, why, context.nowMs)));
    if (judged === 'refuseForks')
      return refuse(
        facts,
        terminal,
        { letter, place: null, code: 'record.chainBroken', detail: placed.why, isConflict: true },
        context,
        chain,
      );
  }
  const stands = placed?.placed ? place : null;
  if (stands && stands.epoch > terminal.epoch) {
    // A host restored from a backup may not know that it raised the epoch: the terminal goes on, a person looks.
    chain.push(put('terminal', { ...terminal, epoch: stands.epoch, epochRaisedAtMs: context.nowMs }));
    chain.push(
      put(
        'alarm',
        alarmRow('chain.epochAhead', terminalId, `${stands.epoch}`, `the host knew ${terminal.epoch}`, context.nowMs),
      ),
    );
  }
  if (known) {
    const alarm = alarmRow(
      'record.conflict',
      terminalId,
      letter.digestHex,
      `transaction ${letter.transactionId}`,
      context.nowMs,
    );
    return refuse(
      facts,
      terminal,
      { letter, place: stands, code: 'record.conflict', detail: '', isConflict: true },
      context,
      [...chain, put('alarm', alarm)],
    );
  }
  if (!letter.record) {
    const alarm = alarmRow('record.malformed', terminalId, letter.digestHex, letter.problem, context.nowMs);
    return refuse(
      facts,
      terminal,
      { letter, place: stands, code: 'record.malformed', detail: letter.problem, isConflict: false },
      context,
      [...chain, put('alarm', alarm)],
    );
  }
  return applyOne(facts, terminal, { ...letter, record: letter.record, place: stands }, context, chain);
}

type Readable = Letter & { readonly record: RecordBody; readonly place: KeyedPlace | null };

function applyOne(
  facts: WorkingSet,
  terminal: Row<'terminal'>,
  letter: Readable,
  context: ApplyContext,
  chain: readonly Write[],
): Answered {
  let applied: Applied;
  try {
    applied = apply(facts, letter.record, context);
  } catch (bug) {
    // Together with others a record may need what only they brought; the caller tries it alone.
    if (bug instanceof UnloadedFact && !context.isAlone) throw bug;
    // A vault or store that fails is no fault of the record: it comes again.
    if (bug instanceof TerminalError)
      return { answer: toAnswer(letter.transactionId, later('host.storeFailed')), writes: [] };
    // A record that the ledger cannot bear must not stop the others; it stays visible with its worth.
    const detail = bug instanceof Error ? bug.message : 'unknown';
    const alarm = alarmRow('record.poisoned', terminal.id, letter.digestHex, detail, context.nowMs);
    return refuse(
      facts,
      terminal,
      { letter, place: letter.place, code: 'record.malformed', detail: 'the host cannot apply it', isConflict: false },
      context,
      [...chain, put('alarm', alarm)],
    );
  }
  const { answer } = applied;
  if (answer.outcome === 'later') return { answer, writes: applied.writes };
  const writes: Write[] = [
    ...chain,
    ...applied.writes,
    recordRow(letter, letter.place, letter.record.kind, answer, applied.tap, context, letter.transactionId),
    ...dropHeld(facts, terminal, letter),
  ];
  if (
    answer.outcome === 'refused' &&
    !(answer.code === 'record.reversed' && letter.record.kind !== 'completion') &&
    !(context.asked && isBusiness(answer.code))
  )
    writes.push(deadLetter(terminal.id, letter, answer.code, answer.detail, context.nowMs));
  return { answer, writes };
}

const boxDecides: readonly RecordBody['kind'][] = ['pointsEarn', 'void', 'refund'];
/**
 * The box asked, was refused and comes again, not asking: it never heard the answer and has told its clerk "accepted"
 * where it decides itself. That refusal is then for a person to settle.
 */
function unheardRefusal(
  facts: WorkingSet,
  terminalId: string,
  letter: Letter,
  answer: RecordAnswer,
  context: ApplyContext,
): readonly Write[] {
  if (context.asked || answer.outcome !== 'refused' || !isBusiness(answer.code)) return [];
  if (!letter.record || !boxDecides.includes(letter.record.kind)) return [];
  if (facts.get('deadLetter', letter.digestHex)) return [];
  return [deadLetter(terminalId, letter, answer.code, answer.detail, context.nowMs)];
}

/** Refusals that a box shows its clerk at once, where it asked; nothing was given on them. */
const isBusiness = (code: RefusalCode): boolean => !code.startsWith('record.');

interface Refused {
  readonly letter: Letter;
  readonly place: KeyedPlace | null;
  readonly code: RefusalCode;
  readonly detail: string;
  /** Its id belongs to another body: the answer is kept under its digest's. */
  readonly isConflict: boolean;
}

function refuse(
  facts: WorkingSet,
  terminal: Row<'terminal'>,
  refused: Refused,
  context: ApplyContext,
  also: readonly Write[],
): Answered {
  const { letter, code } = refused;
  const detail = refused.detail.slice(0, 200);
  const answer: RecordAnswer = {
    outcome: 'refused',
    transactionId: letter.transactionId,
    code,
    detail,
    balances: noBalances,
  };
  const id = refused.isConflict ? letter.digestId : letter.transactionId;
  return {
    answer,
    writes: [
      ...also,
      recordRow(letter, refused.place, letter.record?.kind ?? 'unreadable', answer, null, context, id),
      deadLetter(terminal.id, letter, code, detail, context.nowMs),
      ...dropHeld(facts, terminal, letter),
    ],
  };
}

const recordRow = (
  letter: Letter,
  place: KeyedPlace | null,
  kind: string,
  answer: Exclude<RecordAnswer, { outcome: 'later' }>,
  tap: string | null,
  context: ApplyContext,
  id: string,
): Write =>
  put('record', {
    id,
    terminalId: place?.terminalId ?? letter.terminalId ?? '',
    position: place?.key ?? null,
    digest: letter.digestHex,
    kind,
    tap,
    outcome: answer.outcome,
    answer: JSON.stringify(answer),
    postedAtMs: context.nowMs,
    original: letter.record && 'original' in letter.record ? letter.record.original : null,
  });

/** What a record would have moved: for a person to judge. */
function worthOf(record: RecordBody | null): Pick<Row<'deadLetter'>, 'worthMinor' | 'currency' | 'worthPoints'> {
  if (!record) return { worthMinor: null, currency: null, worthPoints: null };
  return {
    worthMinor: 'amountMinor' in record ? record.amountMinor : 'bill' in record ? record.bill.totalMinor : null,
    currency: 'bill' in record ? record.bill.currency : 'currency' in record ? record.currency : null,
    worthPoints: 'points' in record ? record.points : null,
  };
}

const deadLetter = (terminalId: string, letter: Letter, code: string, detail: string, atMs: number): Write =>
  put('deadLetter', {
    id: letter.digestHex,
    terminalId,
    transactionId: letter.transactionId,
    kind: letter.record?.kind ?? 'unreadable',
    code,
    detail,
    body: letter.body,
    ...worthOf(letter.record),
    atMs,
    standing: 'open',
    settledAtMs: null,
    settledBy: null,
    note: null,
  });

/** The copy in quarantine goes once its record has a final answer. */
function dropHeld(facts: WorkingSet, terminal: Row<'terminal'>, letter: Letter): readonly Write[] {
  if (terminal.quarantinedCount === 0 || !facts.get('quarantine', letter.digestHex)) return [];
  const now = facts.get('terminal', terminal.id) ?? terminal;
  return [
    remove('quarantine', letter.digestHex),
    put('terminal', { ...now, quarantinedCount: now.quarantinedCount - 1 }),
  ];
}

/** Keeps a record without applying it, until a person has looked. */
function hold(
  facts: WorkingSet,
  terminal: Row<'terminal'>,
  letter: Letter,
  context: ApplyContext,
  also: readonly Write[] = [],
): Answered {
  const answer = toAnswer(letter.transactionId, later('host.quarantined'));
  const id = letter.digestHex;
  if (terminal.quarantinedCount >= quarantineRecordsMax || facts.get('quarantine', id)) return { answer, writes: [] };
  return {
    answer,
    writes: [
      ...also,
      put('quarantine', {
        id,
        terminalId: terminal.id,
        body: letter.body,
        previousHash: letter.previousHash,
        atMs: context.nowMs,
      }),
      put('terminal', { ...terminal, quarantinedCount: terminal.quarantinedCount + 1 }),
    ],
  };
}

/** History forks or goes back under one identity: nothing more of this terminal is applied until a person has looked. */
function quarantine(
  facts: WorkingSet,
  terminal: Row<'terminal'>,
  letter: Letter,
  reason: string,
  context: ApplyContext,
): Answered {
  const held: Row<'terminal'> = { ...terminal, state: 'quarantined', reason };
  facts.write([
    put('terminal', held),
    put('alarm', alarmRow('terminal.quarantined', terminal.id, letter.digestHex, reason, context.nowMs)),
  ]);
  return hold(facts, held, letter, context);
}
