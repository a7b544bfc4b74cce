/**
 * One replay from file to checks: opens the stage, enlists the members, plays the lines, reads the books, compares.
 * Must not print; scripts/replay.ts does.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { AdminClient } from '../host/admin-client.js';
import { hostBooks, journalBooks, tillBooks } from './books.js';
import { independentSum } from './independent-sum.js';
import { type PlayedDay, playDay } from './play.js';
import { type Check, reconcile } from './reconcile.js';
import { invoicesOf, linesOfDay, type RetailLine, readRetailText } from './retail-file.js';
import { openStage, until } from './stage.js';

export interface ReplayOptions {
  readonly file: string;
  /** `YYYY-MM-DD`; null: the first day of the file. */
  readonly day: string | null;
  /** The first so many invoices; null: all. */
  readonly invoices: number | null;
  readonly progress: (doing: string, done: number, total: number) => void;
}
export interface Replay {
  readonly date: string;
  readonly invoices: number;
  readonly members: number;
  readonly day: PlayedDay;
  readonly checks: readonly Check[];
}

/** Each known customer as a member without a phone: the file's customer number stands for the phone number. */
async function enlist(
  admin: AdminClient,
  lines: readonly RetailLine[],
  progress: ReplayOptions['progress'],
): Promise<ReadonlyMap<string, string>> {
  const customers = new Set(lines.flatMap(({ customer }) => customer ?? []));
  const members = new Map<string, string>();
  for (const customer of customers) {
    const request = { phone: customer, name: `Customer ${customer}` };
    const { memberCode } = await admin.call<{ memberCode: string }>('member.enlist', request);
    members.set(customer, memberCode);
    progress('members', members.size, customers.size);
  }
  return members;
}

/** The file's bytes, by a path that shares nothing with what was played. */
function fileBytes(file: string): Uint8Array {
  const bytes = readFileSync(file);
  return file.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** Replays a day. @throws Error when the file cannot be read or the box cannot be used; differences are in `checks`. */
export async function replay(options: ReplayOptions): Promise<Replay> {
  const { file, progress } = options;
  const { day: date, lines: all } = linesOfDay(readRetailText(file), options.day);
  const chosen = [...invoicesOf(all).values()].slice(0, options.invoices ?? undefined);
  const lines = chosen.flat();
  const stage = await openStage();
  try {
    const members = await enlist(stage.admin, lines, progress);
    const day = await playDay(stage.till, lines, members, (done) => progress('invoices', done, chosen.length));
    let terminalId = '';
    await until('the host to have everything', async () => {
      const status = await stage.till.status();
      terminalId = status.terminalId ?? '';
      return status.queue.unsent === 0;
    });
    const till = await tillBooks(stage.till);
    const host = await hostBooks(stage.admin, terminalId, members.values());
    await stage.stopTerminal();
    const journal = journalBooks(stage.terminalFile);
    const sums = independentSum(fileBytes(file), date, options.invoices);
    const checks = reconcile({ file: sums, day, members, till, journal, host });
    return { date, invoices: chosen.length, members: members.size, day, checks };
  } finally {
    await stage.close();
  }
}
