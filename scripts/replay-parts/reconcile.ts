/**
 * The reconciliation: every line of the file is accounted for, and file, till, journal and host agree to the penny.
 * Pure: compares figures that others have read, and rounds nothing.
 */
import type { HostBooks, JournalBooks, Tally, TillBooks } from './books.js';
import { type Group, type GroupSum, groups } from './independent-sum.js';
import { type PlayedBill, type PlayedDay, type PlayedLine, worthOf } from './play.js';

/** One comparison. Money is in pence, or where the file is meant in ten-thousandths of a pound. */
export interface Check {
  readonly what: string;
  readonly unit: 'lines' | 'minor' | 'tenThousandths' | 'points' | 'records' | 'problems';
  readonly found: bigint;
  readonly wanted: bigint;
}
export interface ReconcileFacts {
  readonly file: { readonly [Name in Group]: GroupSum };
  readonly day: PlayedDay;
  readonly members: ReadonlyMap<string, string>;
  readonly till: TillBooks;
  readonly journal: JournalBooks;
  readonly host: HostBooks;
}

/** Pence are a hundred ten-thousandths. */
const perPenny = 100n;

export const groupOf = ({ line }: PlayedLine): Group =>
  line.quantity < 0 ? 'returns' : line.customer === null ? 'others' : 'members';

const exactWorth = ({ line }: PlayedLine): bigint => BigInt(line.quantity) * BigInt(line.unitPriceMinor);
const sum = (values: readonly bigint[]): bigint => values.reduce((total, value) => total + value, 0n);

/** Every line once, and accepted and refused together worth what the file says. */
function fileChecks({ file, day }: ReconcileFacts): readonly Check[] {
  const rows = new Set(day.lines.map(({ line }) => line.row));
  return [
    { what: 'lines answered once', unit: 'lines', found: BigInt(rows.size), wanted: BigInt(day.lines.length) },
    ...groups.flatMap((group): Check[] => {
      const own = day.lines.filter((played) => groupOf(played) === group);
      const worth = sum(own.map(exactWorth));
      return [
        { what: `${group}: lines of the file`, unit: 'lines', found: BigInt(own.length), wanted: file[group].lines },
        {
          what: `${group}: accepted + refused, worth in the file (ten-thousandths)`,
          unit: 'tenThousandths',
          found: worth * perPenny,
          wanted: file[group].tenThousandths,
        },
      ];
    }),
  ];
}

const tally = (lines: readonly PlayedLine[]): { readonly references: bigint; readonly minor: bigint } => ({
  references: BigInt(new Set(lines.map(({ reference }) => reference)).size),
  minor: sum(lines.map(exactWorth)),
});

/** What the file says of the accepted lines against three books: the till's list, the box's journal, the host. */
function bookChecks({ day, till, journal, host }: ReconcileFacts): readonly Check[] {
  const accepted = day.lines.filter(({ outcome }) => outcome !== 'refused');
  const of = (group: Group) => tally(accepted.filter((played) => groupOf(played) === group));
  const both = (what: string, book: Tally, wanted: ReturnType<typeof tally>): Check[] => [
    { what: `${what}: records`, unit: 'records', found: BigInt(book.count), wanted: wanted.references },
    { what: `${what}: worth`, unit: 'minor', found: BigInt(book.minor), wanted: wanted.minor },
  ];
  const [members, others, returns] = [of('members'), of('others'), of('returns')];
  const refunds = { references: returns.references, minor: -returns.minor };
  const all = { references: members.references + others.references, minor: members.minor + others.minor };
  const records = 2n * all.references + refunds.references;
  return [
    ...both('till, sales to members', till.members, members),
    ...both('till, sales to others', till.others, others),
    ...both('till, refunds', till.refunds, refunds),
    {
      what: 'till, given back on the bills',
      unit: 'minor',
      found: BigInt(till.refundedMinor),
      wanted: refunds.minor,
    },
    ...both('journal, sales to members', journal.pointsEarn, members),
    ...both('journal, sales to others', journal.plainSale, others),
    ...both('journal, refunds', journal.refund, refunds),
    ...both('journal, consumption', journal.consumption, all),
    { what: 'journal, accepted by the host', unit: 'records', found: BigInt(journal.settled), wanted: records },
    { what: 'journal, other records', unit: 'records', found: BigInt(journal.others), wanted: 0n },
    { what: 'journal, breaks in the chain', unit: 'problems', found: journal.fault === null ? 0n : 1n, wanted: 0n },
    ...both('host, consumption of members', host.members, members),
    ...both('host, consumption of others', host.others, others),
    { what: 'host, dead letters', unit: 'records', found: BigInt(host.deadLetters), wanted: 0n },
    { what: 'host, problems in the ledger', unit: 'problems', found: BigInt(host.ledgerProblems), wanted: 0n },
  ];
}

/** What the rule gives for what is left of each bill after its refunds. */
function pointsBy(bills: readonly PlayedBill[], { rules }: HostBooks): ReadonlyMap<string, bigint> {
  const points = new Map<string, bigint>();
  for (const { customer, totalMinor, refundedMinor } of bills) {
    if (customer === null) continue;
    const earned = (BigInt(totalMinor - refundedMinor) * BigInt(rules.earnPoints)) / BigInt(rules.earnPerMinor);
    points.set(customer, (points.get(customer) ?? 0n) + earned);
  }
  return points;
}

function pointsChecks({ day, host, members }: ReconcileFacts): readonly Check[] {
  const wanted = pointsBy(day.bills, host);
  const held = (customer: string): bigint => BigInt(host.points.get(members.get(customer) ?? '') ?? 0);
  const wrong = [...members.keys()].filter((customer) => held(customer) !== (wanted.get(customer) ?? 0n));
  return [
    {
      what: 'host, points of all members by the rule',
      unit: 'points',
      found: sum([...members.keys()].map(held)),
      wanted: sum([...wanted.values()]),
    },
    { what: 'host, members with other points', unit: 'problems', found: BigInt(wrong.length), wanted: 0n },
  ];
}

/** Every comparison; the day reconciles when in each of them what was found is what was wanted. */
export const reconcile = (facts: ReconcileFacts): readonly Check[] => [
  ...fileChecks(facts),
  ...bookChecks(facts),
  ...pointsChecks(facts),
];

/** One row of the summary: lines of one group with one outcome and code. */
export interface SummaryRow {
  readonly group: Group;
  readonly outcome: PlayedLine['outcome'];
  readonly code: string | null;
  readonly lines: number;
  readonly worthMinor: number;
}

/** Lines and worth by group, outcome and code. */
export function summary(lines: readonly PlayedLine[]): readonly SummaryRow[] {
  const rows = new Map<string, SummaryRow>();
  for (const played of lines) {
    const { outcome, code } = played;
    const group = groupOf(played);
    const key = `${groups.indexOf(group)} ${outcome} ${code ?? ''}`;
    const known = rows.get(key) ?? { group, outcome, code, lines: 0, worthMinor: 0 };
    rows.set(key, { ...known, lines: known.lines + 1, worthMinor: known.worthMinor + worthOf(played.line) });
  }
  return [...rows].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, row]) => row);
}
