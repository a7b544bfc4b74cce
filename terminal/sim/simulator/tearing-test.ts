/**
 * The one test of torn cards, played by tearing-online and tearing-offline: two files, so that it uses both processors.
 * Must not be imported by anything but these.
 */
import type { Test } from 'tap';
import { byteTears, cardFlow, commandTears, runMatrix } from './tearing-matrix.js';

/** Plays the matrix of a service with these networks (SHOULI_TEARING=all: with everything that may come after) and says how large it was. */
export async function testTearing(t: Test, ...matrix: Parameters<typeof runMatrix>): Promise<void> {
  const { commands, endings, places, problems, sizes } = await runMatrix(...matrix);
  const count = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  t.comment(
    `${count} cases ${JSON.stringify(sizes)}: ${commandTears.length} tears at commands, ${byteTears.length} in the write, ${places} power cuts; ${JSON.stringify(endings)}`,
  );
  t.same(problems.slice(0, 5), [], `${problems.length} of ${count} went wrong`);
  t.same(commands, cardFlow, 'the flow that is torn is the one documented');
  t.ok(places >= 30, 'four persisted phases with the moments between their effects');
  for (const ending of ['accepted', 'unknown card.unknown'])
    t.ok((endings[ending] ?? 0) > 0, `some end ${ending}: the tears strike`);
}
