/**
 * Inquiry messages: what a member may spend, asked by a tap or code while no sale is open. Pure. Moves nothing and is no record;
 * docs/protocols/host.md says what the host checks and remembers.
 */
import { z } from 'zod';
import {
  amountSchema,
  credentialSchema,
  currencySchema,
  plainText,
  pointsSchema,
  transactionIdSchema,
} from './record.js';
import { refusalCodes, sessionGrantSchema } from './sync.js';

/** Most coupons that one answer shows; of more it says how many. */
export const inquiryCouponsMax = 20;

export const inquiryRequestSchema = z.strictObject({
  /** Drawn for this question alone; a tap's proof covers it. */
  transactionId: transactionIdSchema,
  credential: credentialSchema,
});
export type InquiryRequest = z.infer<typeof inquiryRequestSchema>;

/** A coupon that may still pay. Its code would pay for whoever reads it: the last four digits alone are told. */
export const inquiryCouponSchema = z.strictObject({
  codeEnd: z.string().regex(/^[0-9]{4}$/),
  /** card: the balance as the host knows it, which a sale without network may have changed. */
  holder: z.enum(['host', 'card']),
  balanceMinor: amountSchema,
  currency: currencySchema,
  /** null: never. */
  expiresAtMs: z.int().min(0).nullable(),
  /** What alone it pays for; null: not limited so. At most one of the two. */
  limitCategory: plainText(32).nullable(),
  limitProducts: z.int().min(1).nullable(),
});
export type InquiryCoupon = z.infer<typeof inquiryCouponSchema>;

export const inquiryResponseSchema = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('known'),
    points: pointsSchema,
    /** Taken back when there was nothing left: later earning repays it first. */
    pointsOwed: pointsSchema,
    tier: plainText(32),
    /** The soonest to expire first. */
    coupons: z.array(inquiryCouponSchema).max(inquiryCouponsMax),
    couponsMore: z.int().min(0),
    /** Of a tap, so that the phone can be told as well. Never stored or logged. */
    session: sessionGrantSchema.nullable(),
  }),
  z.strictObject({ outcome: z.literal('refused'), code: z.enum([...refusalCodes, 'access.rateLimited']) }),
]);
export type InquiryResponse = z.infer<typeof inquiryResponseSchema>;
