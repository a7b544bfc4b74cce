/**
 * The raw limits that an accept is held against, on the disk and in the process of the box that is measured: a bare flush,
 * a bare commit of three statements, a bare commit of one row under its id. Must not use this product's store.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { nativeIds } from '../../terminal/kernel/native.js';

/** Bytes of JSON in one record, and of one write before a bare flush. */
const recordBytes = 316;
const blockBytes = 4_096;
/** The file is as long beforehand, so that a flush has no new length to write. */
const blocks = 256;

export interface RawLimits {
  /** Each does the thing once, durably. */
  readonly flush: () => void;
  readonly threeStatements: () => void;
  readonly oneRow: () => void;
  close(): void;
}

function openDatabase(file: string): Database.Database {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  return db;
}

/** Opens one file for each limit in `folder`. */
export function openRawLimits(folder: string): RawLimits {
  const file = openSync(path.join(folder, `raw-flush-${process.pid}`), 'w');
  const block = Buffer.alloc(blockBytes, 1);
  for (let at = 0; at < blocks; at++) writeSync(file, block, 0, blockBytes, at * blockBytes);
  fdatasyncSync(file);
  const record = JSON.stringify({ record: 'x'.repeat(recordBytes - 13) });

  const three = openDatabase(path.join(folder, `raw-three-${process.pid}.db`));
  three.exec(`CREATE TABLE journal (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
    CREATE TABLE outbox (number INTEGER PRIMARY KEY, state INTEGER NOT NULL);
    CREATE TABLE counters (only_row INTEGER PRIMARY KEY, next INTEGER NOT NULL);
    INSERT INTO counters VALUES (1, 0);`);
  const addJournal = three.prepare('INSERT INTO journal (body) VALUES (?)');
  const addOutbox = three.prepare('INSERT INTO outbox VALUES (?, 0)');
  const count = three.prepare('UPDATE counters SET next = next + 1 WHERE only_row = 1');
  const commitThree = three.transaction(() => {
    addOutbox.run(addJournal.run(record).lastInsertRowid);
    count.run();
  });

  const one = openDatabase(path.join(folder, `raw-one-${process.pid}.db`));
  one.exec('CREATE TABLE record (id TEXT PRIMARY KEY, body TEXT NOT NULL)');
  const addRow = one.prepare('INSERT INTO record VALUES (?, ?)');

  let at = 0;
  return {
    flush: () => {
      at = (at + 1) % blocks;
      writeSync(file, block, 0, blockBytes, at * blockBytes);
      fdatasyncSync(file);
    },
    threeStatements: () => {
      commitThree.immediate();
    },
    oneRow: () => {
      addRow.run(nativeIds.transactionId(), record);
    },
    close: () => {
      three.close();
      one.close();
      closeSync(file);
    },
  };
}
