/**
 * Problems: every refusal of the local API as one body with code and texts, and its HTTP status. Pure.
 * Must not carry anything of an error but its code: no stack, no message of a library.
 */
import { type ErrorCode, errorTable } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import type { ProblemBody } from './schema.js';

const detailLengthMax = 200;

const statuses: Partial<Record<ErrorCode, number>> = {
  'access.denied': 401,
  'access.locked': 429,
  'access.rateLimited': 429,
  'request.notFound': 404,
  'sale.unknown': 404,
  'sale.busy': 409,
  'sale.referenceConflict': 409,
  'sale.tooLate': 409,
  'sale.notAllowed': 403,
  'input.unsupported': 400,
  'box.failed': 500,
  'rules.unknown': 503,
};

/** The HTTP status (RFC 9110) that a code is sent with, where nothing better is known of the request. */
export function httpStatus(code: ErrorCode): number {
  const own = statuses[code];
  if (own !== undefined) return own;
  if (code.startsWith('input.') || code.startsWith('value.')) return 400;
  if (/^(store|host|device|terminal)\./.test(code)) return 503;
  return 422;
}

export function problemBody(code: ErrorCode, detail = ''): ProblemBody {
  const { en, zh } = errorTable[code];
  return { code, detail: printable(detail, detailLengthMax), en, zh };
}

/** Thrown by a handler; becomes a problem with this status. */
export class Refused extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly detail = '',
    readonly status = httpStatus(code),
  ) {
    super(code);
    this.name = 'Refused';
  }
}

/** What a failed check says of itself, as the schema library reports it. */
export interface CheckIssue {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message?: string | undefined;
  readonly params: Readonly<Record<string, unknown>>;
}

/** The code for a field that does not fit: what is wrong with a number is said apart from what is wrong with the form. */
export function issueCode({ keyword, params }: CheckIssue): ErrorCode {
  const numeric = ['number', 'int', 'safeint'];
  if (keyword === 'invalid_type')
    return numeric.includes(String(params['expected'])) ? 'value.notAnInteger' : 'input.malformed';
  if (keyword === 'too_big' || keyword === 'too_small') {
    const origin = String(params['origin']);
    if (numeric.includes(origin)) return 'value.outOfRange';
    if (keyword === 'too_big' && origin === 'array') return 'bill.tooLong';
    return keyword === 'too_big' ? 'input.tooLong' : 'input.malformed';
  }
  if (keyword === 'invalid_union' && params['discriminator'] !== undefined) return 'input.unsupported';
  return 'input.malformed';
}
