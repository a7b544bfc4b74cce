/**
 * Shows the card's sale on the real path (nfc-pcsc, pcscd, virtual reader) while parts of it die: the box at every place,
 * with the phone left on the reader; and pcscd between any two commands, after which the reader is back in service by
 * itself. How: as in every-place.ts, with pcscd of this test's own; the sale must end once and the books agree.
 */
import t from 'tap';
import { disagreements, readBooks } from './agreement.js';
import { type Flow, flows } from './flows.js';
import { die, live } from './run.js';
import { clerk, Stage, until } from './stage.js';

t.setTimeout(900_000);

t.test('on the real reader', async (t) => {
  const stage = await Stage.open('pcsc');
  t.teardown(() => stage.close());

  await t.test('the box dies at every place, and the phone lies where it was', async (t) => {
    stage.phoneStays = true;
    for (const flow of flows.couponCard) {
      const { places, problems } = await live(stage, flow);
      t.same(problems, [], `${flow.name}: ${places.length} places`);
      for (const place of places) {
        const run = await die(stage, flow, place);
        t.same(
          { death: run.death, result: run.sale.outcome?.result, problems: run.problems },
          { death: 'SIGKILL', result: 'accepted', problems: [] },
          `${flow.name}: ${place} (stored: ${run.stored ?? 'nothing'})`,
        );
      }
    }
    t.comment(`${stage.repeatedTaps} taps repeated`);
  });

  await t.test(
    'pcscd dies between two commands',
    { skip: stage.rig?.owned ? false : 'pcscd is not ours' },
    async (t) => {
      const { worth } = flows.couponCard[0] as Flow;
      for (const last of ['select', 'present', 'mutual', 'readRecords', 'writeSlot']) {
        const { books } = await readBooks(stage);
        let isHeld: Promise<unknown> | null = null;
        const unfollow = await stage.followPhone((instruction) => {
          if (instruction === last) isHeld ??= stage.phoneControl.request({ do: 'hold' });
        });
        const reference = stage.nextReference();
        await stage.box.startSale(reference, { service: 'couponCard', amountMinor: 10_000, clerk });
        await stage.phoneControl.request({ do: 'tap' });
        await until(`the ${last}`, () => (isHeld ? true : null));
        await isHeld;
        await stage.rig?.restart('kill');
        await stage.phoneControl.request({ do: 'release' });
        unfollow();
        const sale = await stage.finish(reference);
        await stage.takePhoneAway();
        await stage.drain();
        t.same(
          { result: sale.outcome?.result, problems: await disagreements(stage, books, sale, worth) },
          { result: 'accepted', problems: [] },
          `after ${last}`,
        );
      }
    },
  );
});
