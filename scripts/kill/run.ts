/**
 * Runs of one flow: once without a death, to learn its places; once for each place, where the box dies and starts again;
 * and once more where nobody brings the card back. Returns what was found; must not assert.
 */
import type { CommitPoint } from '../../terminal/core/sale.js';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import type { SaleBody } from '../../terminal/local-api/schema.js';
import { disagreements, readBooks } from './agreement.js';
import type { Flow, Worth } from './flows.js';
import type { Trouble } from './host-line.js';
import { clerk, type Stage, until } from './stage.js';
import { Dead, type TerminalProcess } from './terminal-process.js';

export interface LivingRun {
  readonly places: readonly string[];
  readonly sale: SaleBody;
  readonly problems: readonly string[];
}

export interface DeadlyRun {
  /** How the box ended; SIGKILL, or it never came to the place. */
  readonly death: NodeJS.Signals | number | null;
  /** How far the sale was stored at the death; null: not at all. */
  readonly stored: CommitPoint | null;
  readonly sale: SaleBody;
  /** Places that the box passed when it started again, if it found the sale unfinished. */
  readonly recovery: readonly string[];
  readonly problems: readonly string[];
}

type Body = Readonly<Record<string, unknown>>;

interface Opening {
  readonly body: Body;
  readonly reference: string;
  readonly before: Awaited<ReturnType<typeof readBooks>>['books'];
}

async function open(stage: Stage, flow: Flow): Promise<Opening> {
  const body = await flow.prepare(stage);
  await stage.drain();
  const { books: before, problems } = await readBooks(stage);
  if (problems.length > 0) throw new Error(`the books do not agree before the sale: ${problems.join('; ')}`);
  if (flow.offline) stage.line.cut();
  // A box that has not noticed yet asks the host first, and its refusal is no offline decision.
  if (flow.noticed) await stage.box.sync();
  return { body, reference: stage.nextReference(), before };
}

async function close(stage: Stage, { before }: Opening, sale: SaleBody, worth: Worth): Promise<string[]> {
  await stage.takePhoneAway();
  stage.line.mend();
  await stage.drain();
  return disagreements(stage, before, sale, worth);
}

/** The flow without a death, and the places that it passed, in their order. */
export async function live(stage: Stage, flow: Flow): Promise<LivingRun> {
  const opening = await open(stage, flow);
  const { box } = stage;
  await box.arm(null);
  await box.startSale(opening.reference, opening.body);
  const sale = await stage.finish(opening.reference);
  const places = await placesOf(box);
  const problems = await close(stage, opening, sale, flow.worth);
  return { places, sale, problems };
}

/** The places passed since the box was armed or started, once every effect is over. */
const placesOf = (box: TerminalProcess): Promise<readonly string[]> =>
  until('every effect to be over', () => {
    const befores = box.passed.filter((place) => place.startsWith('before')).length;
    return befores * 2 === box.passed.length ? [...box.passed] : null;
  });

/** Plays until the box is dead at `place`. */
async function dieAt(stage: Stage, { reference, body }: Opening, place: string): Promise<DeadlyRun['death']> {
  const { box } = stage;
  await box.arm(place);
  try {
    await box.startSale(reference, body);
    await stage.finish(reference);
    // What follows the sale's end may still be under way.
    await until('a death behind the end', () => (box.isAlive ? null : true));
  } catch (error) {
    if (!(error instanceof Dead)) {
      await box.kill();
      throw new Error(`${place}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const death = await box.ended;
  if (!stage.phoneStays) await stage.takePhoneAway();
  return death;
}

interface Remains {
  readonly id: TransactionId | null;
  readonly stored: CommitPoint | null;
  readonly fault: string | null;
}

const remainsOf = (stage: Stage, reference: string): Remains =>
  stage.lookAtDead((store) => {
    const row = store.saleByReference(reference);
    const { commit: stored = null, request = null } = row?.sale ?? {};
    return { id: request?.ids.transaction ?? null, stored, fault: store.verifyChains()?.detail ?? null };
  });

/** The till asks again for what it asked: what was stored is that sale, what was not is a new one. */
async function askAgain(stage: Stage, { reference, body }: Opening, remains: Remains): Promise<string[]> {
  const again = await stage.box.startSale(reference, body);
  const isSame = again.transactionId === remains.id;
  return isSame === (remains.id !== null) ? [] : ['the reference named another sale after the death'];
}

/** The box dies at `place`, starts again, and the sale is brought to its end. */
export async function die(stage: Stage, flow: Flow, place: string): Promise<DeadlyRun> {
  const opening = await open(stage, flow);
  const death = await dieAt(stage, opening, place);
  const remains = remainsOf(stage, opening.reference);
  await stage.startBox();
  const problems = remains.fault === null ? [] : [`chains of the dead box: ${remains.fault}`];
  problems.push(...(await askAgain(stage, opening, remains)));
  const sale = await stage.finish(opening.reference);
  const isFound = remains.stored === 'intent' || remains.stored === 'written';
  const recovery = isFound ? await placesOf(stage.box) : [];
  problems.push(...(await close(stage, opening, sale, flow.worth)));
  return { death, stored: remains.stored, sale, recovery, problems };
}

/** The box dies at `place`, and once more at a place of its recovery. */
export async function dieTwice(stage: Stage, flow: Flow, place: string, again: string): Promise<DeadlyRun> {
  const opening = await open(stage, flow);
  await dieAt(stage, opening, place);
  const remains = remainsOf(stage, opening.reference);
  let death: DeadlyRun['death'] = null;
  try {
    await stage.startBox(again);
    await stage.finish(opening.reference);
    await until('a death behind the end', () => (stage.box.isAlive ? null : true));
    death = await stage.box.ended;
  } catch (error) {
    if (!(error instanceof Dead)) throw error;
    death = error.how;
  }
  await stage.takePhoneAway();
  const then = remainsOf(stage, opening.reference);
  await stage.startBox();
  const problems = [remains, then].flatMap(({ fault }) => (fault === null ? [] : [`chains of the dead box: ${fault}`]));
  problems.push(...(await askAgain(stage, opening, remains)));
  const sale = await stage.finish(opening.reference);
  problems.push(...(await close(stage, opening, sale, flow.worth)));
  return { death, stored: then.stored, sale, recovery: [], problems };
}

/**
 * The box dies at `place` of a card flow, and the card does not come back: the clerk gives up. The same card pays for
 * another sale later, which settles the first: what it lost comes back to it, what was due to it is on it.
 */
export async function abandon(stage: Stage, flow: Flow, place: string): Promise<DeadlyRun> {
  const opening = await open(stage, flow);
  const death = await dieAt(stage, opening, place);
  const remains = remainsOf(stage, opening.reference);
  await stage.startBox();
  const problems = await askAgain(stage, opening, remains);
  const { box } = stage;
  await until('the box to ask for the card', async () =>
    (await box.sale(opening.reference)).phase === 'waiting' ? true : null,
  );
  await box.cancelSale(opening.reference);
  const sale = await until('the end', async () => {
    const seen = await box.sale(opening.reference);
    return seen.phase === 'ended' ? seen : null;
  });
  problems.push(...(await settleLater(stage, opening, flow)));
  return { death, stored: remains.stored, sale, recovery: [], problems };
}

/** The box dies at `place` and finds no host when it starts again; the sale ends by what box and card know. */
export async function dieOffline(stage: Stage, flow: Flow, place: string): Promise<DeadlyRun> {
  const opening = await open(stage, flow);
  const death = await dieAt(stage, opening, place);
  const remains = remainsOf(stage, opening.reference);
  stage.line.cut();
  await stage.startBox();
  const problems = await askAgain(stage, opening, remains);
  const sale = await stage.finish(opening.reference);
  const isOpen = sale.outcome?.result === 'unknown';
  problems.push(...(isOpen ? await settleLater(stage, opening, flow) : await close(stage, opening, sale, flow.worth)));
  return { death, stored: remains.stored, sale, recovery: [], problems };
}

/** The card of a sale that ended unknown pays for another one, which tells the host what is on it. */
async function settleLater(stage: Stage, opening: Opening, { worth }: Flow): Promise<string[]> {
  await stage.takePhoneAway();
  stage.line.mend();
  await stage.drain();
  const amountMinor = 100;
  const later = await stage.sell({ service: 'couponCard', amountMinor, clerk });
  const problems = later.outcome?.result === 'accepted' ? [] : [`the later sale: ${JSON.stringify(later.outcome)}`];
  // What was taken from the card comes back to it; what it is owed is paid out all the same.
  const cardMinor = Math.max(0, worth.cardMinor) - amountMinor;
  const change = { points: 0, couponMinor: 0, cardMinor, consumption: true };
  return [...problems, ...(await close(stage, opening, later, change))];
}

/**
 * The line has its trouble with the request that decides the sale, or where the box decides, with its record. `dies`: the
 * box is killed at that moment. @returns how the sale ended, whether the trouble happened, and what does not agree
 */
export async function inTrouble(
  stage: Stage,
  flow: Flow,
  trouble: Trouble,
  dies: boolean,
): Promise<{ readonly happened: boolean; readonly sale: SaleBody; readonly problems: readonly string[] }> {
  const opening = await open(stage, flow);
  const { reference, body } = opening;
  let happened = false;
  // A card's sale asks for the session before it asks for the write.
  const trap = stage.line.plan(trouble, flow.worth.cardMinor === 0 ? 1 : 2).then(async () => {
    happened = true;
    if (dies) await stage.box.kill();
  });
  const problems: string[] = [];
  try {
    await stage.box.startSale(reference, body);
    await stage.finish(reference);
    await stage.drain();
  } catch (error) {
    if (!(error instanceof Dead && dies)) throw error;
    await stage.takePhoneAway();
    const remains = remainsOf(stage, reference);
    await stage.startBox();
    problems.push(...(await askAgain(stage, opening, remains)));
  }
  const sale = await stage.finish(reference);
  await stage.drain();
  await stage.line.letGo();
  if (happened) await trap;
  problems.push(...(await close(stage, opening, sale, flow.worth)));
  return { happened, sale, problems };
}
