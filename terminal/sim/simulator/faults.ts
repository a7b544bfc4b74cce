/**
 * Faults: what a seed may do to the world, by name, and how often. Data and draws only; who suffers is world.ts's.
 */
import type { Chance } from './virtual-time.js';

/** Every kind of fault; a run says which it did and how often. */
export const faultKinds = [
  'crashBefore',
  'crashAfter',
  'requestLost',
  'replyLost',
  'doubled',
  'late',
  'outage',
  'cardLeft',
  'writeTorn',
  'linkBroken',
  'clockBack',
  'clockAhead',
  'clock1970',
  'storageFull',
  'storageFailed',
  'hostStopped',
  'hostRestored',
  'boxRestored',
  'writtenOff',
  'quietHours',
  'poisoned',
  'certificateEnded',
  'boxCloned',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** How likely each is where it can happen, before a seed has chosen. */
const usual: Readonly<Record<FaultKind, number>> = {
  crashBefore: 0.004,
  crashAfter: 0.004,
  requestLost: 0.03,
  replyLost: 0.03,
  doubled: 0.05,
  late: 0.05,
  outage: 0.02,
  cardLeft: 0.03,
  writeTorn: 0.05,
  linkBroken: 0.02,
  clockBack: 0.01,
  clockAhead: 0.005,
  clock1970: 0.005,
  storageFull: 0.01,
  storageFailed: 0.002,
  hostStopped: 0.01,
  hostRestored: 0.004,
  boxRestored: 0.004,
  writtenOff: 0.02,
  quietHours: 0.02,
  poisoned: 0.002,
  certificateEnded: 0.01,
  boxCloned: 0.003,
};

export class Faults {
  readonly done = new Map<FaultKind, number>();
  readonly #rate = new Map<FaultKind, number>();
  #healed = false;

  /** Each seed leaves some kinds out and makes others common; `without` leaves out more, for shrinking. */
  constructor(
    private readonly chance: Chance,
    without: ReadonlySet<FaultKind>,
    private readonly note: (kind: FaultKind, about: string) => void,
  ) {
    for (const kind of faultKinds) {
      const factor = chance.pick([0, 1, 1, 4]);
      this.#rate.set(kind, without.has(kind) ? 0 : usual[kind] * factor);
    }
  }

  /** Does it happen here and now? Counted and noted if so. */
  strikes(kind: FaultKind, about: string): boolean {
    const rate = this.#rate.get(kind) ?? 0;
    if (this.#healed || !this.chance.happens(rate)) return false;
    this.done.set(kind, (this.done.get(kind) ?? 0) + 1);
    this.note(kind, about);
    return true;
  }

  /** From here on nothing goes wrong any more. */
  heal(): void {
    this.#healed = true;
  }
}
