/**
 * Terminals: one-time enrolment codes with a lock-out, certificates, revocation, quarantine and its release.
 * Must not keep an enrolment code in clear: only its hash is stored.
 */
import { decodeUtf8, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Clock, Random } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { batchRecordsMax, type Envelope, type RecordAnswer } from '../../protocol/sync.js';
import { recall } from '../ledger/allowance.js';
import { watermark } from '../ledger/chain.js';
import { drawEnrolmentCode, enrolmentRandomBytes } from '../ledger/codes.js';
import { alarmRow } from '../ledger/draft.js';
import { type Collector, put, remove, UnloadedFact, type WorkingSet } from '../ledger/facts.js';
import { type Judgement, planLetters, takeIn } from '../ledger/intake.js';
import { inOrder, type Letter, readLetters } from '../ledger/letter.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { pageOf, refusal } from './paging.js';
import { contextOf, planContext, type Standing, setting } from './settings.js';
import type { Refusal, TerminalAdmin } from './types.js';

const minuteMs = 60_000;
export const enrolmentTtlDefaultMs = 60 * minuteMs;
export const enrolmentTtlMaxMs = 7 * 24 * 60 * minuteMs;
/** Wrong codes from one place before it is locked, and for how long. */
export const enrolmentFailuresMax = 5;
export const enrolmentLockMs = 15 * minuteMs;
/** Places are counted in this many buckets, so that guessing from many addresses cannot fill the store. */
export const enrolmentSourcesMax = 4_096;
const terminalIdRandomBytes = 6;
/** What a terminal signed before its last renewals, or the box before it, still counts. */
const publicKeysMax = 8;
/** Keys of replaced boxes that one terminal remembers; their certificates have ended long before there are so many. */
const retiredKeysMax = 64;

export interface TerminalParts {
  readonly store: HostStore;
  readonly standing: Standing;
  readonly random: Random;
  readonly clock: Clock;
}

export function createTerminals(parts: TerminalParts): TerminalAdmin {
  const { store, standing, random, clock } = parts;
  const sha256 = (text: string): Uint8Array => standing.crypto.sha256(utf8(text));

  const change = (
    terminalId: string,
    make: (terminal: Row<'terminal'>) => Row<'terminal'>,
    alarm: string | null,
  ): Promise<Result<void, Refusal>> =>
    store.transact(
      (need) => void need.get('terminal', terminalId),
      (facts) => {
        const terminal = facts.get('terminal', terminalId);
        if (!terminal) return refusal('access.denied', 'unknown terminal');
        const changed = make(terminal);
        facts.write([put('terminal', changed)]);
        if (alarm)
          facts.write([
            put('alarm', alarmRow(alarm, terminalId, String(clock.wallMs()), changed.reason, clock.wallMs())),
          ]);
        return ok(undefined);
      },
    );

  const drawCode = (ttlMs: number) => ({
    code: drawEnrolmentCode(random.bytes(enrolmentRandomBytes)),
    expiresAtMs: clock.wallMs() + Math.max(minuteMs, Math.min(ttlMs, enrolmentTtlMaxMs)),
  });
  const codeRow = (drawn: ReturnType<typeof drawCode>, name: string, replaces: string | null) =>
    put('enrolmentCode', {
      id: toHex(sha256(drawn.code)),
      name,
      expiresAtMs: drawn.expiresAtMs,
      usedBy: null,
      replaces,
    });

  return {
    drawEnrolmentCode: async (name, ttlMs = enrolmentTtlDefaultMs) => {
      const drawn = drawCode(ttlMs);
      await store.transact(
        () => undefined,
        (facts) => facts.write([codeRow(drawn, isPlainText(name, 64) ? name : 'terminal', null)]),
      );
      return drawn;
    },
    drawReplacementCode: async (terminalId, ttlMs = enrolmentTtlDefaultMs) => {
      const drawn = drawCode(ttlMs);
      return store.transact(
        (need) => void need.get('terminal', terminalId),
        (facts): Result<typeof drawn, Refusal> => {
          const terminal = facts.get('terminal', terminalId);
          if (!terminal) return refusal('access.denied', 'unknown terminal');
          facts.write([codeRow(drawn, terminal.name, terminalId)]);
          return ok(drawn);
        },
      );
    },
    claimEnrolmentCode: (request) =>
      claim(parts, request, toHex(sha256(request.code)), bucketOf(sha256(request.source))),
    setCertificate: (terminalId, fingerprint, endsAtMs, publicKey) =>
      change(
        terminalId,
        (terminal) => {
          const before = JSON.parse(terminal.publicKeys) as readonly string[];
          const publicKeys = [...new Set([toHex(publicKey), ...before])].slice(0, publicKeysMax);
          return {
            ...terminal,
            fingerprint,
            certificateEndsMs: endsAtMs,
            publicKeys: JSON.stringify(publicKeys),
          };
        },
        null,
      ),
    get: (terminalId) =>
      store.read(
        (need) => void need.get('terminal', terminalId),
        (facts) => facts.get('terminal', terminalId) ?? null,
      ),
    list: (options) => pageOf(store, 'terminal', null, options),
    revoke: (terminalId, reason) =>
      change(
        terminalId,
        (terminal) => ({ ...terminal, state: 'revoked', reason: reason.slice(0, 200) }),
        'terminal.revoked',
      ),
    quarantine: (terminalId, reason) =>
      change(
        terminalId,
        (terminal) =>
          terminal.state === 'active' ? { ...terminal, state: 'quarantined', reason: reason.slice(0, 200) } : terminal,
        'terminal.quarantined',
      ),
    releaseQuarantine: (terminalId, by, judgement = 'refuseForks') => release(parts, terminalId, by, judgement),
    takeIn: async (terminalId, envelopes, by) => {
      if (envelopes.length > batchRecordsMax)
        return refusal('input.tooLong', `at most ${batchRecordsMax} records at a time`);
      if (
        !(await store.read(
          (need) => need.get('terminal', terminalId),
          (facts) => facts.get('terminal', terminalId),
        ))
      )
        return refusal('access.denied', 'unknown terminal');
      const letters = readLetters(standing.crypto, terminalId, envelopes);
      const foreign = letters.find((letter) => letter.terminalId !== null && letter.terminalId !== terminalId);
      if (foreign) return refusal('record.foreign', foreign.terminalId ?? '');
      const nowMs = clock.wallMs();
      await store.transact(
        () => undefined,
        (facts) =>
          facts.write([
            put(
              'alarm',
              alarmRow('terminal.takenIn', terminalId, String(nowMs), `${letters.length} records by ${by}`, nowMs),
            ),
          ]),
      );
      return ok(await applyHeld(parts, terminalId, letters, 'applyForks'));
    },
    watermark: (terminalId) =>
      store.read(
        (need) => {
          const terminal = need.get('terminal', terminalId);
          if (terminal) need.get('span', `${terminalId}/${terminal.epoch}/1`);
        },
        (facts) => {
          const terminal = facts.get('terminal', terminalId);
          return terminal
            ? ok(watermark(standing.crypto, facts, terminalId, terminal.epoch))
            : refusal('access.denied', 'unknown terminal');
        },
      ),
  };
}

const bucketOf = (digest: Uint8Array): string =>
  String((((digest[0] ?? 0) << 8) | (digest[1] ?? 0)) % enrolmentSourcesMax);

type Claim = Parameters<TerminalAdmin['claimEnrolmentCode']>[0];
type Claimed = Awaited<ReturnType<TerminalAdmin['claimEnrolmentCode']>>;

/** One use of a code: the code is gone and the terminal is there, or neither. */
function claim(
  { store, standing, random, clock }: TerminalParts,
  request: Claim,
  codeHash: string,
  bucket: string,
): Promise<Claimed> {
  const terminalId = `t-${toHex(random.bytes(terminalIdRandomBytes))}`;
  const plan = (need: Collector): void => {
    planContext(need);
    const code = need.get('enrolmentCode', codeHash);
    need.get('enrolmentAttempt', bucket);
    need.get('terminal', terminalId);
    if (code?.replaces == null) return;
    need.get('terminal', code.replaces);
    need.find('allowance', 'openTerminal', code.replaces);
  };
  const decide = (facts: WorkingSet): Claimed => {
    const nowMs = clock.wallMs();
    const attempt = facts.get('enrolmentAttempt', bucket) ?? { id: bucket, failures: 0, lockedUntilMs: 0 };
    if (attempt.lockedUntilMs > nowMs) return refusal('enrolment.locked');
    const code = facts.get('enrolmentCode', codeHash);
    if (!code || code.usedBy !== null || code.expiresAtMs <= nowMs) {
      const failures = (attempt.lockedUntilMs === 0 ? attempt.failures : 0) + 1;
      const isLocked = failures >= enrolmentFailuresMax;
      facts.write([
        put('enrolmentAttempt', { id: bucket, failures, lockedUntilMs: isLocked ? nowMs + enrolmentLockMs : 0 }),
      ]);
      if (isLocked)
        facts.write([
          put('alarm', alarmRow('enrolment.guessed', null, `${bucket}/${nowMs}`, `${failures} wrong codes`, nowMs)),
        ]);
      return refusal(isLocked ? 'enrolment.locked' : 'enrolment.codeWrong');
    }
    if (request.realm !== standing.realm) return refusal('record.wrongRealm', `this host is ${standing.realm}`);
    if (facts.get('terminal', terminalId)) return refusal('host.busy', 'no free terminal id was drawn');
    const siteKey = setting(facts, 'policy').siteKeyOnBoxes ? standing.siteKey.slice() : null;
    const replaced = code.replaces === null ? undefined : facts.get('terminal', code.replaces);
    facts.write([
      put('enrolmentCode', { ...code, usedBy: replaced?.id ?? terminalId }),
      remove('enrolmentAttempt', bucket),
    ]);
    if (replaced)
      return ok({ terminalId: replaced.id, name: replaced.name, epoch: takePlace(facts, replaced, nowMs), siteKey });
    facts.write([
      put('terminal', {
        id: terminalId,
        name: code.name,
        state: 'active',
        reason: '',
        epoch: 1,
        epochRaisedAtMs: 0,
        fingerprint: null,
        certificateEndsMs: null,
        enrolledAtMs: nowMs,
        quarantinedCount: 0,
        publicKeys: '[]',
        recordsHeld: 0,
        newestRecord: null,
        directivesVersion: 0,
        retiredKeys: '[]',
        merchantId: '',
      }),
    ]);
    return ok({ terminalId, name: code.name, epoch: 1, siteKey });
  };
  return store.transact(plan, decide);
}

/**
 * Another box takes this terminal's place: a new epoch, its keys refused from now on, its slices asked back (the new box
 * must not spend what the old one may have spent). @returns the new epoch
 */
function takePlace(facts: WorkingSet, terminal: Row<'terminal'>, nowMs: number): number {
  for (const slice of facts.find('allowance', 'openTerminal', terminal.id)) recall(facts, slice, nowMs);
  const now = facts.get('terminal', terminal.id) ?? terminal;
  const keys = [...(JSON.parse(now.publicKeys) as string[]), ...(JSON.parse(now.retiredKeys) as string[])];
  const epoch = now.epoch + 1;
  facts.write([
    put('terminal', {
      ...now,
      ...{ state: 'active', reason: '', epoch, epochRaisedAtMs: nowMs, fingerprint: null, certificateEndsMs: null },
      retiredKeys: JSON.stringify([...new Set(keys)].slice(0, retiredKeysMax)),
    }),
    put('alarm', alarmRow('terminal.replaced', terminal.id, `${epoch}`, `epoch ${epoch} is another box's`, nowMs)),
  ]);
  return epoch;
}

/** Applies what is held, page by page; each page is one commit. */
async function release(
  { store, standing, clock }: TerminalParts,
  terminalId: string,
  by: string,
  judgement: Judgement,
): Promise<Awaited<ReturnType<TerminalAdmin['releaseQuarantine']>>> {
  const freed = await store.transact(
    (need) => void need.get('terminal', terminalId),
    (facts): Result<void, Refusal> => {
      const terminal = facts.get('terminal', terminalId);
      if (!terminal) return refusal('access.denied', 'unknown terminal');
      const nowMs = clock.wallMs();
      // The held history does not fit: the box sees that its epoch was closed, and asks for the next.
      if (terminal.state === 'quarantined')
        facts.write([
          put('terminal', {
            ...terminal,
            ...{ state: 'active', reason: '', epoch: terminal.epoch + 1, epochRaisedAtMs: nowMs },
          }),
        ]);
      facts.write([
        put('alarm', alarmRow('terminal.released', terminalId, String(nowMs), `by ${by}`.slice(0, 200), nowMs)),
      ]);
      return ok(undefined);
    },
  );
  if (!freed.ok) return freed;
  const counts = { accepted: 0, refused: 0, waiting: 0 };
  // Two passes: a record may wait for one that stands on a later page, since pages go by digest.
  for (let pass = 0; pass < 2; pass++) {
    counts.waiting = 0;
    for (let after: string | null = null; ; ) {
      const held: readonly Row<'quarantine'>[] = await store.page({
        table: 'quarantine',
        where: { lookup: 'terminalId', value: terminalId },
        after,
        limit: batchRecordsMax,
      });
      if (held.length === 0) break;
      after = held.at(-1)?.id ?? null;
      const letters = readLetters(standing.crypto, terminalId, held.map(envelopeOf));
      for (const answer of await applyHeld({ store, standing, clock }, terminalId, letters, judgement)) {
        if (answer.outcome === 'later') counts.waiting++;
        else counts[answer.outcome]++;
      }
    }
  }
  return ok(counts);
}

function envelopeOf(held: Row<'quarantine'>): Envelope {
  const body = decodeUtf8(held.body);
  return { body: body.ok ? body.value : '', previousHash: held.previousHash, attempt: 1, sentAtWallMs: held.atMs };
}

/** Applies held records together; where they need what only others among them bring, one after the other. */
async function applyHeld(
  { store, standing, clock }: Pick<TerminalParts, 'store' | 'standing' | 'clock'>,
  terminalId: string,
  letters: readonly Letter[],
  judgement: Judgement,
): Promise<readonly RecordAnswer[]> {
  const apply = (some: readonly Letter[], isAlone: boolean): Promise<readonly RecordAnswer[]> =>
    store.transact(
      (need) => {
        planContext(need);
        planLetters(need, terminalId, some, {
          nowMs: clock.wallMs(),
          policy: setting(need, 'policy'),
          ownMerchant: setting(need, 'ownMerchant'),
          openPass: standing.openPass,
          openTag: standing.openTag,
        });
      },
      (facts) => {
        const context = contextOf(facts, standing, { nowMs: clock.wallMs(), asked: false, isAlone });
        return takeIn(facts, terminalId, some, context, judgement);
      },
    );
  try {
    return await apply(letters, false);
  } catch (error) {
    if (!(error instanceof UnloadedFact)) throw error;
    const answers: RecordAnswer[] = [];
    for (const { letter } of inOrder(letters)) answers.push(...(await apply([letter], true)));
    return answers;
  }
}
