/**
 * Shows that a sale ends once when its answer is lost, when it is answered only after the box has given it up and reversed
 * it, when the box dies at that moment, and when another card comes to the reader. How: as in every-place.ts, with a relay
 * between box and host that loses, swallows or delays one request of each flow; the books must agree afterwards.
 */
import t from 'tap';
import type { ServiceName } from '../../terminal/core/sale.js';
import type { SaleBody } from '../../terminal/local-api/schema.js';
import { disagreements, readBooks } from './agreement.js';
import { type Flow, flows } from './flows.js';
import { troubles } from './host-line.js';
import { inTrouble } from './run.js';
import { clerk, Stage, until } from './stage.js';

t.setTimeout(600_000);

const online = (Object.keys(flows) as ServiceName[])
  .flatMap((service) => flows[service].map((flow) => ({ service, flow })))
  .filter(({ flow }) => !flow.offline);
const endOf = ({ outcome }: SaleBody): string =>
  outcome?.result === 'refused' ? outcome.code : (outcome?.result ?? 'no outcome');
/** A sale that the host decides is reversed when its word does not come. */
const waitsForHost = (flow: Flow): boolean => flow.reversedByDeath || flow.worth.cardMinor !== 0;

t.test('the line between box and host', async (t) => {
  const stage = await Stage.open('socket');
  t.teardown(() => stage.close());
  for (const { flow } of online) {
    for (const trouble of troubles) {
      const { happened, sale, problems } = await inTrouble(stage, flow, trouble, false);
      t.same(
        { happened, result: endOf(sale), problems },
        { happened: true, result: waitsForHost(flow) ? 'host.noAnswer' : 'accepted', problems: [] },
        `${flow.name}: ${trouble}`,
      );
    }
    const { happened, sale, problems } = await inTrouble(stage, flow, 'silence', true);
    t.same(
      { happened, result: endOf(sale), problems },
      { happened: true, result: flow.reversedByDeath ? 'sale.interrupted' : 'accepted', problems: [] },
      `${flow.name}: the box dies while the answer is on its way`,
    );
  }
});

t.test('another card in mid-transaction is not written, and the first one ends its sale', async (t) => {
  const stage = await Stage.open('socket');
  t.teardown(() => stage.close());
  const other = await stage.otherPhone();
  const untouched = (await other.request({ do: 'show' })).memberships[0]?.card;
  for (const moment of ['before', 'after'] as const) {
    const { books } = await readBooks(stage);
    const reference = stage.nextReference();
    await stage.box.startSale(reference, { service: 'couponCard', amountMinor: 10_000, clerk });
    await stage.phoneControl.request({ do: 'tearAt', apdu: 'writeSlot', moment });
    await stage.phoneControl.request({ do: 'tap' });
    const asksAgain = () =>
      until('the box to ask for the card', async () =>
        (await stage.box.sale(reference)).prompt === 'tapAgain' ? true : null,
      );
    await asksAgain();
    await other.request({ do: 'tap' });
    await until('the other card to be looked at', async () =>
      (await other.request({ do: 'show' })).commandsInTap >= 2 ? true : null,
    );
    await asksAgain();
    await other.request({ do: 'remove' });
    t.same((await other.request({ do: 'show' })).memberships[0]?.card, untouched, 'the other card is as it was');
    const sale = await stage.finish(reference);
    await stage.takePhoneAway();
    await stage.drain();
    const worth = { points: 0, couponMinor: 0, cardMinor: -10_000, consumption: true };
    t.same(
      { result: endOf(sale), problems: await disagreements(stage, books, sale, worth) },
      { result: 'accepted', problems: [] },
      `the first card left ${moment} it was written`,
    );
  }
});
