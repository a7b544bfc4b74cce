/**
 * The matrix of torn cards: which cases there are, and the run over them: each tear alone, each cut alone, and each tear with
 * each cut, with what comes after in turn; SHOULI_TEARING=all plays every crossing with everything that may come after.
 * Must not play or judge a case; tearing-cases.ts does.
 */
import type { Tear } from '../../../drivers/sim/phone/phone.js';
import { type Played, sequels, type TornCase, TornCases, type TornService } from './tearing-cases.js';
import { TearingWorld } from './tearing-world.js';

type Network = TornCase['network'];
type Way = Pick<TornCase, 'network' | 'sequel' | 'service'>;

/** What a sale by the card asks of the phone: two readings of the slots, the second to see what was written. */
export const cardFlow = ['select', 'present', 'mutual', 'readRecords', 'writeSlot', 'readRecords', 'result'] as const;
const slotBytes = 96;

/** Each command, before it arrives and with its answer lost. */
export const commandTears: readonly Tear[] = cardFlow.flatMap((_, index) =>
  (['before', 'after'] as const).map((moment) => ({ at: index + 1, moment, bytes: null })),
);
/** The write, with so many bytes of the new record over the old: the MAC's are the last 16. */
export const byteTears: readonly Tear[] = Array.from({ length: slotBytes + 1 }, (_, bytes) => ({
  ...{ at: 'writeSlot', moment: 'before' },
  bytes,
}));

export interface MatrixRun {
  /** Cases by part of the matrix. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly endings: Readonly<Record<string, number>>;
  readonly problems: readonly string[];
  readonly places: number;
  readonly commands: Played['commands'];
}

/**
 * @param service what is torn
 * @param networks the first with all sequels; the second differs from it at the other box only, so only `other` is played
 */
export async function runMatrix(service: TornService, networks: readonly [Network, Network]): Promise<MatrixRun> {
  const isAll = process.env['SHOULI_TEARING'] === 'all';
  const cases = new TornCases(await TearingWorld.begin());
  const sizes: Record<string, number> = {};
  const endings: Record<string, number> = {};
  const problems: string[] = [];
  const ways: readonly Way[] = [
    ...sequels.map((sequel) => ({ service, network: networks[0], sequel })),
    { service, network: networks[1], sequel: 'other' },
  ];
  let turn = 0;
  const nextWay = () => ways[turn++ % ways.length] as Way;
  const play = async (part: string, wanted: TornCase): Promise<Played> => {
    const played = await cases.play(wanted);
    sizes[part] = (sizes[part] ?? 0) + 1;
    endings[played.ending] = (endings[played.ending] ?? 0) + 1;
    if (played.problem !== null) problems.push(played.problem);
    return played;
  };

  const whole = await play('whole', { service, network: networks[0], sequel: 'later', tear: null, cutAt: null });
  for (const tear of commandTears) for (const way of ways) await play('commands', { ...way, tear, cutAt: null });
  for (const tear of byteTears)
    for (const way of isAll ? ways : [nextWay()]) await play('bytes', { ...way, tear, cutAt: null });
  for (let cutAt = 1; cutAt <= whole.places.length; cutAt++)
    for (const way of ways) await play('cuts', { ...way, tear: null, cutAt });

  for (const tear of [...commandTears, ...byteTears]) {
    // How many places there are depends on where the card leaves.
    const { places } = await play('crossing', { ...nextWay(), tear, cutAt: null });
    for (let cutAt = 1; cutAt <= places.length; cutAt++)
      for (const way of isAll ? ways : [nextWay()]) await play('crossing', { ...way, tear, cutAt });
  }
  cases.end();
  if (cases.wholeProblem !== null) problems.push(cases.wholeProblem);
  return { sizes, endings, problems, places: whole.places.length, commands: whole.commands };
}
