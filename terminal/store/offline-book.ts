/**
 * Offline book: the allowances this box holds with what it has spent of each, blocked keys, and what members were given
 * without the host by day. Must not decide: core/offline.ts does; keys of members stand here sealed only.
 */
import type { Allowance } from '../../host-sync/protocol/sync.js';
import type { HeldAllowance, OfflineUsage, OfflineUse } from '../core/offline-offer.js';
import { assert } from '../kernel/result.js';
import { type Connection, integer, type Statement, storedJson } from './connection.js';
import { utcDay } from './consequences.js';

/** An allowance as the box keeps it: its member's keys sealed, the host's signature checked and gone. */
export interface StoredGrant extends Omit<Allowance, 'keys' | 'signature'> {
  readonly keyIds: readonly string[];
  /** The keys, sealed by the runtime; empty where there are none. */
  readonly sealedKeys: string;
}
/** What the box tells of one slice. */
export interface AllowanceRow extends HeldAllowance {
  readonly memberCode: string | null;
  readonly grantedAtMs: number;
  readonly sealedKeys: string;
  /** open: may be spent. recalled: the host wants it back. */
  readonly state: 'open' | 'recalled';
}

/** All members together, in the counts. */
const everybody = '*';

interface GrantRow {
  readonly grant_json: string;
  readonly sealed_keys: string;
  readonly amount: bigint;
  readonly spent: bigint;
  readonly state: string;
}
const columns = 'a.grant_json, a.sealed_keys, a.amount, a.spent, a.state';
type Kept = Omit<StoredGrant, 'sealedKeys'>;

function rowOf(row: GrantRow): AllowanceRow {
  const grant = storedJson<Kept>(row.grant_json);
  return {
    id: grant.id,
    holds: grant.holds,
    memberCode: grant.memberCode,
    grantedAtMs: grant.grantedAtMs,
    expiresAtMs: grant.expiresAtMs,
    sealedKeys: row.sealed_keys,
    remaining: integer(row.amount - row.spent),
    state: row.state === 'open' ? 'open' : 'recalled',
  };
}

export class OfflineBook {
  readonly #known: Statement;
  readonly #insert: Statement;
  readonly #addName: Statement;
  readonly #setState: Statement;
  readonly #reseal: Statement;
  readonly #standing: Statement;
  readonly #byName: Statement;
  readonly #byId: Statement;
  readonly #spend: Statement;
  readonly #remove: Statement;
  readonly #removeNames: Statement;
  readonly #recallAll: Statement;
  readonly #clearBlocked: Statement;
  readonly #block: Statement;
  readonly #blocked: Statement;
  readonly #count: Statement;
  readonly #usage: Statement;
  readonly #usageEver: Statement;

  constructor(db: Connection) {
    this.#known = db.prepare('SELECT state FROM allowance WHERE id = ?').pluck();
    this.#insert = db.prepare("INSERT INTO allowance VALUES (?, 'open', ?, 0, ?, ?)");
    this.#addName = db.prepare('INSERT OR IGNORE INTO allowance_name VALUES (?, ?)');
    this.#setState = db.prepare('UPDATE allowance SET state = ? WHERE id = ?');
    this.#reseal = db.prepare('UPDATE allowance SET sealed_keys = ? WHERE id = ?');
    this.#standing = db.prepare(`SELECT ${columns} FROM allowance a WHERE a.state IN ('open', 'recalled')`);
    this.#byName = db.prepare(
      `SELECT ${columns} FROM allowance_name n JOIN allowance a ON a.id = n.id WHERE n.name = ? AND a.state = 'open'`,
    );
    this.#byId = db.prepare(`SELECT ${columns} FROM allowance a WHERE a.id = ? AND a.state <> 'ended'`);
    this.#spend = db.prepare("UPDATE allowance SET spent = spent + ? WHERE id = ? AND state = 'open'");
    this.#remove = db.prepare("UPDATE allowance SET state = 'ended', sealed_keys = '' WHERE id = ?");
    this.#removeNames = db.prepare('DELETE FROM allowance_name WHERE id = ?');
    this.#recallAll = db.prepare("UPDATE allowance SET state = 'recalled' WHERE state = 'open'");
    this.#clearBlocked = db.prepare('DELETE FROM blocked');
    this.#block = db.prepare('INSERT OR IGNORE INTO blocked VALUES (?)');
    this.#blocked = db.prepare('SELECT 1 FROM blocked WHERE name = ?').pluck();
    this.#count = db.prepare(
      `INSERT INTO offline_use VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, subject) DO UPDATE SET
       earns = earns + excluded.earns, earn_points = earn_points + excluded.earn_points,
       allowance_uses = allowance_uses + excluded.allowance_uses, floor_uses = floor_uses + excluded.floor_uses,
       floor_minor = floor_minor + excluded.floor_minor`,
    );
    const sums =
      'coalesce(sum(earns), 0) AS earns, coalesce(sum(earn_points), 0) AS points, coalesce(sum(allowance_uses), 0) AS uses, ' +
      'coalesce(sum(floor_uses), 0) AS floors, coalesce(sum(floor_minor), 0) AS minor FROM offline_use';
    this.#usage = db.prepare(`SELECT ${sums} WHERE day = ? AND subject = ?`);
    this.#usageEver = db.prepare(`SELECT ${sums} WHERE subject = ?`);
  }

  /**
   * Takes over what the host says now, inside the caller's transaction. What it no longer names is to go back. One that was
   * given back stays known for good: a host that was restored may name it again, and it must not be spent a second time.
   */
  replace(grants: readonly StoredGrant[], blocked: readonly string[]): void {
    const named = new Set<string>(grants.map(({ id }) => id));
    for (const row of this.standing()) if (!named.has(row.id)) this.#setState.run('recalled', row.id);
    for (const { sealedKeys, ...grant } of grants) {
      if (this.#known.get(grant.id) === undefined) {
        const amount = grant.holds.unit === 'points' ? grant.holds.points : grant.holds.amountMinor;
        this.#insert.run(grant.id, amount, sealedKeys, JSON.stringify(grant));
      } else if (this.byId(grant.id)) this.#reseal.run(sealedKeys, grant.id);
      else continue;
      const own = grant.holds.unit === 'money' ? [grant.holds.couponCode] : [];
      for (const name of [...grant.keyIds, ...own]) this.#addName.run(name, grant.id);
    }
    this.#clearBlocked.run();
    for (const name of blocked) this.#block.run(name);
  }

  /** After a new epoch: all go back. Inside the caller's transaction. */
  recallAll(): void {
    this.#recallAll.run();
  }

  /** Those that may be spent or are to go back, by id: at most what the host gives. */
  standing(): readonly AllowanceRow[] {
    return (this.#standing.all() as GrantRow[]).map(rowOf);
  }
  /** Those that may be spent by this key or coupon. */
  named(name: string): readonly AllowanceRow[] {
    return (this.#byName.all(name) as GrantRow[]).map(rowOf);
  }
  byId(id: string): AllowanceRow | null {
    const row = this.#byId.get(id) as GrantRow | undefined;
    return row ? rowOf(row) : null;
  }
  isBlocked(name: string): boolean {
    return this.#blocked.get(name) !== undefined;
  }

  /** Counts an accepted sale, inside its commit. A slice that has not so much left is a bug above. */
  count(use: OfflineUse, atWallMs: number): void {
    if (use.allowanceId !== null) {
      const slice = this.byId(use.allowanceId);
      assert(slice?.state === 'open' && slice.remaining >= use.amount, 'an allowance is spent while it lasts');
      this.#spend.run(use.amount, use.allowanceId);
    }
    const { subject, kind, points, minor } = use;
    const [earns, uses, floors] = [kind === 'earn' ? 1 : 0, kind === 'allowance' ? 1 : 0, kind === 'floor' ? 1 : 0];
    const floorMinor = kind === 'floor' ? minor : 0;
    this.#count.run(utcDay(atWallMs), subject, earns, points, uses, floors, floorMinor);
    if (floorMinor > 0) this.#count.run(utcDay(atWallMs), everybody, 0, 0, 0, floors, floorMinor);
  }

  /** The box spends no more of it, inside the commit of its release. */
  end(id: string): void {
    this.#remove.run(id);
    this.#removeNames.run(id);
  }

  /** Of one member, or of all (null), on the UTC day that holds `atWallMs`; null: on all days still known. */
  usage(subject: string | null, atWallMs: number | null): OfflineUsage {
    const name = subject ?? everybody;
    const row = (atWallMs === null ? this.#usageEver.get(name) : this.#usage.get(utcDay(atWallMs), name)) as Readonly<
      Record<'earns' | 'points' | 'uses' | 'floors' | 'minor', bigint>
    >;
    return {
      earns: integer(row.earns),
      earnPoints: integer(row.points),
      allowanceUses: integer(row.uses),
      floorUses: integer(row.floors),
      floorMinor: integer(row.minor),
    };
  }
}
