/**
 * Posting: turns a balanced set of movements into an immutable entry, its lines and the new balances.
 * Pure. Must not decide who owes what; a movement that would make a balance negative is a bug of its caller.
 */
import { assert } from '../../../terminal/kernel/result.js';
import { type Account, lineId, sideSign } from './accounts.js';
import { type Facts, put, type Write } from './facts.js';

/** Moves `amount` (≥ 0, in the unit both share) out of `debit`'s other side: debits one account, credits the other. */
export interface Movement {
  readonly debit: Account;
  readonly credit: Account;
  readonly amount: number;
}
export const move = (debit: Account, credit: Account, amount: number): Movement => ({ debit, credit, amount });

/** Balance on the account's normal side; 0 for one that was never used. */
export const balanceOf = (facts: Facts, account: Account): number => facts.get('account', account.id)?.balance ?? 0;

export interface Posting {
  /** Unique: the record's id, with a suffix for what the host posts by itself. */
  readonly id: string;
  readonly cause: string;
  readonly record: string | null;
  readonly atMs: number;
  readonly movements: readonly Movement[];
}

/** @returns writes for entry, lines and accounts; none where nothing moves. Throws where an invariant would break. */
export function post(facts: Facts, posting: Posting): readonly Write[] {
  const sums = new Map<string, { readonly account: Account; amount: number }>();
  const add = (account: Account, amount: number): void => {
    const sum = sums.get(account.id);
    if (sum) sum.amount += amount;
    else sums.set(account.id, { account, amount });
  };
  for (const { debit, credit, amount } of posting.movements) {
    assert(Number.isSafeInteger(amount) && amount >= 0, `movement of ${amount}`);
    assert(debit.unit === credit.unit, `${debit.unit} is not ${credit.unit}`);
    add(debit, amount);
    add(credit, -amount);
  }
  const moved = [...sums.values()].filter((sum) => sum.amount !== 0);
  if (moved.length === 0) return [];
  const writes: Write[] = [
    put('entry', { id: posting.id, cause: posting.cause, record: posting.record, atMs: posting.atMs }),
  ];
  for (const { account, amount } of moved) {
    const row = facts.get('account', account.id) ?? {
      id: account.id,
      unit: account.unit,
      side: account.side,
      balance: 0,
      lines: 0,
    };
    const balance = row.balance + sideSign(account.side) * amount;
    assert(Number.isSafeInteger(balance) && balance >= 0, `balance of ${account.id} stays at or above zero`);
    writes.push(put('account', { ...row, balance, lines: row.lines + 1 }));
    writes.push(
      put('line', {
        id: lineId(account.id, row.lines + 1),
        entry: posting.id,
        account: account.id,
        unit: account.unit,
        amount,
        balanceAfter: balance,
        atMs: posting.atMs,
      }),
    );
  }
  return writes;
}
