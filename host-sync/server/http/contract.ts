/**
 * The host interface as rows: method, path, who may call it, schemas and answers. Server and OpenAPI document read it.
 * Must hold no behaviour; what the messages mean is host-sync/protocol/sync.ts.
 */
import { z } from 'zod';
import { inquiryRequestSchema, inquiryResponseSchema } from '../../protocol/inquiry.js';
import { smartTapRequestSchema, smartTapResponseSchema } from '../../protocol/smart-tap.js';
import {
  allowanceRequestSchema,
  allowanceResponseSchema,
  authoriseRequestSchema,
  authoriseResponseSchema,
  bellResponseSchema,
  directivesSchema,
  enrolRequestSchema,
  enrolResponseSchema,
  epochRequestSchema,
  epochResponseSchema,
  paths,
  recordsRequestSchema,
  recordsResponseSchema,
  renewRequestSchema,
  renewResponseSchema,
  sessionRequestSchema,
  sessionResponseSchema,
} from '../../protocol/sync.js';

export const healthPath = '/v1/health';

/** Query of the directives: the catalogue's version that the box holds; absent: none. */
export const directivesQuerySchema = z.strictObject({
  catalogueVersion: z
    .string()
    .regex(/^(0|[1-9][0-9]{0,14})$/)
    .optional(),
});
/** Query of the bell: the version the box knows, and how long it waits in milliseconds, at most bellWaitMsMax. */
export const bellQuerySchema = z.strictObject({
  known: z.string().regex(/^(0|[1-9][0-9]{0,14})$/),
  waitMs: z.string().regex(/^(0|[1-9][0-9]{0,5})$/),
});
export const healthResponseSchema = z.strictObject({ status: z.literal('ok') });

/**
 * Who gets in: `anyone` without a certificate; `renewal` also with one that has expired; `records` also when revoked or held
 * (they are kept in quarantine); `active` only a valid certificate of an active terminal.
 */
export type Access = 'anyone' | 'renewal' | 'records' | 'active';

export interface Operation {
  readonly name:
    | 'health'
    | 'enrol'
    | 'renew'
    | 'authorise'
    | 'records'
    | 'session'
    | 'inquiry'
    | 'smartTap'
    | 'directives'
    | 'bell'
    | 'allowances'
    | 'epoch';
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly query: z.ZodType | null;
  readonly request: z.ZodType | null;
  readonly response: z.ZodType;
  /** Longest body in bytes; above it 413. */
  readonly bodyBytesMax: number;
  /** Codes of problems that this operation may answer besides those that all share. */
  readonly problems: readonly string[];
}

const smallBodyBytesMax = 16_384;
/** One record of 64 KiB, escaped into JSON. */
const recordBodyBytesMax = 262_144;
/** A batch; a box with large bills sends fewer records at once. */
export const batchBodyBytesMax = 16 * 1024 * 1024;

export const operations: readonly Operation[] = [
  {
    name: 'health',
    method: 'GET',
    path: healthPath,
    access: 'anyone',
    summary: 'Is the host answering? Says nothing else.',
    query: null,
    request: null,
    response: healthResponseSchema,
    bodyBytesMax: 0,
    problems: [],
  },
  {
    name: 'enrol',
    method: 'POST',
    path: paths.enrol,
    access: 'anyone',
    summary: 'A one-time code and a certificate request become a terminal and its certificate.',
    query: null,
    request: enrolRequestSchema,
    response: enrolResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: ['enrolment.codeWrong', 'enrolment.locked', 'enrolment.requestInvalid', 'record.wrongRealm'],
  },
  {
    name: 'renew',
    method: 'POST',
    path: paths.renew,
    access: 'renewal',
    summary: 'A new certificate for the same terminal; also with an expired one.',
    query: null,
    request: renewRequestSchema,
    response: renewResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: ['enrolment.requestInvalid'],
  },
  {
    name: 'authorise',
    method: 'POST',
    path: paths.authorise,
    access: 'records',
    summary: 'One record that the box waits for.',
    query: null,
    request: authoriseRequestSchema,
    response: authoriseResponseSchema,
    bodyBytesMax: recordBodyBytesMax,
    problems: ['record.foreign'],
  },
  {
    name: 'records',
    method: 'POST',
    path: paths.records,
    access: 'records',
    summary: 'A batch of records; one answer for each.',
    query: null,
    request: recordsRequestSchema,
    response: recordsResponseSchema,
    bodyBytesMax: batchBodyBytesMax,
    problems: ['record.foreign'],
  },
  {
    name: 'session',
    method: 'POST',
    path: paths.session,
    access: 'active',
    summary: 'Session keys of a tap, before a card is read.',
    query: null,
    request: sessionRequestSchema,
    response: sessionResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: [],
  },
  {
    name: 'inquiry',
    method: 'POST',
    path: paths.inquiry,
    access: 'active',
    summary: 'What the member behind a tap or code may spend, while no sale is open. No record.',
    query: null,
    request: inquiryRequestSchema,
    response: inquiryResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: [],
  },
  {
    name: 'smartTap',
    method: 'POST',
    path: paths.smartTap,
    access: 'active',
    summary: 'Signs one session with Google Wallet, in mid-tap, for a box without the collector’s key.',
    query: null,
    request: smartTapRequestSchema,
    response: smartTapResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: [],
  },
  {
    name: 'directives',
    method: 'GET',
    path: paths.directives,
    access: 'active',
    summary: 'Merchant, rules and catalogue that the box works by.',
    query: directivesQuerySchema,
    request: null,
    response: directivesSchema,
    bodyBytesMax: 0,
    problems: ['rules.unknown'],
  },
  {
    name: 'bell',
    method: 'GET',
    path: paths.bell,
    access: 'active',
    summary: 'Waits until the directives are another version than the one known.',
    query: bellQuerySchema,
    request: null,
    response: bellResponseSchema,
    bodyBytesMax: 0,
    problems: [],
  },
  {
    name: 'allowances',
    method: 'POST',
    path: paths.allowances,
    access: 'active',
    summary: 'Asks for slices of a member or coupon that this terminal may spend without the host.',
    query: null,
    request: allowanceRequestSchema,
    response: allowanceResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: [],
  },
  {
    name: 'epoch',
    method: 'POST',
    path: paths.epoch,
    access: 'active',
    summary: "Closes the terminal's chain and begins a new one.",
    query: null,
    request: epochRequestSchema,
    response: epochResponseSchema,
    bodyBytesMax: smallBodyBytesMax,
    problems: [],
  },
];

/** Problems that every operation may answer, with their status. */
export const sharedProblems = {
  'input.malformed': 400,
  'input.truncated': 400,
  'input.outOfRange': 400,
  'access.denied': 403,
  'input.tooLong': 413,
  'input.unsupported': 415,
  'access.rateLimited': 429,
  'host.storeFailed': 503,
  'host.busy': 503,
} as const;

/** HTTP status of a problem's code: what a proxy or a person sees first. Codes not named here are 422. */
export function statusOf(code: string): number {
  switch (code) {
    case 'record.foreign':
    case 'certificate.expired':
    case 'host.quarantined':
    case 'terminal.replaced':
    case 'enrolment.codeWrong':
      return 403;
    case 'enrolment.locked':
      return 429;
    case 'record.wrongRealm':
    case 'rules.unknown':
      return 409;
    case 'enrolment.requestInvalid':
      return 400;
    case 'store.failed':
    case 'store.full':
    case 'store.corrupt':
      return 503;
    default:
      return Object.hasOwn(sharedProblems, code) ? sharedProblems[code as keyof typeof sharedProblems] : 422;
  }
}
