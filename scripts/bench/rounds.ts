/**
 * Rounds: two things measured in turn in one run, so that what the machine does meanwhile falls on both. Must not judge.
 */
import { median } from './figure.js';

/** Microseconds that each of `count` runs of `act` took, one after the other. */
export async function samplesOf(count: number, act: () => Promise<unknown>): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let done = 0; done < count; done++) {
    const startedAt = performance.now();
    await act();
    samples.push(1_000 * (performance.now() - startedAt));
  }
  return samples;
}

/** Samples in microseconds, by round. */
export interface InTurn {
  readonly raw: (readonly number[])[];
  readonly driver: (readonly number[])[];
}

/** Measures both in turn, `count` samples in each round; one round before warms both up. */
export async function inTurn(
  rounds: number,
  count: number,
  { driver, raw }: { readonly raw: () => Promise<unknown>; readonly driver: () => Promise<unknown> },
): Promise<InTurn> {
  const taken: InTurn = { raw: [], driver: [] };
  for (let round = -1; round < rounds; round++) {
    const samples = { raw: await samplesOf(count, raw), driver: await samplesOf(count, driver) };
    if (round < 0) continue;
    taken.raw.push(samples.raw);
    taken.driver.push(samples.driver);
  }
  return taken;
}

/** Median of the rounds' medians: one round that was disturbed does not move it. */
export const medianOfRounds = (rounds: readonly (readonly number[])[]): number => median(rounds.map(median));
