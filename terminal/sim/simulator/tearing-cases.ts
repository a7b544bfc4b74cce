/**
 * One case: a sale that writes the card at one box, the card torn away at a stated point and the box's power cut at a stated
 * point, then what member and till do next. Plays it and judges the end. Must not choose cases; the tests do.
 */
import type { InstructionName, Tear } from '../../../drivers/sim/phone/phone.js';
import { assert } from '../../kernel/result.js';
import { checkAfterVisit, checkBeforeVisit, checkWorld, recordOf } from './tearing-checks.js';
import { type Asked, type Beginning, bought, type CardHolder, TearingWorld } from './tearing-world.js';

/** Who can reach the host while it happens: both boxes; the second only; neither; the first only. */
export const networks = ['online', 'offline', 'bothOffline', 'otherOffline'] as const;
/** `same`: the till asks again and the member taps there again. `other`: buys at the other box at once. `later`: neither. */
export const sequels = ['same', 'tornAgain', 'other', 'later'] as const;

/** What is torn: a purchase, money paid in for the card, or the void of that. */
export type TornService = 'couponCard' | 'topUpCard' | 'topUpCardVoid';

export interface TornCase {
  readonly service: TornService;
  readonly network: (typeof networks)[number];
  readonly sequel: (typeof sequels)[number];
  readonly tear: Tear | null;
  /** The n-th place at which the power can go, from 1; null: it stays. */
  readonly cutAt: number | null;
}

export interface Played {
  /** What is wrong; null: nothing. */
  readonly problem: string | null;
  /** Where the power could go in this sale, in order. */
  readonly places: readonly string[];
  /** What the phone was asked in its first tap. */
  readonly commands: readonly (InstructionName | 'other')[];
  /** How the torn sale ended at its box, for counting. */
  readonly ending: string;
}

/** What the torn sale costs, minor units. */
const tornMinor = 700;
/** Longest that a box waits for the card and that a cut box stays off. */
const outcomeWithinMs = 200_000;
const toldWithinMs = 200_000;

export const describe = ({ cutAt, network, sequel, service, tear }: TornCase): string => {
  const torn = tear
    ? `torn ${tear.moment} ${tear.at}${tear.bytes === null ? '' : ` at byte ${tear.bytes}`}`
    : 'not torn';
  return `${service}, ${network}, ${torn}, ${cutAt === null ? 'no power cut' : `power cut ${cutAt}`}, then ${sequel}`;
};

/** So many cases are played in one world, one after the other, before it is built anew; at most 200 sales of a box are read. */
const casesPerWorld = 20;

/** Plays case after case, each from a card that is whole and a ledger that knows it. */
export class TornCases {
  #played = casesPerWorld;
  #now: { readonly world: TearingWorld; readonly phone: CardHolder } | null = null;

  constructor(private readonly beginning: Beginning) {
    // A process that lost its power may leave promises behind; everything else that nobody caught is a bug.
    process.on('unhandledRejection', this.#lost);
  }
  /** The first thing wrong with a whole world of cases; null: nothing. */
  wholeProblem: string | null = null;
  readonly #lost = (error: unknown): void => this.#now?.world.bug(error);

  async play(wanted: TornCase): Promise<Played> {
    if (this.#played === casesPerWorld || !this.#now) await this.#build();
    const now = this.#now;
    assert(now, 'a world was built');
    this.#played += 1;
    const played = await playIn(now.world, now.phone, wanted);
    if (played.problem !== null) this.#played = casesPerWorld;
    return played;
  }

  async #build(): Promise<void> {
    this.#close();
    this.#now = await TearingWorld.from(this.beginning);
    this.#played = 0;
  }

  /** What the world that ends now holds all together. */
  #close(): void {
    if (!this.#now) return;
    const { world, phone } = this.#now;
    judge(world, () => checkWorld(world, phone));
    this.wholeProblem ??= world.problem;
    world.end();
  }

  end(): void {
    this.#close();
    process.off('unhandledRejection', this.#lost);
  }
}

/** The sale that is torn, under its reference. */
const tornSale = (service: TornService, name: string): Asked => ({
  command: service === 'topUpCardVoid' ? { service: 'void', original: paidInFor(name) } : { service },
  amountMinor: tornMinor,
  reference: `torn-${name}`,
});
/** What a void undoes; paid in before the case begins. */
const paidInFor = (name: string): string => `${name}-paid-in`;

/** The card at the case's begin: for a void with the top-up on it and told. @returns its record and the case's name */
async function begun(world: TearingWorld, phone: CardHolder, service: TornService) {
  const held = recordOf(world, phone);
  assert(held, 'the card begins whole');
  // A counter is written once, so it names the case.
  const name = `n${held.counter}`;
  if (service !== 'topUpCardVoid') return { before: held, name };
  await world.sell('box-1', { command: { service: 'topUpCard' }, amountMinor: tornMinor, reference: paidInFor(name) });
  phone.tap(world.box('box-1'));
  await world.runFor(6_000);
  await told(world);
  const before = recordOf(world, phone);
  assert(before?.balanceMinor === held.balanceMinor + tornMinor, 'there is a top-up to void');
  return { before, name };
}

async function playIn(world: TearingWorld, phone: CardHolder, wanted: TornCase): Promise<Played> {
  const { cutAt, network, sequel, service, tear } = wanted;
  const { before, name } = await begun(world, phone, service);
  if (network === 'offline' || network === 'bothOffline') world.cutOff('box-1');
  if (network === 'otherOffline' || network === 'bothOffline') world.cutOff('box-2');
  const about = (): string => describe(wanted);

  phone.commands.length = 0;
  world.faults.arm('box-1', cutAt);
  const torn = tornSale(service, name);
  await world.sell('box-1', torn);
  phone.tap(world.box('box-1'), tear);
  await world.runFor(6_000);
  const commands = [...phone.commands];
  world.faults.disarm();
  const places = [...world.faults.places];

  if (sequel === 'same') await again(world, phone, torn, [null, null, null]);
  if (sequel === 'tornAgain') await again(world, phone, torn, tornAgain);
  if (sequel === 'other') {
    await world.sell('box-2', bought(300, `other-${name}`));
    phone.tap(world.box('box-2'));
    await world.runFor(6_000);
  }
  const isQuiet = (): boolean =>
    [...world.boxes.values()].every((box) => box.run !== null && !box.run.terminal.status().sale);
  if (!(await world.runUntil(isQuiet, outcomeWithinMs))) world.bug(new Error('a sale is still open'));
  for (const box of world.boxes.values()) box.network.heal();
  await told(world);
  judge(world, () => checkBeforeVisit(world, phone, before));
  await visit(world, phone, name);
  await told(world);
  judge(world, () => checkAfterVisit(world, phone, before, name));
  const outcome = world.announced.get(torn.reference)?.outcome;
  const ending = outcome ? `${outcome.result}${outcome.result === 'accepted' ? '' : ` ${outcome.code}`}` : 'unsaid';
  return { problem: world.problem === null ? null : `${about()}: ${world.problem}`, places, commands, ending };
}

/** The second tap is torn in the write where it writes, else the third in reading back. */
const tornAgain: readonly (Tear | null)[] = [
  { at: 'writeSlot', moment: 'before', bytes: 41 },
  { at: 'readRecords', moment: 'before', bytes: null },
  null,
  null,
];

/** The till asks again under its reference for as long as it knows no end, and the member taps when asked. */
async function again(
  world: TearingWorld,
  phone: CardHolder,
  torn: Asked,
  tears: readonly (Tear | null)[],
): Promise<void> {
  await world.runUntil(() => world.box('box-1').run !== null, outcomeWithinMs);
  await world.runFor(2_000);
  for (const tear of tears) {
    if (world.announced.get(torn.reference)?.outcome?.result === 'accepted') return;
    if (world.prompt('box-1') === null) await world.sell('box-1', torn);
    await world.runFor(100);
    const prompt = world.prompt('box-1');
    if (prompt === 'tapAgain' || prompt === 'present') phone.tap(world.box('box-1'), tear);
    await world.runFor(6_000);
  }
}

async function told(world: TearingWorld): Promise<void> {
  const isTold = (): boolean => [...world.boxes.values()].every((box) => box.run?.store.unsentCount() === 0);
  if (!(await world.runUntil(isTold, toldWithinMs))) world.bug(new Error('not everything was told'));
}

/** The card's next visit, with the host there. */
async function visit(world: TearingWorld, phone: CardHolder, name: string): Promise<void> {
  if (world.problem !== null) return;
  await world.sell('box-2', bought(100, `visit-${name}`));
  phone.tap(world.box('box-2'));
  await world.runFor(6_000);
  const outcome = world.announced.get(`visit-${name}`)?.outcome;
  if (outcome?.result !== 'accepted')
    world.bug(new Error(`the card was turned away at its next visit: ${JSON.stringify(outcome)}`));
}

function judge(world: TearingWorld, check: () => void): void {
  if (world.problem !== null) return;
  try {
    check();
  } catch (error) {
    world.bug(error);
  }
}
