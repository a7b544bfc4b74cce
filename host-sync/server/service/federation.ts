/**
 * Federation as people run it: agreements offered, confirmed and ended; settlements; a statement for each merchant.
 * Must not move a member's points. Every read is a range of ids, so that nothing here costs more as history grows.
 */
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { type Account, clearingBack, clearingDue, settledBack, settledDue } from '../ledger/accounts.js';
import { Draft, timeKey } from '../ledger/draft.js';
import { type Collector, type Facts, put, type WorkingSet } from '../ledger/facts.js';
import { isInForce, newClearing, pairOf } from '../ledger/federation.js';
import { balanceOf, move } from '../ledger/posting.js';
import type { Row } from '../ledger/tables.js';
import { type HostStore, pageRowsMax } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { planMerchant, rowIdOf } from './merchants.js';
import { pageOf, refusal } from './paging.js';
import { raiseDirectives } from './settings.js';
import type { AgreementView, FederationAdmin, FederationStatement, Refusal, SettlementView } from './types.js';

type Agreement = Row<'agreement'>;
type Clearing = Row<'clearing'>;
/** Running figures as an item and a clearing both hold them. */
type Totals = Pick<Clearing, 'firstDue' | 'firstBack' | 'firstTaken' | 'secondDue' | 'secondBack' | 'secondTaken'>;

/** Largest figure on either side of a rate, and most versions of one agreement. */
export const ratePartMax = 1_000_000;
const versionsMax = 999_999;
/** Most versions of one agreement that are open (confirmed and not ended) at once: the present one and some to come. */
const openVersionsMax = 8;
/** How often a settlement looks again when sales came in between. */
const settleTriesMax = 5;

const agreementId = (issuer: string, acceptor: string, version: number): string =>
  `${issuer}/${acceptor}/${String(version).padStart(6, '0')}`;

interface Persons {
  readonly offered: string;
  readonly confirmed?: string;
  readonly ended?: string;
}
const personsOf = (agreement: Agreement): Persons => JSON.parse(agreement.persons) as Persons;

const viewOf = (agreement: Agreement, nowMs: number): AgreementView => {
  const { persons: _persons, openAcceptor: _open, day: _day, dayPoints: _dayPoints, ...row } = agreement;
  return { ...row, isInForce: isInForce(agreement, nowMs), persons: personsOf(agreement) };
};

export function createFederation(store: HostStore, clock: Clock): FederationAdmin {
  /** The newest version; 0 where the two never agreed on anything. */
  const newestVersion = async (issuer: string, acceptor: string): Promise<number> => {
    const where = { prefix: `${issuer}/${acceptor}/` };
    return (await store.page({ table: 'agreement', where, after: null, limit: 1, order: 'newest' }))[0]?.version ?? 0;
  };
  return {
    offer: async (request) => {
      const { issuer, acceptor, offeredBy, person } = request;
      const problem = offerProblem(request);
      if (problem) return problem;
      const version = (await newestVersion(issuer, acceptor)) + 1;
      if (version > versionsMax) return refusal('input.tooLong', 'too many versions');
      const id = agreementId(issuer, acceptor, version);
      const plan = (need: Collector): void => {
        planMerchant(need, issuer);
        planMerchant(need, acceptor);
        need.get('agreement', id);
      };
      return store.transact(plan, (facts): Result<AgreementView, Refusal> => {
        for (const merchant of [issuer, acceptor])
          if (rowIdOf(facts, merchant) === null) return refusal('merchant.unknown', merchant);
        if (facts.get('agreement', id)) return refusal('host.busy', 'another offer came first');
        const nowMs = clock.wallMs();
        const { issuerPoints, acceptorPoints, validToMs, dailyPointsMax } = request;
        const row: Agreement = {
          ...{ id, issuer, acceptor, version, issuerPoints, acceptorPoints, validToMs, dailyPointsMax },
          ...{ validFromMs: request.validFromMs ?? nowMs, day: 0, dayPoints: 0, state: 'offered', offeredBy },
          ...{ offeredAtMs: nowMs, confirmedAtMs: null, endedAtMs: null, openAcceptor: null },
          persons: JSON.stringify({ offered: person } satisfies Persons),
        };
        facts.write([put('agreement', row)]);
        return ok(viewOf(row, nowMs));
      });
    },
    confirm: (issuer, acceptor, version, by, person) =>
      change(store, issuer, acceptor, version, (facts, agreement) => {
        const nowMs = clock.wallMs();
        if (!isPlainText(person, 32)) return refusal('input.malformed', 'who confirms');
        if (by !== issuer && by !== acceptor) return refusal('merchant.unknown', 'neither of the two');
        if (by === agreement.offeredBy) return refusal('access.denied', 'the other merchant confirms');
        if (agreement.state !== 'offered') return refusal('record.conflict', agreement.state);
        if (agreement.validToMs !== null && agreement.validToMs <= nowMs)
          return refusal('input.outOfRange', 'its time is over');
        const open = facts.find('agreement', 'openAcceptor', acceptor).filter((one) => one.issuer === issuer);
        // What is over leaves the lookup; what the new version takes over from ends when that begins.
        const kept = open.filter(({ validToMs }) => validToMs === null || validToMs > nowMs);
        if (kept.length >= openVersionsMax) return refusal('input.tooLong', `${openVersionsMax} versions are open`);
        const confirmed: Agreement = {
          ...agreement,
          ...{ state: 'confirmed', confirmedAtMs: nowMs, openAcceptor: acceptor },
          persons: JSON.stringify({ ...personsOf(agreement), confirmed: person }),
        };
        facts.write([
          ...open.filter((one) => !kept.includes(one)).map((one) => put('agreement', { ...one, openAcceptor: null })),
          put('agreement', confirmed),
          raiseDirectives(facts, nowMs),
        ]);
        return ok(viewOf(confirmed, nowMs));
      }),
    end: (issuer, acceptor, version, by, person) =>
      change(store, issuer, acceptor, version, (facts, agreement) => {
        const nowMs = clock.wallMs();
        if (!isPlainText(person, 32)) return refusal('input.malformed', 'who ends it');
        if (by !== issuer && by !== acceptor) return refusal('merchant.unknown', 'neither of the two');
        if (agreement.state === 'ended') return ok(viewOf(agreement, nowMs));
        const ended: Agreement = {
          ...agreement,
          ...{ state: 'ended', endedAtMs: nowMs, openAcceptor: null },
          persons: JSON.stringify({ ...personsOf(agreement), ended: `${person} for ${by}` }),
        };
        facts.write([put('agreement', ended), raiseDirectives(facts, nowMs)]);
        return ok(viewOf(ended, nowMs));
      }),
    list: async (options) => {
      const { rows, next } = await pageOf(store, 'agreement', null, options);
      return { rows: rows.map((row) => viewOf(row, clock.wallMs())), next };
    },
    settle: (one, other, untilMs, person) => settle(store, clock, pairOf(one, other).id, untilMs, person),
    settlements: async (one, other, options) => {
      const where = { prefix: `${pairOf(one, other).id}/` };
      const { rows, next } = await pageOf(store, 'settlement', where, options, 'newest');
      return { rows: rows.map(settlementView), next };
    },
    statement: (request) => statement(store, clock, request),
    check: () => checkClearing(store),
  };
}

function offerProblem(request: Parameters<FederationAdmin['offer']>[0]): ReturnType<typeof refusal> | null {
  const { issuer, acceptor, offeredBy, person, validFromMs, validToMs, dailyPointsMax } = request;
  if (issuer === acceptor) return refusal('input.malformed', 'a merchant needs no agreement with itself');
  if (offeredBy !== issuer && offeredBy !== acceptor)
    return refusal('merchant.unknown', 'offered by neither of the two');
  if (!isPlainText(person, 32)) return refusal('input.malformed', 'who offers');
  const isPart = (part: number): boolean => Number.isSafeInteger(part) && part >= 1 && part <= ratePartMax;
  if (!isPart(request.issuerPoints) || !isPart(request.acceptorPoints))
    return refusal('input.outOfRange', `a rate of whole numbers from 1 to ${ratePartMax}`);
  if (validToMs !== null && validToMs <= (validFromMs ?? 0))
    return refusal('input.outOfRange', 'it ends before it begins');
  if (dailyPointsMax !== null && (!Number.isSafeInteger(dailyPointsMax) || dailyPointsMax < 1))
    return refusal('input.outOfRange', 'points a day');
  return null;
}

const change = (
  store: HostStore,
  issuer: string,
  acceptor: string,
  version: number,
  act: (facts: WorkingSet, agreement: Agreement) => Result<AgreementView, Refusal>,
): Promise<Result<AgreementView, Refusal>> => {
  const id = agreementId(issuer, acceptor, version);
  return store.transact(
    (need) => {
      need.get('agreement', id);
      need.find('agreement', 'openAcceptor', acceptor);
      need.get('setting', 'directivesVersion');
    },
    (facts) => {
      const agreement = facts.get('agreement', id);
      return agreement ? act(facts, agreement) : refusal('agreement.unknown', id);
    },
  );
};

const clearingOf = (store: HostStore, pair: string): Promise<Clearing | undefined> =>
  store.read(
    (need) => void need.get('clearing', pair),
    (facts: Facts) => facts.get('clearing', pair),
  );

const nothingYet: Totals = newClearing('');
const net = (due: number, back: number): number => due - back;

/** The newest item before a time; undefined: there is none. */
const itemBefore = async (store: HostStore, pair: string, atMs: number): Promise<Row<'clearingItem'> | undefined> => {
  const where = { prefix: `${pair}/` };
  const after = `${pair}/${timeKey(atMs)}/`;
  return (await store.page({ table: 'clearingItem', where, after, limit: 1, order: 'newest' }))[0];
};
/** The newest settlement up to and including a time. */
const settledBy = async (store: HostStore, pair: string, atMs: number): Promise<Row<'settlement'> | undefined> => {
  const where = { prefix: `${pair}/` };
  const after = `${pair}/${timeKey(atMs + 1)}`;
  return (await store.page({ table: 'settlement', where, after, limit: 1, order: 'newest' }))[0];
};

const settlementView = (row: Row<'settlement'>): SettlementView => {
  const [first = '', second = ''] = row.id.split('/');
  return { ...row, first, second, firstPays: row.firstOwes - row.secondOwes };
};

/** Accounts of one direction. */
const accountsOf = (issuer: string, acceptor: string): readonly Account[] =>
  [clearingDue, clearingBack, settledDue, settledBack].map((account) => account(issuer, acceptor));

/** Posts what stands open before `untilMs` as settled; the same time again gives the same settlement. */
async function settle(
  store: HostStore,
  clock: Clock,
  pair: string,
  untilMs: number,
  person: string,
): Promise<Result<SettlementView, Refusal>> {
  if (!isPlainText(person, 32)) return refusal('input.malformed', 'who settles');
  const [first = '', second = ''] = pair.split('/');
  const id = `${pair}/${timeKey(untilMs)}`;
  const plan = (need: Collector): void => {
    need.get('settlement', id);
    need.get('clearing', pair);
    for (const { id: account } of [...accountsOf(first, second), ...accountsOf(second, first)])
      need.get('account', account);
  };
  for (let tries = 0; tries < settleTriesMax; tries++) {
    const nowMs = clock.wallMs();
    if (!Number.isSafeInteger(untilMs) || untilMs < 1 || untilMs > nowMs)
      return refusal('input.outOfRange', 'a time that has passed');
    const seen = await clearingOf(store, pair);
    const last = await itemBefore(store, pair, untilMs);
    const settled = await store.transact(plan, (facts): Result<SettlementView, Refusal> | null => {
      const known = facts.get('settlement', id);
      if (known) return ok(settlementView(known));
      const clearing = facts.get('clearing', pair);
      if (!clearing) return refusal('agreement.unknown', 'no points were shared between the two');
      if (untilMs <= clearing.settledUntilMs) return refusal('input.outOfRange', 'a later time is settled already');
      // Times of lines never go back: behind one at or after the end no more can come before it.
      const isWhole = seen?.items === clearing.items || (seen !== undefined && seen.lastAtMs >= untilMs);
      return isWhole ? ok(post(facts, clearing, last ?? nothingYet, { id, untilMs, person, nowMs })) : null;
    });
    if (settled) return settled;
  }
  return refusal('host.busy', 'sales keep coming in');
}

function post(
  facts: WorkingSet,
  clearing: Clearing,
  totals: Totals,
  { id, untilMs, person, nowMs }: { id: string; untilMs: number; person: string; nowMs: number },
): SettlementView {
  const [first = '', second = ''] = clearing.id.split('/');
  // Up to an item that an earlier settlement took already there is nothing left.
  const left = (total: number, settled: number): number => Math.max(0, total - settled);
  const firstDue = left(totals.firstDue, clearing.settledFirstDue);
  const firstBack = left(totals.firstBack, clearing.settledFirstBack);
  const secondDue = left(totals.secondDue, clearing.settledSecondDue);
  const secondBack = left(totals.secondBack, clearing.settledSecondBack);
  const moves = (issuer: string, acceptor: string, due: number, back: number) => [
    move(settledDue(issuer, acceptor), clearingDue(issuer, acceptor), due),
    move(clearingBack(issuer, acceptor), settledBack(issuer, acceptor), back),
  ];
  const draft = new Draft(facts, `settlement/${id}`, nowMs, null);
  draft.post('settlement', [
    ...moves(first, second, firstDue, firstBack),
    ...moves(second, first, secondDue, secondBack),
  ]);
  const after: Clearing = {
    ...clearing,
    settledUntilMs: untilMs,
    settledFirstDue: clearing.settledFirstDue + firstDue,
    settledFirstBack: clearing.settledFirstBack + firstBack,
    settledSecondDue: clearing.settledSecondDue + secondDue,
    settledSecondBack: clearing.settledSecondBack + secondBack,
  };
  const row: Row<'settlement'> = {
    ...{ id, fromMs: clearing.settledUntilMs, untilMs, settledBy: person, atMs: nowMs },
    ...{ firstOwes: net(firstDue, firstBack), secondOwes: net(secondDue, secondBack) },
    settledFirst: net(after.settledFirstDue, after.settledFirstBack),
    settledSecond: net(after.settledSecondDue, after.settledSecondBack),
  };
  draft.put('clearing', after);
  draft.put('settlement', row);
  facts.write(draft.writes);
  return settlementView(row);
}

/** What stood open between the two at a time, on each side. */
async function openAt(store: HostStore, pair: string, atMs: number) {
  const totals = (await itemBefore(store, pair, atMs)) ?? nothingYet;
  const settled = await settledBy(store, pair, atMs);
  return {
    totals,
    settledFirst: settled?.settledFirst ?? 0,
    settledSecond: settled?.settledSecond ?? 0,
    settlement: settled ?? null,
  };
}

/** One merchant's statement of a period: figures of the whole period with each page, lines by page. */
async function statement(
  store: HostStore,
  clock: Clock,
  { merchant, partner, fromMs, untilMs, ...options }: Parameters<FederationAdmin['statement']>[0],
): Promise<Result<FederationStatement, Refusal>> {
  const { id: pair, isFirst } = pairOf(merchant, partner);
  if (!(await clearingOf(store, pair))) return refusal('agreement.unknown', 'no points were shared between the two');
  const until = untilMs ?? clock.wallMs() + 1;
  const from = fromMs ?? (await settledBy(store, pair, until - 1))?.untilMs ?? 0;
  if (from >= until) return refusal('input.outOfRange', 'it ends before it begins');
  const opening = await openAt(store, pair, from);
  const closing = await openAt(store, pair, until);
  // Positive: the partner owes this merchant.
  const sign = isFirst ? 1 : -1;
  const claimOf = (totals: Totals): number =>
    sign * (net(totals.secondDue, totals.secondBack) - net(totals.firstDue, totals.firstBack));
  const settledOf = (at: typeof opening): number => sign * (at.settledSecond - at.settledFirst);
  const takenOf = (totals: Totals, own: boolean): number => (own === isFirst ? totals.firstTaken : totals.secondTaken);
  const paidOf = (totals: Totals, own: boolean): number =>
    own === isFirst ? net(totals.firstDue, totals.firstBack) : net(totals.secondDue, totals.secondBack);
  const change = (of: (totals: Totals) => number): number => of(closing.totals) - of(opening.totals);
  const where = { prefix: `${pair}/` };
  const cursor = options.cursor ?? `${pair}/${timeKey(from)}/`;
  const { rows, next } = await pageOf(store, 'clearingItem', where, { ...options, cursor });
  const within = rows.filter(({ atMs }) => atMs < until);
  const settledInPeriod = settledOf(closing) - settledOf(opening);
  return ok({
    ...{ merchant, partner, fromMs: from, untilMs: until },
    opening: claimOf(opening.totals) - settledOf(opening),
    claims: change((totals) => paidOf(totals, false)),
    debts: change((totals) => paidOf(totals, true)),
    ownPointsTaken: change((totals) => takenOf(totals, true)),
    partnerPointsTaken: change((totals) => takenOf(totals, false)),
    settled: settledInPeriod,
    closing: claimOf(closing.totals) - settledOf(closing),
    settlement: closing.settlement && closing.settlement.untilMs > from ? settlementView(closing.settlement) : null,
    rows: within.map((item) => ({
      atMs: item.atMs,
      sale: item.sale,
      cause: item.cause,
      issuer: item.issuer,
      agreement: item.agreementId,
      issuerPoints: item.issuerPoints,
      acceptorPoints: item.acceptorPoints,
      change: item.acceptor === merchant ? item.acceptorPoints : -item.acceptorPoints,
      balance: claimOf(item) - settledOf(opening),
    })),
    next: within.length === rows.length ? next : null,
  });
}

const problemsMax = 100;

/** Recounts every pair's lines and compares them with the accounts; reads everything. Empty: sound. */
async function checkClearing(store: HostStore): Promise<readonly string[]> {
  const problems: string[] = [];
  const report = (problem: string): void => void (problems.length < problemsMax && problems.push(problem));
  for (let after: string | null = null; ; ) {
    const pairs: readonly Clearing[] = await store.page({ table: 'clearing', where: null, after, limit: pageRowsMax });
    for (const pair of pairs) {
      await checkItems(store, pair, report);
      await checkAccounts(store, pair.id, report);
    }
    if (pairs.length < pageRowsMax) return problems;
    after = pairs.at(-1)?.id ?? null;
  }
}

async function checkItems(store: HostStore, clearing: Clearing, report: (problem: string) => void): Promise<void> {
  const counted = { ...nothingYet };
  let items = 0;
  for (let after: string | null = null; ; ) {
    const where = { prefix: `${clearing.id}/` };
    const rows: readonly Row<'clearingItem'>[] = await store.page({
      table: 'clearingItem',
      ...{ where, after, limit: pageRowsMax },
    });
    for (const row of rows) {
      const due = Math.max(0, row.acceptorPoints);
      const back = Math.max(0, -row.acceptorPoints);
      const side = pairOf(row.issuer, row.acceptor).isFirst ? 'first' : 'second';
      counted[`${side}Due`] += due;
      counted[`${side}Back`] += back;
      counted[`${side}Taken`] += row.issuerPoints;
      items++;
      if (row.ordinal !== items || totalNames.some((name) => row[name] !== counted[name]))
        report(`clearing line ${row.id} does not add up`);
    }
    if (rows.length < pageRowsMax) break;
    after = rows.at(-1)?.id ?? null;
  }
  if (clearing.items !== items || totalNames.some((name) => clearing[name] !== counted[name]))
    report(`clearing ${clearing.id} differs from its ${items} lines`);
}
const totalNames = ['firstDue', 'firstBack', 'firstTaken', 'secondDue', 'secondBack', 'secondTaken'] as const;

function checkAccounts(store: HostStore, pair: string, report: (problem: string) => void): Promise<void> {
  const [first = '', second = ''] = pair.split('/');
  return store.read(
    (need) => {
      need.get('clearing', pair);
      for (const { id } of [...accountsOf(first, second), ...accountsOf(second, first)]) need.get('account', id);
    },
    (facts) => {
      const clearing = facts.get('clearing', pair);
      if (!clearing) return;
      const expected = (
        issuer: string,
        acceptor: string,
        name: 'Due' | 'Back',
        total: number,
        settled: number,
      ): void => {
        const [open, closed] =
          name === 'Due'
            ? [clearingDue(issuer, acceptor), settledDue(issuer, acceptor)]
            : [clearingBack(issuer, acceptor), settledBack(issuer, acceptor)];
        if (balanceOf(facts, open) !== total - settled) report(`${open.id} differs from its clearing`);
        if (balanceOf(facts, closed) !== settled) report(`${closed.id} differs from its settlements`);
      };
      expected(first, second, 'Due', clearing.firstDue, clearing.settledFirstDue);
      expected(first, second, 'Back', clearing.firstBack, clearing.settledFirstBack);
      expected(second, first, 'Due', clearing.secondDue, clearing.settledSecondDue);
      expected(second, first, 'Back', clearing.secondBack, clearing.settledSecondBack);
    },
  );
}
