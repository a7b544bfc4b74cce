/**
 * Sync messages: what terminal and host say to each other over mutual TLS, as schemas both ends check with.
 * Pure. The paths and their use are written for outsiders in docs/protocols/host.md.
 */
import { z } from 'zod';
import { type Bytes, utf8 } from '../../terminal/kernel/bytes.js';
import { amountMinorMax, pointsMax } from '../../terminal/kernel/units.js';
import {
  amountSchema,
  bodyBytesMax,
  cardWriteSchema,
  couponCodeSchema,
  currencySchema,
  memberCodeSchema,
  plainText,
  pointsSchema,
  productCodeSchema,
  terminalIdSchema,
  transactionIdSchema,
} from './record.js';

export const paths = {
  enrol: '/v1/enrol',
  renew: '/v1/renew',
  authorise: '/v1/authorise',
  records: '/v1/records',
  session: '/v1/member-session',
  inquiry: '/v1/inquiry',
  smartTap: '/v1/smart-tap',
  directives: '/v1/directives',
  bell: '/v1/directives/bell',
  allowances: '/v1/allowances',
  epoch: '/v1/epoch',
} as const;

/** Most records in one batch. */
export const batchRecordsMax = 500;

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** One record in transit: the stored body verbatim, and what changes between attempts beside it. */
export const envelopeSchema = z.strictObject({
  body: z.string().min(2).max(bodyBytesMax),
  previousHash: hexOf(32),
  /** 1 for the first time this record is sent. */
  attempt: z.int().min(1),
  sentAtWallMs: z.int().min(0),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** Most records that one request names as seen answered; a box has fewer requests under way at once. */
export const newestSeenMax = 16;
/**
 * The `newest` of each answer that the box has stored, but for those that an earlier request named and whose answer it has
 * stored too. A host that does not hold them all went back in time.
 */
const newestSeenSchema = z.array(transactionIdSchema).max(newestSeenMax);

export const recordsRequestSchema = z.strictObject({
  /** None: the terminal only asks whether the host still holds all of `newestSeen`. */
  records: z.array(envelopeSchema).max(batchRecordsMax),
  newestSeen: newestSeenSchema,
});
export type RecordsRequest = z.infer<typeof recordsRequestSchema>;

export const authoriseRequestSchema = z.strictObject({ record: envelopeSchema, newestSeen: newestSeenSchema });
export type AuthoriseRequest = z.infer<typeof authoriseRequestSchema>;

/** Balances after the record was applied; null: not known or not touched, never zero in its place. */
export const balancesSchema = z.strictObject({
  points: pointsSchema.nullable(),
  pointsOwed: pointsSchema.nullable(),
  couponMinor: amountSchema.nullable(),
  couponCode: couponCodeSchema.nullable(),
  currency: currencySchema.nullable(),
});
export type Balances = z.infer<typeof balancesSchema>;

/** Codes of a host's final refusal; texts in terminal/kernel/errors.ts. */
export const refusalCodes = [
  'record.conflict',
  'record.malformed',
  'record.reversed',
  'record.wrongRealm',
  'record.chainBroken',
  'credential.unknown',
  'credential.wrongProof',
  'credential.replayed',
  'credential.blocked',
  'credential.tooWeak',
  'pass.none',
  'pass.unknownKey',
  'pass.forged',
  'pass.outOfTime',
  'tag.wrongKey',
  'tag.forged',
  'tag.lrpMode',
  'points.tooFew',
  'points.notAllowed',
  'coupon.unknown',
  'coupon.balanceTooLow',
  'coupon.expired',
  'coupon.notForProduct',
  'coupon.wrongHolder',
  'product.unknown',
  'bill.wrongTotal',
  'rules.unknown',
  'card.unreadable',
  'card.recordInvalid',
  'card.recordStale',
  'original.unknown',
  'original.notVoidable',
  'refund.tooLarge',
  'allowance.unknown',
  'allowance.wrongSignature',
  'allowance.notAllowed',
  'coupon.noTopUp',
  'coupon.ambiguous',
  'coupon.topUpSpent',
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/** The host's final word on one record. Stored; the same record gets the same word again. */
export const finalAnswerSchema = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('accepted'),
    transactionId: transactionIdSchema,
    /** What the host posted, which may differ from what the box computed (tier bonus, recomputed price). */
    pointsPosted: pointsSchema.nullable(),
    coveredMinor: amountSchema.nullable(),
    balances: balancesSchema,
    /** What the host authenticated for the card to take; null where no card is written. */
    write: cardWriteSchema.nullable(),
    /** What the box should know: `price.recomputed`, `points.owed`, `tier.bonus`, `coupon.late`… */
    notices: z.array(z.string().regex(/^[a-z]+\.[a-zA-Z]+$/)).max(8),
  }),
  z.strictObject({
    outcome: z.literal('refused'),
    transactionId: transactionIdSchema,
    code: z.enum(refusalCodes),
    detail: z.string().max(200),
    balances: balancesSchema,
  }),
]);
export type FinalAnswer = z.infer<typeof finalAnswerSchema>;

/** Not an answer yet: nothing was stored, send the same bytes again after `retryAfterMs`. */
const laterAnswerSchema = z.strictObject({
  outcome: z.literal('later'),
  transactionId: transactionIdSchema,
  code: z.enum(['host.busy', 'host.quarantined', 'host.storeFailed']),
  retryAfterMs: z.int().min(0).max(3_600_000),
});
export const recordAnswerSchema = z.union([finalAnswerSchema, laterAnswerSchema]);
export type RecordAnswer = z.infer<typeof recordAnswerSchema>;

/** How far the host holds this terminal's chain without a gap, and that record's hash. */
export const watermarkSchema = z.strictObject({
  epoch: z.int().min(1),
  sequence: z.int().min(0),
  hash: hexOf(32),
  /** How many of the terminal's records have a final answer at the host, of all its epochs. */
  recordsHeld: z.int().min(0),
  /** The record of this terminal that was answered last; null: none. The terminal names it in its next requests. */
  newest: transactionIdSchema.nullable(),
  /**
   * True where the terminal named a record as answered that this host does not hold: the host went back to a backup, took
   * nothing of the request, and wants all again that it may have lost.
   */
  wentBack: z.boolean(),
});
export type Watermark = z.infer<typeof watermarkSchema>;

export const recordsResponseSchema = z.strictObject({
  /** One for each record, in the order they were sent. */
  answers: z.array(recordAnswerSchema).max(batchRecordsMax),
  watermark: watermarkSchema,
  /** The newest directives; a higher number than the box has means: fetch them. */
  directivesVersion: z.int().min(0),
});
export type RecordsResponse = z.infer<typeof recordsResponseSchema>;

/** A tap's session as the host opens it: proof that the host knows the key, and AES-128 session keys. Never stored or logged. */
export const sessionGrantSchema = z.strictObject({
  terminalProof: hexOf(16),
  encryptionKey: hexOf(16),
  macKey: hexOf(16),
});
export type SessionGrant = z.infer<typeof sessionGrantSchema>;

export const authoriseResponseSchema = z.strictObject({
  answer: recordAnswerSchema,
  watermark: watermarkSchema,
  /** Given with an accepted tap, so that box and phone can speak in a mutually authenticated session. */
  session: sessionGrantSchema.nullable(),
  /** How long the host keeps the reservation when no completion comes; null where nothing is reserved. */
  reservedForMs: z.int().min(0).nullable(),
});
export type AuthoriseResponse = z.infer<typeof authoriseResponseSchema>;

/** Asks for a session before a card's record can be read. `context` is the 40 bytes the phone's proof covers. */
export const sessionRequestSchema = z.strictObject({
  key: z.enum(['member', 'card']),
  keyId: hexOf(8),
  terminalNonce: hexOf(16),
  phoneNonce: hexOf(16),
  counter: z.int().min(1).max(0xffffffff),
  proof: hexOf(16),
  context: hexOf(40),
});
export type SessionRequest = z.infer<typeof sessionRequestSchema>;
export const sessionResponseSchema = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('granted'), session: sessionGrantSchema }),
  z.strictObject({ outcome: z.literal('refused'), code: z.enum(refusalCodes) }),
]);
export type SessionResponse = z.infer<typeof sessionResponseSchema>;

/** Points rules: how points are earned and what they are worth. */
export const rulesSchema = z.strictObject({
  version: z.int().min(0),
  currency: currencySchema,
  /** points = floor(amountMinor × earnPoints ÷ earnPerMinor): 1 point a yuan is 1 per 100. */
  earnPoints: z.int().min(0).max(1_000_000),
  earnPerMinor: z.int().min(1).max(1_000_000_000),
  /** amountMinor = floor(points × spendMinor ÷ spendPerPoints): 100 points for 1 yuan is 100 per 100. */
  spendMinor: z.int().min(0).max(1_000_000_000),
  spendPerPoints: z.int().min(1).max(1_000_000),
  /** May a coupon pay a part when its balance is below the price? */
  couponPartial: z.boolean(),
});
export type Rules = z.infer<typeof rulesSchema>;

export const productSchema = z.strictObject({
  code: productCodeSchema,
  name: plainText(120),
  priceMinor: amountSchema,
  category: plainText(32),
});
export type Product = z.infer<typeof productSchema>;

/** Most allowances that one terminal holds at a time. */
export const allowancesMax = 200;
/** Most blocked keys and coupons that a box is told of: the newest. */
export const blockedMax = 10_000;

/**
 * A slice of a member's points or of a host-held coupon that the host has moved into an account of this terminal. Only this
 * terminal can spend it, so no two can spend the same. Its end only stops the spending (docs/protocols/host.md).
 */
export const allowanceSchema = z.strictObject({
  id: transactionIdSchema,
  terminalId: terminalIdSchema,
  /** null: a bearer coupon that belongs to no member. */
  memberCode: memberCodeSchema.nullable(),
  holds: z.discriminatedUnion('unit', [
    z.strictObject({ unit: z.literal('points'), points: z.int().min(1).max(pointsMax) }),
    z.strictObject({
      unit: z.literal('money'),
      currency: currencySchema,
      amountMinor: z.int().min(1).max(amountMinorMax),
      couponCode: couponCodeSchema,
      limitCategory: plainText(32).nullable(),
      limitProducts: z.array(productCodeSchema).max(200).nullable(),
    }),
  ]),
  grantedAtMs: z.int().min(0),
  expiresAtMs: z.int().min(0),
  /** The member's keys, each as this terminal alone can verify it: CMAC(key, 07 ‖ terminal id). Secret. */
  keys: z.array(z.strictObject({ keyId: hexOf(8), localKey: hexOf(16) })).max(16),
  /** ECDSA P-256 with SHA-256 (FIPS 186-5) by the host's authority over `allowanceBytes`, DER in hex. */
  signature: z.string().regex(/^([0-9a-f]{2}){8,128}$/),
});
export type Allowance = z.infer<typeof allowanceSchema>;
/** What the host's signature covers: every field but the signature, as JSON in this order. */
export const allowanceBytes = (allowance: Omit<Allowance, 'signature'>): Bytes => {
  const { id, terminalId, memberCode, holds, grantedAtMs, expiresAtMs, keys } = allowance;
  const slice =
    holds.unit === 'points'
      ? ['points', holds.points]
      : [holds.currency, holds.amountMinor, holds.couponCode, holds.limitCategory, holds.limitProducts];
  const proofs = keys.map(({ keyId, localKey }) => [keyId, localKey]);
  return utf8(
    JSON.stringify(['shouli allowance 1', id, terminalId, memberCode, slice, grantedAtMs, expiresAtMs, proofs]),
  );
};

/** What a box may decide while it cannot reach its host. Amounts in minor units; days are UTC days. */
export const offlineLimitsSchema = z.strictObject({
  /** Days since the last contact after which nothing of value is accepted any more. */
  daysMax: z.int().min(0).max(365),
  /** One member's earns without the host in a day. */
  earnCountPerDay: z.int().min(0).max(1_000_000),
  earnPointsPerDay: pointsSchema,
  /** Uses of allowances by one member in a day. */
  allowanceCountPerDay: z.int().min(0).max(1_000_000),
  /** Floor limits: what the merchant lets a box give without knowing that it is there. All 0: nothing. */
  floorPerSaleMinor: amountSchema,
  floorPerMemberDayMinor: amountSchema,
  floorPerMemberDayCount: z.int().min(0).max(1_000_000),
  /** All members of this box together. */
  floorPerDayMinor: amountSchema,
  /**
   * Does no tap spend that no credential proves: neither by the box's own key of an allowance, nor by the site key alone, nor on a
   * floor limit? Nor does a coupon's code on a floor limit, which proves nobody; out of a slice of that very coupon it does.
   */
  credentialOnly: z.boolean().default(false),
});
export type OfflineLimits = z.infer<typeof offlineLimitsSchema>;
export const offlineLimitsDefault: OfflineLimits = {
  daysMax: 30,
  earnCountPerDay: 50,
  earnPointsPerDay: 1_000_000,
  allowanceCountPerDay: 50,
  floorPerSaleMinor: 0,
  floorPerMemberDayMinor: 0,
  floorPerMemberDayCount: 0,
  floorPerDayMinor: 0,
  credentialOnly: false,
};

/** The catalogue as what changed since `since`; since 0: all of it. A price of null: the product is gone. */
export const catalogueChangesSchema = z.strictObject({
  since: z.int().min(0),
  products: z.array(productSchema).max(200_000),
  gone: z.array(productCodeSchema).max(200_000),
});

/** What the merchant sets for all boxes at once; what is absent is as each box is configured. */
export const boxConfigurationSchema = z.strictObject({
  /** Printed under the merchant's name, and at the receipt's end. */
  receiptHead: z.array(plainText(64)).max(4).optional(),
  receiptFoot: z.array(plainText(64)).max(4).optional(),
  /** How long a sale waits for the member to tap or show a code. */
  credentialTimeoutMs: z.int().min(1_000).max(600_000).optional(),
  /** Consumption category of what no product names. */
  category: plainText(32).optional(),
});
export type BoxConfiguration = z.infer<typeof boxConfigurationSchema>;

/** Most merchants whose memberships one box asks a phone for. */
export const merchantsMax = 8;
/** A merchant as phones know it. */
export const merchantIdSchema = z.string().regex(/^[0-9A-Za-z]{1,16}$/);

/** What the host tells a box to work by. `catalogue` is null when the version the box named is current. */
export const directivesSchema = z.strictObject({
  version: z.int().min(0),
  merchant: plainText(64),
  location: plainText(64),
  /** Whose memberships are accepted, in the order in which a phone is asked: the host's own merchant, then its partners. */
  merchants: z
    .array(merchantIdSchema)
    .min(1)
    .max(merchantsMax)
    .refine((ids) => new Set(ids).size === ids.length, 'no merchant twice'),
  rules: rulesSchema,
  offline: offlineLimitsSchema,
  configuration: boxConfigurationSchema.optional(),
  /** Key ids and coupon codes that pay nothing any more, the newest first. */
  blocked: z.array(z.string().regex(/^([0-9a-f]{16}|SLC[0-9]{13})$/)).max(blockedMax),
  /** The compressed P-256 key that signs phones' credentials, for all merchants of this host; null: none is taken. */
  credentialKey: hexOf(33).nullable().default(null),
  /** All that this terminal may spend; one it holds that is not here is to be given back. */
  allowances: z.array(allowanceSchema).max(allowancesMax),
  catalogueVersion: z.int().min(0),
  catalogue: catalogueChangesSchema.nullable(),
});
export type Directives = z.infer<typeof directivesSchema>;

/** Waits until the directives are another version than `known`, or `waitMs` is over. */
export const bellResponseSchema = z.strictObject({ version: z.int().min(0) });
export const bellWaitMsMax = 30_000;

/** Asks for an allowance for a member or coupon that is known here; what is given comes with the directives. */
export const allowanceRequestSchema = z.strictObject({
  reason: z.enum(['request', 'checkIn']),
  code: z.union([memberCodeSchema, couponCodeSchema]),
});
export type AllowanceRequest = z.infer<typeof allowanceRequestSchema>;
export const allowanceResponseSchema = z.strictObject({
  /** How many were granted now. */
  granted: z.int().min(0),
  /** Why none was; null where one was, or where the terminal holds one already. */
  refusedBecause: z.enum(refusalCodes).nullable(),
});
export type AllowanceResponse = z.infer<typeof allowanceResponseSchema>;

export const enrolRequestSchema = z.strictObject({
  code: z.string().regex(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/),
  /** PKCS#10 in PEM. */
  request: z.string().min(64).max(8_192),
  realm: z.enum(['real', 'simulated']),
});
export type EnrolRequest = z.infer<typeof enrolRequestSchema>;
export const enrolResponseSchema = z.strictObject({
  terminalId: terminalIdSchema,
  epoch: z.int().min(1),
  /** PEM: the terminal's certificate, then the host's authority that it trusts from now on. */
  certificate: z.string().max(16_384),
  authority: z.string().max(16_384),
  /** AES-128 key that seals card records offline at this site, when the merchant opted in; else null. */
  siteKey: hexOf(16).nullable(),
});
export type EnrolResponse = z.infer<typeof enrolResponseSchema>;

export const renewRequestSchema = z.strictObject({ request: z.string().min(64).max(8_192) });
export const renewResponseSchema = z.strictObject({
  certificate: z.string().max(16_384),
  authority: z.string().max(16_384),
});

/** After a restore from backup: a new epoch, since the old sequence would regress. */
export const epochRequestSchema = z.strictObject({ reason: z.enum(['restored', 'regressed', 'forked']) });
export const epochResponseSchema = z.strictObject({ epoch: z.int().min(1), previous: watermarkSchema });

/** Any refusal of a whole request (HTTP 4xx/5xx). */
export const problemSchema = z.strictObject({ code: z.string().max(64), detail: z.string().max(400) });
export type Problem = z.infer<typeof problemSchema>;
