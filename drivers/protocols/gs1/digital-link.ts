/**
 * GS1 Digital Link URIs (GS1 Digital Link Standard: URI Syntax): a primary key and its qualifiers in the path, attributes in
 * the query. Compressed links are refused. Pure.
 */
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { type AiRule, aiRule, checkValue, type Element, excludedPair } from './ai-rules.js';

const uriLengthMax = 256;

interface Piece {
  readonly text: string;
  readonly offset: number;
}

/**
 * Reads a link of any host and any path before the key. Values keep the length that the table asks for, but trade item
 * numbers of 8, 12 and 13 digits are taken and filled up to 14, as older links have them.
 * @returns elements, the primary key first, or an error with its offset in characters; input.unsupported: no primary key in
 *   the path, as in a compressed link and in every other address of the web
 */
export function decodeDigitalLink(uri: string): Result<readonly Element[], DecodeError> {
  if (uri.length > uriLengthMax) return decodeError('input.tooLong', uriLengthMax, 'link');
  const parts = /^https?:\/\/([^/?#\s]+)(\/[^?#]*)?(\?[^#]*)?(?:#.*)?$/i.exec(uri);
  if (!parts) return decodeError('input.malformed', 0, 'no http or https address');
  const pathAt = uri.indexOf('/', uri.indexOf('//') + 2);
  const path = parts[2] ?? '';
  const pieces = split(path.slice(1).replace(/\/$/, ''), '/', pathAt + 1);
  const keyAt = primaryKeyAt(pieces);
  if (keyAt < 0) return decodeError('input.unsupported', Math.max(0, pathAt), 'no GS1 key in the path, or compressed');
  const elements = readPath(pieces.slice(keyAt));
  if (!elements.ok) return elements;
  const query = parts[3] ?? '';
  const queryAt = (pathAt < 0 ? uri.length : pathAt) + path.length + 1;
  const attributes = readQuery(split(query.slice(1), /[&;]/, queryAt), elements.value);
  if (!attributes.ok) return attributes;
  const all = [...elements.value, ...attributes.value];
  const pair = excludedPair(all);
  if (pair) return decodeError('input.malformed', pathAt, `(${pair[0]}) may not stand beside (${pair[1]})`);
  return ok(all);
}

function split(text: string, by: string | RegExp, offset: number): readonly Piece[] {
  let at = offset;
  return text.split(by).map((piece) => {
    const found = { text: piece, offset: at };
    at += piece.length + 1;
    return found;
  });
}

/** Where the last primary key is that has pairs only behind it; −1: nowhere. */
function primaryKeyAt(pieces: readonly Piece[]): number {
  for (let at = pieces.length - 2; at >= 0; at -= 2) if (aiRule(pieces[at]?.text ?? '')?.linkQualifiers) return at;
  return -1;
}

function readPath(pieces: readonly Piece[]): Result<readonly Element[], DecodeError> {
  const elements: Element[] = [];
  for (let at = 0; at < pieces.length; at += 2) {
    const ai = pieces[at];
    const rule = aiRule(ai?.text ?? '');
    if (!ai || !rule) return decodeError('input.unsupported', ai?.offset ?? 0, 'no such application identifier');
    const element = readValue(rule, pieces[at + 1]);
    if (!element.ok) return element;
    elements.push(element.value);
  }
  const [key, ...qualifiers] = elements.map(({ ai }) => ai);
  const orders = aiRule(key ?? '')?.linkQualifiers ?? [];
  if (qualifiers.length > 0 && !orders.some((order) => isInOrder(qualifiers, order)))
    return decodeError('input.malformed', pieces[2]?.offset ?? 0, `qualifiers behind (${key})`);
  return ok(elements);
}

/** Each at most once, in the order given; some may be missing. */
function isInOrder(found: readonly string[], order: readonly string[]): boolean {
  const places = found.map((ai) => order.indexOf(ai));
  return places.every((place, index) => place >= 0 && (index === 0 || place > (places[index - 1] ?? -1)));
}

function readQuery(pieces: readonly Piece[], path: readonly Element[]): Result<readonly Element[], DecodeError> {
  const elements: Element[] = [];
  for (const { text, offset } of pieces) {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    // Names that are no numbers are the web site's own.
    if (!/^[0-9]+$/.test(name)) continue;
    const rule = aiRule(name);
    if (!rule) return decodeError('input.unsupported', offset, 'no such application identifier');
    if (!rule.isLinkAttribute) return decodeError('input.malformed', offset, `(${name}) belongs into the path`);
    if ([...path, ...elements].some(({ ai }) => ai === name))
      return decodeError('input.malformed', offset, `(${name}) twice`);
    const element = readValue(rule, { text: text.slice(name.length + 1), offset: offset + name.length + 1 });
    if (!element.ok) return element;
    elements.push(element.value);
  }
  return ok(elements);
}

function readValue(rule: AiRule, piece: Piece | undefined): Result<Element, DecodeError> {
  if (!piece || piece.text === '') return decodeError('input.truncated', piece?.offset ?? 0, `(${rule.ai}) is empty`);
  const value = decoded(piece.text);
  if (value === null) return decodeError('input.malformed', piece.offset, 'percent encoding');
  const isShort = rule.ai === '01' && /^(?:[0-9]{8}|[0-9]{12,13})$/.test(value);
  return checkValue(rule, isShort ? value.padStart(14, '0') : value, piece.offset);
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
