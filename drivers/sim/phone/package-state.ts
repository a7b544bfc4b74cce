/**
 * What a simulated phone remembers of one merchant's content packages: what it shows, the parts of an unfinished one, and
 * after an erasure only what keeps old messages out. A schema and its empty value; must not know messages.
 */
import { z } from 'zod';

export const packagePartsMax = 32;
/** Merchants whose packages a phone remembers, erased ones among them. */
export const packageMerchantsMax = 32;

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
const amount = z.int().min(0);
const currency = z.string().regex(/^[A-Z]{3}$/);

export const packageContentSchema = z.strictObject({
  merchantName: z.string(),
  rules: z
    .strictObject({
      version: amount,
      currency,
      earnPoints: amount,
      earnPerMinor: amount,
      spendMinor: amount,
      spendPerPoints: amount,
    })
    .nullable(),
  coupons: z.array(
    z.strictObject({
      code: z.string().regex(/^SLC[0-9]{13}$/),
      balanceMinor: amount,
      currency,
      expiresAtSeconds: amount,
      /** null: no limit; empty: to some products. */
      limit: z.string().nullable(),
    }),
  ),
  offers: z.array(z.strictObject({ title: z.string(), text: z.string(), expiresAtSeconds: amount })),
  leftOut: z.strictObject({ coupons: amount, offers: amount }),
  credential: hexOf(127).nullable().default(null),
});
export type PackageContent = z.infer<typeof packageContentSchema>;

export const packageStateSchema = z.strictObject({
  merchantId: z.string().regex(/^[0-9A-Za-z]{1,16}$/),
  /** Of the newest package that was applied; 0: none yet. */
  version: z.int().min(0).max(0xffffffff),
  /** The key that signs this merchant's packages, fixed by the first; null: none yet. */
  signer: hexOf(33).nullable(),
  content: packageContentSchema.nullable(),
  incoming: z
    .strictObject({
      memberKeyId: hexOf(8),
      version: z.int().min(1).max(0xffffffff),
      /** A hole for each part that has not come. */
      pieces: z
        .array(
          z
            .string()
            .regex(/^(?:[0-9a-f]{2}){1,69}$/)
            .nullable(),
        )
        .min(1)
        .max(packagePartsMax),
    })
    .nullable(),
  /** After an erasure: what was answered, and what a registration message must not say again. */
  erased: z
    .strictObject({ answer: z.string().max(160), token: z.string().length(16), merchantPublicKey: hexOf(33) })
    .nullable(),
});
export type PackageState = z.infer<typeof packageStateSchema>;

export const noPackages = (merchantId: string): PackageState => ({
  merchantId,
  version: 0,
  signer: null,
  content: null,
  incoming: null,
  erased: null,
});
