/**
 * Schemas of the local API: what a till may send and what it gets. The same schemas check requests and make the OpenAPI
 * document. Data only.
 */
import { z } from 'zod';
import { type ErrorCode, errorTable } from '../kernel/errors.js';
import { amountMinorMax, currencies, pointsMax, quantityMax } from '../kernel/units.js';

/** The schemas that the OpenAPI document names; a registry of its own, since names must be unique in one. */
export const apiSchemas = z.registry<{ readonly id: string; readonly description?: string }>();

/** Most lines of one bill. */
export const billLinesMax = 500;
/** Longest time that one look at a sale waits for its end, seconds. */
export const waitSecondsMax = 60;
/** Most sales or queue rows in one answer. */
export const listRowsMax = 200;

const whole = (least: number, most: number) =>
  z
    .int()
    .min(least)
    .max(most)
    // −0 would pass as zero and be written back as 0: not the bytes that were sent.
    .refine((value) => !Object.is(value, -0), 'negative zero');
/** Minor units of the box's currency: 300.00 yuan is 30000. */
const amount = whole(0, amountMinorMax);
const wholePoints = whole(0, pointsMax);
const plainText = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/, 'no control characters');
const productCode = z.string().regex(/^[\x21-\x7e]{1,48}$/, '1 to 48 printable ASCII characters without blanks');

/** The till's own reference: safe in a path as it stands. */
export const referenceSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/, '1 to 64 of A-Z a-z 0-9 . _ : - beginning with a letter or digit');

const billLine = z
  .strictObject({
    code: productCode.optional(),
    name: plainText(120).optional(),
    quantity: whole(1, quantityMax),
    unitPriceMinor: amount.optional(),
  })
  .refine((line) => (line.code === undefined) !== (line.name === undefined), 'either code or name')
  .register(apiSchemas, {
    id: 'BillLine',
    description:
      'A product by code or by name (exactly one). unitPriceMinor: the till’s own price for one piece, marked as an override.',
  });

const common = { clerk: plainText(32) };
const sale = {
  ...common,
  amountMinor: amount.optional(),
  lines: z.array(billLine).min(1).max(billLinesMax).optional(),
  code: z
    .string()
    .regex(/^(SL([MC][0-9]{13}|R[0-9]{18})|\+?[0-9]{5,15})$/, 'SLM or SLC and 13 digits, SLR and 18, or a phone number')
    .optional()
    .describe(
      'A member, screen or coupon code that the till has scanned already, or the phone number that the member said: nobody needs to tap.',
    ),
};
const oneOfBoth = (value: { amountMinor?: number | undefined; lines?: unknown }) =>
  (value.amountMinor === undefined) !== (value.lines === undefined);
const bought = 'exactly one of amountMinor and lines';

export const saleRequestSchema = z.discriminatedUnion('service', [
  z.strictObject({ service: z.literal('plainSale'), ...sale }).refine(oneOfBoth, bought),
  z
    .strictObject({ service: z.literal('pointsEarn'), ...sale, typedPoints: wholePoints.optional() })
    .refine(oneOfBoth, bought),
  z.strictObject({ service: z.literal('pointsSpend'), ...sale, points: whole(1, pointsMax) }).refine(oneOfBoth, bought),
  z
    .strictObject({
      service: z.literal('couponHost'),
      ...sale,
      couponCode: z
        .string()
        .regex(/^SLC[0-9]{13}$/, 'SLC and 13 digits')
        .optional(),
    })
    .refine(oneOfBoth, bought),
  z.strictObject({ service: z.literal('couponCard'), ...sale }).refine(oneOfBoth, bought),
  z.strictObject({
    service: z.literal('topUp'),
    ...common,
    amountMinor: whole(1, amountMinorMax).describe('What the clerk has been given.'),
    code: sale.code,
    coupon: z
      .string()
      .regex(/^(SLC[0-9]{13}|[0-9]{4})$/, 'SLC and 13 digits, or the last 4')
      .optional()
      .describe('Which of the member’s coupons kept at the host; absent: the only one.'),
  }),
  z.strictObject({
    service: z.literal('topUpCard'),
    ...common,
    amountMinor: whole(1, amountMinorMax).describe('What the clerk has been given for the coupon on the card.'),
  }),
  z.strictObject({ service: z.literal('void'), ...common, original: referenceSchema }),
  z.strictObject({
    service: z.literal('refund'),
    ...common,
    original: referenceSchema,
    amountMinor: whole(1, amountMinorMax),
  }),
]);
export type SaleRequest = z.infer<typeof saleRequestSchema>;

export const saleParamsSchema = z.strictObject({ reference: referenceSchema });
const queryNumber = (least: number, most: number, fallback: number) =>
  z
    .string()
    .regex(/^[0-9]{1,3}$/, `${least} to ${most}`)
    .transform(Number)
    .refine((value) => value >= least && value <= most, `${least} to ${most}`)
    .optional()
    .transform((value) => value ?? fallback);
export const saleQuerySchema = z.strictObject({ wait: queryNumber(0, waitSecondsMax, 0) });
export const salesQuerySchema = z.strictObject({
  limit: queryNumber(1, listRowsMax, 50),
  before: referenceSchema.optional(),
});
export const queueQuerySchema = z.strictObject({ limit: queryNumber(1, listRowsMax, 50) });
export const emptyQuerySchema = z.strictObject({});

const errorCode = z
  .enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]])
  .register(apiSchemas, { id: 'ErrorCode', description: 'docs/errors.md says what each means and who may retry.' });
const currency = z.enum(Object.keys(currencies) as [keyof typeof currencies]);
const wallMs = z.number().int();
const trouble = z.object({ code: errorCode, detail: z.string() });

export const problemSchema = z
  .object({ code: errorCode, detail: z.string(), en: z.string(), zh: z.string() })
  .register(apiSchemas, {
    id: 'Problem',
    description: 'Why a request was refused: the code to act on, and its text for people in English and Chinese.',
  });
export type ProblemBody = z.infer<typeof problemSchema>;

const balances = z
  .object({
    points: z.int().nullable(),
    pointsOwed: z.int().nullable(),
    couponMinor: z.int().nullable(),
    couponCode: z.string().nullable(),
    currency: currency.nullable(),
  })
  .register(apiSchemas, {
    id: 'Balances',
    description: 'Balances after the sale; null: not known or not touched, never zero in its place.',
  });
const outcome = z.discriminatedUnion('result', [
  z.object({
    result: z.literal('accepted'),
    authority: z.enum(['host', 'box', 'site', 'allowance', 'floor']),
    points: z.int().nullable(),
    coveredMinor: z.int(),
    restMinor: z.int(),
    balances: balances.nullable(),
  }),
  z.object({
    result: z.literal('refused'),
    code: errorCode,
    balances: balances.nullable(),
    detail: z.string().optional().describe('What the host said beyond the code, in English.'),
  }),
  z.object({
    result: z.literal('unknown'),
    code: errorCode,
    undecided: z.literal(true).optional().describe('No answer of the host was received either: it may still refuse.'),
  }),
]);

export const saleSchema = z
  .object({
    transactionId: z.string(),
    reference: z.string().nullable(),
    service: z.string(),
    clerk: z.string(),
    currency,
    totalMinor: z.int(),
    phase: z.enum(['waiting', 'working', 'ended']),
    prompt: z.enum(['present', 'hold', 'tapAgain', 'asking', 'done', 'refused']).nullable(),
    outcome: outcome.nullable(),
    simulated: z.boolean(),
    voided: z.boolean(),
    refundedMinor: z.int(),
    receipt: z.array(z.string()),
  })
  .register(apiSchemas, { id: 'Sale' });
export type SaleBody = z.infer<typeof saleSchema>;
export const salesSchema = z.object({ sales: z.array(saleSchema) });

export const deviceSchema = z
  .object({
    device: z.string(),
    bus: z.enum(['pcsc', 'hid', 'serial', 'tcp', 'ble']),
    state: z.enum(['absent', 'opening', 'ready', 'failing', 'flapping', 'disabled']),
    description: z.string(),
    simulated: z.boolean(),
    sinceWallMs: wallMs,
    error: trouble.nullable(),
    counters: z.record(z.string(), z.number()),
  })
  .register(apiSchemas, { id: 'Device' });
export type DeviceBody = z.infer<typeof deviceSchema>;
export const devicesSchema = z.object({ devices: z.array(deviceSchema) });

export const syncSchema = z
  .object({
    state: z.enum(['online', 'offline', 'sending', 'notEnrolled']),
    lastContactWallMs: wallMs.nullable(),
    lastError: trouble.nullable(),
    nextAttemptInMs: z.number().nullable(),
  })
  .register(apiSchemas, { id: 'Sync' });
export type SyncBody = z.infer<typeof syncSchema>;

export const inquirySchema = z
  .discriminatedUnion('result', [
    z.object({
      result: z.literal('known'),
      tier: z.string(),
      points: z.int(),
      pointsOwed: z.int(),
      coupons: z.array(
        z.object({
          codeEnd: z.string().describe('The last four digits of its code.'),
          holder: z.enum(['host', 'card']),
          balanceMinor: z.int(),
          currency,
          expiresWallMs: wallMs.nullable(),
          limitCategory: z.string().nullable(),
          limitProducts: z.int().nullable().describe('How many products it is limited to; null: not limited to any.'),
        }),
      ),
      couponsMore: z.int(),
    }),
    z.object({ result: z.literal('refused'), code: errorCode }),
  ])
  .register(apiSchemas, {
    id: 'Inquiry',
    description: 'What a member who tapped while no sale was open may spend, as data of the event `inquiry`.',
  });
export type InquiryBody = z.infer<typeof inquirySchema>;

const gauges = z.object({
  unsent: z.int(),
  unsentWorthMinor: z.int(),
  unsentPoints: z.int(),
  dead: z.int(),
  oldestUnsentWallMs: wallMs.nullable(),
  nextSequence: z.int(),
});
const queueEntry = z.object({
  epoch: z.int(),
  sequence: z.int(),
  transactionId: z.string(),
  kind: z.string(),
  storedWallMs: wallMs,
  state: z.enum(['unsent', 'dead', 'settled']),
  reference: z.string().nullable(),
  clerk: z.string().nullable(),
  worthMinor: z.int().nullable(),
  currency: currency.nullable(),
  points: z.int().nullable(),
  refusal: trouble.nullable(),
  hash: z.string(),
});
export const queueSchema = z.object({
  gauges,
  sync: syncSchema,
  unsent: z.array(queueEntry),
  dead: z.array(queueEntry),
});
export type QueueBody = z.infer<typeof queueSchema>;

export const statusSchema = z.object({
  terminalId: z.string().nullable(),
  epoch: z.int().nullable(),
  version: z.string(),
  simulated: z.boolean(),
  merchant: z.string().nullable(),
  uptimeMs: z.number(),
  clockDoubtful: z.boolean(),
  sale: saleSchema.nullable(),
  sync: syncSchema,
  queue: gauges,
  directivesVersion: z.int().nullable(),
  catalogueVersion: z.int().nullable(),
  googleWallet: z.enum(['off', 'here', 'withHost', 'notAsked']),
  googleTrouble: trouble.nullable(),
  stopped: trouble.nullable(),
});
export type StatusBody = z.infer<typeof statusSchema>;
