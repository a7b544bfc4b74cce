/**
 * A process that only persists, for the tests that kill it, count its flushes and break its disk. Says on its standard
 * output, after each commit has returned, what that commit was. Must not run in the box.
 *
 * persist-child <file> loop                 sales for ever, from the number after the last one stored
 * persist-child <file> <flow> <count> [normal]   `count` sales of one flow, then ends; `normal`: synchronous = NORMAL
 * persist-child <file> untilRefused         earns until one is refused, then three more tries
 */
import { writeSync } from 'node:fs';
import { TerminalError } from '../../kernel/errors.js';
import { nativeCrypto } from '../../kernel/native.js';
import { openConnection } from '../connection.js';
import { createStore, type SqliteStore } from '../open.js';
import { openReserve } from '../reserve.js';
import {
  acceptedAnswer,
  earn,
  fixtureStart,
  fixtureTerminal,
  type Step,
  siteDebit,
  spendIntent,
  spendOutcome,
} from '../sale-fixtures.js';

const [, , file = '', mode = '', count = '0', synchronous = 'full'] = process.argv;
const say = (line: string) => writeSync(1, `${line}\n`);

function persist(store: SqliteStore, serial: number, { sale, records }: Step): void {
  store.persist(sale, records, fixtureStart);
  say(`${sale.commit} ${serial}`);
}

function settleNext(store: SqliteStore, limit: number): void {
  const next = store.nextUnsent(limit, new Set());
  store.settle(
    next.map(({ transactionId }) => ({
      ...{ transactionId, answer: acceptedAnswer(transactionId), knownToSale: false },
    })),
    null,
  );
  for (const { epoch, sequence } of next) say(`settled ${epoch}.${sequence}`);
}

const flows: Readonly<Record<string, (serial: number) => readonly Step[]>> = {
  earn: (serial) => [earn(serial)],
  spend: (serial) => [spendIntent(serial), spendOutcome(serial, 'accepted')],
  card: (serial) => siteDebit(serial, 100, 'accepted'),
};

function loop(store: SqliteStore): void {
  const open = store.unfinishedSale();
  let serial = store.sales(1, null).length === 0 ? 0 : Number(store.setting('serial') ?? '0');
  if (open) persist(store, serial, spendOutcome(serial, 'refused'));
  for (;;) {
    serial += 1;
    store.setSetting('serial', String(serial));
    const steps = serial % 3 === 0 ? [spendIntent(serial), spendOutcome(serial, 'accepted')] : [earn(serial)];
    for (const step of steps) persist(store, serial, step);
    if (serial % 4 === 0) settleNext(store, 5);
    if (serial % 16 === 0) store.maintain(fixtureStart, false);
  }
}

function untilRefused(store: SqliteStore): void {
  let refused = 0;
  for (let serial = 1; refused < 4 && serial < 1_000; serial++) {
    try {
      persist(store, serial, earn(serial));
    } catch (cause) {
      if (!(cause instanceof TerminalError)) throw cause;
      say(`refused ${cause.code}`);
      refused += 1;
    }
  }
}

const db = openConnection(file);
if (synchronous === 'normal') db.pragma('synchronous = NORMAL');
const store = createStore(db, { crypto: nativeCrypto }, openReserve(`${file}-reserve`));
store.setIdentity({ terminalId: fixtureTerminal, epoch: store.identity()?.epoch ?? 1 });
const flow = flows[mode];
if (mode === 'loop') loop(store);
else if (mode === 'untilRefused') untilRefused(store);
else if (flow) {
  for (let serial = 1; serial <= Number(count); serial++) {
    for (const step of flow(serial)) persist(store, serial, step);
  }
} else if (mode === 'settle') {
  for (let serial = 1; serial <= 40; serial++) persist(store, serial, earn(serial));
  for (let n = 0; n < Number(count); n++) settleNext(store, 1);
}
