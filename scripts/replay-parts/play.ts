/**
 * Plays the receipts of a day at the till: which lines make a bill, and what the box said to each line.
 * Refuses nothing itself: every line reaches the box, and every refusal is the box's with its code.
 *
 * The rules. An invoice is one bill, in parts of at most 400 lines; a known customer identifies by the member code and
 * earns, others buy without. A price of 0 is a free line of its bill. A line that no bill can hold (a negative price, a
 * stock code with a blank) is asked for on its own, so that its refusal does not take the others along. Each line with
 * negative pieces is a refund on its own, of the purchase that returns.ts finds.
 */
import type { SaleRequest } from '../../terminal/local-api/schema.js';
import { invoicesOf, type RetailLine } from './retail-file.js';
import { Returns } from './returns.js';
import type { Till, TillAnswer } from './till.js';

/** What became of one line of the file. */
export interface PlayedLine {
  readonly line: RetailLine;
  readonly outcome: 'sold' | 'refunded' | 'refused';
  /** The box's word; null where it accepted. */
  readonly code: string | null;
  readonly reference: string;
}
/** A bill that the box accepted. */
export interface PlayedBill {
  readonly reference: string;
  readonly customer: string | null;
  readonly totalMinor: number;
  /** Pence that came back of it. */
  refundedMinor: number;
}
export interface PlayedDay {
  readonly lines: readonly PlayedLine[];
  readonly bills: readonly PlayedBill[];
}

/** Below the local API's 500, so that the longest codes still fit one record. */
export const linesPerBillMax = 400;
const clerk = 'replay';
/** Named as the original of a return whose purchase the till cannot find. */
const unknownPurchase = 'no-purchase-found';

const fitsBill = ({ code, quantity, unitPriceMinor }: RetailLine): boolean =>
  quantity > 0 && unitPriceMinor >= 0 && /^[\x21-\x7e]{1,48}$/.test(code);

export const worthOf = ({ quantity, unitPriceMinor }: RetailLine): number => quantity * unitPriceMinor;

function saleOf(lines: readonly RetailLine[], memberCode: string | null): SaleRequest {
  const bought = {
    clerk,
    lines: lines.map(({ code, quantity, unitPriceMinor }) => ({ code, quantity, unitPriceMinor })),
  };
  return memberCode === null
    ? { service: 'plainSale', ...bought }
    : { service: 'pointsEarn', ...bought, code: memberCode };
}

/** The bills of one invoice: what fits together in parts, then each line that does not on its own. */
export function billsOf(lines: readonly RetailLine[]): readonly (readonly RetailLine[])[] {
  const bills: RetailLine[][] = [];
  const fitting = lines.filter(fitsBill);
  for (let at = 0; at < fitting.length; at += linesPerBillMax) bills.push(fitting.slice(at, at + linesPerBillMax));
  for (const line of lines) if (!fitsBill(line)) bills.push([line]);
  return bills;
}

interface Played {
  readonly lines: PlayedLine[];
  readonly bills: Map<string, PlayedBill>;
  readonly returns: Returns;
}

const note = (played: Played, lines: readonly RetailLine[], reference: string, answer: TillAnswer): void => {
  for (const line of lines) {
    const accepted = line.quantity < 0 ? 'refunded' : 'sold';
    const refused = answer.outcome === 'refused';
    played.lines.push({
      line,
      reference,
      outcome: refused ? 'refused' : accepted,
      code: refused ? answer.code : null,
    });
  }
};

async function giveBack(till: Till, played: Played, line: RetailLine, reference: string): Promise<void> {
  const original = played.returns.purchaseOf(line);
  const amountMinor = worthOf(line) === 0 ? 0 : -worthOf(line);
  const answer = await till.sell(reference, {
    service: 'refund',
    clerk,
    original: original ?? unknownPurchase,
    amountMinor,
  });
  note(played, [line], reference, answer);
  const bill = original === null ? undefined : played.bills.get(original);
  if (answer.outcome !== 'accepted' || !bill) return;
  played.returns.returned(line);
  bill.refundedMinor += amountMinor;
}

async function sell(
  till: Till,
  played: Played,
  lines: readonly RetailLine[],
  reference: string,
  memberCode: string | null,
): Promise<void> {
  const answer = await till.sell(reference, saleOf(lines, memberCode));
  note(played, lines, reference, answer);
  if (answer.outcome !== 'accepted') return;
  const totalMinor = lines.reduce((sum, line) => sum + worthOf(line), 0);
  const customer = lines[0]?.customer ?? null;
  played.bills.set(reference, { reference, customer, totalMinor, refundedMinor: 0 });
  played.returns.sold(reference, lines);
}

/**
 * Puts every line of the day to the box.
 * @param members member code by customer number @param progress told after each invoice how many are done
 */
export async function playDay(
  till: Till,
  lines: readonly RetailLine[],
  members: ReadonlyMap<string, string>,
  progress: (invoices: number) => void,
): Promise<PlayedDay> {
  const played: Played = { lines: [], bills: new Map(), returns: new Returns() };
  let done = 0;
  for (const [invoice, own] of invoicesOf(lines)) {
    for (const [part, bill] of billsOf(own).entries()) {
      const [first] = bill;
      if (!first) continue;
      const reference = part === 0 ? invoice : `${invoice}.${part + 1}`;
      const memberCode = first.customer === null ? null : (members.get(first.customer) ?? null);
      if (first.quantity < 0) await giveBack(till, played, first, reference);
      else await sell(till, played, bill, reference, memberCode);
    }
    done += 1;
    progress(done);
  }
  return { lines: played.lines, bills: [...played.bills.values()] };
}
