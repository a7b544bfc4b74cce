/**
 * The database's shape, as migrations in order: the whole DDL is here and nowhere else.
 * Must not read or write data, but for the one row of counters that each database begins with.
 */

import type Database from 'better-sqlite3';
import { TerminalError } from '../kernel/errors.js';

/** `SHOU`: tells this product's files from any other SQLite file (PRAGMA application_id). */
export const applicationId = 0x53_48_4f_55;

const first = `
-- One row per (terminal, epoch): sequence = journal number - first_number + 1, so no index by sequence is needed.
CREATE TABLE chain (
  number       INTEGER PRIMARY KEY,
  terminal_id  TEXT NOT NULL,
  epoch        INTEGER NOT NULL CHECK (epoch >= 1),
  first_number INTEGER NOT NULL CHECK (first_number >= 1),
  UNIQUE (terminal_id, epoch)
) STRICT;

-- Append-only: a row is never updated. A record without an answer is unsent.
CREATE TABLE journal (
  number        INTEGER PRIMARY KEY,
  chain         INTEGER NOT NULL REFERENCES chain (number),
  sequence      INTEGER NOT NULL CHECK (sequence >= 1),
  id            BLOB NOT NULL CHECK (length(id) = 16),
  kind          TEXT NOT NULL,
  stored_ms     INTEGER NOT NULL,
  worth_minor   INTEGER NOT NULL CHECK (worth_minor >= 0),
  points        INTEGER NOT NULL CHECK (points >= 0),
  previous_hash BLOB NOT NULL CHECK (length(previous_hash) = 32),
  hash          BLOB NOT NULL CHECK (length(hash) = 32),
  body          TEXT NOT NULL
) STRICT;

-- The unsent records up to counters.filed_number; those above it are known without it (docs/decisions/journal-schema.md).
-- place = sending class * 2^50 + journal number: the table is in sending order by itself.
CREATE TABLE outbox (
  place INTEGER PRIMARY KEY,
  id    BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;
CREATE UNIQUE INDEX outbox_id ON outbox (id);

-- The host's final word on a record; dead: a refusal that a person has to settle.
CREATE TABLE answer (
  number INTEGER PRIMARY KEY,
  dead   INTEGER NOT NULL CHECK (dead IN (0, 1)),
  answer TEXT NOT NULL
) STRICT;
CREATE INDEX answer_dead ON answer (number) WHERE dead = 1;

CREATE TABLE sale (
  number          INTEGER PRIMARY KEY,
  id              BLOB NOT NULL CHECK (length(id) = 16),
  reference       TEXT,
  commit_point    TEXT NOT NULL CHECK (commit_point IN ('intent', 'written', 'ended')),
  updated_ms      INTEGER NOT NULL,
  -- The sale's own record in the journal; null where it has none.
  own_number      INTEGER,
  refunded_minor  INTEGER NOT NULL CHECK (refunded_minor >= 0),
  voided          INTEGER NOT NULL CHECK (voided IN (0, 1)),
  -- What this sale counts against which card's offline limit, and on which UTC day (days since 1970).
  site_card       TEXT,
  site_minor      INTEGER NOT NULL CHECK (site_minor >= 0),
  site_day        INTEGER NOT NULL,
  state           TEXT NOT NULL
) STRICT;
-- Where a sale is by its id and by the till's reference, for sales up to counters.filed_sale.
CREATE TABLE sale_key (
  id     BLOB PRIMARY KEY,
  number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sale_reference (
  reference TEXT NOT NULL,
  number    INTEGER NOT NULL,
  PRIMARY KEY (reference, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE site_spent (
  day         INTEGER NOT NULL,
  card_key_id TEXT NOT NULL,
  spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
  PRIMARY KEY (day, card_key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE directives (only INTEGER PRIMARY KEY CHECK (only = 1), directives TEXT NOT NULL) STRICT;

CREATE TABLE product (
  code        TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  folded_name TEXT NOT NULL,
  price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
  category    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX product_name ON product (folded_name);

CREATE TABLE setting (
  name  TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 64),
  value TEXT NOT NULL CHECK (octet_length(value) <= 4096)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  at_ms  INTEGER NOT NULL,
  actor  TEXT NOT NULL,
  action TEXT NOT NULL,
  detail TEXT NOT NULL,
  hash   BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Everything that must cost the same at any backlog, in one row of one page.
CREATE TABLE counters (
  only              INTEGER PRIMARY KEY CHECK (only = 1),
  chain             INTEGER NOT NULL,
  next_number       INTEGER NOT NULL,
  next_sequence     INTEGER NOT NULL,
  last_hash         BLOB NOT NULL,
  unsent            INTEGER NOT NULL CHECK (unsent >= 0),
  unsent_worth      INTEGER NOT NULL CHECK (unsent_worth >= 0),
  unsent_points     INTEGER NOT NULL CHECK (unsent_points >= 0),
  dead              INTEGER NOT NULL CHECK (dead >= 0),
  next_sale         INTEGER NOT NULL,
  -- Number of the sale whose last commit is not 'ended'; 0: none.
  open_sale         INTEGER NOT NULL,
  next_audit        INTEGER NOT NULL,
  audit_hash        BLOB NOT NULL,
  -- Anchor: the last journal row that was purged, and its hash; 0: nothing was.
  purged_number     INTEGER NOT NULL,
  purged_hash       BLOB NOT NULL,
  purged_sale       INTEGER NOT NULL,
  -- Up to here outbox, sale_key and sale_reference are written; the few rows above are found by reading them at start.
  filed_number      INTEGER NOT NULL,
  filed_sale        INTEGER NOT NULL
) STRICT;
INSERT INTO counters VALUES (1, 0, 1, 1, zeroblob(32), 0, 0, 0, 0, 1, 0, 1, zeroblob(32), 0, zeroblob(32), 0, 0, 0);
`;

const second = `
-- Slices that the host moved to this terminal. recalled: the host wants it back; ended: given back, kept so that it is never taken twice.
CREATE TABLE allowance (
  id          TEXT PRIMARY KEY,
  state       TEXT NOT NULL CHECK (state IN ('open', 'recalled', 'ended')),
  amount      INTEGER NOT NULL CHECK (amount >= 1),
  spent       INTEGER NOT NULL CHECK (spent >= 0 AND spent <= amount),
  sealed_keys TEXT NOT NULL,
  grant_json  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX allowance_standing ON allowance (state, id);
-- By which key or coupon a slice is found.
CREATE TABLE allowance_name (
  name TEXT NOT NULL,
  id   TEXT NOT NULL,
  PRIMARY KEY (name, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX allowance_name_id ON allowance_name (id);
CREATE TABLE blocked (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
-- What was given without the host, by UTC day and key or code; subject '*': everybody.
CREATE TABLE offline_use (
  day            INTEGER NOT NULL,
  subject        TEXT NOT NULL,
  earns          INTEGER NOT NULL CHECK (earns >= 0),
  earn_points    INTEGER NOT NULL CHECK (earn_points >= 0),
  allowance_uses INTEGER NOT NULL CHECK (allowance_uses >= 0),
  floor_uses     INTEGER NOT NULL CHECK (floor_uses >= 0),
  floor_minor    INTEGER NOT NULL CHECK (floor_minor >= 0),
  PRIMARY KEY (day, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX offline_use_subject ON offline_use (subject);
`;

const third = `
-- What a host restored from a backup is known by: the most it held of this terminal, and the record it had answered last.
ALTER TABLE counters ADD COLUMN host_held INTEGER NOT NULL DEFAULT 0 CHECK (host_held >= 0);
ALTER TABLE counters ADD COLUMN host_newest BLOB CHECK (length(host_newest) = 16);
`;

const fourth = `
-- A host that went back is known by any of the records that it was seen to hold: 16 bytes for each id.
ALTER TABLE counters ADD COLUMN newest_seen BLOB NOT NULL DEFAULT x'' CHECK (length(newest_seen) % 16 = 0);
UPDATE counters SET newest_seen = host_newest WHERE host_newest IS NOT NULL;
ALTER TABLE counters DROP COLUMN host_newest;
ALTER TABLE counters DROP COLUMN host_held;
-- The latest time that was stored while the clock was trusted; 0: none was.
ALTER TABLE counters ADD COLUMN trusted_ms INTEGER NOT NULL DEFAULT 0 CHECK (trusted_ms >= 0);
`;

const migrations: readonly string[] = [first, second, third, fourth];

/**
 * Brings a database to this version's shape, each step in one commit with its number (PRAGMA user_version).
 * @throws TerminalError store.newer (a later version wrote it), store.corrupt (another program's file)
 */
export function migrate(db: Database.Database): void {
  const version = Number(db.pragma('user_version', { simple: true }));
  const owner = Number(db.pragma('application_id', { simple: true }));
  const tables = Number(db.prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table'").pluck().get());
  if (owner !== applicationId && (owner !== 0 || tables > 0 || version > 0)) {
    throw new TerminalError('store.corrupt', 'this SQLite file belongs to another program');
  }
  if (version > migrations.length) {
    throw new TerminalError('store.newer', `shape ${version}, this version knows ${migrations.length}`);
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    db.transaction(() => {
      db.exec(sql);
      db.pragma(`application_id = ${applicationId}`);
      db.pragma(`user_version = ${index + 1}`);
    }).immediate();
  }
}
