/**
 * Places where the box may die: before and after each effect that is a commit point, moves value or tells people of it.
 * They are counted as the machine performs them, so that a new effect is a new place by itself.
 */
import type { Effect, EffectType } from '../../terminal/core/effect.js';

/** Every effect decides; a new one does not compile before it has. */
const isPlace: Readonly<Record<EffectType, boolean>> = {
  // The commit points.
  persist: true,
  // The phone spends a proof on this sale.
  presentCredential: true,
  // The host takes the value.
  askHost: true,
  // The card takes the record.
  writeCard: true,
  // Member and clerk are told how it ended.
  releaseCard: true,
  announce: true,
  // Nothing is decided, moved or told: a death here is one at the place before it.
  openSession: false,
  readCard: false,
  startTimer: false,
  prompt: false,
};
export const placeTypes = (Object.keys(isPlace) as EffectType[]).filter((type) => isPlace[type]);

export type Moment = 'before' | 'after';

/** `after persist intent #1`: the moment, the effect, its commit point, and how often that was seen since the count began. */
export class PlaceCounter {
  readonly #seen = new Map<string, number>();

  /** The name of this place; null where the effect counts for none. */
  take(moment: Moment, effect: Effect): string | null {
    if (!isPlace[effect.type]) return null;
    const what = `${moment} ${effect.type}${effect.type === 'persist' ? ` ${effect.sale.commit}` : ''}`;
    const times = (this.#seen.get(what) ?? 0) + 1;
    this.#seen.set(what, times);
    return `${what} #${times}`;
  }
}

/** The effect of a place's name. */
export const effectOf = (place: string): string => place.split(' ')[1] ?? '';
