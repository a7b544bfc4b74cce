/**
 * The reference page, generated from the schema: config/reference.md.
 */
import type { OptionRow } from './option.js';
import { schema } from './schema.js';

const range = (row: OptionRow): string =>
  row.type === 'integer'
    ? `${row.min}…${row.max}${row.unit ? ` ${row.unit}` : ''}`
    : row.type === 'choice'
      ? row.choices.join(', ')
      : row.type === 'text' || row.type === 'list'
        ? (row.form?.says ?? '')
        : '';
const cell = (text: string): string => text.replaceAll('|', '\\|');

/** Markdown of every option, in the order of the schema. */
export function configReference(): string {
  const parts = Object.entries(schema).map(([name, { title, rows }]) => {
    const lines = rows.map(
      (row) =>
        `| \`${row.key}\` | ${row.type} | ${cell(range(row))} | \`${cell(JSON.stringify(row.default))}\` | ${cell(row.help)} |`,
    );
    return [
      `## [${name}]`,
      '',
      `${title}.`,
      '',
      '| option | type | range | default | what it does |',
      '|---|---|---|---|---|',
      ...lines,
      '',
    ].join('\n');
  });
  return [
    '# Configuration',
    '',
    'Generated from the schema by `npm run docs`; do not edit. The file is `shouli.toml` in the data folder (`data/shouli.toml`,',
    'or what `--config` names), in TOML 1.0. Every option has a default: an absent file is a valid one. At start every problem is',
    'reported at once, with its path, its value and what would fit, and nothing runs until all are mended.',
    '',
    ...parts,
  ].join('\n');
}
