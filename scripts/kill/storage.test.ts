/**
 * Shows what a failing disk does to the box's process: full (fault 51), a flush that fails (52), read-only from under it and
 * from the start, a database with a broken page. No value moves that is not stored, nothing stored is lost, and the box
 * sells again when its disk does. How: as in every-place.ts, with the box's data on a disk of its own.
 */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import type { SaleBody } from '../../terminal/local-api/schema.js';
import { exportSalvage } from '../../terminal/store/salvage.js';
import { buildShim } from '../bench/box.js';
import { disagreements, readBooks } from './agreement.js';
import { diskProblem, SmallDisk } from './disk.js';
import { clerk, Stage } from './stage.js';

t.setTimeout(300_000);
const skip = diskProblem() ?? false;
const worth = { points: 100, couponMinor: 0, cardMinor: 0, consumption: true };
const nothing = { points: 0, couponMinor: 0, cardMinor: 0, consumption: false };
const resultOf = ({ outcome }: SaleBody): string =>
  outcome?.result === 'refused' ? outcome.code : (outcome?.result ?? 'no outcome');

/** A stage whose box has a disk of its own. */
async function stageOn(t: Test, make: (folder: string) => SmallDisk): Promise<{ stage: Stage; disk: SmallDisk }> {
  const made: SmallDisk[] = [];
  const stage = await Stage.open('socket', (folder) => {
    const disk = make(path.join(folder, 'box'));
    made.push(disk);
    return { boxFolder: disk.folder, giveBack: () => disk.close() };
  });
  t.teardown(() => stage.close());
  const [disk] = made;
  if (!disk) throw new Error('the stage took no disk');
  return { stage, disk };
}

/** What the till is told when it asks for a sale: the sale's end, or why there is none. */
async function trySale(stage: Stage, reference: string, body: Readonly<Record<string, unknown>>): Promise<string> {
  try {
    // One that could not be stored has its end in this answer alone.
    const begun = await stage.box.startSale(reference, body);
    return resultOf(begun.phase === 'ended' ? begun : await stage.finish(reference));
  } catch (error) {
    const code = /"code":"([a-zA-Z.]+)"/.exec((error as Error).message)?.[1];
    if (code === undefined) throw error;
    return code;
  }
}

/** All is well again: a sale is accepted, everything reaches the host, and the three books agree. */
async function sellsAgain(t: Test, stage: Stage, what: string): Promise<void> {
  await stage.drain();
  const { books, problems } = await readBooks(stage);
  t.same(problems, [], `${what}: the books agree`);
  const { memberCode: code } = stage.member;
  const sale = await stage.sell({ service: 'pointsEarn', amountMinor: 10_000, code, clerk });
  await stage.drain();
  t.same(
    { result: resultOf(sale), problems: await disagreements(stage, books, sale, worth) },
    { result: 'accepted', problems: [] },
    `${what}: and it sells`,
  );
}

t.test(
  'fault 51: a full disk refuses sales before value moves, and the box goes on once there is room',
  { skip },
  async (t) => {
    const { stage, disk } = await stageOn(t, SmallDisk.tmpfs);
    const { memberCode: code, hostCoupon } = stage.member;
    const { books } = await readBooks(stage);
    disk.fill();
    // The reserve carries what was begun; what comes then is refused.
    const results: string[] = [];
    for (let n = 0; n < 40 && results.filter((result) => result === 'store.full').length < 3; n++)
      results.push(
        await trySale(stage, stage.nextReference(), { service: 'pointsEarn', amountMinor: 10_000, code, clerk }),
      );
    const accepted = results.filter((result) => result === 'accepted').length;
    t.same(
      [...new Set(results)].sort(),
      accepted > 0 ? ['accepted', 'store.full'] : ['store.full'],
      `${accepted} found room`,
    );
    t.equal(
      await trySale(stage, stage.nextReference(), {
        service: 'couponHost',
        amountMinor: 10_000,
        code: hostCoupon,
        clerk,
      }),
      'store.full',
    );
    t.ok(stage.box.isAlive, 'the box runs on');
    // Killed on the full disk, it starts again and still refuses.
    await stage.box.kill();
    await stage.startBox();
    const refused = await trySale(stage, stage.nextReference(), {
      service: 'pointsEarn',
      amountMinor: 10_000,
      code,
      clerk,
    });
    t.equal(refused, 'store.full', 'after a restart');
    t.ok(disk.free() > 1_048_576, 'there is room again');
    await stage.drain();
    const after = await readBooks(stage);
    t.equal(after.books.points - books.points, 100 * accepted, 'what was accepted has moved, nothing else');
    t.equal(after.books.couponMinor, books.couponMinor);
    await sellsAgain(t, stage, 'with room');
  },
);

t.test('fault 52: a flush that fails is never taken for one that worked', { skip }, async (t) => {
  let failing = '';
  const stage = await Stage.open('socket', (folder) => {
    const shim = buildShim(folder);
    if (shim === null) throw new Error('no C compiler');
    failing = path.join(folder, 'flushes-fail');
    return { environment: { ...process.env, LD_PRELOAD: shim, SHOULI_BENCH_FLUSH_FAILS: failing } };
  });
  t.teardown(() => stage.close());
  const { memberCode: code, hostCoupon } = stage.member;
  for (const [what, body, moves] of [
    ['an earn', { service: 'pointsEarn', amountMinor: 10_000, code, clerk }, worth],
    [
      'a coupon',
      { service: 'couponHost', amountMinor: 10_000, code: hostCoupon, clerk },
      { ...worth, points: 0, couponMinor: -10_000 },
    ],
  ] as const) {
    const { books } = await readBooks(stage);
    const reference = stage.nextReference();
    writeFileSync(failing, '');
    t.not(await trySale(stage, reference, body), 'accepted', `${what} is not acknowledged`);
    t.equal(
      await trySale(stage, stage.nextReference(), body),
      'store.failed',
      'and the box sells no more: it fails closed',
    );
    rmSync(failing);
    t.equal(
      await trySale(stage, stage.nextReference(), body),
      'store.failed',
      'also when the disk works again: what it holds is not known',
    );
    await stage.box.kill();
    await stage.startBox();
    // The till asks again under its reference: what had reached the disk after all is that sale.
    await stage.box.startSale(reference, body);
    const sale = await stage.finish(reference);
    await stage.takePhoneAway();
    await stage.drain();
    const problems = await disagreements(stage, books, sale, sale.outcome?.result === 'accepted' ? moves : nothing);
    t.same(problems, [], `${what}: once or not at all (${resultOf(sale)})`);
    await sellsAgain(t, stage, `after ${what}`);
  }
});

t.test(
  'a disk that becomes read-only stops the box visibly; what it holds can be saved, and is all there afterwards',
  { skip },
  async (t) => {
    const { stage, disk } = await stageOn(t, SmallDisk.ext4);
    const { memberCode: code } = stage.member;
    const body = { service: 'pointsEarn', amountMinor: 10_000, code, clerk };
    stage.line.cut();
    const waiting = await stage.sell(body);
    t.equal(resultOf(waiting), 'accepted', 'an earn that the host has not seen');
    const { books } = await readBooks(stage);
    disk.abort();
    t.equal(await trySale(stage, stage.nextReference(), body), 'store.failed', 'no sale');
    t.equal((await stage.box.status()).stopped?.code, 'store.failed', 'the till is told');
    await stage.box.kill();
    await t.rejects(stage.startBox(), /store\.failed/, 'it does not start on it either, and says why');
    const saved = path.join(path.dirname(stage.boxFolder), 'saved.jsonl');
    const salvaged = exportSalvage(path.join(stage.boxFolder, 'terminal.db'), saved);
    t.ok(readFileSync(saved, 'utf8').includes(waiting.transactionId), JSON.stringify(salvaged));
    disk.repair();
    await stage.startBox();
    stage.line.mend();
    await stage.drain();
    t.equal((await readBooks(stage)).books.points - books.points, 100, 'the earn that waited has arrived, once');
    await sellsAgain(t, stage, 'on a repaired disk');
  },
);

t.test('fault 51: a file that is no database any more is not started on, nor written over', { skip }, async (t) => {
  const stage = await Stage.open('socket');
  t.teardown(() => stage.close());
  const { memberCode: code } = stage.member;
  stage.line.cut();
  await stage.sell({ service: 'pointsEarn', amountMinor: 10_000, code, clerk });
  await stage.box.stop();
  const file = path.join(stage.boxFolder, 'terminal.db');
  t.notOk(existsSync(`${file}-wal`), 'everything is in the file');
  const database = openSync(file, 'r+');
  // The first page: whatever SQLite keeps there, this is no database any more.
  writeSync(database, Buffer.alloc(4_096, 0xa5), 0, 4_096, 0);
  closeSync(database);
  const broken = readFileSync(file);
  await t.rejects(stage.startBox(), /store\.corrupt/);
  t.ok(readFileSync(file).equals(broken), 'it is as it was');
});
