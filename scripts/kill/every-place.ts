/**
 * Every place: a sale ends once whenever the box dies. Host, card in the phone and box are processes of their own, and only
 * the box is killed, by SIGKILL, before and after every commit point and every effect that moves value, in a flow of every
 * service. Each flow is played once to learn its places (places.ts says which effects count), then once for each
 * place. The box starts again on its data folder, the till asks again under the same reference, the member taps again where
 * the box asks for it; then card, journal and ledger must agree to the minor unit. Where the box finds the sale unfinished,
 * it also dies at each place of its recovery, is left without the card, and is left without the host.
 */
import type { Test } from 'tap';
import type { EffectType } from '../../terminal/core/effect.js';
import type { ServiceName } from '../../terminal/core/sale.js';
import { type Flow, flows } from './flows.js';
import { effectOf } from './places.js';
import { abandon, type DeadlyRun, die, dieOffline, dieTwice, live } from './run.js';
import { Stage } from './stage.js';

const resultOf = ({ sale }: DeadlyRun): string =>
  sale.outcome?.result === 'refused' ? sale.outcome.code : (sale.outcome?.result ?? 'no outcome');

/** What the last commit point before the death makes of the sale. */
const expected = (flow: Flow, { stored }: DeadlyRun): string =>
  flow.reversedByDeath && stored === 'intent' ? 'sale.interrupted' : 'accepted';

/** Had the box the host's answer in its store at this place? */
const hasAnswer = (places: readonly string[], place: string): boolean =>
  places.indexOf(place) >= places.findIndex((other) => other.startsWith('after askHost'));
const shown = (run: DeadlyRun) => ({ death: run.death, result: resultOf(run), problems: run.problems });
const wanted = (result: string) => ({ death: 'SIGKILL', result, problems: [] });

/** Services whose sales write the card. */
export const cardServices: readonly ServiceName[] = ['couponCard', 'cardCredit', 'topUpCard', 'topUpCardVoid'];
/** Of them those that the site key does not write. */
const hostWrites: readonly ServiceName[] = ['cardCredit', 'topUpCard', 'topUpCardVoid'];

/** The box dies at every place of the flows of these services, which together pass by places of these effects. */
export async function dieEverywhere(
  t: Test,
  services: readonly ServiceName[],
  effects: readonly EffectType[],
): Promise<void> {
  const beganAt = Date.now();
  const stage = await Stage.open('socket');
  t.teardown(() => stage.close());
  const visited = new Set<string>();
  const recovered = new Set<string>();
  const count = { places: 0, cardGone: 0, hostGone: 0, twice: 0 };
  for (const service of services) {
    for (const flow of flows[service]) {
      const whole = await live(stage, flow);
      t.equal(whole.sale.service, service, `${flow.name} is a ${service}`);
      t.same({ result: whole.sale.outcome?.result, problems: whole.problems }, { result: 'accepted', problems: [] });
      for (const place of whole.places) visited.add(effectOf(place));
      t.ok(
        whole.places.some((place) => place.startsWith('before persist ended')),
        `${flow.name}: ${whole.places.length} places`,
      );
      for (const place of whole.places) {
        const run = await die(stage, flow, place);
        count.places += 1;
        t.same(shown(run), wanted(expected(flow, run)), `${flow.name}: ${place} (stored: ${run.stored ?? 'nothing'})`);
        if (flow.worth.cardMinor !== 0 && run.stored === 'intent') {
          const left = await abandon(stage, flow, place);
          count.cardGone += 1;
          t.same(shown(left), wanted('unknown'), `${flow.name}: ${place}, and the card does not come back`);
        }
        // What only the host writes waits for its host for as long as it waits for its card.
        if (run.stored === 'intent' && !flow.offline && !hostWrites.includes(service)) {
          const alone = await dieOffline(stage, flow, place);
          count.hostGone += 1;
          const isDecided = flow.reversedByDeath || hasAnswer(whole.places, place);
          t.same(
            shown(alone),
            wanted(isDecided ? expected(flow, alone) : 'unknown'),
            `${flow.name}: ${place}, and the host is out of reach`,
          );
        }
        for (const again of run.recovery) {
          // Recovery knows no more than this; what it does in one flow it does in the next.
          const known = [flow.reversedByDeath, flow.offline, run.stored, again].join();
          if (recovered.has(known)) continue;
          recovered.add(known);
          const twice = await dieTwice(stage, flow, place, again);
          count.twice += 1;
          t.same(shown(twice), wanted(expected(flow, run)), `${flow.name}: ${place}, then ${again} of the recovery`);
        }
      }
    }
  }
  t.same([...visited].sort(), [...effects].sort(), 'every effect that counts was one of the places');
  const kills = count.places + count.cardGone + count.hostGone + 2 * count.twice;
  t.equal(stage.boxStarts, kills + 1);
  const seconds = Math.round((Date.now() - beganAt) / 1000);
  t.comment(
    `${services.flatMap((service) => flows[service]).length} flows, ${count.places} places, ${count.twice} places of their recovery, ` +
      `${count.cardGone} with the card gone, ${count.hostGone} with the host gone, ${kills} kills, ${stage.repeatedTaps} taps repeated, ${seconds} s`,
  );
}
