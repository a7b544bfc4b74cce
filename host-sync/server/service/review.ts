/**
 * Review: what people look at and settle: dead letters, alarms, consumption, and the ledger's recount.
 * Must not change a balance.
 */
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import { currencies } from '../../../terminal/kernel/units.js';
import { accountKind, pointsUnit, riskBorne, sideSign } from '../ledger/accounts.js';
import { alarmRow } from '../ledger/draft.js';
import { put } from '../ledger/facts.js';
import { balanceOf } from '../ledger/posting.js';
import type { Row, TableName } from '../ledger/tables.js';
import { type HostStore, pageRowsMax } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { pageOf, refusal } from './paging.js';
import type { ConsumptionAdmin, DeadLetterAdmin, Host, LedgerReport, RiskReport } from './types.js';

export const createDeadLetters = (store: HostStore, clock: Clock): DeadLetterAdmin => ({
  list: (standing, options) => pageOf(store, 'deadLetter', { lookup: 'standing', value: standing }, options),
  settle: async (id, by, note) => {
    if (!isPlainText(by, 64) || !isPlainText(note, 400)) return refusal('input.malformed', 'who settles it, and how');
    return store.transact(
      (need) => void need.get('deadLetter', id),
      (facts) => {
        const letter = facts.get('deadLetter', id);
        if (!letter) return refusal('original.unknown', 'no such dead letter');
        if (letter.standing === 'settled') return refusal('original.notVoidable', 'settled already');
        facts.write([
          put('deadLetter', { ...letter, standing: 'settled', settledAtMs: clock.wallMs(), settledBy: by, note }),
        ]);
        return ok(undefined);
      },
    );
  },
});

export const createConsumption = (store: HostStore): ConsumptionAdmin => ({
  list: (by, options) => {
    if ('memberCode' in by) return pageOf(store, 'consumption', { lookup: 'memberId', value: by.memberCode }, options);
    if ('businessId' in by)
      return pageOf(store, 'consumption', { lookup: 'businessId', value: by.businessId }, options);
    return pageOf(store, 'consumption', { lookup: 'terminalId', value: by.terminalId }, options);
  },
  months: (memberCode, options) =>
    pageOf(store, 'consumptionMonth', { lookup: 'memberId', value: memberCode }, options),
});

export const createAlarms = (store: HostStore, clock: Clock): Pick<Host, 'alarm' | 'alarms'> => ({
  alarm: (code, terminalId, subject, detail) => {
    const fresh = alarmRow(code, terminalId, subject.slice(0, 200), detail, clock.wallMs());
    return store.transact(
      (need) => void need.find('alarm', 'sameness', fresh.sameness),
      (facts) => {
        const known = facts.find('alarm', 'sameness', fresh.sameness)[0];
        facts.write([
          put(
            'alarm',
            known ? { ...known, detail: fresh.detail, count: known.count + 1, lastAtMs: fresh.lastAtMs } : fresh,
          ),
        ]);
      },
    );
  },
  alarms: ({ terminalId, ...options } = {}) =>
    pageOf(
      store,
      'alarm',
      terminalId === undefined ? null : { lookup: 'terminalId', value: terminalId },
      options,
      'newest',
    ),
});

async function* everyRow<T extends TableName>(store: HostStore, table: T): AsyncGenerator<Row<T>> {
  for (let after: string | null = null; ; ) {
    const rows: readonly Row<T>[] = await store.page({ table, where: null, after, limit: pageRowsMax });
    yield* rows;
    if (rows.length < pageRowsMax) return;
    after = rows.at(-1)?.id ?? null;
  }
}

const problemsMax = 100;

/** Recounts every balance from its lines and every entry's sum, in one pass over the lines. */
export async function verifyLedger(store: HostStore): Promise<LedgerReport> {
  const problems: string[] = [];
  const report = (problem: string): void => void (problems.length < problemsMax && problems.push(problem));
  const totals: Record<string, number> = {};
  const accounts = new Map<string, Row<'account'>>();
  for await (const account of everyRow(store, 'account')) {
    accounts.set(account.id, account);
    const key = `${accountKind(account.id)} ${account.unit}`;
    totals[key] = (totals[key] ?? 0) + account.balance;
    if (account.balance < 0) report(`${account.id} is negative`);
    if (account.lines === 0 && account.balance !== 0) report(`${account.id} has a balance and no lines`);
  }
  // Entries whose lines seen so far do not add up yet; empty at the end.
  const open = new Map<string, number>();
  const seen = new Map<string, { lines: number; balance: number }>();
  let lines = 0;
  for await (const line of everyRow(store, 'line')) {
    lines++;
    const account = accounts.get(line.account);
    if (!account || account.unit !== line.unit) {
      report(`line ${line.id} has no account of its unit`);
      continue;
    }
    const so = seen.get(line.account) ?? { lines: 0, balance: 0 };
    const now = { lines: so.lines + 1, balance: so.balance + sideSign(account.side) * line.amount };
    seen.set(line.account, now);
    if (now.balance !== line.balanceAfter)
      report(`line ${line.id} says ${line.balanceAfter}, its sum is ${now.balance}`);
    const sum = `${line.entry} ${line.unit}`;
    const rest = (open.get(sum) ?? 0) + line.amount;
    if (rest === 0) open.delete(sum);
    else open.set(sum, rest);
  }
  for (const [id, account] of accounts) {
    const counted = seen.get(id) ?? { lines: 0, balance: 0 };
    if (counted.lines !== account.lines || counted.balance !== account.balance)
      report(
        `${id} stands at ${account.balance} after ${account.lines} lines, its lines give ${counted.balance} after ${counted.lines}`,
      );
  }
  for (const [entry, rest] of open) report(`entry ${entry} does not add up: ${rest}`);
  let entries = 0;
  for await (const _entry of everyRow(store, 'entry')) entries++;
  return { entries, lines, accounts: accounts.size, totals, problems };
}

/** What the merchant bears in each unit: value that was given at a counter and could not be taken. */
export function readRisk(store: HostStore): Promise<RiskReport> {
  const accounts = [pointsUnit, ...Object.keys(currencies)].map((unit) => riskBorne(unit));
  return store.read(
    (need) => {
      for (const account of accounts) need.get('account', account.id);
    },
    (facts) => ({
      borne: Object.fromEntries(
        accounts.map((account) => [account.unit, balanceOf(facts, account)] as const).filter(([, borne]) => borne > 0),
      ),
    }),
  );
}
