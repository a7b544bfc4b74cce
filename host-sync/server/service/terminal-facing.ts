/**
 * What terminals call: batches, authorisation, member sessions, directives, epochs.
 * Must not decide about value: ledger/ does, inside one transaction.
 */

import { verifyPhoneProof } from '../../../drivers/protocols/member/proof.js';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { Clock, TransactionId } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { transactionIdFromBytes } from '../../protocol/record.js';
import {
  type AuthoriseResponse,
  batchRecordsMax,
  type Envelope,
  type RecordAnswer,
  type RecordsResponse,
  type RefusalCode,
  type SessionGrant,
  type SessionRequest,
  type SessionResponse,
  sessionRequestSchema,
  type Watermark,
} from '../../protocol/sync.js';
import { watermark } from '../ledger/chain.js';
import type { ApplyContext } from '../ledger/context.js';
import { keyOfTap, planCredential, contextOf as recordContextOf, tapKey, transcriptOf } from '../ledger/credential.js';
import { alarmRow } from '../ledger/draft.js';
import { type Collector, type Facts, put, UnloadedFact, type WorkingSet } from '../ledger/facts.js';
import { askAgain, planLetters, takeIn } from '../ledger/intake.js';
import { inOrder, type Letter, readLetters } from '../ledger/letter.js';
import type { HostStore } from '../storage/port.js';
import { versionOf } from './directives.js';
import type { Gatherer, Work } from './gather.js';
import { createInquiry } from './inquiry.js';
import { refusal } from './paging.js';
import { sessionGrant } from './session-grant.js';
import { contextOf, planContext, type Standing, setting } from './settings.js';
import type { Refusal, TerminalFacing } from './types.js';

type RecordFacing = Pick<TerminalFacing, 'intake' | 'authorise' | 'openSession' | 'inquire' | 'raiseEpoch'>;

export interface TerminalFacingParts {
  readonly store: HostStore;
  readonly gatherer: Gatherer;
  readonly standing: Standing;
  readonly clock: Clock;
  readonly alarm: (code: string, terminalId: string | null, subject: string, detail: string) => Promise<void>;
}

interface Taken {
  readonly answers: readonly RecordAnswer[];
  readonly watermark: Watermark;
  readonly directivesVersion: number;
  readonly session: SessionGrant | null;
  readonly reservedForMs: number | null;
}

/** An operational failure is told to the box, which comes again; a bug is not hidden. */
async function answered<T>(work: Promise<Result<T, Refusal>>): Promise<Result<T, Refusal>> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof TerminalError)) throw error;
    return refusal(error.code === 'host.busy' ? 'host.busy' : 'host.storeFailed', error.detail);
  }
}

const planSettled = (need: Collector): ApplyContext['policy'] => {
  planContext(need);
  return setting(need, 'policy');
};

/** The session of an accepted tap, computed anew; null where there is none to give. */
function grantFor(
  facts: Facts,
  letter: Letter,
  answer: RecordAnswer | undefined,
  context: ApplyContext,
): SessionGrant | null {
  const { record } = letter;
  if (answer?.outcome !== 'accepted' || !record || !('credential' in record) || record.credential.method !== 'tap')
    return null;
  const key = keyOfTap(facts, record.credential, context);
  const currency = record.kind === 'cardCredit' ? (facts.get('sale', record.original)?.currency ?? null) : null;
  const shown = recordContextOf(record, currency);
  return key && shown && sessionGrant(context, key, transcriptOf(record.credential, shown));
}

/** How letters are taken: what their sender has seen answered, whether it waits for this one, whether each goes by itself. */
interface How {
  readonly newestSeen: readonly TransactionId[];
  readonly asked: boolean;
  readonly isAlone: boolean;
}

export function createTerminalFacing(parts: TerminalFacingParts): RecordFacing {
  const { store, gatherer, standing, clock } = parts;
  const inquiry = createInquiry(parts);

  async function take(
    terminalId: string,
    envelopes: readonly Envelope[],
    newestSeen: readonly TransactionId[],
    asked: boolean,
  ): Promise<Result<Taken, Refusal>> {
    const letters = readLetters(standing.crypto, terminalId, envelopes);
    const foreign = letters.find((letter) => letter.terminalId !== null && letter.terminalId !== terminalId);
    if (foreign) {
      await parts.alarm('record.foreign', terminalId, foreign.terminalId ?? '', `transaction ${foreign.transactionId}`);
      return refusal('record.foreign', foreign.terminalId ?? '');
    }
    try {
      return await gatherer.submit(workOf(terminalId, letters, { newestSeen, asked, isAlone: false }));
    } catch (error) {
      if (!(error instanceof UnloadedFact)) throw error;
      return takeEach(terminalId, letters, newestSeen, asked);
    }
  }

  /** One after the other, each in a transaction of its own: for records that need what only others in the batch bring. */
  async function takeEach(
    terminalId: string,
    letters: readonly Letter[],
    newestSeen: readonly TransactionId[],
    asked: boolean,
  ): Promise<Result<Taken, Refusal>> {
    const answers: RecordAnswer[] = new Array(letters.length);
    let last: Result<Taken, Refusal> = refusal('host.storeFailed', 'no records');
    for (const { letter, index } of inOrder(letters)) {
      const work = workOf(terminalId, [letter], { newestSeen, asked, isAlone: true });
      last = await store.transact(work.plan, work.decide);
      if (!last.ok) return last;
      const [answer] = last.value.answers;
      if (answer) answers[index] = answer;
    }
    return last.ok ? ok({ ...last.value, answers }) : last;
  }

  const workOf = (
    terminalId: string,
    letters: readonly Letter[],
    { newestSeen, asked, isAlone }: How,
  ): Work<Result<Taken, Refusal>> => ({
    weight: letters.length,
    plan: (need) => {
      planLetters(need, terminalId, letters, {
        nowMs: clock.wallMs(),
        policy: planSettled(need),
        ownMerchant: setting(need, 'ownMerchant'),
        openPass: standing.openPass,
        openTag: standing.openTag,
      });
      for (const id of newestSeen) need.get('record', id);
      if (asked) for (const letter of letters) need.get('sale', letter.transactionId);
    },
    decide: (facts) => {
      const terminal = facts.get('terminal', terminalId);
      if (!terminal) return refusal('access.denied', 'unknown terminal');
      const context = contextOf(facts, standing, { nowMs: clock.wallMs(), asked, isAlone });
      const lost = newestSeen.find((id) => !facts.get('record', id));
      const answers =
        lost === undefined
          ? takeIn(facts, terminalId, letters, context)
          : askAgain(facts, terminalId, letters, lost, context.nowMs);
      const epoch = facts.get('terminal', terminalId)?.epoch ?? terminal.epoch;
      const [first] = letters;
      const sale = asked && first ? facts.get('sale', first.transactionId) : undefined;
      return ok({
        answers,
        watermark: watermark(standing.crypto, facts, terminalId, epoch, lost !== undefined),
        directivesVersion: versionOf(facts, terminalId),
        session: asked && first ? grantFor(facts, first, answers[0], context) : null,
        reservedForMs:
          sale?.state === 'reserved' && sale.expiresAtMs !== null
            ? Math.max(0, sale.expiresAtMs - context.nowMs)
            : null,
      });
    },
  });

  return {
    intake: (terminalId, request) =>
      answered<RecordsResponse>(
        (async () => {
          if (request.records.length > batchRecordsMax)
            return refusal('input.tooLong', `more than ${batchRecordsMax} records`);
          const taken = await take(terminalId, request.records, request.newestSeen, false);
          if (!taken.ok) return taken;
          const { answers, directivesVersion } = taken.value;
          return ok({ answers: [...answers], watermark: taken.value.watermark, directivesVersion });
        })(),
      ),
    authorise: (terminalId, request) =>
      answered<AuthoriseResponse>(
        (async () => {
          const taken = await take(terminalId, [request.record], request.newestSeen, true);
          if (!taken.ok) return taken;
          const [answer] = taken.value.answers;
          if (!answer) return refusal('host.storeFailed', 'no answer');
          const { session, reservedForMs } = taken.value;
          return ok({ answer, watermark: taken.value.watermark, session, reservedForMs });
        })(),
      ),
    openSession: (terminalId, request) => answered(openSession(parts, terminalId, request)),
    inquire: (terminalId, request) => answered(inquiry.inquire(terminalId, request)),
    raiseEpoch: (terminalId, reason) => answered(raiseEpoch(parts, terminalId, reason)),
  };
}

/** Opens a session for a tap before anything is recorded of it; its counter is used up by the record that follows. */
function openSession(
  parts: TerminalFacingParts,
  terminalId: string,
  request: SessionRequest,
): Promise<Result<SessionResponse, Refusal>> {
  const { store, standing } = parts;
  const tap = { method: 'tap' as const, ...sessionRequestSchema.parse(request) };
  const shown = hex(request.context);
  const transactionId = transactionIdFromBytes(shown.subarray(0, 16));
  const refused = (code: RefusalCode): Result<SessionResponse, Refusal> => ok({ outcome: 'refused', code });
  const decide = (facts: WorkingSet): Result<SessionResponse, Refusal> => {
    const terminal = facts.get('terminal', terminalId);
    if (!terminal) return refusal('access.denied', 'unknown terminal');
    if (terminal.state !== 'active') return refusal('host.quarantined', terminal.state);
    const context = contextOf(facts, standing, { nowMs: parts.clock.wallMs(), asked: true, isAlone: true });
    const key = keyOfTap(facts, tap, context);
    if (!key) return refused('credential.unknown');
    if (tap.key === 'member' && facts.get('memberKey', tap.keyId)?.state === 'blocked')
      return refused('credential.blocked');
    const transcript = transcriptOf(tap, shown);
    const isHere = toHex(shown.subarray(16, 22)) === terminalId.slice(2);
    if (!isHere || !verifyPhoneProof(standing.crypto, key, transcript, hex(tap.proof)))
      return refused('credential.wrongProof');
    if (facts.find('record', 'tap', tapKey(tap)).some((record) => record.id !== transactionId))
      return refused('credential.replayed');
    return ok({ outcome: 'granted', session: sessionGrant(context, key, transcript) });
  };
  const plan = (need: Collector): void => {
    planContext(need);
    need.get('terminal', terminalId);
    planCredential(need, tap, standing);
  };
  return store.read(plan, decide);
}

/** Closes the terminal's epoch. A terminal that is held stays held: only a person tells a restored box from a copied one. */
function raiseEpoch(
  parts: TerminalFacingParts,
  terminalId: string,
  reason: 'restored' | 'regressed' | 'forked',
): Promise<Result<{ readonly epoch: number; readonly previous: Watermark }, Refusal>> {
  const { store, standing, clock } = parts;
  const plan = (need: Collector): void => {
    const terminal = need.get('terminal', terminalId);
    if (terminal) need.get('span', `${terminalId}/${terminal.epoch}/1`);
  };
  return store.transact(plan, (facts) => {
    const terminal = facts.get('terminal', terminalId);
    if (!terminal || terminal.state === 'revoked')
      return refusal('access.denied', terminal ? 'revoked' : 'unknown terminal');
    const previous = watermark(standing.crypto, facts, terminalId, terminal.epoch);
    const nowMs = clock.wallMs();
    const epoch = terminal.epoch + 1;
    facts.write([
      put('terminal', { ...terminal, epoch, epochRaisedAtMs: nowMs }),
      put(
        'alarm',
        alarmRow('chain.epochRaised', terminalId, `${epoch}`, `${reason}; the last was ${previous.sequence}`, nowMs),
      ),
    ]);
    return ok({ epoch, previous });
  });
}
