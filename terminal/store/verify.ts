/**
 * Verify: recomputes both hash chains and compares queue, answers and counters with the journal.
 * Finds rows that were edited or deleted from outside; must not repair anything.
 */
import {
  bodyDigest,
  chainHash,
  genesisHash,
  protocolVersion,
  type RecordKind,
  sendClass,
  transactionIdFromBytes,
} from '../../host-sync/protocol/record.js';
import { type Bytes, equalBytes, utf8 } from '../kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../kernel/errors.js';
import type { Crypto } from '../kernel/ports.js';
import { type Connection, integer, type Statement } from './connection.js';
import type { Counters } from './counters.js';
import { placeOf } from './outbox.js';
import { type AuditRow, auditEntryOf, auditHash } from './settings.js';

export interface ChainFault {
  readonly code: ErrorCode;
  readonly detail: string;
}
type Hash = Pick<Crypto, 'sha256'>;

const broken = (detail: string): ChainFault => ({ code: 'store.chainBroken', detail });

interface JournalRow {
  readonly number: bigint;
  readonly chain: bigint;
  readonly sequence: bigint;
  readonly id: Bytes;
  readonly kind: string;
  readonly previous_hash: Bytes;
  readonly hash: Bytes;
  readonly body: string;
  readonly terminal_id: string | null;
  readonly epoch: bigint | null;
  readonly first_number: bigint | null;
  readonly worth_minor: bigint;
  readonly points: bigint;
  readonly dead: bigint | null;
}

/** What the walk has seen so far. */
interface Walk {
  number: number;
  chain: bigint;
  hash: Bytes;
  queued: number;
  answered: number;
  unsent: number;
  unsentWorthMinor: bigint;
  unsentPoints: bigint;
  dead: number;
}

export class Verifier {
  readonly #rows: Statement;
  readonly #queued: Statement;
  readonly #queueLength: Statement;
  readonly #answers: Statement;
  readonly #chain: Statement;
  readonly #saleCount: Statement;
  readonly #lostSale: Statement;
  readonly #audit: Statement;

  constructor(
    private readonly db: Connection,
    private readonly crypto: Hash,
  ) {
    this.#rows = db.prepare(
      `SELECT j.number, j.chain, j.sequence, j.id, j.kind, j.previous_hash, j.hash, j.body,
       j.worth_minor, j.points,
       c.terminal_id, c.epoch, c.first_number, a.dead
       FROM journal j LEFT JOIN chain c ON c.number = j.chain LEFT JOIN answer a ON a.number = j.number ORDER BY j.number`,
    );
    this.#queued = db.prepare('SELECT id FROM outbox WHERE place = ?').pluck();
    this.#queueLength = db.prepare('SELECT count(*) FROM outbox').pluck();
    this.#answers = db.prepare('SELECT count(*) FROM answer').pluck();
    this.#chain = db.prepare('SELECT terminal_id, epoch, first_number FROM chain WHERE number = ?');
    this.#saleCount = db.prepare('SELECT count(*) FROM sale').pluck();
    this.#lostSale = db
      .prepare(
        `SELECT s.number FROM sale s LEFT JOIN sale_key k ON k.id = s.id
         WHERE s.number <= ? AND k.number IS NOT s.number LIMIT 1`,
      )
      .pluck();
    this.#audit = db.prepare('SELECT * FROM audit ORDER BY number');
  }

  /**
   * Reads everything once, some 30,000 rows a second: for an operator's command, never on a sale's path.
   * @returns null, or store.chainBroken for the first row edited or deleted
   * @throws TerminalError store.corrupt when SQLite itself finds the file damaged
   */
  check(counters: Readonly<Counters>): ChainFault | null {
    const quick = this.db.pragma('quick_check(1)', { simple: true });
    if (quick !== 'ok') throw new TerminalError('store.corrupt', String(quick).slice(0, 200));
    return this.#journal(counters) ?? this.#sales(counters) ?? this.#auditChain(counters);
  }

  #journal(counters: Readonly<Counters>): ChainFault | null {
    const walk: Walk = {
      ...{ number: counters.purgedNumber, chain: 0n, hash: counters.purgedHash },
      ...{ queued: 0, answered: 0, unsent: 0, unsentWorthMinor: 0n, unsentPoints: 0n, dead: 0 },
    };
    for (const row of this.#rows.iterate() as IterableIterator<JournalRow>) {
      const fault = this.#row(walk, row, counters.filedNumber);
      if (fault) return fault;
    }
    return this.#end(counters, walk);
  }

  #row(walk: Walk, row: JournalRow, filedNumber: number): ChainFault | null {
    const number = integer(row.number);
    const at = `journal row ${number}`;
    if (number !== walk.number + 1) return broken(`journal row ${walk.number + 1} is missing`);
    if (row.terminal_id === null || row.epoch === null || row.first_number === null)
      return broken(`${at}: its chain is missing`);
    if (row.sequence !== row.number - row.first_number + 1n) return broken(`${at}: sequence does not follow its place`);
    const epoch = integer(row.epoch, 1);
    const begins = row.sequence === 1n;
    const previous = begins ? genesisHash(this.crypto, row.terminal_id, epoch) : walk.hash;
    if (!begins && walk.chain !== 0n && walk.chain !== row.chain)
      return broken(`${at}: another chain without its beginning`);
    if (!equalBytes(row.previous_hash, previous)) return broken(`${at}: does not follow the row before it`);
    const hash = chainHash(this.crypto, previous, bodyDigest(this.crypto, utf8(row.body)));
    if (!equalBytes(row.hash, hash)) return broken(`${at}: body and hash differ`);
    if (!bodySays(row, epoch)) return broken(`${at}: body and columns differ`);
    Object.assign(walk, { number, chain: row.chain, hash });
    return this.#state(walk, row, number <= filedNumber, at);
  }

  #state(walk: Walk, row: JournalRow, filed: boolean, at: string): ChainFault | null {
    const queued = this.#queued.get(placeOf(row.kind as RecordKind, walk.number)) as Bytes | undefined;
    if (queued && (row.dead !== null || !filed)) return broken(`${at}: queued, but answered or not filed yet`);
    if (queued && !equalBytes(queued, row.id)) return broken(`${at}: queued under another id`);
    if (!queued && filed && row.dead === null) return broken(`${at}: neither queued nor answered`);
    if (row.dead === null) {
      walk.unsent += 1;
      walk.unsentWorthMinor += row.worth_minor;
      walk.unsentPoints += row.points;
    } else {
      walk.answered += 1;
      if (row.dead === 1n) walk.dead += 1;
    }
    if (queued) walk.queued += 1;
    return null;
  }

  #end(counters: Readonly<Counters>, walk: Walk): ChainFault | null {
    if (walk.number + 1 !== counters.nextNumber) return broken(`journal row ${walk.number + 1} is missing at the end`);
    const current = this.#chain.get(counters.chain) as
      | { readonly terminal_id: string; readonly epoch: bigint; readonly first_number: bigint }
      | undefined;
    if (counters.chain !== 0) {
      if (!current) return broken('the current chain is missing');
      const first = integer(current.first_number, 1);
      const head =
        counters.nextNumber === first
          ? genesisHash(this.crypto, current.terminal_id, integer(current.epoch))
          : walk.hash;
      if (counters.nextSequence !== counters.nextNumber - first + 1)
        return broken('next sequence does not follow the journal');
      if (!equalBytes(counters.lastHash, head)) return broken('the last journal row is not the one that was written');
    }
    if (integer(this.#queueLength.get()) !== walk.queued)
      return broken('the queue holds records that the journal does not');
    if (integer(this.#answers.get()) !== walk.answered) return broken('an answer stands without its record');
    if (counters.unsent !== walk.unsent || counters.dead !== walk.dead)
      return broken('counters of queue and journal differ');
    if (counters.unsentWorthMinor !== walk.unsentWorthMinor || counters.unsentPoints !== walk.unsentPoints) {
      return broken('worth of the queue was changed');
    }
    return null;
  }

  /** Sales are not hashed, but none may be missing, and each must be found by its id. */
  #sales(counters: Readonly<Counters>): ChainFault | null {
    if (integer(this.#saleCount.get()) !== counters.nextSale - 1 - counters.purgedSale)
      return broken('a sale is missing');
    const lost = this.#lostSale.get(counters.filedSale);
    return lost === undefined ? null : broken(`sale ${integer(lost)} is not where its id says`);
  }

  #auditChain(counters: Readonly<Counters>): ChainFault | null {
    let number = 0;
    let hash: Bytes = new Uint8Array(32);
    for (const row of this.#audit.iterate() as IterableIterator<AuditRow>) {
      const entry = auditEntryOf(row);
      if (entry.number !== number + 1) return broken(`audit row ${number + 1} is missing`);
      number = entry.number;
      hash = auditHash(this.crypto, hash, entry);
      if (!equalBytes(row.hash, hash)) return broken(`audit row ${number} was changed`);
    }
    if (number + 1 !== counters.nextAudit || !equalBytes(hash, counters.auditHash)) {
      return broken(`audit row ${number + 1} is missing at the end`);
    }
    return null;
  }
}

/**
 * Do the columns beside a body say what it says? They are used for sending and listing, and stand outside the hash.
 * Compared as text, which is exact: within a JSON string the quotes looked for would be escaped. Parsing takes ten times
 * as long.
 */
function bodySays(row: JournalRow, epoch: number): boolean {
  const place = `{"version":${protocolVersion},"terminalId":"${row.terminal_id}","epoch":${epoch},"sequence":${row.sequence},`;
  if (!Object.hasOwn(sendClass, row.kind) || !row.body.startsWith(place)) return false;
  const id = `"transactionId":"${transactionIdFromBytes(row.id)}"`;
  return row.body.includes(id) && row.body.includes(`"kind":"${row.kind}"`);
}
