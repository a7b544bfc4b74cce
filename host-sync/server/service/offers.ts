/**
 * Offers: what the merchant offers members from a tier on, as their pages show it until it ends or is withdrawn (row P6).
 * Must not choose members by what they bought, and must not send messages.
 */
import { toHex } from '../../../terminal/kernel/bytes.js';
import type { Clock, Random } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import { type Collector, type Facts, put } from '../ledger/facts.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { pageOf, refusal } from './paging.js';
import { setting } from './settings.js';
import type { OfferAdmin } from './types.js';

export const offerTitleMax = 64;
export const offerTextMax = 500;
/** Offers that can run at one time: a member's pages show them all. */
export const runningOffersMax = 50;
const runningId = 'runningOffers';

/** Ids of offers that may still run: a bounded list, so that old ones cost nothing. */
const runningIds = (facts: Facts): readonly string[] => {
  const row = facts.get('setting', runningId);
  return row ? (JSON.parse(row.value) as readonly string[]) : [];
};

/** States what `offersFor` reads. */
export function planOffers(need: Collector): void {
  need.get('setting', runningId);
  for (const id of runningIds(need)) need.get('offer', id);
}

const runs = (offer: Row<'offer'>, nowMs: number): boolean => offer.withdrawnAtMs === null && nowMs < offer.expiresAtMs;

/** Offers that run now and are for a member who has earned so much, the newest first. */
export const offersFor = (facts: Facts, earnedPoints: number, nowMs: number): readonly Row<'offer'>[] =>
  runningIds(facts)
    .flatMap((id) => facts.get('offer', id) ?? [])
    .filter((offer) => runs(offer, nowMs) && offer.earnedPointsMin <= earnedPoints)
    .reverse();

export function createOffers(parts: {
  readonly store: HostStore;
  readonly clock: Clock;
  readonly random: Random;
}): OfferAdmin {
  const { store, clock, random } = parts;
  return {
    publish: async ({ title, text, tier, expiresAtMs }) => {
      if (!isPlainText(title, offerTitleMax)) return refusal('input.malformed', 'title');
      if (!isPlainText(text, offerTextMax)) return refusal('input.malformed', 'text');
      const nowMs = clock.wallMs();
      if (!Number.isSafeInteger(expiresAtMs) || expiresAtMs <= nowMs) return refusal('input.outOfRange', 'end');
      const id = `${String(nowMs).padStart(15, '0')}-${toHex(random.bytes(6))}`;
      const plan = (need: Collector): void => {
        planOffers(need);
        need.get('setting', 'tiers');
        need.get('offer', id);
      };
      return store.transact(plan, (facts) => {
        const threshold = setting(facts, 'tiers').find(({ name }) => name === tier);
        if (tier !== null && !threshold) return refusal('input.outOfRange', 'no tier has this name');
        const running = runningIds(facts).filter((other) => {
          const offer = facts.get('offer', other);
          return offer !== undefined && runs(offer, nowMs);
        });
        if (running.length >= runningOffersMax)
          return refusal('input.tooLong', `${runningOffersMax} offers run already: withdraw one`);
        const offer = {
          id,
          title,
          text,
          earnedPointsMin: threshold?.earnedPointsMin ?? 0,
          publishedAtMs: nowMs,
          expiresAtMs,
          withdrawnAtMs: null,
        };
        facts.write([put('offer', offer), put('setting', { id: runningId, value: JSON.stringify([...running, id]) })]);
        return ok(offer);
      });
    },
    withdraw: async (id) =>
      store.transact(
        (need) => {
          need.get('offer', id);
        },
        (facts) => {
          const offer = facts.get('offer', id);
          if (!offer) return refusal('input.outOfRange', 'no such offer');
          if (offer.withdrawnAtMs === null) facts.write([put('offer', { ...offer, withdrawnAtMs: clock.wallMs() })]);
          return ok(undefined);
        },
      ),
    list: (options) => pageOf(store, 'offer', null, options, 'newest'),
  };
}
