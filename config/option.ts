/**
 * Option rows: the shape in which every area describes its options, and the values such rows stand for. Types only.
 */
interface RowBase {
  /** camelCase, unit last where it has one. */
  readonly key: string;
  readonly help: string;
  readonly unit?: string;
}
/** What a text, or each text of a list, has to look like, and how that is said: `must be …`. */
export interface TextForm {
  readonly pattern: RegExp;
  readonly says: string;
}
export type OptionRow = RowBase &
  (
    | { readonly type: 'boolean'; readonly default: boolean }
    | { readonly type: 'integer'; readonly default: number; readonly min: number; readonly max: number }
    | { readonly type: 'text'; readonly default: string; readonly form?: TextForm }
    | { readonly type: 'list'; readonly default: readonly string[]; readonly form?: TextForm }
    | { readonly type: 'choice'; readonly default: string; readonly choices: readonly string[] }
  );

type ValueOf<Row> = Row extends { readonly type: 'boolean' }
  ? boolean
  : Row extends { readonly type: 'integer' }
    ? number
    : Row extends { readonly type: 'list' }
      ? readonly string[]
      : Row extends { readonly type: 'choice'; readonly choices: readonly (infer Choice)[] }
        ? Choice
        : string;

/** The options of one section, by key, as its area reads them. */
export type OptionsOf<Rows extends readonly OptionRow[]> = {
  readonly [Row in Rows[number] as Row['key']]: ValueOf<Row>;
};
