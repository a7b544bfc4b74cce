/**
 * Figures: what was measured, the limit of the same run, the ratio, and whether the goal is met. Pure.
 * Must not measure.
 */

export interface Figure {
  /** Which bench made it; `--only` names it. */
  readonly bench: string;
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What it is held against; null: a line for reading only. */
  readonly limit: { readonly what: string; readonly value: number } | null;
  readonly goal: Goal | null;
}
/**
 * `atMost`: value ÷ limit stays below. `atLeast`: above. `below`, `above`: the value itself stays on that side of a bound, which
 * is made of limits or named by `says`.
 */
export type Goal =
  | { readonly rule: 'atMost' | 'atLeast'; readonly ratio: number }
  | { readonly rule: 'below' | 'above'; readonly bound: number; readonly says: string };

export interface Verdict {
  readonly ratio: number | null;
  readonly isMet: boolean | null;
  readonly goal: string;
}

/** Judges a figure; `isMet` is null where there is no goal. */
export function judge({ goal, limit, value }: Figure): Verdict {
  const ratio = limit && limit.value > 0 ? value / limit.value : null;
  if (!goal) return { ratio, isMet: null, goal: '' };
  if ('bound' in goal)
    return { ratio, isMet: goal.rule === 'below' ? value <= goal.bound : value >= goal.bound, goal: goal.says };
  const isMet = ratio !== null && (goal.rule === 'atMost' ? ratio <= goal.ratio : ratio >= goal.ratio);
  return { ratio, isMet, goal: `${goal.rule === 'atMost' ? '≤' : '≥'} ${goal.ratio}×` };
}

/** Three significant digits, whole numbers in full. */
export const shown = (value: number): string =>
  Number.isInteger(value) || Math.abs(value) >= 999.5 ? String(Math.round(value)) : value.toPrecision(3);

/** One line for people. */
export function line(figure: Figure): string {
  const { ratio, isMet, goal } = judge(figure);
  const { limit, what, unit, value } = figure;
  const against = limit ? `  |  ${limit.what} ${shown(limit.value)} ${unit}` : '';
  const times = ratio === null ? '' : `  =  ${ratio.toFixed(2)}×`;
  const verdict = isMet === null ? '' : `  goal ${goal}: ${isMet ? 'met' : 'MISSED'}`;
  return `  ${what}: ${shown(value)} ${unit}${against}${times}${verdict}`;
}

/** The value below which `part` (0…1) of them lie. Takes at least one value. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
}
export const median = (values: readonly number[]): number => quantile(values, 0.5);
