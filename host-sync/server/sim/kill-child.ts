/**
 * A host that takes in one batch after another until it is killed: the child of the kill test in storage/sqlite.test.ts.
 * Prints the number of each batch once it was answered, so that the parent knows what had been promised.
 */
import { keyed, newId, openWorld } from './world.js';

const [path, seed] = process.argv.slice(2);
if (path === undefined) throw new Error('which database?');
const world = await openWorld({ path, seed: Number(seed) });
const box = await world.box();
const phone = await world.phone('13800000000');
process.stdout.write(`ready ${box.terminalId}\n`);
/** Each batch: this many earns of one point, so that a half-applied one shows in the balance. */
const batchRecords = 50;
for (let batch = 1; ; batch++) {
  const records = Array.from({ length: batchRecords }, () => {
    const transactionId = newId();
    return box.record({
      kind: 'pointsEarn',
      transactionId,
      reference: null,
      bill: keyed(100),
      credential: phone.tap(box, transactionId, 'earn', 100, 1),
      rulesVersion: 1,
      points: 1,
      typed: false,
    });
  });
  await box.send(...records);
  process.stdout.write(`batch ${batch}\n`);
}
