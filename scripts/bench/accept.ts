/**
 * Benches of the accept: time of a tap and of an accept, rate, flushes and bytes, each beside its raw limit, in rounds
 * that alternate between them. Must not start processes.
 */
import type { AcceptRun, BoxReport, MeasuredBox } from './box.js';
import { type Figure, median, quantile } from './figure.js';
import { type TapMethodRun, tapMethods } from './tap-methods.js';

type Rounds = { readonly [Name in AcceptRun]: readonly BoxReport[] };

const methodRuns = Object.keys(tapMethods) as readonly TapMethodRun[];
const order: readonly AcceptRun[] = [
  ...['flush', 'plain', 'threeStatements', 'code', 'oneRow', 'screenCode', 'phoneNumber'],
  ...methodRuns,
] as readonly AcceptRun[];

/** Every run once in each round, one after the other. */
async function measure(box: MeasuredBox, rounds: number, count: number): Promise<Rounds> {
  const taken = Object.fromEntries(order.map((run) => [run, []])) as unknown as {
    readonly [Name in AcceptRun]: BoxReport[];
  };
  for (const run of order) await box.run({ run, count });
  for (let round = 0; round < rounds; round++) for (const run of order) taken[run].push(await box.run({ run, count }));
  return taken;
}

const p50Us = (reports: readonly BoxReport[]): number =>
  1_000 * median(reports.map(({ samplesMs }) => median(samplesMs)));
const p99Us = (reports: readonly BoxReport[]): number =>
  1_000 *
  quantile(
    reports.flatMap(({ samplesMs }) => samplesMs),
    0.99,
  );
const perSecond = (reports: readonly BoxReport[]): number =>
  median(reports.map(({ samplesMs, elapsedMs }) => (1_000 * samplesMs.length) / elapsedMs));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const acceptsOf = (reports: readonly BoxReport[]): number => sum(reports.map(({ samplesMs }) => samplesMs.length));
/** Over all rounds, since a checkpoint falls into one of many. */
const bytesEach = (reports: readonly BoxReport[]): number =>
  sum(reports.map(({ bytes }) => bytes)) / acceptsOf(reports);
/** Null where they were not counted. */
function flushesEach(reports: readonly BoxReport[]): number | null {
  const counted = reports.flatMap(({ flushes }) => flushes ?? []);
  return counted.length === 0 ? null : sum(counted) / acceptsOf(reports);
}

const accepts = [
  ['plain', 'plain sale, till’s request to commit'],
  ['code', 'earn by code, scan to commit'],
] as const;

/** How a member is known, with the commit points of an earn: one. */
const methods: readonly (readonly [AcceptRun, string])[] = [
  ...methodRuns.map((run) => [run, `${tapMethods[run]}, tapped`] as const),
  ['code', 'a member code, scanned'],
  ['screenCode', 'a screen code, scanned'],
  ['phoneNumber', 'a phone number, typed'],
];

/** The box's own time, from tap or scan to the commit, less what the card itself took. */
function tapFigures(taken: Rounds, suffix: string): readonly Figure[] {
  const flushUs = p50Us(taken.flush);
  const limit = { what: 'raw flush p50', value: flushUs };
  const boundUs = 3 * flushUs + 2_000;
  const says = `≤ 1 commit × 3 × raw flush + 2 ms = ${Math.round(boundUs)} µs`;
  // What the disk itself does to the slowest of a hundred: without it a tap's p99 cannot be judged.
  const flush: Figure = {
    ...{ bench: 'tap', what: `raw flush, p99${suffix}`, value: p99Us(taken.flush), unit: 'µs', limit, goal: null },
  };
  const ofMethods = methods.flatMap(([run, what]): Figure[] => {
    const base = { bench: 'tap', unit: 'µs', limit } as const;
    return [
      { ...base, what: `${what}: box’s own time, p50${suffix}`, value: p50Us(taken[run]), goal: null },
      {
        ...base,
        what: `${what}: box’s own time, p99${suffix}`,
        value: p99Us(taken[run]),
        goal: { rule: 'below', bound: boundUs, says },
      },
    ];
  });
  return [flush, ...ofMethods];
}

function acceptFigures(taken: Rounds, suffix: string): readonly Figure[] {
  const flush = { what: 'raw flush p50', value: p50Us(taken.flush) };
  const commit = { what: 'bare 3-statement commits', value: perSecond(taken.threeStatements) };
  return [
    ...accepts.flatMap(([run, what]): Figure[] => [
      {
        bench: 'accept',
        what: `${what}, p50${suffix}`,
        value: p50Us(taken[run]),
        unit: 'µs',
        limit: flush,
        goal: { rule: 'atMost', ratio: 2 },
      },
      {
        bench: 'accept',
        what: `${run === 'plain' ? 'plain sales' : 'earns by code'} to their end${suffix}`,
        value: perSecond(taken[run]),
        unit: '/s',
        limit: commit,
        goal: { rule: 'atLeast', ratio: 0.8 },
      },
    ]),
    {
      bench: 'accept',
      what: `bare 3-statement commit, p50${suffix}`,
      value: p50Us(taken.threeStatements),
      unit: 'µs',
      limit: flush,
      goal: null,
    },
  ];
}

function costFigures(taken: Rounds, suffix: string): readonly Figure[] {
  const oneRow = { what: 'bare one-row commit (a record under its id)', value: bytesEach(taken.oneRow) };
  return [...accepts, ['tap', 'earn by tap'] as const].flatMap(([run, what]): Figure[] => {
    const name = what.split(',')[0] ?? what;
    const flushes = flushesEach(taken[run]);
    const counted: Figure[] =
      flushes === null
        ? []
        : [
            {
              bench: 'cost',
              what: `flushes per ${name}${suffix}`,
              value: flushes,
              unit: 'flushes',
              limit: { what: 'commit points', value: 1 },
              // Checkpoints flush too, once in many accepts.
              goal: { rule: 'atMost', ratio: 1.1 },
            },
          ];
    return [
      ...counted,
      {
        bench: 'cost',
        what: `bytes written per ${name}${suffix}`,
        value: bytesEach(taken[run]),
        unit: 'bytes',
        limit: oneRow,
        goal: { rule: 'atMost', ratio: 2.5 },
      },
    ];
  });
}

/** All figures of one box. @param suffix says how the flushes were */
export async function benchAccepts(
  box: MeasuredBox,
  rounds: number,
  count: number,
  suffix: string,
): Promise<readonly Figure[]> {
  const taken = await measure(box, rounds, count);
  return [...tapFigures(taken, suffix), ...acceptFigures(taken, suffix), ...costFigures(taken, suffix)];
}
