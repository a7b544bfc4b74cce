/**
 * Shows that a card torn away at any command or any byte of the write, with the box's power cut at any place between its
 * effects and commits, ends whole and paid exactly once, with the host there (and the other box without it).
 * Shipped box, host and simulated phone in virtual time; the whole crossing with SHOULI_TEARING=all.
 */
import t from 'tap';
import { byteTears, cardFlow, commandTears, runMatrix } from './tearing-matrix.js';

t.test('every tear, every power cut, and their crossing', async (t) => {
  const { commands, endings, places, problems, sizes } = await runMatrix(['online', 'otherOffline']);
  const count = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  t.comment(
    `${count} cases ${JSON.stringify(sizes)}: ${commandTears.length} tears at commands, ${byteTears.length} in the write, ${places} power cuts; ${JSON.stringify(endings)}`,
  );
  t.same(problems.slice(0, 5), [], `${problems.length} of ${count} went wrong`);
  t.same(commands, cardFlow, 'the flow that is torn is the one documented');
  t.ok(places >= 30, 'four persisted phases with the moments between their effects');
  for (const ending of ['accepted', 'unknown card.unknown'])
    t.ok((endings[ending] ?? 0) > 0, `some end ${ending}: the tears strike`);
});
