/**
 * DER bounds (X.690 §8, §10): walks untrusted DER with a limit on size, depth and elements before anything else reads it,
 * and gives slices of it. Must not interpret any structure; recursion and allocation are bounded by its limits.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

export interface DerLimits {
  readonly bytesMax: number;
  readonly depthMax: number;
  readonly elementsMax: number;
}
/** A PKCS#10 request with an RSA-4096 key needs about 1,100 bytes, 8 levels and 40 elements. */
export const requestLimits: DerLimits = { bytesMax: 6_144, depthMax: 12, elementsMax: 256 };

/** One element: where it begins (its tag), where its content begins and where it ends, in bytes of the whole. */
export interface DerElement {
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

const constructedBit = 0x20;
const highTag = 0x1f;

/** Reads one header at `at`; the element must end by `limit`. Definite, minimal lengths of at most 3 bytes (X.690 §10.1). */
export function readElement(source: Bytes, at: number, limit: number): Result<DerElement, DecodeError> {
  const tag = source[at];
  const first = source[at + 1];
  if (tag === undefined || first === undefined || at + 2 > limit) return decodeError('input.truncated', at, 'header');
  if ((tag & highTag) === highTag) return decodeError('input.unsupported', at, 'tag number of several bytes');
  let length = first;
  let contentStart = at + 2;
  if (first >= 0x80) {
    const lengthBytes = first & 0x7f;
    if (lengthBytes === 0) return decodeError('input.malformed', at + 1, 'indefinite length');
    if (lengthBytes > 3) return decodeError('input.tooLong', at + 1, 'length of more than 3 bytes');
    if (contentStart + lengthBytes > limit) return decodeError('input.truncated', at + 1, 'length');
    length = 0;
    for (let i = 0; i < lengthBytes; i++) length = length * 256 + (source[contentStart + i] ?? 0);
    if (length < 0x80 || length < 2 ** (8 * (lengthBytes - 1)))
      return decodeError('input.malformed', at + 1, 'length is not minimal');
    contentStart += lengthBytes;
  }
  if (contentStart + length > limit)
    return decodeError('input.truncated', at, `element of ${length} bytes ends outside`);
  return ok({ tag, start: at, contentStart, end: contentStart + length });
}

/** The elements directly inside one. Their own content is not looked at. */
export function childrenOf(
  source: Bytes,
  parent: Pick<DerElement, 'contentStart' | 'end'>,
  countMax = 64,
): Result<readonly DerElement[], DecodeError> {
  const children: DerElement[] = [];
  for (let at = parent.contentStart; at < parent.end; ) {
    if (children.length >= countMax) return decodeError('input.tooLong', at, `more than ${countMax} elements`);
    const child = readElement(source, at, parent.end);
    if (!child.ok) return child;
    children.push(child.value);
    at = child.value.end;
  }
  return ok(children);
}

/**
 * Walks the whole of `source`, which must be exactly one element, within the limits.
 * @returns the outer element, or `input.tooLong` (bytes, depth, count), `input.truncated`, `input.malformed`,
 *   `input.unsupported`, each with its byte offset
 */
export function walkDer(source: Bytes, limits: DerLimits): Result<DerElement, DecodeError> {
  if (source.length > limits.bytesMax)
    return decodeError('input.tooLong', limits.bytesMax, `more than ${limits.bytesMax} bytes`);
  const outer = readElement(source, 0, source.length);
  if (!outer.ok) return outer;
  if (outer.value.end !== source.length) return decodeError('input.malformed', outer.value.end, 'bytes behind the end');
  const open: { readonly element: DerElement; readonly depth: number }[] = [{ element: outer.value, depth: 1 }];
  let elements = 1;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if ((next.element.tag & constructedBit) === 0) continue;
    if (next.depth >= limits.depthMax)
      return decodeError('input.tooLong', next.element.start, `nested deeper than ${limits.depthMax}`);
    const children = childrenOf(source, next.element, limits.elementsMax);
    if (!children.ok) return children;
    elements += children.value.length;
    if (elements > limits.elementsMax)
      return decodeError('input.tooLong', next.element.start, `more than ${limits.elementsMax} elements`);
    for (const element of children.value) open.push({ element, depth: next.depth + 1 });
  }
  return outer;
}
