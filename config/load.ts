/**
 * Loading: TOML text to a checked configuration, or the list of ALL its problems. Must not read files or the environment.
 */
import { parse, TomlError } from 'smol-toml';
import { printable } from '../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../terminal/kernel/result.js';
import type { OptionRow } from './option.js';
import { type Config, schema } from './schema.js';

export interface ConfigProblem {
  /** `section.key`, or the line where the text is not TOML. */
  readonly path: string;
  /** What stands there, shortened; empty where nothing does. */
  readonly value: string;
  readonly problem: string;
}

/** Longest file that is read at all, in characters. */
const configLengthMax = 262_144;
/** Deepest nesting of inline tables and lists; no option needs more than one. */
const configDepthMax = 16;
/** Problems told at most; the rest are counted. */
const problemsMax = 200;
const shownLengthMax = 80;

/** A value as it stands in the file, cut short; of what is nested only that it is. */
function shown(value: unknown): string {
  const items = Array.isArray(value) ? value.slice(0, shownLengthMax) : null;
  return printable(items ? `[${items.map(shownItem).join(', ')}]` : shownItem(value), shownLengthMax);
}
const shownItem = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, shownLengthMax))
    : Array.isArray(value)
      ? '[…]'
      : isTable(value)
        ? '{…}'
        : String(value);
const named = (name: string): string => printable(name, shownLengthMax);
const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);

/** The value as the program reads it. Whole numbers come as bigints from the file, so that 1 and 1.0 can be told apart. */
const plain = (value: unknown): unknown =>
  typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 4_096;
const fits = ({ form }: Extract<OptionRow, { type: 'text' | 'list' }>, text: string): boolean =>
  form === undefined || form.pattern.test(text);

/** Why a value of the file does not fit its row; null where it does. */
function misfit(row: OptionRow, value: unknown): string | null {
  switch (row.type) {
    case 'boolean':
      return typeof value === 'boolean' ? null : 'must be true or false';
    case 'integer':
      return typeof value === 'bigint' && value >= row.min && value <= row.max
        ? null
        : `must be a whole number from ${row.min} to ${row.max}${row.unit ? ` ${row.unit}` : ''}`;
    case 'text':
      if (!isText(value)) return 'must be a text in quotes';
      return value === row.default || fits(row, value) ? null : `must be ${row.form?.says}`;
    case 'list':
      if (!(Array.isArray(value) && value.length <= 256 && value.every(isText)))
        return 'must be a list of texts, like ["a", "b"]';
      return value.every((item) => fits(row, item)) ? null : `each must be ${row.form?.says}`;
    case 'choice':
      return typeof value === 'string' && row.choices.includes(value)
        ? null
        : `must be one of ${row.choices.map((choice) => `"${choice}"`).join(', ')}`;
  }
}

/** How many single letters have to be changed, put in or taken out to make one word of the other. */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** The nearest known name for a misspelt one, or all of them. */
function nearest(name: string, known: readonly string[]): string {
  const word = name.slice(0, shownLengthMax).toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(word, candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  const isClose = best && (best.far <= 3 || best.candidate.toLowerCase().startsWith(word));
  return isClose ? `; did you mean ${best.candidate}?` : `; known are ${known.join(', ')}`;
}

function parseText(text: string): Result<Record<string, unknown>, readonly ConfigProblem[]> {
  if (text.length > configLengthMax)
    return err([{ path: 'file', value: '', problem: `longer than ${configLengthMax} characters` }]);
  try {
    return ok(parse(text, { integersAsBigInt: true, maxDepth: configDepthMax }));
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const problem = printable(error.message.split('\n')[0] ?? 'not TOML');
    return err([{ path: `line ${error.line}, column ${error.column}`, value: '', problem }]);
  }
}

/** Takes the file's text; an empty text gives every default. @returns the configuration, or every problem found */
export function loadConfig(text: string): Result<Config, readonly ConfigProblem[]> {
  const parsed = parseText(text);
  if (!parsed.ok) return parsed;
  const problems: ConfigProblem[] = [];
  for (const name of Object.keys(parsed.value)) {
    if (!Object.hasOwn(schema, name)) {
      problems.push({
        path: named(name),
        value: '',
        problem: `there is no such section${nearest(name, Object.keys(schema))}`,
      });
    }
  }
  const config: Record<string, Record<string, unknown>> = {};
  for (const [name, { rows }] of Object.entries(schema)) {
    const table = Object.hasOwn(parsed.value, name) ? parsed.value[name] : {};
    if (!isTable(table)) problems.push({ path: name, value: shown(table), problem: `must be a section, [${name}]` });
    config[name] = loadSection(name, rows, isTable(table) ? table : {}, problems);
  }
  // A value that is out of range stands as its default here: what clashes beside it is said all the same.
  problems.push(...clashes(config as unknown as Config));
  if (problems.length === 0) return ok(config as unknown as Config);
  const untold = problems.length - problemsMax;
  return err(
    untold > 0
      ? [...problems.slice(0, problemsMax), { path: 'file', value: '', problem: `and ${untold} more problems` }]
      : problems,
  );
}

/** What each option alone does not show: a line or PIN pad serves one purpose, one carrier has the messages, one relay opens. */
function clashes({ console, host, ...sections }: Config): readonly ConfigProblem[] {
  const { displays, modems, modules, pinPads, printers, relays, scanners } = sections;
  const users = Object.entries({
    scanners,
    printers,
    displays,
    modules,
    pinPads,
    modems,
    relays,
    console: { paths: [console.serialPath] },
  });
  const taken = new Map<string, string>();
  const problems = users.flatMap(([section, { paths }]) =>
    paths.flatMap((line): ConfigProblem[] => {
      const first = line === '' ? undefined : taken.get(line);
      const user = section === 'console' ? 'console.serialPath' : `${section}.paths`;
      if (first === undefined || first === user) taken.set(line, user);
      else return [{ path: user, value: shown(line), problem: `is the line of ${first} too; name it once` }];
      return [];
    }),
  );
  problems.push(...padClashes(sections), ...typistClashes(sections), ...idle(sections), ...crowds(users));
  const carriers = modems.paths.length + (host.smppHost === '' ? 0 : 1);
  const tooMany = (section: 'modems' | 'relays', problem: string): ConfigProblem => ({
    path: `${section}.paths`,
    value: shown(sections[section].paths),
    problem,
  });
  return [
    ...problems,
    ...(carriers > 1
      ? [tooMany('modems', 'one of modems.paths and host.smppHost carries the messages, and only one modem')]
      : []),
    ...(relays.paths.length > 1 ? [tooMany('relays', 'one board only: a sale opens one thing')] : []),
  ];
}

/** Lines that one driver serves (drivers/serial/line-driver.ts). */
const linesMax = 8;

function crowds(
  users: readonly (readonly [section: string, { readonly paths: readonly string[] }])[],
): ConfigProblem[] {
  return users
    .filter(([, { paths }]) => paths.length > linesMax)
    .map(([section, { paths }]) => ({
      path: `${section}.paths`,
      value: `${paths.length} lines`,
      problem: `at most ${linesMax} lines of one kind`,
    }));
}

/** What was asked for and cannot come about by anything else that is configured. */
function idle({
  readers,
  relays,
  tags,
  wallet,
}: Pick<Config, 'readers' | 'relays' | 'tags' | 'wallet'>): readonly ConfigProblem[] {
  const both = readers.contactSlots.filter((name) => readers.ignoredNames.includes(name));
  return [
    ...(relays.opensOn !== 'never' && relays.paths.length === 0
      ? [
          {
            path: 'relays.opensOn',
            value: shown(relays.opensOn),
            problem: 'opens nothing: relays.paths names no board',
          },
        ]
      : []),
    ...(tags.originality !== 'off' && !wallet.tapOrder.includes('tag')
      ? [
          {
            path: 'tags.originality',
            value: shown(tags.originality),
            problem: 'asks no tag: wallet.tapOrder does not name tag',
          },
        ]
      : []),
    ...(readers.walletPolling && wallet.passTypeIds.length === 0
      ? [
          {
            path: 'readers.walletPolling',
            value: 'true',
            problem: 'tells iPhones of no pass: wallet.passTypeIds names none',
          },
        ]
      : []),
    ...both.map((name) => ({
      path: 'readers.contactSlots',
      value: shown(name),
      problem: 'is in readers.ignoredNames too',
    })),
  ];
}

/** Of `vendor:product`. */
const idsLength = 9;

/** Ids are hex of either case; a serial number is exact, and one that is left out means every one. */
const exact = (device: string): string => device.slice(0, idsLength).toLowerCase() + device.slice(idsLength);

/** A device that types is a scanner or a keypad: two drivers on one would each take its keys from the other. */
function typistClashes({ hidScanners, keypads }: Pick<Config, 'hidScanners' | 'keypads'>): readonly ConfigProblem[] {
  const keyboards = hidScanners.keyboards.map(exact);
  const meets = (a: string, b: string): boolean => a === b || a.startsWith(`${b}:`) || b.startsWith(`${a}:`);
  return keypads.devices
    .filter((device) => keyboards.some((keyboard) => meets(keyboard, exact(device))))
    .map((device) => ({
      path: 'keypads.devices',
      value: shown(device),
      problem: 'is a scanner of hidScanners.keyboards too; name it once',
    }));
}

/** A PIN pad may show a keyboard or a stripe reader besides: whatever is keyed on a pad, no other driver is to hear. */
function padClashes({
  pinPads,
  ...others
}: Pick<Config, 'pinPads' | 'hidScanners' | 'stripeReaders' | 'keypads'>): readonly ConfigProblem[] {
  const { hidScanners, keypads, stripeReaders } = others;
  const named = {
    'hidScanners.devices': hidScanners.devices,
    'hidScanners.keyboards': hidScanners.keyboards,
    'stripeReaders.devices': stripeReaders.devices,
    'keypads.devices': keypads.devices,
  };
  const pads = pinPads.devices.map(exact).flatMap((pad) => [pad, pad.slice(0, idsLength)]);
  return Object.entries(named).flatMap(([path, patterns]) =>
    patterns
      .filter((pattern) => pads.includes(exact(pattern)))
      .map((pattern) => ({ path, value: shown(pattern), problem: 'is a PIN pad of pinPads.devices' })),
  );
}

function loadSection(
  section: string,
  rows: readonly OptionRow[],
  table: Record<string, unknown>,
  problems: ConfigProblem[],
): Record<string, unknown> {
  const keys = rows.map((row) => row.key);
  for (const key of Object.keys(table)) {
    if (!keys.includes(key))
      problems.push({
        path: `${section}.${named(key)}`,
        value: shown(table[key]),
        problem: `there is no such option${nearest(key, keys)}`,
      });
  }
  return Object.fromEntries(
    rows.map((row) => {
      if (!Object.hasOwn(table, row.key)) return [row.key, row.default];
      const value = table[row.key];
      const problem = misfit(row, value);
      if (problem) problems.push({ path: `${section}.${row.key}`, value: shown(value), problem });
      return [row.key, problem ? row.default : plain(value)];
    }),
  );
}
