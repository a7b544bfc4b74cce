/**
 * Grammar: one console line to one command, or a refusal with its code. Pure: knows the command table and the kernel's
 * parsers, nothing of the box. Must not show or run anything.
 */
import type { ErrorCode } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AmountMinor, type Currency, parseAmount, parsePoints, quantity } from '../kernel/units.js';
import type { Purchase, SaleCommand, ServiceCommand } from '../runtime/port.js';
import { type CommandName, type CommandRow, commandRow, listRowsMax } from './command-table.js';

/** Longest line, in UTF-16 code units. */
export const lineLengthMax = 256;
const referencePattern = /^[\x21-\x7e]{1,64}$/;
const productCodePattern = /^[\x21-\x7e]{1,48}$/;
/** What identifies a member without a tap: a code, or a phone number typed. */
const saleCodePattern = /^(SL([MC][0-9]{13}|R[0-9]{18})|\+?[0-9]{5,15})$/;
const credentialPattern = /^SL([MC][0-9]{13}|R[0-9]{18})$/;
const couponPattern = /^SLC[0-9]{13}$/;
const filePattern = /^\/[\x20-\x7e]{1,200}$/;
const devicePattern = /^[a-zA-Z0-9-]{1,64}$/;
const nameLengthMax = 120;
const clerkLengthMax = 32;
const listRowsDefault = 15;

export type Language = 'en' | 'zh';
type ListName = 'queue' | 'journal' | 'sales' | 'audit';

export type Command =
  | { readonly name: 'help'; readonly topic: CommandName | null }
  | { readonly name: 'status' | 'offline'; readonly json: boolean }
  | { readonly name: 'device'; readonly act: 'list'; readonly json: boolean }
  | { readonly name: 'device'; readonly act: 'show'; readonly device: string; readonly json: boolean }
  | { readonly name: 'device'; readonly act: 'test' | 'disable' | 'enable'; readonly device: string }
  /** Null: stop. */
  | { readonly name: 'device'; readonly act: 'record'; readonly device: string; readonly file: string | null }
  /** `code` of a member or coupon to ask for, or the `id` of an allowance to give back. */
  | { readonly name: 'allowance'; readonly wish: 'request' | 'return'; readonly target: string }
  | { readonly name: ListName; readonly limit: number; readonly json: boolean }
  /** sale, void and refund alike. */
  | { readonly name: 'sale'; readonly sale: SaleCommand; readonly wait: boolean }
  | { readonly name: 'show'; readonly id: string; readonly json: boolean }
  | { readonly name: 'wait'; readonly id: string }
  | { readonly name: 'receipt'; readonly id: string; readonly print: boolean }
  | { readonly name: 'cancel'; readonly id: string | null }
  | { readonly name: 'backup'; readonly file: string }
  | { readonly name: 'language'; readonly language: Language }
  | { readonly name: 'sync'; readonly watch: boolean }
  | { readonly name: 'follow' }
  | { readonly name: 'set-pin' | 'logout' };

export interface GrammarError {
  readonly code: ErrorCode;
  readonly detail: string;
}
type Parsed<T> = Result<T, GrammarError>;
const refuse = (code: ErrorCode, detail: string): { readonly ok: false; readonly error: GrammarError } =>
  err({ code, detail: printable(detail, 120) });

interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * Splits a line at blanks. Double quotes join words and know \" and \\; single quotes join words as they stand.
 * @returns words, or `command.malformed` for a quote without end
 */
export function splitLine(line: string): Parsed<readonly Word[]> {
  const words: Word[] = [];
  let text = '';
  let quote: '"' | "'" | null = null;
  let open = false;
  let quoted = false;
  for (let at = 0; at < line.length; at++) {
    const character = line.charAt(at);
    if (quote) {
      const next = line.charAt(at + 1);
      if (quote === '"' && character === '\\' && (next === '"' || next === '\\')) {
        text += next;
        at++;
      } else if (character === quote) quote = null;
      else text += character;
    } else if (character === '"' || character === "'") {
      quote = character;
      open = true;
      quoted = true;
    } else if (character === ' ' || character === '\t') {
      if (open) words.push({ text, quoted });
      text = '';
      open = false;
      quoted = false;
    } else {
      text += character;
      open = true;
    }
  }
  if (quote) return refuse('command.malformed', `a ${quote} is not closed`);
  if (open) words.push({ text, quoted });
  return ok(words);
}

interface Arguments {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

function readArguments(row: CommandRow, given: readonly Word[]): Parsed<Arguments> {
  const words: string[] = [];
  const options = new Map<string, string>();
  for (let at = 0; at < given.length; at++) {
    const word = given[at];
    if (!word) break;
    if (word.quoted || !word.text.startsWith('--')) {
      words.push(word.text);
      continue;
    }
    const split = word.text.indexOf('=');
    const name = word.text.slice(2, split < 0 ? undefined : split);
    const kind = Object.hasOwn(row.options, name) ? row.options[name] : undefined;
    if (!kind) return refuse('command.malformed', `${row.name} has no option --${name}`);
    if (options.has(name)) return refuse('command.malformed', `--${name} stands twice`);
    if (kind === 'flag') {
      if (split >= 0) return refuse('command.malformed', `--${name} takes no value`);
      options.set(name, '');
    } else if (split >= 0) options.set(name, word.text.slice(split + 1));
    else {
      const value = given[++at];
      if (!value) return refuse('command.malformed', `--${name} needs a value`);
      options.set(name, value.text);
    }
  }
  const [least, most] = row.words;
  if (words.length < least || words.length > most)
    return refuse('command.malformed', `usage: ${row.name} ${row.usage}`);
  return ok({ words, options });
}

function wholeNumber(text: string, least: number, most: number, what: string): Parsed<number> {
  const parsed = parsePoints(text);
  if (!parsed.ok) return refuse(parsed.error.code, `${what}: ${parsed.error.detail}`);
  if (parsed.value < least || parsed.value > most)
    return refuse('value.outOfRange', `${what} must be ${least} to ${most}`);
  return ok(parsed.value);
}

function identifier(text: string): Parsed<string> {
  return referencePattern.test(text)
    ? ok(text)
    : refuse('command.malformed', 'a reference or id is 1 to 64 printable ASCII characters without blanks');
}

function referenceOption(options: Arguments['options']): Parsed<string | null> {
  const given = options.get('ref');
  return given === undefined ? ok(null) : identifier(given);
}

function clerkOption(options: Arguments['options']): Parsed<string> {
  const given = options.get('clerk') ?? 'console';
  return given.length >= 1 && given.length <= clerkLengthMax && printable(given) === given
    ? ok(given)
    : refuse('command.malformed', `--clerk takes 1 to ${clerkLengthMax} printable characters`);
}

type Line = Extract<Purchase, { lines: unknown }>['lines'][number];

/** `code×2`, `code*2@9.90`, `cake x1`: what stands before the last sign is code (ASCII) or name. */
function readLine(word: string, currency: Currency): Parsed<Line> {
  const match = /^(.+?)\s*[×x*]([^×x*@]{1,16})(?:@(.{1,20}))?$/u.exec(word);
  if (!match?.[1] || !match[2]) return refuse('command.malformed', `${word}: write an amount like 300.00, or code×2`);
  const count = wholeNumber(match[2], 1, 99_999, 'quantity');
  if (!count.ok) return count;
  const pieces = quantity(count.value);
  if (!pieces.ok) return refuse(pieces.error.code, pieces.error.detail);
  let unitPriceMinor: AmountMinor | undefined;
  if (match[3] !== undefined) {
    const price = parseAmount(match[3], currency);
    if (!price.ok) return refuse(price.error.code, `price: ${price.error.detail}`);
    unitPriceMinor = price.value;
  }
  const what = match[1];
  const base = unitPriceMinor === undefined ? { quantity: pieces.value } : { quantity: pieces.value, unitPriceMinor };
  if (productCodePattern.test(what)) return ok({ ...base, code: what });
  if (what.length <= nameLengthMax && printable(what) === what) return ok({ ...base, name: what });
  return refuse('command.malformed', 'that is neither a product code nor a name');
}

const isProductLine = (word: string): boolean => /.[×x*][^×x*]+$/u.test(word);
const looksNumeric = (word: string): boolean => /^[\p{Nd}.,+-]+$/u.test(word);

function readPurchase(
  words: readonly string[],
  currency: Currency,
): Parsed<{ purchase: Purchase; rest: readonly string[] }> {
  const first = words[0] ?? '';
  if (!isProductLine(first)) {
    const amount = parseAmount(first, currency);
    if (amount.ok) return ok({ purchase: { amountMinor: amount.value }, rest: words.slice(1) });
    const code =
      looksNumeric(first) || amount.error.code === 'value.outOfRange' ? amount.error.code : 'command.malformed';
    return refuse(code, amount.error.detail);
  }
  const lines: Line[] = [];
  let at = 0;
  for (let word = words[at]; word !== undefined && isProductLine(word); word = words[++at]) {
    const line = readLine(word, currency);
    if (!line.ok) return line;
    lines.push(line.value);
  }
  return ok({ purchase: { lines }, rest: words.slice(at) });
}

function readService(words: readonly string[], options: Arguments['options']): Parsed<ServiceCommand> {
  const [service = 'plain', argument, tooMuch] = words;
  const typed = options.get('points');
  if (tooMuch !== undefined) return refuse('command.malformed', `what is ${tooMuch}?`);
  if (typed !== undefined && service !== 'earn') return refuse('command.malformed', '--points goes with earn');
  if (argument !== undefined && service !== 'spend' && service !== 'coupon')
    return refuse('command.malformed', `what is ${argument}?`);
  switch (service) {
    case 'plain':
      return ok({ service: 'plainSale' });
    case 'earn': {
      if (typed === undefined) return ok({ service: 'pointsEarn' });
      const points = parsePoints(typed);
      return points.ok
        ? ok({ service: 'pointsEarn', typedPoints: points.value })
        : refuse(points.error.code, points.error.detail);
    }
    case 'spend': {
      const points = parsePoints(argument ?? '');
      if (!points.ok) return refuse(points.error.code, `spend: ${points.error.detail}`);
      return points.value > 0
        ? ok({ service: 'pointsSpend', points: points.value })
        : refuse('value.outOfRange', 'spend at least 1 point');
    }
    case 'coupon':
      if (argument === undefined) return ok({ service: 'couponHost' });
      return couponPattern.test(argument)
        ? ok({ service: 'couponHost', couponCode: argument })
        : refuse('command.malformed', 'a coupon code is SLC and 13 digits');
    case 'coupon-card':
      return ok({ service: 'couponCard' });
    default:
      return refuse('command.malformed', 'the service is plain, earn, spend N, coupon [CODE] or coupon-card');
  }
}

function readSale(given: Arguments, currency: Currency): Parsed<Command> {
  const bought = readPurchase(given.words, currency);
  if (!bought.ok) return bought;
  const command = readService(bought.value.rest, given.options);
  if (!command.ok) return command;
  return saleOf(command.value, bought.value.purchase, given);
}

/** A sale with its options: reference, clerk and a code instead of a tap. */
function saleOf(
  command: ServiceCommand,
  purchase: NonNullable<SaleCommand['purchase']>,
  given: Arguments,
): Parsed<Command> {
  const reference = referenceOption(given.options);
  if (!reference.ok) return reference;
  const clerk = clerkOption(given.options);
  if (!clerk.ok) return clerk;
  const code = given.options.get('code');
  if (code !== undefined && !saleCodePattern.test(code))
    return refuse('command.malformed', '--code is SLM or SLC and 13 digits, SLR and 18, or a phone number');
  const sale: SaleCommand = {
    command,
    purchase,
    reference: reference.value,
    clerk: clerk.value,
    origin: 'console',
    ...(code === undefined ? {} : { code }),
  };
  return ok({ name: 'sale', sale, wait: given.options.has('wait') });
}

function readTopUp(given: Arguments, currency: Currency): Parsed<Command> {
  const [paidIn = '', coupon] = given.words;
  const amount = parseAmount(paidIn, currency);
  if (!amount.ok) return refuse(amount.error.code, amount.error.detail);
  if (coupon !== undefined && !couponPattern.test(coupon) && !/^[0-9]{4}$/.test(coupon))
    return refuse('command.malformed', 'a coupon is SLC and 13 digits, or its last 4');
  if (given.options.has('card')) {
    if (coupon !== undefined || given.options.has('code'))
      return refuse(
        'command.malformed',
        '--card is the coupon on the card that is tapped: it takes no coupon and no code',
      );
    return saleOf({ service: 'topUpCard' }, { amountMinor: amount.value }, given);
  }
  return saleOf(
    { service: 'topUp', ...(coupon === undefined ? {} : { coupon }) },
    { amountMinor: amount.value },
    given,
  );
}

function readUndo(row: CommandRow, given: Arguments, currency: Currency): Parsed<Command> {
  const original = identifier(given.words[0] ?? '');
  if (!original.ok) return original;
  const reference = referenceOption(given.options);
  if (!reference.ok) return reference;
  const clerk = clerkOption(given.options);
  if (!clerk.ok) return clerk;
  let command: ServiceCommand = { service: 'void', original: original.value };
  if (row.name === 'refund') {
    const amount = parseAmount(given.words[1] ?? '', currency);
    if (!amount.ok) return refuse(amount.error.code, amount.error.detail);
    command = { service: 'refund', original: original.value, amountMinor: amount.value };
  }
  const sale: SaleCommand = { command, reference: reference.value, clerk: clerk.value, origin: 'console' };
  return ok({ name: 'sale', sale, wait: given.options.has('wait') });
}

function readList(name: ListName, given: Arguments): Parsed<Command> {
  const json = given.options.has('json');
  const word = given.words[0];
  if (word === undefined) return ok({ name, limit: listRowsDefault, json });
  const limit = wholeNumber(word, 1, listRowsMax, 'n');
  return limit.ok ? ok({ name, limit: limit.value, json }) : limit;
}

function readOneSale(name: 'show' | 'wait' | 'receipt', given: Arguments): Parsed<Command> {
  const words =
    name === 'show' && given.words.length === 2 && given.words[0] === 'sale' ? given.words.slice(1) : given.words;
  if (words.length !== 1) return refuse('command.malformed', `usage: ${name} <ref | id>`);
  const id = identifier(words[0] ?? '');
  if (!id.ok) return id;
  if (name === 'show') return ok({ name, id: id.value, json: given.options.has('json') });
  return ok(name === 'receipt' ? { name, id: id.value, print: given.options.has('print') } : { name, id: id.value });
}

function readRest(name: CommandName, words: readonly string[]): Parsed<Command> {
  const word = words[0] ?? '';
  switch (name) {
    case 'help': {
      if (words.length === 0) return ok({ name, topic: null });
      const topic = commandRow(word);
      return topic ? ok({ name, topic: topic.name as CommandName }) : refuse('command.unknown', word);
    }
    case 'cancel': {
      if (words.length === 0) return ok({ name, id: null });
      const id = identifier(word);
      return id.ok ? ok({ name, id: id.value }) : id;
    }
    case 'backup':
      return filePattern.test(word)
        ? ok({ name, file: word })
        : refuse('command.malformed', 'give an absolute path, like /var/backups/box.db');
    case 'language':
      return word === 'en' || word === 'zh'
        ? ok({ name, language: word })
        : refuse('command.malformed', 'language is en or zh');
    case 'allowance':
      return readAllowance(word, words[1] ?? '');
    case 'sync':
      return word === 'now' || word === 'watch'
        ? ok({ name, watch: word === 'watch' })
        : refuse('command.malformed', 'usage: sync <now | watch>');
    case 'follow':
    case 'set-pin':
    case 'logout':
      return ok({ name });
    default:
      return refuse('command.unknown', name);
  }
}

function readDevice(given: Arguments): Parsed<Command> {
  const [act = 'list', device, file] = given.words;
  const json = given.options.has('json');
  const usage = refuse('command.malformed', `usage: device ${commandRow('device')?.usage ?? ''}`);
  if (json && act !== 'list' && act !== 'show') return refuse('command.malformed', '--json goes with list and show');
  if (act === 'list') return device === undefined ? ok({ name: 'device', act, json }) : usage;
  if (device === undefined || !devicePattern.test(device)) return usage;
  if (act === 'record') {
    if (file === 'stop') return ok({ name: 'device', act, device, file: null });
    return file !== undefined && filePattern.test(file)
      ? ok({ name: 'device', act, device, file })
      : refuse('command.malformed', 'give a new file as an absolute path, like /tmp/scanner.rec, or stop');
  }
  if (file !== undefined) return usage;
  if (act === 'show') return ok({ name: 'device', act, device, json });
  return act === 'test' || act === 'disable' || act === 'enable' ? ok({ name: 'device', act, device }) : usage;
}

const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
function readAllowance(wish: string, target: string): Parsed<Command> {
  const isRight = wish === 'request' ? credentialPattern.test(target) : wish === 'return' && uuidPattern.test(target);
  return isRight
    ? ok({ name: 'allowance', wish: wish as 'request' | 'return', target })
    : refuse('command.malformed', 'allowance request SLM…/SLC…, or allowance return ID (offline lists them)');
}

/**
 * Reads one line. Amounts are in the major unit of `currency`, ASCII digits only. Never throws, whatever it is given.
 * @returns the command, null for an empty line, or `command.unknown`, `command.malformed`, `input.tooLong`, `value.*`
 */
export function parseLine(line: string, currency: Currency): Parsed<Command | null> {
  if (line.length > lineLengthMax) return refuse('input.tooLong', `a line has at most ${lineLengthMax} characters`);
  const split = splitLine(printable(line.replaceAll('\t', ' '), lineLengthMax));
  if (!split.ok) return split;
  const [first, ...rest] = split.value;
  if (!first) return ok(null);
  const row = commandRow(first.text);
  if (!row) return refuse('command.unknown', first.text);
  const given = readArguments(row, rest);
  if (!given.ok) return given;
  const name = row.name as CommandName;
  switch (name) {
    case 'status':
    case 'offline':
      return ok({ name, json: given.value.options.has('json') });
    case 'device':
      return readDevice(given.value);
    case 'queue':
    case 'journal':
    case 'sales':
    case 'audit':
      return readList(name, given.value);
    case 'sale':
      return readSale(given.value, currency);
    case 'topup':
      return readTopUp(given.value, currency);
    case 'void':
    case 'refund':
      return readUndo(row, given.value, currency);
    case 'show':
    case 'wait':
    case 'receipt':
      return readOneSale(name, given.value);
    default:
      return readRest(name, given.value.words);
  }
}
