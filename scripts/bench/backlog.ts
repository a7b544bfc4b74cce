/**
 * A backlog for a bench: earns as a box without network stores them, of a member whom the host knows, written in large
 * transactions since nobody waits for them. Must not measure.
 */
import path from 'node:path';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { openConnection } from '../../terminal/store/connection.js';
import { createStore } from '../../terminal/store/open.js';
import { noReserve } from '../../terminal/store/reserve.js';
import { accepted, earn, fixtureStart } from '../../terminal/store/sale-fixtures.js';

const atOnce = 10_000;
export const boxDatabase = 'terminal.db';

/**
 * Adds `count` earns, the one record of each that is sent first, to the box in `folder`, which is enrolled and does not run.
 * @param memberCode whose they are
 * @param from serial of the first, so that a box filled again gets new ones
 */
export function fillBacklog(folder: string, memberCode: string, from: number, count: number): void {
  const connection = openConnection(path.join(folder, boxDatabase));
  const store = createStore(connection, { crypto: nativeCrypto }, noReserve);
  const credential = { method: 'memberCode', code: memberCode } as const;
  const rulesVersion = store.directives()?.rules.version ?? 0;
  for (let filled = 0; filled < count; filled += atOnce) {
    connection.transaction(() => {
      for (let n = filled; n < Math.min(count, filled + atOnce); n++) {
        const { records, sale } = earn(from + n, null);
        if (sale.commit !== 'ended') throw new Error('an earn ends at once');
        store.persist(
          { ...sale, credential, outcome: accepted(0, 'box') },
          records
            .slice(0, 1)
            .map((record) => ({ ...record, simulated: true, credential, rulesVersion }) as typeof record),
          fixtureStart,
        );
      }
    })();
  }
  store.close();
}
